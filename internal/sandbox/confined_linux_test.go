package sandbox_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/confine"
	"ml-intern/internal/sandbox"
	"ml-intern/internal/sandbox/sandboxtest"
)

// The test binary is the cell of its own commands.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == confine.ConfinedCommand {
		if err := confine.Main(); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func confined(t testing.TB) sandbox.Local {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, home := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "token"), []byte("hf_secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	cells := confine.New(confine.Rules{
		Writable: []string{dir}, Hidden: []string{home}, Protected: confine.ProjectPaths(dir), Temp: temp, Limits: confine.Reasonable(),
	}, self, confine.ConfinedCommand)
	t.Cleanup(func() { _ = cells.Close() })
	return sandbox.Local{Dir: dir, Env: []string{"PATH=" + os.Getenv("PATH")}, Cells: cells, Hidden: []string{temp}, Shown: []string{temp}}
}

// A confined command behaves as one that is not.
func TestConfinedExec(t *testing.T) {
	t.Parallel()
	sb := confined(t)
	for line, want := range map[string]sandbox.Output{
		"echo a; echo b >&2; echo c":             {Text: "a\nb\nc\n"},
		"kill -TERM $$":                          {Code: 143},
		"kill -KILL $$":                          {Code: 137},
		"exit 7":                                 {Code: 7},
		"cat; echo end":                          {Text: "end\n"},
		"sleep 600 & setsid sleep 600 & echo on": {Text: "on\n"},
		"set -o pipefail; false | true || echo caught":  {Text: "caught\n"},
		"no-such-program-anywhere 2>/dev/null; echo $?": {Text: "127\n"},
		"echo hi > /tmp/x; echo $TMPDIR; cat /tmp/x":    {Text: "/tmp\nhi\n"},
	} {
		out, err := sb.Exec(t.Context(), sandbox.Command{Line: line, Timeout: time.Minute})
		if err != nil || out.Text != want.Text || out.Code != want.Code || len(out.Notes) > 0 {
			t.Errorf("%s: got %+v, %v", line, out, err)
		}
	}
	if data, err := sb.ReadFile(t.Context(), "/tmp/x", 10); err != nil || string(data) != "hi\n" {
		t.Errorf("the command's /tmp/x reads %q, %v", data, err)
	}
	out, err := sandboxtest.Begun(t, sb)
	if err != nil || !out.TimedOut || out.Text != "begun\n" {
		t.Errorf("timeout: %+v, %v", out, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := sb.Exec(ctx, sandbox.Command{Line: "echo ready; sleep 600", Log: func(string) { cancel() }}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancel: %v", err)
	}
	if out, err := sb.Exec(t.Context(), sandbox.Command{Line: "echo x > /etc/ml-intern-test"}); err != nil || out.Code == 0 || !strings.Contains(strings.Join(out.Notes, ""), sb.Dir) {
		t.Errorf("a refusal is not explained: %+v, %v", out, err)
	}
}

// What confinement costs: compare the two.
func BenchmarkExec(b *testing.B) {
	for name, sb := range map[string]sandbox.Local{"confined": confined(b), "unconfined": {Dir: b.TempDir(), Env: []string{"PATH=" + os.Getenv("PATH")}}} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				if out, err := sb.Exec(b.Context(), sandbox.Command{Line: "true"}); err != nil || out.Code != 0 {
					b.Fatal(out, err)
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-median")
		})
	}
}
