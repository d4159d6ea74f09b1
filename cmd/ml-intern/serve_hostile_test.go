//go:build unix

package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm/llmtest"
)

// refusal is an answer that refuses, as programs read it.
type refusal struct {
	Error struct{ Code, Message, Hint string }
}

// refuses sends a request that must be refused so, in words.
func (s *host) refuses(r *http.Request, status int, words string) {
	s.Helper()
	res, text := s.send(r)
	var no refusal
	if err := json.Unmarshal([]byte(text), &no); err != nil || res.StatusCode != status || no.Error.Code == "" || !strings.Contains(no.Error.Message+no.Error.Hint, words) {
		s.Errorf("%s %s %v: %d %s, want %d with %q", r.Method, r.URL, r.Header, res.StatusCode, text, status, words)
	}
	if h := res.Header; h.Get("Content-Security-Policy") == "" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") != "no-store" {
		s.Errorf("%s %s is answered with %v", r.Method, r.URL, h)
	}
}

// Who is not the person is let in nowhere: no page of another site, no name that
// leads here, nobody without the key.
func TestServeLetsNobodyIn(t *testing.T) {
	t.Parallel()
	s := serves(t, t.TempDir(), t.TempDir(), plays(t, llmtest.Turn{Text: "hello"}).URL)
	id := s.begin("hi")
	change := func(method, path string, body any, header ...string) *http.Request {
		r := s.request(method, path, body)
		for i := 0; i < len(header); i += 2 {
			if r.Header.Del(header[i]); header[i+1] != "" {
				r.Header.Set(header[i], header[i+1])
			}
		}
		return r
	}
	prompt := map[string]string{"text": "x"}
	at := "/api/sessions/" + id
	for _, path := range []string{"/api/sessions", "/api/server", at, at + "/events", at + "/export", "/api/nothing"} {
		s.refuses(change("GET", path, nil, "Authorization", ""), 401, "key")
		s.refuses(change("GET", path, nil, "Authorization", "Bearer "+s.key+"x"), 401, "key")
		s.refuses(change("GET", path, nil, "Authorization", "Basic "+s.key), 401, "key")
		s.refuses(change("GET", path, nil, "Origin", "http://localhost:3000"), 403, "another page")
		s.refuses(change("GET", path, nil, "Origin", "http://[::1]:"+strings.Split(s.url, ":")[2]), 403, "another page") // another user's, with our port
		s.refuses(change("GET", path, nil, "Sec-Fetch-Site", "same-site"), 403, "another page")
		s.refuses(change("GET", path, nil, "Sec-Fetch-Site", "cross-site"), 403, "another page")
		rebound := change("GET", path, nil)
		rebound.Host = "evil.example:" + strings.Split(s.url, ":")[2]
		s.refuses(rebound, 421, "127.0.0.1")
		rebound = change("GET", path, nil)
		rebound.Host = "127.0.0.1"
		s.refuses(rebound, 421, "127.0.0.1")
	}
	for _, path := range []string{at + "/prompts", "/api/sessions", at + "/stop", at + "/answers", "/api/login", "/api/logout"} {
		s.refuses(change("POST", path, `{}`, "Content-Type", "text/plain"), 415, "application/json")
		s.refuses(change("POST", path, `{}`, "Content-Type", ""), 415, "application/json")
		s.refuses(change("POST", path, `{}`, "Origin", "null"), 403, "another page")
		s.refuses(change("POST", path, `{}`, "Origin", "https://"+strings.TrimPrefix(s.url, "http://")), 403, "another page")
	}
	s.refuses(change("POST", at+"/prompts", prompt, "Authorization", ""), 401, "key")
	s.refuses(change("POST", "/api/login", map[string]string{"key": s.key[1:]}, "Authorization", ""), 401, "key")
	s.refuses(change("POST", "/api/login", map[string]string{"key": ""}, "Authorization", ""), 401, "key")

	s.cookies(change)
	if res, _ := s.send(change("GET", "/healthz", nil, "Authorization", "")); res.StatusCode != http.StatusOK {
		t.Errorf("healthz: %s", res.Status)
	}
	if info, err := os.Stat(filepath.Join(s.home, "state", "serve", "key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v %v", info, err)
	}
	if n := s.key; len(n) != 43 {
		t.Errorf("the key is %q", n)
	}
}

