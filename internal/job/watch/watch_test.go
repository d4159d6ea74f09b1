package watch_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/watch"
)

// A stage is a Backend whose jobs do what the clock says.
type stage struct {
	job.Backend // the rest is not called

	mu     sync.Mutex
	parts  map[string]*part
	down   func(time.Time) bool // whether it answers nobody
	slow   time.Duration        // what each answer takes
	asked  int                  // calls of Status
	listed int                  // calls of List
	logged int                  // calls of Logs
}

// A part is a job.
type part struct {
	begin  time.Time
	end    time.Time // never if zero
	final  job.State // succeeded if empty
	code   int
	limit  time.Duration
	pid    int
	output string                        // what it printed in all
	prints func(t time.Duration) string  // what it has printed after so long, instead
	shift  func(time.Time) time.Duration // of the clock that says when it was started
	dir    string                        // of its results
	gone   bool
}

// logLines is what Logs returns.
type logLines = iter.Seq2[job.Line, error]

var errDown = errors.New("dial tcp 10.0.0.1:443: network is unreachable")

func newStage() *stage { return &stage{parts: map[string]*part{}} }

func (s *stage) add(id string, p part) {
	p.begin = time.Now()
	s.parts[id] = &p
}

func (s *stage) answer(ctx context.Context) error {
	if s.down != nil && s.down(time.Now()) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Second):
			return errDown
		}
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(s.slow):
		return nil
	}
}

func (s *stage) status(id string) job.Status {
	p := s.parts[id]
	now := time.Now()
	st := job.Status{ID: id, Name: "train", State: job.Running, ExitCode: -1, Started: p.begin, TimeLimit: p.limit, PID: p.pid, OutputDir: p.dir}
	if p.shift != nil {
		st.Started = p.begin.Add(p.shift(now))
	}
	if !p.end.IsZero() && !now.Before(p.end) {
		st.State, st.ExitCode, st.Finished = job.Succeeded, p.code, p.end
		if p.final != "" {
			st.State = p.final
		}
	}
	return st
}

func (s *stage) Status(ctx context.Context, id string) (job.Status, error) {
	s.mu.Lock()
	s.asked++
	s.mu.Unlock()
	if err := s.answer(ctx); err != nil {
		return job.Status{}, err
	}
	if p := s.parts[id]; p == nil || p.gone {
		return job.Status{}, fmt.Errorf("find %s: %w", id, job.ErrNotFound)
	}
	return s.status(id), nil
}

func (s *stage) List(ctx context.Context) (all []job.Status, err error) {
	s.mu.Lock()
	s.listed++
	s.mu.Unlock()
	if err := s.answer(ctx); err != nil {
		return nil, err
	}
	for id := range s.parts {
		all = append(all, s.status(id))
	}
	return all, nil
}

func (s *stage) Spec(_ context.Context, id string) (job.Spec, error) {
	if s.parts[id] == nil {
		return job.Spec{}, job.ErrNotFound
	}
	return job.Spec{}, nil
}

func (s *stage) Logs(ctx context.Context, id string, from int64) iter.Seq2[job.Line, error] {
	return func(yield func(job.Line, error) bool) {
		s.mu.Lock()
		s.logged++
		s.mu.Unlock()
		if err := s.answer(ctx); err != nil {
			yield(job.Line{}, err)
			return
		}
		p := s.parts[id]
		text := p.output
		if p.prints != nil {
			text = p.prints(time.Since(p.begin))
		}
		if from < 0 {
			from = max(0, int64(len(text))+from)
		}
		from = min(from, int64(len(text)))
		job.Lines(strings.NewReader(text[from:]), from)(yield)
	}
}

// steps prints a line every so often until the end.
func steps(every, until time.Duration, line func(i int) string) func(time.Duration) string {
	var text strings.Builder
	printed := 0
	return func(t time.Duration) string {
		for ; printed < int(min(t, until)/every); printed++ {
			text.WriteString(line(printed) + "\n")
		}
		return text.String()
	}
}

