package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/config"
)

// loaded is the configuration with this file of the person's.
func loaded(t *testing.T, text, dir string, env ...string) (*config.Config, error) {
	t.Helper()
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "config", "config.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(append(env, "ML_INTERN_HOME="+home), dir)
}

func TestMCPServers(t *testing.T) {
	t.Parallel()
	c, err := loaded(t, `mcp:
  files: {command: npx, args: [-y, "@x/files", 3, "${ROOT:-/}"], env: {API_KEY: "${KEY}"}, cwd: sub, timeout: 5m, start_timeout: 90s}
  web: {url: "https://mcp.example/mcp", headers: {Authorization: "Bearer ${KEY}"}, tools: ["list_*"], disabled: true}
mcp_tools_kb: 8
`, t.TempDir(), "KEY=secret-of-mine", "ROOT=/data")
	if err != nil {
		t.Fatal(err)
	}
	files, web := c.MCP["files"], c.MCP["web"]
	if !slices.Equal(files.Args, []string{"-y", "@x/files", "3", "/data"}) || files.Env["API_KEY"] != "secret-of-mine" || files.Timeout != 5*time.Minute || files.StartTimeout != 90*time.Second {
		t.Errorf("%+v", files)
	}
	if web.Headers["Authorization"] != "Bearer secret-of-mine" || !web.Disabled || c.MCPToolsKB != 8 {
		t.Errorf("%+v", web)
	}
	for _, want := range []string{"secret-of-mine", "Bearer secret-of-mine"} {
		if !slices.Contains(c.Secrets(), want) {
			t.Errorf("%q is no secret", want)
		}
	}
	for _, v := range c.Values() {
		if strings.Contains(v.Value, "of-mine") || v.Key == "mcp" && !strings.Contains(v.Value, `"timeout":"5m0s"`) {
			t.Errorf("%s is shown as %s", v.Key, v.Value)
		}
	}
}

// Keys in the addresses of servers are known as such and never shown.
func TestMCPAddressSecrets(t *testing.T) {
	t.Parallel()
	c, err := loaded(t, `mcp:
  a: {url: "https://mcp.example/mcp/?tavilyApiKey=tvly-a1b2c3&lang=english-and-others&x=0123456789abcdefghij%2F"}
  b: {url: "https://mcp.example/s/QmFzZTY0IGtleSBvZiBtaW5l/a-long-word-without-numbers"}
`, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"tvly-a1b2c3", "0123456789abcdefghij/", "QmFzZTY0IGtleSBvZiBtaW5l"} {
		if !slices.Contains(c.Secrets(), want) {
			t.Errorf("%q is no secret", want)
		}
	}
	for _, word := range []string{"english-and-others", "a-long-word-without-numbers"} {
		if slices.Contains(c.Secrets(), word) {
			t.Errorf("%q is a secret", word)
		}
	}
	for _, v := range c.Values() {
		if strings.Contains(v.Value, "tvly-") {
			t.Errorf("%s is shown as %s", v.Key, v.Value)
		}
	}
}

func TestMCPMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"mcp:\n  a b: {command: x}":                                          ":2: mcp of a b: is no name for a server",
		"mcp:\n  a__b: {command: x}":                                         "is no name for a server",
		"mcp:\n  a: {}":                                                      "either a command or a url",
		"mcp:\n  a: {command: x, url: https://y.example}":                    "either a command or a url",
		"mcp:\n  a:\n    command: x\n    arg: [y]":                           `:4: mcp of a: there is no key "arg"`,
		"mcp:\n  a: {url: https://y.example, args: [x]}":                     "args, env and cwd belong to a command",
		"mcp:\n  a: {url: ftp://y.example}":                                  "must begin with https://",
		"mcp:\n  a: {url: https://u:p@y.example}":                            "hold no password",
		"mcp:\n  a: {url: http://y.example, headers: {A: b}}":                "a key would go out unencrypted",
		"mcp:\n  a: {url: https://y.example, headers: {A: \"b\\r\\nC: d\"}}": "headers cannot have",
		"mcp:\n  a: {command: x, env: {\"A B\": c}}":                         "env has no such name",
		"mcp:\n  a: {command: x, tools: [\"[\"]}":                            "no such pattern",
		"mcp:\n  a: {command: x, timeout: 2h}":                               "a timeout is 1h0m0s at most",
		"mcp:\n  a: {command: x, env: {A: \"${NOT_SET}\"}}":                  "needs the variable NOT_SET",
		"mcp_tools_kb: 5000":                                                 "from 0 to 1024",
	} {
		if _, err := loaded(t, text+"\n", t.TempDir()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngives %v, want %q", text, err, want)
		}
	}
}

