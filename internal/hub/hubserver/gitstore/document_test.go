package gitstore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"ml-intern/internal/hub/hubserver/gitstore"
)

// Changes of a document at the same time are all kept, one that fails changes
// nothing, and a name cannot lead out of the folder.
func TestDocuments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := gitstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			var list []int
			err := s.UpdateDocument(t.Context(), "lists", "me", &list, func() error {
				list = append(list, i)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var list []int
	if err := s.Document("lists", "me", &list); err != nil || len(list) != 16 {
		t.Errorf("%d of 16 changes are kept, %v", len(list), err)
	}
	no := errors.New("no")
	err = s.UpdateDocument(t.Context(), "lists", "me", &list, func() error {
		list = nil
		return no
	})
	var after []int
	if err2 := s.Document("lists", "me", &after); !errors.Is(err, no) || err2 != nil || len(after) != 16 {
		t.Errorf("a change that failed: %v; %d are left, %v", err, len(after), err2)
	}
	for _, name := range []string{"", ".", "..", "../../x", "a/b", `a\b`, "CON ", "x\x00"} {
		if err := s.UpdateDocument(t.Context(), "lists", name, &list, func() error { return nil }); !errors.Is(err, gitstore.ErrInvalid) {
			t.Errorf("the name %q: %v", name, err)
		}
		if err := s.Document("lists", name, &list); err != nil {
			t.Errorf("read %q: %v", name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "documents", "lists", "bad.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Document("lists", "bad", &list); err == nil {
		t.Error("a damaged document is read")
	}
	names, err := s.Documents("lists")
	if none, err2 := s.Documents("none"); err != nil || err2 != nil || fmt.Sprint(names, none) != "[bad me] []" {
		t.Errorf("Documents = %q %q, %v, %v", names, none, err, err2)
	}
}
