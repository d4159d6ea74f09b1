package job_test

import (
	"context"
	"errors"
	"iter"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/job"
)

// A clockwork is a Backend whose jobs end when the clock says so.
type clockwork struct {
	job.Backend // the rest is not called
	ends        map[string]time.Time
	asked       int
	failures    int // so many calls of Status fail
}

var errNetwork = errors.New("the network is down")

func (c *clockwork) Status(_ context.Context, id string) (job.Status, error) {
	c.asked++
	if c.failures > 0 {
		c.failures--
		return job.Status{}, errNetwork
	}
	end, ok := c.ends[id]
	if !ok {
		return job.Status{}, job.ErrNotFound
	}
	s := job.Status{ID: id, Name: "train", State: job.Running, Started: time.Now()}
	if !time.Now().Before(end) {
		s.State, s.Finished = job.Succeeded, time.Now()
	}
	return s, nil
}

func (c *clockwork) Logs(context.Context, string, int64) iter.Seq2[job.Line, error] {
	return func(yield func(job.Line, error) bool) {
		_ = yield(job.Line{Text: "step 1"}, nil) && yield(job.Line{Text: " step 2 "}, nil) && yield(job.Line{}, nil)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		c := &clockwork{ends: map[string]time.Time{"a": now.Add(time.Minute), "b": now}}
		var reports []string
		statuses, err := job.Wait(t.Context(), c, []string{"a", "b"}, func(open []job.Progress) { reports = append(reports, job.Summary(open)) })
		if err != nil || len(statuses) != 2 || statuses[0].ID != "a" || statuses[1].ID != "b" || !statuses[0].Done() {
			t.Fatalf("%+v, %v", statuses, err)
		}
		if took := time.Since(now); took < time.Minute || took > 62*time.Second {
			t.Errorf("waiting for a minute took %v", took)
		}
		if c.asked > 80 {
			t.Errorf("the backend was asked %d times in a minute", c.asked)
		}
		if len(reports) < 50 || reports[0] != "train 0 s | step 2" {
			t.Errorf("%d reports in a minute, the first is %q", len(reports), reports[0])
		}
	})
}

func TestWaitIsQuick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		c := &clockwork{ends: map[string]time.Time{"a": now.Add(50 * time.Millisecond)}}
		if _, err := job.Wait(t.Context(), c, []string{"a"}, nil); err != nil || time.Since(now) > 100*time.Millisecond {
			t.Errorf("waiting for 50 ms took %v, %v", time.Since(now), err)
		}
		if _, err := job.Wait(t.Context(), c, nil, nil); err != nil {
			t.Errorf("waiting for nothing: %v", err)
		}
	})
}

func TestWaitFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &clockwork{ends: map[string]time.Time{"a": time.Now().Add(time.Minute)}, failures: 3}
		if _, err := job.Wait(t.Context(), c, []string{"a"}, nil); err != nil {
			t.Errorf("three failures end the waiting: %v", err)
		}
		c.failures = 1000
		if _, err := job.Wait(t.Context(), c, []string{"a"}, nil); !errors.Is(err, errNetwork) {
			t.Errorf("a backend that always fails: %v", err)
		}
		c.failures = 0
		if _, err := job.Wait(t.Context(), c, []string{"a", "x"}, nil); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("a job that is not there: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c.ends["a"] = time.Now().Add(time.Hour)
		statuses, err := job.Wait(ctx, c, []string{"a"}, nil)
		if !errors.Is(err, context.DeadlineExceeded) || statuses[0].State != job.Running {
			t.Errorf("after a second: %+v, %v", statuses, err)
		}
	})
}

func TestSeconds(t *testing.T) {
	t.Parallel()
	begin := time.Now().Add(-time.Minute)
	for name, c := range map[string]struct {
		status   job.Status
		min, max float64
	}{
		"queued":  {job.Status{State: job.Queued}, 0, 0},
		"running": {job.Status{State: job.Running, Started: begin}, 60, 600},
		"done":    {job.Status{State: job.Failed, Started: begin, Finished: begin.Add(2 * time.Second)}, 2, 2},
		"lost":    {job.Status{State: job.Lost, Started: begin}, 0, 0},
	} {
		if got := c.status.Seconds(); got < c.min || got > c.max {
			t.Errorf("%s: %v seconds", name, got)
		}
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	end := time.Now()
	again := job.Status{State: job.Failed, USDPerHour: 2, TimeLimit: 10 * time.Hour, Retries: 2, EarlierSeconds: 7200, Started: end.Add(-time.Hour), Finished: end}
	if again.Cost() != 6 || again.Seconds() != 3600 || again.Worst() != 60 {
		t.Errorf("an hour after two hours of earlier attempts costs $%v, after %v s; $%v at worst", again.Cost(), again.Seconds(), again.Worst())
	}
	again.State, again.Started, again.Finished = job.Queued, time.Time{}, time.Time{}
	if again.Cost() != 4 {
		t.Errorf("while it waits to run again it has cost $%v", again.Cost())
	}
	if again.State = job.Lost; again.Cost() != 60 {
		t.Errorf("lost, it costs $%v", again.Cost())
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := job.Spec{Dir: t.TempDir(), Command: []string{"true"}, Env: map[string]string{"A": "b=c"}}
	if err := good.Check(); err != nil {
		t.Errorf("a good spec: %v", err)
	}
	for want, change := range map[string]func(*job.Spec){
		"names no program":       func(s *job.Spec) { s.Command = []string{""} },
		"cannot be negative":     func(s *job.Spec) { s.TimeLimit = -time.Second },
		"at most 365 days":       func(s *job.Spec) { s.TimeLimit = math.MaxInt64 },
		`the output "../m"`:      func(s *job.Spec) { s.Outputs = []string{"hf://models/me/m", "model/", "../m"} },
		`the output "/srv/m"`:    func(s *job.Spec) { s.Outputs = []string{"/srv/m"} },
		`the output "a/../../m"`: func(s *job.Spec) { s.Outputs = []string{"a/../../m"} },
		`the output ""`:          func(s *job.Spec) { s.Outputs = []string{""} },
	} {
		bad := good
		change(&bad)
		if err := bad.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
