package gitstore_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"ml-intern/internal/hub/hubserver/gitstore"
)

// manyFiles are enough for a pack.
func manyFiles(round int) map[string]any {
	files := map[string]any{}
	for i := range 60 {
		files[fmt.Sprintf("d%d/%d.txt", i%3, i)] = fmt.Sprintf("text %d of round %d", i, round)
	}
	return files
}

// wantFiles reads all files of a commit.
func wantFiles(t *testing.T, s *gitstore.Store, c gitstore.Commit, files map[string]any) {
	t.Helper()
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
	if read != len(files) {
		t.Errorf("%d files of %d are there", read, len(files))
	}
}

func packsOf(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "packs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A large commit is one file, which a store that is open already, and one that
// is opened later, read as well.
func TestPack(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	create(t, s, model("x"))
	other, err := gitstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		files := manyFiles(round)
		c := must(t, s, model("x"), files)
		later, err := gitstore.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*gitstore.Store{s, other, later} {
			wantFiles(t, s, c, files)
		}
		if n := len(packsOf(t, dir)); n != round+1 {
			t.Errorf("after %d large commits there are %d packs", round+1, n)
		}
	}
	before := packsOf(t, dir)
	must(t, other, model("x"), manyFiles(1)) // as it is
	must(t, other, model("x"), map[string]any{"one.txt": "text 3 of round 0"})
	if after := packsOf(t, dir); len(after) != len(before) {
		t.Errorf("small commits and known content came to %d packs, not %d", len(after), len(before))
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What a disk has lost of a pack is missed when it is read, and not before; it
// is never taken for content.
func TestDamagedPack(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func([]byte) []byte{
		"empty":       func([]byte) []byte { return nil },
		"cut":         func(b []byte) []byte { return b[:len(b)/2] },
		"mark":        func(b []byte) []byte { return append(b[:len(b)-1], 'x') },
		"index":       func(b []byte) []byte { return append(b[:len(b)-16], "\xff\xff\xff\xff\xff\xff\xff\xffmlpack1\n"...) },
		"index place": func(b []byte) []byte { copy(b[len(b)-16-12:], "\x7f\xff\xff\xff\xff\xff\xff\xff"); return b },
		"no index":    func(b []byte) []byte { return append(b[:len(b)-16], "\x00\x00\x00\x00\x00\x00\x00\x00mlpack1\n"...) },
		"content":     func(b []byte) []byte { copy(b, bytes.Repeat([]byte{0x55}, 3000)); return b },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := open(t)
			create(t, s, model("x"))
			c := must(t, s, model("x"), manyFiles(0))
			pack := packsOf(t, dir)[0]
			data, err := os.ReadFile(pack)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(pack, damage(data), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err = gitstore.Open(dir)
			if err != nil {
				t.Fatalf("a damaged pack keeps the folder closed: %v", err)
			}
			_, err = s.ReadCommit(c.ID)
			for i := 0; err == nil && i < 60; i++ {
				_, err = s.Blob(gitstore.OID([]byte(fmt.Sprintf("text %d of round 0", i))))
			}
			if err == nil {
				t.Error("nothing is missed")
			}
			create(t, s, model("y"))
			files := manyFiles(1)
			wantFiles(t, s, must(t, s, model("y"), files), files)
		})
	}
}
