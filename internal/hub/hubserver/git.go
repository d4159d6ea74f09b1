package hubserver

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/githttp"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// git is the server of git's own protocol for the one who asks.
func (s *Server) git(x *exchange) *githttp.Server {
	return &githttp.Server{
		Store:     s.store,
		Check:     func(repo *gitstore.Repo, readme []byte) error { return checkCard(repo.Type, readme) },
		MayName:   func(repo *gitstore.Repo, l gitstore.Large) bool { return s.brought(x, repo.Namespace, l) },
		MayUpdate: func(repo *gitstore.Repo, ref string) error { return s.mayUpdate(x, repo, ref) },
	}
}

// bringer is for whom the one who asks brings a large file to a repository of
// a namespace: for its owner, if they are one of them, else for themselves. The
// owner's other files are none of a stranger's.
func (s *Server) bringer(x *exchange, namespace string) string {
	if s.member(x.who, namespace) {
		return namespace
	}
	return x.who.Name
}

// brought reports whether the one who asks may know a large file from having
// brought it here. Without Auth everything is everyone's.
func (s *Server) brought(x *exchange, namespace string, l gitstore.Large) bool {
	if !s.opts.Auth {
		return true
	}
	return x.who != nil && (s.store.Claimed(x.who.Name, l.OID) || s.store.Claimed(s.bringer(x, namespace), l.OID))
}

// mayName reports whether a commit to a repository may name a large file: who
// makes the commit brought it, or it is there already.
func (s *Server) mayName(c *repoCall) (may func(gitstore.Large) (bool, error), done func()) {
	var own *githttp.Inventory
	may = func(l gitstore.Large) (bool, error) {
		if s.brought(c.exchange, c.repo.Namespace, l) {
			return true, nil
		}
		if own == nil {
			own = s.git(c.exchange).Inventory(c.repo)
		}
		return own.Has(gitstore.OID(l.Pointer()))
	}
	return may, func() {
		if own != nil {
			own.Close()
		}
	}
}

// gitCall reports whether what is behind a repository's name is git's.
func gitCall(rest []string) bool {
	switch strings.Join(rest, "/") {
	case "info/refs", "git-upload-pack", "git-receive-pack":
		return true
	}
	return false
}

// gitAPI serves git itself: clone, fetch and push.
func (s *Server) gitAPI(x *exchange, id hub.RepoID, rest []string) error {
	method, service := http.MethodPost, githttp.Service(rest[len(rest)-1])
	if rest[0] == "info" {
		method, service = http.MethodGet, githttp.Service(x.URL.Query().Get("service"))
	}
	if service == "" {
		return refuse(http.StatusForbidden, "Forbidden", "this server speaks git's smart protocol only: update git")
	}
	if x.Method != method {
		return refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", x.Method+" is not for this address")
	}
	needs := read
	if service == "git-receive-pack" {
		needs = join
	}
	c, err := s.repoCall(x, id, needs)
	if err == nil && needs == join {
		err = s.mayPush(c)
	}
	if err != nil {
		return x.challenge(err)
	}
	switch {
	case method == http.MethodGet:
		err = s.git(x).Refs(x, x.Request, c.repo, service)
	case needs == read:
		err = s.git(x).UploadPack(x, x.Request, c.repo)
	default:
		err = s.git(x).ReceivePack(x, x.Request, c.repo)
		s.announce(c, "commit")
	}
	if errors.Is(err, githttp.ErrRequest) {
		return badRequest(err.Error())
	}
	return err
}

// challenge has git and git-lfs ask for a name and a token: without it they
// take a refusal for the last word.
func (x *exchange) challenge(err error) error {
	if r, ok := errors.AsType[*refusal](err); ok && r.status == http.StatusUnauthorized {
		x.Header().Set("WWW-Authenticate", `Basic realm="Authentication required", charset="UTF-8"`)
		x.Header().Set("LFS-Authenticate", `Basic realm="Authentication required", charset="UTF-8"`)
	}
	return err
}

// token is what the one who asks says to prove it: git sends it as a password.
func (x *exchange) token() string {
	if name, password, ok := x.BasicAuth(); ok {
		if password == "" {
			return name
		}
		return password
	}
	token, _ := strings.CutPrefix(x.Request.Header.Get("Authorization"), "Bearer ")
	return strings.TrimSpace(token)
}

// downloads tells where to read large files. Only those that the repository
// itself has are there for its readers: the store is shared.
func (s *Server) downloads(c *repoCall, objects []largeObject) error {
	owned := s.git(c.exchange).Inventory(c.repo)
	defer owned.Close()
	out := []map[string]any{}
	for _, o := range objects {
		v := map[string]any{"oid": o.OID, "size": o.Size, "authenticated": true}
		here := isSHA256(o.OID) && s.store.HasLarge(o.large())
		if here {
			var err error
			if here, err = owned.Has(gitstore.OID(o.large().Pointer())); err != nil {
				return err
			}
		}
		if here {
			t := ticket{path: "/api/storage/get/" + o.OID, size: o.Size}
			v["actions"] = map[string]any{"download": map[string]any{"href": c.base() + s.sign(t), "header": map[string]any{}}}
		} else {
			v["error"] = map[string]any{"code": http.StatusNotFound, "message": "Object does not exist on the server"}
		}
		out = append(out, v)
	}
	return s.ok(c.exchange, map[string]any{"transfer": "basic", "objects": out, "hash_algo": "sha256"})
}

// sendLarge serves a large file to one who was told its address.
func (s *Server) sendLarge(x *exchange, t ticket, oid string) error {
	if !slices.Contains([]string{http.MethodGet, http.MethodHead}, x.Method) {
		return noRoute(x)
	}
	return s.content(x, gitstore.File{OID: oid, Size: t.size, Large: &gitstore.Large{OID: oid, Size: t.size}}, oid)
}
