package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"
)

// room is what the quota leaves for new packs of this store.
func (s Store) room() (int64, error) {
	used, err := s.used()
	return max(s.Quota-used, 0), err
}

// used is what the packs of all stores take.
func (s Store) used() (int64, error) {
	stores, err := os.ReadDir(filepath.Dir(s.Home))
	total := int64(0)
	for _, e := range stores {
		total += sizes(filepath.Join(filepath.Dir(s.Home), e.Name(), "packs"), func(os.FileInfo) bool { return true })
	}
	return total, err
}

// sizes sums the files of a folder that count. One that cannot be read counts
// nothing.
func sizes(dir string, count func(os.FileInfo) bool) int64 {
	entries, _ := os.ReadDir(dir) // none: there is no folder
	total := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && count(info) {
			total += info.Size()
		}
	}
	return total
}

// prune removes the oldest checkpoints, of any workspace, until what is left
// takes no more than the goal: all but the newest of a session that somebody
// works in.
func (s Store) prune(ctx context.Context, goal int64) error {
	for batch := 1; ; batch *= 2 {
		used, err := s.used()
		if err != nil || used <= goal {
			return err
		}
		old, err := s.oldest(batch)
		if err != nil || len(old) == 0 {
			return err
		}
		var homes []string
		for _, r := range old {
			if err := os.Remove(r.path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("remove an old checkpoint: %w", err)
			}
			homes = append(homes, filepath.Dir(filepath.Dir(filepath.Dir(r.path))))
		}
		slices.Sort(homes)
		for _, home := range slices.Compact(homes) {
			if err := s.sibling(home).collect(ctx); err != nil {
				return err
			}
		}
	}
}

// release lets go of large files that the workspace has no more, when they are
// too much: first those that only the oldest checkpoints have. The others are
// those that are there.
func (s Store) release(ctx context.Context, there map[Hash]bool) error {
	alive := make(map[string]bool, len(there))
	for h := range there {
		alive[filepath.Base(s.holder(h))] = true
	}
	spare := sizes(s.Holds, func(info os.FileInfo) bool { return !alive[info.Name()] })
	if spare <= s.Spare {
		return nil
	}
	all, err := s.records()
	if err != nil {
		return err
	}
	ps, err := openPacks(s.path("packs"))
	if err != nil {
		return err
	}
	free := firstFree(all, len(all), s.Live)
	bound := needs{packs: ps, objects: make(map[Hash]bool), holds: alive}
	for _, r := range all {
		if !slices.Contains(free, r) {
			err = errors.Join(err, bound.tree(ctx, r.id, 0))
		}
	}
	for _, name := range oldestHolds(ctx, ps, free, bound.holds) {
		info, err := os.Lstat(filepath.Join(s.Holds, name))
		if err == nil && spare > s.Spare && os.Remove(filepath.Join(s.Holds, name)) == nil {
			spare -= info.Size()
		}
	}
	return err
}

