package hub_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubtest"
)

// The calls with which one comes by a token send none: it may be the one that
// has ended, or another account's.
func TestOAuthSendsNoToken(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	h.Client.Token = "hf_mine"
	d, err := h.Client.StartDevice(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	_, pending := h.Client.DeviceToken(t.Context(), "x", d.Code)
	_, invalid := h.Client.RefreshToken(t.Context(), "x", "hf_refresh_secret")
	_, unknown := h.Client.ExchangeToken(t.Context(), "identity_secret", "me/x")
	for want, err := range map[string]error{hub.OAuthPending: pending, hub.OAuthInvalidGrant: invalid, "unsupported_grant_type": unknown} {
		o, ok := errors.AsType[*hub.OAuthError](err)
		if !ok || o.Code != want || o.Status != 400 || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for _, r := range h.Requests() {
		if r.Token || r.Method != "POST" {
			t.Errorf("%s %s: token sent: %v", r.Method, r.Path, r.Token)
		}
	}
}

// A Hub may answer anything; a person must not be led astray by it.
func TestOAuthDoubtsAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status   int
		body     string
		redirect string
		want     string // "" if it is taken
	}{
		{status: 200, body: `{"device_code":"c","user_code":"u","verification_uri":"https://hub/d"}`},
		{status: 200, body: `{"device_code":"c","user_code":"u","verification_uri":"javascript:alert(1)"}`, want: "not a web page"},
		{status: 200, body: `{"device_code":"c","user_code":"u","verification_uri":"https://hub/d","verification_uri_complete":"file:///etc/passwd"}`, want: "not a web page"},
		{status: 200, body: `{"device_code":"c","verification_uri":"https://hub/d"}`, want: "lacks the code"},
		{status: 200, body: `<html>`, want: "not what is expected"},
		{status: 200, body: strings.Repeat(" ", 2<<20) + `{}`, want: "not what is expected"},
		{status: 404, body: `<html>`, want: "404"},
		{status: 503, body: `{"error":"expired_token"}`, want: "503"},
		{status: 400, body: `{"error":"The client id is not known."}`, want: "not known"},
		{status: 307, redirect: "http://127.0.0.1:1/oauth/device", want: "is not sent on"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.redirect != "" {
				w.Header().Set("Location", c.redirect)
			}
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		}))
		d, err := (&hub.Client{BaseURL: s.URL}).StartDevice(t.Context(), "x")
		s.Close()
		switch {
		case c.want == "" && (err != nil || d.CompleteURI != "https://hub/d" || d.Interval != 5 || d.ExpiresIn != 900):
			t.Errorf("%s is taken for %+v, %v", c.body, d, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%d %.80s: %v, want %q", c.status, c.body, err, c.want)
		}
	}
}
