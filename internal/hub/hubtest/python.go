package hubtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// Python finds an interpreter that has the official client: the one that
// ML_INTERN_TEST_PYTHON names, or one that is set up once in the user's cache
// folder. Short tests go without.
func Python(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("the official client is left out of short runs")
	}
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
	if _, err := lock.TryLockContext(t.Context(), 100*time.Millisecond); err != nil {
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
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("install huggingface_hub for this test: %s: %v\n%s\nset ML_INTERN_TEST_PYTHON to a Python that has it, or run go test -short",
				strings.Join(args, " "), err, out)
		}
	}
	return python
}

func systemPython(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"python3", "python"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no Python: install python3 with venv, set ML_INTERN_TEST_PYTHON, or run go test -short")
	return ""
}

// PythonEnv is the whole environment of a Python client of the Hub at url:
// nothing of the user's is used or changed. More comes last.
func PythonEnv(t testing.TB, url string, more ...string) []string {
	t.Helper()
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "SYSTEMROOT=" + os.Getenv("SYSTEMROOT"), "HOME=" + t.TempDir(),
		"HF_HOME=" + t.TempDir(), "HF_ENDPOINT=" + url, "HF_TOKEN=hf_of_nobody",
		"HF_HUB_DISABLE_XET=1", "HF_HUB_DISABLE_TELEMETRY=1", "HF_HUB_DISABLE_PROGRESS_BARS=1",
		"PYTHONUTF8=1", "PYTHONWARNINGS=ignore", "NO_PROXY=*", "no_proxy=*",
	}, more...)
}