// The .env of a folder says neither which program runs nor where a key goes.
func TestMCPProgramIsNotOfTheFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("TOOL=/evil\nPLACE=https://evil.example\nVALUE=fine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loaded(t, `mcp:
  a: {command: "${TOOL:-npx}", args: ["${TOOL:-x}"], env: {V: "${VALUE:-none}"}}
  b: {url: "${PLACE:-https://good.example}"}
`, dir)
	if err != nil {
		t.Fatal(err)
	}
	if a := c.MCP["a"]; a.Command != "npx" || a.Args[0] != "x" || a.Env["V"] != "fine" || c.MCP["b"].URL != "https://good.example" {
		t.Errorf("%+v %+v", a, c.MCP["b"])
	}
}

// Trust is of .mcp.json too, and a folder that was trusted before such a file
// came asks again.
func TestTrustOfServersFile(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	load := func(want config.Trust) *config.Config {
		t.Helper()
		c, err := config.Load([]string{"ML_INTERN_HOME=" + home}, dir)
		if err != nil {
			t.Fatal(err)
		}
		if c.Trust != want {
			t.Fatalf("the folder is %q, want %q", c.Trust, want)
		}
		return c
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust := func(c *config.Config) {
		t.Helper()
		if err := c.TrustFolder(dir); err != nil {
			t.Fatal(err)
		}
	}
	write(config.ProjectFile(dir), "mcp:\n  ours: {command: a}\n")
	if c := load(config.Untrusted); len(c.ProjectMCP) > 0 || !strings.Contains(strings.Join(c.Notes(), "\n"), "may not set mcp") {
		t.Errorf("%+v %v", c.ProjectMCP, c.Notes())
	}
	trust(load(config.Untrusted))
	if c := load(config.Trusted); len(c.ProjectMCP) != 1 || len(c.MCP) != 0 {
		t.Errorf("%+v", c.ProjectMCP)
	}
	write(config.ServersFile(dir), `{"mcpServers": {"ours": {"command": "b"}, "more": {"command": "c"}}}`)
	trust(load(config.Changed))
	c := load(config.Trusted)
	if len(c.ProjectMCP) != 2 || c.ProjectMCP["ours"].Command != "a" || !strings.Contains(strings.Join(c.Notes(), "\n"), "config.yaml has one of that name") {
		t.Errorf("%+v %v", c.ProjectMCP, c.Notes())
	}
	if err := os.RemoveAll(config.ProjectDir(dir)); err != nil {
		t.Fatal(err)
	}
	trust(load(config.Changed))
	load(config.Trusted)
	if err := os.Remove(config.ServersFile(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/hostname", config.ServersFile(dir)); err != nil {
		t.Skip(err)
	}
	if err := load(config.Changed).TrustFolder(dir); err == nil || !strings.Contains(err.Error(), "cannot be trusted") {
		t.Errorf("%v", err)
	}
}

// A .mcp.json of any content keeps nobody from working.
func FuzzServersFile(f *testing.F) {
	f.Add(`{"mcpServers": {"a": {"command": "x", "args": ["${A}", "${B:-c}"], "env": {"K": "v"}}}}`)
	f.Add(`{"mcpServers": {"a": {"type": "http", "url": "https://x.example", "headers": {"A": "${B"}}}}`)
	f.Add(`[`)
	home, dir := f.TempDir(), f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(config.ServersFile(dir), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load([]string{"ML_INTERN_HOME=" + home}, dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.TrustFolder(dir); err != nil {
			t.Skip(err)
		}
		if c, err = config.Load([]string{"ML_INTERN_HOME=" + home}, dir); err != nil {
			t.Fatal(err)
		}
		for name, s := range c.ProjectMCP {
			if strings.ContainsAny(name, " \n\x00") || (s.Command == "") == (s.URL == "") {
				t.Errorf("%q: %+v", name, s)
			}
		}
	})
}

// A server that an editor names is one of the person's: checked as theirs are, in
// front of the folder's, and behind one of their own file with the same name.
func TestAddMCP(t *testing.T) {
	t.Parallel()
	c := &config.Config{MCP: map[string]config.MCPServer{"mine": {Command: "mine"}}, ProjectMCP: map[string]config.MCPServer{"both": {Command: "theirs"}, "other": {Command: "other"}}}
	before := c.MCP
	for name, s := range map[string]config.MCPServer{"mine": {Command: "editors"}, "both": {Command: "editors"}} {
		if err := c.AddMCP(name, s); err != nil {
			t.Error(err)
		}
	}
	if c.MCP["mine"].Command != "mine" || c.MCP["both"].Command != "editors" || len(c.ProjectMCP) != 1 || len(before) != 1 {
		t.Errorf("%+v, %+v, before %+v", c.MCP, c.ProjectMCP, before)
	}
	for name, s := range map[string]config.MCPServer{
		"a b": {Command: "x"}, "none": {}, "two": {Command: "x", URL: "https://x"}, "plain": {URL: "http://far.example", Headers: map[string]string{"Authorization": "x"}},
		"env": {Command: "x", Env: map[string]string{"A=B": "x"}},
	} {
		if err := c.AddMCP(name, s); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
