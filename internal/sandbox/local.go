package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ml-intern/internal/confine"
)

// Local is a Sandbox in a folder of this machine.
type Local struct {
	Dir   string   // the workspace, absolute
	Env   []string // of commands; see Environ
	Vault Vault

	// Cells confine commands. With nil nothing does.
	Cells *confine.Cells

	// Refused says what commands were refused on the network since a time; may be nil.
	Refused func(since time.Time) []string

	// Ready is called before each command, and what it returns after it; may be nil.
	Ready func(ctx context.Context) (done func())

	Hidden []string // absolute paths of files and folders that may be neither read nor written
	Shown  []string // folders below hidden ones that may be read
	Copies []string // folders below hidden ones where files of workspaces have second names: those are no keys
	Locked []string // paths in the workspace, with slashes, that may be read and not written
}

var _ Sandbox = Local{}

// Confinement says in words what holds a command back, "" for nothing.
func (l Local) Confinement() string {
	if l.Cells == nil {
		return ""
	}
	return l.Cells.String()
}

// Exec implements Sandbox. The command gets its own process group and no
// standard input. The group is killed when the command ends, times out or ctx
// is canceled: what should live on is a job.
func (l Local) Exec(ctx context.Context, cmd Command) (Output, error) {
	before, err := l.Vault.hold(ctx, l.Dir) // takes its own time, not the command's
	if err != nil {
		return Output{Kept: before.rescued}, err
	}
	out, err := l.run(ctx, cmd)
	out.Kept = l.Vault.settle(l.Dir, before)
	return out, err
}

func (l Local) run(ctx context.Context, cmd Command) (Output, error) {
	if l.Ready != nil {
		defer l.Ready(ctx)()
	}
	if cmd.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, cmd.Timeout, errTimeout)
		defer cancel()
	}
	c := shell(cmd.Line)
	c.Dir, c.Env = l.Dir, l.Env
	start := time.Now()
	captured := &Capture{Log: cmd.Log, Raw: cmd.Raw}
	result, err := l.start(ctx, c, captured)
	out := Output{Text: captured.String(), Code: result.Code, Notes: result.Notes, Seconds: time.Since(start).Seconds()}
	out.Notes = append(out.Notes, l.explain(start, out)...)
	if cause := context.Cause(ctx); cause != nil && err == nil {
		out.TimedOut = errors.Is(cause, errTimeout)
		if !out.TimedOut {
			return out, cause
		}
	}
	return out, err
}

// explain says what the walls had to do with how a command ended.
func (l Local) explain(start time.Time, out Output) []string {
	if l.Cells == nil {
		return nil
	}
	if l.Refused != nil {
		if refused := l.Refused(start); len(refused) > 0 {
			return refused[:min(len(refused), maxRefused)]
		}
	}
	if out.Code == 0 {
		return nil
	}
	return l.Cells.Explain(out.Text)
}

// maxRefused is how many refusals the model is told of after one command.
const maxRefused = 5

var errTimeout = errors.New("the command timed out")

// Resolve implements Sandbox.
func (l Local) Resolve(path string) (abs string, inside bool) {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			path = filepath.Join(home, rest)
		}
	}
	abs = filepath.Clean(path)
	if !filepath.IsAbs(path) {
		abs = filepath.Join(l.Dir, path)
	}
	real := abs
	if r, err := filepath.EvalSymlinks(abs); err == nil {
		real = r
	}
	return abs, within(l.Dir, abs) && (real == abs || within(realDir(l.Dir), real))
}

func realDir(dir string) string {
	if r, err := filepath.EvalSymlinks(dir); err == nil {
		return r
	}
	return dir
}

func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// ReadFile implements Sandbox.
func (l Local) ReadFile(_ context.Context, path string, max int64) ([]byte, error) {
	f, err := l.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if info.Size() > max {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that can be read at once", path, info.Size(), max)
	}
	data, err := io.ReadAll(io.LimitReader(f, max))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return data, nil
}

// readable replaces the system's words for the common cases.
func readable(err error, path string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no file %s: %w", path, fs.ErrNotExist)
	}
	return fmt.Errorf("read %s: %w", path, err)
}

