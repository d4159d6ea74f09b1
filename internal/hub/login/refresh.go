package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"ml-intern/internal/hub"
)

const (
	renewBefore = 24 * time.Hour  // that much of its life left
	retryAfter  = 5 * time.Minute // a renewal that failed
)

// fresh renews a token that is about to end. As long as it is good it is used,
// whatever the renewal says.
func (k *Keyring) fresh(ctx context.Context, t Token) (Token, error) {
	now := time.Now()
	if t.Expires.IsZero() || t.Expires.After(now.Add(renewBefore)) {
		return t, nil
	}
	var why error
	if t.refresh != "" && k.mayRetry(now) {
		renewed, err := k.renew(ctx, t)
		if err == nil {
			return renewed, nil
		}
		if ctx.Err() != nil {
			return Token{}, err
		}
		why = err
		k.pause(now.Add(retryAfter))
	}
	if t.Expires.After(now) {
		return t, nil
	}
	if o, ok := errors.AsType[*hub.OAuthError](why); ok && o.Code == hub.OAuthInvalidGrant {
		why = nil // there is nothing to mend but to log in
	}
	return Token{}, ended(t, why)
}

func (k *Keyring) mayRetry(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !now.Before(k.retryAt)
}

func (k *Keyring) pause(until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.retryAt = until
}

// renew exchanges a token for a new one, unless another process has just done
// so, and keeps the new one under the old one's name.
func (k *Keyring) renew(ctx context.Context, t Token) (Token, error) {
	out := t
	err := k.change(ctx, func(f *file) (*string, error) {
		s := f.find(t.Name)
		if s == nil {
			return nil, errors.New("the stored token is gone")
		}
		if now := s.token(t.Source); now.Value != t.Value && now.Value != "" {
			out = now
			return nil, nil
		}
		fresh, err := k.client("").RefreshToken(ctx, k.ClientID(), t.refresh)
		if err != nil {
			return nil, err
		}
		value, refresh := clean(fresh.Access), clean(fresh.Refresh)
		if err := checkShape(value); err != nil {
			return nil, fmt.Errorf("the Hub's new token: %w", err)
		}
		k.fill(s, value, cmp.Or(refresh, t.refresh), fresh.Expires(time.Now()))
		out = s.token(t.Source)
		if k.activeText() == t.Value { // else the person has switched to another meanwhile
			return &value, nil
		}
		return nil, nil
	})
	return out, err
}
