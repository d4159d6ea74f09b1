package trace_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/secret"
	"ml-intern/internal/session"
	"ml-intern/internal/trace"
)

// The libraries that people have read what is written: traces from the Hub,
// and rows to train on. In `make test-interop`, with datasets and TRL's chat
// templates; else as far as they are installed.
func TestPythonReads(t *testing.T) {
	t.Parallel()
	python := hubtest.Python(t)
	const key = "hf_of_nobody"
	h := hubtest.StartWith(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{key: {Name: "alice"}}})
	h.Client.Token = key
	s := newShelf(t)
	about := talk(s)
	other := s.add("20261127-130000-efgh", opened("20261127-130000-efgh"), prompt("Count the rows again"),
		reply(call("x1", "write", `{"path":"a.py","lines":[1,"two",null]}`), call("x2", "bash", `{"command":"wc -l b.csv","timeout":30}`)),
		result("x1", "written"), result("x2", "7"), reply(text("Seven.")))
	sub := s.add(about.ID+"-sub", session.Event{Opened: &session.Opened{ID: about.ID + "-sub", Parent: about.ID}}, prompt("read"), reply(text("Three.")))
	to := trace.Target{Client: h.Client, Repo: dataset("ml-intern-sessions"), Visibility: trace.Private}
	for _, family := range [][]session.Summary{{about, sub}, {other}} {
		if _, _, err := share(t, s, family, to); err != nil {
			t.Fatal(err)
		}
	}
	var rows bytes.Buffer
	for _, about := range []session.Summary{about, other} {
		if _, err := trace.WriteRow(t.Context(), &rows, s.store, about, specs, trace.NewScrubber(secret.New(), "")); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(file, rows.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"testdata/read.py", to.Repo.String(), file}
	if os.Getenv("ML_INTERN_TEST_TRAIN") != "" {
		args = append(args, "must")
	}
	cmd := exec.CommandContext(t.Context(), python, args...)
	cmd.Env = hubtest.PythonEnv(t, h.URL)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