func losses(i int) string { return fmt.Sprintf("{'loss': %.4f, 'epoch': %d}", 2-float64(i)*0.001, i) }

// kinds are the events in short.
func kinds(events []watch.Event) string {
	var words []string
	for _, e := range events {
		words = append(words, e.ID)
	}
	return strings.Join(words, " ")
}

func wait(t *testing.T, w *watch.Watcher, ids ...string) []watch.Event {
	t.Helper()
	events, err := w.Wait(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func heard(t *testing.T, w *watch.Watcher, events []watch.Event) {
	t.Helper()
	if err := w.Heard(events...); err != nil {
		t.Fatal(err)
	}
}

func TestEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.add("a", part{end: time.Now().Add(time.Minute), output: "step 1\n"})
		s.add("b", part{end: time.Now().Add(time.Hour), prints: steps(time.Minute, time.Hour, losses)})
		file := filepath.Join(t.TempDir(), "new", "watch.json")
		w := &watch.Watcher{Backend: s, File: file}
		begin := time.Now()
		events := wait(t, w, "a", "b", "a")
		if kinds(events) != "a/ended/1" || events[0].Text != "train (a) succeeded after 1 min" || !events[0].Final() {
			t.Errorf("%+v", events)
		}
		if took := time.Since(begin); took > 62*time.Second {
			t.Errorf("it took %v to notice an end after a minute", took)
		}
		// Killed before the event was heard: it is told again, with the same ID.
		w = &watch.Watcher{Backend: s, File: file}
		if again := wait(t, w, "a", "b"); kinds(again) != "a/ended/1" {
			t.Errorf("after a restart: %v", kinds(again))
		}
		heard(t, w, events)
		w = &watch.Watcher{Backend: s, File: file}
		if rest := wait(t, w, "a", "b"); kinds(rest) != "b/ended/1" {
			t.Errorf("what is left: %v", kinds(rest))
		} else {
			heard(t, w, rest)
		}
		if took := time.Since(begin); took < time.Hour || took > time.Hour+3*time.Second {
			t.Errorf("the end after an hour was noticed after %v", took)
		}
		if rest := wait(t, w, "a", "b"); rest != nil {
			t.Errorf("when all have ended: %v", kinds(rest))
		}
	})
}

// What happens while nobody waits is told at the next Wait.
func TestNothingIsMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.add("a", part{end: time.Now().Add(time.Hour), final: job.Failed, code: 1, output: "Traceback (most recent call last):\n  File \"x\"\nModuleNotFoundError: No module named 'peft'\n"})
		w := &watch.Watcher{Backend: s}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if events, err := w.Wait(ctx, []string{"a"}); !errors.Is(err, context.DeadlineExceeded) || events != nil {
			t.Errorf("a wait that was cut short: %v, %v", kinds(events), err)
		}
		time.Sleep(2 * time.Hour)
		begin := time.Now()
		events := wait(t, w, "a")
		if len(events) != 1 || events[0].Kind != watch.Ended || time.Since(begin) > time.Second {
			t.Fatalf("%v after %v", kinds(events), time.Since(begin))
		}
		if want := "train (a) failed after 1 h 00 min: the Python module peft is not installed where the job ran"; events[0].Text != want {
			t.Errorf("%q, want %q", events[0].Text, want)
		}
		if !strings.Contains(events[0].Detail, "PEP 723") || !strings.Contains(events[0].Detail, "cursor 46") {
			t.Errorf("detail: %s", events[0].Detail)
		}
	})
}

