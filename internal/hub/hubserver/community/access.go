package community

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// Access is how a request to read a gated repository stands.
type Access string

// The states of a request.
const (
	Pending  Access = "pending"
	Accepted Access = "accepted"
	Rejected Access = "rejected"
)

// A Request is a user's wish to read a gated repository.
type Request struct {
	User   string            `json:"-"`
	ID     string            `json:"id"`
	Access Access            `json:"access"`
	Time   time.Time         `json:"time"`
	Fields map[string]string `json:"fields,omitempty"` // what the owner asks for
	Reason string            `json:"reason,omitempty"` // of a rejection
}

const accessNote = "access.json"

func (b Board) requests(id hub.RepoID) (map[string]Request, error) {
	all := map[string]Request{}
	_, err := b.readNote(id, accessNote, &all)
	return all, err
}

// Requests lists the requests that stand so, the oldest first.
func (b Board) Requests(id hub.RepoID, access Access) ([]Request, error) {
	requests, err := b.requests(id)
	if err != nil {
		return nil, err
	}
	all := []Request{}
	for user, r := range requests {
		if r.User = user; r.Access == access {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(x, y Request) int { return cmp.Or(x.Time.Compare(y.Time), cmp.Compare(x.User, y.User)) })
	return all, nil
}

// Access is how a user's request stands, "" if there is none.
func (b Board) Access(id hub.RepoID, user string) (Access, error) {
	all, err := b.requests(id)
	return all[user].Access, err
}

// Asker finds whose request has an id.
func (b Board) Asker(id hub.RepoID, request string) (string, error) {
	all, err := b.requests(id)
	if err != nil {
		return "", err
	}
	for user, r := range all {
		if r.ID == request {
			return user, nil
		}
	}
	return "", fmt.Errorf("access request %s: %w", request, ErrMissing)
}

// changeRequests changes the requests of a repository while nobody else does.
func (b Board) changeRequests(ctx context.Context, id hub.RepoID, change func(*gitstore.Repo, map[string]Request) error) error {
	return b.Store.Hold(ctx, id, func(repo *gitstore.Repo) error {
		all, err := b.requests(id)
		if err != nil {
			return err
		}
		if err := change(repo, all); err != nil {
			return err
		}
		return b.putNote(id, accessNote, all)
	})
}

// Ask makes a request. Where the gate is "auto" it is accepted at once. One who
// asked before keeps the answer.
func (b Board) Ask(ctx context.Context, id hub.RepoID, user string, fields map[string]string) (Access, error) {
	var out Access
	err := b.changeRequests(ctx, id, func(repo *gitstore.Repo, all map[string]Request) error {
		if repo.Gated == "" {
			return fmt.Errorf("%w: %s is not gated", ErrInvalid, repo)
		}
		r, asked := all[user]
		if !asked {
			r = Request{ID: newID(), Access: Pending, Time: now(), Fields: fields}
		}
		if repo.Gated == "auto" && r.Access == Pending {
			r.Access = Accepted
		}
		all[user], out = r, r.Access
		return nil
	})
	return out, err
}

// Handle answers a request. One that stands so already is ErrMissing, as on the
// Hub.
func (b Board) Handle(ctx context.Context, id hub.RepoID, user string, to Access, reason string) error {
	return b.changeRequests(ctx, id, func(_ *gitstore.Repo, all map[string]Request) error {
		r, asked := all[user]
		switch {
		case to != Pending && to != Accepted && to != Rejected:
			return fmt.Errorf("%w: the status must be pending, accepted or rejected", ErrInvalid)
		case !asked || r.Access == to:
			return fmt.Errorf("a request of %s that is not %s: %w", user, to, ErrMissing)
		}
		r.Access, r.Reason = to, ""
		if to == Rejected {
			r.Reason = reason
		}
		all[user] = r
		return nil
	})
}

// Grant gives access to a user who did not ask.
func (b Board) Grant(ctx context.Context, id hub.RepoID, user string) error {
	return b.changeRequests(ctx, id, func(repo *gitstore.Repo, all map[string]Request) error {
		switch r, asked := all[user]; {
		case repo.Gated == "":
			return fmt.Errorf("%w: %s is not gated", ErrInvalid, repo)
		case asked && r.Access == Accepted:
			return fmt.Errorf("%w: %s has access already", ErrInvalid, user)
		}
		all[user] = Request{ID: newID(), Access: Accepted, Time: now()}
		return nil
	})
}

// Cancel takes back a request that was not answered yet.
func (b Board) Cancel(ctx context.Context, id hub.RepoID, user string) error {
	return b.changeRequests(ctx, id, func(_ *gitstore.Repo, all map[string]Request) error {
		if all[user].Access != Pending {
			return fmt.Errorf("an open request of %s: %w", user, ErrMissing)
		}
		delete(all, user)
		return nil
	})
}
