package gitstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ml-intern/internal/hub"
)

// MainBranch is the branch that every repository has.
const MainBranch = "refs/heads/main"

// State is all that can change about a repository. Its file is the repository:
// what the state does not name does not exist.
type State struct {
	ID       string            `json:"id"` // 24 hex digits, never used twice
	Created  time.Time         `json:"created"`
	Modified time.Time         `json:"modified"` // of the last commit
	Private  bool              `json:"private"`
	Gated    string            `json:"gated,omitempty"` // "", auto or manual
	Disabled bool              `json:"disabled,omitempty"`
	SDK      string            `json:"sdk,omitempty"`   // of a Space
	Space    json.RawMessage   `json:"space,omitempty"` // what package space keeps about it
	Refs     map[string]string `json:"refs"`            // full name -> commit

	// Annotated has the tag objects of those tags that git users annotated.
	Annotated map[string]string `json:"annotated,omitempty"`

	NoDiscussions bool         `json:"noDiscussions,omitempty"`
	Pulls         map[int]Pull `json:"pulls,omitempty"` // by number
}

// A Repo is a repository as it was when it was read.
type Repo struct {
	hub.RepoID
	State
}

// A MovedError says that a repository has another name now.
type MovedError struct{ To hub.RepoID }

func (e *MovedError) Error() string { return "repository has moved to " + e.To.String() }

func repoParts(id hub.RepoID) []string {
	return []string{string(id.Type) + "s", id.Namespace, id.Name}
}

func (s *Store) repoPath(id hub.RepoID) string {
	return s.path(append([]string{"repos"}, repoParts(id)...)...)
}

func (s *Store) statePath(id hub.RepoID) string { return filepath.Join(s.repoPath(id), "state.json") }

func (s *Store) movedPath(id hub.RepoID) string {
	return s.path(append([]string{"moved"}, repoParts(id)...)...) + ".json"
}

// lockRepo takes the right to change a repository from all others. While it is
// held, nothing is collected.
func (s *Store) lockRepo(ctx context.Context, id hub.RepoID) (func(), error) {
	release, err := s.hold(ctx)
	if err != nil {
		return nil, err
	}
	unlock, err := s.lock(ctx, string(id.Type)+"s/"+id.Namespace+"/"+id.Name)
	if err != nil {
		release()
		return nil, err
	}
	return func() { unlock(); release() }, nil
}

func checkID(id hub.RepoID) error {
	if err := id.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if id.Namespace == "" {
		return fmt.Errorf("repository %s has no owner: %w", id, ErrNoRepo)
	}
	return nil
}

// Repo reads a repository. Of one that was moved it returns a MovedError.
func (s *Store) Repo(id hub.RepoID) (*Repo, error) {
	if err := checkID(id); err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	data, err := os.ReadFile(s.statePath(id))
	if missing(err) {
		return nil, s.notHere(id)
	}
	if err != nil {
		return nil, fmt.Errorf("open repository %s: %w", id, err)
	}
	repo := &Repo{RepoID: id}
	if err := json.Unmarshal(data, &repo.State); err != nil {
		return nil, fmt.Errorf("open repository %s: its state is damaged: %w", id, err)
	}
	return repo, nil
}

func (s *Store) notHere(id hub.RepoID) error {
	var to hub.RepoID
	if data, err := os.ReadFile(s.movedPath(id)); err == nil && json.Unmarshal(data, &to) == nil {
		return &MovedError{To: to}
	}
	return fmt.Errorf("repository %s: %w", id, ErrNoRepo)
}

func (s *Store) save(repo *Repo) error {
	data, err := json.MarshalIndent(repo.State, "", "  ")
	if err != nil {
		return fmt.Errorf("save repository %s: %w", repo, err)
	}
	if err := s.replace(s.statePath(repo.RepoID), append(data, '\n')); err != nil {
		return fmt.Errorf("save repository %s: %w", repo, err)
	}
	return nil
}

// Create makes a repository whose first commit has the files of spec. The
// batch must have their blobs. Of state, the owner gives the settings.
func (s *Store) Create(ctx context.Context, id hub.RepoID, state State, spec CommitSpec, b *Batch) (*Repo, error) {
	if err := checkID(id); err != nil {
		return nil, fmt.Errorf("create repository: %w", err)
	}
	unlock, err := s.lockRepo(ctx, id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := os.Stat(s.statePath(id)); err == nil {
		return nil, fmt.Errorf("create repository %s: %w", id, ErrExists)
	}
	now := time.Now().UTC()
	state.ID, state.Created, state.Modified, state.Refs = newID(now), now, now, map[string]string{}
	repo := &Repo{RepoID: id, State: state}
	if _, err := s.commit(repo, spec, b); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.repoPath(id), 0o700); err != nil {
		return nil, fmt.Errorf("create repository %s: %w", id, full(err))
	}
	if err := s.save(repo); err != nil {
		return nil, err
	}
	os.Remove(s.movedPath(id)) // a repository that is there comes first anyway
	return repo, syncDir(filepath.Dir(s.repoPath(id)))
}

