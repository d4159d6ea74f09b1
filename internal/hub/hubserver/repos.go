package hubserver

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// reserved names cannot be owners: they begin addresses of the server.
var reserved = []string{"api", "models", "datasets", "spaces", "kernels", "buckets", "docs", "login", "settings", "collections", "jobs", "v1", visitPrefix}

// repoRequest is the body of the calls that name a repository.
type repoRequest struct {
	Name       string       `json:"name"`
	Owner      *string      `json:"organization"`
	Type       hub.RepoType `json:"type"`
	Private    *bool        `json:"private"`
	Visibility string       `json:"visibility"`
	SDK        string       `json:"sdk"`
	License    string       `json:"license"`
	spaceRequest
	Files []struct {
		Path     string `json:"path"`
		Content  string `json:"content"`
		Encoding string `json:"encoding"`
	} `json:"files"`
}

// id is the repository that is meant. Its owner is the one who asks, if no
// other is named.
func (r repoRequest) id(x *exchange) (hub.RepoID, error) {
	id := hub.RepoID{Type: cmp.Or(r.Type, hub.Model), Name: r.Name}
	if ns, name, ok := strings.Cut(r.Name, "/"); ok {
		id.Namespace, id.Name = ns, name
	}
	if r.Owner != nil && *r.Owner != "" {
		id.Namespace = *r.Owner
	}
	if id.Namespace == "" && x.who != nil {
		id.Namespace = x.who.Name
	}
	if err := id.Check(); err != nil {
		return id, badRequest("Invalid repository name: " + err.Error())
	}
	return id, nil
}

func (s *Server) createRepo(x *exchange) error {
	if x.who == nil {
		return refuse(http.StatusUnauthorized, "Unauthorized", noPassword)
	}
	var in repoRequest
	if err := decode(x, &in); err != nil {
		return err
	}
	id, err := in.id(x)
	if err != nil {
		return err
	}
	if slices.Contains(reserved, id.Namespace) {
		return badRequest(id.Namespace + " cannot own repositories")
	}
	if err := s.mayWrite(x, id.Namespace); err != nil {
		return err
	}
	state := gitstore.State{Private: in.Private != nil && *in.Private}
	switch in.Visibility {
	case "private", "protected":
		state.Private = true
	case "", "public":
	default:
		return badRequest("visibility must be public or private")
	}
	if id.Type == hub.Space {
		if !slices.Contains([]string{"gradio", "docker", "static", "streamlit"}, in.SDK) {
			return badRequest(`"sdk" must be one of gradio, docker, static`)
		}
		state.SDK = in.SDK
		if state.Space, err = s.newSpace(in.spaceRequest, in.SDK); err != nil {
			return err
		}
	}
	repo, err := s.makeRepo(x, id, state, in)
	if errors.Is(err, gitstore.ErrExists) {
		return alreadyThere(x, id)
	}
	if err != nil {
		return err
	}
	s.tell(x, repo, "create", "repo", nil)
	return s.ok(x, map[string]any{"url": x.base() + "/" + id.Path(), "name": id.String(), "id": repo.ID})
}

// alreadyThere tells clients that do not mind where the repository is.
func alreadyThere(x *exchange, id hub.RepoID) error {
	return &refusal{
		http.StatusConflict, "Conflict", "You already created this " + string(id.Type) + " repo",
		map[string]any{"url": x.base() + "/" + id.Path(), "name": id.String()},
	}
}

// makeRepo creates a repository with its first commit.
func (s *Server) makeRepo(x *exchange, id hub.RepoID, state gitstore.State, in repoRequest) (*gitstore.Repo, error) {
	b := s.store.Batch()
	defer b.Discard()
	files := map[string][]byte{gitstore.AttributesFile: gitstore.DefaultAttributes()}
	if in.License != "" {
		files["README.md"] = fmt.Appendf(nil, "---\nlicense: %s\n---\n", strings.TrimSpace(in.License))
	}
	if id.Type == hub.Space {
		files["README.md"] = fmt.Appendf(nil, "---\ntitle: %s\nsdk: %s\n---\n", id.Name, state.SDK)
	}
	for _, f := range in.Files {
		data := []byte(f.Content)
		if f.Encoding == "base64" {
			var err error
			if data, err = base64.StdEncoding.DecodeString(f.Content); err != nil {
				return nil, badRequest(f.Path + ": the content is not base64")
			}
		}
		files[f.Path] = data
	}
	if err := checkCard(id.Type, files["README.md"]); err != nil {
		return nil, err
	}
	spec := gitstore.CommitSpec{Author: x.who.Name, Message: "initial commit", MayName: func(l gitstore.Large) (bool, error) {
		return s.brought(x, id.Namespace, l), nil
	}}
	for path, data := range files {
		oid, err := b.Blob(data)
		if err != nil {
			return nil, err
		}
		spec.Changes = append(spec.Changes, gitstore.Change{Path: path, Blob: oid})
	}
	ctx, cancel := x.detached()
	defer cancel()
	return s.store.Create(ctx, id, state, spec, b)
}

func (s *Server) deleteRepo(x *exchange) error {
	var in repoRequest
	if err := decode(x, &in); err != nil {
		return err
	}
	id, err := in.id(x)
	if err != nil {
		return err
	}
	if err := s.owned(x, id); err != nil {
		return err
	}
	repo, err := s.store.Repo(id)
	if err != nil {
		return err
	}
	ctx, cancel := x.detached()
	defer cancel()
	if err := s.store.Delete(ctx, id); err != nil {
		return err
	}
	if s.opts.Spaces != nil {
		s.opts.Spaces.Stop(repo.ID)
	}
	s.tell(x, repo, "delete", "repo", nil)
	x.Header().Set("Content-Type", "text/plain; charset=utf-8")
	x.Write([]byte("OK"))
	return nil
}

// owned checks that the repository is there, under this very name, and that
// the one who asks may do with it what they like.
func (s *Server) owned(x *exchange, id hub.RepoID) error {
	_, err := s.open(x, id)
	if _, moved := errors.AsType[*gitstore.MovedError](err); moved {
		return noRepo(x)
	}
	if err != nil {
		return err
	}
	return s.mayWrite(x, id.Namespace)
}

func (s *Server) moveRepo(x *exchange) error {
	var in struct {
		From string       `json:"fromRepo"`
		To   string       `json:"toRepo"`
		Type hub.RepoType `json:"type"`
	}
	if err := decode(x, &in); err != nil {
		return err
	}
	from, err := hub.ParseRepo(in.Type, in.From)
	if err != nil {
		return badRequest(err.Error())
	}
	to, err := hub.ParseRepo(in.Type, in.To)
	if err != nil {
		return badRequest(err.Error())
	}
	if slices.Contains(reserved, to.Namespace) || to.Namespace == "" {
		return badRequest("the new name needs an owner")
	}
	if err := s.owned(x, from); err != nil {
		return err
	}
	if err := s.mayWrite(x, to.Namespace); err != nil {
		return err
	}
	ctx, cancel := x.detached()
	defer cancel()
	if err := s.store.Move(ctx, from, to); err != nil {
		return err
	}
	s.tellMove(x, from, to)
	return s.ok(x, map[string]any{"url": x.base() + "/" + to.Path()})
}

// gatedValue is false or a word, as the Hub writes it.
func gatedValue(repo *gitstore.Repo) any {
	if repo.Gated == "" {
		return false
	}
	return repo.Gated
}

func (s *Server) authCheck(c *repoCall) error {
	if len(c.args) == 1 && c.args[0] != "write" {
		return noRoute(c.exchange)
	}
	return s.ok(c.exchange, map[string]any{})
}
