package hubserver_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ml-intern/internal/hub/hubserver"
)

// Two people work on a repository with the official client.
func TestOfficialClientTogether(t *testing.T) {
	if testing.Short() {
		t.Skip("the official client is left out of short runs")
	}
	t.Parallel()
	python := interpreter(t)
	server := start(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{
		"hf_owner": {Name: "me"}, "hf_other": {Name: "other"},
	}})
	cmd := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "community.py"))
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "SYSTEMROOT=" + os.Getenv("SYSTEMROOT"), "HOME=" + t.TempDir(),
		"HF_HOME=" + t.TempDir(), "HF_ENDPOINT=" + server.URL,
		"HF_HUB_DISABLE_XET=1", "HF_HUB_DISABLE_TELEMETRY=1", "HF_HUB_DISABLE_PROGRESS_BARS=1",
		"PYTHONUTF8=1", "PYTHONWARNINGS=ignore", "NO_PROXY=*", "no_proxy=*",
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.HasSuffix(bytes.TrimSpace(out), []byte("interop ok")) {
		t.Fatalf("the official client failed: %v\n%s", err, out)
	}
}
