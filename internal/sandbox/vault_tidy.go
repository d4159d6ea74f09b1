package sandbox

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// tidy removes from the vault what nobody needs, unless a command runs: then
// the next one may. It returns what it rescued of killed commands.
func (v Vault) tidy(dir string, current []held) []Kept {
	lock := flock.New(v.path("lock"))
	if locked, err := lock.TryLock(); err != nil || !locked {
		return nil
	}
	defer func() { _ = lock.Unlock() }()
	v.prune()
	return v.forget(dir, current)
}

// prune removes what was kept long ago, and the oldest if all is too much. The
// newest stays: somebody has just been told of it.
func (v Vault) prune() {
	folders, _ := os.ReadDir(v.path("kept")) // none if there is none; oldest first, for times are their names
	total := int64(0)
	sizes := make([]int64, len(folders))
	for i, f := range folders {
		sizes[i] = size(v.path("kept", f.Name()))
		total += sizes[i]
	}
	for i, f := range folders {
		when, err := time.Parse(keptFormat, f.Name())
		old := err == nil && time.Since(when) > keptFor
		if old || total > maxKeptBytes && i < len(folders)-1 {
			_ = os.RemoveAll(v.path("kept", f.Name())) // else next time
			total -= sizes[i]
		}
	}
}

// size is the bytes below a folder that no file elsewhere shares.
func size(folder string) int64 {
	total := int64(0)
	_ = filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // what cannot be read counts nothing
		}
		if info, err := d.Info(); err == nil && links(info) == 1 {
			total += info.Size()
		}
		return nil
	})
	return total
}

// forget removes what was held of files that have changed since without a
// command: a job trains on. But if a command was not settled, because its
// process was killed or the disk was full, it may be the command that changed
// them.
func (v Vault) forget(dir string, current []held) []Kept {
	used := make(map[string]bool)
	for _, h := range current {
		used[filepath.Base(h.folder)] = true
	}
	entries, err := os.ReadDir(v.path("held"))
	marks, errMarks := os.ReadDir(v.path("running"))
	if err != nil || errMarks != nil {
		return nil // next time
	}
	var rescued []Kept
	all := true
	for _, e := range entries {
		folder := v.path("held", e.Name())
		switch {
		case used[e.Name()]:
		case len(marks) == 0 || strings.HasPrefix(e.Name(), "new-"):
			_ = os.RemoveAll(folder) // else next time
		default:
			k, err := v.rescue(dir, folder, current)
			all = all && err == nil
			if err == nil && k.Path != "" {
				rescued = append(rescued, k)
			}
		}
	}
	for _, m := range marks {
		if all {
			_ = os.Remove(v.path("running", m.Name())) // else it looks for more next time
		}
	}
	return rescued
}

// rescue keeps a file that is gone or has changed, maybe by a command that was
// not settled.
func (v Vault) rescue(dir, folder string, current []held) (Kept, error) {
	h, err := found(folder)
	if err != nil {
		return Kept{}, err
	}
	if h.rel == "" || intact(folder, h.info) && lives(dir, h, current) {
		return Kept{}, os.RemoveAll(folder)
	}
	into := v.newKept()
	k, err := v.keep(h, into)
	_ = os.Remove(into) // if it could not be kept
	if k.Lost != "" && err == nil {
		err = os.RemoveAll(folder)
	}
	return k, err
}

// lives reports whether the workspace still has the file, maybe elsewhere.
func lives(dir string, h held, current []held) bool {
	now, err := os.Lstat(filepath.Join(dir, h.rel))
	return err == nil && intact(h.folder, now) ||
		slices.ContainsFunc(current, func(c held) bool { return os.SameFile(c.info, h.info) })
}

// found is the file that a folder holds.
func found(folder string) (held, error) {
	h := held{folder: folder}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || path == folder {
			return err
		}
		if h.rel, err = filepath.Rel(folder, path); err == nil {
			h.info, err = d.Info()
		}
		return err
	})
	return h, err
}
