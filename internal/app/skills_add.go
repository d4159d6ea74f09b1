package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"ml-intern/internal/config"
	"ml-intern/internal/github"
	"ml-intern/internal/hub"
	"ml-intern/internal/skill"
)

// maxSkillTree is how many files a repository may have that skills are added
// from.
const maxSkillTree = 20_000

// A skillSource is a repository at one commit.
type skillSource struct {
	skill.Repository
	name   string // of the repository, without its owner
	source string // as it is written in the lock file
	hub    string // its address; "" for GitHub
	commit string
}

// openSkills finds the repository that a person named, and which commit the
// revision is.
func (a *App) openSkills(ctx context.Context, source, revision string) (*skillSource, error) {
	if repo, ok := strings.CutPrefix(source, "github:"); ok || isGitHub(source) {
		return a.gitHubSkills(ctx, cmp.Or(repo, source), revision)
	}
	return a.hubSkills(ctx, source, revision)
}

func isGitHub(source string) bool {
	u, err := url.Parse(source)
	return err == nil && (u.Hostname() == "github.com" || u.Hostname() == "www.github.com")
}

func (a *App) gitHubSkills(ctx context.Context, name, revision string) (*skillSource, error) {
	repo, err := github.ParseRepo(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	commit, err := a.web.github.Commit(ctx, repo, revision)
	if err != nil {
		return nil, err
	}
	_, short, _ := strings.Cut(repo, "/")
	return &skillSource{Repository: gitHubRepo{a.web.github, repo, commit}, name: short, source: "github:" + repo, commit: commit}, nil
}

type gitHubRepo struct {
	client *github.Client
	repo   string
	commit string
}

// Files implements skill.Repository.
func (r gitHubRepo) Files(ctx context.Context) ([]skill.File, error) {
	tree, err := r.client.Tree(ctx, r.repo, r.commit)
	if err != nil {
		return nil, err
	}
	if tree.Truncated || len(tree.Entries) > maxSkillTree {
		return nil, fmt.Errorf("list files of %s: it has more than are looked through", r.repo)
	}
	var files []skill.File
	for _, e := range tree.Entries {
		if e.Type == "blob" {
			files = append(files, skill.File{Path: e.Path, Size: e.Size, SHA1: e.SHA})
		}
	}
	return files, nil
}

// Read implements skill.Repository.
func (r gitHubRepo) Read(ctx context.Context, f skill.File) ([]byte, error) {
	c, err := r.client.Read(ctx, github.Place{Repo: r.repo, Ref: r.commit, Path: f.Path})
	switch {
	case err != nil:
		return nil, err
	case c.Note != "" || c.Folder:
		return nil, fmt.Errorf("it is no file; %s", c.Note)
	}
	return c.Data, nil
}

// skillHub is the Hub that skills are added from: the chosen one, and the public
// one for those who chose none, whose embedded Hub has no skills.
func (a *App) skillHub() string {
	if a.cfg.Hub == "" && a.cfg.Getenv("HF_ENDPOINT") == "" {
		return publicHub
	}
	return a.hubChoice()
}

func (a *App) hubSkills(ctx context.Context, name, revision string) (*skillSource, error) {
	a.cfg.Hub = a.skillHub()
	typ, id := hub.RepoType(""), strings.TrimPrefix(name, "hub:")
	if u, err := url.Parse(id); err == nil && u.Host != "" {
		if chosen, err := url.Parse(a.cfg.Hub); err != nil || chosen.Host != u.Host {
			return nil, fmt.Errorf("%w: %s is at another Hub than %s: name it with --hub", ErrUsage, name, a.cfg.Hub)
		}
		id = strings.Trim(u.Path, "/")
	}
	repo, err := hub.ParseRepo(typ, id)
	if err != nil || repo.Namespace == "" {
		return nil, fmt.Errorf("%w: skills are added from ORG/REPO, datasets/ORG/REPO or spaces/ORG/REPO of a Hub, or from github:OWNER/REPO, not from %q", ErrUsage, name)
	}
	client, err := a.hubClient(ctx)
	if err != nil {
		return nil, err
	}
	info, err := client.RepoInfo(ctx, repo, revision)
	if errors.Is(err, hub.ErrNotFound) && !strings.Contains(id, "s/"+repo.Namespace+"/") && revision == "" { // of another type?
		for _, other := range []hub.RepoType{hub.Dataset, hub.Space} {
			at := hub.RepoID{Type: other, Namespace: repo.Namespace, Name: repo.Name}
			if found, missing := client.RepoInfo(ctx, at, revision); missing == nil {
				repo, info, err = at, found, nil
				break
			}
		}
	}
	if errors.Is(err, hub.ErrNotFound) {
		return nil, fmt.Errorf("%w; if it is on GitHub: ml-intern skills add github:%s/%s", err, repo.Namespace, repo.Name)
	}
	if err != nil {
		return nil, err
	}
	if len(info.SHA) < 40 || strings.Trim(info.SHA, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("add skills from %s: the Hub does not say which commit it is", repo)
	}
	return &skillSource{Repository: hubRepo{client, repo, info.SHA}, name: repo.Name, source: repo.Path(), hub: a.cfg.Hub, commit: info.SHA}, nil
}

type hubRepo struct {
	client *hub.Client
	repo   hub.RepoID
	commit string
}

// Files implements skill.Repository.
func (r hubRepo) Files(ctx context.Context) (files []skill.File, err error) {
	for e, err := range r.client.ListTree(ctx, r.repo, hub.TreeOptions{Revision: r.commit, Recursive: true}) {
		switch {
		case err != nil:
			return nil, err
		case len(files) > maxSkillTree:
			return nil, fmt.Errorf("list files of %s: it has more than %d", r.repo, maxSkillTree)
		case !e.Dir:
			files = append(files, skill.File{Path: e.Path, Size: e.Size, SHA1: e.OID, SHA256: e.LFS})
		}
	}
	return files, nil
}

// Read implements skill.Repository.
func (r hubRepo) Read(ctx context.Context, f skill.File) ([]byte, error) {
	var data limited
	data.left = f.Size
	if _, err := r.client.Download(ctx, r.repo, r.commit, f.Path, &data); err != nil {
		return nil, err
	}
	return data.data, nil
}

// limited keeps so many bytes, and no more.
type limited struct {
	data []byte
	left int64
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= int64(len(p)); l.left < 0 {
		return 0, fmt.Errorf("write file: it has more bytes than the repository said: %w", io.ErrShortWrite)
	}
	l.data = append(l.data, p...)
	return len(p), nil
}

// SkillOptions say what to add from a repository.
type SkillOptions struct {
	Names []string
	All   bool
}

// AddSkills adds skills of a repository, pinned to the commit that its revision is
// now: SOURCE or SOURCE@REVISION. What was added under a name from somewhere else
// stays.
func (a *App) AddSkills(ctx context.Context, source string, o SkillOptions) (added []Skill, err error) {
	source, revision := cutRevision(source)
	at, err := a.openSkills(ctx, source, revision)
	if err != nil {
		return nil, err
	}
	files, err := at.Files(ctx)
	if err != nil {
		return nil, err
	}
	offers, err := chosenOffers(skill.Offers(files, at.name), at.source, o)
	if err != nil {
		return nil, err
	}
	store := addedSkills(a.cfg)
	pins, err := store.Pins()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, offer := range offers {
		one, err := a.addSkill(ctx, store, pins, at, offer, revision)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		added = append(added, one)
	}
	all, _ := Skills(a.cfg, a.cfg.Dir)
	for i, s := range added { // a nearer one may have its name
		if at := slices.IndexFunc(all, func(o Skill) bool { return o.Name == s.Name && o.Kind == s.Kind }); at >= 0 {
			added[i] = all[at]
		}
	}
	return added, errors.Join(errs...)
}

// addSkill adds one skill, unless it is there.
func (a *App) addSkill(ctx context.Context, store *skill.Store, pins map[string]skill.Pin, at *skillSource, offer skill.Offer, revision string) (Skill, error) {
	got, err := skill.Fetch(ctx, at, offer)
	if err != nil {
		return Skill{}, err
	}
	name := got.Skill.Name
	one := Skill{Name: name, State: string(skill.On), Kind: string(skill.Added), From: at.source, Commit: at.commit, Description: got.Skill.Description, Warnings: got.Skill.Warnings}
	if pin, there := pins[name]; there {
		if pin.Source == at.source && pin.Hub == at.hub && pin.Commit == at.commit && store.Damage(name, pin) == nil {
			return one, nil
		}
		return one, fmt.Errorf("%w: the skill %s is there already, from %s: ml-intern skills update %s, or skills rm %s first", ErrUsage, name, pin.Source, name, name)
	}
	return one, store.Put(ctx, name, skill.Pin{Source: at.source, Hub: at.hub, Revision: revision, Commit: at.commit, Path: got.Path}, got.Files)
}

// cutRevision cuts the revision off what a person named.
func cutRevision(source string) (repo, revision string) {
	if i := strings.LastIndexByte(source, '@'); i > 0 {
		return source[:i], source[i+1:]
	}
	return source, ""
}

// chosenOffers are those that the person meant.
func chosenOffers(offers []skill.Offer, source string, o SkillOptions) ([]skill.Offer, error) {
	var names []string
	for _, offer := range offers {
		names = append(names, offer.Name)
	}
	listed := strings.Join(names[:min(len(names), maxNames)], ", ")
	if more := len(names) - maxNames; more > 0 {
		listed += fmt.Sprintf(" and %d more", more)
	}
	switch {
	case len(offers) == 0:
		return nil, fmt.Errorf("%w: %s has no skill: no folder of it has a SKILL.md", ErrUsage, source)
	case o.All || len(offers) == 1 && len(o.Names) == 0:
		return offers, nil
	case len(o.Names) == 0:
		return nil, fmt.Errorf("%w: %s has %d skills: %s; name some with --skill NAME, or take all with --all", ErrUsage, source, len(offers), listed)
	}
	var chosen []skill.Offer
	for _, name := range o.Names {
		i := slices.Index(names, name)
		if i < 0 {
			hint := "; it has " + listed
			if near := config.Nearest(name, names); near != "" {
				hint = "; did you mean " + near + "?"
			}
			return nil, fmt.Errorf("%w: %s has no skill %q%s", ErrUsage, source, name, hint)
		}
		chosen = append(chosen, offers[i])
	}
	return chosen, nil
}

// A SkillUpdate is what an update would do to a skill, or did.
type SkillUpdate struct {
	Name    string         `json:"name"`
	From    string         `json:"from"`
	Old     string         `json:"old_commit"`
	New     string         `json:"new_commit"`
	Changes []skill.Change `json:"changes"`
	Done    bool           `json:"done"`
	Error   string         `json:"error,omitempty"`
}

// UpdateSkills looks what has become of skills that were added, of all without
// names, and puts what there is now in their place where agree says so. What
// cannot be looked at is an error of that one.
func (a *App) UpdateSkills(ctx context.Context, names []string, agree func(SkillUpdate) (bool, error)) (all []SkillUpdate, err error) {
	store := addedSkills(a.cfg)
	pins, err := store.Pins()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, ok := pins[name]; !ok {
			return nil, a.notAdded(name, pins)
		}
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(pins))
	}
	var errs []error
	for _, name := range names {
		u, fresh, err := a.lookSkill(ctx, store, name, pins[name])
		if err != nil {
			u.Error = err.Error()
			errs = append(errs, fmt.Errorf("update the skill %s: %w", name, err))
			all = append(all, u)
			continue
		}
		if fresh != nil {
			yes, err := agree(u)
			if err != nil {
				return append(all, u), err
			}
			if yes {
				pin := pins[name]
				pin.Commit, pin.Path = u.New, fresh.Path
				if err := store.Put(ctx, name, pin, fresh.Files); err != nil {
					return append(all, u), err
				}
				u.Done = true
			}
		}
		all = append(all, u)
	}
	return all, errors.Join(errs...)
}

