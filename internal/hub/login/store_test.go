package login_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/login"
)

func TestSaveKeepsWhatOthersWrote(t *testing.T) {
	t.Parallel()
	h, home := accounts(t), filepath.Join(t.TempDir(), "hf")
	stored := filepath.Join(home, "stored_tokens")
	before := "; mine\n[zeta]\nhf_token = hf_zeta\nnote: keep me\n\n[ada]\n# a comment\nhf_token = hf_old\nrefresh_token = old\nexpires_at = 5\nColour = red\n\n[other tool]\nkey = a = b\n   and more\n\n"
	writeFile(t, stored, before)
	k := keyringAt(home, h.URL)
	s := save(t, k, " "+writer+"\n")
	if s.Name != "ada" || s.Account.Name != "ada" || !s.Account.CanWrite("acme") || s.Path != filepath.Join(home, "token") {
		t.Errorf("saved %+v", s)
	}
	want := strings.Replace(before, "hf_token = hf_old\nrefresh_token = old\nexpires_at = 5\nColour = red\n",
		"hf_token = "+writer+"\nColour = red\nendpoint = "+h.URL+"\n", 1)
	if got := readFile(t, stored); got != want {
		t.Errorf("the stored tokens are\n%s\nwant\n%s", got, want)
	}
	if got := readFile(t, s.Path); got != writer {
		t.Errorf("the token file holds %q", got)
	}
	if runtime.GOOS != "windows" {
		for _, path := range []string{s.Path, stored} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", path, info.Mode(), err)
			}
		}
	}
	if got, err := k.Token(t.Context()); got != writer || err != nil {
		t.Errorf("the token is %q, %v", got, err)
	}
}

func TestFirstLoginMakesAPrivateFolder(t *testing.T) {
	t.Parallel()
	h, home := accounts(t), filepath.Join(t.TempDir(), "a", "hf")
	save(t, keyringAt(home, h.URL), reader)
	if info, err := os.Stat(home); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	names, err := os.ReadDir(home)
	var left []string
	for _, e := range names {
		left = append(left, e.Name())
	}
	if want := []string{"stored_tokens", "stored_tokens.lock", "token"}; err != nil || !slices.Equal(left, want) {
		t.Errorf("the folder holds %v, want %v", left, want)
	}
}

func TestRefusedTokenChangesNothing(t *testing.T) {
	t.Parallel()
	h := accounts(t)
	k := keyring(t, h.URL)
	save(t, k, writer)
	h.Requests()
	for i, bad := range []string{"hf_wrong0123456789abcdefghijklmn", "", "  ", "two words", "hf_\x01", "api_org_x", "hf_ü", strings.Repeat("x", 5000)} {
		_, err := k.Save(t.Context(), hub.OAuthToken{Access: bad})
		if err == nil {
			t.Errorf("the token %q is taken", bad)
		} else if len(bad) > 8 && strings.Contains(err.Error(), bad) {
			t.Errorf("the error tells the token: %v", err)
		}
		if asked := len(h.Requests()); i > 0 && asked != 0 {
			t.Errorf("%q, which is no token, was sent to the Hub", bad)
		}
	}
	if k.Local() != writer {
		t.Error("the login before is gone")
	}
}

// A damaged file is what the official client cannot read. It must not stop
// anybody, and it is not thrown away.
func TestDamagedFileIsSetAside(t *testing.T) {
	t.Parallel()
	h := accounts(t)
	for name, text := range map[string]string{
		"no section": "hf_token = x\n", "no key": "[a]\njust text\n", "twice": "[a]\nx = 1\n[a]\n", "a key twice": "[a]\nx = 1\nX = 2\n",
		"not UTF-8": "[a]\nx = \xff\n", "a mark at its start": "\ufeff[a]\nx = 1\n", "empty key": "[a]\n= 1\n",
	} {
		home := filepath.Join(t.TempDir(), "hf")
		stored := filepath.Join(home, "stored_tokens")
		writeFile(t, stored, text)
		writeFile(t, filepath.Join(home, "token"), "hf_before")
		k := keyringAt(home, h.URL)
		if got := k.Local(); got != "hf_before" {
			t.Errorf("%s: the active token is %q", name, got)
		}
		save(t, k, writer)
		if got := readFile(t, stored+".damaged"); got != text {
			t.Errorf("%s: set aside is %q", name, got)
		}
		if names, err := k.Names(); err != nil || !slices.Equal(names, []string{"ada"}) {
			t.Errorf("%s: stored are %v, %v", name, names, err)
		}
	}
}