// cookies looks at what a browser has in place of the key. Its cookie goes to whatever
// listens on another port of this machine, so it opens nothing by itself.
func (s *host) cookies(change func(method, path string, body any, header ...string) *http.Request) {
	s.Helper()
	res, text := s.send(change("POST", "/api/login", map[string]string{"key": s.key}, "Authorization", "", "Origin", s.url, "Sec-Fetch-Site", "same-origin"))
	var in struct{ Page string }
	if err := json.Unmarshal([]byte(text), &in); err != nil || res.StatusCode != http.StatusOK || len(res.Cookies()) != 1 || len(in.Page) != 43 || in.Page == s.key {
		s.Fatalf("login: %s %v %s", res.Status, res.Header, text)
	}
	c := res.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || strings.Contains(c.Value, s.key) || c.Value == in.Page || !strings.HasSuffix(c.Name, strings.Split(s.url, ":")[2]) {
		s.Errorf("the cookie is %+v", c)
	}
	const page = "X-Ml-Intern-Page"
	if res, text := s.send(change("GET", "/api/sessions", nil, "Authorization", "", "Cookie", c.Name+"="+c.Value, page, in.Page)); res.StatusCode != http.StatusOK {
		s.Errorf("with the cookie: %s %s", res.Status, text)
	}
	s.refuses(change("GET", "/api/sessions", nil, "Authorization", "", "Cookie", c.Name+"="+c.Value), 401, "key")
	s.refuses(change("GET", "/api/sessions", nil, "Authorization", "", "Cookie", c.Name+"="+c.Value, page, c.Value), 401, "key")
	s.refuses(change("GET", "/api/sessions", nil, "Authorization", "", page, in.Page), 401, "key")
	s.refuses(change("GET", "/api/sessions", nil, "Authorization", "", "Cookie", c.Name+"="+s.key, page, in.Page), 401, "key")
	s.refuses(change("GET", "/api/sessions", nil, "Authorization", "Bearer x", "Cookie", c.Name+"="+c.Value, page, in.Page), 401, "key")
}

// A restart keeps the key; --new-key does not.
func TestServeKey(t *testing.T) {
	t.Parallel()
	s := serves(t, t.TempDir(), t.TempDir(), "")
	_ = s.end(os.Interrupt)
	again := serves(t, s.home, s.dir, "")
	if again.key != s.key {
		t.Error("a restart has signed everybody out")
	}
	_ = again.end(os.Interrupt)
	other := serves(t, s.home, s.dir, "", "--new-key")
	if other.key == s.key {
		t.Error("--new-key has kept the key")
	}
	again.url = other.url
	again.refuses(again.request("GET", "/api/sessions", nil), 401, "key")
}

