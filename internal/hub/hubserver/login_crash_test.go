package hubserver_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/grant"
)

// A server is killed in the middle of logins. A token that somebody got is
// good afterwards, and nothing that is on disk is half.
func TestKilledServerKeepsTokens(t *testing.T) {
	t.Parallel()
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	dir := t.TempDir()
	var got []hub.OAuthToken
	for range rounds {
		cmd, client := child(t, dir)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan []hub.OAuthToken)
		go func() { done <- logins(ctx, client) }()
		time.Sleep(time.Duration(20+rand.IntN(100)) * time.Millisecond) // somewhere in the middle
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed, as it should be
		stop()
		got = append(got, <-done...)
		checkGrants(t, dir, got)
	}
	if len(got) == 0 {
		t.Error("there was no login: the test shows nothing")
	}
	t.Logf("%d tokens were given", len(got))
}

// logins logs in and renews, again and again, until something fails.
func logins(ctx context.Context, c *hub.Client) (got []hub.OAuthToken) {
	for {
		d, err := c.StartDevice(ctx, "x")
		if err != nil {
			return got
		}
		form := url.Values{"user_code": {d.UserCode}, "decision": {"allow"}}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URI, strings.NewReader(form.Encode()))
		if err != nil {
			return got
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return got
		}
		resp.Body.Close()
		token, err := c.DeviceToken(ctx, "x", d.Code)
		if err != nil {
			return got
		}
		got = append(got, token)
		if token, err = c.RefreshToken(ctx, "x", token.Refresh); err != nil {
			return got
		}
		got = append(got, token)
	}
}

func checkGrants(t *testing.T, dir string, tokens []hub.OAuthToken) {
	t.Helper()
	oauth := filepath.Join(dir, "oauth")
	s, err := grant.Open(oauth)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		if g, ok := s.Find(token.Access); !ok || g.Account != "me" {
			t.Errorf("a token that was given is of %+v, %v", g, ok)
		}
	}
	err = filepath.WalkDir(oauth, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(filepath.Dir(path)) == "tmp" || d.Name() == "lock" {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && !json.Valid(data) {
			t.Errorf("%s is half: %q", path, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
