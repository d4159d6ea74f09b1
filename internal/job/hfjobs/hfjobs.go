// Package hfjobs runs jobs on the machines of Hugging Face, through the Jobs
// API of a Hub.
//
// Its one rule: a job is sent once. The Hub does not recognise a job that it
// has already been given, so each is sent with the id of its record as a label:
// a submission whose answer was lost is looked for by that label, and sent
// anew only when the Hub has certainly not got it. The Hub owns the jobs and
// their disks, which are gone when a job ends; this package owns the records
// and the copies of the logs in Dir.
//
// The API tells no exit code and takes no files. So a job runs under wrap.sh,
// which brings its script and its inputs along and prints how it has ended.
package hfjobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/job"
)

const (
	defaultTimeLimit = time.Hour // always sent: the Hub's own 30 minutes end trainings

	askLimit   = time.Minute     // of one question to the Hub, with its attempts
	sendLimit  = 2 * time.Minute // of sending a job
	cancelWait = time.Minute     // for a job to be over
	hereLimit  = 10              // open jobs that are asked for one by one

	// unsentWait is how long a job whose submission got no answer may still
	// turn up: longer than any server takes for a request.
	unsentWait = 5 * time.Minute
)

// A Backend runs jobs in one namespace of a Hub. Any number of them, in any
// number of processes, may share a Dir.
type Backend struct {
	Dir       string      // records and logs, absolute; only its owner can read it
	Hub       *hub.Client // whose account pays
	Namespace string      // who pays: a user or an organization; the account itself if empty
	Image     string      // for jobs that name none; Python 3.12 with uv if empty

	// Secret finds the value of a secret that a job asks for; os.LookupEnv if
	// nil.
	Secret func(name string) (value string, ok bool)

	gauged gauged

	asked sync.Map // when the Hub told last how a job is, by id

	mu       sync.Mutex
	account  string // of Hub, once it is known
	offers   []job.Offer
	offersAt time.Time
}

var _ job.Backend = (*Backend)(nil)

// What a record keeps besides the last status.
const (
	keptNamespace = "namespace"
	keptSent      = "sent"   // when the job was sent
	keptCancel    = "cancel" // somebody wants it to end
	keptEnded     = "ended"  // when it was first seen that it has
)

func (b *Backend) records() job.Records { return job.Records{Dir: filepath.Join(b.Dir, "jobs")} }

func (b *Backend) secret(name string) (string, bool) {
	if b.Secret != nil {
		return b.Secret(name)
	}
	return os.LookupEnv(name)
}