func TestLinkStaysALink(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("links need a right of their own here")
	}
	h, dir := accounts(t), t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "hf", "token")
	writeFile(t, real, "old")
	if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	save(t, keyringAt(filepath.Dir(link), h.URL), writer)
	if got := readFile(t, real); got != writer {
		t.Errorf("behind the link is %q", got)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link is replaced")
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	h := accounts(t)
	k := keyring(t, h.URL)
	if gone, active, err := k.Forget(t.Context(), ""); gone != nil || active || err != nil {
		t.Errorf("logging out a stranger: %v, %v, %v", gone, active, err)
	}
	if _, _, err := k.Forget(t.Context(), "x"); err == nil {
		t.Error("a name is forgotten that nobody has")
	}
	save(t, k, writer)
	s := save(t, k, reader)
	if _, _, err := k.Forget(t.Context(), "nobody"); err == nil || k.Local() != reader {
		t.Errorf("forgetting nobody: %v", err)
	}
	if gone, active, err := k.Forget(t.Context(), "ada"); !slices.Equal(gone, []string{"ada"}) || active || err != nil || k.Local() != reader {
		t.Errorf("forgetting another: %v, %v, %v; the token is %q", gone, active, err, k.Local())
	}
	save(t, k, writer)
	if gone, active, err := k.Forget(t.Context(), "ada"); !slices.Equal(gone, []string{"ada"}) || !active || err != nil || k.Local() != "" {
		t.Errorf("forgetting the active one: %v, %v, %v; the token is %q", gone, active, err, k.Local())
	}
	save(t, k, writer)
	if gone, active, err := k.Forget(t.Context(), ""); len(gone) != 2 || !active || err != nil || k.Local() != "" {
		t.Errorf("forgetting all: %v, %v, %v", gone, active, err)
	}
	for _, path := range []string{s.Path, filepath.Join(filepath.Dir(s.Path), "stored_tokens")} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
}

// What is not a token is not ours to delete.
func TestForgetKeepsWhatIsNoToken(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "hf")
	stored := filepath.Join(home, "stored_tokens")
	writeFile(t, stored, "[settings]\ncolour = red\n[a]\nhf_token = hf_a\n")
	gone, _, err := keyringAt(home, "").Forget(t.Context(), "")
	if got := readFile(t, stored); err != nil || !slices.Equal(gone, []string{"a"}) || got != "[settings]\ncolour = red\n" {
		t.Errorf("forgot %v, %v; left %q", gone, err, got)
	}
}

// Many at once, as processes would: no login is lost.
func TestConcurrentLogins(t *testing.T) {
	t.Parallel()
	h, home := accounts(t), filepath.Join(t.TempDir(), "hf")
	var wg sync.WaitGroup
	for _, token := range []string{writer, reader} {
		for range 8 {
			wg.Go(func() {
				if _, err := keyringAt(home, h.URL).Save(t.Context(), hub.OAuthToken{Access: token}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	k := keyringAt(home, h.URL)
	names, err := k.Names()
	slices.Sort(names)
	if err != nil || !slices.Equal(names, []string{"ada", "bob"}) || k.Local() != writer && k.Local() != reader {
		t.Errorf("stored are %v, %v", names, err)
	}
}

// A place that cannot be written is found before a person logs in.
func TestPlaceIsCheckedFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k := keyringAt(filepath.Join(dir, "new"), "")
	if err := k.Ready(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "new")); err != nil || len(left) != 0 {
		t.Errorf("the check leaves %v, %v", left, err)
	}
	writeFile(t, filepath.Join(dir, "file"), "x")
	if err := keyringAt(filepath.Join(dir, "file", "hf"), "").Ready(); err == nil || !strings.Contains(err.Error(), "folder of the token") {
		t.Errorf("a file for a folder: %v", err)
	}
	if err := (&login.Keyring{Getenv: environ()}).Ready(); err == nil || !strings.Contains(err.Error(), "HF_HOME") {
		t.Errorf("no home: %v", err)
	}
}
