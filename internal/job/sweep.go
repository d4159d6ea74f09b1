package job

import (
	"context"
	"fmt"
	"strconv"
)

// A Sweeper is a Backend that can send several jobs at once, as Slurm does with
// an array.
type Sweeper interface {
	// SubmitAll submits each spec as Submit would: labels that are known start
	// nothing, so after an error it may be called again and sends what is
	// missing. It returns the statuses in the order of the specs; after an
	// error, those of the jobs that are there, and of the others ones without
	// an ID.
	SubmitAll(ctx context.Context, specs []Spec) ([]Status, error)
}

// MaxSweep is how many jobs one sweep may have.
const MaxSweep = 64

// MemberLabel is the label of a job of a sweep that has a label itself. Whoever
// knows the sweep's finds all its jobs.
func MemberLabel(sweep string, i int) string { return sweep + "#" + strconv.Itoa(i) }

// SubmitAll submits jobs that each have a label of their own: at once, if the
// backend can, else in turn until one fails.
func SubmitAll(ctx context.Context, b Backend, specs []Spec) ([]Status, error) {
	if err := together(specs); err != nil {
		return make([]Status, len(specs)), fmt.Errorf("submit jobs: %w", err)
	}
	if all, ok := b.(Sweeper); ok {
		return all.SubmitAll(ctx, specs)
	}
	statuses := make([]Status, len(specs))
	for i, spec := range specs {
		status, err := b.Submit(ctx, spec)
		if err != nil {
			return statuses, fmt.Errorf("job %d of %d, and none after it was sent: %w", i+1, len(specs), err)
		}
		statuses[i] = status
	}
	return statuses, nil
}

// together says why none of the jobs may be sent: one is none, or they could
// not be found one by one.
func together(specs []Spec) error {
	seen := make(map[string]bool, len(specs))
	for i, spec := range specs {
		if err := spec.Check(); err != nil {
			return fmt.Errorf("job %d of %d, and none was sent: %w", i+1, len(specs), err)
		}
		switch {
		case spec.Label == "":
			return fmt.Errorf("one of %d jobs that are sent together has no label", len(specs))
		case seen[spec.Label]:
			return fmt.Errorf("two of the jobs have the label %q", spec.Label)
		}
		seen[spec.Label] = true
	}
	return nil
}

var _ Sweeper = (*Set)(nil)

// SubmitAll implements Sweeper. All labels are looked for before anything is
// sent; then each backend gets its jobs at once.
func (s *Set) SubmitAll(ctx context.Context, specs []Spec) ([]Status, error) {
	statuses := make([]Status, len(specs))
	if err := together(specs); err != nil {
		return statuses, fmt.Errorf("submit jobs: %w", err)
	}
	groups := make(map[string][]int)
	for i, spec := range specs {
		m, err := s.chosen(spec)
		if err != nil {
			return statuses, fmt.Errorf("submit jobs: %w", err)
		}
		if m, err = s.keeper(ctx, spec.Label, m); err != nil {
			return statuses, err
		}
		groups[m.name] = append(groups[m.name], i)
	}
	for _, m := range s.members {
		if err := s.submitGroup(ctx, m, specs, groups[m.name], statuses); err != nil {
			return statuses, err
		}
	}
	return statuses, nil
}

// submitGroup submits the jobs at places to one backend.
func (s *Set) submitGroup(ctx context.Context, m member, specs []Spec, places []int, statuses []Status) error {
	if len(places) == 0 {
		return nil
	}
	group := make([]Spec, len(places))
	for n, i := range places {
		group[n] = specs[i]
		group[n].Backend = m.name
	}
	got, err := SubmitAll(ctx, m.Backend, group)
	for n, status := range got {
		if status.ID != "" {
			statuses[places[n]] = m.named(status)
		}
	}
	if err != nil {
		s.reprice(m)
		return fmt.Errorf("submit %d jobs to %s: %w", len(places), m.name, err)
	}
	return nil
}
