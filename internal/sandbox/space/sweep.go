package space

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"ml-intern/internal/hub"
)

// A Found is a Space of the account that is named like a sandbox.
type Found struct {
	Name     string    `json:"name"`
	Session  string    `json:"session,omitempty"` // that made it
	Hardware string    `json:"hardware,omitempty"`
	Stage    hub.Stage `json:"stage"`
	Created  time.Time `json:"created"`
	Here     bool      `json:"here"` // this machine made it
	Ours     bool      `json:"ours"` // it says itself which call made it: else it is left alone
}

// List finds all sandboxes of the account, whatever machine made them.
func (s *Spaces) List(ctx context.Context) ([]Found, error) {
	who, err := s.Hub.WhoAmI(ctx)
	if err != nil {
		return nil, fmt.Errorf("list sandboxes: %w", err)
	}
	var all []Found
	for info, err := range s.Hub.Search(ctx, hub.SearchOptions{Type: hub.Space, Author: who.Name, Search: Prefix}) {
		if err != nil {
			return nil, fmt.Errorf("list sandboxes: %w", err)
		}
		owner, name, _ := strings.Cut(info.ID, "/")
		if owner != who.Name || !namePattern.MatchString(name) {
			continue
		}
		f, err := s.inspect(ctx, owner, name, info.Created)
		if err != nil {
			return nil, fmt.Errorf("look at sandbox %s: %w", name, err)
		}
		all = append(all, f)
	}
	return all, nil
}

func (s *Spaces) inspect(ctx context.Context, owner, name string, created time.Time) (Found, error) {
	repo := hub.RepoID{Type: hub.Space, Namespace: owner, Name: name}
	f := Found{Name: name, Created: created}
	now, err := s.Hub.SpaceRuntime(ctx, repo)
	if errors.Is(err, hub.ErrNotFound) {
		return f, nil // gone meanwhile
	}
	if err != nil {
		return f, err
	}
	f.Stage, f.Hardware = now.Stage, now.Requested
	if r, err := s.Record(name); err == nil && r.Owner == owner {
		f.Here, f.Ours, f.Created = true, true, r.Created
		f.Session, _, _ = strings.Cut(r.Label, "/")
		return f, nil
	}
	m, err := s.marker(ctx, repo)
	if err != nil || m.Label == "" || Name(m.Label) != name {
		return f, err // not ours, for all that is known
	}
	f.Ours = true
	f.Session, _, _ = strings.Cut(m.Label, "/")
	if !m.Created.IsZero() {
		f.Created = m.Created
	}
	return f, nil
}

// marker reads what a Space says of itself; nothing if that is not to be read.
func (s *Spaces) marker(ctx context.Context, repo hub.RepoID) (m marker, err error) {
	at, err := s.Hub.Stat(ctx, repo, "main", markerFile)
	if errors.Is(err, hub.ErrNotFound) || err == nil && (at.Size < 0 || at.Size > 4096) {
		return m, nil
	}
	var text bytes.Buffer
	if err == nil {
		_, err = s.Hub.Download(ctx, repo, "main", markerFile, &text)
	}
	if err != nil {
		return m, err
	}
	if json.Unmarshal(text.Bytes(), &m) != nil {
		m = marker{} // it says nothing
	}
	return m, nil
}

// Sweep deletes a sandbox that List has found, if it still says that it is ours.
func (s *Spaces) Sweep(ctx context.Context, name string) error {
	if r, err := s.Record(name); err == nil && r.Gone.IsZero() {
		return s.Delete(ctx, name)
	}
	who, err := s.Hub.WhoAmI(ctx)
	if err != nil {
		return fmt.Errorf("sweep sandbox %s: %w", name, err)
	}
	f, err := s.inspect(ctx, who.Name, name, time.Time{})
	switch {
	case err != nil:
		return fmt.Errorf("sweep sandbox %s: %w", name, err)
	case !f.Ours:
		return fmt.Errorf("sweep sandbox %s: it does not say that it is one of ours, so it stays", name)
	}
	return s.remove(ctx, hub.RepoID{Type: hub.Space, Namespace: who.Name, Name: name})
}
