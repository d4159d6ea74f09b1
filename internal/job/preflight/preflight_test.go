package preflight_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"ml-intern/internal/job/preflight"
)

// TestScripts checks the scripts of testdata. Of each, what is said that stops
// the submission must be what is wanted, no more and no less: a line "want error
// columns a word" is a finding of that level and code that has the words. "want
// note" lines must be there; other notes may be.
func TestScripts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no scripts", err)
	}
	n := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range strings.Split(string(text), "\n=== ")[1:] {
			n++
			name, body, _ := strings.Cut(one, "\n")
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+name, func(t *testing.T) {
				t.Parallel()
				checkScript(t, w, body)
			})
		}
	}
	if n < 60 {
		t.Errorf("%d scripts are too few", n)
	}
}

func checkScript(t *testing.T, w world, body string) {
	archive := txtar.Parse([]byte(body))
	files := fstest.MapFS{}
	for _, f := range archive.Files {
		files[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	r, want := request(t, w, files, strings.Split(string(archive.Comment), "\n"))
	report, err := preflight.Check(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report)
	left := report.Blocking()
	for _, line := range want {
		if i := matching(report.Findings, line); i < 0 {
			t.Errorf("want %s\nthere is:\n%s", line, report)
		}
		if i := matching(left, line); i >= 0 {
			left = append(left[:i:i], left[i+1:]...)
		}
	}
	for _, f := range left {
		t.Errorf("unwanted: %+v", f)
	}
}

// matching is the place of the finding that a line wants, -1 if there is none.
func matching(all []preflight.Finding, line string) int {
	level, rest, _ := strings.Cut(line, " ")
	code, words, _ := strings.Cut(rest, " ")
	for i, f := range all {
		if string(f.Level) == level && f.Code == code && strings.Contains(f.Text+" "+f.Fix+" "+f.Waiver, words) {
			return i
		}
	}
	return -1
}
