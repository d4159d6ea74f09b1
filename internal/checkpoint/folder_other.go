//go:build !linux && !darwin

package checkpoint

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// A folder is an open directory, which nothing that is done in it leaves.
type folder struct{ root *os.Root }

func openFolder(path string) (folder, error) {
	root, err := os.OpenRoot(path)
	return folder{root}, err
}

// sub opens a folder below.
func (f folder) sub(name string) (folder, error) {
	root, err := f.root.OpenRoot(name)
	return folder{root}, err
}

func (f folder) close() { _ = f.root.Close() } // it was only read

// names lists what is in the folder, sorted.
func (f folder) names(_ []byte) ([]string, error) {
	dir, err := f.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// stat looks at a name without following a link.
func (f folder) stat(name string) (stat, error) {
	info, err := f.root.Lstat(name)
	if err != nil {
		return stat{}, err
	}
	return newStat(info), nil
}

func (f folder) self() (stat, error) { return f.stat(".") }

func newStat(info fs.FileInfo) stat {
	s := stat{perm: info.Mode().Perm(), size: info.Size(), mtime: info.ModTime().UnixNano()}
	switch info.Mode().Type() {
	case 0:
		s.kind = File
	case fs.ModeDir:
		s.kind = Folder
	case fs.ModeSymlink:
		s.kind = Symlink
	}
	return s
}

func (f folder) readlink(name string) (string, error) { return f.root.Readlink(name) }

// read appends the bytes of a file, limit of them and one, to buf.
func (f folder) read(name string, limit int64, buf []byte) ([]byte, stat, error) {
	file, err := f.root.Open(name)
	if err != nil {
		return buf, stat{}, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return buf, stat{}, err
	}
	info, err := file.Stat()
	if err != nil {
		return buf, stat{}, err
	}
	return append(buf, data...), newStat(info), nil
}

// link gives a file a second name outside.
func (f folder) link(name, to string) error { return os.Link(filepath.Join(f.root.Name(), name), to) }

// adopt gives a file outside a second name in the folder.
func (f folder) adopt(from, name string) error {
	return os.Link(from, filepath.Join(f.root.Name(), name))
}
