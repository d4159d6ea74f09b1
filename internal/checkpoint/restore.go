package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
)

// Apply brings the workspace back to what the plan's checkpoint was. First all
// that is needed is laid beside the workspace's files and checked; only then is
// one of them touched. What is refused makes it fail with ErrRefused, unless it
// is forced; what is lost, then, stays as it is.
func (p *Plan) Apply(ctx context.Context, force bool) (err error) {
	if refused := p.Refused(); len(refused) > 0 && !force {
		return fmt.Errorf("%w: %s", ErrRefused, refused[0].Path)
	}
	unlock, err := p.store.share(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := p.begin()
	if err != nil {
		return fmt.Errorf("prepare to bring files back: %w", err)
	}
	defer func() { err = errors.Join(err, r.end()) }()
	if err := r.stageAll(ctx); err != nil {
		return fmt.Errorf("prepare to bring files back: %w; nothing was changed", err)
	}
	if err := r.check(); err != nil {
		return err
	}
	return r.work()
}

// stage is the folder of the workspace for what is about to be put in place.
const stage = ".ml-intern-rewind"

// A restoring is a plan under way.
type restoring struct {
	*Plan
	packs   *packs
	root    *os.Root
	changes []Change
}

// begin opens the workspace and makes the stage. One that a killed rewind left
// is removed.
func (p *Plan) begin() (*restoring, error) {
	ps, err := openPacks(p.store.path("packs"))
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(p.store.Dir)
	if err != nil {
		return nil, err
	}
	r := &restoring{Plan: p, packs: ps, root: root}
	for _, c := range p.Changes {
		if c.Do != Keep && !c.Lost {
			r.changes = append(r.changes, c)
		}
	}
	if err := errors.Join(root.RemoveAll(stage), root.Mkdir(stage, 0o700)); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return r, nil
}

func (r *restoring) end() error { return errors.Join(r.root.RemoveAll(stage), r.root.Close()) }

// staged names what will be put in place for the i-th change.
func (r *restoring) staged(i int) string { return path.Join(stage, strconv.Itoa(i)) }

// stageAll makes everything that will be put in place.
func (r *restoring) stageAll(ctx context.Context) error {
	var errs []error
	for i, c := range r.changes {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		want := r.want[c.Path]
		if c.Do == Delete || want.kind == Folder || sameContent(want, r.now[c.Path]) {
			continue
		}
		if err := r.stageOne(ctx, c.Path, r.staged(i), want); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.Path, err))
			if !errors.Is(err, ErrDamaged) {
				break
			}
		}
	}
	return errors.Join(errs...)
}

func (r *restoring) stageOne(ctx context.Context, rel, to string, want entry) error {
	switch want.kind {
	case Symlink:
		return r.root.Symlink(want.text, to)
	case Large:
		if err := r.stageLarge(ctx, rel, to, want); err != nil {
			return err
		}
	default:
		data, err := r.packs.get(want.hash)
		if err != nil {
			return err
		}
		if err := r.write(to, func(f *os.File) error { _, err := f.Write(data); return err }); err != nil {
			return err
		}
	}
	return errors.Join(r.root.Chmod(to, want.perm), r.root.Chtimes(to, want.time(), want.time()))
}

func (r *restoring) write(to string, fill func(*os.File) error) error {
	f, err := r.root.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(fill(f), f.Sync(), f.Close())
}

// stageLarge gives what holds a large file a name in the stage. What somebody
// else has kept is cloned or copied: it must not change with the workspace.
func (r *restoring) stageLarge(ctx context.Context, rel, to string, want entry) error {
	from := r.store.held(rel, want)
	if from == "" {
		return errors.New(lostLarge(want))
	}
	dir, err := openFolder(r.store.Dir)
	if err != nil {
		return err
	}
	defer dir.close()
	in, err := dir.sub(stage)
	if err != nil {
		return err
	}
	defer in.close()
	if in.copyIn(from, path.Base(to)) == nil {
		return nil
	}
	if from == r.store.holder(want.hash) && in.adopt(from, path.Base(to)) == nil {
		return nil
	}
	return r.write(to, func(f *os.File) error { return copyFrom(ctx, from, f) })
}

func copyFrom(ctx context.Context, from string, to io.Writer) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	for err == nil {
		if err = context.Cause(ctx); err == nil {
			_, err = io.CopyN(to, src, 8<<20)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// check looks whether everything is still as it was when the plan was made.
func (r *restoring) check() error {
	for _, c := range r.changes {
		now := r.now[c.Path]
		if now.kind == 0 && r.unreachable(c.Path) {
			continue
		}
		info, err := r.root.Lstat(c.Path)
		if now.kind == 0 && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || now.kind == 0 || !looksLike(info, now) {
			return fmt.Errorf("%w: %s has just been changed; nothing was touched", ErrRefused, c.Path)
		}
	}
	return nil
}

// unreachable reports whether something else is where a folder must be: a link
// may even lead to a file of that name.
func (r *restoring) unreachable(rel string) bool {
	for above := range ancestors(rel) {
		if k := r.now[above].kind; k != 0 && k != Folder {
			return true
		}
	}
	return false
}

func looksLike(info fs.FileInfo, e entry) bool {
	switch e.kind {
	case File, Large:
		return info.Mode().IsRegular() && info.Size() == e.size && info.ModTime().UnixNano() == e.mtime
	case Folder:
		return info.IsDir()
	case Symlink:
		return info.Mode().Type() == fs.ModeSymlink
	}
	return true // what is left out is judged by nobody
}

// work changes the workspace: first what must go, the deepest first, then
// folders, then what is put in place, last the modes of folders.
func (r *restoring) work() error {
	for i := range slices.Backward(r.changes) {
		if err := r.remove(r.changes[i]); err != nil {
			return fmt.Errorf("bring back: %w", err)
		}
	}
	for i, c := range r.changes {
		if err := r.put(c, i); err != nil {
			return fmt.Errorf("bring back %s: %w", c.Path, err)
		}
	}
	for _, c := range slices.Backward(r.changes) {
		if want := r.want[c.Path]; want.kind == Folder {
			if err := r.root.Chmod(c.Path, want.perm); err != nil {
				return fmt.Errorf("bring back %s: %w", c.Path, err)
			}
		}
	}
	return nil
}

// remove removes what was not there, or was something else. A folder with
// something in it that stays, stays.
func (r *restoring) remove(c Change) error {
	want, now := r.want[c.Path], r.now[c.Path]
	if now.kind == 0 || now.kind == LeftOut || want.kind != 0 && (want.kind == Folder) == (now.kind == Folder) {
		return nil
	}
	err := r.root.Remove(c.Path)
	if errors.Is(err, fs.ErrNotExist) || c.Do == Delete && now.kind == Folder {
		return nil
	}
	return err
}

func (r *restoring) put(c Change, i int) error {
	want := r.want[c.Path]
	switch {
	case c.Do == Delete:
		return nil
	case want.kind == Folder:
		return r.root.MkdirAll(c.Path, 0o700)
	case sameContent(want, r.now[c.Path]):
		return r.root.Chmod(c.Path, want.perm)
	}
	if dir := path.Dir(c.Path); dir != "." {
		if err := r.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return r.root.Rename(r.staged(i), c.Path)
}
