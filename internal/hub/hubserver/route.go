package hubserver

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// A repoCall is a request about one repository. Args are the parts of the path
// behind the action.
type repoCall struct {
	*exchange
	repo *gitstore.Repo
	args []string
}

// access is what a route needs.
type access int

const (
	see   access = iota // know that the repository is there
	read                // read its files
	join                // read its files, and propose changes
	write               // change it
)

// A route is a call of the API on a repository: METHOD /api/TYPEs/NS/NAME/action/args.
type route struct {
	method string
	action string
	args   int // how many; at least, if there may be more
	more   bool
	needs  access
	do     func(*Server, *repoCall) error
}

var routes = []route{
	{"GET", "", 0, false, see, (*Server).info},
	{"GET", "revision", 1, false, see, (*Server).info},
	{"GET", "tree", 1, true, see, (*Server).tree},
	{"POST", "paths-info", 1, false, see, (*Server).pathsInfo},
	{"GET", "refs", 0, false, see, (*Server).refs},
	{"GET", "commits", 1, false, see, (*Server).commits},
	{"POST", "branch", 1, false, write, (*Server).createBranch},
	{"DELETE", "branch", 1, false, write, (*Server).deleteBranch},
	{"POST", "tag", 1, false, write, (*Server).createTag},
	{"DELETE", "tag", 1, false, write, (*Server).deleteTag},
	{"POST", "preupload", 1, false, join, (*Server).preupload},
	{"POST", "commit", 1, false, join, (*Server).commit},
	{"PUT", "settings", 0, false, write, (*Server).settings},
	{"GET", "xet-write-token", 1, false, see, (*Server).noXet},
	{"GET", "xet-read-token", 1, false, see, (*Server).noXet},
	{"GET", "parquet", 0, true, read, (*Server).parquet},
	{"GET", "auth-check", 0, false, read, (*Server).authCheck},
	{"GET", "auth-check", 1, false, write, (*Server).authCheck},
	{"POST", "super-squash", 1, false, write, (*Server).squash},
	{"POST", "duplicate", 0, false, read, (*Server).duplicate},
	{"GET", "compare", 1, true, read, (*Server).compare},
	{"GET", "treesize", 1, true, see, (*Server).treeSize},
	{"GET", "lfs-files", 0, false, write, (*Server).largeFiles},
	{"DELETE", "lfs-files", 1, false, write, (*Server).forgetLarge},
	{"POST", "lfs-files", 1, false, write, (*Server).forgetLargeFiles},
	{"POST", "like", 0, false, see, (*Server).like},
	{"DELETE", "like", 0, false, see, (*Server).like},
	{"GET", "likers", 0, false, see, (*Server).likers},
	{"GET", "user-access-request", 1, false, write, (*Server).accessRequests},
	{"POST", "user-access-request", 1, false, see, (*Server).handleAccess},
	{"GET", "discussions", 0, false, see, (*Server).discussions},
	{"POST", "discussions", 0, false, see, (*Server).createDiscussion},
	{"GET", "discussions", 1, false, see, (*Server).discussion},
	{"POST", "discussions", 2, true, see, (*Server).changeDiscussion},
}

// routesOf are the calls on a repository of that type.
func routesOf(typ hub.RepoType) []route {
	if typ == hub.Space {
		return append(routes[:len(routes):len(routes)], spaceRoutes...)
	}
	return routes
}

// api serves what is under /api.
func (s *Server) api(x *exchange, seg []string) error {
	if len(seg) == 0 {
		return noRoute(x)
	}
	method := x.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	switch method + " " + strings.Join(seg, "/") {
	case "GET whoami-v2":
		return s.whoami(x)
	case "POST validate-yaml":
		return s.validateYAML(x)
	case "POST repos/create":
		return s.createRepo(x)
	case "DELETE repos/delete":
		return s.deleteRepo(x)
	case "POST repos/move":
		return s.moveRepo(x)
	}
	switch seg[0] {
	case "storage":
		return s.storage(x, seg[1:])
	case "no-xet-here":
		return refuse(http.StatusNotFound, "XetNotAvailable", noXetText)
	}
	if len(seg) == 3 && seg[0] == "users" && seg[2] == "likes" && method == http.MethodGet {
		return s.userLikes(x, seg[1])
	}
	if ours, err := s.moreAPI(x, method, seg); ours {
		return err
	}
	typ, ok := apiType(seg[0])
	if !ok {
		return noRoute(x)
	}
	if len(seg) == 1 && method == http.MethodGet {
		return s.list(x, typ)
	}
	id := hub.RepoID{Type: typ}
	if len(seg) > 2 {
		id.Namespace, id.Name, seg = seg[1], seg[2], seg[3:]
	} else { // an old name without an owner: there is none here
		id.Name, seg = seg[len(seg)-1], nil
	}
	return s.repoAPI(x, method, id, seg)
}

// wholeRevision joins refs/pr/N and refs/convert/NAME at the beginning of a
// path, which some clients do not escape.
func wholeRevision(seg []string) []string {
	if len(seg) < 3 || seg[0] != "refs" || seg[1] != "pr" && seg[1] != "convert" {
		return seg
	}
	return append([]string{strings.Join(seg[:3], "/")}, seg[3:]...)
}

