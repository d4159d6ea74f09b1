//go:build unix

package watch_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/ssh"
	"ml-intern/internal/job/watch"
)

// A desert is a stage far away, whose jobs have a metrics file there.
type desert struct {
	*stage
	writes func(t time.Duration) string // what the file has after so long
	peeks  int
}

func (d *desert) Peek(_ context.Context, id string, known map[string]job.Mark) ([]job.Piece, error) {
	d.peeks++
	at, text := known["metrics.csv"].Size, d.writes(time.Since(d.parts[id].begin))
	if int(at) == len(text) {
		return nil, nil
	}
	return []job.Piece{{Name: "metrics.csv", Anew: at == 0, Data: []byte(text[at:]), Mark: job.Mark{Size: int64(len(text))}}}, nil
}

// Metrics that a job far away writes to a file alone are watched as those here:
// they are signs of life, and NaN is noticed.
func TestFarMetricsAreWatched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &desert{stage: newStage(), writes: func(at time.Duration) string {
			text := "step,loss\n" + strings.Repeat("1,0.5\n2,0.4\n", int(at/time.Minute))
			if at > time.Hour {
				text += "3,nan\n"
			}
			return text
		}}
		d.add("a", part{dir: filepath.Join(t.TempDir(), "none")})
		w := &watch.Watcher{Backend: d}
		began := time.Now()
		events, err := w.Wait(t.Context(), []string{"a"})
		if err != nil || len(events) != 1 || events[0].Kind != watch.NotFinite || time.Since(began) < time.Hour || time.Since(began) > time.Hour+2*time.Minute {
			t.Errorf("after %v: %+v, %v", time.Since(began), events, err)
		}
		if d.peeks > 4*60 {
			t.Errorf("asked %d times in an hour", d.peeks)
		}
	})
}

// The same file is read while the job runs and when its results are here, and no
// value twice.
func TestFarMetrics(t *testing.T) {
	t.Parallel()
	program, err := filepath.Abs("../ssh/testdata/ssh")
	if err != nil {
		t.Fatal(err)
	}
	home, dir := t.TempDir(), t.TempDir()
	b := &ssh.Backend{Host: "far", Program: program, Options: []string{"-F", home}, Dir: filepath.Join(t.TempDir(), "state")}
	script := `printf 'step,loss\n1,0.5\n' >"$OUTPUT_DIR/metrics.csv"; echo "{'lr': 1}"; echo begun; while [ ! -e "$0" ]; do sleep 0.05; done; echo 2,0.25 >>"$OUTPUT_DIR/metrics.csv"`
	gate := filepath.Join(dir, "go")
	status, err := b.Submit(t.Context(), job.Spec{Name: "train", Dir: dir, Command: []string{"sh", "-c", script, gate}})
	if err != nil {
		t.Fatal(err)
	}
	m := &watch.Metrics{Backend: b}
	want := func(n int, last float64) {
		t.Helper()
		r, err := m.Read(t.Context(), status.ID)
		if err != nil || r.Missing != nil {
			t.Fatalf("%v, %v", err, r.Missing)
		}
		if loss, lr := r.Set.Get("loss"), r.Set.Get("lr"); loss == nil || loss.N != n || loss.Last.Value != last || lr == nil || lr.N != 1 {
			t.Errorf("want %d values of loss:\n%s", n, r)
		}
	}
	awaitText(t, b, status.ID, "begun")
	want(1, 0.5)
	want(1, 0.5)
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := job.Wait(t.Context(), b, []string{status.ID}, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.Collect(t.Context(), status.ID); err != nil {
		t.Fatal(err)
	}
	want(2, 0.25)
	want(2, 0.25)
}
