package login_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/login"
)

// cached is a Hub that counts how often it is asked, and a cache.
func cached(t *testing.T) (*inProcess, *hub.Client, login.Cache, *int) {
	h, _ := local(t)
	server, asked := h.server, new(int)
	h.server = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked++
		server.ServeHTTP(w, r)
	})
	return h, &hub.Client{BaseURL: localHub, Token: writer, HTTP: &http.Client{Transport: h}}, login.Cache{Dir: filepath.Join(t.TempDir(), "whoami")}, asked
}

func TestAccountIsAskedRarely(t *testing.T) {
	t.Parallel()
	h, c, cache, asked := cached(t)
	synctest.Test(t, func(t *testing.T) {
		who := func(wantAsked int, stale bool) {
			t.Helper()
			a, err := cache.WhoAmI(t.Context(), c)
			if err != nil || a.Account.Name != "ada" || a.Stale != stale || *asked != wantAsked {
				t.Errorf("%+v, %v; asked %d times, want %d", a, err, *asked, wantAsked)
			}
		}
		who(1, false)
		who(1, false)
		time.Sleep(9 * time.Minute)
		who(1, false)
		time.Sleep(2 * time.Minute)
		who(2, false)

		good := h.server
		for _, status := range []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusNotFound} {
			h.server = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				*asked++
				w.Header().Set("Retry-After", "60")
				w.WriteHeader(status)
			})
			time.Sleep(time.Hour)
			before, begun := *asked, time.Now()
			who(before+1, true)
			if took := time.Since(begun); took > 0 {
				t.Errorf("with %d the last answer came after %s", status, took)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := cache.WhoAmI(ctx, c); err == nil {
			t.Error("who stopped gets an answer")
		}
		time.Sleep(8 * 24 * time.Hour) // nothing is good for ever
		if a, known := cache.Peek(c); known {
			t.Errorf("an answer of last week is kept: %+v", a)
		}
		h.server, *asked = good, 0
		who(1, false)
	})
}

// A client that has a cache asks by it, and is patient at the first time.
func TestClientAsksTheCache(t *testing.T) {
	t.Parallel()
	h, c, cache, asked := cached(t)
	cache.Patient = true
	c.Who = func(ctx context.Context) (hub.Account, error) {
		a, err := cache.WhoAmI(ctx, c)
		return a.Account, err
	}
	good := h.server
	h.server = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if *asked++; *asked == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		good.ServeHTTP(w, r)
	})
	synctest.Test(t, func(t *testing.T) {
		for range 3 {
			if who, err := c.WhoAmI(t.Context()); err != nil || who.Name != "ada" {
				t.Errorf("%+v, %v", who, err)
			}
		}
		if *asked != 3 { // the one that failed, its repetition, which counts itself
			t.Errorf("asked %d times", *asked)
		}
		if err := cache.Clear(); err != nil {
			t.Error(err)
		}
		if _, known := cache.Peek(c); known {
			t.Error("what is known stays")
		}
	})
}

func TestRefusedAccountIsForgotten(t *testing.T) {
	t.Parallel()
	h, c, cache, _ := cached(t)
	synctest.Test(t, func(t *testing.T) {
		if _, err := cache.WhoAmI(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		h.server = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
		time.Sleep(time.Hour)
		if _, err := cache.WhoAmI(t.Context(), c); !errors.Is(err, hub.ErrUnauthorized) {
			t.Errorf("a token that was revoked: %v", err)
		}
		if a, known := cache.Peek(c); known {
			t.Errorf("what is known of it is kept: %+v", a)
		}
	})
}

func TestCachedAccountsAreKeptApart(t *testing.T) {
	t.Parallel()
	_, c, cache, _ := cached(t)
	if _, err := cache.WhoAmI(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, other := range []*hub.Client{{BaseURL: localHub, Token: reader}, {BaseURL: "https://huggingface.co", Token: writer}} {
		if _, known := cache.Peek(other); known {
			t.Errorf("another's account is taken for %s at %s", other.Token, other.BaseURL)
		}
	}
	if found := findText(t, cache.Dir, writer); found != "" {
		t.Errorf("%s holds the token", found)
	}
	files, err := os.ReadDir(cache.Dir)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	path := filepath.Join(cache.Dir, files[0].Name())
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for _, broken := range []string{"", "{", `{"asked":"2026-01-01T00:00:00Z"}`, `{"asked":"x","account":{"name":"eve"}}`, strings.Repeat("x", 2<<20)} {
		writeFile(t, path, broken)
		if a, err := cache.WhoAmI(t.Context(), c); err != nil || a.Account.Name != "ada" {
			t.Errorf("with a broken file: %+v, %v", a, err)
		}
	}
}
