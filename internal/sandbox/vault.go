package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// A Vault keeps weights, checkpoints and data sets from getting lost by a
// command or a write: before one runs they are held, at little or no cost, and
// what it overwrote or deleted is kept afterwards. A Vault without a folder
// keeps nothing. It is for one workspace; several processes may share it.
//
// A file is held by a clone where the file system can make one, else by a copy
// if it is small, else by a second link, which outlives deleting and replacing
// but not writing into the file itself.
//
// Its folder has held/KEY/PATH for what is held, kept/TIME/PATH for what is
// kept, and a file in running for each command that has not been settled. Who
// works with it shares a lock; what is held is removed by one who has the lock
// alone, and by nobody if a command was never settled: then it is kept.
type Vault struct {
	Dir string // only its owner can read it

	// Skip names absolute folders whose files are not held, because something
	// else writes there: the OUTPUT_DIRs of running jobs. It is asked before
	// each command, and may be nil.
	Skip func(ctx context.Context) []string
}

// NewVault returns the vault of a workspace: below the folder state, or inside
// the workspace if that is on another disk, to which no link can lead.
func NewVault(state, dir string) Vault {
	if !sameDisk(state, dir) {
		return Vault{Dir: filepath.Join(dir, ".ml-intern", "kept")}
	}
	sum := sha256.Sum256([]byte(dir))
	return Vault{Dir: filepath.Join(state, hex.EncodeToString(sum[:8]))}
}

// sameDisk reports whether a file of one folder could have a second name in
// the other. The folders need not exist yet.
func sameDisk(a, b string) bool {
	infoA, errA := nearest(a)
	infoB, errB := nearest(b)
	return errA != nil || errB != nil || device(infoA) == device(infoB)
}

// nearest is the folder, or the first above it that exists.
func nearest(dir string) (fs.FileInfo, error) {
	for {
		info, err := os.Stat(dir)
		if err == nil || filepath.Dir(dir) == dir {
			return info, err
		}
		dir = filepath.Dir(dir)
	}
}

// Kept is a file that a command overwrote or deleted.
type Kept struct {
	Path string // in the workspace, with slashes
	Copy string // absolute; "" if it could not be kept
	Lost string // why it could not
}

// String says it in one sentence.
func (k Kept) String() string {
	if k.Copy == "" {
		return fmt.Sprintf("%s was overwritten or deleted, and could not be kept: %s", k.Path, k.Lost)
	}
	return fmt.Sprintf("%s was overwritten or deleted; the file from before is %s", k.Path, k.Copy)
}

const (
	writtenInto = "it was written into, and there had been no room for a copy"
	copyGone    = "its copy is gone"
)

// Limits of a vault.
const (
	maxHeldCopy  = 256 << 20 // bytes of a file that is copied
	maxNewCopies = 2 << 30   // bytes copied before one command
	maxHeldBytes = 5 << 30   // of all copies that are held
	maxKeptBytes = 15 << 30  // of all that is kept, but for the newest
	maxWalked    = 50_000    // files of a workspace that are looked at
	keptFor      = 30 * 24 * time.Hour
	keptFormat   = "20060102-150405.000000"
)

// A holding is what a vault holds while one command runs.
type holding struct {
	files   []held
	rescued []Kept // of an earlier command whose process was killed
	lock    *flock.Flock
	mark    string // the file that says that it is not settled
}

// end lets go. What is not settled can be rescued later.
func (h holding) end(settled bool) {
	if settled && h.mark != "" {
		_ = os.Remove(h.mark) // else it is rescued without need
	}
	if h.lock != nil {
		_ = h.lock.Unlock() // closes the file, which unlocks it in any case
	}
}

