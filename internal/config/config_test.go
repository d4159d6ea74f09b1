package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/config"
)

func TestDotEnv(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, file, key, want, err string }{
		{"plain", "A=1", "A", "1", ""},
		{"comment, blank line, export", "# x\n\nexport A=1 # one", "A", "1", ""},
		{"quotes keep blanks and hashes", `A=" 1 # "`, "A", " 1 # ", ""},
		{"no expansion", "A=$HOME", "A", "$HOME", ""},
		{"Windows line ends", "A=1\r\nB=2\r\n", "A", "1", ""},
		{"never overrides", "SET=file", "SET", "environment", ""},
		{"empty value", "A=", "A", "", ""},
		{"no equals sign", "good=1\nsecret-key-without-name", "", "", "line 2: expected KEY=VALUE"},
		{"bad name", "1A=2", "", "", "line 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(tt.file), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := config.Load([]string{"SET=environment", "ML_INTERN_HOME=" + dir}, dir)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "secret-key") {
					t.Errorf("got %v, want %q and no content of the file", err, tt.err)
				}
				return
			}
			if err != nil || c.Getenv(tt.key) != tt.want {
				t.Errorf("got %q, %v; want %q", c.Getenv(tt.key), err, tt.want)
			}
		})
	}
}

// A folder's .env cannot send a key that comes from elsewhere to its own host.
func TestDotEnvCannotRedirectKeys(t *testing.T) {
	t.Setenv("HOME", t.TempDir()) // it may have none, or one with a configuration
	tests := []struct {
		name, file string
		env        []string
		ok         bool
	}{
		{"address and key together", "OPENAI_API_KEY=k\nOPENAI_BASE_URL=http://x", nil, true},
		{"address alone, no key anywhere", "OPENAI_BASE_URL=http://x", nil, true},
		{"address alone, key in the environment", "OPENAI_BASE_URL=http://x", []string{"OPENAI_API_KEY=k"}, false},
		{"address set in the environment too", "OPENAI_BASE_URL=http://x", []string{"OPENAI_API_KEY=k", "OPENAI_BASE_URL=http://y"}, true},
		{"Hub without a token of its own", "HF_ENDPOINT=http://x", nil, false},
		{"which account", "HF_TOKEN_PATH=/x", nil, false},
		{"whose identity", "HF_OIDC_RESOURCE=me/x", nil, false},
		{"Hub with its token", "HF_ENDPOINT=http://x\nHF_TOKEN=t", nil, true},
		{"router, token in the environment", "HF_ROUTER_BASE_URL=http://x", []string{"HF_TOKEN=t"}, false},
		{"the program's own state", "ML_INTERN_HOME=/x", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(tt.file), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := config.Load(append(tt.env, "HOME="+dir), dir)
			if (err == nil) != tt.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWorkspace(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{"/no/such/folder": "there is no folder", file: "is a file, not a folder"} {
		if _, err := config.Load(nil, dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", dir, err)
		}
	}
}

// What a folder's .env says of programs and folders does not count: a command
// may have written it, or it came with the folder.
func TestDotEnvDoesNotSteer(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	steering := []string{
		"XDG_CONFIG_HOME", "XDG_CACHE_HOME", "LD_LIBRARY_PATH", "LD_PRELOAD", "UV_CACHE_DIR", "PIP_CACHE_DIR", "HF_HOME", "HF_HUB_CACHE",
		"TORCH_HOME", "PYTHONPATH", "PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "https_proxy", "SSL_CERT_FILE", "GIT_SSH_COMMAND", "TMPDIR",
	}
	lines := "WANDB_PROJECT=mine\nCUDA_VISIBLE_DEVICES=1\n"
	for _, name := range steering {
		lines += name + "=/proc/self/cwd/evil\n"
	}
	cfg, err := load(t, "", "", lines, "HOME=/home/me")
	if err != nil {
		t.Fatal(err)
	}
	notes := strings.Join(cfg.Notes(), "\n")
	for _, name := range steering {
		if got := cfg.Getenv(name); got != "" || !strings.Contains(notes, name) {
			t.Errorf("%s is %q; the notes are %s", name, got, notes)
		}
	}
	for name, want := range map[string]string{"WANDB_PROJECT": "mine", "CUDA_VISIBLE_DEVICES": "1"} {
		if got := cfg.Getenv(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	// Without ML_INTERN_HOME the person's configuration stays where it is too.
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("XDG_CONFIG_HOME="+dir), 0o600); err != nil {
		t.Fatal(err)
	}
	if cfg, err := config.Load([]string{"HOME=/home/me"}, dir); err != nil || strings.HasPrefix(cfg.Paths.Config, dir) {
		t.Errorf("the configuration is at %v, %v", cfg.Paths.Config, err)
	}
}
