package cache_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/cache"
	"ml-intern/internal/hub/hubtest"
)

var model = hub.RepoID{Type: hub.Model, Namespace: "me", Name: "x"}

func content() map[string][]byte {
	return map[string][]byte{
		"config.json":       []byte(`{"a": 1}`),
		"deep/er/notes.txt": []byte("hello\n"),
		"deep/copy.txt":     []byte("hello\n"),
		"empty":             {},
		"w.safetensors":     []byte(strings.Repeat("\x00weights", 100_000)),
		"odd [x] #1 100%é":  []byte("odd"),
	}
}

// hubWith serves a Hub whose repository has the files.
func hubWith(t *testing.T, files map[string][]byte) (*hubtest.Hub, string) {
	t.Helper()
	h := hubtest.Start(t)
	if _, err := h.Client.CreateRepo(t.Context(), model, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return h, commit(t, h, files)
}

func commit(t *testing.T, h *hubtest.Hub, files map[string][]byte) string {
	t.Helper()
	var in hub.Commit
	for path, data := range files {
		in.Files = append(in.Files, hub.File{Path: path, Content: data})
	}
	done, err := h.Client.Upload(t.Context(), model, in)
	if err != nil {
		t.Fatal(err)
	}
	h.Requests()
	return done.Commit
}

func open(t *testing.T, h *hubtest.Hub) *cache.Cache {
	t.Helper()
	return &cache.Cache{Client: h.Client, Dir: filepath.Join(t.TempDir(), "hub"), Patience: time.Minute}
}

func asked(h *hubtest.Hub) string {
	var out []string
	for _, r := range h.Requests() {
		text := r.Method
		if r.Range != "" {
			text += " " + r.Range
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func get(t *testing.T, c *cache.Cache, rev, path string, want []byte) string {
	t.Helper()
	name, err := c.File(t.Context(), model, rev, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != string(want) {
		t.Fatalf("%s is %d bytes, %v; want %d", path, len(got), err, len(want))
	}
	return name
}

// What a download costs, and where things are afterwards.
func TestFile(t *testing.T) {
	t.Parallel()
	files := content()
	h, head := hubWith(t, files)
	c := open(t, h)
	for path, data := range files {
		for _, step := range []struct{ rev, asks string }{{"main", "HEAD, GET"}, {"main", "HEAD"}, {head, ""}, {"", "HEAD"}} {
			name := get(t, c, step.rev, path, data)
			want := step.asks
			if len(data) == 0 || path == "deep/copy.txt" || path == "deep/er/notes.txt" {
				want = strings.TrimSuffix(want, ", GET") // nothing to fetch, or the same content as another
			}
			if got := asked(h); got != want && got != step.asks {
				t.Errorf("%s at %q asked %q, want %q", path, step.rev, got, want)
			}
			if want := filepath.Join(c.Dir, "models--me--x", "snapshots", head, filepath.FromSlash(path)); name != want {
				t.Errorf("%s is at %s, want %s", path, name, want)
			}
			if found, err := c.Find(model, step.rev, path); err != nil || found != name {
				t.Errorf("find %s: %s, %v", path, found, err)
			}
		}
	}
	repo := filepath.Join(c.Dir, "models--me--x")
	target, err := os.Readlink(filepath.Join(repo, "snapshots", head, "deep", "er", "notes.txt"))
	if want := filepath.FromSlash("../../../../blobs/ce013625030ba8dba906f756967f9e9ca394464a"); err != nil || target != want {
		t.Errorf("the link leads to %s, %v; want %s", target, err, want)
	}
	if text, err := os.ReadFile(filepath.Join(repo, "refs", "main")); err != nil || string(text) != head {
		t.Errorf("refs/main is %q, %v", text, err)
	}
	for _, name := range []string{"CACHEDIR.TAG", ".locks/models--me--x/ce013625030ba8dba906f756967f9e9ca394464a.lock"} {
		if _, err := os.Stat(filepath.Join(c.Dir, filepath.FromSlash(name))); err != nil {
			t.Error(err)
		}
	}
	leftovers(t, c.Dir)
}

// leftovers finds files that nothing names.
func leftovers(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if strings.HasSuffix(path, ".tmp") || strings.HasSuffix(path, ".incomplete") {
			t.Errorf("%s was left behind", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The ref is left alone when it is right, and follows the branch.
func TestRef(t *testing.T) {
	t.Parallel()
	h, _ := hubWith(t, content())
	c := open(t, h)
	get(t, c, "main", "config.json", content()["config.json"])
	ref := filepath.Join(c.Dir, "models--me--x", "refs", "main")
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(ref, old, old); err != nil {
		t.Fatal(err)
	}
	get(t, c, "main", "config.json", content()["config.json"])
	if info, err := os.Stat(ref); err != nil || !info.ModTime().Equal(old) {
		t.Errorf("the ref was written again, %v", err)
	}
	head := commit(t, h, map[string][]byte{"config.json": []byte("new")})
	get(t, c, "main", "config.json", []byte("new"))
	if text, _ := os.ReadFile(ref); string(text) != head {
		t.Errorf("the ref is %s, want %s", text, head)
	}
	resp, err := http.Post(h.URL+"/api/models/me/x/branch/feat%2Fx", "application/json", strings.NewReader("{}")) //nolint:noctx // a test
	if err != nil || resp.Body.Close() != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	get(t, c, "feat/x", "config.json", []byte("new"))
	if text, _ := os.ReadFile(filepath.Join(filepath.Dir(ref), "feat", "x")); string(text) != head {
		t.Errorf("the ref of feat/x is %q", text)
	}
}

func TestMissingFile(t *testing.T) {
	t.Parallel()
	h, head := hubWith(t, content())
	c := open(t, h)
	if _, err := c.Find(model, "main", "nope/it.json"); !errors.Is(err, cache.ErrNotCached) || errors.Is(err, hub.ErrNotFound) {
		t.Errorf("before anything is known: %v", err)
	}
	if _, err := c.File(t.Context(), model, "main", "nope/it.json", nil); !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("a missing file is %v", err)
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "models--me--x", ".no_exist", head, "nope", "it.json")); err != nil {
		t.Error(err)
	}
	if _, err := c.Find(model, "main", "nope/it.json"); !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("afterwards: %v", err)
	}
	if _, err := c.File(t.Context(), model, "nope", "config.json", nil); !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("a missing revision is %v", err)
	}
}

// What was fetched serves when the Hub cannot be reached, fails, or is not to
// be asked.
func TestWithoutHub(t *testing.T) {
	t.Parallel()
	files := content()
	h, _ := hubWith(t, files)
	c := open(t, h)
	get(t, c, "main", "config.json", files["config.json"])
	if _, err := c.Snapshot(t.Context(), model, cache.SnapshotOptions{Filter: hub.Filter{Allow: []string{"deep/"}}}); err != nil {
		t.Fatal(err)
	}
	h.Requests()
	gone := httptest.NewServer(nil)
	gone.Close()
	offline, down, broken := *c, *c, *c
	offline.Offline = true
	down.Client, down.Patience = &hub.Client{BaseURL: gone.URL}, 200*time.Millisecond
	broken.Client = &hub.Client{BaseURL: failing(t)}
	for name, c := range map[string]*cache.Cache{"offline": &offline, "down": &down, "broken": &broken} {
		get(t, c, "main", "config.json", files["config.json"])
		get(t, c, "main", "deep/copy.txt", files["deep/copy.txt"])
		if name == "down" {
			continue // the client would try for seconds
		}
		if _, err := c.File(t.Context(), model, "main", "empty", nil); err == nil {
			t.Errorf("%s: a file came from nowhere", name)
		} else if name == "offline" && !errors.Is(err, cache.ErrNotCached) {
			t.Errorf("%s: %v", name, err)
		}
		dir, err := c.Snapshot(t.Context(), model, cache.SnapshotOptions{Filter: hub.Filter{Allow: []string{"deep/", "config.json"}}})
		if err != nil || filepath.Base(filepath.Dir(dir)) != "snapshots" {
			t.Errorf("%s: %s, %v", name, dir, err)
		}
		if _, err := c.Snapshot(t.Context(), model, cache.SnapshotOptions{}); err == nil {
			t.Errorf("%s: a snapshot that lacks files passed as whole", name)
		}
	}
	if got := asked(h); got != "" {
		t.Errorf("the Hub was asked %s", got)
	}
}

func failing(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Error-Code", "RepoNotFound") // what strangers are told, too
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// A file that a crash of the machine has emptied is fetched again.
func TestDamagedCache(t *testing.T) {
	t.Parallel()
	files := content()
	h, head := hubWith(t, files)
	c := open(t, h)
	if _, err := c.Snapshot(t.Context(), model, cache.SnapshotOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, rev := range []string{"main", head} {
		name := get(t, c, rev, "w.safetensors", files["w.safetensors"])
		if err := os.Truncate(name, 0); err != nil {
			t.Fatal(err)
		}
		get(t, c, rev, "w.safetensors", files["w.safetensors"])
		if err := os.Truncate(name, 10); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Snapshot(t.Context(), model, cache.SnapshotOptions{Revision: rev}); err != nil {
			t.Fatal(err)
		}
		get(t, c, rev, "w.safetensors", files["w.safetensors"])
	}
}

// A download that was cut is gone on with; what cannot be its beginning is not.
func TestResume(t *testing.T) {
	t.Parallel()
	data := content()["w.safetensors"]
	for name, c := range map[string]struct {
		left []byte
		asks string
	}{
		"beginning": {data[:1000], "HEAD, GET bytes=1000-"},
		"all":       {data, "HEAD"},
		"wrong":     {[]byte("wrong"), "HEAD, GET bytes=5-, GET"},
		"too long":  {append(data[:len(data):len(data)], 1), "HEAD, GET"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, head := hubWith(t, content())
			info, err := h.Client.Stat(t.Context(), model, head, "w.safetensors")
			if err != nil {
				t.Fatal(err)
			}
			h.Requests()
			cc := open(t, h)
			partial := filepath.Join(cc.Dir, "models--me--x", "blobs", info.ETag+".incomplete")
			if err := errors.Join(os.MkdirAll(filepath.Dir(partial), 0o755), os.WriteFile(partial, c.left, 0o644)); err != nil {
				t.Fatal(err)
			}
			get(t, cc, "main", "w.safetensors", data)
			if got := asked(h); got != c.asks {
				t.Errorf("asked %q, want %q", got, c.asks)
			}
			leftovers(t, cc.Dir)
		})
	}
}

// Damaged content never gets a name.
func TestDamagedDownload(t *testing.T) {
	t.Parallel()
	h, _ := hubWith(t, content())
	c := open(t, h)
	h.Break(hubtest.Fault{Method: "GET", Times: -1, Garble: true})
	if _, err := c.File(t.Context(), model, "main", "config.json", nil); !errors.Is(err, hub.ErrDamaged) {
		t.Errorf("a damaged download is %v", err)
	}
	if _, err := c.Find(model, "main", "config.json"); !errors.Is(err, cache.ErrNotCached) {
		t.Errorf("find: %v", err)
	}
	leftovers(t, c.Dir)
}

func TestWithoutLinks(t *testing.T) {
	t.Parallel()
	files := content()
	h, _ := hubWith(t, files)
	c := open(t, h)
	c.NoLinks = true
	for range 2 {
		dir, err := c.Snapshot(t.Context(), model, cache.SnapshotOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for path, data := range files {
			info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(path)))
			if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(data)) {
				t.Errorf("%s: %v, %v", path, info, err)
			}
		}
	}
	commit(t, h, map[string][]byte{"more": []byte("more")})
	get(t, c, "main", "w.safetensors", files["w.safetensors"])
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	files := content()
	h, head := hubWith(t, files)
	c := open(t, h)
	var mu sync.Mutex
	heard := map[string]int64{}
	progress := func(path string, done, size int64) {
		mu.Lock()
		defer mu.Unlock()
		if done < heard[path] || done > size {
			t.Errorf("%s: %d of %d after %d", path, done, size, heard[path])
		}
		heard[path] = done
	}
	dir, err := c.Snapshot(t.Context(), model, cache.SnapshotOptions{Progress: progress})
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range files {
		got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path)))
		if err != nil || string(got) != string(data) || heard[path] != int64(len(data)) {
			t.Errorf("%s: %d bytes, %d heard, %v", path, len(got), heard[path], err)
		}
	}
	h.Requests()
	for rev, asks := range map[string]string{"main": "GET", head: ""} {
		if again, err := c.Snapshot(t.Context(), model, cache.SnapshotOptions{Revision: rev}); err != nil || again != dir {
			t.Errorf("%s: %s, %v", rev, again, err)
		}
		if got := asked(h); got != asks {
			t.Errorf("the second time %s asked %q, want %q", rev, got, asks)
		}
	}
	some := open(t, h)
	dir, err = some.Snapshot(t.Context(), model, cache.SnapshotOptions{Filter: hub.Filter{Allow: []string{"*.txt", "empty"}, Ignore: []string{"deep/er/"}}})
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for path := range files {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(path))); err == nil {
			have = append(have, path)
		}
	}
	if len(have) != 2 {
		t.Errorf("the filter let pass %v", have)
	}
}

