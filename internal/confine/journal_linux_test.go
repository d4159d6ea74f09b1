package confine

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// killedEnv has this test's program run a command until it is killed.
const killedEnv = "ML_INTERN_TEST_KILLED"

// rulesOf are those of a workspace with a journal.
func rulesOf(base string) Rules {
	ws := filepath.Join(base, "ws")
	return Rules{
		Writable: []string{ws}, Protected: ProjectPaths(ws), Trees: []string{ws}, Temp: filepath.Join(base, "tmp"),
		Aside: filepath.Join(base, "aside"), Journal: filepath.Join(base, "unfinished"),
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// plant makes a repository whose hook git would run, and start files, and stays.
const plant = `mkdir -p new/.git/hooks new/.git/objects new/.git/refs; echo ref: refs/heads/main > new/.git/HEAD
printf '[core]\n\tbare = false\n\tfsmonitor = ./evil\n' > new/.git/config; echo evil > new/.git/hooks/pre-commit; echo evil > .envrc
echo evil >> .git/hooks/update.sample; touch planted; sleep 600`

// TestMakesAndIsKilled is the program of TestRecover.
func TestMakesAndIsKilled(t *testing.T) {
	base := os.Getenv(killedEnv)
	if base == "" {
		t.Skip("TestRecover runs it")
	}
	off := strings.Fields(os.Getenv(killedEnv + "_OFF"))
	c := cells(t, rulesOf(base), off...)
	sh(t, c, filepath.Join(base, "ws"), plant)
}

// A program is killed while its command runs, and another one puts right what that
// left, once; what a person has changed since is theirs.
func TestRecover(t *testing.T) {
	t.Parallel()
	for _, form := range []struct{ name, off string }{{"named", ""}, {"bare", layerNamespaces}} {
		t.Run(form.name, func(t *testing.T) {
			t.Parallel()
			if form.off != "" && landlockVersion() < landlockBare {
				t.Skip("Landlock is too old")
			}
			base := t.TempDir()
			ws := filepath.Join(base, "ws")
			for name, text := range map[string]string{"ws/.git/hooks/update.sample": "# sample\n", "ws/.git/config": "[core]\n", "ws/.git/HEAD": "x", "ws/.git/objects/x": "", "ws/.git/refs/x": "", "tmp/x": ""} {
				put(t, filepath.Join(base, name), text)
			}
			killed := exec.Command(os.Args[0], "-test.run=^TestMakesAndIsKilled$", "-test.v")
			killed.Env = append(os.Environ(), killedEnv+"="+base, killedEnv+"_OFF="+form.off)
			if err := killed.Start(); err != nil {
				t.Fatal(err)
			}
			for _, err := os.Stat(filepath.Join(ws, "planted")); err != nil; _, err = os.Stat(filepath.Join(ws, "planted")) {
				time.Sleep(20 * time.Millisecond)
			}
			if notes := Recover(filepath.Join(base, "unfinished")); len(notes) != 0 {
				t.Errorf("while it lives: %q", notes)
			}
			if err := killed.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = killed.Wait() // killed
			is := func(path, want string) {
				t.Helper()
				if data, err := os.ReadFile(filepath.Join(ws, path)); string(data) != want || want == "" && !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s is %q, %v; want %q", path, data, err, want)
				}
			}
			is("new/.git/hooks/pre-commit", "evil\n")
			notes := Recover(filepath.Join(base, "unfinished"))
			is("new/.git/hooks/pre-commit", "")
			is("new/.git/config", "[core]\n\tbare = false\n")
			is("new/.git/HEAD", "ref: refs/heads/main\n")
			is(".envrc", "")
			is(".git/hooks/update.sample", "# sample\n")
			if all := strings.Join(notes, "\n"); !strings.Contains(all, "pre-commit") && !strings.Contains(all, "new/.git/hooks lost what is no sample") || !strings.Contains(all, ".envrc was moved to") {
				t.Errorf("it said %q", notes)
			}
			if notes := Recover(filepath.Join(base, "unfinished")); len(notes) != 0 {
				t.Errorf("the second time: %q", notes)
			}
		})
	}
}

// What is changed long after the program was killed is a person's, and a journal
// that is not whole says what to look at.
func TestRecoverLeavesThePersons(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	rules := rulesOf(base)
	ws := rules.Writable[0]
	put(t, filepath.Join(ws, ".git/config"), "[core]\n")
	if _, err := Watch(&rules); err != nil { // and is killed: its restore is not called
		t.Fatal(err)
	}
	journals, _ := filepath.Glob(filepath.Join(rules.Journal, "*.json"))
	if len(journals) != 1 {
		t.Fatalf("journals: %q", journals)
	}
	text, err := os.ReadFile(journals[0])
	if err != nil {
		t.Fatal(err)
	}
	// Its process is dead: nobody has the lock of these.
	long := time.Now().Add(-time.Hour)
	old := filepath.Join(base, "old", "a.json")
	put(t, old, string(text))
	put(t, filepath.Join(base, "old", "b.json"), "{half")
	put(t, filepath.Join(base, "old", "c.new"), "")
	for _, name := range []string{"a.json", "b.json", "c.new"} {
		if err := os.Chtimes(filepath.Join(base, "old", name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(ws, ".envrc"), "mine")
	put(t, filepath.Join(ws, "mine/.git/hooks/pre-commit"), "mine")
	put(t, filepath.Join(ws, "mine/.git/HEAD"), "x")
	notes := Recover(filepath.Join(base, "old"))
	if len(notes) != 1 || !strings.Contains(notes[0], "cannot be told") {
		t.Errorf("it said %q", notes)
	}
	for _, path := range []string{".envrc", "mine/.git/hooks/pre-commit"} {
		if data, err := os.ReadFile(filepath.Join(ws, path)); err != nil || string(data) != "mine" {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(base, "old")); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if notes := Recover(filepath.Join(base, "none")); len(notes) != 0 {
		t.Errorf("of nothing: %q", notes)
	}
}

// When a command has ended nothing is left of its journal.
func TestJournalEnds(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	rules := rulesOf(base)
	put(t, filepath.Join(rules.Writable[0], "x"), "")
	put(t, filepath.Join(base, "tmp", "x"), "")
	c := cells(t, rules)
	if text, code := sh(t, c, rules.Writable[0], "sleep 0.3; echo on"); text != "on\n" || code != 0 {
		t.Errorf("%q, %d", text, code)
	}
	if left, err := os.ReadDir(rules.Journal); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if text, _ := sh(t, c, rules.Writable[0], "ls "+rules.Journal); slices.Contains(strings.Fields(text), "json") {
		t.Errorf("a command sees %q", text)
	}
}
