package job_test

import (
	"context"
	"errors"
	"testing"

	"ml-intern/internal/job"
)

// A plain backend knows one job; a gauging one tells of its machine, too.
type plain struct {
	job.Backend // the rest is not called
	id          string
}

func (p plain) Spec(_ context.Context, id string) (job.Spec, error) {
	if id != p.id {
		return job.Spec{}, job.ErrNotFound
	}
	return job.Spec{}, nil
}

type gauging struct{ plain }

func (gauging) Gauge(context.Context, string) (job.Gauge, error) {
	return job.Gauge{DiskTotal: 7}, nil
}

func TestSetGauges(t *testing.T) {
	t.Parallel()
	var s job.Set
	s.Add("a", plain{id: "one"})
	s.Add("b", gauging{plain{id: "two"}})
	if _, err := s.Gauge(t.Context(), "one"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a backend that cannot: %v", err)
	}
	if g, err := s.Gauge(t.Context(), "two"); err != nil || g.DiskTotal != 7 {
		t.Errorf("a backend that can: %+v, %v", g, err)
	}
	if _, err := s.Gauge(t.Context(), "three"); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("no such job: %v", err)
	}
}
