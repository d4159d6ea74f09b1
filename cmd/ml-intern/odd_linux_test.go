package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
)

// tree is the files of a folder with what they hold.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		text := "folder"
		if d.Type().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(data)
		}
		all[rel] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Plan mode only reads, whatever a line is wrapped in, and whatever rules and
// hooks say.
func TestPlanWritesNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t, program(t), map[string]string{
		"home/config/config.yaml": `rules:
  - {verdict: allow, tool: "*"}
  - {verdict: allow, effect: executes}
  - {verdict: allow, effect: writes}
  - {verdict: allow, path: "**"}
  - {verdict: allow, command: git status}
  - {verdict: allow, command: xargs}
  - {verdict: allow, command: env}
hooks:
  - {event: PreToolUse, command: "echo '{\"decision\":\"allow\"}'"}
`,
		".gitconfig": "[alias]\n\tst = !touch made\n\tstatus = !touch made\n[core]\n\tfsmonitor = touch made\n\tpager = touch made\n",
		"w/kept":     "kept",
	})
	if out, err := exec.Command("git", "-C", filepath.Join(l.dir, "w"), "init", "-q").CombinedOutput(); err != nil {
		t.Skipf("git is missing: %v: %s", err, out)
	}
	lines := []string{
		"sh -c 'touch made'", `bash -lc "echo x > made"`, "echo made | xargs touch", "printf 'made\\0' | xargs -0 -n1 sh -c 'touch $0'", "env touch made",
		"env -S 'touch made'", "env -i PATH=$PATH sh -c 'touch made'", `python3 -c "open('made','w')"`, "python3 - <<'E'\nopen('made','w')\nE", "git st", "git -c alias.x='!touch made' x",
		"git status", "git -c core.pager='touch made' log", "find . -maxdepth 0 -exec touch made ;", "awk 'BEGIN{print 1 > \"made\"}'", "sed -n 'w made' kept", "ls > made", "cat kept | tee made",
		"$(echo touch) made", "eval touch made", "nohup timeout 5 touch made", "true; : > kept", "cd /tmp && cd - && rm kept", "perl -e 'unlink q(kept)'", "dd if=/dev/null of=kept", "ln -s kept made", "mkdir -p made", "cp kept made", "mv kept made",
	}
	var calls []llmtest.TurnCall
	for _, line := range lines {
		calls = append(calls, use("bash", args{"command": line}))
	}
	calls = append(calls, use("write", args{"path": "made", "content": "x"}), use("edit", args{"path": "kept", "edits": []any{args{"old": "kept", "new": "gone"}}}),
		use("job_submit", args{"name": "x", "command": []string{"touch", "made"}}), use("write", args{"path": "../made", "content": "x"}))
	before, home := tree(t, filepath.Join(l.dir, "w")), []string{}
	for path := range tree(t, l.dir) {
		if !strings.HasPrefix(path, "home") {
			home = append(home, path)
		}
	}
	s := llmtest.NewServer(llmtest.Turn{Calls: calls}, llmtest.Turn{Text: "done"})
	defer s.Close()
	if out, err := l.agent(s, "--approve", "plan", "plan it").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	seen := s.Seen()
	refused := 0
	for id, text := range toldTo(t, seen[len(seen)-1].Body) {
		if strings.Contains(text, "in plan mode only reading is allowed") {
			refused++
		} else {
			t.Errorf("%s was told %.300s", id, text)
		}
	}
	if refused != len(calls) {
		t.Errorf("%d of %d calls were refused", refused, len(calls))
	}
	after := tree(t, filepath.Join(l.dir, "w"))
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("the workspace changed: %v, was %v", after, before)
	}
	for path := range tree(t, l.dir) {
		if !strings.HasPrefix(path, "home") && !slices.Contains(home, path) && !strings.HasPrefix(path, ".cache") {
			t.Errorf("%s was made", path)
		}
	}
}

