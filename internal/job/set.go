package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
)

// A Set is several backends as one. New jobs go to the one that their spec
// names, or to the first; a job that exists is asked for where it is.
// It is safe for concurrent use once all are added.
type Set struct {
	members []member

	mu    sync.Mutex
	lists map[string]*priceList
}

type member struct {
	name string
	Backend
}

var _ Backend = (*Set)(nil)

// Add adds a backend under a name that is new.
func (s *Set) Add(name string, b Backend) { s.members = append(s.members, member{name, b}) }

// Member is the backend of that name, nil if there is none.
func (s *Set) Member(name string) Backend {
	for _, m := range s.members {
		if m.name == name {
			return m.Backend
		}
	}
	return nil
}

// Names lists the backends, the one for jobs that name none first.
func (s *Set) Names() []string {
	names := make([]string, len(s.members))
	for i, m := range s.members {
		names[i] = m.name
	}
	return names
}

// Submit implements Backend. A label that any of them knows starts nothing, and
// neither does one that any but the chosen one may know and cannot be asked for.
func (s *Set) Submit(ctx context.Context, spec Spec) (Status, error) {
	m, err := s.chosen(spec)
	if err != nil {
		return Status{}, fmt.Errorf("submit job: %w", err)
	}
	if spec.Label != "" {
		if m, err = s.keeper(ctx, spec.Label, m); err != nil {
			return Status{}, err
		}
	}
	spec.Backend = m.name
	status, err := m.Submit(ctx, spec)
	if err != nil {
		s.reprice(m)
	}
	return m.named(status), err
}

// keeper is the backend that has the label, or the chosen one if none of the
// others has it. Whether it was sent there, its own Submit knows.
func (s *Set) keeper(ctx context.Context, label string, chosen member) (member, error) {
	var errs []error
	for _, m := range s.members {
		if m.name == chosen.name {
			continue
		}
		switch _, err := m.Find(ctx, label); {
		case err == nil:
			return m, nil
		case !errors.Is(err, ErrNotFound):
			errs = append(errs, fmt.Errorf("submit job: %s may have it already and cannot be asked, so it is not sent: %w", m.name, err))
		}
	}
	return chosen, errors.Join(errs...)
}

func (m member) named(s Status) Status {
	s.Backend = m.name
	return s
}

// holder returns the backend that has the job, and its status.
func (s *Set) holder(ctx context.Context, id string) (member, Status, error) {
	return s.first(func(m member) (Status, error) { return m.Status(ctx, id) }, fmt.Sprintf("job %q", id))
}

// first asks each until one has it. One that cannot be asked stands in nobody's
// way, but without it nobody can say that it is not there.
func (s *Set) first(ask func(member) (Status, error), what string) (member, Status, error) {
	var errs []error
	for _, m := range s.members {
		status, err := ask(m)
		switch {
		case err == nil, status.ID != "": // with an error: what is known without asking
			return m, m.named(status), err
		case !errors.Is(err, ErrNotFound):
			errs = append(errs, m.blame(err))
		}
	}
	if errs != nil {
		return member{}, Status{}, errors.Join(errs...)
	}
	return member{}, Status{}, fmt.Errorf("find %s: %w", what, ErrNotFound)
}

// Status implements Backend.
func (s *Set) Status(ctx context.Context, id string) (Status, error) {
	_, status, err := s.holder(ctx, id)
	return status, err
}

// Find implements Backend.
func (s *Set) Find(ctx context.Context, label string) (Status, error) {
	_, status, err := s.first(func(m member) (Status, error) { return m.Find(ctx, label) }, fmt.Sprintf("job labeled %q", label))
	return status, err
}

// knower returns the backend that has the job, without asking it how it is.
func (s *Set) knower(ctx context.Context, id string) (member, Spec, error) {
	var errs []error
	for _, m := range s.members {
		spec, err := m.Spec(ctx, id)
		if err == nil {
			return m, spec, nil
		}
		if !errors.Is(err, ErrNotFound) {
			errs = append(errs, m.blame(err))
		}
	}
	if errs != nil {
		return member{}, Spec{}, errors.Join(errs...)
	}
	return member{}, Spec{}, fmt.Errorf("find job %q: %w", id, ErrNotFound)
}

// Spec implements Backend.
func (s *Set) Spec(ctx context.Context, id string) (Spec, error) {
	_, spec, err := s.knower(ctx, id)
	return spec, err
}

// Cancel implements Backend.
func (s *Set) Cancel(ctx context.Context, id string) error {
	m, _, err := s.knower(ctx, id)
	if err != nil {
		return err
	}
	return m.Cancel(ctx, id)
}

// Collect implements Backend.
func (s *Set) Collect(ctx context.Context, id string) error {
	m, _, err := s.knower(ctx, id)
	if err != nil {
		return err
	}
	return m.Collect(ctx, id)
}

// Logs implements Backend.
func (s *Set) Logs(ctx context.Context, id string, from int64) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		m, _, err := s.knower(ctx, id)
		if err != nil {
			yield(Line{}, err)
			return
		}
		for line, err := range m.Logs(ctx, id, from) {
			if !yield(line, err) {
				return
			}
		}
	}
}

// List implements Backend. It has what could be had, with the errors of the
// rest.
func (s *Set) List(ctx context.Context) ([]Status, error) {
	var all []Status
	var errs []error
	for _, m := range s.members {
		some, err := m.List(ctx)
		for _, status := range some {
			all = append(all, m.named(status))
		}
		errs = append(errs, m.blame(err))
	}
	slices.SortStableFunc(all, func(x, y Status) int {
		return cmp.Or(y.Submitted.Compare(x.Submitted), cmp.Compare(y.ID, x.ID))
	})
	return all, errors.Join(errs...)
}

// Offers implements Backend, likewise.
func (s *Set) Offers(ctx context.Context) ([]Offer, error) {
	var all []Offer
	var errs []error
	for _, m := range s.members {
		some, err := m.Offers(ctx)
		for _, o := range some {
			o.Backend = m.name
			all = append(all, o)
		}
		errs = append(errs, m.blame(err))
	}
	slices.SortStableFunc(all, ByPrice)
	return all, errors.Join(errs...)
}

func (m member) blame(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ask %s: %w", m.name, err)
}
