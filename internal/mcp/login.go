package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"ml-intern/internal/strongbox"
)

// Logins keeps what a person's logins at servers gave, by address. Each belongs
// to the address of one server and goes nowhere else: neither to a server of the
// same name, nor to another path.
type Logins struct{ strongbox.Box }

// A login is what is needed to go on with one.
type login struct {
	ID       string           `json:"client_id"`
	Secret   string           `json:"client_secret,omitempty"`
	TokenURL string           `json:"token_url"`
	Style    oauth2.AuthStyle `json:"auth_style,omitempty"`
	Token    *oauth2.Token    `json:"token"`
}

func (l *login) config() *oauth2.Config {
	return &oauth2.Config{ClientID: l.ID, ClientSecret: l.Secret, Endpoint: oauth2.Endpoint{TokenURL: l.TokenURL, AuthStyle: l.Style}}
}

// get returns the login at the address, nil if there is none.
func (s Logins) get(ctx context.Context, address string) (*login, error) {
	text, err := s.Get(ctx, address)
	if err == nil && text != nil {
		var l *login
		if l, err = decode(text); err == nil {
			return l, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("find the login: %w", err)
	}
	return nil, nil
}

func decode(text []byte) (*login, error) {
	l := &login{}
	err := json.Unmarshal(text, l)
	if err == nil && l.Token == nil {
		err = errors.New("it has no token")
	}
	return l, err
}

// keep keeps the login at the address, and says where.
func (s Logins) keep(ctx context.Context, address string, l *login) (strongbox.Place, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return strongbox.Place{}, fmt.Errorf("keep the login: %w", err)
	}
	return s.Put(ctx, address, text)
}

// Secrets lists the values that nobody may see. A login that cannot be read gives
// no server any.
func (s Logins) Secrets(ctx context.Context) []string {
	addresses, err := s.Names()
	if err != nil {
		return nil
	}
	var secrets []string
	for _, address := range addresses {
		if l, err := s.get(ctx, address); err == nil && l != nil {
			secrets = append(secrets, l.Secret, l.Token.AccessToken, l.Token.RefreshToken)
		}
	}
	return slices.DeleteFunc(secrets, func(s string) bool { return s == "" })
}

// source returns the tokens of the login at the address, nil if there is none.
// It renews them, for all processes.
func (s Logins) source(ctx context.Context, address string, client *http.Client) (oauth2.TokenSource, error) {
	l, err := s.get(ctx, address)
	if err != nil || l == nil {
		return nil, err
	}
	return &kept{ctx: context.WithValue(ctx, oauth2.HTTPClient, client), logins: s, address: address, now: l.Token}, nil
}

// kept is the token of a login, renewed when it is about to expire.
type kept struct {
	ctx     context.Context //nolint:containedctx // oauth2 asks for a source that needs none
	logins  Logins
	address string

	mu  sync.Mutex
	now *oauth2.Token
}

// Token implements oauth2.TokenSource. A process that renews has the file for
// itself, so that two do not use up one refresh token. A keyring is not asked for
// a token that is good, but a login that was given up is none.
func (k *kept) Token() (*oauth2.Token, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.logins.Has(k.address) {
		return nil, errors.New("the login is gone")
	}
	if k.now.Valid() {
		return k.now, nil
	}
	err := k.logins.Renew(k.ctx, k.address, func(was json.RawMessage) (json.RawMessage, error) {
		if was == nil {
			return nil, errors.New("the login is gone")
		}
		l, err := decode(was)
		if err != nil {
			return nil, err
		}
		if k.now = l.Token; l.Token.Valid() { // another process has renewed it
			return was, nil
		}
		ctx, cancel := context.WithTimeout(k.ctx, 30*time.Second)
		defer cancel()
		if l.Token, err = l.config().TokenSource(ctx, l.Token).Token(); err != nil {
			return nil, fmt.Errorf("renew the login: %w", withoutBody(err))
		}
		k.now = l.Token
		return json.Marshal(l)
	})
	return k.now, err
}

// withoutBody leaves out the words of the authorization server.
func withoutBody(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		code := plain(e.ErrorCode, 100)
		if code == "" && e.Response != nil {
			code = e.Response.Status
		}
		return fmt.Errorf("the authorization server says %s; log in again", code)
	}
	return err
}
