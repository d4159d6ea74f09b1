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
	"runtime"
	"strings"
	"testing"

	"github.com/gofrs/flock"

	"ml-intern/internal/hub/hubserver"
)

// The official Python client does its work against the server. It is installed
// once, into the user's cache folder.
func TestOfficialClient(t *testing.T) {
	if testing.Short() {
		t.Skip("the official client is left out of short runs")
	}
	t.Parallel()
	python := interpreter(t)
	source := t.TempDir()
	for name, data := range sampleFiles() {
		write(t, filepath.Join(source, name), data)
	}
	for name, part := range map[string]int64{"whole": 0, "in parts": 3 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, hubserver.Options{PartSize: part})
			cmd := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "interop.py"), source, t.TempDir())
			cmd.Env = []string{
				"PATH=" + os.Getenv("PATH"), "SYSTEMROOT=" + os.Getenv("SYSTEMROOT"), "HOME=" + t.TempDir(),
				"HF_HOME=" + t.TempDir(), "HF_ENDPOINT=" + server.URL, "HF_TOKEN=hf_of_nobody",
				"HF_HUB_DISABLE_XET=1", "HF_HUB_DISABLE_TELEMETRY=1", "HF_HUB_DISABLE_PROGRESS_BARS=1",
				"PYTHONUTF8=1", "PYTHONWARNINGS=ignore", "NO_PROXY=*", "no_proxy=*",
			}
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

// interpreter finds a Python that has the official client, or makes one.
func interpreter(t *testing.T) string {
	t.Helper()
	if python := os.Getenv("ML_INTERN_TEST_PYTHON"); python != "" {
		return python
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("find a place for the official client: %v; or set ML_INTERN_TEST_PYTHON", err)
	}
	dir := filepath.Join(cache, "ml-intern-test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	lock := flock.New(filepath.Join(dir, "venv.lock"))
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	python := filepath.Join(dir, "venv", "bin", "python")
	if runtime.GOOS == "windows" {
		python = filepath.Join(dir, "venv", "Scripts", "python.exe")
	}
	const check = "import huggingface_hub as h, sys; sys.exit(int(h.__version__.split('.')[0]) < 2)"
	if exec.CommandContext(t.Context(), python, "-c", check).Run() == nil {
		return python
	}
	for _, args := range [][]string{
		{systemPython(t), "-m", "venv", "--clear", filepath.Join(dir, "venv")},
		{python, "-m", "pip", "install", "--quiet", "huggingface_hub>=2"},
	} {
		out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("install huggingface_hub for this test: %s: %v\n%s\nset ML_INTERN_TEST_PYTHON to a Python that has it, or run go test -short",
				strings.Join(args, " "), err, out)
		}
	}
	return python
}

func systemPython(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "python"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no Python: install python3 with venv, set ML_INTERN_TEST_PYTHON, or run go test -short")
	return ""
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
