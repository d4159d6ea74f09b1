package community

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// OpenPull starts a pull request. Of o, the branches and the commit are given.
// One without a commit is a draft.
func (b Board) OpenPull(ctx context.Context, id hub.RepoID, s Start, o gitstore.Opening) (Discussion, gitstore.Commit, error) {
	d, err := s.discussion(0)
	if err != nil {
		return d, gitstore.Commit{}, err
	}
	d.Pull = true
	if len(o.Commit.Changes) == 0 {
		d.Status = Draft
	}
	o.Number = b.next
	o.Announce = func(repo *gitstore.Repo, num int) error {
		d.Num = num
		return b.putNote(id, note(num), d)
	}
	_, head, err := b.Store.OpenPull(ctx, id, o)
	return d, head, err
}

// Merge merges a pull request, with a comment unless it is "".
func (b Board) Merge(ctx context.Context, id hub.RepoID, num int, author, comment string) (gitstore.Commit, error) {
	if comment != "" {
		var err error
		if comment, err = checkComment(comment); err != nil {
			return gitstore.Commit{}, err
		}
	}
	repo, err := b.Store.Repo(id)
	if err != nil {
		return gitstore.Commit{}, err
	}
	d, err := b.Get(repo, num)
	if err != nil {
		return gitstore.Commit{}, err
	}
	if !d.Pull {
		return gitstore.Commit{}, fmt.Errorf("%w: discussion %d is not a pull request", ErrInvalid, num)
	}
	m := gitstore.Merging{Author: author, Message: fmt.Sprintf("%s (#%d)", d.Title, num)}
	if subjects, err := b.Commits(repo, num); err != nil {
		return gitstore.Commit{}, err
	} else if len(subjects) > 0 {
		m.Message += "\n\n" + mergeBody(subjects)
	}
	m.Announce = func(repo *gitstore.Repo, merged gitstore.Commit) error {
		return b.announceMerge(repo, num, author, comment, merged)
	}
	return b.Store.Merge(ctx, id, num, m)
}

// mergeBody names what was merged.
func mergeBody(commits []Event) string {
	var out strings.Builder
	for i, c := range commits {
		if i == 100 {
			fmt.Fprintf(&out, "- and %d more\n", len(commits)-i)
			break
		}
		fmt.Fprintf(&out, "- %s (%s)\n", c.Subject, c.Commit)
	}
	return out.String()
}

// announceMerge writes what the merge adds to the conversation. It counts once
// the repository's state says that merged was the commit.
func (b Board) announceMerge(repo *gitstore.Repo, num int, author, comment string, merged gitstore.Commit) error {
	pull := repo.Pulls[num]
	pull.Merged = "" // what it was until now
	before := *repo
	before.Pulls = map[int]gitstore.Pull{num: pull}
	d, err := b.Get(&before, num)
	switch {
	case err != nil:
		return err
	case d.Status == Draft:
		return fmt.Errorf("it is a draft, open it first: %w", ErrState)
	case d.Status != Open:
		return fmt.Errorf("it is %s: %w", d.Status, ErrState)
	}
	if comment != "" {
		d.add(Event{Kind: Comment, Author: author, Text: comment, If: merged.ID})
	}
	d.add(Event{Kind: Change, Author: author, Status: Merged, If: merged.ID})
	return b.putNote(repo.RepoID, note(num), d)
}

// Commits lists the commits of a pull request as events, the oldest first.
func (b Board) Commits(repo *gitstore.Repo, num int) ([]Event, error) {
	pull, ok := repo.Pulls[num]
	if !ok {
		return nil, nil
	}
	var out []Event
	for c, err := range b.Store.History(repo.Refs[gitstore.PullRef(num)]) {
		if err != nil {
			return nil, err
		}
		if c.ID == pull.Base || len(out) == maxCommits {
			break
		}
		out = append(out, Event{ID: c.ID[:24], Kind: Pushed, Author: c.Author, Time: c.Time, Commit: c.ID, Subject: c.Title()})
	}
	slices.Reverse(out)
	return out, nil
}

const maxCommits = 1000

// Timeline is all that happened in a discussion, its commits included, in
// order. What the author wrote comes first.
func (b Board) Timeline(repo *gitstore.Repo, d Discussion) ([]Event, error) {
	commits, err := b.Commits(repo, d.Num)
	if err != nil || len(d.Events) == 0 {
		return d.Events, err
	}
	all := slices.Concat(d.Events[1:], commits)
	slices.SortStableFunc(all, func(x, y Event) int { return x.Time.Compare(y.Time) })
	return append(d.Events[:1:1], all...), nil
}
