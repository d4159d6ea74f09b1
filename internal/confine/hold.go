package confine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// What commands in a bare cell may not change, but could, is copied before and
// put back when they have ended. Commands that run at the same time share the
// copy: the second one might see already what the first one did. It adds only
// what was not protected then.
type held struct {
	running int
	files   map[string][]entry // by protected path; with the path itself first
	known   map[string]bool    // those that were looked at, also if nothing was there
}

// An entry is a file, folder or link of a protected path.
type entry struct {
	rel  string // "." is the path itself
	mode fs.FileMode
	data []byte // of a link: where it leads
}

// maxHeld is how much is copied. Git's hooks and settings are some kilobytes.
const maxHeld = 16 << 20

// hold copies what is protected, unless it is held already. What it returns puts
// it back, and what g looks after.
func (c *Cells) hold(g guard) (func() []string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held.running == 0 {
		c.held.files, c.held.known = map[string][]entry{}, map[string]bool{}
	}
	more := g.rules
	more.Protected = slices.DeleteFunc(slices.Clone(more.Protected), func(p string) bool { return c.held.known[p] })
	files, err := more.copies()
	if err != nil {
		return nil, fmt.Errorf("confine command: %w: keep what is protected: %w", ErrUnavailable, err)
	}
	maps.Copy(c.held.files, files)
	for _, p := range more.Protected {
		c.held.known[p] = true
	}
	c.held.running++
	return func() []string {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.held.running--
		return append(g.putBack(c.held.files), g.restore()...)
	}, nil
}

// copied is what is held now, for a journal.
func (c *Cells) copied() map[string][]entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.held.files)
}

// copies reads all protected paths that are there and no links, which a guard
// looks after.
func (r Rules) copies() (map[string][]entry, error) {
	all, left := map[string][]entry{}, int64(maxHeld)
	for _, p := range r.Protected {
		n := longest(r.Writable, p)
		if n < 0 || n == len(p) {
			continue
		}
		root, err := os.OpenRoot(p[:n])
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rel, err := filepath.Rel(p[:n], p)
		if err == nil {
			all[p], err = readTree(root, rel, &left)
		}
		if err := errors.Join(err, root.Close()); err != nil {
			return nil, fmt.Errorf("copy %s: %w", p, err)
		}
		if len(all[p]) == 0 {
			delete(all, p)
		}
	}
	return all, nil
}

// readTree reads what is at rel; nothing for nothing and for a link.
func readTree(root *os.Root, rel string, left *int64) ([]entry, error) {
	if info, err := root.Lstat(rel); err != nil || info.Mode()&fs.ModeSymlink != 0 {
		return nil, nil //nolint:nilerr // the guard looks after those
	}
	var all []entry
	err := fs.WalkDir(root.FS(), filepath.ToSlash(rel), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := entry{mode: info.Mode()}
		if e.rel, err = filepath.Rel(rel, filepath.FromSlash(path)); err != nil {
			return err
		}
		if *left -= 100; info.Mode().IsRegular() {
			*left -= info.Size()
		}
		if *left < 0 {
			return fmt.Errorf("more than %d MB are protected", maxHeld>>20)
		}
		switch {
		case info.Mode().IsRegular():
			e.data, err = root.ReadFile(filepath.FromSlash(path))
		case info.Mode()&fs.ModeSymlink != 0:
			var to string
			to, err = root.Readlink(filepath.FromSlash(path))
			e.data = []byte(to)
		}
		all = append(all, e)
		return err
	})
	return all, err
}

// putBack makes what was copied as it was. What is there instead goes aside.
func (g guard) putBack(files map[string][]entry) []string {
	var notes []string
	for p, was := range files {
		if longest(g.rules.Writable, p) < 0 { // another command's, by what was opened since
			continue
		}
		note, err := g.each(p, func(root *os.Root, rel string) (string, error) {
			left := int64(maxHeld)
			now, err := readTree(root, rel, &left)
			if err == nil && slices.EqualFunc(was, now, entry.equal) {
				return "", nil
			}
			note, err := g.clear(root, rel)
			return note, errors.Join(err, writeTree(root, rel, was))
		})
		notes = told(notes, p, note, err)
	}
	return notes
}

// clear makes room for what was at rel.
func (g guard) clear(root *os.Root, rel string) (string, error) {
	for dir := filepath.Dir(rel); dir != "."; dir = filepath.Dir(dir) {
		if info, err := root.Lstat(dir); err == nil && !info.IsDir() {
			if err := root.RemoveAll(dir); err != nil {
				return "", err
			}
		}
	}
	if err := root.MkdirAll(filepath.Dir(rel), 0o755); err != nil {
		return "", err
	}
	const note = "was put back: commands may not change it"
	if _, err := root.Lstat(rel); errors.Is(err, fs.ErrNotExist) {
		return note, nil
	}
	aside, err := g.putAside(root, rel)
	if err == nil && g.rules.Aside != "" {
		return note + "; what a command made of it " + aside, nil
	}
	return note, err
}

func writeTree(root *os.Root, rel string, files []entry) error {
	var errs error
	for _, e := range files {
		path := filepath.Join(rel, e.rel)
		var err error
		switch {
		case e.mode.IsDir():
			err = root.Mkdir(path, 0o700)
		case e.mode&fs.ModeSymlink != 0:
			err = root.Symlink(string(e.data), path)
		case e.mode.IsRegular():
			err = root.WriteFile(path, e.data, 0o600)
		}
		errs = errors.Join(errs, err)
	}
	for _, e := range slices.Backward(files) { // folders last: they may become read-only
		if e.mode.IsDir() || e.mode.IsRegular() {
			errs = errors.Join(errs, root.Chmod(filepath.Join(rel, e.rel), e.mode.Perm()))
		}
	}
	return errs
}

func (e entry) equal(other entry) bool {
	return e.rel == other.rel && e.mode == other.mode && bytes.Equal(e.data, other.data)
}
