package gitstore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"ml-intern/internal/hub"
)

// Notes are small files that belong to a repository and are not in git: they
// lie beside its state, and go with it when it is moved or deleted. What is in
// them is their writer's business.

func (s *Store) notePath(id hub.RepoID, name string) string {
	return filepath.Join(s.repoPath(id), filepath.FromSlash(name))
}

// Note reads a note, nil if there is none.
func (s *Store) Note(id hub.RepoID, name string) ([]byte, error) {
	data, err := os.ReadFile(s.notePath(id, name))
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read note %s of %s: %w", name, id, err)
	}
	return data, nil
}

// PutNote writes a note in one step. The caller holds the repository: it is in
// a function that Hold, Update, OpenPull or Merge calls.
func (s *Store) PutNote(id hub.RepoID, name string, data []byte) error {
	path := s.notePath(id, name)
	if _, err := os.Stat(filepath.Dir(path)); missing(err) { // the first in its folder
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("write note %s of %s: %w", name, id, full(err))
		}
		if err := syncDir(s.repoPath(id)); err != nil {
			return err
		}
	}
	if err := s.replace(path, data); err != nil {
		return fmt.Errorf("write note %s of %s: %w", name, id, err)
	}
	return nil
}

// Notes lists the names of the notes in a folder of notes.
func (s *Store) Notes(id hub.RepoID, folder string) ([]string, error) {
	entries, err := os.ReadDir(s.notePath(id, folder))
	if err != nil && !missing(err) {
		return nil, fmt.Errorf("list notes of %s: %w", id, err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, nil
}

// Hold calls do while nobody else changes the repository. Its state is not
// saved.
func (s *Store) Hold(ctx context.Context, id hub.RepoID, do func(*Repo) error) error {
	if err := checkID(id); err != nil {
		return err
	}
	unlock, err := s.lockRepo(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	repo, err := s.Repo(id)
	if err != nil {
		return err
	}
	return do(repo)
}
