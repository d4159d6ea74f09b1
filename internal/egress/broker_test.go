package egress_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/egress"
	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
)

const token = "hf_token-that-stays-outside"

func withToken(context.Context) (string, error) { return token, nil }

var private = hub.RepoID{Type: hub.Model, Namespace: "me", Name: "private"}

// privateHub is a Hub with a private repository of ours.
func privateHub(t *testing.T) (*hubtest.Hub, []byte) {
	t.Helper()
	h := hubtest.StartWith(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{token: {Name: "me"}}})
	me := &hub.Client{BaseURL: h.URL, Token: token}
	if _, err := me.CreateRepo(t.Context(), private, hub.CreateOptions{Private: true}); err != nil {
		t.Fatal(err)
	}
	big := make([]byte, 12<<20)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(big) // never fails
	if _, err := me.Upload(t.Context(), private, hub.Commit{Files: []hub.File{
		{Path: "big.bin", Content: big}, {Path: "notes.txt", Content: []byte("hello\n")}, {Path: "a b/ü #1.txt", Content: []byte("odd")},
	}}); err != nil {
		t.Fatal(err)
	}
	h.Requests()
	return h, big
}

func broker(t *testing.T, hubURL string) (*egress.Proxy, string) {
	t.Helper()
	p := &egress.Proxy{Hub: hubURL, Token: withToken}
	return p, "http://" + serve(t, p)
}

func TestBrokerReadsAndChangesNothing(t *testing.T) {
	t.Parallel()
	h, big := privateHub(t)
	p, url := broker(t, h.URL)
	c := &hub.Client{BaseURL: url, Token: "hf_another-one-of-the-command"}
	if _, err := c.RepoInfo(t.Context(), private, ""); err != nil {
		t.Fatal(err)
	}
	if got := get(t, url+"/me/private/resolve/main/big.bin"); got != string(big) {
		t.Errorf("%d bytes of %d", len(got), len(big))
	}
	if got := get(t, url+"/me/private/resolve/main/a%20b/%C3%BC%20%231.txt"); got != "odd" {
		t.Errorf("%q", got)
	}
	for _, change := range []error{
		c.DeleteRepo(t.Context(), private),
		second(c.CreateRepo(t.Context(), hub.RepoID{Type: hub.Model, Namespace: "me", Name: "new"}, hub.CreateOptions{})),
		second(c.Upload(t.Context(), private, hub.Commit{Files: []hub.File{{Path: "x", Content: []byte("x")}}})),
	} {
		if change == nil || !strings.Contains(change.Error(), "the sandbox may not change the Hub") {
			t.Errorf("%v", change)
		}
	}
	if got := p.Refusals(time.Time{}); len(got) < 3 || !strings.Contains(got[0].Text, "hf_repo_git") {
		t.Errorf("%+v", got)
	}
	for _, r := range h.Requests() {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			t.Errorf("%s %s arrived", r.Method, r.Path)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Git clones a private repository through the broker and cannot push.
func TestGitThroughBroker(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is missing")
	}
	h, _ := privateHub(t)
	_, url := broker(t, h.URL)
	dir := filepath.Join(t.TempDir(), "clone")
	git := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_LFS_SKIP_SMUDGE=1", "NO_PROXY=*", "no_proxy=*",
			"GIT_AUTHOR_NAME=x", "GIT_AUTHOR_EMAIL=x@x", "GIT_COMMITTER_NAME=x", "GIT_COMMITTER_EMAIL=x@x")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := git("clone", url+"/me/private", dir); err != nil {
		t.Fatal(out)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "notes.txt")); err != nil || string(data) != "hello\n" {
		t.Errorf("%q %v", data, err)
	}
	if out, err := git("-C", dir, "commit", "--allow-empty", "-m", "x"); err != nil {
		t.Fatal(out)
	}
	out, err := git("-C", dir, "push")
	if err == nil || !strings.Contains(out, "hf_repo_files or publish") {
		t.Errorf("%s", out)
	}
}

// The official client downloads through the broker.
func TestPythonThroughBroker(t *testing.T) {
	t.Parallel()
	python := hubtest.Python(t)
	h, big := privateHub(t)
	_, url := broker(t, h.URL)
	script := `
import huggingface_hub as h, hashlib, os, sys
d = h.snapshot_download("me/private")
print(hashlib.sha256(open(os.path.join(d, "big.bin"), "rb").read()).hexdigest(), h.HfApi().whoami()["name"])
try:
    h.HfApi().upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id="me/private")
except Exception as e:
    print(e)
`
	cmd := exec.CommandContext(t.Context(), python, "-c", script)
	cmd.Env = hubtest.PythonEnv(t, url)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s", out)
	}
	if !strings.Contains(string(out), fmt.Sprintf("%x me", sha256.Sum256(big))) || !strings.Contains(string(out), "use the tool hf_repo_files or publish") {
		t.Errorf("%s", out)
	}
}

