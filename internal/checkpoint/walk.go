package checkpoint

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Bounds of a walk. A workspace beyond them has no checkpoints: to make one
// would keep the person waiting.
const (
	maxFiles  = 200_000          // names
	maxWhole  = 4 << 20          // bytes of a file that is kept whole
	softFresh = 256 << 20        // bytes newly kept, after which only small files are kept whole
	smallFile = 64 << 10         // bytes of such a one
	maxFresh  = 1 << 30          // bytes newly kept, after which it is given up
	maxWait   = 10 * time.Second // for all of it
)

// ErrTooLarge says that a workspace is beyond the bounds.
var ErrTooLarge = errors.New("the workspace is too large for checkpoints")

// Counts say what a checkpoint has.
type Counts struct {
	Files   int            // kept whole
	Bytes   int64          // of them
	Large   int            // held by a clone or a link
	Unheld  int            // large and not held: known by size and time only
	LeftOut map[string]int // by reason; a folder counts once
}

// A walker goes through a workspace once.
type walker struct {
	store   Store
	look    bool             // to compare only: nothing is kept
	also    map[string]entry // what is looked at whatever the rules say
	skip    map[string]bool  // paths that are left out
	before  *cache
	record  recorder
	pack    *packer
	dev     uint64
	times   bool // those of folders tell whether their names have changed
	buffers sync.Pool
	slots   chan struct{} // of the folders that are read beside others

	names, fresh atomic.Int64
	mu           sync.Mutex
	counts       Counts
	holds        map[Hash]bool // what the large files are held by
}

// A spot is where in the workspace a folder is.
type spot struct {
	rel    string
	key    uint64
	ignore *ignore
	depth  int
	only   bool // the rules leave it out: nothing in it counts but what is looked at whatever they say
}

func (at spot) in(name string) spot {
	rel := name
	if at.rel != "" {
		rel = at.rel + "/" + name
	}
	return spot{rel, pathKey(at.key, name), at.ignore.in(name), at.depth + 1, at.only}
}

// walk reads the workspace and returns its tree.
func (w *walker) walk(ctx context.Context) (*tree, Hash, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxWait, fmt.Errorf("%w: reading it took longer than %v", ErrTooLarge, maxWait))
	defer cancel()
	w.slots = make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	w.counts.LeftOut, w.holds = make(map[string]int), make(map[Hash]bool)
	root, err := openFolder(w.store.Dir)
	if err != nil {
		return nil, Hash{}, err
	}
	defer root.close()
	self, err := root.self()
	if err != nil {
		return nil, Hash{}, err
	}
	w.dev, w.times = self.dev, root.telling()
	t, _, err := w.folder(ctx, root, spot{ignore: ignoredAbove(w.store.Dir)})
	if err != nil {
		return nil, Hash{}, err
	}
	h, err := w.keepTree(t)
	return t, h, err
}

// folder reads one folder and those below, or says why it is left out.
func (w *walker) folder(ctx context.Context, dir folder, at spot) (*tree, string, error) {
	names, err := w.list(dir, at)
	if err != nil {
		return nil, reasonUnreadable, short(err)
	}
	if w.names.Add(int64(len(names))) > maxFiles {
		return nil, "", fmt.Errorf("%w: it has more than %d files; leave out folders by .gitignore", ErrTooLarge, maxFiles)
	}
	if at.depth > 0 && marked(names) {
		if w.also[at.rel].kind != Folder {
			return nil, reasonHeavy, nil
		}
		at.only = true
	}
	w.readIgnore(dir, &at, names)
	t := &tree{entries: make([]entry, 0, len(names))}
	subs, only, err := w.files(ctx, dir, at, names, t)
	if err != nil {
		return nil, "", err
	}
	return t, "", w.below(ctx, dir, at, t, subs, only)
}