// A hook that floods with 100 MB, at any event and on either stream, costs
// bounded memory and time, and no more of the log or of a request than its bound.
func TestHookFloods(t *testing.T) {
	t.Parallel()
	exe := program(t)
	const flood = "head -c 100000000 /dev/zero | tr '\\\\0' x"
	for name, c := range map[string]struct {
		event, command string
		code           int
		told           string
	}{
		"before a tool":        {"PreToolUse", flood, 0, "printed too much"},
		"a no before a tool":   {"PreToolUse", flood + " >&2; exit 2", 0, "a hook"},
		"after a tool":         {"PostToolUse", flood, 0, ""},
		"a no after a tool":    {"PostToolUse", flood + " >&2; exit 2", 0, ""},
		"at the prompt":        {"UserPromptSubmit", flood, 0, ""},
		"a no at the prompt":   {"UserPromptSubmit", flood + " >&2; exit 2", 0, ""},
		"at the stop":          {"Stop", flood, 0, ""},
		"a no at the stop":     {"Stop", flood + " >&2; exit 2", 0, ""},
		"both streams at once": {"PreToolUse", flood + " >&2 & " + flood + "; wait; exit 2", 0, "a hook"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, exe, map[string]string{"home/config/config.yaml": fmt.Sprintf("hooks:\n  - {event: %s, command: \"%s\"}\n", c.event, c.command)})
			s := llmtest.NewServerFunc(func(n int) (llmtest.Turn, bool) {
				if n == 0 {
					return llmtest.Turn{Calls: []llmtest.TurnCall{use("bash", args{"command": "touch made"})}}, true
				}
				return llmtest.Turn{Text: "done"}, true
			})
			defer s.Close()
			cmd := l.agent(s, "go")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			peak := make(chan float64, 1)
			go func() { peak <- peakMemory(cmd.Process.Pid) }()
			_ = cmd.Wait() // the exit code says it
			if mb := <-peak; mb > 200 {
				t.Errorf("it took %.0f MB", mb)
			}
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d, want %d: %.2000s", code, c.code, out.String())
			}
			if out.Len() > 1<<20 {
				t.Errorf("it printed %d bytes", out.Len())
			}
			words := ""
			for _, r := range s.Seen() {
				words += string(r.Body)
				if len(r.Body) > 1<<20 {
					t.Errorf("a request has %d bytes", len(r.Body))
				}
			}
			if !strings.Contains(words, c.told) {
				t.Errorf("the model is not told %q", c.told)
			}
			size := 0
			for _, text := range tree(t, filepath.Join(l.dir, "home", "state")) {
				size += len(text)
			}
			if size > 8<<20 {
				t.Errorf("the state has %d bytes", size)
			}
		})
	}
}

