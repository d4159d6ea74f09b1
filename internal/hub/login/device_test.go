package login_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/login"
)

// An inProcess Hub has no network, so that time in a synctest bubble stands
// still while it works.
type inProcess struct {
	server http.Handler

	mu    sync.Mutex
	polls []time.Time
	fail  func(n int, r *http.Request) *http.Response // of the n-th call of /oauth/token, from 0; nil for none
}

var errAway = errors.New("the network is away")

func (h *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if r.URL.Path == "/oauth/token" {
		h.mu.Lock()
		n, fail := len(h.polls), h.fail
		h.polls = append(h.polls, time.Now())
		h.mu.Unlock()
		if fail != nil {
			if resp := fail(n, r); resp != nil && resp.StatusCode == 0 {
				return nil, errAway
			} else if resp != nil {
				resp.Request = r
				return resp, nil
			}
		}
	}
	rec := httptest.NewRecorder()
	r = r.Clone(r.Context())
	r.RequestURI = r.URL.RequestURI()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	h.server.ServeHTTP(rec, r)
	resp := rec.Result()
	resp.Request = r
	return resp, nil
}

func answer(status int, body string, header ...string) *http.Response {
	rec := httptest.NewRecorder()
	for i := 0; i < len(header); i += 2 {
		rec.Header().Set(header[i], header[i+1])
	}
	rec.WriteHeader(status)
	_, _ = rec.WriteString(body)
	return rec.Result()
}

const localHub = "http://localhost"

// local is a Hub in the process and a keyring for it.
func local(t *testing.T) (*inProcess, *login.Keyring) {
	t.Helper()
	s, err := hubserver.Open(hubserver.Options{Dir: t.TempDir(), User: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	h := &inProcess{server: s}
	k := keyring(t, localHub)
	k.HTTP = &http.Client{Transport: h}
	return h, k
}

// decide is the person at the page.
func (h *inProcess) decide(t *testing.T, code, decision string) {
	t.Helper()
	form := url.Values{"user_code": {code}, "decision": {decision}}
	r := httptest.NewRequestWithContext(t.Context(), "POST", localHub+"/oauth/device/verify", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	rec := httptest.NewRecorder()
	h.server.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		t.Errorf("the page answers %d: %s", rec.Code, rec.Body)
	}
}

// gaps are the times between the askings, in seconds.
func (h *inProcess) gaps(since time.Time) []int {
	var out []int
	for _, at := range h.polls {
		out = append(out, int(at.Sub(since)/time.Second))
		since = at
	}
	return out
}

func TestDeviceLogin(t *testing.T) {
	t.Parallel()
	h, k := local(t)
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		token, err := k.Device(t.Context(), func(d hub.DeviceCode) {
			if !strings.HasPrefix(d.CompleteURI, d.URI) || !strings.HasSuffix(d.CompleteURI, d.UserCode) {
				t.Errorf("the person is sent to %s with %s", d.CompleteURI, d.UserCode)
			}
			time.AfterFunc(12*time.Second, func() { h.decide(t, strings.ToLower(strings.ReplaceAll(d.UserCode, "-", " ")), "allow") })
		})
		if err != nil || !strings.HasPrefix(token.Access, "hf_oauth_") || token.Refresh == "" || token.ExpiresIn != 30*24*3600 {
			t.Fatalf("the token is %+v, %v", token, err)
		}
		if got := h.gaps(begun); !slices.Equal(got, []int{5, 5, 5}) {
			t.Errorf("asked after %v seconds", got)
		}
		s, err := k.Save(t.Context(), token)
		if err != nil || s.Name != "oauth-ada" || !s.Renews || !s.Expires.Equal(time.Now().Add(30*24*time.Hour)) || s.Account.Role() != "oauth" {
			t.Fatalf("saved %+v, %v", s, err)
		}
		found, err := k.Active(t.Context())
		if err != nil || found.Value != token.Access || found.Name != "oauth-ada" || found.Expires.IsZero() {
			t.Errorf("found %#v, %v", found, err)
		}
	})
}