// Each sign gives one event with the numbers, and no second while it lasts.
func TestSigns(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		part   part
		gauge  func(t time.Duration) job.Gauge
		want   string // ID
		text   string
		before time.Duration
	}{
		"silent": {
			part: part{prints: steps(time.Minute, 30*time.Minute, losses)},
			want: "a/silent/1", text: `no sign of life for 10 min: no output, no metrics; its last line was "{'loss'`, before: 43 * time.Minute,
		},
		"silent from the start": {part: part{}, want: "a/silent/1", text: "it has printed nothing so far", before: 12 * time.Minute},
		"silent after long evaluations": {
			part: part{prints: steps(8*time.Minute, 4*time.Hour, losses)},
			want: "a/silent/1", text: "no sign of life for 32 min", before: 5 * time.Hour,
		},
		"nan": {
			part: part{prints: steps(time.Minute, day, func(i int) string {
				if i >= 20 {
					return "{'loss': nan, 'grad_norm': nan, 'epoch': 2.0}"
				}
				return losses(i)
			})},
			want: "a/not_finite/1", text: "loss is NaN at epoch 2; before it was 1.981", before: 22 * time.Minute,
		},
		"nan gradients": {
			part: part{prints: steps(time.Minute, day, func(i int) string { return "{'loss': 0.0, 'grad_norm': nan, 'epoch': 2.0}" })},
			want: "a/not_finite/1", text: "grad_norm is NaN", before: 12 * time.Minute,
		},
		"scale of mixed precision": {
			part: part{prints: steps(time.Minute, day, func(i int) string {
				if i < 8 {
					return "{'loss': 2.0, 'grad_norm': inf, 'epoch': 0.1}"
				}
				return losses(i)
			})},
			want: "a/ended/1", text: "succeeded", before: 10 * time.Hour,
		},
		"spike": {
			part: part{prints: steps(time.Minute, day, func(i int) string {
				if i >= 60 {
					return fmt.Sprintf("{'loss': 9.5, 'epoch': %d}", i)
				}
				return losses(i)
			})},
			want: "a/spike/1", text: "loss rose to 9.5 at epoch 62, from 1.966 (median of the 50 values before)", before: 65 * time.Minute,
		},
		"plateau of evaluation": {
			part: part{prints: steps(time.Minute, day, func(i int) string {
				return fmt.Sprintf("{'eval_loss': %.3f, 'epoch': %d}", max(1-float64(i)*0.1, 0.5)+float64(i)*0.001, i)
			})},
			want: "a/plateau/1", text: "eval_loss has had no better value than 0.505 (epoch 5) in 6 evaluations; it is 0.511 now", before: 14 * time.Minute,
		},
		"plateau of training": {
			part: part{prints: steps(time.Minute, day, func(i int) string {
				return fmt.Sprintf("{'loss': %.3f, 'epoch': %d}", max(2-float64(i)*0.02, 1), i)
			})},
			want: "a/plateau/1", text: "loss does not fall any more: 1 on average", before: 210 * time.Minute,
		},
		"late": {
			part: part{limit: 3 * time.Hour, prints: steps(time.Minute, day, func(i int) string { return fmt.Sprintf("step %d/500 loss=0.5", i+1) })},
			want: "a/late/1", text: "needs 8 h", before: 8 * time.Minute,
		},
		"out of memory": {
			part: part{prints: steps(time.Minute, day, func(i int) string {
				if i == 5 {
					return "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
				}
				return losses(i)
			})},
			want: "a/out_of_memory/1", text: "2.00 GiB more were asked for; it still runs", before: 9 * time.Minute,
		},
		"disk full": {
			part: part{prints: steps(time.Minute, day, func(i int) string {
				if i == 5 {
					return "OSError: [Errno 28] No space left on device: 'ckpt/x.pt'"
				}
				return losses(i)
			})},
			want: "a/disk_low/1", text: "the disk was full when it wrote ckpt/x.pt; it still runs", before: 9 * time.Minute,
		},
		"disk": {
			part: part{pid: 7, prints: steps(time.Minute, day, losses)},
			gauge: func(t time.Duration) job.Gauge {
				return job.Gauge{DiskFree: int64(max(100-t.Minutes(), 2)) << 30, DiskTotal: 200 << 30}
			},
			want: "a/disk_low/1", text: "9.0 GB of 200.0 GB are free", before: 95 * time.Minute,
		},
		"gpu": {
			part: part{pid: 7, prints: steps(time.Minute, day, losses)},
			gauge: func(t time.Duration) job.Gauge {
				return job.Gauge{GPUs: []job.GPUGauge{{Busy: 0.9, MemoryMB: 70 << 10}, {Busy: max(0, 0.5-t.Hours()), MemoryMB: 500}}}
			},
			want: "a/gpu_idle/1", text: "1 of its 2 GPUs have done next to nothing for 10 min, with 500 MB of memory in use", before: 42 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage()
				c.part.end = time.Now().Add(9 * time.Hour)
				if c.want == "a/silent/1" || name == "late" {
					c.part.end = time.Now().Add(6 * time.Hour)
				}
				s.add("a", c.part)
				begin := time.Now()
				w := &watch.Watcher{Backend: s, File: filepath.Join(t.TempDir(), "w.json"), Gauge: func(context.Context, job.Status) (job.Gauge, error) {
					if c.gauge == nil {
						return job.Gauge{}, errors.ErrUnsupported
					}
					return c.gauge(time.Since(begin)), nil
				}}
				events := wait(t, w, "a")
				if kinds(events) != c.want || !strings.Contains(events[0].Text, c.text) || time.Since(begin) > c.before {
					t.Fatalf("after %v: %s %q; want %s %q before %v", time.Since(begin), kinds(events), events[0].Text, c.want, c.text, c.before)
				}
				heard(t, w, events)
				// Neither again in the same process nor in the next.
				for events[0].Kind != watch.Ended {
					w = &watch.Watcher{Backend: s, File: w.File, Gauge: w.Gauge}
					events = wait(t, w, "a")
					heard(t, w, events)
					if strings.HasPrefix(kinds(events), c.want[:len(c.want)-1]) {
						t.Fatalf("%s and %s", c.want, kinds(events))
					}
				}
			})
		})
	}
}

