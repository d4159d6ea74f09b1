package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Point is a checkpoint of the session that is brought back, Before or After.
type Point struct {
	Kind string
	ID   Hash

	// Target is, of a Before, the checkpoint that was to be brought back then:
	// what is as it has it, the session did. Zero before a turn.
	Target Hash
}

// What becomes of a path.
const (
	Add    = "add"    // it comes back
	Put    = "change" // it becomes what it was
	Delete = "delete" // it was not there
	Keep   = "keep"   // it is the person's own and stays
)

// A Change is what a rewind does to one path.
type Change struct {
	Path    string `json:"path"` // with slashes
	Do      string `json:"do"`
	Folder  bool   `json:"folder,omitempty"`
	Size    int64  `json:"size"`              // that it will have
	OldSize int64  `json:"old_size"`          // that it has
	Refused string `json:"refused,omitempty"` // why it must not be done
	Lost    bool   `json:"lost,omitempty"`    // and cannot: nothing has what it was
}

// A Plan is what a rewind would do. It holds only while nobody changes anything.
type Plan struct {
	ID      Hash
	Changes []Change // by path

	store     Store
	want, now map[string]entry
}

// ErrRefused says that a rewind would overwrite what the person changed.
var ErrRefused = errors.New("files were changed since, and not by this session")

// Refused lists what stands in the way.
func (p *Plan) Refused() []Change {
	return slices.DeleteFunc(slices.Clone(p.Changes), func(c Change) bool { return c.Refused == "" })
}

// Work counts what there is to do.
func (p *Plan) Work() int {
	n := 0
	for _, c := range p.Changes {
		if c.Do != Keep {
			n++
		}
	}
	return n
}

// Plan compares the workspace with a checkpoint. The points are the session's
// from that one on, in order: they tell what its turns did from what others did.
func (s Store) Plan(ctx context.Context, points []Point) (*Plan, error) {
	if len(points) == 0 {
		return nil, errors.New("compare with a checkpoint: none is given")
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	unlock, err := s.share(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	ps, err := openPacks(s.path("packs"))
	if err != nil {
		return nil, fmt.Errorf("read checkpoints: %w", err)
	}
	p := &Plan{ID: points[0].ID, store: s}
	if p.want, err = s.flat(ps, p.ID); err != nil {
		return nil, fmt.Errorf("read checkpoint %.12s: %w", p.ID, err)
	}
	if p.now, err = s.current(ctx, p.want); err != nil {
		return nil, fmt.Errorf("look at the workspace: %w", err)
	}
	known, err := s.history(ps, points, p.want)
	if err != nil {
		return nil, fmt.Errorf("read what was since checkpoint %.12s: %w", p.ID, err)
	}
	p.compare(known)
	p.findLost(ps)
	return p, nil
}

// flat reads a checkpoint as paths.
func (s Store) flat(ps *packs, id Hash) (map[string]entry, error) {
	t, err := ps.whole(id, 0)
	if err != nil {
		return nil, err
	}
	return flatten(t), nil
}

func flatten(t *tree) map[string]entry {
	all := make(map[string]entry)
	t.into(all, "")
	return all
}

func (t *tree) into(all map[string]entry, above string) {
	for _, e := range t.entries {
		all[above+e.name] = e
		if e.kind == Folder {
			t.below[e.name].into(all, above+e.name+"/")
		}
	}
}

// current is the workspace as it is. What a checkpoint has is looked at even if
// today's rules would leave it out.
func (s Store) current(ctx context.Context, also map[string]entry) (map[string]entry, error) {
	w, _, err := s.walker(ctx, true)
	if err != nil {
		return nil, err
	}
	w.also = also
	t, _, err := w.walk(ctx)
	if err != nil {
		return nil, err
	}
	return flatten(t), nil
}

// A history is what is known of the time since a checkpoint.
type history struct {
	left   map[string]entry // as the last turn left it; nil if that is not known
	target map[string]entry // what a rewind that was cut off has in part put there; nil if none was
	theirs map[string]entry // what others made of files between turns
	own    map[string]bool  // of those the ones that they made themselves, and no turn changed
}

// history reads what was between the points. A change from a Before to an After
// is the session's, any other is not.
func (s Store) history(ps *packs, points []Point, want map[string]entry) (history, error) {
	h := history{theirs: make(map[string]entry), own: make(map[string]bool)}
	before := want
	for i, p := range points[1:] {
		after := before
		if p.ID != points[i].ID {
			var err error
			if after, err = s.flat(ps, p.ID); err != nil {
				return h, err
			}
			h.compare(before, after, want, s.target(ps, points[i]), points[i].Kind == Before && p.Kind == After)
		}
		before = after
	}
	last := points[len(points)-1]
	h.target = s.target(ps, last)
	if last.Kind == After || h.target != nil {
		h.left = before
	}
	return h, nil
}

// target is what a rewind was to bring back; nil if none was, or if that
// checkpoint is not there any more.
func (s Store) target(ps *packs, p Point) map[string]entry {
	if p.Target == (Hash{}) {
		return nil
	}
	target, err := s.flat(ps, p.Target)
	if err != nil {
		return nil
	}
	return target
}

// compare notes what others changed, or that a turn, or a rewind to a target,
// changed what was theirs.
func (h history) compare(before, after, want, target map[string]entry, turn bool) {
	for path := range union(before, after) {
		a, b := before[path], after[path]
		ours := turn
		if target != nil {
			ours = same(b, target[path])
		}
		switch {
		case same(a, b) || a.kind == LeftOut || b.kind == LeftOut:
		case ours:
			delete(h.own, path)
		case b.kind != 0 && !same(b, want[path]):
			h.theirs[path], h.own[path] = b, a.kind == 0
		}
	}
}

func union(a, b map[string]entry) map[string]bool {
	all := make(map[string]bool, len(a))
	for path := range a {
		all[path] = true
	}
	for path := range b {
		all[path] = true
	}
	return all
}

// same reports whether two entries are of the same content and mode.
func same(a, b entry) bool {
	return sameContent(a, b) && (a.perm == b.perm || a.kind == Symlink)
}

func sameContent(a, b entry) bool {
	isFile := func(k Kind) bool { return k == File || k == Large }
	switch {
	case a.kind == File && b.kind == File:
		return a.hash == b.hash
	case a.kind == Large && b.kind == Large && a.ino != b.ino && a.mtime%1e9 == 0:
		return false // shards of a model that were unpacked in the same second
	case isFile(a.kind) && isFile(b.kind):
		return a.size == b.size && a.mtime == b.mtime
	}
	return a.kind == b.kind && a.text == b.text
}

// compare finds what is to be done, and what must not be.
func (p *Plan) compare(h history) {
	paths := slices.Sorted(maps.Keys(union(p.want, p.now)))
	for _, path := range paths {
		want, now := p.want[path], p.now[path]
		if same(want, now) || want.kind == LeftOut || want.kind == 0 && (now.kind == LeftOut || p.below(path)) {
			continue
		}
		hidden := p.hidden(path)
		if hidden == reasonElsewhere {
			continue // a job runs there: it is not for us to touch
		}
		c := Change{Path: path, Do: Put, Folder: want.kind == Folder || want.kind == 0 && now.kind == Folder, Size: want.size, OldSize: now.size}
		switch {
		case want.kind == 0:
			c.Do = Delete
		case now.kind == 0:
			c.Do = Add
		}
		if hidden != "" {
			c.Refused, c.Lost = "it cannot be looked at: "+hidden, now.kind == 0
		}
		if c.Refused == "" && !h.halfMade(path, want, now) {
			c.Do, c.Refused = h.judge(path, c.Do, now)
		}
		p.Changes = append(p.Changes, c)
	}
	p.keepFolders()
	p.blocked()
}

// below reports whether the path is in something that the checkpoint left out.
func (p *Plan) below(path string) bool {
	for above := range ancestors(path) {
		if p.want[above].kind == LeftOut {
			return true
		}
	}
	return false
}

// hidden says why a path cannot be looked at now, "" if it can.
func (p *Plan) hidden(path string) string {
	if now := p.now[path]; now.kind == LeftOut {
		return now.text
	}
	for above := range ancestors(path) {
		if now := p.now[above]; now.kind == LeftOut {
			return now.text
		}
	}
	return ""
}

// ancestors yields the folders that a path is in, the nearest first.
func ancestors(path string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path, '/') {
			if path = path[:i]; !yield(path) {
				return
			}
		}
	}
}

