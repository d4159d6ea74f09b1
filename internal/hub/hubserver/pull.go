package hubserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"ml-intern/internal/hub/hubserver/community"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// board is where what people say is kept.
func (s *Server) board() community.Board { return community.Board{Store: s.store} }

// A commitTarget is where a commit goes.
type commitTarget struct {
	ref    string // full name of a branch
	create bool   // as a new pull request for that branch
}

// committed finds where the commit of a call goes, and whether the one who asks
// may make it: on a branch those who may write, on a pull request its author
// too, and as a new pull request everyone who may read.
func (s *Server) committed(c *repoCall) (commitTarget, error) {
	create := truth(c.URL.Query().Get("create_pr"))
	if !create {
		if err := s.maySend(c, c.args[0]); err != nil {
			return commitTarget{}, err
		}
	} else if err := c.talks(); err != nil {
		return commitTarget{}, err
	}
	ref, err := s.branch(c.repo, c.args[0])
	if _, pull := gitstore.PullNumber(ref); err == nil && pull && create {
		return commitTarget{}, badRequest("a pull request cannot be made for a pull request")
	}
	return commitTarget{ref, create}, err
}

// maySend checks whether one may prepare or make a commit to a revision. Large
// files for a new pull request are sent for no revision.
func (s *Server) maySend(c *repoCall, rev string) error {
	if rev == "" {
		if s.mayWrite(c.exchange, c.repo.Namespace) == nil {
			return nil
		}
		return c.talks()
	}
	return s.mayUpdate(c.exchange, c.repo, rev)
}

// mayUpdate says why the one who asks must not send commits to a ref, by the
// API or by git, if so: those of a pull request are its author's and those of
// people who may write, as long as it is neither merged nor closed.
func (s *Server) mayUpdate(x *exchange, repo *gitstore.Repo, ref string) error {
	num, pull := gitstore.PullNumber(ref)
	if !pull {
		return s.mayWrite(x, repo.Namespace)
	}
	d, err := s.board().Get(repo, num)
	if errors.Is(err, community.ErrMissing) { // whether it ever was is for the store to say
		return s.mayWrite(x, repo.Namespace)
	}
	if err != nil {
		return err
	}
	if d.Author != x.who.Name || x.who.ReadOnly {
		if err := s.mayWrite(x, repo.Namespace); err != nil {
			return err
		}
	}
	if d.Status == community.Merged || d.Status == community.Closed {
		return fmt.Errorf("pull request %d is %s: %w", num, d.Status, community.ErrState)
	}
	return nil
}

// mayPush says why git must not even begin to push, if so: one who may not
// write needs a pull request of their own.
func (s *Server) mayPush(c *repoCall) error {
	refused := s.mayWrite(c.exchange, c.repo.Namespace)
	if refused == nil {
		return nil
	}
	for num := range c.repo.Pulls {
		if d, err := s.board().Get(c.repo, num); err == nil && d.Author == c.who.Name {
			return nil
		}
	}
	return refused
}

// talks refuses what discussions are needed for where there are none.
func (c *repoCall) talks() error {
	if c.repo.NoDiscussions {
		return refuse(http.StatusForbidden, "Forbidden", "Discussions are disabled for this repo")
	}
	return nil
}

// commitAsPull opens a pull request with a commit. It begins at the parent that
// the commit names, if it names one.
func (s *Server) commitAsPull(ctx context.Context, c *repoCall, target string, spec gitstore.CommitSpec, b *gitstore.Batch) (int, gitstore.Commit, error) {
	message := gitstore.Commit{Message: spec.Message}
	title := []rune(message.Title())
	text := []rune(message.Body())
	start := community.Start{
		Author: c.who.Name, Title: string(title[:min(len(title), community.MaxTitle)]),
		Text: string(text[:min(len(text), community.MaxComment)]), OfCommit: true,
	}
	d, head, err := s.board().OpenPull(ctx, c.repo.RepoID, start, gitstore.Opening{Target: target, From: spec.Parent, Commit: spec, Batch: b})
	return d.Num, head, err
}
