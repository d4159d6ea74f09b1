package confine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ml-intern/internal/confine/gitdir"
)

// maxProtected is how many repositories below the workspace are covered: each
// costs some mounts. Those beyond it are tamed when a command has changed them.
const maxProtected = 200

// repositories knows those below the folders of Rules.Trees, whose programs git
// would run outside. What was there before a command is protected like the
// workspace's own; what a command made it may go on using, and is tamed after each
// command, until a person has changed it.
type repositories struct {
	finder gitdir.Finder
	made   map[string]string // by path: their state when they were tamed last

	last []gitdir.Repository // what the last look found,
	part bool                // in part only,
	took time.Duration       // how long it took,
	at   time.Time           // and when it ended
}

// A look that took long is not repeated for the next command at once: what a
// person makes in between counts as that command's, and a copy is kept.
const (
	long = 20 * time.Millisecond
	soon = 5 * time.Second
)

// A survey is what there was before a command.
type survey struct {
	repos  *repositories
	states map[string]string // of what is not protected, by path
	known  map[string]bool   // of all
	partly bool              // there were more folders than were looked into
	began  time.Time
	ended  time.Time // of a command that somebody else tames; zero if it has just ended
}

// before looks, and adds to the rules what commands may not change.
func (p *repositories) before(r *Rules) survey {
	s := survey{began: time.Now(), repos: p, states: map[string]string{}, known: map[string]bool{}}
	if len(r.Trees) == 0 {
		return s
	}
	protected, left := slices.Clone(r.Protected), maxProtected
	found := p.last
	if s.partly = p.part; p.took < long || time.Since(p.at) > soon {
		found = p.find(*r, &s.partly)
	}
	for _, repo := range found {
		s.known[repo.Dir] = true
		state, made := p.made[repo.Dir]
		if now := ""; made || left <= 0 {
			if now = repo.State(); !made || now == state {
				s.states[repo.Dir] = now
				continue
			}
			delete(p.made, repo.Dir) // somebody else has changed it since
		}
		left--
		protected = append(protected, repo.Paths()...)
	}
	r.Protected = slices.DeleteFunc(protected, func(path string) bool { return longest(r.Writable, path) < 0 || slices.Contains(r.Writable, path) })
	slices.Sort(r.Protected)
	r.Protected = slices.Compact(r.Protected)
	return s
}

// survey is before for commands, which may run side by side; call what it returns
// when the command has ended.
func (c *Cells) survey(r *Rules) (s survey, after func() []string) {
	c.repoLock.Lock()
	defer c.repoLock.Unlock()
	s = c.repos.before(r)
	return s, func() []string {
		c.repoLock.Lock()
		defer c.repoLock.Unlock()
		return s.after(*r)
	}
}

// Protects reports whether commands may not change the path, which is real.
func (c *Cells) Protects(path string) bool {
	rules := c.Rules()
	_, _ = c.survey(&rules)
	return rules.Protects(path)
}

// find lists the repositories below the trees, but for the trees' own, which are
// among what is protected already.
func (p *repositories) find(r Rules, partly *bool) []gitdir.Repository {
	began := time.Now()
	*partly = false
	var all []gitdir.Repository
	for _, tree := range r.Trees {
		found, whole := p.finder.Find(tree)
		*partly = *partly || !whole
		for _, repo := range found {
			if repo.Top != tree {
				all = append(all, repo)
			} else if own := repo.Paths(); repo.Kind == gitdir.Folder && len(own) > 6 { // what its settings name is not
				all = append(all, repo)
			}
		}
	}
	p.last, p.part, p.took, p.at = all, *partly, time.Since(began), time.Now()
	return all
}

