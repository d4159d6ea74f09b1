//go:build unix

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Nothing in the demo is faked: break one part of it and it must fail, say
// what broke, and publish nothing that is wrong.
func TestDemoFailsWhenItsPartsDo(t *testing.T) {
	exe := program(t)
	tests := []struct {
		name   string
		broken string // shell, run before each Python script; $script is its path
		says   string
		url    bool // something may have been published
	}{
		{"the training script fails", `case "$script" in */snapshot*|*/script*|*/jobs/*) echo "ValueError: broken on purpose" >&2; exit 1;; esac`, "broken on purpose", false},
		{"the smoke test fails", `case "$*" in *--smoke*) echo "ValueError: broken on purpose" >&2; exit 1;; esac`, "broken on purpose", false},
		{"the training script writes no metrics", `case "$script" in */jobs/*) exit 0;; esac`, "metrics", false},
		{"the downloaded model was changed", `case "$script" in downloaded/*) for f in downloaded/*/model.json; do sed -i 's/Adelie/Gentoo/g' "$f"; done;; esac`, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDemo(t, exe)
			python := filepath.Join(d.dir, "bin", "python3")
			whole, err := os.ReadFile(python)
			if err != nil {
				t.Fatal(err)
			}
			script := strings.Replace(string(whole), "\nexec", "\nscript=$1\n"+tt.broken+"\nexec", 1)
			if err := os.WriteFile(python, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			out, err := d.command("demo").CombinedOutput()
			e, ok := errors.AsType[*exec.ExitError](err)
			if !ok || e.ExitCode() != 1 {
				t.Fatalf("got %v, want exit 1\n%s", err, out)
			}
			if !strings.Contains(string(out), tt.says) {
				t.Errorf("it does not say %q:\n%s", tt.says, out)
			}
			if !tt.url && strings.Contains(string(out), "Published") {
				t.Errorf("it published something:\n%s", out)
			}
		})
	}
}