// WriteFile implements Sandbox. It goes through os.Root, so that no symbolic
// link leads out of the workspace, and keeps the mode of a file that exists.
func (l Local) WriteFile(ctx context.Context, path string, data []byte) (Kept, error) {
	if err := whole(path); err != nil {
		return Kept{}, fmt.Errorf("write %q: %w", path, err)
	}
	abs, _ := l.Resolve(path)
	rel, err := filepath.Rel(l.Dir, abs)
	if err != nil || !filepath.IsLocal(rel) {
		return Kept{}, fmt.Errorf("%s is outside the workspace %s, where nothing may be written", path, l.Dir)
	}
	root, err := os.OpenRoot(l.Dir)
	if err != nil {
		return Kept{}, fmt.Errorf("open workspace: %w", err)
	}
	defer root.Close()
	folder, err := l.folder(root, rel)
	if err != nil {
		return Kept{}, fmt.Errorf("write %s: %w", path, err)
	}
	defer folder.Close()
	kept, err := l.Vault.save(ctx, l.Dir, rel)
	if err != nil {
		return Kept{}, fmt.Errorf("write %s: %w; it was not touched", path, err)
	}
	if err := replace(folder, filepath.Base(rel), data); err != nil {
		return Kept{}, fmt.Errorf("write %s: %w", path, err)
	}
	return kept, nil
}

// folder opens the folder of a file that is to be written, and makes it if it
// is not there. What is written through it lands there, whatever becomes of the
// links that led to it.
func (l Local) folder(root *os.Root, rel string) (*os.Root, error) {
	there, below, err := deepest(root, rel)
	if err != nil {
		return nil, err
	}
	if err := l.writable(there, below); err != nil {
		return nil, errors.Join(err, there.Close())
	}
	dir := filepath.Dir(below)
	if dir == "." {
		return there, nil
	}
	defer there.Close()
	if err := there.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	folder, err := there.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	if err := l.writable(folder, filepath.Base(rel)); err != nil { // somebody was faster
		return nil, errors.Join(err, folder.Close())
	}
	return folder, nil
}

// deepest opens the deepest folder on the way to rel that exists. It returns
// what is left of the way.
func deepest(root *os.Root, rel string) (there *os.Root, below string, err error) {
	for at := filepath.Dir(rel); ; at = filepath.Dir(at) {
		there, err := root.OpenRoot(at)
		if errors.Is(err, fs.ErrNotExist) && at != "." {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		below, err := filepath.Rel(at, rel)
		return there, below, err
	}
}

// MayWrite says why nothing may be written at a path, nil if it may be.
func (l Local) MayWrite(path string) error {
	abs, _ := l.Resolve(path)
	rel, err := filepath.Rel(l.Dir, abs)
	if err != nil || !filepath.IsLocal(rel) {
		return fmt.Errorf("%s is outside the workspace", path)
	}
	root, err := os.OpenRoot(l.Dir)
	if err != nil {
		return fmt.Errorf("open workspace: %w", err)
	}
	defer root.Close()
	there, below, err := deepest(root, rel)
	if err != nil {
		return err
	}
	return errors.Join(l.writable(there, below), there.Close())
}

// writable says why the path below the folder may not be written, nil if it may.
func (l Local) writable(folder *os.Root, below string) error {
	f, err := folder.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	real, err := realPath(f)
	if err != nil {
		return err
	}
	abs := filepath.Join(real, below)
	if err := l.private(abs); err != nil {
		return err
	}
	rel, err := filepath.Rel(realDir(l.Dir), abs)
	if err != nil {
		return err
	}
	if err := errors.Join(l.locked(rel), ofRepository(rel, filepath.Dir(abs))); err != nil {
		return err
	}
	if l.Cells != nil && l.Cells.Protects(abs) {
		return fmt.Errorf("%w: programs may run it, and only a person writes it", ErrPrivate)
	}
	return nil
}

func replace(folder *os.Root, name string, data []byte) error {
	mode, known := fs.FileMode(0o644), false
	switch info, err := folder.Lstat(name); {
	case err == nil && info.IsDir():
		return errors.New("it is a folder")
	case err == nil && info.Mode()&fs.ModeSymlink != 0:
		return errors.New("it is a symbolic link; write the file that it names")
	case err == nil && !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case err == nil:
		mode, known = info.Mode().Perm(), true
	}
	tmp := fmt.Sprintf("%s.%d.tmp", name, time.Now().UnixNano())
	f, err := folder.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if known {
		err = errors.Join(err, f.Chmod(mode)) // the umask has taken its part
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = folder.Rename(tmp, name)
	}
	if err != nil {
		return errors.Join(err, folder.Remove(tmp))
	}
	return nil
}
