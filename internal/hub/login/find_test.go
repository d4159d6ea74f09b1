package login_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/hub/login"
)

const (
	writer = "hf_writer0123456789abcdefghijklm"
	reader = "hf_reader0123456789abcdefghijklm"
)

// accounts starts a Hub with a writer's and a reader's token.
func accounts(t *testing.T) *hubtest.Hub {
	t.Helper()
	return hubtest.StartWith(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{
		writer: {Name: "ada", Orgs: []string{"acme"}}, reader: {Name: "bob", ReadOnly: true},
	}})
}

// keyring is one whose files are in a new folder.
func keyring(t *testing.T, base string, env ...string) *login.Keyring {
	t.Helper()
	return keyringAt(filepath.Join(t.TempDir(), "hf"), base, env...)
}

func keyringAt(home, base string, env ...string) *login.Keyring {
	return &login.Keyring{BaseURL: base, Getenv: environ(append(env, "HF_HOME="+home)...)}
}

func environ(env ...string) func(string) string {
	return func(name string) string {
		for _, kv := range env {
			if value, ok := strings.CutPrefix(kv, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

// save logs in with a token.
func save(t *testing.T, k *login.Keyring, token string) login.Stored {
	t.Helper()
	s, err := k.Save(t.Context(), hub.OAuthToken{Access: token})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The order is the official client's, its oddities included.
func TestFindsTheTokenInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"home/token": "from-home\n", "path": " from-path \r\n", "xdg/huggingface/token": "from-xdg", "u/.cache/huggingface/token": "from-user", "blank/token": " \n"} {
		writeFile(t, filepath.Join(dir, filepath.FromSlash(name)), text)
	}
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	cases := []struct {
		env  []string
		want string
	}{
		{nil, ""},
		{[]string{"HF_TOKEN= a\n", "HUGGING_FACE_HUB_TOKEN=b", "HF_HOME=" + at("home")}, "a"},
		{[]string{"HF_TOKEN=", "HUGGING_FACE_HUB_TOKEN=b", "HF_HOME=" + at("home")}, "b"},
		{[]string{"HF_TOKEN= ", "HUGGING_FACE_HUB_TOKEN=b", "HF_HOME=" + at("home")}, "from-home"},
		{[]string{"HUGGINGFACE_HUB_TOKEN=c"}, ""},
		{[]string{"HF_TOKEN_PATH=" + at("path"), "HF_HOME=" + at("home")}, "from-path"},
		{[]string{"HF_TOKEN_PATH=$PLACE/path", "PLACE=" + dir}, "from-path"},
		{[]string{"HF_TOKEN_PATH=" + at("nowhere"), "HF_HOME=" + at("home")}, ""},
		{[]string{"HF_HOME=" + at("home"), "XDG_CACHE_HOME=" + at("xdg")}, "from-home"},
		{[]string{"HF_HOME=" + at("blank")}, ""},
		{[]string{"XDG_CACHE_HOME=" + at("xdg"), "HOME=" + at("u")}, "from-xdg"},
		{[]string{"HOME=" + at("u")}, "from-user"},
		{[]string{"HF_HOME=~/.cache/huggingface", "HOME=" + at("u")}, "from-user"},
		{[]string{"HF_HOME=$PLACE/home", "PLACE=" + dir}, "from-home"},
		{[]string{"HF_TOKEN=a", "HF_HUB_DISABLE_IMPLICIT_TOKEN=1"}, ""},
	}
	for _, c := range cases {
		k := &login.Keyring{Getenv: environ(c.env...)}
		got, err := k.Token(t.Context())
		if got != c.want || err != nil || k.Local() != c.want {
			t.Errorf("with %v the token is %q, %v, and locally %q; want %q", c.env, got, err, k.Local(), c.want)
		}
	}
	k := &login.Keyring{Getenv: environ("HF_TOKEN=a", "HF_HUB_DISABLE_IMPLICIT_TOKEN=1")}
	if token, err := k.Active(t.Context()); err != nil || token.Value != "a" || !token.FromEnvironment() {
		t.Errorf("asked for by name, the token is %v, %v", token, err)
	}
	if _, err := (&login.Keyring{Getenv: environ()}).Active(t.Context()); !errors.Is(err, login.ErrNoToken) {
		t.Errorf("without any: %v", err)
	}
}

func TestTokensAreMasked(t *testing.T) {
	t.Parallel()
	token := login.Token{Value: writer, Name: "laptop"}
	for _, verb := range []string{"%v", "%+v", "%s", "%#v", "%q"} {
		if text := fmt.Sprintf(verb, token); strings.Contains(text, writer) || !strings.Contains(text, "hf_****jklm") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	if text := (login.Token{Value: "short"}).String(); strings.Contains(text, "short") {
		t.Errorf("a short token is printed: %s", text)
	}
}

// A token made on another Hub does not go to this one.
func TestTokenStaysWithItsHub(t *testing.T) {
	t.Parallel()
	h, home := accounts(t), filepath.Join(t.TempDir(), "hf")
	save(t, keyringAt(home, h.URL), writer)
	if got := keyringAt(home, h.URL+"/").Local(); got != writer {
		t.Errorf("on its own Hub the token is %q", got)
	}
	if got := keyringAt(home, "").Local(); got != "" {
		t.Error("the token of a server goes to huggingface.co")
	}
	// the person switches to another token, with the official client perhaps
	stored := filepath.Join(home, "stored_tokens")
	writeFile(t, stored, readFile(t, stored)+"[public]\nhf_token = hf_public\n")
	writeFile(t, filepath.Join(home, "token"), "hf_public")
	if got := keyringAt(home, "").Local(); got != "hf_public" {
		t.Errorf("the public token is %q", got)
	}
	other := h.URL + "1"
	writeFile(t, stored, strings.Replace(readFile(t, stored), "hf_token = hf_public", "hf_token = hf_public\nendpoint = "+other, 1))
	if got := keyringAt(home, h.URL).Local(); got != writer {
		t.Errorf("with another Hub's token active, the own is %q", got)
	}
}

func TestExchangesTheIdentityOfABuild(t *testing.T) {
	t.Parallel()
	b := startBuild(t)
	base := []string{"HF_OIDC_RESOURCE=me/x", "HF_TOKEN=hf_not_this"}
	github := append([]string{"GITHUB_ACTIONS=true", "ACTIONS_ID_TOKEN_REQUEST_URL=" + b.URL + "/github?v=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=runner-secret"}, base...)

	for name, env := range map[string][]string{"given": append([]string{"HF_OIDC_ID_TOKEN=identity"}, base...), "GitHub's": github} {
		k := keyring(t, b.URL, env...)
		for range 2 { // the second is remembered
			token, err := k.Active(t.Context())
			if err != nil || token.Value != "hf_jwt_1" || token.Source != "OIDC" || time.Until(token.Expires) <= 0 {
				t.Errorf("%s: the token is %#v, %v", name, token, err)
			}
		}
	}
	if got := b.exchanged.Load(); got != 2 {
		t.Errorf("%d exchanges, want one for each keyring", got)
	}
	for name, env := range map[string][]string{
		"no identity":     base,
		"no permission":   append([]string{"GITHUB_ACTIONS=true"}, base...),
		"a wrong one":     append([]string{"HF_OIDC_ID_TOKEN=forged-secret"}, base...),
		"GitHub says no":  append([]string{"GITHUB_ACTIONS=true", "ACTIONS_ID_TOKEN_REQUEST_URL=" + b.URL + "/github?sig=secret", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=old-secret"}, base...),
		"GitHub is away":  append([]string{"GITHUB_ACTIONS=true", "ACTIONS_ID_TOKEN_REQUEST_URL=http://127.0.0.1:1/?sig=secret", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=old-secret"}, base...),
		"an odd resource": append([]string{"HF_OIDC_RESOURCE=odd", "HF_OIDC_ID_TOKEN=identity"}, base[1:]...),
	} {
		token, err := keyring(t, b.URL, env...).Token(t.Context())
		if err == nil || token != "" { // never HF_TOKEN instead
			t.Errorf("%s: the token is %q", name, token)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells a secret: %v", name, err)
		}
	}
}

// While another process has written the new token to one file and not yet to
// the other, the old one is not taken for a stranger's.
func TestFindBetweenTheFiles(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	writeFile(t, filepath.Join(home, "token"), "hf_old")
	writeFile(t, filepath.Join(home, "stored_tokens"), "[a]\nhf_token = hf_new\n")
	synctest.Test(t, func(t *testing.T) {
		l := flock.New(filepath.Join(home, "stored_tokens.lock"))
		if ok, err := l.TryLock(); !ok || err != nil {
			t.Fatal(ok, err)
		}
		found := make(chan login.Token, 1)
		go func() {
			token, _ := (&login.Keyring{Getenv: environ("HF_HOME=" + home)}).Find()
			found <- token
		}()
		synctest.Wait()
		writeFile(t, filepath.Join(home, "token"), "hf_new")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if token := <-found; token.Value != "hf_new" || token.Name != "a" {
			t.Errorf("found the token of %q", token.Name)
		}
	})
}
