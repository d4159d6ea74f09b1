package hub_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
)

// people are clients of one Hub: mine owns me/x, other may only read it.
func people(t *testing.T) (h *hubtest.Hub, mine, other *hub.Client, repo hub.RepoID) {
	t.Helper()
	h = hubtest.StartWith(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{
		"hf_mine": {Name: "me"}, "hf_other": {Name: "other"},
	}})
	mine, other = &hub.Client{BaseURL: h.URL, Token: "hf_mine"}, &hub.Client{BaseURL: h.URL, Token: "hf_other"}
	repo = hub.RepoID{Type: hub.Model, Namespace: "me", Name: "x"}
	if _, err := mine.CreateRepo(t.Context(), repo, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return h, mine, other, repo
}

func commit(t *testing.T, c *hub.Client, repo hub.RepoID, in hub.Commit) hub.Committed {
	t.Helper()
	out, err := c.Upload(t.Context(), repo, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func text(path, content string) []hub.File {
	return []hub.File{{Path: path, Content: []byte(content)}}
}

func TestPullRequests(t *testing.T) {
	t.Parallel()
	h, mine, other, repo := people(t)
	ctx := t.Context()
	commit(t, mine, repo, hub.Commit{Files: text("f", "1\n")})
	for _, large := range []bool{false, true} {
		files := text("f", fmt.Sprintf("2 %v\n", large))
		if large {
			files = append(files, hub.File{Path: "w.safetensors", Content: noise(100_000, 3)})
		}
		out := commit(t, other, repo, hub.Commit{Message: "Change f", Description: "because", Pull: true, Files: files})
		if want := fmt.Sprintf("%s/me/x/discussions/%d", h.URL, out.Pull); out.Pull == 0 || out.PullURL != want {
			t.Fatalf("the pull request is %d at %q", out.Pull, out.PullURL)
		}
		commit(t, other, repo, hub.Commit{Revision: hub.PullRef(out.Pull), Files: text("g", fmt.Sprint(large))})
		d, err := other.GetDiscussion(ctx, repo, out.Pull)
		if err != nil || !d.Pull || d.Status != "open" || d.Author != "other" || d.Target != "refs/heads/main" || d.Conflict || !strings.Contains(d.Diff, "+2") {
			t.Errorf("GetDiscussion = %+v, %v", d, err)
		}
		if len(d.Events) != 3 || d.Events[0].Text != "because" || d.Events[1].Type != "commit" || d.Events[1].Subject != "Change f" || len(d.Events[1].Commit) != 40 {
			t.Errorf("the events are %+v", d.Events)
		}
		if err := other.MergePullRequest(ctx, repo, out.Pull, ""); !errors.Is(err, hub.ErrForbidden) {
			t.Errorf("a merge by one who may not: %v", err)
		}
		if err := mine.MergePullRequest(ctx, repo, out.Pull, "thanks"); err != nil {
			t.Errorf("merge: %v", err)
		}
		if err := mine.MergePullRequest(ctx, repo, out.Pull, ""); !errors.Is(err, hub.ErrConflict) {
			t.Errorf("a second merge: %v", err)
		}
		d, err = other.GetDiscussion(ctx, repo, out.Pull)
		if err != nil || d.Status != "merged" || len(d.Merged) != 40 || d.Events[len(d.Events)-1].Status != "merged" {
			t.Errorf("after the merge: %+v, %v", d, err)
		}
	}
	if got := download(t, &hubtest.Hub{Client: mine}, repo, "w.safetensors"); got != string(noise(100_000, 3)) {
		t.Error("the large file of a pull request is not in main")
	}
}

func TestMergeConflict(t *testing.T) {
	t.Parallel()
	_, mine, other, repo := people(t)
	pull := commit(t, other, repo, hub.Commit{Pull: true, Files: text("f", "theirs")}).Pull
	commit(t, mine, repo, hub.Commit{Files: text("f", "mine")})
	d, err := mine.GetDiscussion(t.Context(), repo, pull)
	if err != nil || !d.Conflict || !slices.Equal(d.Conflicts, []string{"f"}) {
		t.Errorf("%+v, %v", d, err)
	}
	if err := mine.MergePullRequest(t.Context(), repo, pull, ""); !errors.Is(err, hub.ErrConflict) || !strings.Contains(err.Error(), "f") {
		t.Errorf("merge: %v", err)
	}
}

func TestDiscussions(t *testing.T) {
	t.Parallel()
	_, mine, other, repo := people(t)
	ctx := t.Context()
	for i := range 60 {
		num, err := other.CreateDiscussion(ctx, repo, hub.NewDiscussion{Title: fmt.Sprint("title ", i), Text: "text", Pull: i == 3})
		if err != nil || num != i+1 {
			t.Fatalf("CreateDiscussion = %d, %v", num, err)
		}
	}
	list := func(f hub.DiscussionFilter) (nums []int) {
		for d, err := range mine.ListDiscussions(ctx, repo, f) {
			if err != nil {
				t.Fatal(err)
			}
			nums = append(nums, d.Num)
		}
		return nums
	}
	if all := list(hub.DiscussionFilter{}); len(all) != 60 || all[0] != 60 || all[59] != 1 {
		t.Errorf("the discussions are %v", all)
	}
	if pulls := list(hub.DiscussionFilter{Type: "pull_request", Status: "open", Author: "other"}); !slices.Equal(pulls, []int{4}) {
		t.Errorf("the pull requests are %v", pulls)
	}
	e, err := mine.AddComment(ctx, repo, 2, "hello")
	if err != nil || e.Text != "hello" || e.Author != "me" || e.ID == "" {
		t.Errorf("AddComment = %+v, %v", e, err)
	}
	id := e.ID
	if _, err := other.EditComment(ctx, repo, 2, id, "mine now"); !errors.Is(err, hub.ErrForbidden) {
		t.Errorf("EditComment of another's: %v", err)
	}
	if e, err = mine.EditComment(ctx, repo, 2, id, "hello again"); err != nil || e.Text != "hello again" || !e.Edited {
		t.Errorf("EditComment = %+v, %v", e, err)
	}
	if e, err = mine.HideComment(ctx, repo, 2, id); err != nil || !e.Hidden || strings.Contains(e.Text, "hello") {
		t.Errorf("HideComment = %+v, %v", e, err)
	}
	if e, err = other.RenameDiscussion(ctx, repo, 2, "new title"); err != nil || e.To != "new title" || e.From != "title 1" {
		t.Errorf("RenameDiscussion = %+v, %v", e, err)
	}
	if e, err = mine.SetDiscussionStatus(ctx, repo, 2, "closed", "enough"); err != nil || e.Status != "closed" {
		t.Errorf("SetDiscussionStatus = %+v, %v", e, err)
	}
	if closed := list(hub.DiscussionFilter{Status: "closed"}); !slices.Equal(closed, []int{2}) {
		t.Errorf("closed are %v", closed)
	}
	if _, err := mine.GetDiscussion(ctx, repo, 999); !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("a missing discussion: %v", err)
	}
	off := true
	if err := mine.UpdateSettings(ctx, repo, hub.RepoSettings{NoDiscussions: &off}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.CreateDiscussion(ctx, repo, hub.NewDiscussion{Title: "more"}); !errors.Is(err, hub.ErrForbidden) {
		t.Errorf("a discussion where there are none: %v", err)
	}
}

// A commit on a branch that has moved on is made once more on top of it, if
// that is wanted.
func TestRebase(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	repo := newRepo(t, h, hub.Model)
	old := head(t, h, repo)
	upload(t, h, repo, hub.File{Path: "a", Content: []byte("1")})
	in := hub.Commit{Parent: old, Files: text("b", "1")}
	if _, err := h.Client.Upload(t.Context(), repo, in); !errors.Is(err, hub.ErrConflict) {
		t.Errorf("on an old parent: %v", err)
	}
	in.Rebase = true
	out, err := h.Client.Upload(t.Context(), repo, in)
	if err != nil || !out.Rebased || out.Commit != head(t, h, repo) || download(t, h, repo, "a") != "1" {
		t.Errorf("Upload = %+v, %v", out, err)
	}
	if out := commit(t, h.Client, repo, hub.Commit{Parent: out.Commit, Rebase: true, Files: text("c", "1")}); out.Rebased {
		t.Error("a commit on the head is said to be rebased")
	}
	h.Break(hubtest.Fault{Method: "POST", Path: "/commit/", Status: 412, Times: -1})
	h.Requests()
	in.Files = text("never", "1")
	if _, err := h.Client.Upload(t.Context(), repo, in); !errors.Is(err, hub.ErrConflict) {
		t.Errorf("a branch that never rests: %v", err)
	}
	n := 0
	for _, r := range h.Requests() {
		if strings.Contains(r.Path, "/commit/") {
			n++
		}
	}
	if n != 2 {
		t.Errorf("it was tried %d times", n)
	}
}
