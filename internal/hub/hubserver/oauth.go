package hubserver

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ml-intern/internal/hub/hubserver/grant"
)

const (
	deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"
	maxForm     = 64 << 10
)

// oauth serves what is under /oauth: logins by a code that a person enters in
// a browser.
func (s *Server) oauth(x *exchange, seg []string) error {
	switch x.Method + " " + strings.Join(seg, "/") {
	case "POST device":
		return s.beginDevice(x)
	case "POST token":
		return s.giveToken(x)
	case "GET device/verify", "HEAD device/verify":
		return s.verifyPage(x, x.URL.Query().Get("user_code"))
	case "POST device/verify":
		return s.decide(x)
	}
	return noRoute(x)
}

func (s *Server) beginDevice(x *exchange) error {
	in, err := formOrJSON(x)
	if err != nil {
		return err
	}
	if in.Get("client_id") == "" {
		return oauthRefusal("invalid_request", "client_id is missing")
	}
	code, user, err := s.grants.Begin(x.Context(), in.Get("client_id"))
	if errors.Is(err, grant.ErrMany) {
		x.Header().Set("Retry-After", "60")
		return refuse(http.StatusTooManyRequests, "TooManyRequests", err.Error())
	}
	if err != nil {
		return err
	}
	page := x.base() + "/oauth/device/verify"
	return s.okOnce(x, map[string]any{
		"device_code": code, "user_code": user, "verification_uri": page,
		"verification_uri_complete": page + "?user_code=" + url.QueryEscape(user),
		"expires_in":                int(grant.DeviceLife.Seconds()), "interval": int(grant.Interval.Seconds()),
	})
}

func (s *Server) giveToken(x *exchange) error {
	in, err := formOrJSON(x)
	if err != nil {
		return err
	}
	var pair grant.Pair
	switch kind := in.Get("grant_type"); kind {
	case deviceGrant:
		pair, err = s.grants.Redeem(x.Context(), in.Get("client_id"), in.Get("device_code"))
	case "refresh_token":
		pair, err = s.grants.Renew(x.Context(), in.Get("client_id"), in.Get("refresh_token"))
	case "":
		return oauthRefusal("invalid_request", "grant_type is missing")
	default:
		return oauthRefusal("unsupported_grant_type", "this server knows device_code and refresh_token")
	}
	if err != nil {
		return grantRefusal(err)
	}
	return s.okOnce(x, map[string]any{
		"access_token": pair.Access, "refresh_token": pair.Refresh, "token_type": "bearer",
		"expires_in": int(pair.Life.Seconds()), "scope": "openid profile write-repos",
	})
}

// okOnce answers with what nobody on the way may keep.
func (s *Server) okOnce(x *exchange, v any) error {
	x.Header().Set("Cache-Control", "no-store")
	return s.ok(x, v)
}

func grantRefusal(err error) error {
	for cause, code := range map[error]string{
		grant.ErrPending: "authorization_pending", grant.ErrSlow: "slow_down", grant.ErrExpired: "expired_token",
		grant.ErrDenied: "access_denied", grant.ErrInvalid: "invalid_grant",
	} {
		if errors.Is(err, cause) {
			return oauthRefusal(code, cause.Error())
		}
	}
	return err
}

// oauthRefusal says no in the shape of OAuth.
func oauthRefusal(code, description string) *refusal {
	r := refuse(http.StatusBadRequest, "BadRequest", description)
	r.more = map[string]any{"error": code, "error_description": description}
	return r
}

// formOrJSON reads a body that clients send in either way.
func formOrJSON(x *exchange) (url.Values, error) {
	data, err := io.ReadAll(http.MaxBytesReader(x, x.Body, maxForm))
	if err != nil {
		return nil, err
	}
	if kind, _, _ := mime.ParseMediaType(x.Request.Header.Get("Content-Type")); kind != "application/json" {
		form, err := url.ParseQuery(string(data))
		if err != nil {
			return nil, oauthRefusal("invalid_request", "the body is not a form")
		}
		return form, nil
	}
	var object map[string]any
	if json.Unmarshal(data, &object) != nil {
		return nil, oauthRefusal("invalid_request", "the body is not a JSON object")
	}
	form := url.Values{}
	for name, v := range object {
		if text, ok := v.(string); ok {
			form.Set(name, text)
		}
	}
	return form, nil
}

// granted finds whose token it is that came of a login here. The account must
// still be one.
func (s *Server) granted(token string) (Account, bool) {
	t, ok := s.grants.Find(token)
	if !ok {
		return Account{}, false
	}
	a, ok := s.named(t.Account)
	a.ReadOnly = a.ReadOnly || t.ReadOnly
	return a, ok
}

// named is the account of that name, with the most that its tokens allow.
func (s *Server) named(name string) (found Account, ok bool) {
	accounts := s.accounts()
	i := slices.IndexFunc(accounts, func(a Account) bool { return a.Name == name })
	if i < 0 {
		return Account{}, false
	}
	return accounts[i], true
}