// A download takes no memory for its size, and a range is a range.
func TestBrokerStreams(t *testing.T) {
	t.Parallel()
	const size = 512 << 20
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rng := r.Header.Get("Range"); rng != "" {
			w.Header().Set("Content-Range", "bytes 0-3/9")
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprintf(w, "%s", rng[len(rng)-4:])
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(size))
		block := make([]byte, 1<<20)
		for range size / len(block) {
			w.Write(block)
		}
	}))
	defer h.Close()
	_, url := broker(t, h.URL)
	req, _ := http.NewRequestWithContext(t.Context(), "GET", url+"/a/b/resolve/main/x", nil)
	req.Header.Set("Range", "bytes=0-3")
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusPartialContent || resp.Header.Get("Content-Range") != "bytes 0-3/9" {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	req.Header.Del("Range")
	if resp, err = http.DefaultClient.Do(req); err != nil || resp.ContentLength != size {
		t.Fatal(resp, err)
	}
	defer resp.Body.Close()
	var most uint64
	buf := make([]byte, 1<<20)
	for sum := 0; ; {
		n, err := resp.Body.Read(buf)
		if sum += n; sum>>25 != (sum-n)>>25 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
		}
		if errors.Is(err, io.EOF) {
			if sum != size {
				t.Errorf("%d bytes", sum)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if most > 256<<20 { // other tests run beside this one
		t.Errorf("%d MB", most>>20)
	}
}

// A Hub that says the token again, in whatever place, does not say it to the
// command; nor is it sent anywhere but to the Hub.
func TestTokenStaysOutside(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("%s got %q", r.URL, r.Header.Get("Authorization"))
		}
	}))
	defer elsewhere.Close()
	var h *httptest.Server
	h = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth := r.Header.Get("Authorization")
		w.Header().Set("X-Echo", auth)
		w.Header().Set("Set-Cookie", "token="+token)
		w.Header().Add("Link", "<"+h.URL+"/api/models?cursor=1>; rel=\"next\", <"+elsewhere.URL+"/x>; rel=\"xet-auth\"")
		switch r.URL.Path {
		case "/api/models/a/b":
			w.Header().Set("Location", h.URL+"/api/models/c/d?x=1")
			w.WriteHeader(http.StatusTemporaryRedirect)
		case "/api/models/a/away":
			w.Header().Set("Location", elsewhere.URL+"/x")
			w.WriteHeader(http.StatusFound)
		case "/api/whoami-v2":
			fmt.Fprintf(w, `{"type":"user","name":"me","fullname":"Me","email":"me@x","auth":{"type":"access_token","accessToken":{"displayName":"n","role":"write","token":%q}},"orgs":[{"name":"lab","x":%q}]}`, token, token)
		case "/api/models/a/zip":
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "zipped")
		default:
			for i := range len(auth) { // in pieces
				io.WriteString(w, auth[i:i+1])
				http.NewResponseController(w).Flush()
			}
			fmt.Fprintf(w, " %s%s %s", token[:10], token, r.Header)
		}
	}))
	defer h.Close()
	_, url := broker(t, h.URL)
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for path, want := range map[string]string{
		"/api/models/a/b": "", "/api/models/a/away": "", "/api/whoami-v2": `"role":"read"`, "/api/models/a/c": "Bearer *******", "/api/models/a/zip": "compressed",
		"/a/b/resolve/main/x": "Bearer *******", "/api/daily_papers": " " + token[:10],
	} {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", url+path, nil)
		req.Header = http.Header{"Authorization": {"Bearer own"}, "Cookie": {"a=b"}, "X-Http-Method-Override": {"DELETE"}, "Accept-Encoding": {"gzip"}, "Proxy-Authorization": {"x"}}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(path, err)
		}
		all := fmt.Sprint(resp.Header, string(body))
		if path == "/api/daily_papers" { // goes without it
			if strings.Contains(all, "Bearer") {
				t.Errorf("%s: %s", path, all)
			}
			continue
		}
		if strings.Contains(all, token) || strings.Contains(all, "me@x") || strings.Contains(all, "own") || strings.Contains(all, "DELETE") || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s", path, all)
		}
		switch path {
		case "/api/models/a/b":
			if resp.Header.Get("Location") != url+"/api/models/c/d?x=1" {
				t.Error(resp.Header)
			}
			if link := resp.Header.Get("Link"); link != "<"+url+"/api/models?cursor=1>; rel=\"next\", <"+elsewhere.URL+"/x>; rel=\"xet-auth\"" {
				t.Error(link)
			}
		case "/api/models/a/away":
			if resp.Header.Get("Location") != elsewhere.URL+"/x" {
				t.Error(resp.Header)
			}
		}
	}
	for _, path := range []string{"/api/models/a/b/xet-write-token/main", "/api/models/a/b/jwt", "/api/settings/tokens", "/oauth/userinfo", "/settings/tokens", "/api/models/a/b/%78et-write-token/main"} {
		if got := get(t, url+path); !strings.Contains(got, "secrets of the account") {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// Large files are asked for to be read, in whatever way the wish is written.
func TestLargeFilesBatch(t *testing.T) {
	t.Parallel()
	var arrived string
	var h *httptest.Server
	h = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		arrived = string(data)
		w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
		fmt.Fprintf(w, `{"objects":[{"oid":"x","size":12345678901234567890,"actions":{"download":{"href":"%s/api/storage/x?sig=1"}}}]}`, h.URL)
	}))
	defer h.Close()
	_, url := broker(t, h.URL)
	post := func(body string) (int, string) {
		resp, err := http.Post(url+"/me/x.git/info/lfs/objects/batch", "application/vnd.git-lfs+json", strings.NewReader(body)) //nolint:noctx // a test
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(data)
	}
	status, answer := post(`{"operation":"download","transfers":["basic"],"objects":[{"oid":"x","size":3,"extra":1}],"more":true}`)
	if status != 200 || !strings.Contains(answer, url+"/api/storage/x?sig=1") || !strings.Contains(answer, "12345678901234567890") || strings.Contains(arrived, "more") {
		t.Errorf("%d %s\n%s", status, answer, arrived)
	}
	arrived = ""
	for _, body := range []string{
		`{"operation":"upload","objects":[]}`, `{"operation":"download","operation":"upload"}`, `{"operation":"download","Operation":"upload"}`, `{"operation":"Download"}`, `{}`, `[]`, ``, `{"operation":"download"} {"operation":"upload"}`,
		`{"x":"` + strings.Repeat("x", 9<<20) + `"}`,
	} {
		if status, _ := post(body); status != http.StatusForbidden && status != http.StatusBadRequest || arrived != "" {
			t.Errorf("%.80s: %d, %s arrived", body, status, arrived)
		}
	}
	if status, _ := post(`{"operation":"upload","operation":"download","objects":[]}`); status == 200 {
		var v map[string]any
		if json.Unmarshal([]byte(arrived), &v) != nil || v["operation"] != "download" || strings.Contains(arrived, "upload") {
			t.Errorf("%s arrived", arrived)
		}
	}
}

