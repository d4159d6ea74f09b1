package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/oauth2"
)

// Logins keeps what a person's logins at servers gave, in one file that only
// they can read. Each belongs to the address of one server and goes nowhere
// else: neither to a server of the same name, nor to another path.
type Logins struct {
	File string // "" to keep none
}

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

func (s Logins) read() (map[string]*login, error) {
	all := make(map[string]*login)
	if s.File == "" {
		return all, nil
	}
	text, err := os.ReadFile(s.File)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read logins at MCP servers: %w", err)
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read logins at MCP servers: %s: %w; remove the file and log in again", s.File, err)
	}
	return all, nil
}

// change writes the file anew, while no other process does.
func (s Logins) change(do func(map[string]*login) error) error {
	if err := os.MkdirAll(filepath.Dir(s.File), 0o700); err != nil {
		return fmt.Errorf("keep login: %w", err)
	}
	lock := flock.New(s.File + ".lock")
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("keep login: %w", err)
	}
	defer lock.Unlock() //nolint:errcheck // closing the file unlocks it too
	all, err := s.read()
	if err != nil {
		return err
	}
	if err := do(all); err != nil {
		return err
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("keep login: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(s.File), filepath.Base(s.File)+".*") // 0600
	if err != nil {
		return fmt.Errorf("keep login: %w", err)
	}
	defer os.Remove(tmp.Name()) // ENOENT once it has its name
	_, err = tmp.Write(append(text, '\n'))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("keep login: %w", err)
	}
	return os.Rename(tmp.Name(), s.File)
}

// Forget removes the login at the address, and reports whether there was one.
func (s Logins) Forget(address string) (was bool, err error) {
	err = s.change(func(all map[string]*login) error {
		_, was = all[address]
		delete(all, address)
		return nil
	})
	return was, err
}

// Secrets lists the values that nobody may see.
func (s Logins) Secrets() []string {
	all, err := s.read()
	if err != nil {
		return nil // then no server is given any
	}
	var secrets []string
	for _, l := range all {
		secrets = append(secrets, l.Secret)
		if l.Token != nil {
			secrets = append(secrets, l.Token.AccessToken, l.Token.RefreshToken)
		}
	}
	return slices.DeleteFunc(secrets, func(s string) bool { return s == "" })
}

// source returns the tokens of the login at the address, nil if there is none.
// It renews them, for all processes.
func (s Logins) source(ctx context.Context, address string, client *http.Client) (oauth2.TokenSource, error) {
	all, err := s.read()
	if err != nil || all[address] == nil || all[address].Token == nil {
		return nil, err
	}
	return &kept{ctx: context.WithValue(ctx, oauth2.HTTPClient, client), logins: s, address: address}, nil
}

// kept is the token of a login, renewed when it is about to expire.
type kept struct {
	ctx     context.Context //nolint:containedctx // oauth2 asks for a source that needs none
	logins  Logins
	address string
}

// Token implements oauth2.TokenSource. A process that renews has the file for
// itself, so that two do not use up one refresh token.
func (k *kept) Token() (*oauth2.Token, error) {
	all, err := k.logins.read()
	if err != nil {
		return nil, err
	}
	if l := all[k.address]; l != nil && l.Token.Valid() {
		return l.Token, nil
	}
	var token *oauth2.Token
	err = k.logins.change(func(all map[string]*login) error {
		l := all[k.address]
		if l == nil || l.Token == nil {
			return errors.New("the login is gone")
		}
		if token = l.Token; token.Valid() { // another process has renewed it
			return nil
		}
		ctx, cancel := context.WithTimeout(k.ctx, 30*time.Second)
		defer cancel()
		fresh, err := l.config().TokenSource(ctx, l.Token).Token()
		if err != nil {
			return fmt.Errorf("renew the login: %w", withoutBody(err))
		}
		l.Token, token = fresh, fresh
		return nil
	})
	return token, err
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