// lookSkill fetches a skill as it is now. It returns nil for one that has not
// changed.
func (a *App) lookSkill(ctx context.Context, store *skill.Store, name string, pin skill.Pin) (u SkillUpdate, fresh *skill.Fetched, err error) {
	u = SkillUpdate{Name: name, From: pin.Source, Old: pin.Commit, New: pin.Commit, Changes: []skill.Change{}}
	if pin.Hub != "" {
		a.cfg.Hub = pin.Hub
	}
	at, err := a.openSkills(ctx, pin.Source, pin.Revision)
	if err != nil {
		return u, nil, err
	}
	u.New = at.commit
	if u.New == u.Old && store.Damage(name, pin) == nil {
		return u, nil, nil
	}
	files, err := at.Files(ctx)
	if err != nil {
		return u, nil, err
	}
	offers := skill.Offers(files, at.name)
	i := slices.IndexFunc(offers, func(o skill.Offer) bool { return o.Path == pin.Path })
	if i < 0 {
		i = slices.IndexFunc(offers, func(o skill.Offer) bool { return o.Name == name }) // it has moved
	}
	if i < 0 {
		return u, nil, fmt.Errorf("%s no longer has it; it stays as it was added", pin.Source)
	}
	got, err := skill.Fetch(ctx, at, offers[i])
	if err == nil && got.Skill.Name != name {
		err = fmt.Errorf("its name is %s now: add that one, and remove this one", got.Skill.Name)
	}
	if err != nil {
		return u, nil, err
	}
	u.Changes = append(u.Changes, store.Changes(name, pin, got.Files)...)
	return u, &got, nil
}

func (a *App) notAdded(name string, pins map[string]skill.Pin) error {
	all, _ := Skills(a.cfg, a.cfg.Dir)
	for _, s := range all {
		if s.Name == name {
			return fmt.Errorf("%w: the skill %s was not added: it is yours to change in %s", ErrUsage, name, s.Dir)
		}
	}
	var added []Skill
	for name := range maps.Keys(pins) {
		added = append(added, Skill{Name: name})
	}
	slices.SortFunc(added, func(a, b Skill) int { return strings.Compare(a.Name, b.Name) })
	return unknownSkill(name, added)
}

// RemoveSkill removes a skill that was added.
func (a *App) RemoveSkill(ctx context.Context, name string) error {
	store := addedSkills(a.cfg)
	pins, err := store.Pins()
	if err != nil {
		return err
	}
	if _, ok := pins[name]; !ok {
		return a.notAdded(name, pins)
	}
	_, err = store.Remove(ctx, name)
	return err
}