// oldestHolds lists what the records hold, but for what is bound: first what no
// newer record has.
func oldestHolds(ctx context.Context, ps *packs, records []record, bound map[string]bool) []string {
	var names []string
	for _, r := range slices.Backward(records) {
		n := needs{packs: ps, objects: make(map[Hash]bool), holds: make(map[string]bool)}
		_ = n.tree(ctx, r.id, 0) // what cannot be read holds nothing
		for name := range n.holds {
			if !bound[name] && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Reverse(names)
	return names
}

// sibling is the store of another workspace, or this one. Of one on another disk
// the large files are not seen: they are tidied when it is used next.
func (s Store) sibling(home string) Store {
	if home != s.Home {
		s.Home = home
		s.Holds = s.path("large")
	}
	return s
}

// oldest lists the n oldest records that may go.
func (s Store) oldest(n int) ([]record, error) {
	homes, err := readFolder(filepath.Dir(s.Home))
	if err != nil {
		return nil, err
	}
	var all []record
	for _, home := range homes {
		records, err := s.sibling(filepath.Join(filepath.Dir(s.Home), home)).records()
		if err != nil {
			return nil, err
		}
		all = append(all, records...)
	}
	slices.SortFunc(all, oldestFirst)
	return firstFree(all, n, s.Live), nil
}

// firstFree returns the first n records but for those that live sessions need:
// the newest from before a turn, and all since.
func firstFree(all []record, n int, live func(string) bool) []record {
	newest, alive := make(map[string]string), make(map[string]bool)
	for _, r := range all {
		if _, asked := alive[r.session]; !asked {
			alive[r.session] = live != nil && live(r.session)
		}
		if name := filepath.Base(r.path); r.kind == Before || newest[r.session] == "" {
			newest[r.session] = name
		}
	}
	var free []record
	for _, r := range all {
		if len(free) < n && (!alive[r.session] || filepath.Base(r.path) < newest[r.session]) {
			free = append(free, r)
		}
	}
	return free
}

// collect removes what no record needs, unless somebody uses the store: then
// somebody else will.
func (s Store) collect(ctx context.Context) error {
	lock := flock.New(s.path("lock"), flock.SetPermissions(0o600))
	if locked, err := lock.TryLock(); err != nil || !locked {
		return err
	}
	defer func() { _ = lock.Unlock() }()
	s.clean()
	ps, err := openPacks(s.path("packs"))
	if err != nil {
		return fmt.Errorf("read checkpoints: %w", err)
	}
	all, err := s.records()
	if err != nil {
		return fmt.Errorf("read checkpoints: %w", err)
	}
	need := needs{packs: ps, objects: make(map[Hash]bool), holds: make(map[string]bool)}
	for _, r := range all {
		if err := need.tree(ctx, r.id, 0); err != nil {
			return err
		}
	}
	for _, e := range list(s.Holds) {
		if e != ".gitignore" && !need.holds[e] {
			_ = os.Remove(filepath.Join(s.Holds, e)) // else next time
		}
	}
	return s.repack(ctx, ps, need.objects)
}

// clean removes what a killed process left half written.
func (s Store) clean() {
	for _, dir := range []string{s.Home, s.path("packs"), s.Holds} {
		for _, name := range list(dir) {
			if strings.HasSuffix(name, ".tmp") {
				_ = os.Remove(filepath.Join(dir, name)) // else next time
			}
		}
	}
}

// list names what is in a folder, nothing if it cannot be read.
func list(dir string) []string {
	names, _ := readFolder(dir)
	return names
}

// needs is what records need.
type needs struct {
	packs   *packs
	objects map[Hash]bool
	holds   map[string]bool
}

// tree adds a tree and all that it names. What is damaged needs nothing more.
func (n needs) tree(ctx context.Context, h Hash, depth int) error {
	if n.objects[h] || depth > maxDepth {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	n.objects[h] = true
	t, err := n.packs.tree(h)
	if err != nil {
		return nil //nolint:nilerr // whoever wants to bring it back will be told
	}
	for _, e := range t.entries {
		switch e.kind {
		case File:
			n.objects[e.hash] = true
		case Large:
			n.holds[filepath.Base(Store{}.holder(e.hash))] = true
		case Folder:
			if err := n.tree(ctx, e.hash, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// Packs are written anew when less than half of them is needed, and small ones
// when there are many.
const (
	manyPacks = 40
	smallPack = 4 << 20
)

// repack leaves the objects that are needed, in as few packs as is cheap.
func (s Store) repack(ctx context.Context, ps *packs, need map[Hash]bool) error {
	dir := s.path("packs")
	var rewrite []*pack
	gone := 0
	for _, p := range ps.list {
		total, needed := p.weigh(need)
		switch {
		case needed == 0:
			gone++
			rewrite = append(rewrite, p)
		case p.isBulk() || needed < total/2 || len(ps.list) > manyPacks && p.size < smallPack:
			rewrite = append(rewrite, p)
		}
	}
	if len(rewrite) == 0 {
		return nil
	}
	names, err := packNames(dir)
	if err != nil {
		return err
	}
	cached := loadCache(s.path("cache"), names)
	_ = os.Remove(s.path("cache")) // it vouches for what is about to go; without it all is read again
	if gone < len(rewrite) {
		if err := s.copyObjects(ctx, ps, rewrite, need); err != nil {
			return fmt.Errorf("tidy checkpoints: %w", err)
		}
	}
	for _, p := range rewrite {
		if err := os.Remove(filepath.Join(dir, p.name)); err != nil {
			return fmt.Errorf("tidy checkpoints: %w", err)
		}
	}
	if names, err = packNames(dir); err != nil {
		return err
	}
	return cached.only(need).save(s.path("cache"), names)
}

// isBulk reports whether a pack was written in a hurry, and is not so large
// that writing it well would keep somebody waiting.
func (p *pack) isBulk() bool { return strings.HasPrefix(p.name, bulkPrefix) && p.size <= mostBulk }

// hasBulk reports whether there is such a pack.
func (s Store) hasBulk() bool {
	return slices.ContainsFunc(list(s.path("packs")), func(name string) bool {
		info, err := os.Lstat(s.path("packs", name))
		return err == nil && (&pack{name: name, size: info.Size()}).isBulk()
	})
}

// weigh sums the bytes of a pack's objects, and of those that are needed.
func (p *pack) weigh(need map[Hash]bool) (total, needed int64) {
	for i := range p.count {
		h, at := p.entry(i)
		total += int64(at.len)
		if need[h] {
			needed += int64(at.len)
		}
	}
	return total, needed
}

// copyObjects writes a pack of what is needed of others. What is damaged is not
// taken along.
func (s Store) copyObjects(ctx context.Context, ps *packs, from []*pack, need map[Hash]bool) error {
	w := newPacker(s.path("packs"), func(Hash) bool { return false })
	w.room, w.tight = 1<<62, true
	defer w.drop()
	b := w.borrow()
	defer w.giveBack(b)
	for _, p := range from {
		for _, i := range p.inOrder() {
			h, at := p.entry(i)
			if !need[h] {
				continue
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			data, err := ps.read(p, at)
			if err != nil {
				continue
			}
			start := len(b.data)
			b.data = append(b.data, data...)
			if _, _, err := w.add(b, start); err != nil {
				return err
			}
		}
	}
	_, err := w.finish()
	return err
}

// inOrder lists a pack's objects as they lie in it, so that each block is read
// once.
func (p *pack) inOrder() []int {
	order := make([]int, p.count)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		_, x := p.entry(a)
		_, y := p.entry(b)
		if x.block != y.block {
			return int(min(max(int64(x.block)-int64(y.block), -1), 1))
		}
		return int(x.start) - int(y.start)
	})
	return order
}