// A repository or a server cannot write elsewhere by the names that it uses.
func TestNames(t *testing.T) {
	t.Parallel()
	h, _ := hubWith(t, content())
	c := open(t, h)
	for _, path := range []string{"../x", "a/../../x", "/etc/x", `..\x`, `a\b`, "C:/x", "a/C:x", "", ".", "a//b", "a/./b"} {
		if _, err := c.File(t.Context(), model, "main", path, nil); err == nil {
			t.Errorf("%q was fetched", path)
		}
		if _, err := c.File(t.Context(), model, path+"\x00", "config.json", nil); err == nil {
			t.Errorf("the revision %q was fetched", path)
		}
	}
	if _, err := c.File(t.Context(), model, "../../main", "config.json", nil); err == nil {
		t.Error("a revision led out of refs")
	}
	if got := asked(h); got != "" {
		t.Errorf("the Hub was asked %s", got)
	}
	sha := strings.Repeat("a", 40)
	for _, lie := range []struct{ commit, etag, tree string }{
		{"../../../x", sha, ""},
		{sha, "../../../../x", ""},
		{sha, "", ""},
		{sha, sha, `[{"type":"file","path":"../../../../x","oid":"` + sha + `","size":1}]`},
		{sha, sha, `[{"type":"file","path":"x","oid":"../../x","size":1}]`},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Repo-Commit", lie.commit)
			w.Header().Set("ETag", `"`+lie.etag+`"`)
			switch {
			case strings.Contains(r.URL.Path, "/revision/"):
				fmt.Fprintf(w, `{"id":"me/x","sha":%q}`, lie.commit)
			case strings.Contains(r.URL.Path, "/tree/"):
				fmt.Fprint(w, lie.tree)
			default:
				fmt.Fprint(w, "x")
			}
		}))
		c := &cache.Cache{Client: &hub.Client{BaseURL: server.URL}, Dir: filepath.Join(t.TempDir(), "a", "b", "c", "hub")}
		var err error
		if lie.tree != "" {
			_, err = c.Snapshot(t.Context(), model, cache.SnapshotOptions{})
		} else {
			_, err = c.File(t.Context(), model, "main", "x", nil)
		}
		if err == nil {
			t.Errorf("%+v was believed", lie)
		}
		server.Close()
	}
}

