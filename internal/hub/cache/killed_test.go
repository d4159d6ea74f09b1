package cache_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/cache"
	"ml-intern/internal/hub/hubtest"
)

const snapshotChild = "CACHE_TEST_SNAPSHOT" // for a process that fetches a snapshot: URL, folder

func TestMain(m *testing.M) {
	if url, dir, ok := strings.Cut(os.Getenv(snapshotChild), "|"); ok {
		c := &cache.Cache{Client: &hub.Client{BaseURL: url}, Dir: dir}
		if _, err := c.Snapshot(context.Background(), model, cache.SnapshotOptions{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A gate lets so many bytes of files pass, then none, and says so.
type gate struct {
	hub  http.Handler
	left atomic.Int64
	shut chan struct{}
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/resolve/") {
		w = &gated{w, g, r.Context()}
	}
	g.hub.ServeHTTP(w, r)
}

type gated struct {
	http.ResponseWriter
	gate *gate
	ctx  context.Context
}

func (g *gated) Write(p []byte) (int, error) {
	for n := 0; n < len(p); {
		piece := p[n:min(n+16<<10, len(p))]
		if g.gate.left.Add(-int64(len(piece))) < 0 {
			select {
			case g.gate.shut <- struct{}{}:
			default:
			}
			<-g.ctx.Done()
			panic(http.ErrAbortHandler)
		}
		if _, err := g.ResponseWriter.Write(piece); err != nil {
			return n, err
		}
		if err := http.NewResponseController(g.ResponseWriter).Flush(); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return len(p), nil
}

// Processes of both kinds are killed in the middle of downloads into one cache.
// Nothing that is not whole ever has its name, no lock stays, and the next one
// brings the rest.
func TestKilledDownloads(t *testing.T) {
	t.Parallel()
	python, self := hubtest.Python(t), os.Args[0]
	files := map[string][]byte{}
	random := rand.NewChaCha8([32]byte{9})
	for i := range 6 {
		data := make([]byte, 1<<20)
		_, _ = random.Read(data) // never fails
		files[fmt.Sprintf("f%d.bin", i)] = data
	}
	h, head := hubWith(t, files)
	g := &gate{hub: h, shut: make(chan struct{})}
	front := httptest.NewServer(g)
	defer front.Close()
	dir := filepath.Join(t.TempDir(), "hub")
	start := func(official bool) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), snapshotChild+"="+front.URL+"|"+dir)
		if official {
			cmd = exec.CommandContext(t.Context(), python, "-c", `from huggingface_hub import snapshot_download; snapshot_download("me/x")`)
			cmd.Env = hubtest.PythonEnv(t, front.URL, "HF_HUB_CACHE="+dir)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	for round := range 6 {
		g.left.Store(900 << 10)
		cmd := start(round%2 == 1)
		<-g.shut
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if exit, _ := errors.AsType[*exec.ExitError](cmd.Wait()); exit == nil {
			t.Fatal("it was not killed")
		}
		for path, data := range files {
			name := filepath.Join(dir, "models--me--x", "snapshots", head, path)
			if got, err := os.ReadFile(name); err == nil && string(got) != string(data) {
				t.Errorf("after %d kills %s has %d bytes", round+1, path, len(got))
			}
		}
	}
	g.left.Store(1 << 40)
	for _, official := range []bool{false, true} {
		if err := start(official).Wait(); err != nil {
			t.Fatal(err)
		}
	}
	for path, data := range files {
		got, err := os.ReadFile(filepath.Join(dir, "models--me--x", "snapshots", head, path))
		if err != nil || string(got) != string(data) {
			t.Errorf("%s has %d bytes, %v", path, len(got), err)
		}
	}
}
