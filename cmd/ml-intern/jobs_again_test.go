//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Results of a job elsewhere that are gone from here, as after a rewind, are
// brought again before the copy there is removed.
func TestResultsAreBroughtAgain(t *testing.T) {
	t.Parallel()
	far, programs := t.TempDir(), t.TempDir()
	ssh, err := filepath.Abs("../../internal/job/ssh/testdata/ssh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(ssh, filepath.Join(programs, "ssh")); err != nil {
		t.Fatal(err)
	}
	l := newLab(t, buildProgram(t), map[string]string{
		"home/config/config.yaml": fmt.Sprintf("computes:\n  box: {type: ssh, host: far, options: [-F, %q]}\n", far),
	})
	l.env = []string{"PATH=" + programs + string(os.PathListSeparator) + os.Getenv("PATH")}
	l.play(do("job_submit", args{"name": "x", "backend": "box", "command": []string{"sh", "-c", "echo weights >$OUTPUT_DIR/model.bin"}, "outputs": []string{"model.bin"}}), l.onJob("job_wait"))
	id := l.jobs[0]
	results := filepath.Join(l.dir, "w", "runs")
	want := func(args ...string) {
		t.Helper()
		if err := os.RemoveAll(results); err != nil {
			t.Fatal(err)
		}
		out, err := l.command(args...).CombinedOutput()
		data, readErr := os.ReadFile(filepath.Join(results, id, "model.bin"))
		if err != nil || string(data) != "weights\n" {
			t.Errorf("%s: %v, %v: %s", strings.Join(args, " "), err, readErr, out)
		}
	}
	want("jobs", "wait", id)
	want("jobs", "rm", "--yes", id)
	if left, err := filepath.Glob(filepath.Join(far, ".cache", "ml-intern", "jobs", id)); err != nil || len(left) > 0 {
		t.Errorf("%v, %v is still there", err, left)
	}
}
