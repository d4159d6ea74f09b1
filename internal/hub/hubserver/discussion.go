package hubserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"ml-intern/internal/hub/hubserver/community"
	"ml-intern/internal/hub/hubserver/gitstore"
)

const pageDiscussions = 50

// discussions lists discussions and pull requests, the newest first.
func (s *Server) discussions(c *repoCall) error {
	if err := c.talks(); err != nil {
		return err
	}
	q := c.URL.Query()
	kind, status, author := q.Get("type"), q.Get("status"), q.Get("author")
	if !slices.Contains([]string{"", "all", "discussion", "pull_request"}, kind) {
		return badRequest("type must be all, discussion or pull_request")
	}
	if !slices.Contains([]string{"", "all", "open", "closed"}, status) {
		return badRequest("status must be all, open or closed")
	}
	page := 0
	if p := q.Get("p"); p != "" {
		var err error
		if page, err = strconv.Atoi(p); err != nil || page < 0 || page > 1e6 {
			return badRequest("p must be the number of a page")
		}
	}
	all, err := s.board().List(c.repo)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(d community.Discussion) bool {
		over := d.Status == community.Closed || d.Status == community.Merged
		return kind == "discussion" && d.Pull || kind == "pull_request" && !d.Pull ||
			status == "open" && over || status == "closed" && !over || author != "" && d.Author != author
	})
	start := page * pageDiscussions
	out := []map[string]any{}
	for _, d := range all[min(start, len(all)):min(start+pageDiscussions, len(all))] {
		out = append(out, c.discussionItem(d))
	}
	return s.ok(c.exchange, map[string]any{"discussions": out, "count": len(all), "start": start})
}

// discussion describes one discussion with all that happened in it.
func (s *Server) discussion(c *repoCall) error {
	if err := c.talks(); err != nil {
		return err
	}
	d, err := s.findDiscussion(c)
	if err != nil {
		return err
	}
	events, err := s.board().Timeline(c.repo, d)
	if err != nil {
		return err
	}
	v := c.discussionItem(d)
	list := []map[string]any{}
	for _, e := range events {
		list = append(list, eventJSON(e))
	}
	v["events"] = list
	if d.Pull {
		if err := s.pullDetails(c, d, v); err != nil {
			return err
		}
	}
	return s.ok(c.exchange, v)
}

func (s *Server) findDiscussion(c *repoCall) (community.Discussion, error) {
	num, err := discussionNumber(c.args[0])
	if err != nil {
		return community.Discussion{}, err
	}
	return s.board().Get(c.repo, num)
}

func discussionNumber(arg string) (int, error) {
	num, err := strconv.Atoi(arg)
	if err != nil || num < 1 {
		return 0, badRequest("a discussion has a number")
	}
	return num, nil
}

// pullDetails adds what git knows of a pull request.
func (s *Server) pullDetails(c *repoCall, d community.Discussion, v map[string]any) error {
	pull := c.repo.Pulls[d.Num]
	changes := map[string]any{"base": pull.Target}
	if pull.Merged != "" {
		changes["mergeCommitId"] = pull.Merged
	}
	v["changes"] = changes
	conflicts, err := s.store.Conflicts(c.repo, d.Num)
	switch {
	case errors.Is(err, gitstore.ErrNoRevision): // the branch that it is for is gone
		v["filesWithConflicts"] = true
	case err != nil:
		return err
	default:
		v["filesWithConflicts"] = append([]string{}, conflicts...)
	}
	if !truth(c.URL.Query().Get("diff")) {
		return nil
	}
	if err := s.mayRead(c.exchange, c.repo); err != nil {
		return err
	}
	from, err := s.store.ReadCommit(pull.Base)
	if err != nil {
		return err
	}
	to, err := s.store.ReadCommit(c.repo.Refs[gitstore.PullRef(d.Num)])
	if err != nil {
		return err
	}
	v["diff"], err = s.diffText(from, to)
	return err
}

// createDiscussion starts a discussion or a pull request. At a gate one may
// talk; to propose a change one must have passed it.
func (s *Server) createDiscussion(c *repoCall) error {
	if err := errors.Join(s.mayJoin(c.exchange), c.talks()); err != nil {
		return err
	}
	var in struct {
		Title string `json:"title"`
		Text  string `json:"description"`
		Pull  bool   `json:"pullRequest"`
	}
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	start := community.Start{Author: c.who.Name, Title: in.Title, Text: in.Text}
	ctx, cancel := c.detached()
	defer cancel()
	var d community.Discussion
	var err error
	if in.Pull {
		if err := s.mayRead(c.exchange, c.repo); err != nil {
			return err
		}
		d, _, err = s.board().OpenPull(ctx, c.repo.RepoID, start, gitstore.Opening{})
	} else {
		d, err = s.board().Create(ctx, c.repo.RepoID, start)
	}
	if err != nil {
		return err
	}
	v := c.discussionItem(d)
	v["pullRequest"] = d.Pull
	return s.ok(c.exchange, v)
}