// newID is shaped like the Hub's: seconds, then chance, in hex.
func newID(now time.Time) string {
	id := make([]byte, 12)
	rand.Read(id)
	sec := now.Unix()
	id[0], id[1], id[2], id[3] = byte(sec>>24), byte(sec>>16), byte(sec>>8), byte(sec)
	return hex.EncodeToString(id)
}

// Update changes a repository's state while nobody else does.
func (s *Store) Update(ctx context.Context, id hub.RepoID, change func(*Repo) error) (*Repo, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	unlock, err := s.lockRepo(ctx, id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	repo, err := s.Repo(id)
	if err != nil {
		return nil, err
	}
	if err := change(repo); err != nil {
		return nil, err
	}
	return repo, s.save(repo)
}

// Delete removes a repository. Objects stay: others may share them.
func (s *Store) Delete(ctx context.Context, id hub.RepoID) error {
	if err := checkID(id); err != nil {
		return err
	}
	unlock, err := s.lockRepo(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(s.statePath(id)); err != nil {
		return s.notHere(id)
	}
	grave := s.path("tmp", "deleted-"+newID(time.Now()))
	if err := rename(s.repoPath(id), grave); err != nil { // gone in one step
		return fmt.Errorf("delete repository %s: %w", id, err)
	}
	if err := errors.Join(syncDir(filepath.Dir(s.repoPath(id))), os.RemoveAll(grave)); err != nil {
		return fmt.Errorf("delete repository %s: %w", id, err)
	}
	return nil
}

// Move gives a repository another name. The old one leads to the new one until
// a repository is made there.
func (s *Store) Move(ctx context.Context, from, to hub.RepoID) error {
	if err := errors.Join(checkID(from), checkID(to)); err != nil {
		return fmt.Errorf("move repository: %w", err)
	}
	if from.Type != to.Type {
		return fmt.Errorf("move repository: %w: a %s does not become a %s", ErrInvalid, from.Type, to.Type)
	}
	both := []hub.RepoID{from, to}
	slices.SortFunc(both, func(a, b hub.RepoID) int { return cmp.Compare(a.String(), b.String()) })
	for _, id := range slices.Compact(both) { // one order, so that two moves do not wait for each other
		unlock, err := s.lockRepo(ctx, id)
		if err != nil {
			return err
		}
		defer unlock()
	}
	if _, err := s.Repo(from); err != nil {
		return err
	}
	if _, err := os.Stat(s.statePath(to)); err == nil {
		return fmt.Errorf("move repository to %s: %w", to, ErrExists)
	}
	sign, err := json.Marshal(to)
	if err != nil {
		return fmt.Errorf("move repository: %w", err)
	}
	dirs := []string{filepath.Dir(s.movedPath(from)), filepath.Dir(s.repoPath(to))}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("move repository: %w", full(err))
		}
	}
	if err := s.replace(s.movedPath(from), sign); err != nil { // not followed while the repository is still there
		return err
	}
	os.Remove(s.repoPath(to)) // an empty folder may be left of a Create that was cut short
	if err := rename(s.repoPath(from), s.repoPath(to)); err != nil {
		return fmt.Errorf("move repository %s: %w", from, err)
	}
	os.Remove(s.movedPath(to))
	return errors.Join(syncDir(filepath.Dir(s.repoPath(from))), syncDir(filepath.Dir(s.repoPath(to))))
}

// Repos reads all repositories of a type, in no useful order.
func (s *Store) Repos(typ hub.RepoType) ([]*Repo, error) {
	var all []*Repo
	root := s.path("repos", string(typ)+"s")
	owners, err := os.ReadDir(root)
	if err != nil && !missing(err) {
		return nil, fmt.Errorf("list repositories: %w", err)
	}
	for _, owner := range owners {
		if !owner.IsDir() {
			continue
		}
		names, err := os.ReadDir(filepath.Join(root, owner.Name()))
		if err != nil {
			return nil, fmt.Errorf("list repositories: %w", err)
		}
		for _, name := range names {
			repo, err := s.Repo(hub.RepoID{Type: typ, Namespace: owner.Name(), Name: name.Name()})
			_, moved := errors.AsType[*MovedError](err)
			switch {
			case err == nil:
				all = append(all, repo)
			case moved || errors.Is(err, ErrNoRepo) || errors.Is(err, ErrInvalid):
				// deleted or moved just now, or never one of ours
			default:
				return nil, err
			}
		}
	}
	return all, nil
}
