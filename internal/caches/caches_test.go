package caches_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/caches"
)

const repo = "models--me--small"

// person makes the caches of a person with one repository of the Hub.
func person(t *testing.T) caches.Caches {
	t.Helper()
	home := t.TempDir()
	c := caches.Caches{
		Dir: filepath.Join(t.TempDir(), "caches"), Hub: filepath.Join(home, "hf", "hub"), Torch: filepath.Join(home, "torch"), HF: filepath.Join(home, "hf"),
	}
	put(t, filepath.Join(c.Hub, repo, "blobs", "abc"), "weights")
	put(t, filepath.Join(c.Hub, repo, "blobs", "def.incomplete"), "half")
	put(t, filepath.Join(c.Hub, repo, "refs", "main"), "c1")
	put(t, filepath.Join(c.Hub, repo, "refs", "pr", "1"), "c1")
	put(t, filepath.Join(c.Hub, repo, "snapshots", "c1", "plain.txt"), "plain")
	put(t, filepath.Join(c.Hub, "version.txt"), "1")
	put(t, filepath.Join(c.Torch, "hub", "checkpoints", "resnet.pth"), "resnet")
	put(t, filepath.Join(c.HF, "accelerate", "default_config.yaml"), "machines: 1")
	put(t, filepath.Join(c.HF, "modules", "evil.py"), "x")
	at := filepath.Join(c.Hub, repo, "snapshots", "c1", "sub")
	if err := errors.Join(os.MkdirAll(at, 0o755), os.Symlink("../../../blobs/abc", filepath.Join(at, "model.safetensors"))); err != nil {
		t.Fatal(err)
	}
	return c
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func (c check) holds(path, want string) {
	c.Helper()
	if data, err := os.ReadFile(filepath.Join(c.dir, path)); err != nil || string(data) != want {
		c.Errorf("%s is %q, %v; want %q", path, data, err, want)
	}
}

type check struct {
	*testing.T
	dir string
}

// What the person has of weights is found, by links, and nothing else of theirs.
func TestMake(t *testing.T) {
	t.Parallel()
	c := person(t)
	for range 2 { // the second time finds all there
		if err := c.Make(); err != nil {
			t.Fatal(err)
		}
	}
	is := check{t, filepath.Join(c.Dir, "huggingface")}
	is.holds("hub/"+repo+"/snapshots/c1/sub/model.safetensors", "weights")
	is.holds("hub/"+repo+"/snapshots/c1/plain.txt", "plain")
	is.holds("hub/"+repo+"/refs/main", "c1")
	is.holds("hub/"+repo+"/refs/pr/1", "c1")
	is.holds("accelerate/default_config.yaml", "machines: 1")
	is.holds("../torch/hub/checkpoints/resnet.pth", "resnet")
	for _, path := range []string{"hub/" + repo + "/blobs/def.incomplete", "modules/evil.py", "hub/version.txt"} {
		if _, err := os.Lstat(filepath.Join(is.dir, path)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", path, err)
		}
	}
	if to, err := os.Readlink(filepath.Join(is.dir, "hub", repo, "blobs", "abc")); err != nil || to != filepath.Join(c.Hub, repo, "blobs", "abc") {
		t.Errorf("the blob leads to %q, %v", to, err)
	}
	later := time.Now().Add(time.Minute)
	if c.NewSince(later) {
		t.Error("something is new that is not")
	}
	// A newer commit of the person's is found; a newer one of the commands' stays.
	put(t, filepath.Join(c.Hub, repo, "refs", "main"), "c2")
	for _, path := range []string{"refs/main", "snapshots"} {
		if err := os.Chtimes(filepath.Join(c.Hub, repo, path), later.Add(time.Minute), later.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if !c.NewSince(later) {
		t.Error("what is new is not seen")
	}
	put(t, filepath.Join(is.dir, "hub", repo, "refs", "pr", "1"), "ours")
	if err := c.Make(); err != nil {
		t.Fatal(err)
	}
	is.holds("hub/"+repo+"/refs/main", "c2")
	is.holds("hub/"+repo+"/refs/pr/1", "ours")
}

// Links that a command left lead nobody out of the folder: nothing is made or
// removed beyond.
func TestPlantedLinks(t *testing.T) {
	t.Parallel()
	c, outside := person(t), t.TempDir()
	put(t, filepath.Join(outside, "kept"), "mine")
	for _, place := range []string{"huggingface/hub/" + repo, "torch"} {
		at := filepath.Join(c.Dir, place)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(outside, at)); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Make() // whatever it says
	if left, err := os.ReadDir(outside); err != nil || len(left) != 1 {
		t.Errorf("beyond the link there are %v, %v", left, err)
	}
	if err := c.Clear(""); err != nil {
		t.Fatal(err)
	}
	check{t, outside}.holds("kept", "mine")
	check{t, c.Hub}.holds(repo+"/blobs/abc", "weights")
	if left, err := os.ReadDir(c.Dir); err != nil || len(left) != 0 {
		t.Errorf("after all was cleared there are %v, %v", left, err)
	}
}

// Every variable that led to a cache of the person's leads to one of these.
func TestEnviron(t *testing.T) {
	t.Parallel()
	c := caches.Caches{Dir: "/state/caches"}
	env := c.Environ([]string{"PATH=/bin", "HF_HOME=/data/hf", "HF_METRICS_CACHE=/data/m", "UV_CACHE_DIR=/data/uv", "UV_INDEX_URL=https://x", "TRACKIO_DIR=/data/t", "HF_TOKEN_PATH=/t"})
	for _, pair := range env {
		if strings.Contains(pair, "/data/") {
			t.Errorf("still there: %s", pair)
		}
	}
	for _, want := range []string{"PATH=/bin", "UV_INDEX_URL=https://x", "HF_TOKEN_PATH=/t", "UV_CACHE_DIR=/state/caches/uv", "HF_HUB_CACHE=/state/caches/huggingface/hub", "XDG_CACHE_HOME=/state/caches"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing in %q", want, env)
		}
	}
}

func TestEntriesAndClear(t *testing.T) {
	t.Parallel()
	c := person(t)
	if err := c.Make(); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(c.Dir, "uv", "archive-v0", "x"), "12345")
	put(t, filepath.Join(c.Dir, "pip", "y"), "1")
	entries, err := c.Entries()
	at := slices.IndexFunc(entries, func(e caches.Entry) bool { return e.Name == "uv" })
	if err != nil || at < 0 || entries[at] != (caches.Entry{Name: "uv", Bytes: 5, Files: 1}) {
		t.Errorf("got %+v, %v", entries, err)
	}
	if err := c.Clear("uv"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "uv")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("uv's is still there: %v", err)
	}
	check{t, c.Dir}.holds("pip/y", "1")
	for _, name := range []string{"none", "../x", "uv/archive-v0"} {
		if err := c.Clear(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
