package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Flags of mounts inside a cell.
const (
	readOnly = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	writable = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
)

// A graft is a piece of the file tree, taken before anything was covered, and
// the place where it goes.
type graft struct {
	at    string
	fd    int
	cover bool // hides what is there, if it still is
}

// A tree builds what a cell sees of the files: all of the machine read-only,
// what is writable over it, what is hidden covered, and a /dev, /proc and /tmp
// of its own. It is for a process that has its mount namespace to itself.
type tree struct {
	rules  Rules
	alone  bool // in a process namespace of its own
	grafts []graft
	open   []string // folders that were covered by a tmpfs which is written to until the end
}

// build makes the tree.
func (t *tree) build() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("part the mounts from the machine's: %w", err)
	}
	steps := []func() error{t.takeRules, t.takeDevices, t.closeRoot, t.devices, t.proc, t.temp, t.hide, t.place, t.seal}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// take clones the tree at path to be placed at the same or another place. The
// path has no links, and one that a command puts there meanwhile is an error:
// else it could show what is hidden.
func take(path string, attr uint64) (int, error) {
	at, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS})
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { _ = unix.Close(at) }() // only a name
	fd, err := unix.OpenTree(at, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE|unix.AT_EMPTY_PATH)
	if err != nil {
		return -1, fmt.Errorf("clone mount %s: %w", path, err)
	}
	if err := setAttr(fd, "", unix.AT_RECURSIVE|unix.AT_EMPTY_PATH, attr); err != nil {
		return -1, errors.Join(fmt.Errorf("set flags of mount %s: %w", path, err), unix.Close(fd))
	}
	return fd, nil
}

func setAttr(fd int, path string, flags uint, attr uint64) error {
	return unix.MountSetattr(fd, path, flags, &unix.MountAttr{Attr_set: attr})
}

// takeRules takes what stays writable or readable, and what is protected. What
// lies between a writable folder and a protected path becomes a mount too: a
// mount cannot be renamed away, nor one that has its name taken.
func (t *tree) takeRules() error {
	want := map[string]uint64{}
	for _, p := range t.rules.Readable {
		want[p] = readOnly
	}
	for _, p := range t.rules.Writable {
		want[p] = writable
	}
	for _, p := range t.rules.Protected {
		if info, err := os.Lstat(p); err != nil || info.Mode()&os.ModeSymlink != 0 {
			continue // looked after when the command has ended
		}
		for _, dir := range t.rules.between(p) {
			if _, taken := want[dir]; !taken {
				want[dir] = writable
			}
		}
		want[p] = readOnly
	}
	for path, attr := range want {
		fd, err := take(path, attr)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) { // a link that came later opens nothing
			continue
		}
		if err != nil {
			return err
		}
		t.grafts = append(t.grafts, graft{at: path, fd: fd})
	}
	return nil
}

// between lists the folders above path that are below its writable folder.
func (r Rules) between(path string) []string {
	var dirs []string
	n := longest(r.Writable, path)
	for dir := filepath.Dir(path); len(dir) > n; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
	}
	return dirs
}

// harmlessDevices are in every cell.
var harmlessDevices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}

func (t *tree) takeDevices() error {
	for _, path := range slices.Concat(harmlessDevices, t.rules.Devices) {
		fd, err := take(path, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return err
		}
		t.grafts = append(t.grafts, graft{at: path, fd: fd})
	}
	if t.rules.Temp == "" {
		return nil
	}
	for _, at := range []string{"/tmp", "/var/tmp"} {
		if _, err := os.Stat(at); err != nil { // a small container has none
			continue
		}
		fd, err := take(t.rules.Temp, writable)
		if err != nil {
			return err
		}
		t.grafts = append(t.grafts, graft{at: at, fd: fd})
	}
	return nil
}

// closeRoot makes everything that is there read-only.
func (t *tree) closeRoot() error {
	if err := setAttr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, readOnly); err != nil {
		return fmt.Errorf("make all files read-only: %w", err)
	}
	return nil
}