// A rewind that is killed at any moment leaves every file as it was before or
// as it was after, also when the program is started then; given again it is
// finished, and what a person made is untouched.
func TestRewindKilled(t *testing.T) {
	t.Parallel()
	const files = 300
	exe := buildProgram(t)
	l := newLab(t, exe, nil)
	w := filepath.Join(l.dir, "w")
	content := func(i int, when string) string { return strings.Repeat(fmt.Sprintf("%s %d\n", when, i), 2000) }
	name := func(i int) string { return filepath.Join(fmt.Sprintf("d%d", i%7), fmt.Sprintf("f%d", i)) }
	for i := range files {
		path := filepath.Join(w, name(i))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content(i, "before")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A third is changed, a third deleted, and as many are made.
	script := fmt.Sprintf(`import os
for i in range(%d):
    p = "d%%d/f%%d" %% (i %% 7, i)
    if i %% 3 == 0:
        open(p, "w").write(("after %%d\n" %% i) * 2000)
    elif i %% 3 == 1:
        os.remove(p)
    else:
        os.makedirs("new%%d" %% (i %% 5), exist_ok=True)
        open("new%%d/n%%d" %% (i %% 5, i), "w").write(("after %%d\n" %% i) * 2000)
`, files)
	l.play(do("bash", args{"command": "python3 - <<'E'\n" + script + "E", "timeout_s": 60}))
	after := tree(t, w)
	before := map[string]string{}
	for i := range files {
		before[name(i)] = content(i, "before")
	}
	if len(after) == len(before) || after[name(0)] != content(0, "after") {
		t.Fatal("the turn did not do its work")
	}
	var sessions []session.Summary
	out, err := l.command("sessions", "ls", "--output", "json").Output()
	if err != nil || json.Unmarshal(out, &sessions) != nil || len(sessions) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	id := sessions[0].ID
	mine := filepath.Join(w, "mine")
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	whole := func(round int) (old int) {
		for path, text := range tree(t, w) {
			was, wasThere := before[path]
			is, isThere := after[path]
			switch {
			case text == "folder" || strings.HasPrefix(path, ".ml-intern-rewind") || path == "mine" && text == "mine":
			case wasThere && text == was:
				if !isThere || text != is {
					old++
				}
			case isThere && text == is:
			default:
				t.Errorf("round %d: %s is neither as before nor as after: %d bytes", round, path, len(text))
			}
		}
		for path := range before { // one that is in both is never missing
			if _, both := after[path]; both {
				if _, err := os.Stat(filepath.Join(w, path)); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			}
		}
		return old
	}
	start := time.Now()
	fork := []string{"sessions", "fork", id, "--at", "1", "--yes", "--files"}
	if out, err := l.command(append(fork, "--dry-run")...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	look := time.Since(start)
	random := rand.New(rand.NewPCG(7, 7))
	cut, middle := 0, 0
	for round := 0; round < 9 || middle == 0 && round < 25; round++ {
		var signal chan struct{} // when a file of the middle is back; else any moment
		wait := look/2 + time.Duration(random.Int64N(int64(2*look)+1))
		if round%3 > 0 {
			signal, wait = make(chan struct{}), time.Duration(random.Int64N(int64(2*time.Millisecond)))
			back := filepath.Join(w, name(3*random.IntN(files/3)+1))
			go func() {
				defer close(signal)
				for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
					if _, err := os.Stat(back); err == nil {
						return
					}
				}
			}()
		}
		ended, _ := l.killed(signal, wait, fork...)
		old := whole(round)
		if !ended {
			cut++
		}
		if old > 0 && old < 2*files/3 {
			middle++
		}
		if round%2 == 1 { // the session goes on
			s := llmtest.NewServer(llmtest.Turn{Text: "on"})
			if out, err := l.agent(s, "--resume", id, "and now?").CombinedOutput(); err != nil {
				t.Fatalf("round %d: %v: %s", round, err, out)
			}
			s.Close()
			if whole(round) != old {
				t.Errorf("round %d: a start changed files", round)
			}
		}
		if out, err := l.command(fork...).CombinedOutput(); err != nil {
			t.Fatalf("round %d: finish: %v: %s", round, err, out)
		}
		got := tree(t, w)
		for path, text := range before {
			if got[path] != text {
				t.Fatalf("round %d: after it was finished %s has %d bytes", round, path, len(got[path]))
			}
		}
		for path, text := range got {
			if _, ok := before[path]; !ok && text != "folder" && path != "mine" {
				t.Fatalf("round %d: after it was finished there is %s", round, path)
			}
		}
		// And the way forth: what was before the first file was brought back.
		l.forth(id)
		whole(round)
		if got := tree(t, w); got[name(0)] != after[name(0)] || got["mine"] != "mine" {
			t.Fatalf("round %d: the way forth leads elsewhere", round)
		}
	}
	if cut == 0 {
		t.Error("it was never killed")
	}
	t.Logf("killed %d times, %d with files of both kinds", cut, middle)
}

// forth brings back the files as the first turn left them.
func (l *lab) forth(id string) {
	l.Helper()
	out, err := l.command("sessions", "show", id).Output()
	if err != nil {
		l.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		seq, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(rest, "before they were brought back") {
			if out, err := l.command("sessions", "fork", id, "--at", seq, "--yes", "--files").CombinedOutput(); err != nil {
				l.Fatalf("forth to %s: %v: %s", seq, err, out)
			}
			return
		}
	}
	l.Fatalf("no way forth is named: %s", out)
}
