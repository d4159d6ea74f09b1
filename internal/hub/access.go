package hub

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// AccessStatus is how a request to read a gated repository stands.
type AccessStatus string

// The states of a request.
const (
	AccessPending  AccessStatus = "pending"
	AccessAccepted AccessStatus = "accepted"
	AccessRejected AccessStatus = "rejected"
)

// An AccessRequest is a user's request to read a gated repository.
type AccessRequest struct {
	ID   string   `json:"requestId"`
	User struct { // empty if the repository hides who asks
		Name     string `json:"user"`
		FullName string `json:"fullname"`
		Email    string `json:"email"`
	} `json:"user"`
	Status AccessStatus   `json:"status"`
	Time   time.Time      `json:"timestamp"`
	Fields map[string]any `json:"fields"` // what the owner asks for
}

// UnmarshalJSON reads what it can.
func (r *AccessRequest) UnmarshalJSON(data []byte) error { return decodeLoosely(data, r) }

// AccessRequests lists the requests that stand so.
func (c *Client) AccessRequests(ctx context.Context, repo RepoID, status AccessStatus) iter.Seq2[AccessRequest, error] {
	path := repo.api() + "/user-access-request/" + string(status)
	return paged[AccessRequest](ctx, c, "list access requests of "+repo.String(), path, 0)
}

// SetAccess answers the request of a user: accepts or rejects it, or makes it
// pending again. A reason goes with a rejection. ErrNotFound means that there
// is no such request, or that it stands so already.
func (c *Client) SetAccess(ctx context.Context, repo RepoID, user string, status AccessStatus, reason string) error {
	in := struct {
		User   string       `json:"user"`
		Status AccessStatus `json:"status"`
		Reason string       `json:"rejectionReason,omitempty"`
	}{user, status, reason}
	if _, err := c.api(ctx, call{method: "POST", path: repo.api() + "/user-access-request/handle", once: true}, in, nil); err != nil {
		return fmt.Errorf("answer the access request of %s to %s: %w", user, repo, err)
	}
	return nil
}

// GrantAccess lets a user read a gated repository who did not ask.
func (c *Client) GrantAccess(ctx context.Context, repo RepoID, user string) error {
	in := map[string]string{"user": user}
	if _, err := c.api(ctx, call{method: "POST", path: repo.api() + "/user-access-request/grant", once: true}, in, nil); err != nil {
		return fmt.Errorf("grant %s access to %s: %w", user, repo, err)
	}
	return nil
}
