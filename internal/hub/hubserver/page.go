package hubserver

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
	"ml-intern/internal/hub/hubserver/web"
)

// What a page shows at most.
const (
	pageFiles   = 1000
	pageCommits = 50
	pageRepos   = 100
	pageText    = 256 << 10
	pageChanged = 100     // files of a commit
	pageDiff    = 2 << 20 // bytes of them that are compared
	pageRefs    = 100
	pageBeside  = 12 // files beside a card
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// forPeople reports whether a browser asks, which is to get a page even if
// something is wrong.
func (x *exchange) forPeople() bool {
	get := x.Method == http.MethodGet || x.Method == http.MethodHead
	return get && strings.Contains(x.Request.Header.Get("Accept"), "text/html") && !strings.HasPrefix(x.URL.Path, "/api/")
}

// sorry shows a refusal to people. Browsers then ask for a name and a token.
func (s *Server) sorry(x *exchange, r *refusal) error {
	_ = x.challenge(r)
	view := web.Sorry{Status: r.status, Message: r.message}
	if s.opts.Auth && x.who == nil && r.code == "RepoNotFound" {
		view.Message = "There is nothing here, or it is private."
		view.Login = loginURL(x.URL.RequestURI())
	}
	f := web.Frame{Title: http.StatusText(r.status), View: view, Person: s.person(x)}
	return s.pages.Write(x, x.Request, r.status, f)
}

// A repoView is a page of a repository that is being made.
type repoView struct {
	*repoCall
	s      *Server
	commit gitstore.Commit
	rev    string
	path   string // in the repository
	base   string // /datasets/me/x
}

// repoPage shows a repository to people: rest is empty, or discussions and
// perhaps a number, or tree, blob, commit or commits with a revision, and
// perhaps a path.
func (s *Server) repoPage(x *exchange, id hub.RepoID, rest []string) error {
	c, err := s.repoCall(x, id, see)
	if err != nil {
		return err
	}
	v := &repoView{repoCall: c, s: s, rev: "main", base: "/" + c.repo.Path()}
	action := ""
	if len(rest) > 0 {
		action = rest[0]
	}
	if len(rest) > 1 && action != "discussions" {
		v.rev, v.path = rest[1], strings.Trim(strings.Join(rest[2:], "/"), "/")
	}
	if v.commit, err = s.store.Resolve(c.repo, v.rev); err != nil {
		return err
	}
	switch action {
	case "":
		return v.card()
	case "ask-access":
		return s.askPage(x, c.repo)
	case "discussions":
		return v.talk(rest[1:])
	case "tree":
		return v.files()
	case "blob":
		return v.blob()
	case "commits":
		return v.commits()
	}
	return v.change()
}

// show sends a page of the repository.
func (v *repoView) show(tab, action string, view web.View) error {
	repo := &web.Repo{
		Owner: v.repo.Namespace, Name: v.repo.Name, Type: string(v.repo.Type), Path: v.base,
		Private: v.repo.Private, Gated: v.repo.Gated != "", Rev: v.rev, Label: v.rev, Tabs: v.tabs(),
	}
	if v.rev == v.commit.ID {
		repo.Label = v.commit.ID[:12]
	}
	if action != "" {
		repo.Switch = v.others(action)
	}
	title := v.repo.String()
	if v.path != "" {
		title = v.path + " · " + title
	}
	return v.s.pages.Write(v.exchange, v.Request, http.StatusOK, web.Frame{Title: title, Repo: repo, Tab: tab, View: view, Person: v.s.person(v.exchange)})
}

// tabs are the kinds of pages that a repository has.
func (v *repoView) tabs() []web.Tab {
	at := "/" + url.PathEscape(v.rev)
	out := []web.Tab{
		{Name: "Card", URL: v.base},
		{Name: "Files", URL: v.base + "/tree" + at},
		{Name: "Commits", URL: v.base + "/commits" + at},
	}
	if v.talks() == nil {
		out = append(out, web.Tab{Name: "Discussions", URL: v.base + "/discussions"})
	}
	return out
}

// others leads to the same page of other branches and tags.
func (v *repoView) others(action string) []web.Switch {
	var out []web.Switch
	for ref := range v.repo.Refs {
		name, branch := strings.CutPrefix(ref, "refs/heads/")
		tagName, tag := strings.CutPrefix(ref, "refs/tags/")
		if tag {
			name = tagName
		}
		if branch || tag {
			to := v.at(action, name, v.path)
			out = append(out, web.Switch{Name: name, URL: to, Tag: tag})
		}
	}
	slices.SortFunc(out, func(a, b web.Switch) int {
		return cmp.Or(cmp.Compare(strconv.FormatBool(a.Tag), strconv.FormatBool(b.Tag)), cmp.Compare(a.Name, b.Name))
	})
	return out[:min(len(out), pageRefs)]
}

// at is the address of a page of the repository.
func (v *repoView) at(action, rev, path string) string {
	out := v.base + "/" + action + "/" + url.PathEscape(rev)
	if path != "" {
		out += "/" + web.Escape(path)
	}
	return out
}

// crumbs leads to the folders above a path.
func (v *repoView) crumbs() []web.Link {
	out := []web.Link{{Text: v.repo.Name, URL: v.at("tree", v.rev, "")}}
	for i, part := range strings.Split(v.path, "/") {
		if v.path == "" {
			break
		}
		above := strings.Join(strings.Split(v.path, "/")[:i+1], "/")
		out = append(out, web.Link{Text: part, URL: v.at("tree", v.rev, above)})
	}
	out[len(out)-1].URL = ""
	return out
}

// list lists a folder.
func (v *repoView) list(folder string, most int) (files []web.File, all int, err error) {
	for e, err := range v.s.store.Entries(v.commit, folder, false) {
		if err != nil {
			return nil, 0, err
		}
		if all++; len(files) >= most {
			continue
		}
		name := strings.TrimPrefix(e.Path, folder+"/")
		f := web.File{Name: name, Dir: e.Dir, URL: v.at("tree", v.rev, e.Path)}
		if !e.Dir {
			file, err := v.s.store.File(e.OID)
			if err != nil {
				return nil, 0, err
			}
			f.URL, f.Download = v.at("blob", v.rev, e.Path), v.at("resolve", v.rev, e.Path)+"?download=true"
			f.Size, f.Large = file.Size, file.Large != nil
		}
		files = append(files, f)
	}
	slices.SortStableFunc(files, func(a, b web.File) int { // folders first, as people expect
		return cmp.Compare(strconv.FormatBool(b.Dir), strconv.FormatBool(a.Dir))
	})
	return files, all, nil
}

func (v *repoView) files() error {
	files, all, err := v.list(v.path, pageFiles)
	if errors.Is(err, gitstore.ErrNoEntry) {
		return refuse(http.StatusNotFound, "EntryNotFound", "there is no folder "+v.path+" in this revision")
	}
	if err != nil {
		return err
	}
	view := web.Files{Crumbs: v.crumbs(), Files: files, More: all > len(files), Commit: v.describe(v.commit)}
	if v.path != "" {
		above := ""
		if at := strings.LastIndexByte(v.path, '/'); at >= 0 {
			above = v.path[:at]
		}
		view.Up = v.at("tree", v.rev, above)
	}
	return v.show("Files", "tree", view)
}

func (v *repoView) describe(c gitstore.Commit) web.Commit {
	return web.Commit{
		ID: c.ID, URL: v.base + "/commit/" + c.ID, Title: cmp.Or(c.Title(), "(no message)"), Body: c.Body(), Author: c.Author, Time: c.Time,
	}
}

// indexPage lists the repositories of an owner, of a type, or of all if owner
// is "".
func (s *Server) indexPage(x *exchange, owner string) error {
	kind, all := apiType(owner)
	view := web.Index{Owner: owner}
	title := owner
	if all || owner == "" {
		view.Owner, title = "", "Repositories"
	}
	n, _ := strconv.Atoi(x.URL.Query().Get("p")) // anything else is the first page
	n = max(n, 0)
	found := false
	for _, typ := range []hub.RepoType{hub.Model, hub.Dataset, hub.Space} {
		if all && typ != kind {
			continue
		}
		repos, err := s.store.Repos(typ)
		if err != nil {
			return err
		}
		repos = slices.DeleteFunc(repos, func(r *gitstore.Repo) bool {
			return view.Owner != "" && r.Namespace != view.Owner || r.Private && !s.member(x.who, r.Namespace)
		})
		found = found || len(repos) > 0
		if g := group(typ, repos, n, x.URL.EscapedPath()); len(g.Repos) > 0 {
			view.Groups = append(view.Groups, g)
		}
	}
	if !found && view.Owner != "" {
		return refuse(http.StatusNotFound, "NotFound", "nobody here is called "+owner)
	}
	return s.pages.Write(x, x.Request, http.StatusOK, web.Frame{Title: title, View: view, Person: s.person(x)})
}

// groupName is what the repositories of a type are called on a page.
func groupName(typ hub.RepoType) string {
	return strings.ToUpper(string(typ[:1])) + string(typ[1:]) + "s"
}

// group is one page of repositories of a type, newest first.
func group(typ hub.RepoType, repos []*gitstore.Repo, n int, path string) web.Group {
	slices.SortFunc(repos, func(a, b *gitstore.Repo) int {
		return cmp.Or(b.Modified.Compare(a.Modified), cmp.Compare(a.String(), b.String()))
	})
	g := web.Group{Name: groupName(typ), URL: "/" + string(typ) + "s", Count: len(repos)}
	from := min(n, len(repos)) * pageRepos
	from = min(from, len(repos))
	to := min(from+pageRepos, len(repos))
	for _, r := range repos[from:to] {
		g.Repos = append(g.Repos, web.Listed{Name: r.String(), URL: "/" + r.Path(), Private: r.Private, Modified: r.Modified})
	}
	if to < len(repos) {
		g.More = path + "?p=" + strconv.Itoa(n+1)
	}
	return g
}
