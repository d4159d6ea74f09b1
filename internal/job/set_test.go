package job_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"ml-intern/internal/job"
)

// desk takes jobs, and may be out of reach.
type desk struct {
	job.Backend
	has  map[string]job.Status // by label
	away error
	sent int
}

func (d *desk) Find(_ context.Context, label string) (job.Status, error) {
	status, ok := d.has[label]
	if d.away == nil && !ok {
		return status, job.ErrNotFound
	}
	return status, d.away
}

func (d *desk) Submit(_ context.Context, spec job.Spec) (job.Status, error) {
	if s, ok := d.has[spec.Label]; ok { // and sends it if it was not
		return s, nil
	}
	d.sent++
	return job.Status{ID: "new", Label: spec.Label}, nil
}

func TestSetSubmit(t *testing.T) {
	t.Parallel()
	away, old := errors.New("no route"), map[string]job.Status{"x": {ID: "old"}}
	for name, c := range map[string]struct {
		a, b, c desk   // a is the chosen one
		want    string // id, or part of the error
		sent    int
	}{
		"nobody has it":                 {want: "new", sent: 1},
		"another has it":                {b: desk{has: old}, want: "old"},
		"another cannot be asked":       {b: desk{away: away}, want: "b may have it already and cannot be asked, so it is not sent: no route"},
		"but a third has it":            {b: desk{away: away}, c: desk{has: old}, want: "old"},
		"its own Submit finds its own":  {a: desk{has: old}, want: "old"},
		"and says what is wrong itself": {a: desk{away: away}, want: "new", sent: 1},
	} {
		var set job.Set
		set.Add("a", &c.a)
		set.Add("b", &c.b)
		set.Add("c", &c.c)
		status, err := set.Submit(t.Context(), job.Spec{Label: "x"})
		got := status.ID
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) || c.a.sent != c.sent || c.b.sent+c.c.sent > 0 {
			t.Errorf("%s: %q, %d sent; want %q, %d", name, got, c.a.sent, c.want, c.sent)
		}
	}
	b := &desk{away: away}
	var set job.Set
	set.Add("a", &desk{})
	set.Add("b", b)
	if _, err := set.Submit(t.Context(), job.Spec{}); err != nil {
		t.Errorf("a job without a label: %v", err)
	}
}
