package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"time"
)

// A Discussion is a discussion or a pull request of a repository.
type Discussion struct {
	Num      int       `json:"num"`
	Title    string    `json:"title"`
	Status   string    `json:"status"` // open, closed, merged or draft
	Pull     bool      `json:"isPullRequest"`
	Author   Author    `json:"author"`
	Created  time.Time `json:"createdAt"`
	Comments int       `json:"numComments"`
}

// UnmarshalJSON reads what it can.
func (d *Discussion) UnmarshalJSON(data []byte) error { return decodeLoosely(data, d) }

// PullRef is the branch of a pull request: commit to it, or read it as a
// revision.
func PullRef(num int) string { return "refs/pr/" + strconv.Itoa(num) }

// Author is who did something, "deleted" if the account is gone.
type Author string

// UnmarshalJSON reads an account.
func (a *Author) UnmarshalJSON(data []byte) error {
	var who struct {
		Name string `json:"name"`
	}
	*a = "deleted"
	if json.Unmarshal(data, &who) == nil && who.Name != "" {
		*a = Author(who.Name)
	}
	return nil
}

// A DiscussionEvent is something that happened in a discussion. What is set
// depends on its type; of types that are not known here, Data tells.
type DiscussionEvent struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"` // comment, status-change, title-change, commit, …
	Author  Author          `json:"author"`
	Created time.Time       `json:"createdAt"`
	Data    json.RawMessage `json:"data"`

	Text    string // of a comment
	Edited  bool
	Hidden  bool
	Status  string // after a status-change
	From    string // the title before a title-change
	To      string
	Commit  string // of a commit
	Subject string
}

// UnmarshalJSON reads what it can.
func (e *DiscussionEvent) UnmarshalJSON(data []byte) error {
	if err := decodeLoosely(data, e); err != nil {
		return err
	}
	if e.Author == "" {
		e.Author = "deleted"
	}
	var v struct {
		Edited bool `json:"edited"`
		Hidden bool `json:"hidden"`
		Latest struct {
			Raw string `json:"raw"`
		} `json:"latest"`
		Status  string `json:"status"`
		From    string `json:"from"`
		To      string `json:"to"`
		Commit  string `json:"oid"`
		Subject string `json:"subject"`
	}
	_ = json.Unmarshal(e.Data, &v) // of a new type nothing is known
	e.Text, e.Edited, e.Hidden = v.Latest.Raw, v.Edited, v.Hidden
	e.Status, e.From, e.To, e.Commit, e.Subject = v.Status, v.From, v.To, v.Commit, v.Subject
	return nil
}

// DiscussionDetails is a discussion with all that happened in it.
type DiscussionDetails struct {
	Discussion
	Events []DiscussionEvent

	// Of a pull request.
	Target    string   // the branch it is for: refs/heads/main
	Merged    string   // the commit that brought it there, "" if none has
	Conflicts []string // files that keep it from being merged
	Conflict  bool     // there are some, perhaps not named
	Diff      string   // what it changes
}

// UnmarshalJSON reads what it can.
func (d *DiscussionDetails) UnmarshalJSON(data []byte) error {
	var v struct {
		Events  []DiscussionEvent `json:"events"`
		Changes struct {
			Base  string `json:"base"`
			Merge string `json:"mergeCommitId"`
		} `json:"changes"`
		Conflicts json.RawMessage `json:"filesWithConflicts"`
		Diff      string          `json:"diff"`
	}
	if err := decodeLoosely(data, &d.Discussion); err != nil {
		return err
	}
	if err := decodeLoosely(data, &v); err != nil {
		return err
	}
	d.Events, d.Target, d.Merged, d.Diff = v.Events, v.Changes.Base, v.Changes.Merge, v.Diff
	d.Conflicts, d.Conflict = nil, false
	if json.Unmarshal(v.Conflicts, &d.Conflict) != nil {
		d.Conflict = json.Unmarshal(v.Conflicts, &d.Conflicts) == nil && len(d.Conflicts) > 0
	}
	return nil
}

func (r RepoID) discussions(num int, more ...string) string {
	path := r.api() + "/discussions"
	if num > 0 {
		path += "/" + strconv.Itoa(num)
	}
	for _, m := range more {
		path += "/" + url.PathEscape(m)
	}
	return path
}

// DiscussionFilter says which discussions to list. The zero value is all.
type DiscussionFilter struct {
	Type   string // discussion or pull_request
	Status string // open or closed
	Author string
}