// readIgnore reads the folder's .gitignore. In a repository of its own nothing
// from above holds.
func (w *walker) readIgnore(dir folder, at *spot, names []string) {
	if _, nested := slices.BinarySearch(names, ".git"); nested && at.depth > 0 {
		at.ignore = &ignore{}
	}
	if _, there := slices.BinarySearch(names, ".gitignore"); there {
		if text, _, err := dir.read(".gitignore", maxIgnore, nil); err == nil && len(text) <= maxIgnore {
			at.ignore.add(string(text))
		}
	}
}

// files puts the entries of a folder into its tree, and returns the places of
// those that are folders, and the names of those that the rules leave out.
func (w *walker) files(ctx context.Context, dir folder, at spot, names []string, t *tree) (subs []int, only map[string]bool, err error) {
	v := &visit{walker: w, dir: dir, at: at, hits: make([]uint32, 0, len(names))}
	defer v.end()
	for _, name := range names {
		st, err := dir.stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		e := entry{name: name, kind: LeftOut, text: reasonUnreadable}
		if err == nil {
			e, err = v.entry(name, st)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := short(err); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", at.in(name).rel, err)
		}
		if e.kind == Folder {
			subs = append(subs, len(t.entries))
		}
		t.entries = append(t.entries, e)
	}
	return subs, v.only, context.Cause(ctx)
}

// short returns an error that is of the program or the machine, such as too
// many open files, and not of what is read.
func short(err error) error {
	for _, errno := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOSPC, syscall.EDQUOT, ErrTooLarge, ErrQuota} {
		if errors.Is(err, errno) {
			return err
		}
	}
	return nil
}

// below reads the folders in a folder, some beside each other.
func (w *walker) below(ctx context.Context, dir folder, at spot, t *tree, subs []int, only map[string]bool) error {
	if len(subs) == 0 {
		return nil
	}
	trees, reasons, errs := make([]*tree, len(subs)), make([]string, len(subs)), make([]error, len(subs))
	var wg sync.WaitGroup
	for i, sub := range subs {
		name := t.entries[sub].name
		next := at.in(name)
		next.only = at.only || only[name]
		read := func() { trees[i], reasons[i], errs[i] = w.open(ctx, dir, next, name) }
		select {
		case w.slots <- struct{}{}:
			wg.Go(func() { read(); <-w.slots })
		default:
			read()
		}
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return slices.DeleteFunc(errs, func(err error) bool { return err == nil })[0]
	}
	return w.join(t, subs, trees, reasons)
}

// join puts the trees below into a tree.
func (w *walker) join(t *tree, subs []int, trees []*tree, reasons []string) error {
	if w.look {
		t.below = make(map[string]*tree, len(subs))
	}
	for i, sub := range subs {
		e := &t.entries[sub]
		if reasons[i] != "" {
			*e = entry{name: e.name, kind: LeftOut, text: reasons[i]}
			w.count(func(c *Counts) { c.LeftOut[reasons[i]]++ })
			continue
		}
		h, err := w.keepTree(trees[i])
		if err != nil {
			return err
		}
		if e.hash = h; w.look { // else nobody wants to see them
			t.below[e.name] = trees[i]
		}
	}
	return nil
}

// open reads a folder below.
func (w *walker) open(ctx context.Context, dir folder, at spot, name string) (*tree, string, error) {
	if at.depth > maxDepth {
		return nil, reasonDeep, nil
	}
	sub, err := dir.sub(name)
	if err != nil {
		return nil, reasonUnreadable, short(err)
	}
	defer sub.close()
	return w.folder(ctx, sub, at)
}

func (w *walker) count(do func(*Counts)) {
	w.mu.Lock()
	do(&w.counts)
	w.mu.Unlock()
}

// keepTree keeps a folder's list and returns its name.
func (w *walker) keepTree(t *tree) (Hash, error) {
	b := w.pack.borrow()
	defer w.pack.giveBack(b)
	start := len(b.data)
	b.data = t.encode(b.data)
	h := Hash(sha256.Sum256(b.data[start:]))
	known := w.before.hasTree(h)
	if known {
		b.data = b.data[:start]
	} else if _, _, err := w.pack.add(b, start); err != nil {
		return h, err
	}
	w.record.addTree(h, !known)
	return h, nil
}
