package hubserver_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/hub/login"
)

const (
	interopWriter = "hf_writer0123456789abcdefghijklm"
	interopReader = "hf_reader0123456789abcdefghijklm"
)

// A pythonLogin is a process with the official client.
type pythonLogin struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

func startPython(t *testing.T, home, endpoint string) *pythonLogin {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), hubtest.Python(t), filepath.Join("testdata", "login.py"))
	cmd.Env = hubtest.PythonEnv(t, endpoint, "HF_HOME="+home, "HF_TOKEN=")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	p := &pythonLogin{t, in, bufio.NewReader(out)}
	t.Logf("huggingface_hub %v", p.read()["value"])
	return p
}

func (p *pythonLogin) read() map[string]any {
	p.t.Helper()
	line, err := p.out.ReadBytes('\n')
	var answer map[string]any
	if err != nil || json.Unmarshal(line, &answer) != nil {
		p.t.Fatalf("the official client says %q, %v", line, err)
	}
	return answer
}

// do runs one command and returns its value and what it printed.
func (p *pythonLogin) do(args ...string) (any, string) {
	p.t.Helper()
	line, err := json.Marshal(args)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		p.t.Fatal(err)
	}
	answer := p.read()
	if said, bad := answer["error"]; bad {
		p.t.Errorf("the official client's %v: %v", args, said)
	}
	text, _ := answer["text"].(string)
	return answer["value"], text
}