// judge says what may be done to a path that now is like this.
func (h history) judge(path, do string, now entry) (what, refused string) {
	if do == Add {
		return do, "" // it overwrites nothing
	}
	theirs, changed := h.theirs[path]
	switch {
	case h.left == nil:
		return do, "the last turn was cut off: what it changed is not known"
	case h.target[path].kind != 0 && same(now, h.target[path]):
		return do, "" // a rewind that was cut off has put it there
	case do == Delete && h.left[path].kind == 0:
		return Keep, ""
	case !same(now, h.left[path]):
		return do, "it was changed since the last turn"
	case do == Delete && changed && h.own[path] && same(now, theirs):
		return Keep, ""
	case changed && now.kind != Folder:
		return do, "it was changed between turns"
	}
	return do, ""
}

// halfMade reports whether the path is a folder that a rewind made and was killed
// before it had its mode: the last turn left none there.
func (h history) halfMade(path string, want, now entry) bool {
	return h.left != nil && want.kind == Folder && now.kind == Folder && h.left[path].kind != Folder
}

// keepFolders keeps the folders of what is kept.
func (p *Plan) keepFolders() {
	kept := make(map[string]bool)
	for _, c := range p.Changes {
		if c.Do == Keep {
			for above := range ancestors(c.Path) {
				kept[above] = true
			}
		}
	}
	p.Changes = slices.DeleteFunc(p.Changes, func(c Change) bool { return c.Do == Delete && c.Folder && kept[c.Path] })
}

// blocked refuses what would take the place of a folder that must stay.
func (p *Plan) blocked() {
	goes := make(map[string]bool)
	for _, c := range p.Changes {
		goes[c.Path] = c.Do == Delete && c.Refused == ""
	}
	stays := make(map[string]string) // a folder, and what in it stays
	for path := range p.now {
		if !goes[path] {
			for above := range ancestors(path) {
				stays[above] = path
			}
		}
	}
	for i, c := range p.Changes {
		if c.Do != Put || c.Refused != "" || p.now[c.Path].kind != Folder || p.want[c.Path].kind == Folder {
			continue
		}
		if in := stays[c.Path]; in != "" {
			p.Changes[i].Refused = "it is a folder now, in which " + in + " stays"
		}
	}
}

// findLost marks what nothing can bring back.
func (p *Plan) findLost(ps *packs) {
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.Do != Add && c.Do != Put {
			continue
		}
		want := p.want[c.Path]
		switch {
		case sameContent(want, p.now[c.Path]):
		case want.kind == File && !ps.has(want.hash):
			c.Lost, c.Refused = true, "the store of checkpoints does not have it any more"
		case want.kind == Large && p.store.held(c.Path, want) == "":
			c.Lost, c.Refused = true, lostLarge(want)
		}
	}
}

func lostLarge(want entry) string {
	if want.text == byLink {
		return "it was large and held by a second name only: it was written into"
	}
	return "it was large, and nothing could hold it"
}
