package cache_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/cache"
	"ml-intern/internal/hub/hubtest"
)

// python runs a script of the official client with the cache in dir.
func python(t *testing.T, h *hubtest.Hub, dir, script string, args ...string) string {
	t.Helper()
	out, err := pythonCommand(t, h, dir, script, args...)()
	if err != nil {
		t.Error(err)
	}
	return out
}

// pythonCommand prepares a script, so that it can be run beside others: what
// may end the test is done by then.
func pythonCommand(t *testing.T, h *hubtest.Hub, dir, script string, args ...string) func() (string, error) {
	t.Helper()
	python, env := hubtest.Python(t), hubtest.PythonEnv(t, h.URL, "HF_HUB_CACHE="+dir)
	return func() (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, python, append([]string{"-c", script}, args...)...)
		cmd.Env, cmd.WaitDelay = env, time.Second
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("the official client failed: %w\n%s", errors.Join(err, ctx.Err()), stderr.String())
		}
		return strings.TrimSpace(string(out)), err
	}
}

// old reports whether the client is of the releases before 1, which keep no
// list of a commit's files, ask for the revision of every snapshot, and do not
// know the file that marks a cache.
func old(t *testing.T, h *hubtest.Hub) bool {
	t.Helper()
	version := python(t, h, t.TempDir(), "import huggingface_hub; print(huggingface_hub.__version__)")
	return strings.HasPrefix(version, "0.")
}

// transfers leaves out what Python asks once a process.
func transfers(h *hubtest.Hub) []string {
	var out []string
	for _, r := range h.Requests() {
		if r.Path != "/api/agent-harnesses" {
			out = append(out, r.Method+" "+r.Path)
		}
	}
	return out
}

// What Python has downloaded is there for Go, without a request.
func TestGoReadsPythonsCache(t *testing.T) {
	t.Parallel()
	files := content()
	h, head := hubWith(t, files)
	c := open(t, h)
	keepsLists := !old(t, h)
	dir := python(t, h, c.Dir, `
from huggingface_hub import snapshot_download, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
print(snapshot_download("me/x"))
try:
    hf_hub_download("me/x", "nope.json")
except EntryNotFoundError:
    pass
`)
	h.Requests()
	for path, data := range files {
		get(t, c, head, path, data)
		if _, err := c.Find(model, "main", path); err != nil {
			t.Error(err)
		}
	}
	if got, err := c.Snapshot(t.Context(), model, cache.SnapshotOptions{Revision: head}); err != nil || got != dir {
		t.Errorf("Go's snapshot is %s, %v; Python's is %s", got, err, dir)
	}
	if _, err := c.Find(model, "main", "nope.json"); err == nil || strings.Contains(err.Error(), cache.ErrNotCached.Error()) {
		t.Errorf("what Python knows to be missing is %v", err)
	}
	if got := transfers(h); len(got) > 0 && (keepsLists || len(got) > 1 || !strings.Contains(got[0], "/tree/"+head)) {
		t.Errorf("Go asked %v", got)
	}
	if _, err := c.Snapshot(t.Context(), model, cache.SnapshotOptions{}); err != nil {
		t.Error(err)
	}
	if got := transfers(h); len(got) != 1 || !strings.HasSuffix(got[0], "/revision/main") {
		t.Errorf("for a branch Go asked %v", got)
	}
}