// after tames what a command has made or changed, and says so.
func (s survey) after(r Rules) []string {
	if s.repos == nil || len(r.Trees) == 0 {
		return nil
	}
	g, partly := guard{rules: r}, false
	found := s.repos.find(r, &partly)
	now := map[string]bool{}
	for _, repo := range found {
		now[repo.Dir] = true
	}
	var notes []string
	for _, repo := range found {
		state, open := s.states[repo.Dir]
		if s.known[repo.Dir] && !open { // it was covered
			continue
		}
		if open && repo.State() == state || !open && (partly || s.partly) && !repo.ChangedSince(s.began) { // it was beyond what was looked into
			continue
		}
		if !s.ended.IsZero() && repo.RunsSince(s.ended) { // somebody else has changed it since
			continue
		}
		notes = append(notes, g.tame(repo, now)...)
		if s.repos.made == nil {
			s.repos.made = map[string]string{}
		}
		s.repos.made[repo.Dir] = repo.State()
	}
	for dir := range s.repos.made {
		if !now[dir] && !partly {
			delete(s.repos.made, dir)
		}
	}
	return notes
}

// tame leaves of a repository what runs no program.
func (g guard) tame(repo gitdir.Repository, known map[string]bool) []string {
	var notes []string
	each := func(path string, undo func(root *os.Root, rel string) (string, error)) {
		if longest(g.rules.Writable, path) < 0 {
			return
		}
		note, err := g.each(path, undo)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		notes = told(notes, path, note, err)
	}
	aside := func(path string) {
		if _, err := os.Lstat(path); err == nil {
			each(path, g.putAside)
		}
	}
	switch repo.Kind {
	case gitdir.Link:
		aside(repo.Dir)
	case gitdir.Pointer:
		if to := repo.Target(); !known[to] && !g.rules.secondTree(to) {
			aside(repo.Dir)
		}
	case gitdir.Tree:
		for _, name := range []string{"config.worktree", "config", "hooks"} { // git reads the repository's
			aside(filepath.Join(repo.Dir, name))
		}
		if pointer(filepath.Join(repo.Dir, "commondir"), "") != "../.." {
			aside(filepath.Join(repo.Dir, "commondir"))
		}
	case gitdir.Folder:
		for _, name := range []string{"config.worktree", "commondir", "gitdir"} {
			aside(filepath.Join(repo.Dir, name))
		}
		each(filepath.Join(repo.Dir, "config"), g.tameSettings)
		each(filepath.Join(repo.Dir, "hooks"), g.tameFolder)
	}
	return notes
}

// secondTree reports whether a folder is that of a second working tree of the
// repository that one of the trees is a second working tree of.
func (r Rules) secondTree(dir string) bool {
	return slices.ContainsFunc(r.Trees, func(tree string) bool {
		repository := Repository(tree)
		return repository != "" && filepath.Dir(dir) == filepath.Join(repository, "worktrees") && pointer(filepath.Join(dir, "commondir"), "") == "../.."
	})
}

// tameSettings is tameConfig with a copy kept of what is changed, for a person may
// have written it meanwhile.
func (g guard) tameSettings(root *os.Root, rel string) (string, error) {
	info, err := root.Lstat(rel)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return g.putAside(root, rel)
	}
	change := info.Size() > maxConfig
	if !change {
		data, err := root.ReadFile(rel)
		change = err == nil && harmless(string(data)) != string(data)
	}
	if !change {
		return "", nil
	}
	lost := g.keep(root, rel)
	note, err := tameConfig(root, rel)
	return note + lost, err
}

// tameFolder is tameHooks likewise.
func (g guard) tameFolder(root *os.Root, rel string) (string, error) {
	info, err := root.Lstat(rel)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return g.putAside(root, rel)
	}
	entries, err := fs.ReadDir(root.FS(), filepath.ToSlash(rel))
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !sample(e) }) {
		return "", nil
	}
	lost := g.keep(root, rel)
	note, err := tameHooks(root, rel)
	return note + lost, err
}

// keep copies what is at rel aside, and says what it could not copy: a command
// could see to that, so it is tamed none the less.
func (g guard) keep(root *os.Root, rel string) (lost string) {
	if g.rules.Aside == "" {
		return ""
	}
	if err := copyFrom(root.FS(), filepath.ToSlash(rel), g.place(rel)); err != nil {
		return "; not all of it could be kept (" + err.Error() + ")"
	}
	return ""
}
