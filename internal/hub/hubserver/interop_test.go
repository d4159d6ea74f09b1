package hubserver_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
)

// The official Python client does its work against the server. It is installed
// once, into the user's cache folder.
func TestOfficialClient(t *testing.T) {
	t.Parallel()
	python := hubtest.Python(t)
	source := t.TempDir()
	for name, data := range sampleFiles() {
		write(t, filepath.Join(source, name), data)
	}
	for name, part := range map[string]int64{"whole": 0, "in parts": 3 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, hubserver.Options{PartSize: part})
			cmd := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "interop.py"), source, t.TempDir())
			cmd.Env = hubtest.PythonEnv(t, server.URL)
			out, err := cmd.CombinedOutput()
			t.Logf("%s", out)
			if err != nil || !bytes.HasSuffix(bytes.TrimSpace(out), []byte("interop ok")) {
				t.Fatalf("the official client failed: %v", err)
			}
		})
	}
}

func sampleFiles() map[string][]byte {
	big := make([]byte, 11<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(big) // never fails
	return map[string][]byte{
		"big.dat":                     big,
		"small.bin":                   {0, 1, 2, 3, 255},
		"notes.txt":                   []byte("hello\n"),
		"empty":                       {},
		"README.md":                   []byte("---\nlicense: mit\ntags:\n- test\n---\n# Hi\n"),
		"deep/er/still/file.json":     []byte(`{"a": 1}`),
		"deep/ünïcødé 日本 #1 100%.txt": []byte("odd name"),
		"a+b & c=d?.txt":              []byte("query signs"),
		"odd [x] name.safetensors":    bytes.Repeat([]byte{7}, 1000),
	}
}

// start serves a new folder until the test ends.
func start(t *testing.T, opts hubserver.Options) *httptest.Server {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	s, err := hubserver.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, r io.ReadCloser) string {
	t.Helper()
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(data)
}