// hold takes hold of the precious files below dir. What cannot be held, because
// the disk is full or the file changes right now, is not: the command may be
// the one that makes room. The error is that of ctx; who gets none must settle.
func (v Vault) hold(ctx context.Context, dir string) (holding, error) {
	if v.Dir == "" {
		return holding{}, nil
	}
	var without []string
	if v.Skip != nil {
		without = v.Skip(ctx)
	}
	h := holding{files: v.precious(dir, without)}
	if _, err := os.Lstat(v.path("held")); err != nil && len(h.files) == 0 {
		return h, nil // there never was anything
	}
	err := v.prepare(dir)
	if err == nil {
		h.rescued = v.tidy(dir, h.files)
		h.lock, h.mark, err = v.begin(ctx)
	}
	room := roomFor(h.files)
	for i := range h.files {
		if h.files[i].err = err; err == nil && ctx.Err() == nil {
			h.files[i].err = v.take(ctx, dir, h.files[i], &room)
		}
	}
	if ctx.Err() != nil {
		h.end(true)
		return h, context.Cause(ctx)
	}
	h.files = slices.DeleteFunc(h.files, func(f held) bool { return errors.Is(f.err, fs.ErrNotExist) }) // gone since
	return h, nil
}

// path names a part of the vault.
func (v Vault) path(parts ...string) string {
	return filepath.Join(append([]string{v.Dir}, parts...)...)
}

// prepare makes the vault's folders. Git must not see them in a workspace, which
// may have come with links in their places: nothing is kept, nor tidied, through one.
func (v Vault) prepare(dir string) error {
	if err := v.linked(dir); err != nil {
		return err
	}
	for _, part := range []string{"held", "running"} {
		if err := os.MkdirAll(v.path(part), 0o700); err != nil {
			return err
		}
	}
	ignore := v.path(".gitignore")
	if _, err := os.Lstat(ignore); err == nil || !within(dir, v.Dir) {
		return nil
	}
	return os.WriteFile(ignore, []byte("*\n"), 0o600)
}

// linked is an error if a part of a vault in the workspace is a link.
func (v Vault) linked(dir string) error {
	if !within(dir, v.Dir) {
		return nil
	}
	parts := []string{v.path("held"), v.path("kept"), v.path("running"), v.path("lock"), v.path(".gitignore")}
	for p := v.Dir; p != dir && within(dir, p); p = filepath.Dir(p) {
		parts = append(parts, p)
	}
	for _, p := range parts {
		if info, err := os.Lstat(p); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("%s is a link", p)
		}
	}
	return nil
}

// begin locks the vault for a command, beside others.
func (v Vault) begin(ctx context.Context) (*flock.Flock, string, error) {
	lock, err := v.share(ctx)
	if err != nil {
		return nil, "", err
	}
	mark, err := os.CreateTemp(v.path("running"), "")
	if err != nil {
		return nil, "", errors.Join(err, lock.Unlock())
	}
	return lock, mark.Name(), mark.Close()
}

// share waits while another process tidies up, which is short.
func (v Vault) share(ctx context.Context) (*flock.Flock, error) {
	lock := flock.New(v.path("lock"))
	_, err := lock.TryRLockContext(ctx, 10*time.Millisecond)
	return lock, err
}

// save keeps a precious file that is about to be replaced.
func (v Vault) save(ctx context.Context, dir, rel string) (Kept, error) {
	if v.Dir == "" || !isPrecious(rel) {
		return Kept{}, nil
	}
	info, err := os.Lstat(filepath.Join(dir, rel))
	if errors.Is(err, fs.ErrNotExist) || err == nil && (!info.Mode().IsRegular() || info.Size() == 0) {
		return Kept{}, nil
	}
	if err != nil {
		return Kept{}, fmt.Errorf("look at %s: %w", rel, err)
	}
	if err := v.prepare(dir); err != nil {
		return Kept{}, fmt.Errorf("keep a copy of %s: %w", rel, err)
	}
	lock, err := v.share(ctx)
	if err != nil {
		return Kept{}, fmt.Errorf("keep a copy of %s: %w", rel, err)
	}
	defer func() { _ = lock.Unlock() }()
	room := info.Size() // whatever it takes
	h := v.held(rel, info)
	if h.err = v.take(ctx, dir, h, &room); h.err != nil {
		return Kept{}, fmt.Errorf("keep a copy of %s: %w", rel, h.err)
	}
	k, _ := v.keep(h, v.newKept())
	if k.Copy == "" {
		return Kept{}, fmt.Errorf("keep a copy of %s: %s", rel, k.Lost)
	}
	return k, nil
}