// And the reverse, offline too, with links and without.
func TestPythonReadsGosCache(t *testing.T) {
	t.Parallel()
	files := content()
	h, head := hubWith(t, files)
	asks := old(t, h)
	for _, noLinks := range []bool{false, true} {
		c := open(t, h)
		c.NoLinks = noLinks
		dir, err := c.Snapshot(t.Context(), model, cache.SnapshotOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.File(t.Context(), model, "main", "nope.json", nil); err == nil {
			t.Fatal("nope.json is there")
		}
		h.Requests()
		got := python(t, h, c.Dir, `
import os, sys, json
from huggingface_hub import snapshot_download, hf_hub_download, try_to_load_from_cache, scan_cache_dir, _CACHED_NO_EXIST
head, files = sys.argv[1], json.loads(sys.argv[2])
dir = snapshot_download("me/x", revision=head)
for path, size in files.items():
    name = hf_hub_download("me/x", path, revision=head)
    assert os.path.getsize(name) == size and name == os.path.join(dir, path), name
    assert try_to_load_from_cache("me/x", path) == name, path
assert try_to_load_from_cache("me/x", "nope.json") is _CACHED_NO_EXIST
warnings = [w for w in scan_cache_dir().warnings if "CACHEDIR.TAG" not in str(w)] # as of a cache of a newer release
assert not warnings, warnings
print(dir)
`, head, sizes(t, files))
		if got != dir {
			t.Errorf("Python's snapshot is %s, Go's %s", got, dir)
		}
		if got := transfers(h); len(got) > 0 && (!asks || len(got) > 1 || got[0] != "GET /api/models/me/x/revision/"+head) {
			t.Errorf("links %v: Python asked %v", !noLinks, got)
		}
		python(t, h, c.Dir, `
import os, sys
os.environ["HF_HUB_OFFLINE"] = "1"
from huggingface_hub import snapshot_download, hf_hub_download
assert snapshot_download("me/x") == sys.argv[1]
assert hf_hub_download("me/x", "config.json") == os.path.join(sys.argv[1], "config.json")
`, dir)
		if got := transfers(h); len(got) > 0 {
			t.Errorf("links %v: offline Python asked %v", !noLinks, got)
		}
	}
}

func sizes(t *testing.T, files map[string][]byte) string {
	t.Helper()
	out := map[string]int{}
	for path, data := range files {
		out[path] = len(data)
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Processes of both kinds fill one cache at once. Everything is whole
// afterwards, and most was fetched once.
func TestBothAtOnce(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{}
	random := rand.NewChaCha8([32]byte{3})
	for i := range 30 {
		data := make([]byte, 200<<10)
		_, _ = random.Read(data) // never fails
		files[fmt.Sprintf("d%d/f%d.bin", i%3, i)] = data
	}
	h, head := hubWith(t, files)
	c := open(t, h)
	const script = `
import sys
from huggingface_hub import snapshot_download
print(snapshot_download("me/x"))
`
	var runs []func() (string, error)
	for range 2 {
		runs = append(runs, pythonCommand(t, h, c.Dir, script), func() (string, error) {
			other := &cache.Cache{Client: &hub.Client{BaseURL: h.URL}, Dir: c.Dir}
			return other.Snapshot(t.Context(), model, cache.SnapshotOptions{})
		})
	}
	found := make([]string, len(runs))
	var wg sync.WaitGroup
	for i, run := range runs {
		wg.Go(func() {
			var err error
			if found[i], err = run(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	dirs := map[string]bool{}
	for _, dir := range found {
		dirs[dir] = true
	}
	if len(dirs) != 1 {
		t.Fatalf("the snapshots are at %v", dirs)
	}
	for path, data := range files {
		got, err := os.ReadFile(filepath.Join(c.Dir, "models--me--x", "snapshots", head, filepath.FromSlash(path)))
		if err != nil || string(got) != string(data) {
			t.Errorf("%s is damaged: %d bytes, %v", path, len(got), err)
		}
	}
	leftovers(t, c.Dir)
	fetched := 0
	for _, r := range transfers(h) {
		if strings.HasPrefix(r, "GET ") && strings.Contains(r, "/resolve/") {
			fetched++
		}
	}
	if fetched != len(files)+1 { // .gitattributes
		t.Errorf("%d files were fetched %d times", len(files), fetched)
	}
}

// Patterns mean what they mean to Python.
func TestFilterAsInPython(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	random := rand.New(rand.NewPCG(1, 2))
	text := func(signs string, n int) string {
		var b strings.Builder
		for range random.IntN(n) {
			r := []rune(signs)
			b.WriteRune(r[random.IntN(len(r))])
		}
		return b.String()
	}
	type pair struct{ Pattern, Path string }
	pairs := []pair{
		{"*.json", "a/b.json"},
		{"data/", "data/x"},
		{"data/", "data"},
		{"*", "a/b"},
		{"**/*.py", "x.py"},
		{"[!a]", "b"},
		{"[]]", "]"},
		{"[a-", "[a-"},
		{"[z-a]", "z"},
		{"[!z-a]", "q"},
		{"é?", "éa"},
		{"a\\b", "a/b"},
		{"", ""},
		{"[^a]", "^"},
		{"[a-c-e]", "-"},
	}
	for range 20_000 {
		pairs = append(pairs, pair{text("ab-]*?[!/.é", 9), text("abc-]!/.é[", 6)})
	}
	in := filepath.Join(t.TempDir(), "pairs.json")
	data, err := json.Marshal(pairs)
	if err == nil {
		err = os.WriteFile(in, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	answer := python(t, h, t.TempDir(), `
import json, sys
from huggingface_hub.utils import filter_repo_objects
pairs = json.load(open(sys.argv[1]))
def match(p): # of an empty pattern the releases before 1 make an error
    return list(filter_repo_objects([p["Path"]], allow_patterns=[p["Pattern"]])) if p["Pattern"] else not p["Path"]
print("".join("1" if match(p) else "0" for p in pairs))
`, in)
	if len(answer) != len(pairs) {
		t.Fatalf("%d answers to %d pairs", len(answer), len(pairs))
	}
	plainSlash := old(t, h) // takes a backslash for a letter
	for i, p := range pairs {
		if plainSlash && strings.Contains(p.Pattern, `\`) {
			continue
		}
		if got := (hub.Filter{Allow: []string{p.Pattern}}).Match(p.Path); got != (answer[i] == '1') {
			t.Errorf("%q matches %q: %v, in Python %c", p.Pattern, p.Path, got, answer[i])
		}
	}
}
