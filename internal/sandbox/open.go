package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrPrivate means that a path leads to what is no business of the model: keys,
// what the program itself keeps, or what other processes have in memory.
var ErrPrivate = errors.New("it is private")

// Open opens a regular file to read. What counts is where the path leads once
// it is open, so that no link, and no link that changes meanwhile, leads to what
// is private.
func (l Local) Open(path string) (*os.File, error) {
	if err := whole(path); err != nil {
		return nil, fmt.Errorf("read %q: %w", path, err)
	}
	abs, _ := l.Resolve(path)
	if err := l.private(abs); err != nil { // also if nothing is there
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	f, err := openNoWait(l.temporary(abs))
	if err != nil {
		return nil, readable(err, path)
	}
	if err := l.open(f, path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// whole refuses a path with a NUL, which ends it for the system only.
func whole(path string) error {
	if strings.ContainsRune(path, 0) {
		return errors.New("a path holds no NUL")
	}
	return nil
}

func (l Local) open(f *os.File, path string) error {
	real, err := realPath(f)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if err := l.private(real); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("read %s: %w", path, err)
	case info.IsDir():
		return fmt.Errorf("%s is a folder, not a file", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	}
	if l.anotherName(info) {
		return fmt.Errorf("read %s: %w: it is another name of a file with keys", path, ErrPrivate)
	}
	return nil
}

// private says why an absolute path may not be used, nil if it may.
func (l Local) private(abs string) error {
	holds := func(dir string) bool { return within(dir, abs) || within(realDir(dir), abs) }
	for _, hidden := range l.Hidden {
		if holds(hidden) && !slices.ContainsFunc(l.Shown, holds) && (!holds(l.Dir) || !l.below(hidden)) {
			return fmt.Errorf("%w: %s may hold keys, or is the program's own", ErrPrivate, hidden)
		}
	}
	if rest, ok := strings.CutPrefix(filepath.ToSlash(abs), "/proc/"); ok && !harmless(rest) {
		return fmt.Errorf("%w: what processes have in memory is not shown", ErrPrivate)
	}
	return nil
}

// below reports whether the workspace is somewhere in a hidden folder, as on a
// disk that is mounted below /run. Then what is in the workspace is not hidden.
func (l Local) below(hidden string) bool {
	real := realDir(l.Dir)
	return real != realDir(hidden) && within(realDir(hidden), real)
}

// harmless reports whether a path below /proc tells of the machine only.
func harmless(rest string) bool {
	switch rest {
	case "cpuinfo", "meminfo", "loadavg", "stat", "uptime", "version", "vmstat", "diskstats", "filesystems", "partitions", "swaps":
		return true
	}
	return strings.HasPrefix(rest, "driver/nvidia/")
}

// anotherName reports whether the file is one of the hidden files under a name
// that says nothing: a hard link. Large hidden folders are looked through in part.
func (l Local) anotherName(info fs.FileInfo) bool {
	if links(info) < 2 {
		return false
	}
	return slices.ContainsFunc(l.Hidden, func(hidden string) bool {
		found, seen := false, 0
		_ = filepath.WalkDir(hidden, func(path string, d fs.DirEntry, err error) error { // what cannot be seen is no other name
			if d != nil && d.IsDir() && (slices.Contains(l.Shown, path) || slices.Contains(l.Copies, path)) { // no keys are there
				return fs.SkipDir
			}
			if seen++; err != nil || seen > maxHidden {
				return fs.SkipAll
			}
			if key, err := d.Info(); err == nil && os.SameFile(key, info) {
				found = true
				return fs.SkipAll
			}
			return nil
		})
		return found
	})
}

const maxHidden = 1000 // entries of one hidden folder

// locked says why a path of the workspace may not be written, nil if it may.
func (l Local) locked(rel string) error {
	rel = strings.ToLower(filepath.ToSlash(filepath.Clean(rel))) // some file systems do not care for case
	for _, lock := range l.Locked {
		if lock = strings.ToLower(lock); rel == lock || strings.HasPrefix(rel, lock+"/") || strings.HasPrefix(lock, rel+"/") {
			return fmt.Errorf("%w: %s runs programs, or says what the program may do, and only a person writes it", ErrPrivate, lock)
		}
	}
	return nil
}

// ofRepository refuses what makes git run programs in a repository below the
// workspace, or take a folder for one.
func ofRepository(rel, dir string) error {
	parts := strings.Split(filepath.ToSlash(filepath.Clean(rel)), "/")
	base := parts[len(parts)-1]
	refused := base == "HEAD"
	for i, part := range parts {
		part = strings.ToLower(part)
		refused = refused || part == ".husky" || part == ".git" && (i == len(parts)-1 || slices.Contains(gitRuns, strings.ToLower(parts[i+1])))
	}
	if !refused && len(parts) > 1 {
		_, here := os.Lstat(filepath.Join(dir, "HEAD"))
		_, above := os.Lstat(filepath.Join(dir, "..", "HEAD"))
		refused = here == nil && slices.Contains(gitRuns, strings.ToLower(base)) || above == nil && strings.EqualFold(filepath.Base(dir), "hooks")
	}
	if refused {
		return fmt.Errorf("%w: git runs programs by %s, and only a person writes it", ErrPrivate, base)
	}
	return nil
}

// gitRuns are what is in a repository's folder and leads git to programs.
var gitRuns = []string{"hooks", "config", "config.worktree", "commondir", "gitdir", "modules", "worktrees"}

// MayOpen says why a folder is never opened to commands for writing, nil if a
// person may do so.
func (l Local) MayOpen(abs string) error {
	real := realDir(abs)
	if err := l.private(real); err != nil {
		return err
	}
	if slices.Contains(machineFolders, real) || slices.ContainsFunc(kernelFolders, func(dir string) bool { return within(dir, real) }) {
		return fmt.Errorf("%w: %s is the machine's; name a folder that holds what is needed and nothing else", ErrPrivate, abs)
	}
	for _, hidden := range append(l.Hidden, l.Dir) {
		if within(real, realDir(hidden)) {
			return fmt.Errorf("%w: %s holds keys, or more than one place; name the folder that is needed", ErrPrivate, abs)
		}
	}
	return nil
}

// kernelFolders hold no files of a disk; commands have some of their own.
var kernelFolders = []string{"/dev", "/proc", "/sys", "/boot"}

// machineFolders hold what all of the machine runs or leaves.
var machineFolders = []string{
	"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/usr", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/local",
	"/usr/local/bin", "/usr/local/sbin", "/usr/local/lib", "/home", "/tmp", "/var/tmp", "/private/tmp", "/Users", "/Applications",
}
