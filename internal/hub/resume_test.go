package hub_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
)

const uploadChild = "HUB_TEST_UPLOAD" // a file for a process that uploads it: URL, file, memory

func TestMain(m *testing.M) {
	if args := strings.Split(os.Getenv(uploadChild), "|"); len(args) == 3 {
		os.Exit(uploadFile(args[0], args[1], args[2]))
	}
	os.Exit(m.Run())
}

var resumed = hub.RepoID{Type: hub.Model, Namespace: "me", Name: "x"}

func uploadFile(url, file, memory string) int {
	c := &hub.Client{BaseURL: url}
	_, err := c.Upload(context.Background(), resumed, hub.Commit{
		Files: []hub.File{{Path: "w.bin", Local: file}}, Memory: memory,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A counter is a Hub that counts the bytes of large files that it gets.
type counter struct {
	hub   http.Handler
	got   atomic.Int64
	reach atomic.Int64 // close reached at so many
	hit   chan struct{}
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		r.Body = &countedBody{r.Body, c}
	}
	c.hub.ServeHTTP(w, r)
}

type countedBody struct {
	io.ReadCloser
	c *counter
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if at := b.c.reach.Load(); b.c.got.Add(int64(n)) >= at && at > 0 && b.c.reach.CompareAndSwap(at, 0) {
		b.c.hit <- struct{}{}
	}
	return n, err
}

// An upload whose process is killed again and again goes on where it stopped.
func TestKilledUpload(t *testing.T) {
	t.Parallel()
	const part, size = 1 << 20, 64<<20 + 12345
	s, err := hubserver.Open(hubserver.Options{Dir: t.TempDir(), PartSize: part})
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{hub: s, hit: make(chan struct{}, 1)}
	server := httptest.NewServer(c)
	defer server.Close()
	client := &hub.Client{BaseURL: server.URL}
	if _, err := client.CreateRepo(t.Context(), resumed, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	file, memory := sparse(t, size), filepath.Join(t.TempDir(), "memory")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	kills := 0
	for {
		cmd := exec.CommandContext(t.Context(), exe)
		cmd.Env = append(os.Environ(), uploadChild+"="+server.URL+"|"+file+"|"+memory)
		cmd.Stderr = os.Stderr
		if kills < 5 {
			c.reach.Store(c.got.Load() + size/20 + rand.Int64N(size/8))
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-c.hit:
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-ended
			kills++
			continue
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
		}
		break
	}
	sent := c.got.Load()
	t.Logf("%d kills; %d bytes were sent for a file of %d", kills, sent, size)
	if kills == 0 {
		t.Error("no kill was in the middle of an upload: the test shows nothing")
	}
	// What is under way when a process dies is lost: a few parts.
	if most := int64(size + (kills+1)*4*part); sent > most {
		t.Errorf("%d bytes were sent, more than %d", sent, most)
	}
	h := sha256.New()
	info, err := client.Download(t.Context(), resumed, "main", "w.bin", h)
	if err != nil || info.Size != size || hex.EncodeToString(h.Sum(nil)) != info.ETag {
		t.Errorf("the file is %+v, %v", info, err)
	}
	if left, err := os.ReadDir(filepath.Join(memory, "parts")); err != nil || len(left) > 0 {
		t.Errorf("the memory still has %v, %v", left, err)
	}
}

// sparse makes a large file that is mostly holes and old enough to be known.
func sparse(t *testing.T, size int64) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "w.bin")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for at := int64(0); at < size-8; at += size / 50 {
		if _, err := f.WriteAt(fmt.Appendf(nil, "%08d", at%99999999), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, old, old); err != nil {
		t.Fatal(err)
	}
	return name
}

// What the storage has forgotten, or never had, is sent anew.
func TestUploadBeginsAnew(t *testing.T) {
	t.Parallel()
	const part, size = 1 << 20, 12 << 20
	for name, fault := range map[string]hubtest.Fault{
		"expired":   {Method: "PUT", Path: "/api/storage/part", Status: 403},
		"forgotten": {Method: "POST", Path: "/api/storage/complete", Status: 404},
		"refused":   {Method: "POST", Path: "/api/storage/complete", Status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hubtest.StartWith(t, hubserver.Options{PartSize: part})
			if _, err := h.Client.CreateRepo(t.Context(), resumed, hub.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			up := hub.Commit{Files: []hub.File{{Path: "w.bin", Local: sparse(t, size)}}, Memory: t.TempDir()}
			h.Break(hubtest.Fault{Method: "PUT", Path: "/api/storage/part", After: 5, Times: -1, Status: 501})
			if _, err := h.Client.Upload(t.Context(), resumed, up); err == nil {
				t.Fatal("an upload that failed passed")
			}
			h.Mend()
			h.Break(fault)
			h.Requests()
			if _, err := h.Client.Upload(t.Context(), resumed, up); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Client.Download(t.Context(), resumed, "", "w.bin", io.Discard); err != nil {
				t.Error(err)
			}
		})
	}
}

// The hash of a file that has not changed is not computed again. If it has
// changed after all, the Hub notices, and the next call computes it.
func TestRememberedHash(t *testing.T) {
	t.Parallel()
	const size = 12 << 20
	h := hubtest.StartWith(t, hubserver.Options{PartSize: 1 << 20})
	if _, err := h.Client.CreateRepo(t.Context(), resumed, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	file, memory := sparse(t, size), t.TempDir()
	upload := func(path string) error {
		_, err := h.Client.Upload(t.Context(), resumed, hub.Commit{Files: []hub.File{{Path: path, Local: file}}, Memory: memory})
		return err
	}
	if err := upload("one"); err != nil {
		t.Fatal(err)
	}
	sums, err := filepath.Glob(filepath.Join(memory, "sums", "*"))
	if err != nil || len(sums) != 1 {
		t.Fatalf("the memory has %v, %v", sums, err)
	}
	note, err := os.ReadFile(sums[0])
	if err != nil {
		t.Fatal(err)
	}
	one, err := h.Client.Stat(t.Context(), resumed, "", "one")
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.Replace(string(note), one.ETag, strings.Repeat("ab", 32), 1)
	if err := os.WriteFile(sums[0], []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := upload("two"); err == nil {
		t.Error("a file was taken for another: its hash was not remembered, or not checked")
	}
	if err := upload("two"); err != nil {
		t.Error(err)
	}
	// A file that was changed is read.
	now := time.Now().Add(-time.Minute)
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("changed"), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, now, now); err != nil {
		t.Fatal(err)
	}
	if err := upload("three"); err != nil {
		t.Error(err)
	}
	three, err := h.Client.Stat(t.Context(), resumed, "", "three")
	if err != nil || three.ETag == one.ETag {
		t.Errorf("a changed file is taken for the old one: %+v, %v", three, err)
	}
}

func TestUploadProgress(t *testing.T) {
	t.Parallel()
	h := hubtest.StartWith(t, hubserver.Options{PartSize: 1 << 20})
	if _, err := h.Client.CreateRepo(t.Context(), resumed, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	heard := make(chan [2]int64, 10_000)
	in := hub.Commit{
		Files:    []hub.File{{Path: "w.bin", Local: sparse(t, 5<<20)}, {Path: "a.txt", Content: []byte("hello")}},
		Progress: func(_ string, done, size int64) { heard <- [2]int64{done, size} },
	}
	if _, err := h.Client.Upload(t.Context(), resumed, in); err != nil {
		t.Fatal(err)
	}
	close(heard)
	whole := map[int64]bool{}
	for p := range heard {
		if p[0] > p[1] {
			t.Errorf("%d of %d", p[0], p[1])
		}
		whole[p[1]] = whole[p[1]] || p[0] == p[1]
	}
	if !whole[5<<20] || !whole[5] {
		t.Errorf("not all files were reported whole: %v", whole)
	}
}