// settle keeps what is not as it was held, and says so: first what is lost.
func (v Vault) settle(dir string, h holding) []Kept {
	all, settled := h.rescued, true
	if changed := v.changed(dir, h.files); len(changed) > 0 {
		folder := ""
		for _, f := range changed {
			if folder == "" && f.err == nil {
				folder = v.newKept()
			}
			k, err := v.keep(f, folder)
			all, settled = append(all, k), settled && err == nil
		}
		_ = os.Remove(folder) // if nothing could be kept
	}
	h.end(settled)
	slices.SortStableFunc(all, lostFirst)
	return all
}

func lostFirst(a, b Kept) int {
	switch {
	case (a.Copy == "") == (b.Copy == ""):
		return 0
	case a.Copy == "":
		return -1
	}
	return 1
}

// changed returns the files that are not as they were, nor only moved.
func (v Vault) changed(dir string, before []held) []held {
	var changed []held
	for _, h := range before {
		if now, err := os.Lstat(filepath.Join(dir, h.rel)); err != nil || !unchanged(now, h.info) {
			changed = append(changed, h)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	there := v.precious(dir, nil) // maybe under other names
	return slices.DeleteFunc(changed, func(h held) bool {
		return slices.ContainsFunc(there, func(now held) bool { return unchanged(now.info, h.info) })
	})
}

// keep moves what was held to a folder where a person finds it. The error says
// that this could be tried again.
func (v Vault) keep(h held, folder string) (Kept, error) {
	k := Kept{Path: filepath.ToSlash(h.rel)}
	info, err := os.Lstat(h.object())
	switch {
	case h.err != nil:
		k.Lost = reason(h.err)
	case errors.Is(err, fs.ErrNotExist):
		k.Lost = copyGone
	case err == nil && !intact(h.folder, info):
		k.Lost = writtenInto
	}
	if k.Lost != "" {
		if k.Copy = v.findKept(h); k.Copy != "" { // by another process
			k.Lost = ""
		}
		return k, nil
	}
	to := filepath.Join(folder, h.rel)
	if err = os.MkdirAll(filepath.Dir(to), 0o700); err == nil {
		err = os.Rename(h.object(), to)
	}
	if err != nil {
		k.Lost = reason(err)
		return k, err
	}
	_ = os.RemoveAll(h.folder) // else it is forgotten later
	k.Copy = to
	return k, nil
}

// newKept makes a folder for what one command destroyed. If that fails, so
// will what is moved there.
func (v Vault) newKept() string {
	_ = os.Mkdir(v.path("kept"), 0o700)
	for {
		folder := v.path("kept", time.Now().UTC().Format(keptFormat))
		if err := os.Mkdir(folder, 0o700); !errors.Is(err, fs.ErrExist) {
			return folder
		}
	}
}

// findKept returns where the file is kept already, or "".
func (v Vault) findKept(h held) string {
	folders, _ := os.ReadDir(v.path("kept")) // none: it is not there
	for _, f := range slices.Backward(folders) {
		path := v.path("kept", f.Name(), h.rel)
		if info, err := os.Lstat(path); err == nil && intact(h.folder, info) {
			return path
		}
	}
	return ""
}

// Find returns where a file of that size and time is held or kept, "" if it is
// nowhere: whoever wants it back must copy it.
func (v Vault) Find(rel string, size int64, when time.Time) string {
	if v.Dir == "" {
		return ""
	}
	end := fmt.Sprintf("-%d-%d", size, when.UnixNano())
	for _, part := range []string{"kept", "held"} {
		folders, _ := os.ReadDir(v.path(part)) // none: it is not there
		for _, f := range slices.Backward(folders) {
			path := v.path(part, f.Name(), filepath.FromSlash(rel))
			if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && stamp(info) == end {
				return path
			}
		}
	}
	return ""
}

// reason is the system's word for an error, without our paths.
func reason(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	return err.Error()
}
