package watch_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/watch"
)

// between is a time from begin on.
func between(from, to time.Duration) func(time.Time) bool {
	begin := time.Now()
	return func(now time.Time) bool { return !now.Before(begin.Add(from)) && now.Before(begin.Add(to)) }
}

func TestOutageOfAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		for i := range 20 {
			s.add(fmt.Sprintf("job%02d", i), part{end: time.Now().Add(3 * time.Hour), prints: steps(time.Minute, 3*time.Hour, losses)})
		}
		s.parts["job07"].end = time.Now().Add(90 * time.Minute)
		s.down = between(30*time.Minute, 100*time.Minute)
		ids := make([]string, 0, 20)
		for id := range s.parts {
			ids = append(ids, id)
		}
		file := filepath.Join(t.TempDir(), "w.json")
		begin := time.Now()
		w := &watch.Watcher{Backend: s, File: file}
		events := wait(t, w, ids...)
		if len(events) != 1 || events[0].Kind != watch.Unreachable || !strings.Contains(events[0].Text, "network is unreachable): 20 jobs go on unseen") {
			t.Fatalf("%s: %s", kinds(events), events[0].Text)
		}
		if at := time.Since(begin); at < 33*time.Minute || at > 35*time.Minute {
			t.Errorf("the outage was noticed after %v", at)
		}
		heard(t, w, events)
		// A restart in the middle of it says nothing new.
		w = &watch.Watcher{Backend: s, File: file}
		events = wait(t, w, ids...)
		if kinds(events) != "job07/ended/1" {
			t.Errorf("after the outage: %s", kinds(events))
		}
		if at := time.Since(begin); at < 100*time.Minute || at > 102*time.Minute {
			t.Errorf("the end that nobody saw was noticed after %v", at)
		}
		heard(t, w, events)
		left := 19
		for left > 0 {
			events = wait(t, w, ids...)
			for _, e := range events {
				if e.Kind != watch.Ended {
					t.Errorf("%s: %s", e.ID, e.Text)
				}
			}
			left -= len(events)
			heard(t, w, events)
		}
	})
}

// A backend that does not answer keeps nobody waiting who asks another.
func TestOneBackendDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		here, there := newStage(), newStage()
		here.add("a", part{end: time.Now().Add(time.Hour), prints: steps(time.Minute, time.Hour, losses)})
		there.add("b", part{end: time.Now().Add(2 * time.Hour)})
		there.down = between(0, 24*time.Hour)
		both := &pair{here: here, there: there}
		w := &watch.Watcher{Backend: both}
		begin := time.Now()
		events := wait(t, w, "a", "b")
		if kinds(events) != "b/unreachable/1" || !strings.HasPrefix(events[0].Text, "there has not answered for 3 min") {
			t.Fatalf("%s: %s", kinds(events), events[0].Text)
		}
		heard(t, w, events)
		events = wait(t, w, "a", "b")
		if took := time.Since(begin); kinds(events) != "a/ended/1" || took > time.Hour+3*time.Second {
			t.Errorf("%s after %v", kinds(events), took)
		}
	})
}

// A pair is two backends as one, as job.Set has them.
type pair struct {
	*stage
	here, there *stage
}

func (p *pair) of(id string) *stage {
	if p.here.parts[id] != nil {
		return p.here
	}
	return p.there
}

func (p *pair) Status(ctx context.Context, id string) (job.Status, error) {
	return p.of(id).Status(ctx, id)
}

func (p *pair) Spec(_ context.Context, id string) (job.Spec, error) {
	if p.here.parts[id] != nil {
		return job.Spec{Backend: "here"}, nil
	}
	return job.Spec{Backend: "there"}, nil
}

func (p *pair) Logs(ctx context.Context, id string, from int64) logLines {
	return p.of(id).Logs(ctx, id, from)
}

func TestClockJump(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		begin := time.Now()
		s.add("a", part{
			end: begin.Add(2 * time.Hour), limit: 3 * time.Hour,
			prints: steps(time.Minute, 2*time.Hour, func(i int) string { return fmt.Sprintf("step %d/120 loss=%.3f", i+1, 2-float64(i)*0.01) }),
			// After half an hour the wall clock jumps: the job seems to have run for ten hours.
			shift: func(now time.Time) time.Duration {
				if now.Sub(begin) > 30*time.Minute {
					return -10 * time.Hour
				}
				return 0
			},
		})
		w := &watch.Watcher{Backend: s}
		if events := wait(t, w, "a"); kinds(events) != "a/ended/1" {
			t.Errorf("%s: %s", kinds(events), events[0].Text)
		}
	})
}

func TestGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.add("a", part{})
		go func() {
			time.Sleep(time.Minute)
			s.mu.Lock()
			s.parts["a"].gone = true
			s.mu.Unlock()
		}()
		w := &watch.Watcher{Backend: s}
		events := wait(t, w, "a", "never")
		if kinds(events) != "never/gone/1" || !events[0].Final() {
			t.Errorf("%s", kinds(events))
		}
		heard(t, w, events)
		events = wait(t, w, "a", "never")
		if kinds(events) != "a/gone/1" {
			t.Errorf("%s", kinds(events))
		}
		heard(t, w, events)
		if events = wait(t, w, "a", "never"); events != nil {
			t.Errorf("%s", kinds(events))
		}
	})
}

// Whatever is killed and whenever, each event is heard once.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			s := newStage()
			var ids []string
			for i := range 5 {
				id := fmt.Sprintf("job%d", i)
				ids = append(ids, id)
				at := 5 + r.IntN(40)
				s.add(id, part{end: time.Now().Add(time.Duration(r.IntN(7200)) * time.Second), prints: steps(time.Minute, 2*time.Hour, func(i int) string {
					if i == at {
						return "{'loss': inf, 'epoch': 1}"
					}
					return losses(i)
				})})
			}
			file := filepath.Join(t.TempDir(), "w.json")
			var log []string // the session's, which outlives every kill
			w := &watch.Watcher{Backend: s, File: file}
			for done := 0; done < len(ids); {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(1800_000))*time.Millisecond)
				events, err := w.Wait(ctx, ids)
				cancel()
				switch {
				case err != nil: // killed while it waits
					w = &watch.Watcher{Backend: s, File: file}
					continue
				case r.IntN(3) == 0: // killed before the events are in the log
					w = &watch.Watcher{Backend: s, File: file}
					continue
				}
				for _, e := range events {
					if !slices.Contains(log, e.ID) {
						log = append(log, e.ID)
					}
				}
				if r.IntN(3) == 0 { // killed before Heard
					w = &watch.Watcher{Backend: s, File: file}
					continue
				}
				heard(t, w, events)
				for _, e := range events {
					if e.Final() {
						done++
					}
				}
			}
			for _, id := range ids {
				if !slices.Contains(log, id+"/ended/1") {
					t.Errorf("seed %d: the end of %s was never heard: %v", seed, id, log)
				}
			}
			for _, e := range log {
				if strings.HasSuffix(e, "/2") {
					t.Errorf("seed %d: %s", seed, e)
				}
			}
		})
	}
}

func TestManyJobsAreListed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.slow = 100 * time.Millisecond
		var ids []string
		for i := range 200 {
			id := fmt.Sprintf("job%03d", i)
			ids = append(ids, id)
			s.add(id, part{end: time.Now().Add(10 * time.Minute), prints: steps(time.Minute, time.Hour, losses)})
		}
		s.parts["job123"].end = time.Now().Add(5 * time.Minute)
		w := &watch.Watcher{Backend: s}
		begin := time.Now()
		events := wait(t, w, ids...)
		if took := time.Since(begin); kinds(events) != "job123/ended/1" || took > 5*time.Minute+25*time.Second {
			t.Errorf("%s after %v", kinds(events), took)
		}
		if s.asked > 10 || s.listed > 100 {
			t.Errorf("%d statuses and %d lists were asked for", s.asked, s.listed)
		}
	})
}

func TestReports(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.add("a", part{end: time.Now().Add(time.Minute), output: "step 1\nstep 2"})
		s.add("b", part{end: time.Now().Add(time.Hour), output: "hello\n"})
		var reports []string
		w := &watch.Watcher{Backend: s, Report: func(open []job.Progress) { reports = append(reports, job.Summary(open)) }}
		wait(t, w, "a", "b")
		if n := len(reports); n < 25 || n > 70 || !strings.HasPrefix(reports[n-2], "train 5") || !strings.HasSuffix(reports[n-2], " | step 2") {
			t.Errorf("%d reports, the last is %q", n, reports[n-1])
		}
	})
}

func TestFileIsBroken(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "w.json")
	for _, text := range []string{`{"jobs": null}`, `{"jobs": {"a": null}}`, `{}`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		w := &watch.Watcher{Backend: newStage(), File: file}
		if events, err := w.Wait(t.Context(), nil); err != nil || events != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := os.WriteFile(file, []byte(`{"jobs": [`), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &watch.Watcher{Backend: newStage(), File: file}
	if _, err := w.Wait(t.Context(), nil); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

// A line is read once, though its beginning was there before its end.
func TestHalfALine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		whole := ""
		for i := range 30 {
			whole += losses(i) + "\n"
		}
		s.add("a", part{end: time.Now().Add(15 * time.Minute), prints: func(t time.Duration) string {
			n := int(t.Seconds()) // a byte a second, and then something that is no number
			return whole[:min(n, len(whole))] + "nan"
		}})
		w := &watch.Watcher{Backend: s}
		if events := wait(t, w, "a"); kinds(events) != "a/ended/1" {
			t.Errorf("%s: %s", kinds(events), events[0].Text)
		}
	})
}
