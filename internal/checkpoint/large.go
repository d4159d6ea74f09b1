package checkpoint

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// holdID names what holds a large file: it is of its inode, size and time.
func holdID(st stat) Hash {
	var b []byte
	for _, n := range []uint64{st.dev, st.ino, uint64(st.size), uint64(st.mtime)} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return sha256.Sum256(b)
}

func (s Store) holder(h Hash) string { return filepath.Join(s.Holds, h.String()[:32]) }

// holds reports whether a file is held already.
func (s Store) holds(st stat) bool {
	info, err := os.Lstat(s.holder(holdID(st)))
	return err == nil && holdsAs(info, st) != byNothing
}

// hold takes hold of a large file, and says how. A link that cannot be made is
// no error: then its size and time are all that is known.
func (s Store) hold(dir folder, name string, st stat) (Hash, string) {
	id := holdID(st)
	path := s.holder(id)
	if info, err := os.Lstat(path); err == nil {
		if protection := holdsAs(info, st); protection != byNothing {
			return id, protection
		}
		_ = os.Remove(path) // it was written into: it holds something else
	}
	if err := s.prepareHolds(); err != nil {
		return id, byNothing
	}
	tmp := path + time.Now().Format(".150405.000000000.tmp")
	if dir.clone(name, tmp) == nil {
		when := time.Unix(0, st.mtime)
		if errors.Join(os.Chtimes(tmp, when, when), os.Rename(tmp, path)) == nil {
			return id, byClone
		}
		_ = os.Remove(tmp) // else collect does
	}
	if err := dir.link(name, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return id, byNothing
	}
	info, err := os.Lstat(path)
	if err != nil {
		return id, byNothing
	}
	return id, holdsAs(info, st)
}

// holdsAs says how a file outside holds one that looks like this.
func holdsAs(info fs.FileInfo, st stat) string {
	switch {
	case !info.Mode().IsRegular() || info.Size() != st.size || info.ModTime().UnixNano() != st.mtime:
		return byNothing
	case linkOf(info, st):
		return byLink
	}
	return byClone
}

// prepareHolds makes the folder. Git must not see it in a workspace.
func (s Store) prepareHolds() error {
	if err := os.MkdirAll(s.Holds, 0o700); err != nil {
		return err
	}
	ignore := filepath.Join(s.Holds, ".gitignore")
	if _, err := os.Lstat(ignore); err == nil || s.Holds == s.path("large") {
		return nil
	}
	return os.WriteFile(ignore, []byte("*\n"), 0o600)
}

// held returns a file that has what a large file had, "" if nothing has.
func (s Store) held(rel string, e entry) string {
	path := s.holder(e.hash)
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && info.Size() == e.size && info.ModTime().UnixNano() == e.mtime {
		return path
	}
	if s.Elsewhere == nil {
		return ""
	}
	return s.Elsewhere(rel, e.size, time.Unix(0, e.mtime))
}