// devices makes a /dev with nothing in it but what the rules say.
func (t *tree) devices() error {
	if err := unix.Mount("tmpfs", "/dev", "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=755,size=64k"); err != nil {
		return fmt.Errorf("mount /dev: %w", err)
	}
	t.open = append(t.open, "/dev")
	for _, dir := range []string{"/dev/shm", "/dev/pts", emptyDir} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("make device folder: %w", err)
		}
	}
	if err := os.WriteFile(emptyFile, nil, 0o444); err != nil {
		return fmt.Errorf("make empty file: %w", err)
	}
	if err := unix.Mount("tmpfs", "/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
		return fmt.Errorf("mount /dev/shm: %w", err)
	}
	if err := unix.Mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620"); err != nil {
		return fmt.Errorf("mount /dev/pts: %w", err)
	}
	for name, to := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(to, "/dev/"+name); err != nil {
			return fmt.Errorf("link device: %w", err)
		}
	}
	return nil
}

// What covers something hidden is taken from these.
const (
	emptyDir  = "/dev/.empty"
	emptyFile = "/dev/.nothing"
)

// proc shows the processes of this cell and no others. It is read-only: with
// the user's id 0 the machine's settings could be written otherwise.
func (t *tree) proc() error {
	if !t.alone {
		return nil
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if n := t.rules.Limits.Processes; n > 0 { // kernels before 6.14 have one limit for all namespaces and refuse
		_ = os.WriteFile("/proc/sys/kernel/pid_max", fmt.Appendf(nil, "%d", max(n, leastPIDs)), 0)
	}
	if err := setAttr(unix.AT_FDCWD, "/proc", 0, unix.MOUNT_ATTR_RDONLY); err != nil {
		return fmt.Errorf("make /proc read-only: %w", err)
	}
	return nil
}

// leastPIDs is the least that the kernel takes for the highest process id.
const leastPIDs = 301

// temp hides the machine's temporary files, sockets among them, and shows the
// cell's own.
func (t *tree) temp() error {
	if t.rules.Temp != "" {
		return nil // its grafts cover them
	}
	for _, dir := range []string{"/tmp", "/var/tmp"} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	return nil
}

// hide takes a cover for everything hidden. What has something to be shown
// below gets a folder in memory in which the way there can be made.
func (t *tree) hide() error {
	for _, path := range t.rules.Hidden {
		info, err := os.Lstat(path)
		if err != nil {
			continue
		}
		cover := emptyFile
		if info.IsDir() {
			cover = emptyDir
		}
		if info.IsDir() && t.showsBelow(path) {
			t.grafts = append(t.grafts, graft{at: path, fd: -1, cover: true})
			continue
		}
		fd, err := take(cover, readOnly)
		if err != nil {
			return err
		}
		t.grafts = append(t.grafts, graft{at: path, fd: fd, cover: true})
	}
	return nil
}

func (t *tree) showsBelow(path string) bool {
	return slices.ContainsFunc(t.grafts, func(g graft) bool { return g.at != path && within(path, g.at) })
}

// place puts everything where it goes, what contains before what is contained.
func (t *tree) place() error {
	slices.SortStableFunc(t.grafts, func(a, b graft) int { return strings.Compare(a.at, b.at) })
	for _, g := range t.grafts {
		if err := t.placeOne(g); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) placeOne(g graft) error {
	if g.fd >= 0 {
		defer func() { _ = unix.Close(g.fd) }() // the mount is placed, or of no use
	}
	if _, err := os.Lstat(g.at); err != nil && g.cover { // as below a /tmp of the cell's own
		return nil
	}
	if g.fd < 0 {
		if err := unix.Mount("tmpfs", g.at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
			return fmt.Errorf("cover %s: %w", g.at, err)
		}
		t.open = append(t.open, g.at)
		return nil
	}
	if err := ensure(g.at, g.fd); err != nil {
		return fmt.Errorf("make a place for %s: %w", g.at, err)
	}
	if err := unix.MoveMount(g.fd, "", unix.AT_FDCWD, g.at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount %s: %w", g.at, err)
	}
	return nil
}

// ensure makes an empty file or folder at path, as fd is one, if nothing is
// there: where something above was covered.
func ensure(path string, fd int) error {
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, nil, 0o600)
}

// seal makes read-only what had to be written to on the way.
func (t *tree) seal() error {
	if err := errors.Join(os.Remove(emptyFile), os.Remove(emptyDir)); err != nil {
		return fmt.Errorf("tidy /dev: %w", err)
	}
	for _, dir := range t.open {
		if err := setAttr(unix.AT_FDCWD, dir, 0, unix.MOUNT_ATTR_RDONLY); err != nil {
			return fmt.Errorf("close %s: %w", dir, err)
		}
	}
	return nil
}
