//go:build unix

package shell_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ml-intern/internal/approval/shell"
)

// stubs are programs that do nothing but note that they ran.
var stubs = []string{"alpha", "beta", "gamma", "delta"}

// drawScript makes a line of stubs in whatever a shell and its wrappers have.
func drawScript(t *rapid.T, depth int) string {
	name := rapid.SampledFrom(stubs).Draw(t, "program")
	plain := name + rapid.SampledFrom([]string{"", " x", " -r 'a b'", ` "$HOME"`, " *", " > out", " 2>&1 | cat", " < /dev/null", ` "$(echo hi)"`}).Draw(t, "arguments")
	if depth == 0 {
		spelled := []string{plain, `\` + plain, `"` + name + `"`, name[:1] + `''` + name[1:], name[:2] + "\\\n" + name[2:], "$'" + name + "'", "X=1 " + plain, "X=" + name + "; $X", "command " + plain}
		return rapid.SampledFrom(spelled).Draw(t, "spelling")
	}
	in := drawScript(t, depth-1)
	q := quote(in)
	forms := []string{
		plain + " && " + in, plain + "; " + in, in + " | " + plain, "! " + in + "\n" + plain, "(" + in + ")", "{ " + in + "\n}", "if " + in + "\nthen " + plain + "; fi",
		"for i in 1 2; do " + in + "\ndone", "case x in x) " + in + "\n;; esac", "f() { " + in + "\n}; f", "function g { " + in + "\n}; g", "echo $(" + in + "\n)", "cat <(" + in + "\n)",
		`echo "a $(` + in + "\n) b\"", "while " + in + "\ndo break; done", "[[ -n $(" + in + "\n) ]]", "echo $(( 1 + $(" + in + "\necho 1) ))", ": ${Y:-$(" + in + "\n)}",
		"bash -c " + q, "sh -c " + q, "bash -ec " + q, "bash -o pipefail -c " + q, "bash <<'E'\n" + in + "\nE", "bash <<< " + q, "bash -s x <<'E'\n" + in + "\nE", "cat <<E\n$(" + in + "\n)\nE",
		"env bash -c " + q, "env -u Z -i PATH=\"$PATH\" bash -c " + q, "nohup bash -c " + q, "nice -n 1 bash -c " + q, "timeout -k 1 5 bash -c " + q, "time bash -c " + q,
		"echo x | xargs -n 1 bash -c " + q, "echo x | xargs -I@ bash -c " + q, "find . -maxdepth 0 -exec bash -c " + q + ` \;`, "eval " + q, "trap " + q + " EXIT", "exec bash -c " + q,
		"shopt -s expand_aliases\nalias zz=" + q + "\nzz", "(exec bash -c " + q + ")", "builtin eval " + q, "env -S 'bash -c' " + q, "stdbuf -oL bash -c " + q, "setsid -w bash -c " + q,
		"echo \\\n" + name + "; " + in, "# " + name + "\n" + in, "echo '" + name + "'; " + in, "cat <<'E'\n$(" + name + ")\nE\n" + in,
	}
	return rapid.SampledFrom(forms).Draw(t, "form")
}

// makeStubs makes the programs and a folder to work in, and returns the log.
func makeStubs(t *rapid.T, dir string) string {
	log := filepath.Join(dir, "ran")
	if err := os.MkdirAll(filepath.Join(dir, "work"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range stubs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho "+name+" >> '"+log+"'\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

// Whatever bash runs was seen, or the line is called unknown.
func TestParseSeesWhatBashRuns(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	root, runs := t.TempDir(), 0
	seen, known := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		runs++ // each has its own log: what one left behind may still run
		dir := filepath.Join(root, strconv.Itoa(runs))
		log := makeStubs(t, dir)
		line := drawScript(t, rapid.IntRange(0, 3).Draw(t, "depth"))
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		c := exec.CommandContext(ctx, bash, "--norc", "--noprofile", "-c", line)
		work := filepath.Join(dir, "work")
		c.Dir, c.Env = work, []string{"PATH=" + dir + ":/usr/bin:/bin", "HOME=" + work}
		_ = c.Run() // how it ends is its own affair
		ran, _ := os.ReadFile(log)
		read := shell.Parse(line)
		for name := range strings.FieldsSeq(string(ran)) {
			seen++
			sees := slices.ContainsFunc(read.Commands, func(c shell.Command) bool { return c.Program() == name })
			if !sees && len(read.Unknown) == 0 {
				t.Fatalf("bash ran %s, which was not seen in %q", name, line)
			}
			if len(read.Unknown) == 0 {
				known++
			}
		}
	})
	if !testing.Short() && seen < 50 || known < seen/3 {
		t.Errorf("%d programs ran, %d of them in lines that were understood: the test shows nothing", seen, known)
	}
}
