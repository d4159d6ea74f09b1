package job_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/job"
)

// shop offers hardware and counts how often it is asked. It runs nothing.
type shop struct {
	job.Backend
	offers []job.Offer
	err    error
	asked  int
}

func (s *shop) Offers(context.Context) ([]job.Offer, error) {
	s.asked++
	return s.offers, s.err
}

func TestQuote(t *testing.T) {
	t.Parallel()
	cloud := &shop{offers: []job.Offer{
		{Flavor: "cpu", CPUs: 2, USDPerHour: 0.01, DefaultLimitS: 1800},
		{Flavor: "t4", CPUs: 4, GPUs: 1, GPU: "T4", GPUMemoryMB: 16 << 10, USDPerHour: 0.5},
		{Flavor: "a100", CPUs: 12, GPUs: 1, GPU: "A100", GPUMemoryMB: 80 << 10, USDPerHour: 2.5},
	}}
	var set job.Set
	set.Add("here", &shop{offers: []job.Offer{{Flavor: "machine", CPUs: 2, DefaultLimitS: 3600}}})
	set.Add("cloud", cloud)
	set.Add("down", &shop{err: errors.New("no route")})
	hours := func(n int) time.Duration { return time.Duration(n) * time.Hour }
	for name, c := range map[string]struct {
		spec job.Spec
		want string // of String, or of the error
		usd  float64
	}{
		"the first, free":     {job.Spec{}, "machine of here for 1h0m0s, free", 0},
		"cheapest that fits":  {job.Spec{Backend: "cloud", Hardware: job.Hardware{GPUMemoryMB: 20 << 10}, TimeLimit: hours(2)}, "a100 of cloud for 2h0m0s, $5.00 at most", 5},
		"each attempt counts": {job.Spec{Backend: "cloud", Hardware: job.Hardware{GPUs: 1}, TimeLimit: hours(2), Retries: 2}, "t4 of cloud for 2h0m0s, 3 times at most, $3.00 at most", 3},
		"by its own limit":    {job.Spec{Backend: "cloud"}, "cpu of cloud for 30m0s, $0.01 at most", 0.005},
		"no limit at all":     {job.Spec{Backend: "cloud", Hardware: job.Hardware{Flavor: "t4"}}, "give one", 0},
		"nothing fits":        {job.Spec{Backend: "cloud", Hardware: job.Hardware{GPU: "H100"}}, "its GPU is A100, not H100", 0},
		"unknown backend":     {job.Spec{Backend: "moon"}, "there are: here, cloud, down", 0},
		"out of reach":        {job.Spec{Backend: "down"}, "ask down: no route", 0},
	} {
		q, err := set.Quote(t.Context(), c.spec)
		got := q.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) || q.Worst() != c.usd {
			t.Errorf("%s: got %q, $%v, want %q, $%v", name, got, q.Worst(), c.want, c.usd)
		}
	}
	if cloud.asked != 1 {
		t.Errorf("the prices were asked for %d times", cloud.asked)
	}
}

// records is a backend that has jobs, or cannot be asked.
type records struct {
	job.Backend
	jobs map[string]job.Status
	err  error
}

func (r records) Status(_ context.Context, id string) (job.Status, error) {
	if s, ok := r.jobs[id]; ok || r.err != nil {
		return s, r.err
	}
	return job.Status{}, job.ErrNotFound
}

func (r records) Spec(ctx context.Context, id string) (job.Spec, error) {
	s, err := r.Status(ctx, id)
	return job.Spec{Name: s.ID}, err
}

// A backend that cannot be asked hides no job of another one.
func TestSetFindsBesidesOneThatIsAway(t *testing.T) {
	t.Parallel()
	away := errors.New("no route")
	var set job.Set
	set.Add("away", records{err: away})
	set.Add("here", records{jobs: map[string]job.Status{"j1": {ID: "j1"}}})
	if s, err := set.Status(t.Context(), "j1"); err != nil || s.Backend != "here" {
		t.Errorf("got %+v, %v", s, err)
	}
	if spec, err := set.Spec(t.Context(), "j1"); err != nil || spec.Name != "j1" {
		t.Errorf("got %+v, %v", spec, err)
	}
	if _, err := set.Status(t.Context(), "j2"); !errors.Is(err, away) || errors.Is(err, job.ErrNotFound) {
		t.Errorf("a job that nobody here has: %v", err)
	}
	var known job.Set
	known.Add("away", records{err: away, jobs: map[string]job.Status{"j3": {ID: "j3"}}})
	if s, err := known.Status(t.Context(), "j3"); s.ID != "j3" || !errors.Is(err, away) {
		t.Errorf("what is known without asking: %+v, %v", s, err)
	}
}

// hung does not answer.
type hung struct{ job.Backend }

func (hung) Offers(ctx context.Context) ([]job.Offer, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestQuotesWaitForNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var set job.Set
		set.Add("hung", hung{})
		set.Add("good", &shop{offers: []job.Offer{{Flavor: "cpu", CPUs: 2}}})
		first, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _, _ = set.Quote(first, job.Spec{Backend: "hung"}) }()
		synctest.Wait()
		begin := time.Now()
		if _, err := set.Quote(t.Context(), job.Spec{Backend: "good"}); err != nil || time.Since(begin) > 0 {
			t.Errorf("another backend answers after %v: %v", time.Since(begin), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := set.Quote(ctx, job.Spec{Backend: "hung"}); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("the second who asks is told after %v: %v", time.Since(begin), err)
		}
	})
}

func TestQuoteRemembersFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := &shop{err: errors.New("503")}
		var set job.Set
		set.Add("down", down)
		for range 3 {
			if _, err := set.Quote(t.Context(), job.Spec{}); err == nil || !strings.Contains(err.Error(), "ask down: 503") {
				t.Errorf("got %v", err)
			}
		}
		if down.asked != 1 {
			t.Errorf("it was asked %d times at once", down.asked)
		}
		down.err, down.offers = nil, []job.Offer{{Flavor: "cpu", CPUs: 2}}
		time.Sleep(11 * time.Second)
		if _, err := set.Quote(t.Context(), job.Spec{}); err != nil {
			t.Errorf("10 s later: %v", err)
		}
	})
}

// A quote is what is paid, whatever the prices are when the job is sent; and
// one that does not hold any more is not given again.
func TestPricesChange(t *testing.T) {
	t.Parallel()
	need := job.Spec{Hardware: job.Hardware{GPUs: 1}, TimeLimit: time.Hour}
	for name, c := range map[string]struct {
		later []job.Offer
		want  string // flavor that is taken, or part of the error
		next  string // the quote afterwards
	}{
		"nothing":         {[]job.Offer{{Flavor: "a", GPUs: 1, USDPerHour: 1}, {Flavor: "b", GPUs: 1, USDPerHour: 2}}, "a", "a of x for 1h0m0s, $1.00 at most"},
		"another cheaper": {[]job.Offer{{Flavor: "b", GPUs: 1, USDPerHour: 0.5}, {Flavor: "a", GPUs: 1, USDPerHour: 1}}, "a", "a of x for 1h0m0s, $1.00 at most"},
		"it is cheaper":   {[]job.Offer{{Flavor: "a", GPUs: 1, USDPerHour: 0.9}}, "a", "a of x for 1h0m0s, $1.00 at most"},
		"it is dearer":    {[]job.Offer{{Flavor: "a", GPUs: 1, USDPerHour: 3}, {Flavor: "b", GPUs: 1, USDPerHour: 2}}, "does not cost the $1.00 an hour that were quoted, but 3.00", "b of x for 1h0m0s, $2.00 at most"},
		"nobody knows":    {[]job.Offer{{Flavor: "a", GPUs: 1, PriceUnknown: true}}, "that were quoted, but ?", "a price that nobody knows"},
		"it is gone":      {[]job.Offer{{Flavor: "b", GPUs: 1, USDPerHour: 1}}, "a, which was quoted, cannot be had any more", "b of x for 1h0m0s, $1.00 at most"},
	} {
		b := &placer{shop: shop{offers: []job.Offer{{Flavor: "a", GPUs: 1, USDPerHour: 1}, {Flavor: "b", GPUs: 1, USDPerHour: 2}}}}
		var set job.Set
		set.Add("x", b)
		q, err := set.Quote(t.Context(), need)
		if err != nil {
			t.Fatal(err)
		}
		b.offers = c.later
		got, err := set.Submit(t.Context(), q.Bind(need))
		if said := got.Hardware + strings.TrimPrefix(fmt.Sprint(err), "<nil>"); !strings.Contains(said, c.want) {
			t.Errorf("%s: %q, want %q", name, said, c.want)
		}
		if q, err = set.Quote(t.Context(), need); err != nil || !strings.HasSuffix(q.String(), c.next) {
			t.Errorf("%s: the next quote is %q, %v; want %q", name, q, err, c.next)
		}
	}
}

// placer takes a job onto hardware as every backend does, and runs nothing.
type placer struct{ shop }

func (p *placer) Submit(_ context.Context, spec job.Spec) (job.Status, error) {
	o, err := job.Choose(p.offers, spec)
	return job.Status{Hardware: o.Flavor, USDPerHour: o.USDPerHour}, err
}

// The time that a job asks for counts where it is priced and where it is placed.
func TestChooseByTime(t *testing.T) {
	t.Parallel()
	offers := []job.Offer{
		{Flavor: "short", CPUs: 2, MaxLimitS: 600, DefaultLimitS: 600}, {Flavor: "gpu", CPUs: 2, GPUs: 1}, {Flavor: "long", CPUs: 2, USDPerHour: 1}, {Flavor: "plain", CPUs: 2},
	}
	for limit, want := range map[time.Duration]string{0: "short", 10 * time.Minute: "short", 11 * time.Minute: "plain"} {
		if o, err := job.Choose(offers, job.Spec{TimeLimit: limit}); err != nil || o.Flavor != want {
			t.Errorf("for %s: %s, %v; want %s", limit, o.Flavor, err, want)
		}
	}
	if _, err := job.Choose(offers[:1], job.Spec{TimeLimit: time.Hour}); err == nil || !strings.Contains(err.Error(), "short: jobs may run for 10m0s, not 1h0m0s") {
		t.Errorf("too long: %v", err)
	}
}