// changeDiscussion serves what is below /discussions/N.
func (s *Server) changeDiscussion(c *repoCall) error {
	if err := errors.Join(s.mayJoin(c.exchange), c.talks()); err != nil {
		return err
	}
	num, err := discussionNumber(c.args[0])
	if err != nil {
		return err
	}
	var in struct {
		Comment string           `json:"comment"`
		Content string           `json:"content"`
		Title   string           `json:"title"`
		Status  community.Status `json:"status"`
	}
	if err := decodeMaybe(c, &in); err != nil {
		return err
	}
	ctx, cancel := c.detached()
	defer cancel()
	action := strings.Join(c.args[1:], "/")
	if len(c.args) == 4 && c.args[1] == "comment" {
		return s.changeComment(ctx, c, num, in.Content)
	}
	if action == "merge" {
		return s.merge(ctx, c, num, in.Comment)
	}
	var key string
	var change func(d *community.Discussion) (community.Event, error)
	switch action {
	case "comment":
		key, change = "newMessage", func(d *community.Discussion) (community.Event, error) { return d.Say(c.who.Name, in.Comment) }
	case "title":
		key, change = "newTitle", func(d *community.Discussion) (community.Event, error) { return d.SetTitle(c.who.Name, in.Title) }
	case "status":
		key, change = "newStatus", func(d *community.Discussion) (community.Event, error) {
			if strings.TrimSpace(in.Comment) != "" {
				if _, err := d.Say(c.who.Name, in.Comment); err != nil {
					return community.Event{}, err
				}
			}
			return d.SetStatus(c.who.Name, in.Status)
		}
	default:
		return noRoute(c.exchange)
	}
	return s.changed(ctx, c, num, key, func(d *community.Discussion) (community.Event, error) {
		if action != "comment" {
			if err := s.mayChange(c, d.Author); err != nil {
				return community.Event{}, err
			}
		}
		return change(d)
	})
}

// changed makes a change and answers with its event.
func (s *Server) changed(ctx context.Context, c *repoCall, num int, key string, change func(*community.Discussion) (community.Event, error)) error {
	var e community.Event
	_, err := s.board().Change(ctx, c.repo.RepoID, num, func(d *community.Discussion) (err error) {
		e, err = change(d)
		return err
	})
	if err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{key: eventJSON(e)})
}

// changeComment edits or hides a comment: /discussions/N/comment/ID/edit. Only
// its author edits it; those who may write may hide it, too.
func (s *Server) changeComment(ctx context.Context, c *repoCall, num int, text string) error {
	id := c.args[2]
	switch c.args[3] {
	case "edit":
		return s.changed(ctx, c, num, "updatedComment", func(d *community.Discussion) (community.Event, error) {
			return d.Edit(id, c.who.Name, text, func(e community.Event) error {
				if e.Author != c.who.Name {
					return refuse(http.StatusForbidden, "Forbidden", "Forbidden: the comment is of "+e.Author)
				}
				return nil
			})
		})
	case "hide":
		return s.changed(ctx, c, num, "updatedComment", func(d *community.Discussion) (community.Event, error) {
			return d.Hide(id, func(e community.Event) error { return s.mayChange(c, e.Author) })
		})
	}
	return noRoute(c.exchange)
}

// mayChange lets the author of something and those who may write change it.
func (s *Server) mayChange(c *repoCall, author string) error {
	if author == c.who.Name {
		return nil
	}
	return s.mayWrite(c.exchange, c.repo.Namespace)
}

func (s *Server) merge(ctx context.Context, c *repoCall, num int, comment string) error {
	if err := s.mayWrite(c.exchange, c.repo.Namespace); err != nil {
		return err
	}
	merged, err := s.board().Merge(ctx, c.repo.RepoID, num, c.who.Name, strings.TrimSpace(comment))
	if err != nil {
		return fmt.Errorf("merge pull request %d: %w", num, err)
	}
	return s.ok(c.exchange, map[string]any{"success": true, "mergeCommitId": merged.ID})
}