// stored are the names that the official client reads, sorted.
func (p *pythonLogin) stored() []string {
	p.t.Helper()
	value, _ := p.do("stored")
	names := []string{}
	for name := range value.(map[string]any) {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// allowing serves a Hub on which the writer allows every login at once.
func allowing(t *testing.T) *httptest.Server {
	t.Helper()
	s, err := hubserver.Open(hubserver.Options{Dir: t.TempDir(), Auth: true, Tokens: map[string]hubserver.Account{
		interopWriter: {Name: "ada"}, interopReader: {Name: "bob", ReadOnly: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/oauth/device" {
			s.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, r)
		var device struct {
			User string `json:"user_code"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &device); err != nil {
			t.Errorf("begin to log in: %d %s", rec.Code, rec.Body)
		}
		form := url.Values{"user_code": {device.User}, "decision": {"allow"}, "token": {interopWriter}}
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(r.Context(), "POST", "/oauth/device/verify", strings.NewReader(form.Encode())))
		_, _ = w.Write(rec.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	return server
}

// The official client and ours share a folder: each sees at once what the
// other did.
func TestOfficialClientSharesTheLogin(t *testing.T) {
	if testing.Short() {
		t.Skip("the official client is left out of short runs")
	}
	t.Parallel()
	server, home := allowing(t), filepath.Join(t.TempDir(), "hf")
	python := startPython(t, home, server.URL)
	ours := &login.Keyring{BaseURL: server.URL, Getenv: func(name string) string { return map[string]string{"HF_HOME": home}[name] }}
	same := func(what, want string) {
		t.Helper()
		theirs, _ := python.do("token")
		if theirs == nil {
			theirs = ""
		}
		got, err := ours.Token(t.Context())
		if got != want || theirs != want || err != nil {
			t.Errorf("%s: ours is %q, %v; theirs is %q; want %q", what, got, err, theirs, want)
		}
	}
	names := func(what string, want ...string) {
		t.Helper()
		got, err := ours.Names()
		slices.Sort(got)
		if theirs := python.stored(); err != nil || !slices.Equal(got, want) || !slices.Equal(theirs, want) {
			t.Errorf("%s: ours are %v, %v; theirs are %v; want %v", what, got, err, theirs, want)
		}
	}
	same("at first", "")

	if _, err := ours.Save(t.Context(), hub.OAuthToken{Access: interopWriter}); err != nil {
		t.Fatal(err)
	}
	same("we log in", interopWriter)
	if who, _ := python.do("whoami"); who != "ada" {
		t.Errorf("they are %v", who)
	}
	python.do("login", interopReader)
	same("they log in", interopReader)
	names("both have", "ada", "bob")
	python.do("switch", "ada")
	same("they switch", interopWriter)
	if _, text := python.do("list"); !strings.Contains(text, "ada") || !strings.Contains(text, "hf_****jklm") {
		t.Errorf("they list %s", text)
	}

	token, err := ours.Device(t.Context(), func(hub.DeviceCode) {})
	if err == nil {
		_, err = ours.Save(t.Context(), token)
	}
	if err != nil {
		t.Fatal(err)
	}
	same("we log in by a browser", token.Access)
	names("a third", "ada", "bob", "oauth-ada")

	ending(t, home)
	theirs, _ := python.do("token")
	if theirs == token.Access {
		t.Error("they do not renew our token")
	}
	same("they renew", theirs.(string))
	ending(t, home)
	renewed, err := ours.Token(t.Context())
	if err != nil || renewed == theirs {
		t.Errorf("we do not renew their token: %v", err)
	}
	same("we renew", renewed)

	python.do("browser")
	theirs, _ = python.do("token")
	if theirs == renewed {
		t.Error("they do not log in by a browser")
	}
	same("they log in by a browser", theirs.(string))

	lock := filepath.Join(home, "stored_tokens.lock")
	python.do("lock", lock)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, _, err := ours.Forget(ctx, "bob"); err == nil {
		t.Error("we do not heed their lock")
	}
	python.do("unlock")
	names("nothing is lost", "ada", "bob", "oauth-ada")

	python.do("logout", "bob")
	names("they log out of one", "ada", "oauth-ada")
	if _, _, err := ours.Forget(t.Context(), "oauth-ada"); err != nil {
		t.Error(err)
	}
	same("we log out of the active one", "")
	names("one is left", "ada")
	python.do("switch", "ada")
	python.do("logout")
	same("they log out", "")
	names("none is left")
}

// ending makes the stored token one that ends in an hour.
func ending(t *testing.T, home string) {
	t.Helper()
	path := filepath.Join(home, "stored_tokens")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "expires_at") {
			lines[i] = "expires_at = " + strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)
		}
	}
	write(t, path, []byte(strings.Join(lines, "\n")))
}

// What one client can read of odd files, the other can.
func TestOfficialClientReadsTheSameFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("the official client is left out of short runs")
	}
	t.Parallel()
	home := filepath.Join(t.TempDir(), "hf")
	python := startPython(t, home, "http://127.0.0.1:1")
	ours := &login.Keyring{Getenv: func(name string) string { return map[string]string{"HF_HOME": home}[name] }}
	for _, text := range []string{
		"", "\n", "# c\n", "[a]\nhf_token = x\n", "[a]\nhf_token: x\n[b]\nHF_TOKEN=y", "[a]\r\nhf_token = x\r\n", "  [a]\n  hf_token = x\n",
		"[a]\nhf_token = x\n  [b]\nk = v\n", "[a]]\nhf_token = 100%\n", "[a] more\nhf_token = x\n", "[DEFAULT]\nx = 1\n[a]\nhf_token = x\n",
		"[ünï ç]\nhf_token = x ; not a comment\n", "[a]\nhf_token = x\n\n  more\n; c\nk = v\n", "hf_token = x\n", "[a]\njust text\n", "[a]\nx = 1\n[a]\n",
		"[a]\nhf_token = 1\nHF_TOKEN = 2\n", "[a]\nhf_token = \xff\n", "\ufeff[a]\nhf_token = 1\n", "[a]\n= 1\n", "[]\nhf_token = x\n", "[a\nhf_token = x\n",
		"[a]\nhf_token =\n", "[a]\nhf_token = x = y : z\n", "[a]\n\thf_token = x\n\tk = v\n", "[a]\nhf_token = x\n# c\n  # c\nk = v\n[b]\nhf_token = y\n",
	} {
		write(t, filepath.Join(home, "stored_tokens"), []byte(text))
		value, _ := python.do("stored")
		theirs := []string{}
		for name, fields := range value.(map[string]any) {
			if token, _ := fields.(map[string]any)["hf_token"].(string); token != "" {
				theirs = append(theirs, name)
			}
		}
		slices.Sort(theirs)
		got, err := ours.Names()
		slices.Sort(got)
		if err != nil || !slices.Equal(got, theirs) {
			t.Errorf("%q: we read %v, %v; they read %v", text, got, err, theirs)
		}
	}
}
