package local_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/confine"
	"ml-intern/internal/job"
)

// Where this process may make a cgroup, a job is alone in one: its processes have
// their memory and their number together, and what it took too much of is its own.
func TestJobGroup(t *testing.T) {
	t.Parallel()
	b, dir := confinedBackend(t, nil)
	rules := b.Rules
	b.Rules = func(dir string) (*confine.Rules, error) {
		r, err := rules(dir)
		r.Limits = confine.Limits{Memory: 100 << 20, Processes: 200}
		return r, err
	}
	for name, text := range map[string]string{
		"where.py": `print(open("/proc/self/cgroup").read())`,
		"memory.py": `import os, time
for _ in range(4): # each has less than a process may
    if os.fork() == 0: b = bytearray(50 << 20); time.sleep(5); os._exit(0)
failed = [s for s in (os.wait()[1] for _ in range(4)) if s]
print("ended", failed); raise SystemExit(3 if failed else 0)`,
		"many.py": `import os, time
n = 0
try:
    while n < 400:
        if os.fork() == 0: time.sleep(20); os._exit(0)
        n += 1
except OSError as e: print("refused at", n > 100, e)
print("ESCAPED" if n == 400 else "held", flush=True)`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, text := ran(t, b, job.Spec{Dir: dir, Script: "where.py"}); !strings.Contains(text, "/ml-intern-") {
		t.Skip("no cgroup can be made here: a job is in ", strings.Join(strings.Fields(text), " "))
	}
	if ended, text := ran(t, b, job.Spec{Dir: dir, Script: "memory.py"}); ended.State != job.Failed {
		t.Errorf("200 MB of 100: %s, %s\n%s", ended.State, ended.Reason, text)
	}
	if ended, text := ran(t, b, job.Spec{Dir: dir, Script: "many.py"}); !strings.Contains(text, "held") || strings.Contains(text, "ESCAPED") {
		t.Errorf("400 processes of 200: %s, %s\n%s", ended.State, ended.Reason, text)
	}
	if ended, text := ran(t, b, job.Spec{Dir: dir, Script: "where.py"}); ended.State != job.Succeeded {
		t.Errorf("the next job: %s, %s\n%s", ended.State, ended.Reason, text)
	}
}
