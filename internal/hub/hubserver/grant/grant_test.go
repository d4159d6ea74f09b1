package grant_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/hub/hubserver/grant"
)

func open(t *testing.T, dir string) *grant.Store {
	t.Helper()
	s, err := grant.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A login gives one token, however many processes ask for it at once.
func TestRedeemedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	code, user, err := s.Begin(t.Context(), "x")
	if err != nil || len(user) != 9 || strings.ContainsAny(user, "AEIOUY0123456789") {
		t.Fatal(code, user, err)
	}
	if err := s.Decide(t.Context(), user, &grant.Holder{Account: "ada"}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	pairs := make([]grant.Pair, 8)
	for i := range pairs {
		other := open(t, dir)
		wg.Go(func() {
			var err error
			if pairs[i], err = other.Redeem(t.Context(), "x", code); err != nil && !errors.Is(err, grant.ErrExpired) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	given := 0
	for _, p := range pairs {
		if p.Access == "" {
			continue
		}
		given++
		if got, ok := s.Find(p.Access); !ok || got.Account != "ada" || got.Client != "x" {
			t.Errorf("the token is %+v, %v", got, ok)
		}
	}
	if given != 1 {
		t.Errorf("%d tokens were given", given)
	}
	for _, wrong := range []string{"", "hf_oauth_", "hf_oauth_x", code, "hf_oauth_../../lock"} {
		if got, ok := s.Find(wrong); ok {
			t.Errorf("%q is a token of %+v", wrong, got)
		}
	}
}

func TestDecidedOnce(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	_, user, err := s.Begin(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if d, err := s.Waiting(strings.ToLower(user)); err != nil || d.Client != "x" {
		t.Errorf("%+v, %v", d, err)
	}
	if err := s.Decide(t.Context(), user, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Decide(t.Context(), user, &grant.Holder{Account: "eve"}); !errors.Is(err, grant.ErrExpired) {
		t.Errorf("a second person decides: %v", err)
	}
	for _, wrong := range []string{"", "x", "../../x", "BCDF-GHJK"} {
		if _, err := s.Waiting(wrong); !errors.Is(err, grant.ErrExpired) {
			t.Errorf("a login waits for %q: %v", wrong, err)
		}
	}
}

// A used refresh token is good for a moment more, in case the answer was lost.
func TestRefreshTokensAreSpent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	synctest.Test(t, func(t *testing.T) {
		code, user, err := s.Begin(t.Context(), "x")
		if err := errors.Join(err, s.Decide(t.Context(), user, &grant.Holder{Account: "ada", ReadOnly: true})); err != nil {
			t.Fatal(err)
		}
		first, err := s.Redeem(t.Context(), "x", code)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Renew(t.Context(), "y", first.Refresh); !errors.Is(err, grant.ErrInvalid) {
			t.Errorf("another client renews: %v", err)
		}
		second, err := s.Renew(t.Context(), "x", first.Refresh)
		if err != nil || second.Access == first.Access || second.Refresh == first.Refresh {
			t.Fatalf("%+v, %v", second, err)
		}
		if got, ok := s.Find(second.Access); !ok || !got.ReadOnly || got.Account != "ada" {
			t.Errorf("the new token is %+v, %v", got, ok)
		}
		time.Sleep(time.Minute)
		if _, err := s.Renew(t.Context(), "x", first.Refresh); err != nil {
			t.Errorf("asked again a minute later: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if _, err := s.Renew(t.Context(), "x", first.Refresh); !errors.Is(err, grant.ErrInvalid) {
			t.Errorf("an old refresh token renews: %v", err)
		}
		time.Sleep(grant.RefreshLife)
		if _, err := s.Renew(t.Context(), "x", second.Refresh); !errors.Is(err, grant.ErrInvalid) {
			t.Errorf("a refresh token that has ended renews: %v", err)
		}
		for _, sub := range []string{"tokens", "refresh"} {
			if left, err := os.ReadDir(filepath.Join(dir, sub)); err != nil || len(left) != 0 {
				t.Errorf("%d old %s are left, %v", len(left), sub, err)
			}
		}
	})
}

// Strangers may begin logins, but not fill the disk.
func TestWaitingLoginsAreBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	synctest.Test(t, func(t *testing.T) {
		for {
			_, _, err := s.Begin(t.Context(), "x")
			if errors.Is(err, grant.ErrMany) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if n, err := count(filepath.Join(dir, "devices")); err != nil || n > 50 {
				t.Fatalf("%d logins wait, %v", n, err)
			}
		}
		time.Sleep(grant.DeviceLife)
		if _, _, err := s.Begin(t.Context(), "x"); err != nil {
			t.Errorf("when they have ended: %v", err)
		}
		if n, err := count(filepath.Join(dir, "devices")); n != 1 || err != nil {
			t.Errorf("%d logins are left, %v", n, err)
		}
		if n, err := count(filepath.Join(dir, "users")); n != 1 || err != nil {
			t.Errorf("%d codes are left, %v", n, err)
		}
	})
}

func count(dir string) (int, error) {
	files, err := os.ReadDir(dir)
	return len(files), err
}

// A kill leaves half a file only where nobody looks.
func TestBrokenFilesAreNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	code, user, err := s.Begin(t.Context(), "x")
	if err := errors.Join(err, s.Decide(t.Context(), user, &grant.Holder{Account: "ada"})); err != nil {
		t.Fatal(err)
	}
	pair, err := s.Redeem(t.Context(), "x", code)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.WriteFile(path, []byte(`{"account":"ad`), 0o600)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := s.Find(pair.Access); ok {
		t.Errorf("half a file is a token of %+v", got)
	}
	if _, err := s.Renew(t.Context(), "x", pair.Refresh); err == nil {
		t.Error("half a file renews")
	}
	if _, _, err := s.Begin(t.Context(), "x"); err != nil {
		t.Errorf("broken files stop others: %v", err)
	}
}