// ListDiscussions lists discussions and pull requests, the newest first.
func (c *Client) ListDiscussions(ctx context.Context, repo RepoID, f DiscussionFilter) iter.Seq2[Discussion, error] {
	q := url.Values{}
	for key, v := range map[string]string{"type": f.Type, "status": f.Status, "author": f.Author} {
		if v != "" {
			q.Set(key, v)
		}
	}
	return func(yield func(Discussion, error) bool) {
		for p, n := 0, 0; ; p++ {
			q.Set("p", strconv.Itoa(p))
			var page struct {
				Discussions []Discussion `json:"discussions"`
				Count       int          `json:"count"`
			}
			if _, err := c.api(ctx, call{method: "GET", path: repo.discussions(0) + "?" + q.Encode()}, nil, &page); err != nil {
				yield(Discussion{}, fmt.Errorf("list discussions of %s: %w", repo, err))
				return
			}
			for _, d := range page.Discussions {
				if !yield(d, nil) {
					return
				}
			}
			n += len(page.Discussions)
			if len(page.Discussions) == 0 || n >= page.Count {
				return
			}
		}
	}
}

// GetDiscussion returns a discussion, with its diff if it is a pull request.
func (c *Client) GetDiscussion(ctx context.Context, repo RepoID, num int) (DiscussionDetails, error) {
	var d DiscussionDetails
	if _, err := c.api(ctx, call{method: "GET", path: repo.discussions(num) + "?diff=1"}, nil, &d); err != nil {
		return DiscussionDetails{}, fmt.Errorf("get discussion %d of %s: %w", num, repo, err)
	}
	return d, nil
}

// NewDiscussion is a discussion to start.
type NewDiscussion struct {
	Title string // 3 to 200 characters
	Text  string
	Pull  bool // a pull request, a draft until it is opened; commit to its PullRef
}

// CreateDiscussion starts a discussion and returns its number.
func (c *Client) CreateDiscussion(ctx context.Context, repo RepoID, d NewDiscussion) (int, error) {
	in := map[string]any{"title": d.Title, "description": d.Text, "pullRequest": d.Pull}
	var out struct {
		Num int `json:"num"`
	}
	if _, err := c.api(ctx, call{method: "POST", path: repo.discussions(0), once: true}, in, &out); err != nil {
		return 0, fmt.Errorf("create discussion in %s: %w", repo, err)
	}
	return out.Num, nil
}

// change posts to a part of a discussion and returns the event that it made.
func (c *Client) change(ctx context.Context, repo RepoID, num int, in map[string]string, part ...string) (DiscussionEvent, error) {
	var out map[string]json.RawMessage
	_, err := c.api(ctx, call{method: "POST", path: repo.discussions(num, part...), once: true}, in, &out)
	if err != nil {
		return DiscussionEvent{}, fmt.Errorf("change discussion %d of %s: %w", num, repo, err)
	}
	var e DiscussionEvent
	for _, key := range []string{"newMessage", "newTitle", "newStatus", "updatedComment"} {
		if text, ok := out[key]; ok {
			_ = json.Unmarshal(text, &e) // the change was made, whatever the answer says of it
		}
	}
	return e, nil
}

// AddComment adds a comment to a discussion.
func (c *Client) AddComment(ctx context.Context, repo RepoID, num int, text string) (DiscussionEvent, error) {
	return c.change(ctx, repo, num, map[string]string{"comment": text}, "comment")
}

// EditComment gives a comment another text.
func (c *Client) EditComment(ctx context.Context, repo RepoID, num int, id, text string) (DiscussionEvent, error) {
	return c.change(ctx, repo, num, map[string]string{"content": text}, "comment", id, "edit")
}

// HideComment takes the text of a comment away, for ever.
func (c *Client) HideComment(ctx context.Context, repo RepoID, num int, id string) (DiscussionEvent, error) {
	return c.change(ctx, repo, num, nil, "comment", id, "hide")
}

// RenameDiscussion gives a discussion another title.
func (c *Client) RenameDiscussion(ctx context.Context, repo RepoID, num int, title string) (DiscussionEvent, error) {
	return c.change(ctx, repo, num, map[string]string{"title": title}, "title")
}

// SetDiscussionStatus makes a discussion "open" or "closed", with a comment
// unless it is "". A draft is opened so.
func (c *Client) SetDiscussionStatus(ctx context.Context, repo RepoID, num int, status, comment string) (DiscussionEvent, error) {
	in := map[string]string{"status": status}
	if comment != "" {
		in["comment"] = comment
	}
	return c.change(ctx, repo, num, in, "status")
}

// MergePullRequest merges a pull request, with a comment unless it is "". In
// conflict with the branch it is ErrConflict.
func (c *Client) MergePullRequest(ctx context.Context, repo RepoID, num int, comment string) error {
	in := map[string]string{}
	if comment != "" {
		in["comment"] = comment
	}
	_, err := c.change(ctx, repo, num, in, "merge")
	return err
}
