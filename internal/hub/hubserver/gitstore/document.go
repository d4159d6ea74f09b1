package gitstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ml-intern/internal/hub"
)

// A document is a JSON value that belongs to an account or to the server, and
// to no repository: an account's collections, for one. Each is one file, which
// is replaced whole.

func (s *Store) documentPath(kind, name string) string {
	return s.path("documents", kind, name+".json")
}

// isDocument allows what an account may be called.
func isDocument(name string) bool {
	return name != "" && (hub.RepoID{Type: hub.Model, Namespace: name, Name: "x"}).Check() == nil
}

// Document reads a document into v, which stays as it is if there is none.
func (s *Store) Document(kind, name string, v any) error {
	if !isDocument(name) { // nothing can have that name
		return nil
	}
	data, err := os.ReadFile(s.documentPath(kind, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s of %s: %w", kind, name, err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read %s of %s: the file is damaged: %w", kind, name, err)
	}
	return nil
}

// UpdateDocument reads a document into v, lets change change it, and saves it,
// while nobody else does. An error of change saves nothing.
func (s *Store) UpdateDocument(ctx context.Context, kind, name string, v any, change func() error) error {
	if !isDocument(name) {
		return fmt.Errorf("save %s of %q: %w", kind, name, ErrInvalid)
	}
	unlock, err := s.lock(ctx, "documents/"+kind+"/"+name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.Document(kind, name, v); err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("save %s of %s: %w", kind, name, err)
	}
	path := s.documentPath(kind, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("save %s of %s: %w", kind, name, full(err))
	}
	return s.replace(path, append(data, '\n'))
}

// Documents lists the names of the documents of a kind.
func (s *Store) Documents(kind string) ([]string, error) {
	entries, err := os.ReadDir(s.path("documents", kind))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list %s: %w", kind, err)
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".json"); ok && isDocument(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
