package app_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/hub"
	"ml-intern/internal/hub/login"
)

// Whatever the Hub says no to, the person learns what to do about it.
func TestClassifyHub(t *testing.T) {
	t.Parallel()
	const resolve = "https://hub.example/datasets/meta/llama/resolve/main/x"
	cases := []struct {
		err    error
		code   int
		reason string
		hint   string
	}{
		{&hub.Error{Status: 403, Code: "GatedRepo", URL: resolve, AskURL: "https://hub.example/datasets/meta/llama"}, 1, "gated", "ask for access at https://hub.example/datasets/meta/llama,"},
		{&hub.Error{Status: 403, Code: "GatedRepo", URL: "https://hub.example/"}, 1, "gated", "at its page"},
		{&hub.Error{Status: 401, Code: "GatedRepo", URL: resolve}, 1, "gated", "ml-intern login; then ask"},
		{&hub.Error{Status: 402}, 1, "payment", "add credit"},
		{&hub.Error{Status: 429, Wait: 90 * time.Second}, 1, "rate_limited", "try again in 1m30s"},
		{&hub.Error{Status: 429}, 1, "rate_limited", "in a few minutes"},
		{&hub.Error{Status: 401}, 4, "auth", "ml-intern login"},
		{&hub.Error{Status: 401, Code: "RepoNotFound"}, 4, "auth", "ml-intern login"},
		{&hub.Error{Status: 403}, 4, "auth", "ml-intern whoami"},
		{&hub.Error{Status: 404, Code: "RepoNotFound"}, 1, "not_found", "check the name"},
		{&hub.Error{Status: 409}, 1, "conflict", "try again"},
		{&hub.Error{Status: 412}, 1, "conflict", "try again"},
		{&hub.Error{Status: 500}, 1, "error", ""},
		{hub.ErrGated, 1, "gated", "at its page"},
		{login.ErrNoToken, 4, "auth", "ml-intern login"},
		{login.ErrExpired, 4, "auth", "ml-intern login"},
		{fmt.Errorf("%w: %w", login.ErrIdentity, &hub.OAuthError{Code: hub.OAuthInvalidGrant}), 4, "auth", "HF_OIDC_RESOURCE"},
		{&hub.OAuthError{Code: hub.OAuthDenied}, 4, "auth", "--token -"},
		{errors.Join(context.Canceled, hub.ErrUnreachable), 130, "interrupted", ""},
	}
	for _, c := range cases {
		got := app.Classify(fmt.Errorf("do something: %w", c.err))
		if got.Code != c.code || got.Reason != c.reason || !strings.Contains(got.Hint, c.hint) {
			t.Errorf("%v is %+v, want %d %s … %s …", c.err, got, c.code, c.reason, c.hint)
		}
	}
}

func TestClassifyUnreachableHub(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	_, err := (&hub.Client{BaseURL: s.URL}).WhoAmINow(t.Context())
	if got := app.Classify(err); !errors.Is(err, hub.ErrUnreachable) || got.Code != 1 || got.Reason != "hub_unreachable" || !strings.Contains(got.Hint, "--hub local") {
		t.Errorf("%v is %+v", err, got)
	}
	if !strings.Contains(err.Error(), s.URL) {
		t.Errorf("the error does not say what cannot be reached: %v", err)
	}
}

// Every reason is in the documentation.
func TestReasonsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/exit-codes.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range []string{"gated", "payment", "rate_limited", "not_found", "conflict", "hub_unreachable", "auth"} {
		if !strings.Contains(string(text), "`"+reason+"`") {
			t.Errorf("docs/exit-codes.md does not say what %s is", reason)
		}
	}
}
