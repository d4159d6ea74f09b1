package hubserver_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"

	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
)

// Two people work on a repository with the official client.
func TestOfficialClientTogether(t *testing.T) {
	t.Parallel()
	python := hubtest.Python(t)
	server := start(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{
		"hf_owner": {Name: "me"}, "hf_other": {Name: "other"},
	}})
	cmd := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "community.py"))
	cmd.Env = hubtest.PythonEnv(t, server.URL, "HF_TOKEN=")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.HasSuffix(bytes.TrimSpace(out), []byte("interop ok")) {
		t.Fatalf("the official client failed: %v\n%s", err, out)
	}
}
