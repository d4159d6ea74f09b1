package caches

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	slash "path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// What Trim looks at and leaves.
const (
	maxSeen = 2_000_000      // names: beyond that nothing is removed
	recent  = 24 * time.Hour // who was used since then stays
	slack   = 10             // a tenth more than must be goes, so that it is not every day
	trash   = ".trash-"      // begins the name of a folder with what is on its way out
)

// shelves are the folders whose entries go one by one. Everything else goes as a
// whole, since what programs keep there belongs together.
var shelves = []string{".", "huggingface", "huggingface/hub", "huggingface/datasets", "huggingface/modules", "torch", "torch/hub", "torch/hub/checkpoints", "torch_extensions", "triton"}

// lasting is what is no cache though it is here: the runs of Trackio.
var lasting = []string{"huggingface/trackio", "huggingface/accelerate"}

// An item goes or stays as a whole.
type item struct {
	path  string // below Dir
	bytes int64
	used  time.Time // the last time that something in it was read or written
}

// moment is more than it takes to move things out of the way.
const moment = 5 * time.Second

// Use says that commands may use the caches until release is called: meanwhile
// nothing is removed.
func (c Caches) Use(ctx context.Context) (release func()) {
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	lock := flock.New(c.Dir + ".lock")                               // beside it: commands write what is in it
	if _, err := lock.TryRLockContext(ctx, moment/500); err != nil { // then what the command wants may go, and is fetched anew
		return func() {}
	}
	return func() { _ = lock.Close() }
}

// Trim removes what was not used for the longest time until the rest is no more
// than that, but nothing that was used within a day, nor anything while somebody
// uses the caches or busy says that a job does. What it removed is fetched anew.
func (c Caches) Trim(ctx context.Context, most int64, busy func() bool) (freed int64, err error) {
	root, err := os.OpenRoot(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("open caches: %w", err)
	}
	defer root.Close()
	items, total, err := find(ctx, root.FS())
	if err != nil {
		return 0, err
	}
	var leave []item
	for _, it := range items {
		if over := total - freed - most; over <= 0 || freed > 0 && freed >= total-most+most/slack {
			break
		}
		if time.Since(it.used) > recent {
			leave = append(leave, it)
			freed += it.bytes
		}
	}
	old, _ := fs.Glob(root.FS(), trash+"*") // of a process that was killed; the pattern is good
	if len(leave) > 0 {
		bin, err := c.takeOut(root, leave, busy)
		if err != nil || bin == "" {
			return 0, err
		}
		old = append(old, bin)
	}
	for _, name := range old {
		err = errors.Join(err, ctx.Err(), root.RemoveAll(name))
	}
	if err != nil {
		return freed, fmt.Errorf("trim caches: %w", err)
	}
	return freed, nil
}

// takeOut moves items to where no command looks, at one moment at which nobody
// uses them; "" if there is none now.
func (c Caches) takeOut(root *os.Root, items []item, busy func() bool) (bin string, err error) {
	lock := flock.New(c.Dir + ".lock")
	if ok, err := lock.TryLock(); err != nil || !ok {
		return "", err
	}
	defer lock.Close() //nolint:errcheck // closing it frees it
	if busy() {
		return "", nil
	}
	bin = trash + time.Now().UTC().Format("20060102-150405.000000")
	err = root.Mkdir(bin, 0o700)
	for i, it := range items {
		if e := root.Rename(it.path, filepath.Join(bin, fmt.Sprint(i))); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return bin, fmt.Errorf("trim caches: %w", err)
	}
	return bin, nil
}

// find finds all that may go, with those first that were not used for longest, and
// its size.
func find(ctx context.Context, root fs.FS) (items []item, total int64, err error) {
	seen := 0
	for _, shelf := range shelves {
		entries, _ := fs.ReadDir(root, shelf) // none, a file, or a link that leads out
		for _, e := range entries {
			path := slash.Join(shelf, e.Name())
			if slices.Contains(shelves, path) || slices.Contains(lasting, path) || strings.HasPrefix(path, trash) {
				continue
			}
			it := item{path: filepath.FromSlash(path)}
			if err := it.measure(ctx, root, path, &seen); err != nil {
				return nil, 0, fmt.Errorf("look at caches: %w", err)
			}
			items, total = append(items, it), total+it.bytes
		}
	}
	slices.SortStableFunc(items, func(a, b item) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.path, b.path)) })
	return items, total, nil
}

var errMany = errors.New("there are too many files")

// measure follows no links, so what is the person's counts nothing.
func (it *item) measure(ctx context.Context, root fs.FS, path string, seen *int) error {
	return fs.WalkDir(root, path, func(_ string, d fs.DirEntry, err error) error {
		if *seen++; *seen > maxSeen {
			return errMany
		}
		if err != nil || ctx.Err() != nil {
			return ctx.Err() //nolint:wrapcheck // what goes at this moment is not counted
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // likewise
		}
		if info.Mode().IsRegular() {
			it.bytes += info.Size()
		}
		if used := lastUse(info); used.After(it.used) {
			it.used = used
		}
		return nil
	})
}