func TestDeviceLoginEnds(t *testing.T) {
	t.Parallel()
	code := func(err error) string {
		if o, ok := errors.AsType[*hub.OAuthError](err); ok {
			return o.Code
		}
		return ""
	}
	t.Run("refused", func(t *testing.T) {
		h, k := local(t)
		synctest.Test(t, func(t *testing.T) {
			_, err := k.Device(t.Context(), func(d hub.DeviceCode) {
				time.AfterFunc(time.Second, func() { h.decide(t, d.UserCode, "deny") })
			})
			if code(err) != hub.OAuthDenied {
				t.Error(err)
			}
		})
	})
	t.Run("nobody comes", func(t *testing.T) {
		_, k := local(t)
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			_, err := k.Device(t.Context(), func(hub.DeviceCode) {})
			if took := time.Since(begun); code(err) != hub.OAuthExpired || took < 15*time.Minute || took > 16*time.Minute {
				t.Errorf("after %s: %v", took, err)
			}
		})
	})
	t.Run("stopped", func(t *testing.T) {
		_, k := local(t)
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			stop := errors.New("the person stops")
			begun := time.Now()
			_, err := k.Device(ctx, func(hub.DeviceCode) { time.AfterFunc(7*time.Second, func() { cancel(stop) }) })
			if took := time.Since(begun); !errors.Is(err, stop) || took != 7*time.Second {
				t.Errorf("after %s: %v", took, err)
			}
		})
	})
}

// Whatever happens on the way but a decision, the login goes on.
func TestDeviceLoginGoesOn(t *testing.T) {
	t.Parallel()
	h, k := local(t)
	faults := []*http.Response{
		{}, // the network is away
		answer(502, "<html>bad gateway</html>"),
		answer(400, `{"error":"slow_down"}`),
		answer(429, `{"error":"Too many requests"}`, "Retry-After", "20"),
		answer(200, "not JSON"),
		answer(404, "<html>a proxy's page</html>"),
	}
	h.fail = func(n int, _ *http.Request) *http.Response {
		if n < len(faults) {
			return faults[n]
		}
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		token, err := k.Device(t.Context(), func(d hub.DeviceCode) { h.decide(t, d.UserCode, "allow") })
		if err != nil || token.Access == "" {
			t.Fatal(err)
		}
		if got, want := h.gaps(begun), []int{5, 5, 5, 10, 30, 30, 30}; !slices.Equal(got, want) {
			t.Errorf("asked after %v seconds, want %v", got, want)
		}
	})
}

