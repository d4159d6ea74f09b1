package gitdir

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// MaxFolders is how many folders are looked into, those that are nearest first.
const MaxFolders = 60_000

// A Finder finds repositories again and again. Its zero value is ready, and it
// is safe for concurrent use.
type Finder struct {
	mu   sync.Mutex
	seen map[string]*folder
}

// A folder is what is known of one while its stamp is the same.
type folder struct {
	stamp stamp
	subs  []string // names of folders
	git   fs.FileMode
	has   bool // there is a .git, of that mode
	bare  bool // git would take it for a repository: links and files do for it, too
}

// passed are folders of packages, which are many, and where nobody works.
var passed = []string{"node_modules", "site-packages", "__pycache__"}

// Find finds the repositories at root and below. It reports false if there were
// more folders than it looks into.
func (f *Finder) Find(root string) (found []Repository, all bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.seen
	f.seen = make(map[string]*folder, len(old))
	queue := []string{root}
	for n := 0; n < len(queue); n++ {
		if n == MaxFolders {
			return found, false
		}
		dir := queue[n]
		known := look(dir, old[dir])
		if known == nil {
			continue
		}
		f.seen[dir] = known
		if known.bare {
			found = f.inside(found, Repository{Kind: Folder, Dir: dir})
		}
		if known.has {
			found = f.at(found, dir, known.git)
		}
		for _, name := range known.subs {
			queue = append(queue, dir+string(filepath.Separator)+name)
		}
	}
	return found, true
}

// at is what a .git of that mode in a folder is.
func (f *Finder) at(found []Repository, top string, mode fs.FileMode) []Repository {
	dir := filepath.Join(top, ".git")
	switch {
	case mode&fs.ModeSymlink != 0:
		return append(found, Repository{Link, dir, top})
	case mode.IsDir():
		return f.inside(found, Repository{Folder, dir, top})
	}
	return append(found, Repository{Pointer, dir, top})
}

// inside adds a repository's folder and what it keeps of submodules and of second
// working trees.
func (f *Finder) inside(found []Repository, r Repository) []Repository {
	found = append(found, r)
	trees, _ := os.ReadDir(filepath.Join(r.Dir, "worktrees")) // most have none
	for _, t := range trees {
		if t.IsDir() {
			found = append(found, Repository{Kind: Tree, Dir: filepath.Join(r.Dir, "worktrees", t.Name())})
		}
	}
	return f.modules(found, filepath.Join(r.Dir, "modules"), 0)
}

// maxDepth is how deep a submodule's name, which is a path, and those of its own
// submodules may be.
const maxDepth = 12

func (f *Finder) modules(found []Repository, dir string, depth int) []Repository {
	entries, err := os.ReadDir(dir)
	if err != nil || depth == maxDepth {
		return found
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		sub := filepath.Join(dir, e.Name())
		if known := look(sub, nil); known != nil && known.bare {
			found = f.inside(found, Repository{Kind: Folder, Dir: sub})
			continue
		}
		found = f.modules(found, sub, depth+1)
	}
	return found
}

// fresh is how long a folder's stamp may stay the same though it changes: clocks
// of file systems tick slowly.
const fresh = 50 * time.Millisecond

// look reads a folder, unless old is what it still is; nil for none.
func look(dir string, old *folder) *folder {
	now := time.Now()
	at, err := stampOf(dir)
	if err != nil {
		return nil
	}
	if old != nil && old.stamp == at {
		return old
	}
	entries, err := readDir(dir)
	if err != nil {
		return nil
	}
	known := &folder{}
	if now.Sub(at.when()) > fresh {
		known.stamp = at
	}
	var head, objects, refs, common bool
	for _, e := range entries {
		switch name := e.Name(); name {
		case ".git":
			known.has, known.git = true, e.Type()
			continue
		case "HEAD":
			head = true
		case "commondir":
			common = true
		case "objects":
			objects = true
		case "refs":
			refs = true
		}
		if e.IsDir() && !slices.Contains(passed, e.Name()) {
			known.subs = append(known.subs, e.Name())
		}
	}
	known.bare = head && (common || objects && refs)
	return known
}

// readDir lists a folder in no order.
func readDir(dir string) ([]fs.DirEntry, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.ReadDir(-1)
}
