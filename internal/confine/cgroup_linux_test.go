package confine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Where this process may make a cgroup, one holds all processes of a command
// together, and is gone with its cell.
func TestGroup(t *testing.T) {
	g, err := newGroup(Limits{})
	if err != nil {
		t.Skip(err)
	}
	base := filepath.Dir(g.dir)
	g.end()
	for _, form := range []struct {
		name string
		off  []string
	}{{"named", nil}, {"bare", []string{layerNamespaces}}} {
		t.Run(form.name, func(t *testing.T) {
			if form.off != nil && landlockVersion() < landlockBare {
				t.Skip("Landlock is too old")
			}
			dir := t.TempDir()
			c := cells(t, Rules{Writable: []string{dir}, Temp: t.TempDir(), Limits: Limits{Memory: 64 << 20, Processes: 200}}, form.off...)
			c.said = true
			// Each process has less than a process may; together they have more.
			text, code := sh(t, c, dir, `for i in 1 2 3 4; do (dd if=/dev/zero bs=40000000 count=1 2>/dev/null | (sleep 3; cat >/dev/null)) & done; wait; echo ended`)
			if !strings.Contains(text, "ended") || !strings.Contains(text, outOfMemory) {
				t.Errorf("160 MB of 60: %q, exit %d", text, code)
			}
			text, code = sh(t, c, dir, `n=0; while [ $n -lt 400 ]; do sleep 60 & n=$((n+1)); done; echo ESCAPED`)
			if strings.Contains(text, "ESCAPED") {
				t.Errorf("400 processes of 200: %q, exit %d", text, code)
			}
			if text, code := sh(t, c, dir, "echo on"); text != "on\n" || code != 0 {
				t.Errorf("the next command: %q, exit %d", text, code)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
	if left, _ := filepath.Glob(filepath.Join(base, groupPrefix+"*")); len(left) > 0 {
		procs, _ := os.ReadFile(filepath.Join(left[0], "cgroup.procs"))
		t.Errorf("left: %v, with %q", left, procs)
	}
}
