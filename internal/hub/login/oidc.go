package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// oidcMargin is how long before its end an exchanged token is exchanged anew.
const oidcMargin = 5 * time.Minute

// exchanged is the token that the Hub gives for the identity of a build
// system. Who asks for one means it: a failure is not passed over.
func (k *Keyring) exchanged(ctx context.Context, resource string) (Token, error) {
	k.mu.Lock()
	last := k.oidc
	k.mu.Unlock()
	if last.Name == resource && time.Now().Before(last.Expires) {
		return last, nil
	}
	identity, margin := k.Getenv("HF_OIDC_ID_TOKEN"), time.Duration(0)
	if identity == "" {
		var err error
		if identity, err = k.identity(ctx); err != nil {
			return Token{}, fmt.Errorf("%w: find the identity token: %w", ErrIdentity, err)
		}
		margin = oidcMargin // another identity is there for the asking
	}
	got, err := k.client("").ExchangeToken(ctx, clean(identity), resource)
	if err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	t := Token{Value: clean(got.Access), Name: resource, Source: sourceOIDC}
	if err := checkShape(t.Value); err != nil {
		return Token{}, fmt.Errorf("%w: exchange the identity token: %w", ErrIdentity, err)
	}
	t.Expires = got.Expires(time.Now().Add(-margin))
	if t.Expires.IsZero() {
		t.Expires = time.Now().Add(time.Hour - margin)
	}
	k.mu.Lock()
	k.oidc = t
	k.mu.Unlock()
	return t, nil
}

// identity asks GitHub Actions for an identity token that is meant for this
// Hub.
func (k *Keyring) identity(ctx context.Context) (string, error) {
	if k.Getenv("GITHUB_ACTIONS") != "true" {
		return "", errors.New("set HF_OIDC_ID_TOKEN to one; only GitHub Actions is asked for it")
	}
	address, secret := k.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), k.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || secret == "" {
		return "", errors.New("the workflow's job needs the permission id-token: write")
	}
	query := u.Query()
	query.Set("audience", k.base())
	u.RawQuery = query.Encode()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", errors.New("the address of GitHub's identity tokens is not a URL")
	}
	req.Header.Set("Authorization", "Bearer "+clean(secret))
	return k.fetchIdentity(req)
}

func (k *Keyring) fetchIdentity(req *http.Request) (string, error) {
	h := http.Client{}
	if k.HTTP != nil {
		h = *k.HTTP
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := h.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok { // its address is not for others
			err = ue.Err
		}
		return "", fmt.Errorf("ask GitHub: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	var said struct {
		Value string `json:"value"`
	}
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(data, &said) != nil || said.Value == "" {
		return "", fmt.Errorf("ask GitHub: it answered %d without a token", resp.StatusCode)
	}
	return said.Value, nil
}
