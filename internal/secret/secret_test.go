package secret_test

import (
	"strings"
	"testing"

	"ml-intern/internal/secret"
)

func TestIn(t *testing.T) {
	t.Parallel()
	const key = "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH"
	for text, want := range map[string]bool{
		"":                                  false,
		"tokenizer.pad_token = '<pad>'":     false,
		"hf_hub_download(repo_id)":          false,
		"risk-aware-long-name-of-a-dataset": false,
		"sk-learn-pipeline-with-many-words": false,
		"AWS_SECRET_ACCESS_KEY=short":       false,
		"a\x00b " + key:                     false, // data
		key:                                 true,
		"token = \"" + key + "\"":           true,
		"{\"a\":\"x\\n" + key + "\"}":       true,
		"export AWS_SECRET_ACCESS_KEY=" + strings.Repeat("aB3/", 10):      true,
		"{\"secret_access_key\": \"" + strings.Repeat("aB3+", 10) + "\"}": true,
		"-----BEGIN RSA PRIVATE KEY-----\nMII":                            true,
		"sk-proj-" + strings.Repeat("a1", 20):                             true,
		"sk-ant-api03-" + strings.Repeat("b2", 20):                        true,
		"ghp_" + strings.Repeat("c3", 18):                                 true,
		strings.Repeat("word ", 1_200_000) + key:                          true, // at the end of 6 MB
		strings.Repeat("x ", 1<<19-10) + key + strings.Repeat(" y", 1000): true, // across a piece's end
	} {
		if got, err := secret.In(strings.NewReader(text)); err != nil || got != want {
			t.Errorf("%.60q: %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		".env": true, "a/.env.local": true, "x/.netrc": true, "id_ed25519": true, "keys/server.pem": true, "service-account-1.json": true,
		"home/.aws/credentials": true, ".git": true, "repo/.git/config": true, ".ssh/config": true, "kaggle.json": true,
		"environment.py": false, "train.env.py": false, "id_rsa.pub.md": false, ".gitignore": false, "model.safetensors": false, "a.git.txt": false, "config.json": false,
	} {
		if got := secret.File(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	const key = "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH"
	if got := secret.Replace("a="+key+" b", "[x]"); got != "a=[x] b" {
		t.Errorf("got %q", got)
	}
}
