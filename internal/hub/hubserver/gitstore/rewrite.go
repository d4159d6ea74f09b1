package gitstore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"ml-intern/internal/hub"
)

// Squash replaces the history of a branch by one commit with its files.
func (s *Store) Squash(ctx context.Context, id hub.RepoID, ref, author, message string) (Commit, error) {
	return s.root(ctx, id, author, message, func(repo *Repo, _ *Batch) (string, string, error) {
		head, err := s.head(repo, ref)
		return ref, head.Tree, err
	})
}

// CreateEmpty makes a branch, by its full name, without files and history.
func (s *Store) CreateEmpty(ctx context.Context, id hub.RepoID, ref, author string, overwrite bool) error {
	if err := checkRef(ref); err != nil {
		return fmt.Errorf("create %s: %w", ref, err)
	}
	_, err := s.root(ctx, id, author, "initial commit", func(repo *Repo, b *Batch) (string, string, error) {
		if _, there := repo.Refs[ref]; there && !overwrite {
			return "", "", fmt.Errorf("create %s: %w", ref, ErrExists)
		}
		tree, err := newTree().write(b)
		return ref, tree, err
	})
	return err
}

// root makes a commit without parents the head of a branch. Pick chooses the
// branch and the tree.
func (s *Store) root(ctx context.Context, id hub.RepoID, author, message string, pick func(*Repo, *Batch) (ref, tree string, err error)) (Commit, error) {
	b := s.Batch()
	defer b.Discard()
	c := Commit{Author: author, Time: time.Now().UTC().Truncate(time.Second), Message: message}
	_, err := s.Update(ctx, id, func(repo *Repo) error {
		var ref string
		var err error
		if ref, c.Tree, err = pick(repo, b); err != nil {
			return err
		}
		if c.ID, err = b.put(kindCommit, c.encode()); err != nil {
			return err
		}
		if err := b.flush(); err != nil {
			return err
		}
		repo.Refs[ref] = c.ID
		repo.Modified = c.Time
		return nil
	})
	return c, err
}

// Copy makes a repository that has the main branch of another, its history
// included. Of state, the owner gives the settings.
func (s *Store) Copy(ctx context.Context, from *Repo, to hub.RepoID, state State) (*Repo, error) {
	if err := checkID(to); err != nil {
		return nil, fmt.Errorf("copy repository: %w", err)
	}
	unlock, err := s.lockRepo(ctx, to)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := os.Stat(s.statePath(to)); err == nil {
		return nil, fmt.Errorf("copy repository to %s: %w", to, ErrExists)
	}
	if from, err = s.Repo(from.RepoID); err != nil { // it may be gone by now, and what it had with it
		return nil, err
	}
	head, err := s.Resolve(from, MainBranch)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	state.ID, state.Created, state.Modified = newID(now), now, now
	state.Refs = map[string]string{MainBranch: head.ID}
	repo := &Repo{RepoID: to, State: state}
	if err := os.MkdirAll(s.repoPath(to), 0o700); err != nil {
		return nil, fmt.Errorf("copy repository to %s: %w", to, full(err))
	}
	if err := s.save(repo); err != nil {
		return nil, err
	}
	os.Remove(s.movedPath(to)) // a repository that is there comes first anyway
	return repo, syncDir(filepath.Dir(s.repoPath(to)))
}
