package job_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/job"
)

// array is a backend that sends all at once, or nothing.
type array struct {
	desk
	err   error
	sizes []int
}

func (a *array) SubmitAll(ctx context.Context, specs []job.Spec) ([]job.Status, error) {
	a.sizes = append(a.sizes, len(specs))
	all := make([]job.Status, len(specs))
	if a.err != nil {
		return all, a.err
	}
	for i, spec := range specs {
		all[i], _ = a.Submit(ctx, spec)
		all[i].ID = spec.Label
	}
	return all, nil
}

// breaking is a backend that refuses one label, and remembers the others.
type breaking struct {
	desk
	bad string
}

func (b *breaking) Submit(ctx context.Context, spec job.Spec) (job.Status, error) {
	if spec.Label == b.bad {
		return job.Status{}, errors.New("refused")
	}
	s, err := b.desk.Submit(ctx, spec)
	if b.has == nil {
		b.has = make(map[string]job.Status)
	}
	s.ID = spec.Label
	b.has[spec.Label] = s
	return s, err
}

func one(label string) job.Spec { return job.Spec{Label: label, Dir: "/w", Command: []string{"true"}} }

func labeled(backends ...string) []job.Spec {
	specs := make([]job.Spec, len(backends))
	for i, name := range backends {
		specs[i] = one(job.MemberLabel("s", i))
		specs[i].Backend = name
	}
	return specs
}

func ids(statuses []job.Status) string {
	all := make([]string, len(statuses))
	for i, s := range statuses {
		all[i] = s.ID + "@" + s.Backend
	}
	return strings.Join(all, " ")
}

// A set gives each backend its jobs at once, looks for all labels first, and
// goes on where it was stopped.
func TestSetSubmitAll(t *testing.T) {
	t.Parallel()
	a, b := &array{}, &breaking{bad: "s#3"}
	var set job.Set
	set.Add("a", a)
	set.Add("b", b)
	specs := labeled("a", "b", "a", "b", "b")
	got, err := set.SubmitAll(t.Context(), specs)
	if err == nil || !strings.Contains(err.Error(), "submit 3 jobs to b: job 2 of 3, and none after it was sent: refused") || ids(got) != "s#0@a s#1@b s#2@a @ @" {
		t.Errorf("got %s, %v", ids(got), err)
	}
	if !slices.Equal(a.sizes, []int{2}) {
		t.Errorf("a got %v", a.sizes)
	}
	b.bad = ""
	got, err = set.SubmitAll(t.Context(), specs)
	if err != nil || ids(got) != "s#0@a s#1@b s#2@a s#3@b s#4@b" || b.sent != 3 {
		t.Errorf("the second time: %s, %v; b ran %d", ids(got), err, b.sent)
	}
}

func TestSetSubmitAllRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		specs []job.Spec
		away  error
		want  string
	}{
		"no label":        {[]job.Spec{one("x"), one("")}, nil, "has no label"},
		"a label twice":   {[]job.Spec{one("x"), one("x")}, nil, `two of the jobs have the label "x"`},
		"one is none":     {append(labeled("a", "a"), job.Spec{Label: "y"}), nil, "job 3 of 3, and none was sent: a job needs a script"},
		"no such backend": {labeled("a", "moon"), nil, "there are: a, b"},
		"one is away":     {labeled("a", "a"), errors.New("no route"), "b may have it already and cannot be asked"},
	} {
		a, b := &array{}, &desk{away: c.away}
		var set job.Set
		set.Add("a", a)
		set.Add("b", b)
		got, err := set.SubmitAll(t.Context(), c.specs)
		if !strings.Contains(fmt.Sprint(err), c.want) || len(got) != len(c.specs) || a.sizes != nil || b.sent > 0 {
			t.Errorf("%s: %s, %v; sent %v", name, ids(got), err, a.sizes)
		}
	}
}
