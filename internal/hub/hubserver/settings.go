package hubserver

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// settings changes who may do what with a repository.
func (s *Server) settings(c *repoCall) error {
	var in struct {
		Private       *bool   `json:"private"`
		Visibility    *string `json:"visibility"`
		Gated         any     `json:"gated"`
		NoDiscussions *bool   `json:"discussionsDisabled"`
	}
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	gated, err := readGate(in.Gated)
	if err != nil {
		return err
	}
	private := in.Private
	if in.Visibility != nil {
		hidden, err := readVisibility(*in.Visibility, c.repo.Type)
		if err != nil {
			return refuse(http.StatusUnprocessableEntity, "ValidationError", err.Error())
		}
		private = &hidden
	}
	ctx, cancel := c.detached()
	defer cancel()
	repo, err := s.store.Update(ctx, c.repo.RepoID, func(repo *gitstore.Repo) error {
		if private != nil {
			repo.Private = *private
		}
		if in.Gated != nil {
			repo.Gated = gated
		}
		if in.NoDiscussions != nil {
			repo.NoDiscussions = *in.NoDiscussions
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{
		"private": repo.Private, "gated": gatedValue(repo), "discussionsDisabled": repo.NoDiscussions,
	})
}

// readGate reads false, "auto" or "manual".
func readGate(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case bool:
		if !v {
			return "", nil
		}
	case string:
		if v == "auto" || v == "manual" {
			return v, nil
		}
	}
	return "", badRequest(`"gated" must be false, "auto" or "manual"`)
}

// readVisibility reports whether a repository is to be private. A protected
// Space hides its files, which is all that there is of it here.
func readVisibility(word string, typ hub.RepoType) (private bool, err error) {
	switch {
	case word == "public":
		return false, nil
	case word == "private", word == "protected" && typ == hub.Space:
		return true, nil
	}
	return false, errors.New("visibility must be public or private, or protected for a Space")
}

// squash makes one commit of the history of a branch.
func (s *Server) squash(c *repoCall) error {
	var in struct {
		Message string `json:"message"`
	}
	if err := decodeMaybe(c, &in); err != nil {
		return err
	}
	if len([]rune(in.Message)) > 500 {
		return badRequest("the message has more than 500 characters")
	}
	ref, err := s.branch(c.repo, c.args[0])
	if err != nil {
		return err
	}
	if _, pull := gitstore.PullNumber(ref); pull {
		return badRequest("a pull request cannot be squashed; it becomes one commit when it is merged")
	}
	text := in.Message
	if strings.TrimSpace(text) == "" {
		text = fmt.Sprintf("Super-squash branch '%s'", strings.TrimPrefix(ref, "refs/heads/"))
	}
	title, body, _ := strings.Cut(text, "\n")
	ctx, cancel := c.detached()
	defer cancel()
	commit, err := s.store.Squash(ctx, c.repo.RepoID, ref, c.who.Name, message(title, body))
	if err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{"commitId": commit.ID})
}

// duplicate copies a repository to another name. The copy has main and its
// history; what people said stays behind.
func (s *Server) duplicate(c *repoCall) error {
	var in struct {
		Repository string `json:"repository"`
		Private    *bool  `json:"private"`
		Visibility string `json:"visibility"`
		spaceRequest
	}
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	to, err := repoRequest{Name: in.Repository, Type: c.repo.Type}.id(c.exchange)
	if err != nil {
		return err
	}
	if slices.Contains(reserved, to.Namespace) {
		return badRequest(to.Namespace + " cannot own repositories")
	}
	if err := s.mayWrite(c.exchange, to.Namespace); err != nil {
		return err
	}
	state := gitstore.State{Private: c.repo.Private, SDK: c.repo.SDK}
	if in.Private != nil {
		state.Private = *in.Private
	}
	if in.Visibility != "" {
		if state.Private, err = readVisibility(in.Visibility, to.Type); err != nil {
			return badRequest(err.Error())
		}
	}
	if to.Type == hub.Space { // secrets of the original stay with it
		if state.Space, err = s.newSpace(in.spaceRequest, state.SDK); err != nil {
			return err
		}
	}
	ctx, cancel := c.detached()
	defer cancel()
	repo, err := s.store.Copy(ctx, c.repo, to, state)
	if errors.Is(err, gitstore.ErrExists) {
		return alreadyThere(c.exchange, to)
	}
	if err != nil {
		return err
	}
	s.tell(c.exchange, repo, "create", "repo", nil)
	return s.ok(c.exchange, map[string]any{"url": c.base() + "/" + to.Path(), "name": to.String(), "id": repo.ID})
}
