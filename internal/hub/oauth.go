package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// oauthLimit is how long an answer about tokens may keep one waiting: it holds
// up whatever needs the token.
const oauthLimit = 20 * time.Second

const (
	deviceGrant   = "urn:ietf:params:oauth:grant-type:device_code"
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	idTokenType   = "urn:ietf:params:oauth:token-type:id_token"
)

// Codes of an OAuthError that a caller branches on.
const (
	OAuthPending      = "authorization_pending"
	OAuthSlowDown     = "slow_down"
	OAuthExpired      = "expired_token"
	OAuthDenied       = "access_denied"
	OAuthInvalidGrant = "invalid_grant"
)

// An OAuthError is an answer of the Hub's OAuth that says no.
type OAuthError struct {
	Code        string
	Description string
	Status      int
}

func (e *OAuthError) Error() string {
	text := "the Hub's OAuth answered " + e.Code
	if e.Description != "" {
		text += ": " + e.Description
	}
	return text
}

// A DeviceCode is a login that has begun: a person opens the address, enters
// the user code and allows it, while the program asks for the token.
type DeviceCode struct {
	Code        string `json:"device_code"` // secret
	UserCode    string `json:"user_code"`
	URI         string `json:"verification_uri"`
	CompleteURI string `json:"verification_uri_complete"` // with the user code in it; URI if the Hub has none
	ExpiresIn   int    `json:"expires_in"`                // seconds
	Interval    int    `json:"interval"`                  // seconds between two askings
}

// An OAuthToken is a token that the Hub gave, with what renews it.
type OAuthToken struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"` // "" if it cannot be renewed
	ExpiresIn int    `json:"expires_in"`    // seconds; 0 if it is not said
}

// Expires is when the token ends, the zero time if it is not said.
func (t OAuthToken) Expires(now time.Time) time.Time {
	if t.ExpiresIn <= 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(t.ExpiresIn) * time.Second)
}

// StartDevice begins a login of the program with that client id.
func (c *Client) StartDevice(ctx context.Context, clientID string) (DeviceCode, error) {
	var d DeviceCode
	if err := c.oauth(ctx, "/oauth/device", url.Values{"client_id": {clientID}}, &d); err != nil {
		return d, fmt.Errorf("begin to log in: %w", err)
	}
	for _, address := range []string{d.URI, d.CompleteURI} {
		if u, err := url.Parse(address); err != nil || address != "" && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			return d, errors.New("begin to log in: the Hub names an address that is not a web page")
		}
	}
	if d.Code == "" || d.UserCode == "" || d.URI == "" {
		return d, errors.New("begin to log in: the Hub's answer lacks the code or the address")
	}
	if d.CompleteURI == "" {
		d.CompleteURI = d.URI
	}
	if d.Interval <= 0 {
		d.Interval = 5
	}
	if d.ExpiresIn <= 0 {
		d.ExpiresIn = 900
	}
	return d, nil
}

// DeviceToken asks once for the token of a login that has begun. Until the
// person has decided, the error is an OAuthError with OAuthPending.
func (c *Client) DeviceToken(ctx context.Context, clientID, code string) (OAuthToken, error) {
	return c.token(ctx, "fetch the token", url.Values{"grant_type": {deviceGrant}, "device_code": {code}, "client_id": {clientID}})
}

// RefreshToken exchanges what renews a token for a new one. An OAuthError with
// OAuthInvalidGrant says that the person must log in again.
func (c *Client) RefreshToken(ctx context.Context, clientID, refresh string) (OAuthToken, error) {
	return c.token(ctx, "renew the token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {clientID}})
}

// ExchangeToken exchanges the identity token of a build system for a token of
// the Hub that is good for one resource: a repository or a user.
func (c *Client) ExchangeToken(ctx context.Context, idToken, resource string) (OAuthToken, error) {
	return c.token(ctx, "exchange the identity token", map[string]string{
		"grant_type": exchangeGrant, "subject_token_type": idTokenType, "subject_token": idToken, "resource": resource,
	})
}

func (c *Client) token(ctx context.Context, what string, in any) (OAuthToken, error) {
	var t OAuthToken
	err := c.oauth(ctx, "/oauth/token", in, &t)
	if err == nil && t.Access == "" {
		err = errors.New("the Hub's answer has no token")
	}
	if err != nil {
		return OAuthToken{}, fmt.Errorf("%s: %w", what, err)
	}
	return t, nil
}

// oauth posts once, a form or JSON, without the client's own token: these
// calls are how one comes by it.
func (c *Client) oauth(ctx context.Context, path string, in, out any) error {
	kind, data, err := "application/json", []byte(nil), error(nil)
	if form, ok := in.(url.Values); ok {
		kind, data = "application/x-www-form-urlencoded", []byte(form.Encode())
	} else if data, err = json.Marshal(in); err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	cl := call{method: "POST", path: path, header: http.Header{"Content-Type": {kind}}, body: bytesBody(data), limit: oauthLimit, signed: true}
	resp, err := c.send(ctx, cl)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 400 {
		return c.oauthError(resp)
	}
	return decodeAnswer(resp, out)
}

// oauthError reads an answer in OAuth's own shape; any other is an Error.
func (c *Client) oauthError(resp *reply) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	resp.Body.Close()
	var said struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	if err == nil && json.Unmarshal(body, &said) == nil && resp.StatusCode < 500 && oauthCode(said.Code) {
		return &OAuthError{said.Code, said.Description, resp.StatusCode}
	}
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return c.responseError(resp.Response)
}

// oauthCode reports whether the text is a code rather than a sentence.
func oauthCode(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// decodeAnswer reads a small answer and closes it. What is in it may be
// secret, so an error tells nothing of it.
func decodeAnswer(resp *reply, out any) error {
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return plainError(resp.Request.URL, err)
	}
	if json.Unmarshal(data, out) != nil {
		return fmt.Errorf("%s: the answer is not what is expected", plainURL(resp.Request.URL))
	}
	return nil
}
