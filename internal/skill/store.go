package skill

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/gofrs/flock"

	"ml-intern/internal/durable"
)

// A Store is the folder of skills that were added from repositories. Its lock
// file names them, where each comes from, and what each file must be. A folder
// that it does not name is what a killed process left, and no skill.
type Store struct{ Dir string }

// A Pin says where a skill that was added comes from, and what it must be.
type Pin struct {
	Source   string            `json:"source"`             // of the repository, as `skills add` takes it
	Hub      string            `json:"hub,omitempty"`      // the address of the Hub
	Revision string            `json:"revision,omitempty"` // that was asked for; "" for the default
	Commit   string            `json:"commit"`
	Path     string            `json:"path,omitempty"` // of the folder in the repository
	Folder   string            `json:"folder"`         // in the store, with the skill's in it
	Files    map[string]string `json:"files"`          // path to sha256
	Time     time.Time         `json:"time"`
}

type lockFile struct {
	Version int            `json:"version"`
	Skills  map[string]Pin `json:"skills"`
}

const lockVersion = 1

func (s *Store) file() string { return filepath.Join(s.Dir, "skills.json") }

func (s *Store) dir(name string, p Pin) string { return filepath.Join(s.Dir, p.Folder, name) }

// Pins are the skills that were added, by name.
func (s *Store) Pins() (map[string]Pin, error) {
	data, err := os.ReadFile(s.file())
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]Pin{}, nil
	}
	var lock lockFile
	if err == nil {
		err = json.Unmarshal(data, &lock)
	}
	if err == nil && lock.Version != lockVersion {
		err = fmt.Errorf("its version is %d, not %d", lock.Version, lockVersion)
	}
	if err != nil {
		return nil, fmt.Errorf("read added skills: %s: %w", s.file(), err)
	}
	for name, p := range lock.Skills {
		if !isName(name) || p.Folder == "." || !filepath.IsLocal(p.Folder) || filepath.Base(p.Folder) != p.Folder {
			delete(lock.Skills, name)
		}
	}
	if lock.Skills == nil {
		lock.Skills = map[string]Pin{}
	}
	return lock.Skills, nil
}

// list lists the skills that were added.
func (s *Store) list() ([]Skill, error) {
	pins, err := s.Pins()
	if err != nil {
		return nil, err
	}
	var all []Skill
	for _, name := range slices.Sorted(maps.Keys(pins)) {
		pin := pins[name]
		found, _, _, err := Finder{}.load(Place{Kind: Added, From: pin.Source}, s.dir(name, pin))
		if found.Name != name || err != nil {
			found.Name = name
		}
		if damage := s.Damage(name, pin); damage != nil {
			found.State, found.Why = Changed, fmt.Sprintf("%v; ml-intern skills update %s brings it back, and shows what changed", damage, name)
		} else if err != nil {
			found.State, found.Why = Broken, err.Error()
		}
		all = append(all, found)
	}
	return all, nil
}

// Damage says how the files of a skill differ from those that were added, nil if
// they do not.
func (s *Store) Damage(name string, pin Pin) error {
	dir, seen := s.dir(name, pin), 0
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		want, ok := pin.Files[filepath.ToSlash(rel)]
		if !ok || !d.Type().IsRegular() {
			return fmt.Errorf("%s was not added with it", oneLine(cut(rel, 200)))
		}
		data, err := readIn(dir, rel, maxFile)
		if err != nil || digest(data) != want {
			return fmt.Errorf("%s has changed since it was added", rel)
		}
		seen++
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("its folder is gone")
	case err == nil && seen < len(pin.Files):
		return fmt.Errorf("%d of its %d files are gone", len(pin.Files)-seen, len(pin.Files))
	}
	return err
}

// check fails if the bytes of a file are not those that were added.
func (s *Store) check(name, file string, data []byte) error {
	pins, err := s.Pins()
	if err != nil {
		return err
	}
	if pins[name].Files[file] != digest(data) {
		return fmt.Errorf("%w: %s: %s has changed since it was added; ml-intern skills update %s", ErrNotOn, name, file, name)
	}
	return nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func isText(data []byte) bool { return bytes.IndexByte(data, 0) < 0 && utf8.Valid(data) }

// Put adds a skill, or puts it in place of what was added under its name. Until it
// returns there is what was there before, whenever it is killed.
func (s *Store) Put(ctx context.Context, name string, pin Pin, files map[string][]byte) error {
	return s.change(ctx, func(pins map[string]Pin) error {
		fresh, err := os.MkdirTemp(s.Dir, "at-")
		if err != nil {
			return err
		}
		pin.Folder, pin.Files, pin.Time = filepath.Base(fresh), make(map[string]string), time.Now().UTC().Truncate(time.Second)
		for _, path := range slices.Sorted(maps.Keys(files)) {
			if err := writeNew(filepath.Join(fresh, name, filepath.FromSlash(path)), files[path]); err != nil {
				return fmt.Errorf("write %s: %w", path, err)
			}
			pin.Files[path] = digest(files[path])
		}
		pins[name] = pin
		return nil
	})
}

// writeNew writes a file for the person alone, which nobody can start.
func writeNew(name string, data []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// Remove removes a skill that was added, and reports whether there was one.
func (s *Store) Remove(ctx context.Context, name string) (was bool, err error) {
	if _, err := os.Stat(s.file()); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	err = s.change(ctx, func(pins map[string]Pin) error {
		_, was = pins[name]
		delete(pins, name)
		return nil
	})
	return was, err
}

// change changes the lock file, one process at a time, and removes the folders
// that it no longer names.
func (s *Store) change(ctx context.Context, do func(map[string]Pin) error) (err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return fmt.Errorf("make folder for skills: %w", err)
	}
	lock := flock.New(filepath.Join(s.Dir, ".lock"), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return fmt.Errorf("wait for another process that changes skills: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	pins, err := s.Pins()
	if err != nil {
		return err
	}
	if err := do(pins); err != nil {
		s.tidy(pins)
		return fmt.Errorf("change skills: %w", err)
	}
	text, err := json.MarshalIndent(lockFile{lockVersion, pins}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode added skills: %w", err)
	}
	if err := durable.Replace(s.file(), append(text, '\n')); err != nil {
		return fmt.Errorf("write added skills: %w", err)
	}
	s.tidy(pins)
	return nil
}

// tidy removes what no pin names. What cannot be removed does no harm.
func (s *Store) tidy(pins map[string]Pin) {
	entries, _ := os.ReadDir(s.Dir)
	for _, e := range entries {
		named := false
		for _, p := range pins {
			named = named || p.Folder == e.Name()
		}
		if e.IsDir() && !named {
			_ = os.RemoveAll(filepath.Join(s.Dir, e.Name()))
		}
	}
}
