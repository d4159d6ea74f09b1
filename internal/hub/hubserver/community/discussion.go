package community

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// Status is how a discussion stands.
type Status string

// The states of a discussion. Only pull requests are drafts or merged.
const (
	Open   Status = "open"
	Closed Status = "closed"
	Draft  Status = "draft"
	Merged Status = "merged"
)

// A Discussion is a conversation about a repository. Of a pull request it is
// the part that is not in git.
type Discussion struct {
	Num     int       `json:"num"`
	Title   string    `json:"title"`
	Author  string    `json:"author"`
	Created time.Time `json:"created"`
	Pull    bool      `json:"pull,omitempty"`
	Status  Status    `json:"status"`
	Events  []Event   `json:"events"` // the first is what the author wrote

	Comments int `json:"-"` // after the first
}

// Kind is what happened.
type Kind string

// What can happen in a discussion.
const (
	Comment Kind = "comment"
	Change  Kind = "status-change"
	Rename  Kind = "title-change"
	Pushed  Kind = "commit"
)

// An Event is a thing that happened in a discussion.
type Event struct {
	ID     string    `json:"id"`
	Kind   Kind      `json:"kind"`
	Author string    `json:"author"`
	Time   time.Time `json:"time"`

	Text    string `json:"text,omitempty"` // of a comment
	Edits   []Edit `json:"edits,omitempty"`
	Hidden  bool   `json:"hidden,omitempty"` // for ever: the text is gone
	Status  Status `json:"status,omitempty"` // after a change
	From    string `json:"from,omitempty"`   // the title
	To      string `json:"to,omitempty"`
	Commit  string `json:"commit,omitempty"`
	Subject string `json:"subject,omitempty"`

	// If names a commit of a merge. The event counts only if the pull request
	// was merged by it.
	If string `json:"if,omitempty"`
}

// An Edit is a former text of a comment, with who replaced it and when.
type Edit struct {
	Text   string    `json:"text"`
	Author string    `json:"author"`
	Time   time.Time `json:"time"`
}

const folder = "discussions"

func note(num int) string { return folder + "/" + strconv.Itoa(num) + ".json" }

// Get returns a discussion of a repository as it was when repo was read.
func (b Board) Get(repo *gitstore.Repo, num int) (Discussion, error) {
	var d Discussion
	found, err := b.readNote(repo.RepoID, note(num), &d)
	if err != nil {
		return d, err
	}
	pull, known := repo.Pulls[num]
	if !found || d.Pull && !known { // its repository does not know of it: it was never finished
		return Discussion{}, fmt.Errorf("discussion %d of %s: %w", num, repo, ErrMissing)
	}
	d.Events = slices.DeleteFunc(d.Events, func(e Event) bool { return e.If != "" && e.If != pull.Merged })
	if pull.Merged != "" {
		d.Status = Merged
	}
	for _, e := range d.Events[min(1, len(d.Events)):] {
		if e.Kind == Comment {
			d.Comments++
		}
	}
	return d, nil
}

// numbers lists the numbers of all discussions, those that were never finished
// included, the newest first.
func (b Board) numbers(id hub.RepoID) ([]int, error) {
	names, err := b.Store.Notes(id, folder)
	if err != nil {
		return nil, err
	}
	var nums []int
	for _, name := range names {
		if n, err := strconv.Atoi(strings.TrimSuffix(name, ".json")); err == nil {
			nums = append(nums, n)
		}
	}
	slices.SortFunc(nums, func(x, y int) int { return y - x })
	return nums, nil
}

