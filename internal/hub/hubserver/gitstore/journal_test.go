package gitstore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ml-intern/internal/hub/hubserver/gitstore"
)

// A crash of the machine takes whatever was not synced. A commit of many files
// survives it.
func TestJournal(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	create(t, s, model("x"))
	files := map[string]any{}
	for i := range 60 {
		files[fmt.Sprintf("d%d/%d.txt", i%3, i)] = fmt.Sprintf("text %d of some length", i)
	}
	c := must(t, s, model("x"), files)
	journals := func() []string {
		names, err := filepath.Glob(filepath.Join(dir, "journals", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	if n := len(journals()); n != 1 {
		t.Fatalf("a large commit left %d journals", n)
	}
	objects, err := filepath.Glob(filepath.Join(dir, "objects", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for i, path := range objects {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		switch i % 4 { // what may be left of a file
		case 0:
			err = os.Remove(path)
		case 1:
			err = os.Truncate(path, 0)
		case 2:
			err = os.WriteFile(path, make([]byte, info.Size()), 0o600)
		default:
			lost--
		}
		if lost++; err != nil {
			t.Fatal(err)
		}
	}
	if _, err := gitstore.Open(dir); err != nil {
		t.Fatal(err)
	}
	if n := len(journals()); n != 0 {
		t.Errorf("%d journals are left", n)
	}
	s, err = gitstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for e, err := range s.Entries(c, "", true) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Dir || e.Path == gitstore.AttributesFile {
			continue
		}
		text, err := s.Blob(e.OID)
		if err != nil || string(text) != files[e.Path] {
			t.Errorf("%s is %q, %v", e.Path, text, err)
		}
		read++
	}
	if read != len(files) || lost == 0 {
		t.Errorf("%d files of %d are there, after %d objects were lost", read, len(files), lost)
	}
}

// A journal goes away when a later one is written, after a while.
func TestJournalsEnd(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	create(t, s, model("x"))
	for round := range 3 {
		files := map[string]any{}
		for i := range 40 {
			files[fmt.Sprint(i)] = fmt.Sprint("round ", round, " ", i)
		}
		must(t, s, model("x"), files)
		names, err := filepath.Glob(filepath.Join(dir, "journals", "*"))
		if err != nil || len(names) != 1 {
			t.Fatalf("round %d: the journals are %v, %v", round, names, err)
		}
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(names[0], old, old); err != nil {
			t.Fatal(err)
		}
	}
	// One that cannot be read does not stop the server, and is kept.
	bad := filepath.Join(dir, "journals", "bad")
	if err := os.WriteFile(bad, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := gitstore.Open(dir); err != nil {
		t.Errorf("a damaged journal: %v", err)
	}
	if _, err := os.Stat(bad); err != nil {
		t.Error(err)
	}
}
