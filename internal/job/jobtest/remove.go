package jobtest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ml-intern/internal/job"
)

// removes removes what a job has left, and asks for it afterwards.
func removes(t *testing.T, h harness) {
	r, ok := h.Backend.(job.Remover)
	if !ok {
		t.Skip("it removes nothing")
	}
	outside := t.TempDir()
	kept := filepath.Join(outside, "kept")
	if err := os.WriteFile(kept, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	spec := h.shell(`echo said; ln -s "` + outside + `" "$OUTPUT_DIR/link"; ln -s "` + outside + `" link || :; mkdir -p "$OUTPUT_DIR/d"; echo 7 >"$OUTPUT_DIR/d/score"; chmod 500 "$OUTPUT_DIR/d"; exit 3`)
	spec.Label = "to be removed"
	done := h.run(spec)
	h.want(done, job.Failed, 3)
	h.logs(done.ID, 0)
	collected := h.Collect(h.ctx, done.ID) // the link is named as left there
	_, err := os.Stat(filepath.Join(done.OutputDir, "d", "score"))
	had := err == nil
	if bytes, err := r.Leftover(h.ctx, done.ID); err != nil || bytes <= 0 {
		t.Errorf("it has left %d bytes, %v", bytes, err)
	}
	gate, open := h.gate()
	other := h.submit(h.shell("echo here; " + gate + "; echo still"))
	if err := r.Remove(h.ctx, other.ID); err == nil {
		t.Error("what a running job needs was removed")
	}
	for range 2 {
		if err := r.Remove(h.ctx, done.ID); err != nil {
			t.Fatalf("remove: %v", err)
		}
	}
	if data, err := os.ReadFile(kept); err != nil || string(data) != "mine" {
		t.Errorf("behind a link there is now %q, %v", data, err)
	}
	if _, err := os.Stat(filepath.Join(done.OutputDir, "d", "score")); had && err != nil {
		t.Errorf("results that were here are gone: %v (collect said %v)", err, collected)
	}
	_ = os.Chmod(filepath.Join(done.OutputDir, "d"), 0o700) // for the test's own cleaning; it may be elsewhere
	h.removed(done)
	open()
	h.want(h.wait(other.ID), job.Succeeded, 0)
	if text := h.text(other.ID); text != "here\nstill\n" {
		t.Errorf("the other job said %q", text)
	}
	for _, id := range []string{"nope", "../jobs", ""} {
		if err := r.Remove(h.ctx, id); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("Remove(%q): %v", id, err)
		}
	}
}

// removed asks for a job whose leavings were removed: it has ended as it has,
// its label is taken, and nobody says that it was lost.
func (h harness) removed(before job.Status) {
	h.Helper()
	after, err := h.Status(h.ctx, before.ID)
	if err != nil || after.Removed.IsZero() || after.Gone() == nil {
		h.Errorf("afterwards it is %+v, %v", after, err)
	}
	after.Removed = before.Removed
	if after != before {
		h.Errorf("it was %+v and is %+v", before, after)
	}
	spec := h.shell("echo again")
	spec.Label = before.Label
	if again := h.submit(spec); again.ID != before.ID || again.State != before.State {
		h.Errorf("its label gives %+v", again)
	}
	for line, err := range h.Logs(h.ctx, before.ID, 0) {
		if !errors.Is(err, job.ErrRemoved) {
			h.Errorf("its log says %q, %v", line.Text, err)
		}
	}
	if err := h.Collect(h.ctx, before.ID); !errors.Is(err, job.ErrRemoved) {
		h.Errorf("its results: %v", err)
	}
	if left, err := h.Backend.(job.Remover).Leftover(h.ctx, before.ID); err != nil || left != 0 {
		h.Errorf("there are %d bytes left, %v", left, err)
	}
}