// List returns all discussions of a repository, the newest first, without their
// events.
func (b Board) List(repo *gitstore.Repo) ([]Discussion, error) {
	nums, err := b.numbers(repo.RepoID)
	if err != nil {
		return nil, err
	}
	var all []Discussion
	for _, n := range nums {
		d, err := b.Get(repo, n)
		if isMissing(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		d.Events = nil
		all = append(all, d)
	}
	return all, nil
}

// next is the number of a new discussion. A number is used once, except for
// that of a pull request which was never finished.
func (b Board) next(repo *gitstore.Repo) (int, error) {
	nums, err := b.numbers(repo.RepoID)
	if err != nil {
		return 0, err
	}
	n := 0
	for ref := range repo.Refs {
		if num, ok := gitstore.PullNumber(ref); ok {
			n = max(n, num)
		}
	}
	for _, num := range nums { // newest first
		if num <= n {
			break
		}
		if _, err := b.Get(repo, num); err == nil {
			n = num
		} else if !isMissing(err) {
			return 0, err
		}
	}
	return n + 1, nil
}

// A Start is what a discussion begins with.
type Start struct {
	Author, Title, Text string
	OfCommit            bool // the title is that of a commit, which may be short
}

func (s Start) discussion(num int) (Discussion, error) {
	least := MinTitle
	if s.OfCommit {
		least = 1
	}
	title, err := checkTitle(s.Title, least)
	if err != nil {
		return Discussion{}, err
	}
	text, err := checkText("description", s.Text, 0, MaxComment)
	if err != nil {
		return Discussion{}, err
	}
	d := Discussion{Num: num, Title: title, Author: s.Author, Created: now(), Status: Open}
	d.add(Event{Kind: Comment, Author: s.Author, Text: text})
	return d, nil
}

func (d *Discussion) add(e Event) {
	e.ID, e.Time = newID(), now()
	d.Events = append(d.Events, e)
}

// Create starts a discussion.
func (b Board) Create(ctx context.Context, id hub.RepoID, s Start) (Discussion, error) {
	d, err := s.discussion(0)
	if err != nil {
		return d, err
	}
	err = b.Store.Hold(ctx, id, func(repo *gitstore.Repo) error {
		if d.Num, err = b.next(repo); err != nil {
			return err
		}
		return b.putNote(id, note(d.Num), d)
	})
	return d, err
}

// Change changes a discussion while nobody else does.
func (b Board) Change(ctx context.Context, id hub.RepoID, num int, change func(*Discussion) error) (Discussion, error) {
	var d Discussion
	err := b.Store.Hold(ctx, id, func(repo *gitstore.Repo) error {
		var err error
		if d, err = b.Get(repo, num); err != nil {
			return err
		}
		if err := change(&d); err != nil {
			return err
		}
		return b.putNote(id, note(num), d)
	})
	return d, err
}

// Say adds a comment.
func (d *Discussion) Say(author, text string) (Event, error) {
	text, err := checkComment(text)
	if err != nil {
		return Event{}, err
	}
	d.add(Event{Kind: Comment, Author: author, Text: text})
	return d.last(), nil
}

func (d *Discussion) last() Event { return d.Events[len(d.Events)-1] }

// SetStatus opens or closes a discussion.
func (d *Discussion) SetStatus(author string, to Status) (Event, error) {
	switch {
	case to != Open && to != Closed:
		return Event{}, fmt.Errorf("%w: the status must be open or closed", ErrInvalid)
	case d.Status == Merged:
		return Event{}, fmt.Errorf("it was merged: %w", ErrState)
	case d.Status == to:
		return Event{}, fmt.Errorf("it is %s already: %w", to, ErrState)
	}
	d.Status = to
	d.add(Event{Kind: Change, Author: author, Status: to})
	return d.last(), nil
}

// SetTitle gives a discussion another title.
func (d *Discussion) SetTitle(author, title string) (Event, error) {
	title, err := checkTitle(title, MinTitle)
	if err != nil {
		return Event{}, err
	}
	d.add(Event{Kind: Rename, Author: author, From: d.Title, To: title})
	d.Title = title
	return d.last(), nil
}

// comment finds a comment that can be changed.
func (d *Discussion) comment(id string) (*Event, error) {
	for i := range d.Events {
		e := &d.Events[i]
		if e.ID == id && e.Kind == Comment {
			if e.Hidden {
				return nil, fmt.Errorf("comment %s is hidden: %w", id, ErrState)
			}
			return e, nil
		}
	}
	return nil, fmt.Errorf("comment %s: %w", id, ErrMissing)
}

// Edit gives a comment another text and keeps the former one. Allowed says
// whether the comment's author may be overruled.
func (d *Discussion) Edit(id, author, text string, allowed func(Event) error) (Event, error) {
	e, err := d.comment(id)
	if err != nil {
		return Event{}, err
	}
	if err := allowed(*e); err != nil {
		return Event{}, err
	}
	if text, err = checkComment(text); err != nil {
		return Event{}, err
	}
	e.Edits = append(e.Edits, Edit{Text: e.Text, Author: author, Time: now()})
	e.Text = text
	return *e, nil
}

// Hide takes the text of a comment away for ever.
func (d *Discussion) Hide(id string, allowed func(Event) error) (Event, error) {
	e, err := d.comment(id)
	if err != nil {
		return Event{}, err
	}
	if err := allowed(*e); err != nil {
		return Event{}, err
	}
	e.Text, e.Edits, e.Hidden = "", nil, true
	return *e, nil
}
