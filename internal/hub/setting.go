package hub

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// settings lists the secrets or variables of a Space, by key.
func (c *Client) settings(ctx context.Context, repo RepoID, kind string) ([]Setting, error) {
	var raw map[string]struct {
		Value       string     `json:"value"`
		Description string     `json:"description"`
		Updated     *time.Time `json:"updatedAt"`
	}
	if _, err := c.api(ctx, call{method: "GET", path: spaceID(repo).api() + "/" + kind}, nil, &raw); err != nil {
		return nil, fmt.Errorf("list the %s of Space %s: %w", kind, repo, err)
	}
	var all []Setting
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		s := Setting{Key: key, Value: raw[key].Value, Description: raw[key].Description}
		if t := raw[key].Updated; t != nil {
			s.Updated = *t
		}
		all = append(all, s)
	}
	return all, nil
}

func (c *Client) set(ctx context.Context, repo RepoID, kind string, s Setting) error {
	if _, err := c.api(ctx, call{method: "POST", path: spaceID(repo).api() + "/" + kind}, s, nil); err != nil {
		return fmt.Errorf("set %s in the %s of Space %s: %w", s.Key, kind, repo, err)
	}
	return nil
}

func (c *Client) unset(ctx context.Context, repo RepoID, kind, key string) error {
	in := map[string]string{"key": key}
	if _, err := c.api(ctx, call{method: "DELETE", path: spaceID(repo).api() + "/" + kind}, in, nil); err != nil {
		return fmt.Errorf("delete %s from the %s of Space %s: %w", key, kind, repo, err)
	}
	return nil
}

// Secrets lists the secrets of a Space, without their values.
func (c *Client) Secrets(ctx context.Context, repo RepoID) ([]Setting, error) {
	return c.settings(ctx, repo, "secrets")
}

// SetSecret gives a Space a secret. It restarts.
func (c *Client) SetSecret(ctx context.Context, repo RepoID, s Setting) error {
	return c.set(ctx, repo, "secrets", s)
}

// DeleteSecret takes a secret away; a missing one is no error.
func (c *Client) DeleteSecret(ctx context.Context, repo RepoID, key string) error {
	return c.unset(ctx, repo, "secrets", key)
}

// Variables lists the variables of a Space.
func (c *Client) Variables(ctx context.Context, repo RepoID) ([]Setting, error) {
	return c.settings(ctx, repo, "variables")
}

// SetVariable gives a Space a variable. It restarts.
func (c *Client) SetVariable(ctx context.Context, repo RepoID, s Setting) error {
	return c.set(ctx, repo, "variables", s)
}

// DeleteVariable takes a variable away; a missing one is no error.
func (c *Client) DeleteVariable(ctx context.Context, repo RepoID, key string) error {
	return c.unset(ctx, repo, "variables", key)
}
