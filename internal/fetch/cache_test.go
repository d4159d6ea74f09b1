package fetch_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ml-intern/internal/fetch"
)

// files lists what is in a cache.
func files(t *testing.T, dir string) (paths []string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != ".lock" {
			paths = append(paths, path)
		}
		return nil
	})
	return paths
}

func TestCache(t *testing.T) {
	t.Parallel()
	var version, asked, whole atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		tag := fmt.Sprintf(`"v%d"`, version.Load())
		w.Header().Set("ETag", tag)
		w.Header().Set("Content-Type", "text/plain; charset=latin1")
		w.Header().Set("Link", "<next>")
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(304)
			return
		}
		whole.Add(1)
		fmt.Fprintf(w, "%s caf\xe9\n{}", tag)
	})
	dir := t.TempDir()
	c := client(t, dir)
	get := func(c *fetch.Client, in fetch.Request, text string, cached bool, wantAsked, wantWhole int32) {
		t.Helper()
		in.URL = s.URL + "/x"
		resp, err := c.Get(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Text() != text || resp.Cached != cached || resp.Type != "text/plain" || resp.Header.Get("Link") != "<next>" || time.Since(resp.Time) > time.Minute {
			t.Errorf("got %q, cached %v, %+v", resp.Text(), resp.Cached, resp)
		}
		if asked.Load() != wantAsked || whole.Load() != wantWhole {
			t.Errorf("asked %d times, sent %d times; want %d, %d", asked.Load(), whole.Load(), wantAsked, wantWhole)
		}
	}
	old, now := "\"v0\" café\n{}", "\"v1\" café\n{}"
	get(c, fetch.Request{MaxAge: time.Hour}, old, false, 1, 1)
	get(c, fetch.Request{MaxAge: time.Hour}, old, true, 1, 1)
	get(client(t, dir), fetch.Request{MaxAge: time.Hour}, old, true, 1, 1) // another process
	get(c, fetch.Request{}, old, true, 2, 1)                               // asks, and is told that nothing changed
	version.Store(1)
	get(c, fetch.Request{MaxAge: time.Hour}, old, true, 2, 1)
	get(c, fetch.Request{MaxAge: -1}, now, false, 3, 2) // leaves the cache alone
	get(c, fetch.Request{MaxAge: time.Hour}, old, true, 3, 2)
	get(c, fetch.Request{MaxAge: time.Hour, Token: "t"}, now, false, 4, 3) // an answer of its own
	get(c, fetch.Request{MaxAge: time.Hour, Header: http.Header{"Accept": {"text/plain"}}}, now, false, 5, 4)
	get(c, fetch.Request{}, now, false, 6, 5)
	kept := files(t, dir)
	if len(kept) != 3 {
		t.Errorf("%d files: %v", len(kept), kept)
	}
	for _, f := range kept { // grown old
		if err := os.Chtimes(f, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if info, _ := os.Stat(f); info.Mode().Perm() != 0o600 {
			t.Errorf("%s can be read by others", f)
		}
		if text, _ := os.ReadFile(f); strings.Contains(string(text), "Bearer") {
			t.Error("the token is in the cache")
		}
	}
	get(c, fetch.Request{MaxAge: time.Hour}, now, true, 7, 5)
	get(c, fetch.Request{MaxAge: time.Hour}, now, true, 7, 5) // young again
}

// What a trusted address gave, nobody gets who may not reach it.
func TestCacheIsNoWayAroundTheGuard(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "inside") })
	dir := t.TempDir()
	if _, err := (&fetch.Client{Dir: dir, Trust: true}).Get(t.Context(), fetch.Request{URL: s.URL, MaxAge: time.Hour}); err != nil {
		t.Fatal(err)
	}
	resp, err := (&fetch.Client{Dir: dir}).Get(t.Context(), fetch.Request{URL: s.URL, MaxAge: time.Hour})
	if !errors.Is(err, fetch.ErrPrivate) {
		t.Errorf("got %v, %v", resp, err)
	}
}

// A damaged file is as if it were not there.
func TestDamagedCache(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", "x")
		fmt.Fprint(w, "0123456789")
	})
	for name, damage := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)-3] },
		"empty":   func([]byte) []byte { return nil },
		"changed": func(b []byte) []byte { b[len(b)-1]++; return b },
		"zeros":   func(b []byte) []byte { return make([]byte, len(b)) },
		"longer":  func(b []byte) []byte { return append(b, 'x') },
		"no JSON": func(b []byte) []byte { return append([]byte("{"), b...) },
	} {
		dir := t.TempDir()
		c := client(t, dir)
		for i := range 2 {
			resp, err := c.Get(t.Context(), fetch.Request{URL: s.URL, MaxAge: time.Hour})
			if err != nil || resp.Text() != "0123456789" || resp.Cached {
				t.Errorf("%s, %d: %v, %v", name, i, resp, err)
			}
			kept := files(t, dir)
			if len(kept) != 1 {
				t.Fatalf("%s: kept %v", name, kept)
			}
			text, _ := os.ReadFile(kept[0])
			if err := os.WriteFile(kept[0], damage(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestNotKept(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/private":
			w.Header().Set("Cache-Control", "private, No-Store")
		case "/204":
			w.WriteHeader(204)
		case "/404":
			w.WriteHeader(404)
		}
	})
	dir := t.TempDir()
	c := client(t, dir)
	for _, path := range []string{"/private", "/204", "/404"} {
		_, _ = c.Get(t.Context(), fetch.Request{URL: s.URL + path, MaxAge: time.Hour})
	}
	_, _ = c.Get(t.Context(), fetch.Request{URL: s.URL, Method: "HEAD", MaxAge: time.Hour})
	if kept := files(t, dir); len(kept) != 0 {
		t.Errorf("kept %v", kept)
	}
	// A cache that cannot be written is no reason to fail.
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := client(t, file).Get(t.Context(), fetch.Request{URL: s.URL, MaxAge: time.Hour}); err != nil {
		t.Error(err)
	}
}

// Many who want the same page cause one request.
func TestOneRequestForMany(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n.Add(1)
		fmt.Fprint(w, "page")
	})
	c := client(t, t.TempDir())
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if resp, err := c.Get(t.Context(), fetch.Request{URL: s.URL, MaxAge: time.Hour}); err != nil || resp.Text() != "page" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n.Load() != 1 {
		t.Errorf("%d requests", n.Load())
	}
}
