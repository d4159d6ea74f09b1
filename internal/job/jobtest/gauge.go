package jobtest

import (
	"errors"
	"testing"

	"ml-intern/internal/job"
)

// gauges asks how the machines of jobs are: what is told makes sense, and of a
// job that does not run nothing is told.
func gauges(t *testing.T, h harness) {
	g, ok := h.Backend.(job.Gauger)
	if !ok {
		t.Skip("it does not know its machines")
	}
	s := h.submit(h.shell("echo begun; sleep 300"))
	h.untilLogged(s.ID, "begun")
	if now, err := h.Status(h.ctx, s.ID); err != nil || now.State != job.Running {
		t.Fatalf("the job is %+v, %v", now, err)
	}
	for range 2 {
		m, err := g.Gauge(h.ctx, s.ID)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("gauge: %v", err)
		}
		if m.DiskFree < 0 || m.DiskFree > m.DiskTotal {
			t.Errorf("the disk has %d of %d bytes free", m.DiskFree, m.DiskTotal)
		}
	}
	if _, err := g.Gauge(h.ctx, "nope"); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("of no job: %v", err)
	}
	if err := h.Cancel(h.ctx, s.ID); err != nil {
		t.Fatal(err)
	}
}

// peeks reads metrics files that a job still has open, each byte once.
func peeks(t *testing.T, h harness) {
	p, ok := h.Backend.(job.Peeker)
	if !ok {
		t.Skip("it cannot look into its jobs' files")
	}
	s := h.submit(h.shell(`cd "$OUTPUT_DIR" && mkdir "a b" && echo one >"a b/log.jsonl" && echo step,loss >metrics.csv && echo no >data.csv && echo two >>"a b/log.jsonl" && echo written; sleep 300`))
	h.untilLogged(s.ID, "written")
	known := map[string]job.Mark{}
	for round, want := range []map[string]string{{"a b/log.jsonl": "one\ntwo\n", "metrics.csv": "step,loss\n"}, {}} {
		pieces, err := p.Peek(h.ctx, s.ID, known)
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip("its jobs write here")
		}
		if err != nil || len(pieces) != len(want) {
			t.Errorf("round %d: %+v, %v", round, pieces, err)
		}
		for _, piece := range pieces {
			if want[piece.Name] != string(piece.Data) || !piece.Anew {
				t.Errorf("round %d: %+v", round, piece)
			}
			known[piece.Name] = piece.Mark
		}
	}
	if _, err := p.Peek(h.ctx, "nope", nil); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("of no job: %v", err)
	}
	if err := h.Cancel(h.ctx, s.ID); err != nil {
		t.Fatal(err)
	}
}