// Many at once fetch everything once.
func TestCrowd(t *testing.T) {
	t.Parallel()
	files := content()
	h, head := hubWith(t, files)
	c := open(t, h)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := c.Snapshot(t.Context(), model, cache.SnapshotOptions{Revision: head}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	times := map[string]int{}
	for _, r := range h.Requests() {
		if strings.Contains(r.Path, "/resolve/") {
			times[r.Path]++
		}
	}
	for path, n := range times {
		if n != 1 {
			t.Errorf("%s was fetched %d times", path, n)
		}
	}
	leftovers(t, c.Dir)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	h, _ := hubWith(t, content())
	c := open(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Snapshot(ctx, model, cache.SnapshotOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled snapshot is %v", err)
	}
	if _, err := c.File(ctx, model, "main", "config.json", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled file is %v", err)
	}
}

func TestDir(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"HOME": "/h"}, "/h/.cache/huggingface/hub"},
		{map[string]string{"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"},
		{map[string]string{"HOME": "/h", "XDG_CACHE_HOME": "/x", "HF_HOME": "~/f"}, "/h/f/hub"},
		{map[string]string{"HF_HOME": "/f", "HUGGINGFACE_HUB_CACHE": "/g"}, "/g"},
		{map[string]string{"HUGGINGFACE_HUB_CACHE": "/g", "HF_HUB_CACHE": "$D/c", "D": "/d"}, "/d/c"},
		{map[string]string{"HF_HUB_CACHE": "/a$NOT"}, "/a$NOT"},
		{map[string]string{"HF_HOME": "$D/f", "D": "/d"}, "/d/f/hub"},
		{map[string]string{"HOME": "/h", "XDG_CACHE_HOME": "~/$D", "D": "d"}, "/h/d/huggingface/hub"},
	} {
		got := cache.Dir(func(name string) string { return c.env[name] })
		if filepath.ToSlash(got) != c.want {
			t.Errorf("%v: %s, want %s", c.env, got, c.want)
		}
	}
}