// What makes no sense is refused in words, and the server goes on.
func TestServeRefuses(t *testing.T) {
	t.Parallel()
	s := serves(t, t.TempDir(), t.TempDir(), plays(t, llmtest.Turn{Text: "hello"}, llmtest.Turn{Text: "second"}).URL)
	id := s.begin("hi")
	s.follow(id, 0).answer("hello")
	at := "/api/sessions/" + id
	for _, c := range []struct {
		method, path string
		body         any
		status       int
		words        string
	}{
		{"POST", at + "/prompts", `{"text": `, 400, "JSON"},
		{"POST", at + "/prompts", `[]`, 400, "JSON"},
		{"POST", at + "/prompts", `{"text": 7}`, 400, "JSON"},
		{"POST", at + "/prompts", `{"text": "x"} {"text": "y"}`, 400, "follows"},
		{"POST", at + "/prompts", `{"txet": "x"}`, 400, "did you mean text"},
		{"POST", at + "/prompts", `{"text": "x", "stear": true}`, 400, "did you mean steer"},
		{"POST", at + "/prompts", strings.Repeat(`{"text":`, 20000), 400, "JSON"},
		{"POST", at + "/prompts", "{\"text\": \"\xff\xfe\"}", 400, "UTF-8"},
		{"POST", at + "/prompts", `{"text": "a\u0000b"}`, 400, "NUL"},
		{"POST", at + "/prompts", `{"text": " \n "}`, 400, "empty"},
		{"POST", at + "/prompts", ``, 400, "empty"},
		{"POST", at + "/prompts", map[string]string{"text": strings.Repeat("x", 3<<20)}, 413, "bytes"},
		{"POST", at + "/prompts", map[string]string{"text": strings.Repeat("x", 1<<20+1)}, 413, "bytes"},
		{"POST", at + "/prompts", map[string]string{"text": "/new"}, 422, "POST /api/sessions"},
		{"POST", at + "/prompts", map[string]string{"text": "/quit"}, 422, "close the page"},
		{"POST", at + "/prompts", map[string]string{"text": "/hlep"}, 422, "/help"},
		{"POST", at + "/prompts", map[string]string{"text": "/rewind 1 both"}, 422, "fork"},
		{"POST", at + "/answers", `{"ask": 1, "decisions": []}`, 409, "not open"},
		{"POST", at + "/answers/preview", `{"ask": 1, "call_id": "x", "args": {}}`, 409, "not open"},
		{"POST", at + "/continue", nil, 409, "answer"},
		{"POST", at + "/fork", `{"at": 1000}`, 400, "at"},
		{"POST", at + "/fork", `{"at": -1}`, 400, "at"},
		{"PATCH", at, `{}`, 400, "title"},
		{"PATCH", at, `{"mode": "yolo"}`, 422, "the modes are"},
		{"PATCH", at, `{"effort": "hgih"}`, 422, "did you mean high"},
		{"PATCH", at, `{"model": "nobody/nothing\nx"}`, 422, "no model"},
		{"PATCH", at, `{"title": "` + strings.Repeat("x", 1000) + `"}`, 422, "title"},
		{"PATCH", at, `{"titel": "x"}`, 400, "did you mean title"},
		{"GET", at + "/export?format=exe", nil, 400, "md"},
		{"GET", at + "/events?after=-1", nil, 400, "after"},
		{"GET", at + "/events?after=x", nil, 400, "after"},
		{"GET", "/api/sessions?limit=-1", nil, 400, "limit"},
		{"GET", "/api/sessions?cursor=x", nil, 400, "cursor"},
		{"GET", "/api/sessions/nobody", nil, 404, "no session"},
		{"GET", "/api/sessions/" + id[:8], nil, 404, "no session"},
		{"GET", "/api/sessions/" + strings.Repeat("x", 5000), nil, 404, "no session"},
		{"GET", "/api/sessions/%2e%2e%2f%2e%2e%2fetc%2fpasswd", nil, 404, "no session"},
		{"GET", "/api/sessions/%00", nil, 404, "no session"},
		{"GET", "/api/sessions/nobody/events", nil, 404, "no session"},
		{"GET", "/api/sessions/nobody/export", nil, 404, "no session"},
		{"GET", "/api/sessions/nobody/jobs", nil, 404, "no session"},
		{"GET", "/api/sessions/nobody/agents/x/events", nil, 404, "no session"},
		{"POST", "/api/sessions/nobody/prompts", map[string]string{"text": "x"}, 404, "no session"},
		{"POST", "/api/sessions/nobody/stop", nil, 404, "no session"},
		{"POST", "/api/sessions/nobody/continue", nil, 404, "no session"},
		{"POST", "/api/sessions/nobody/fork", nil, 404, "no session"},
		{"PATCH", "/api/sessions/nobody", `{"title": "x"}`, 404, "no session"},
		{"DELETE", "/api/sessions/nobody", nil, 404, "no session"},
		{"GET", "/api/nothing", nil, 404, "nothing at"},
		{"PUT", at, nil, 405, "GET"},
		{"GET", at + "/prompts", nil, 405, "POST"},
		{"POST", "/api/sessions", `{"prompt": "x", "dir": "relative"}`, 400, "absolute"},
		{"POST", "/api/sessions", `{"prompt": "x", "dir": "/no/such/folder"}`, 422, "folder"},
		{"POST", "/api/sessions", `{"prompt": "x", "mode": "yolo"}`, 422, "the modes are"},
		{"POST", "/api/sessions", `{"prompt": "x", "model": "gpt"}`, 422, "gpt"},
		{"POST", "/api/sessions", `{"prompt": "!ls"}`, 422, "begins with a prompt"},
		{"POST", "/api/sessions", `{"prompt": "/cost"}`, 422, ""},
		{"POST", "/api/sessions", `{"prompt": ""}`, 400, "empty"},
	} {
		s.refuses(s.request(c.method, c.path, c.body), c.status, c.words)
	}
	for _, path := range []string{"/../../etc/passwd", "/..%2f..%2fetc/passwd", "/ui/index.html", "/.git/config", "/index.html/", "/web.go"} {
		if res, text := s.send(s.request("GET", path, nil)); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s %s", path, res.Status, text)
		}
	}
	if res, _ := s.send(s.request("POST", "/", "{}")); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST /: %s", res.Status)
	}
	var list struct{ Sessions []struct{ ID string } }
	s.ask("GET", "/api/sessions", nil, http.StatusOK, &list)
	if len(list.Sessions) != 1 {
		t.Errorf("what was refused has left sessions: %+v", list)
	}
	s.ask("POST", at+"/prompts", map[string]string{"text": "/home is a path"}, http.StatusUnprocessableEntity, nil)
	s.ask("POST", at+"/prompts", map[string]string{"text": "look at /home"}, http.StatusAccepted, nil)
	s.follow(id, 0).answer("second")
}