// namespace is who pays. The account is asked for once: the Hub counts that.
func (b *Backend) namespace(ctx context.Context) (string, error) {
	if b.Namespace != "" {
		return b.Namespace, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.account == "" {
		ctx, stop := context.WithTimeout(ctx, askLimit)
		defer stop()
		who, err := b.Hub.WhoAmI(ctx)
		if err != nil {
			return "", b.plainly(err, "")
		}
		b.account = who.Name
	}
	return b.account, nil
}

// Status implements job.Backend.
func (b *Backend) Status(ctx context.Context, id string) (job.Status, error) {
	rec, err := b.records().Get(id)
	if err != nil {
		return job.Status{}, err
	}
	if at, ok := b.asked.Load(id); ok && time.Since(at.(time.Time)) < patience(rec, 0) { //nolint:forcetypeassert // there is nothing else in it
		return rec.Last, nil
	}
	if rec, err = b.settle(ctx, rec); err == nil && rec.Last.State == job.Running && rec.Kept[keptEnded] == "" {
		b.asked.Store(id, time.Now())
	}
	return rec.Last, err
}

// patience is how long what is known of a running job is good enough: the Hub
// counts questions, and of a job that runs for hours a few seconds tell nothing.
func patience(rec job.Record, least time.Duration) time.Duration {
	age := time.Since(rec.Last.Started)
	if rec.Last.State != job.Running || rec.Last.Started.IsZero() || age < time.Minute {
		return least
	}
	return min(age/60, 10*time.Second)
}

// settle asks the Hub for a job that is not done, and remembers the answer.
func (b *Backend) settle(ctx context.Context, rec job.Record) (job.Record, error) {
	if rec.Last.Done() {
		return rec, nil
	}
	if rec.Ref == "" {
		return b.lookFor(ctx, rec)
	}
	ask, stop := context.WithTimeout(ctx, askLimit)
	defer stop()
	j, err := b.Hub.GetJob(ask, rec.Kept[keptNamespace], rec.Ref)
	if errors.Is(err, hub.ErrNotFound) {
		// Not for good: with another token it may be there.
		rec.Last.State, rec.Last.Reason = job.Lost, "the Hub does not show it any more to this account"
		return rec, nil
	}
	if err != nil {
		return rec, b.plainly(err, rec.Kept[keptNamespace])
	}
	return b.observe(ctx, rec, j)
}

// Spec implements job.Backend.
func (b *Backend) Spec(_ context.Context, id string) (job.Spec, error) {
	rec, err := b.records().Get(id)
	return rec.Spec, err
}

// Find implements job.Backend.
func (b *Backend) Find(ctx context.Context, label string) (job.Status, error) {
	rec, err := b.records().Find(label)
	if err != nil {
		return job.Status{}, err
	}
	rec, err = b.settle(ctx, rec)
	return rec.Last, err
}

// List implements job.Backend. However many jobs are open, the Hub is asked a
// few times; if it cannot be asked, what was known last is told.
func (b *Backend) List(ctx context.Context) ([]job.Status, error) {
	all, err := b.records().All()
	errs := []error{err}
	open := map[string][]string{} // refs, by namespace
	n := 0
	for _, rec := range all {
		if !rec.Last.Done() && rec.Ref != "" {
			ns := rec.Kept[keptNamespace]
			open[ns] = append(open[ns], rec.Ref)
			n++
		}
	}
	known := map[string]hub.Job{}
	if n > hereLimit {
		for ns, refs := range open {
			errs = append(errs, b.many(ctx, ns, refs, known))
		}
	}
	statuses := make([]job.Status, 0, len(all))
	var failed error
	for _, rec := range all {
		j, here := known[rec.Ref]
		switch {
		case rec.Last.Done() || failed != nil:
		case here:
			rec, err = b.observe(ctx, rec, j)
			errs = append(errs, err)
		default:
			rec, failed = b.settle(ctx, rec)
		}
		statuses = append(statuses, rec.Last)
	}
	return statuses, errors.Join(append(errs, failed)...)
}

// many asks for jobs all at once.
func (b *Backend) many(ctx context.Context, namespace string, refs []string, into map[string]hub.Job) error {
	ctx, stop := context.WithTimeout(ctx, askLimit)
	defer stop()
	wanted := map[string]bool{}
	for _, ref := range refs {
		wanted[ref] = true
	}
	for j, err := range b.Hub.ListJobs(ctx, namespace, hub.JobFilter{Labels: map[string]string{sentBy: sender}}) {
		if err != nil {
			return b.plainly(err, namespace)
		}
		if wanted[j.ID] {
			into[j.ID] = j
			delete(wanted, j.ID)
		}
		if len(wanted) == 0 { // the newest come first
			break
		}
	}
	return nil
}

// Cancel implements job.Backend. The wish is kept, so that a job that turns up
// later is canceled then.
func (b *Backend) Cancel(ctx context.Context, id string) error {
	rec, err := b.records().Get(id)
	if err != nil || rec.Last.Done() {
		return err
	}
	rec.Kept = with(rec.Kept, keptCancel, now())
	if err := b.records().Save(rec); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, cancelWait)
	defer stop()
	told := false
	for poll := 50 * time.Millisecond; ; poll = min(poll*3/2, 2*time.Second) {
		if rec, err = b.settle(ctx, rec); err != nil || rec.Last.Done() {
			return err
		}
		if rec.Ref != "" && !told {
			if err := b.stop(ctx, rec); err != nil {
				return fmt.Errorf("cancel job %s: %w", id, err)
			}
			told = true
			continue
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cancel job %s: it is still %s: %w", id, rec.Last.State, context.Cause(ctx))
		case <-time.After(poll):
		}
	}
}

// stop tells the Hub to end a job. That it has ended meanwhile is no error.
func (b *Backend) stop(ctx context.Context, rec job.Record) error {
	ctx, stop := context.WithTimeout(ctx, askLimit)
	defer stop()
	ns := rec.Kept[keptNamespace]
	_, err := b.Hub.CancelJob(ctx, ns, rec.Ref)
	if err == nil {
		return nil
	}
	if j, look := b.Hub.GetJob(ctx, ns, rec.Ref); look == nil && j.Status.Stage.Done() {
		return nil
	}
	return b.plainly(err, ns)
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }

// with returns the map with one more value; the old one is not changed.
func with(kept map[string]string, key, value string) map[string]string {
	next := maps.Clone(kept)
	if next == nil {
		next = map[string]string{}
	}
	next[key] = value
	return next
}

// plainly says in a sentence what the Hub's refusals mean for jobs.
func (b *Backend) plainly(err error, namespace string) error {
	who := "the account"
	if namespace != "" {
		who = namespace
	}
	switch {
	case errors.Is(err, hub.ErrPaymentRequired):
		return fmt.Errorf("%s has no credit for jobs on the Hub: add some at %s, or name another namespace: %w", who, b.Hub.BillingURL(), err)
	case errors.Is(err, hub.ErrForbidden):
		return fmt.Errorf("the token may not use the jobs of %s: it needs the permission job.write, and the account a place in that namespace: %w", who, err)
	case errors.Is(err, hub.ErrUnauthorized):
		return fmt.Errorf("the Hub does not accept the token: log in again: %w", err)
	case errors.Is(err, hub.ErrRateLimited):
		return fmt.Errorf("the Hub wants fewer questions for a while: %w", err)
	}
	return err
}
