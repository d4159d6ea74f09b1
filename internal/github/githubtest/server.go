// Package githubtest serves repositories of GitHub on loopback, in the formats
// of its API.
package githubtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Server speaks the part of GitHub's API that is used.
type Server struct {
	*httptest.Server
	mu        sync.Mutex
	asked     []string
	remaining int
	reset     time.Time
	answers   map[string]func(w http.ResponseWriter, r *http.Request)
}

// New starts a server without repositories, which ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	f := &Server{remaining: 60, reset: time.Now().Add(30 * time.Minute), answers: map[string]func(http.ResponseWriter, *http.Request){}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.URL.RequestURI()+" "+r.Header.Get("Authorization"))
	f.limits(w)
	if f.remaining == 0 {
		f.mu.Unlock()
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"message":"API rate limit exceeded for 192.0.2.1."}`)
		return
	}
	f.remaining--
	f.limits(w)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	answer, ok := f.answers[r.URL.RequestURI()]
	if !ok {
		answer, ok = f.answers[r.URL.EscapedPath()]
	}
	f.mu.Unlock()
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"message":"Not Found","status":"404"}`)
		return
	}
	answer(w, r)
}

// Answer answers a path, with or without its query.
func (f *Server) Answer(path string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[path] = h
}

// Asked lists the requests so far: path, query and what authorizes it.
func (f *Server) Asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

// Left sets how many requests are still answered.
func (f *Server) Left(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remaining = n
}

func (f *Server) limits(w http.ResponseWriter) {
	w.Header().Set("X-RateLimit-Limit", "60")
	w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(f.remaining))
	w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(f.reset.Unix(), 10))
}

// JSON answers a path, with or without its query.
func (f *Server) JSON(path string, v any) {
	f.Answer(path, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(v) })
}

// Status answers a path with a status and headers, names and values in turns.
func (f *Server) Status(path string, status int, body string, header ...string) {
	f.Answer(path, func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
}

// File serves a file; one of more than 1 MB only as GitHub does, raw.
func (f *Server) File(repo, path, ref, content string) {
	at := "/repos/" + repo + "/contents/" + path
	if ref != "" {
		at += "?ref=" + url.QueryEscape(ref)
	}
	f.Answer(at, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "raw") {
			fmt.Fprint(w, content)
			return
		}
		answer := map[string]any{
			"type": "file", "path": path, "size": len(content), "sha": "b10b", "encoding": "none", "content": "",
			"html_url": "https://github.com/" + repo + "/blob/main/" + path,
		}
		if len(content) <= 1<<20 {
			answer["encoding"] = "base64"
			answer["content"] = wrapped(base64.StdEncoding.EncodeToString([]byte(content)))
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
}

// wrapped has lines as GitHub's base64 has.
func wrapped(s string) string {
	var b strings.Builder
	for line := range slices.Chunk([]byte(s), 60) {
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.String()
}

// Tree lists the files of a repository; folders end with a slash.
func (f *Server) Tree(repo, sha string, paths ...string) {
	var entries []map[string]any
	for _, p := range paths {
		typ := "blob"
		if d, ok := strings.CutSuffix(p, "/"); ok {
			typ, p = "tree", d
		}
		entries = append(entries, map[string]any{"path": p, "type": typ, "size": 10, "sha": "5" + p})
	}
	f.JSON("/repos/"+repo+"/git/trees/"+sha+"?recursive=1", map[string]any{"sha": "c0ffee", "url": f.URL + "/repos/" + repo + "/git/trees/c0ffee", "tree": entries})
}