// Who sends a request for ever is sent away, also where nobody reads what they send.
func TestServeSlowRequests(t *testing.T) {
	t.Parallel()
	s := serves(t, t.TempDir(), t.TempDir(), "")
	at := strings.TrimPrefix(s.url, "http://")
	conns := make(map[string]net.Conn)
	for name, text := range map[string]string{
		"header":  "GET / HTTP/1.1\r\nHost: " + at + "\r\nX: ",
		"login":   "POST /api/login HTTP/1.1\r\nHost: " + at + "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
		"no key":  "POST /api/sessions HTTP/1.1\r\nHost: " + at + "\r\nContent-Length: 1000\r\n\r\n{",
		"page":    "GET / HTTP/1.1\r\nHost: " + at + "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
		"no host": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
	} {
		var d net.Dialer
		c, err := d.DialContext(t.Context(), "tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:gocritic // at the end, that is when all are read
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		conns[name] = c
	}
	for name, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(2 * time.Minute))
		if data, err := io.ReadAll(c); err != nil {
			t.Errorf("%s: it waits on: %q %v", name, data, err)
		}
	}
}

// Addresses that others can reach are refused, and so are flags that are not there.
func TestServeAddresses(t *testing.T) {
	t.Parallel()
	s := serves(t, t.TempDir(), t.TempDir(), "")
	for _, c := range []struct {
		args  []string
		code  int
		words string
	}{
		{[]string{"--addr", "0.0.0.0:0"}, 2, "ssh -L"},
		{[]string{"--addr", ":7860"}, 2, "ssh -L"},
		{[]string{"--addr", "192.168.1.1:7860"}, 2, "ssh -L"},
		{[]string{"--addr", "example.com:80"}, 2, "ssh -L"},
		{[]string{"--addr", "127.0.0.1"}, 2, "HOST:PORT"},
		{[]string{"--addr", "127.0.0.1:99999"}, 2, "HOST:PORT"},
		{[]string{"--store", "postgres://x"}, 2, "--store"},
		{[]string{"--max-sessions", "0"}, 2, "max-sessions"},
		{[]string{"--addr", strings.TrimPrefix(s.url, "http://")}, 1, "in use"},
		{[]string{"more"}, 2, ""},
	} {
		cmd := exec.CommandContext(t.Context(), program(t), append([]string{"serve"}, c.args...)...)
		cmd.Dir, cmd.Env = s.dir, s.cmd.Env
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != c.code || !strings.Contains(string(out), c.words) {
			t.Errorf("%v: %v: %s", c.args, err, out)
		}
	}
}