// What policy lets through gets the token, and what it does not goes without.
func TestPolicy(t *testing.T) {
	t.Parallel()
	h, _ := privateHub(t)
	p := &egress.Proxy{Hub: h.URL, Token: withToken, Writes: func(method, path string) bool { return method == "POST" && strings.Contains(path, "/me/private/") }}
	c := &hub.Client{BaseURL: "http://" + serve(t, p)}
	if _, err := c.Upload(t.Context(), private, hub.Commit{Files: []hub.File{{Path: "x", Content: []byte("x")}}}); err != nil {
		t.Error(err)
	}
	if err := c.DeleteRepo(t.Context(), private); err == nil {
		t.Error("deleted")
	}
	p = &egress.Proxy{Hub: h.URL, Token: withToken, Reads: func(_, path string) bool { return !strings.Contains(path, "/private") }}
	url := "http://" + serve(t, p)
	if got := get(t, url+"/me/private/resolve/main/notes.txt"); got == "hello\n" {
		t.Error("read")
	}
	if got := get(t, url+"/api/whoami-v2"); !strings.Contains(got, `"me"`) {
		t.Error(got)
	}
}

func TestBrokerFails(t *testing.T) {
	t.Parallel()
	p := &egress.Proxy{Hub: "http://127.0.0.1:1", Token: withToken}
	if got := get(t, "http://"+serve(t, p)+"/api/models"); !strings.Contains(got, "did not answer") || strings.Contains(got, "127.0.0.1") {
		t.Error(got)
	}
	p = &egress.Proxy{Hub: "http://127.0.0.1:1", Token: func(context.Context) (string, error) { return "", errors.New("of the keyring") }}
	if got := get(t, "http://"+serve(t, p)+"/api/models"); !strings.Contains(got, "token") || strings.Contains(got, "keyring") {
		t.Error(got)
	}
}
