package tools

import (
	"context"
	"errors"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/tool"
)

// A submission is the jobs of one call: one, or those of a sweep.
type submission struct {
	desk
	in      jobInput
	members []sending
	q       job.Quote // of all of them
	worst   float64   // dollars that are set aside for them
}

// A sending is one job of a submission, and what is known of it.
type sending struct {
	spec   job.Spec
	status job.Status // no ID while nobody knows of it
	sent   bool       // certainly accepted
	absent bool       // certainly not
}

func (p *submission) open(specs []job.Spec) {
	for _, spec := range specs {
		p.members = append(p.members, sending{spec: spec})
	}
}

func (p *submission) specs() []job.Spec {
	specs := make([]job.Spec, len(p.members))
	for i, m := range p.members {
		specs[i] = m.spec
	}
	return specs
}

// quote prices the jobs and binds them to that, or says why they may not cost
// what they may cost. What they differ in changes no price.
func (p *submission) quote(ctx context.Context) error {
	q, err := p.Quote(ctx, p.members[0].spec)
	if err != nil {
		return err
	}
	p.q = q
	p.q.Jobs = len(p.members)
	if err := affordable(p.q, p.worst); err != nil {
		return err
	}
	for i := range p.members {
		p.members[i].spec = q.Bind(p.members[i].spec)
	}
	return nil
}

// finish does what is left of a call that began before: what was sent is found,
// and what may have been sent is sent under its label, which starts it once. If
// nothing of it is known anywhere, the call begins anew.
func (p *submission) finish(ctx context.Context, quoteErr error) (out tool.Output, finished bool) {
	err := p.look(ctx)
	known, open := 0, 0
	for _, m := range p.members {
		if m.status.ID != "" {
			known++
		}
		if !m.sent {
			open++
		}
	}
	switch {
	case err != nil:
	case known == 0:
		return out, false
	case open == 0:
		return p.sent(""), true
	case quoteErr != nil: // it could cost more than is set aside
		err = quoteErr
	default:
		err = p.send(ctx)
	}
	if err == nil {
		return p.sent(""), true
	}
	return p.unsure(err), true
}

// look asks for each job by its label, for a short while even if ctx has ended.
// The error is that of one that cannot be asked for.
func (p *submission) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for i := range p.members {
		m := &p.members[i]
		status, err := p.Find(ctx, m.spec.Label)
		m.absent = errors.Is(err, job.ErrNotFound)
		switch {
		case err == nil:
			m.status, m.sent = status, m.sent || status.Done() || status.Ref != ""
		case !m.absent:
			return err
		}
	}
	return nil
}

// send sends the jobs. What may have arrived is sent again under its label,
// which starts it once. After an error the members say what is known.
func (p *submission) send(ctx context.Context) error {
	err := p.submit(ctx)
	for _, pause := range []time.Duration{time.Second, 3 * time.Second, 9 * time.Second} {
		if err == nil {
			return nil
		}
		if lookErr := p.look(ctx); lookErr == nil && p.clear() {
			break
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			err = p.submit(ctx)
		}
	}
	if p.count(sending.accepted) == len(p.members) {
		return nil
	}
	return err
}

// submit sends the jobs once.
func (p *submission) submit(ctx context.Context) error {
	specs := p.specs()
	var statuses []job.Status
	var err error
	if len(p.in.Sweep) > 0 {
		statuses, err = p.SubmitAll(ctx, specs)
	} else {
		statuses = make([]job.Status, 1)
		statuses[0], err = p.Submit(ctx, specs[0])
	}
	for i, status := range statuses {
		if m := &p.members[i]; status.ID != "" && (err == nil || len(p.in.Sweep) > 0) {
			m.status, m.sent = status, true
		}
	}
	return err
}

func (m sending) accepted() bool { return m.sent }
func (m sending) refused() bool  { return m.absent && !m.sent }
func (m sending) unsure() bool   { return !m.absent && !m.sent }

// clear reports whether of each job it is known whether it was accepted.
func (p *submission) clear() bool { return p.count(sending.unsure) == 0 }

func (p *submission) count(is func(sending) bool) int {
	n := 0
	for _, m := range p.members {
		if is(m) {
			n++
		}
	}
	return n
}