// The server tells those who ask too often to slow down, and gives a token
// once.
func TestServerSlowsDown(t *testing.T) {
	t.Parallel()
	h, k := local(t)
	synctest.Test(t, func(t *testing.T) {
		c := &hub.Client{BaseURL: localHub, HTTP: k.HTTP}
		d, err := c.StartDevice(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		ask := func(client, code string) string {
			_, err := c.DeviceToken(t.Context(), client, code)
			o, _ := errors.AsType[*hub.OAuthError](err)
			if o == nil {
				return ""
			}
			return o.Code
		}
		steps := []string{ask("x", d.Code), ask("x", d.Code), ask("y", d.Code), ask("x", "wrong")}
		time.Sleep(5 * time.Second)
		steps = append(steps, ask("x", d.Code))
		h.decide(t, d.UserCode, "allow")
		steps = append(steps, ask("x", d.Code), ask("x", d.Code))
		want := []string{hub.OAuthPending, hub.OAuthSlowDown, hub.OAuthInvalidGrant, hub.OAuthExpired, hub.OAuthPending, "", hub.OAuthExpired}
		if !slices.Equal(steps, want) {
			t.Errorf("the server says %q, want %q", steps, want)
		}
	})
}

// loggedIn is a keyring with a token of a login.
func loggedIn(t *testing.T, h *inProcess, k *login.Keyring) login.Stored {
	t.Helper()
	token, err := k.Device(t.Context(), func(d hub.DeviceCode) { h.decide(t, d.UserCode, "allow") })
	if err != nil {
		t.Fatal(err)
	}
	s, err := k.Save(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTokenIsRenewed(t *testing.T) {
	t.Parallel()
	h, k := local(t)
	synctest.Test(t, func(t *testing.T) {
		s := loggedIn(t, h, k)
		stored := filepath.Join(filepath.Dir(s.Path), "stored_tokens")
		first, asked := k.Local(), len(h.polls)
		time.Sleep(28 * 24 * time.Hour)
		if token, err := k.Token(t.Context()); token != first || err != nil || len(h.polls) != asked {
			t.Errorf("long before its end the token is renewed: %v", err)
		}
		time.Sleep(36 * time.Hour) // twelve hours are left
		var wg sync.WaitGroup
		tokens := make([]string, 4)
		for i := range tokens { // as several processes would
			other := &login.Keyring{BaseURL: k.BaseURL, Getenv: k.Getenv, HTTP: k.HTTP}
			wg.Go(func() {
				var err error
				if tokens[i], err = other.Token(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		second := k.Local()
		if second == first || !strings.HasPrefix(second, "hf_oauth_") || slices.ContainsFunc(tokens, func(s string) bool { return s != second }) {
			t.Errorf("the token is not renewed for all")
		}
		if got := len(h.polls) - asked; got != 1 {
			t.Errorf("%d renewals, want one for all processes", got)
		}
		if text := readFile(t, stored); strings.Contains(text, first) || !strings.Contains(text, second) || readFile(t, s.Path) != second {
			t.Error("the files do not hold the new token alone")
		}
		time.Sleep(29*24*time.Hour + time.Hour)
		if third, err := k.Token(t.Context()); err != nil || third == second {
			t.Errorf("the renewed token is not renewed: %v", err)
		}
	})
}

func TestRenewalFails(t *testing.T) {
	t.Parallel()
	h, k := local(t)
	synctest.Test(t, func(t *testing.T) {
		loggedIn(t, h, k)
		first := k.Local()
		h.fail = func(int, *http.Request) *http.Response { return answer(503, "later") }
		time.Sleep(29*24*time.Hour + 12*time.Hour)
		asked := len(h.polls)
		for range 3 {
			if token, err := k.Token(t.Context()); token != first || err != nil {
				t.Errorf("a token that is still good is not used: %v", err)
			}
		}
		if got := len(h.polls) - asked; got != 1 {
			t.Errorf("%d askings within five minutes, want 1", got)
		}
		time.Sleep(24 * time.Hour)
		_, err := k.Token(t.Context())
		if !errors.Is(err, login.ErrExpired) || !strings.Contains(err.Error(), "503") || strings.Contains(err.Error(), first) {
			t.Errorf("a token that has ended: %v", err)
		}
		h.fail = func(int, *http.Request) *http.Response { return answer(400, `{"error":"invalid_grant"}`) }
		time.Sleep(time.Hour)
		if _, err := k.Token(t.Context()); !errors.Is(err, login.ErrExpired) || strings.Contains(err.Error(), "renewed") {
			t.Errorf("a login that was revoked: %v", err)
		}
		h.fail = nil
		time.Sleep(time.Hour)
		if token, err := k.Token(t.Context()); err != nil || token == first {
			t.Errorf("when the Hub is back: %v", err)
		}
	})
}

// A person who switches accounts while a token is renewed keeps the choice.
func TestRenewalLeavesTheChoice(t *testing.T) {
	t.Parallel()
	h, k := local(t)
	synctest.Test(t, func(t *testing.T) {
		s := loggedIn(t, h, k)
		time.Sleep(29*24*time.Hour + 12*time.Hour)
		h.fail = func(int, *http.Request) *http.Response {
			writeFile(t, s.Path, "hf_other")
			return nil
		}
		if token, err := k.Token(t.Context()); err != nil || !strings.HasPrefix(token, "hf_oauth_") {
			t.Errorf("the token is not renewed: %v", err)
		}
		if got := readFile(t, s.Path); got != "hf_other" {
			t.Errorf("the active token is %q", got)
		}
	})
}

// The server keeps the hash of a token, and the token ends.
func TestServerForgetsTokens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := hubserver.Open(hubserver.Options{Dir: dir, Auth: true, Tokens: map[string]hubserver.Account{reader: {Name: "bob", ReadOnly: true}}})
	if err != nil {
		t.Fatal(err)
	}
	h, k := &inProcess{server: s}, keyring(t, localHub)
	k.HTTP = &http.Client{Transport: h}
	synctest.Test(t, func(t *testing.T) {
		c := &hub.Client{BaseURL: localHub, HTTP: k.HTTP}
		d, err := c.StartDevice(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		form := url.Values{"user_code": {d.UserCode}, "decision": {"allow"}, "token": {reader}}
		r := httptest.NewRequestWithContext(t.Context(), "POST", localHub+"/oauth/device/verify", strings.NewReader(form.Encode()))
		s.ServeHTTP(httptest.NewRecorder(), r)
		token, err := c.DeviceToken(t.Context(), "x", d.Code)
		if err != nil {
			t.Fatal(err)
		}
		c.Token = token.Access
		if who, err := c.WhoAmI(t.Context()); err != nil || who.Name != "bob" || who.Auth.Type != "oauth" || !who.Auth.ExpiresAt.After(time.Now()) {
			t.Errorf("who am I: %+v, %v", who, err)
		}
		if _, err := c.CreateRepo(t.Context(), hub.RepoID{Type: hub.Model, Namespace: "bob", Name: "x"}, hub.CreateOptions{}); !errors.Is(err, hub.ErrUnauthorized) {
			t.Errorf("a reader's login writes: %v", err)
		}
		if found := findText(t, dir, token.Access, token.Refresh, d.Code, reader); found != "" {
			t.Errorf("%s holds a secret", found)
		}
		time.Sleep(30*24*time.Hour + time.Second)
		if _, err := c.WhoAmI(t.Context()); !errors.Is(err, hub.ErrUnauthorized) {
			t.Errorf("a token that has ended: %v", err)
		}
	})
}