// apiType reads "models", "datasets" or "spaces".
func apiType(s string) (hub.RepoType, bool) {
	typ := hub.RepoType(strings.TrimSuffix(s, "s"))
	return typ, strings.HasSuffix(s, "s") && slices.Contains([]hub.RepoType{hub.Model, hub.Dataset, hub.Space}, typ)
}

func (s *Server) repoAPI(x *exchange, method string, id hub.RepoID, seg []string) error {
	action := ""
	if len(seg) > 0 {
		action, seg = seg[0], wholeRevision(seg[1:])
	}
	known := false
	for _, r := range routesOf(id.Type) {
		if r.action != action || len(seg) < r.args || len(seg) > r.args && !r.more {
			continue
		}
		known = true
		if r.method != method {
			continue
		}
		c, err := s.repoCall(x, id, r.needs)
		if err != nil {
			return err
		}
		c.args = seg
		if err := r.do(s, c); err != nil {
			return err
		}
		s.announce(c, r.action)
		return nil
	}
	if known {
		return refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", x.Method+" is not for this address")
	}
	return noRoute(x)
}

// repoCall opens the repository of a call for one who may make it.
func (s *Server) repoCall(x *exchange, id hub.RepoID, needs access) (*repoCall, error) {
	repo, err := s.open(x, id)
	if moved, ok := errors.AsType[*gitstore.MovedError](err); ok {
		return nil, s.sendOn(x, id, moved.To)
	}
	if errors.Is(err, gitstore.ErrInvalid) { // no repository can have that name
		return nil, noRepo(x)
	}
	if err == nil && needs >= read {
		err = s.mayRead(x, repo)
	}
	switch {
	case err != nil:
	case needs == join:
		err = s.mayJoin(x)
	case needs == write:
		err = s.mayWrite(x, id.Namespace)
	}
	if err != nil {
		return nil, err
	}
	return &repoCall{exchange: x, repo: repo}, nil
}

// noXet tells the clients that do not ask first. The library of the official
// one shows the address of an answer that says no, and nothing else of it, so
// the address says what to do.
func (s *Server) noXet(c *repoCall) error {
	c.Header().Set("Location", "/api/no-xet-here/set-HF_HUB_DISABLE_XET=1")
	return refuse(http.StatusTemporaryRedirect, "XetNotAvailable", noXetText)
}

// sendOn leads a call of a repository's old name to the new one. The address
// must be relative: clients do not follow a HEAD elsewhere.
func (s *Server) sendOn(x *exchange, from, to hub.RepoID) error {
	if _, err := s.open(x, to); err != nil { // as if it had never been there
		return noRepo(x)
	}
	old := url.PathEscape(from.Namespace) + "/" + url.PathEscape(from.Name)
	path := strings.Replace("/"+strings.TrimLeft(x.URL.EscapedPath(), "/"), "/"+old, "/"+to.String(), 1)
	if x.URL.RawQuery != "" {
		path += "?" + x.URL.RawQuery
	}
	x.Header().Set("Location", path)
	return refuse(http.StatusTemporaryRedirect, "RepoMoved", "the repository is now "+to.String())
}

func noRoute(x *exchange) error {
	return refuse(http.StatusNotFound, "NotFound", "this server has no "+x.Method+" "+x.URL.Path)
}

// site serves what is not under /api: files, pages and the large file
// protocol.
func (s *Server) site(x *exchange, seg []string) error {
	typ := hub.Model
	if t, ok := apiType(seg[0]); ok && t != hub.Model && len(seg) > 1 {
		typ, seg = t, seg[1:]
	}
	get := x.Method == http.MethodGet || x.Method == http.MethodHead
	if len(seg) == 1 && seg[0] == "login" && get && s.opts.Auth {
		return s.login(x)
	}
	if len(seg) == 1 && get {
		return s.indexPage(x, seg[0])
	}
	if len(seg) < 2 {
		return noRoute(x)
	}
	if len(seg) == 3 && seg[0] == "collections" && get {
		return s.collectionPage(x, seg[1], seg[2])
	}
	id := hub.RepoID{Type: typ, Namespace: seg[0], Name: seg[1]}
	rest := seg[2:]
	name, git := strings.CutSuffix(id.Name, ".git")
	if gitCall(rest) {
		id.Name = name
		return s.gitAPI(x, id, rest)
	}
	if git {
		id.Name = name
		return x.challenge(s.largeAPI(x, id, rest))
	}
	action := ""
	if len(rest) > 0 {
		action = rest[0]
		rest = append([]string{action}, wholeRevision(rest[1:])...)
	}
	if action == "ask-access" && x.Method == http.MethodPost {
		return s.askAccess(x, id)
	}
	if !get {
		return noRoute(x)
	}
	switch action {
	case "", "tree", "blob", "commit", "commits", "discussions", "ask-access":
		return s.repoPage(x, id, rest)
	case "resolve", "raw":
		if len(rest) < 3 {
			return noRoute(x)
		}
		return s.file(x, id, rest)
	}
	return noRoute(x)
}

// values reads a query's list, in both ways that clients write one.
func values(q url.Values, name string) []string { return append(q[name], q[name+"[]"]...) }

// truth reads a query's yes or no, as all clients write it.
func truth(v string) bool {
	switch strings.ToLower(v) {
	case "1", "true", "yes", "on":
		return true
	}
	return false
}