// A condition that ends and comes back is said again, but not for ever.
func TestComesAndGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.add("a", part{end: time.Now().Add(20 * time.Hour), prints: func(t time.Duration) string {
			return strings.Repeat("working\n", int(t/(2*time.Hour))+1) // with four times the longest silence it is patient in the end
		}})
		w := &watch.Watcher{Backend: s}
		var all []string
		for {
			events := wait(t, w, "a")
			heard(t, w, events)
			all = append(all, kinds(events))
			if events[0].Final() {
				break
			}
		}
		if got := strings.Join(all, " "); got != "a/silent/1 a/ended/1" && got != "a/silent/1 a/silent/2 a/ended/1" {
			t.Errorf("%s", got)
		}
	})
}

// Who says that events were heard does not wait for a Wait that runs, and that
// Wait's end does not say them again.
func TestHeardWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		now := time.Now()
		s.add("short", part{end: now.Add(time.Minute)})
		s.add("long", part{end: now.Add(time.Hour)})
		w := &watch.Watcher{Backend: s, File: filepath.Join(t.TempDir(), "watch.json")}
		first, err := w.Wait(t.Context(), []string{"short"})
		if err != nil || len(first) != 1 {
			t.Fatalf("got %+v, %v", first, err)
		}
		done := make(chan []watch.Event)
		go func() {
			events, _ := w.Wait(t.Context(), []string{"long"})
			done <- events
		}()
		time.Sleep(time.Minute)
		began := time.Now()
		if err := w.Heard(first...); err != nil || time.Since(began) > time.Second {
			t.Errorf("Heard took %s, %v", time.Since(began), err)
		}
		if events := <-done; len(events) != 1 || events[0].Job != "long" {
			t.Errorf("the second wait brought %+v", events)
		}
		again := &watch.Watcher{Backend: s, File: w.File}
		if events, err := again.Wait(t.Context(), []string{"short"}); err != nil || events != nil {
			t.Errorf("what was heard is said again: %+v, %v", events, err)
		}
	})
}
