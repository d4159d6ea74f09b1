package config_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/config"
)

// load reads a configuration of the person's file, the project's and its .env.
func load(t *testing.T, own, project, dotenv string, env ...string) (*config.Config, error) {
	t.Helper()
	dir := t.TempDir()
	for path, text := range map[string]string{"home/config/config.yaml": own, "w/.ml-intern/config.yaml": project, "w/.env": dotenv} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config.Load(append(env, "ML_INTERN_HOME="+filepath.Join(dir, "home")), filepath.Join(dir, "w"))
}

const ownServices = `services:
  arxiv: https://arxiv.example
  semantic_scholar: {url: "https://s2.example", key: MY_S2}
  github:
    key: GHE
  engines: [brave, searxng]
  search: https://searx.example
  private_hosts: [wiki.example, 10.0.0.0/8, "::1"]
  requests_per_second: {arxiv.example: 0.5, "*": 2}
  cache: {max_mb: 100, max_age: 12h}
  timeout: 20s
`

func TestServices(t *testing.T) {
	t.Parallel()
	c, err := load(t, ownServices, "services:\n  engines: [brave]\n  requests_per_second: {arxiv.example: 0.1, other.example: 1}\n  cache: {max_mb: 10}\n  timeout: 5s\n", "",
		"MY_S2=s2-secret-value", "S2_API_KEY=not-this", "GITHUB_TOKEN=nor-this", "ML_INTERN_SEARCH_URL=https://over.example", "TAVILY_API_KEY=t")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][2]string{
		"arxiv": {"https://arxiv.example", ""}, "semantic_scholar": {"https://s2.example", "s2-secret-value"},
		"github": {"", ""}, "search": {"https://over.example", ""}, "tavily": {"", "t"}, "docs": {"", ""},
	} {
		if address, key := c.Service(name); address != want[0] || key != want[1] {
			t.Errorf("%s: %q with key %q, want %q", name, address, key, want)
		}
	}
	s := c.Services
	if !slices.Equal(c.EngineOrder(), []string{"brave"}) || !slices.Equal(s.Private, []string{"wiki.example", "10.0.0.0/8", "::1"}) || s.CacheMB != 10 || s.Fresh != 12*time.Hour || s.Timeout != 5*time.Second {
		t.Errorf("%+v", s)
	}
	if s.Rate["arxiv.example"] != 0.5 || s.Slower["arxiv.example"] != 0.1 || s.Rate["*"] != 2 {
		t.Errorf("rates %v, of the project %v", s.Rate, s.Slower)
	}
	if !slices.Contains(c.Secrets(), "s2-secret-value") {
		t.Error("a key in a variable of any name is no secret")
	}
	for _, v := range c.Values() {
		if v.Key == "services" && (!strings.Contains(v.Value, `"key":"MY_S2"`) || strings.Contains(v.Value, "secret-value")) {
			t.Errorf("shown as %s", v.Value)
		}
	}
	if c, err = load(t, "", "", "", "BRAVE_API_KEY=b"); err != nil || !slices.Equal(c.EngineOrder(), []string{"brave"}) || c.Services.CacheMB != config.DefaultCacheMB {
		t.Errorf("by default %v, %+v, %v", c.EngineOrder(), c.Services, err)
	}
}

// Each mistake names its file, its line and what is wrong with it.
func TestBadServices(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, own, project, want string }{
		{"unknown", "model: openai/x\nservices:\n  docs: http://d\n  arxive: http://a", "", `config.yaml:4: services has no key "arxive"; did you mean arxiv?`},
		{"no mapping", "services: arxiv", "", "config.yaml:1: services expected keys"},
		{"no address", "services:\n  arxiv: arxiv.org", "", "config.yaml:2: services arxiv needs an address"},
		{"a password", "services:\n  arxiv: https://a:b@c.example", "", "without a password"},
		{"unknown part", "services:\n  github:\n    url: http://g\n    token: x", "", `config.yaml:4: services github there is no key "token"; the keys are key, url`},
		{"the key itself", "services:\n  semantic_scholar: {key: a1b2c3secret}", "", "config.yaml:2: services semantic_scholar key names the variable"},
		{"no key is sent", "services:\n  arxiv: {key: MY_KEY}", "", "arxiv takes no key"},
		{"engine", "services:\n  engines: [google]", "", `config.yaml:2: services engines has no "google"`},
		{"engine twice", "services:\n  engines: [brave, brave]", "", "names brave twice"},
		{"host", "services:\n  private_hosts: [\"http://x\"]", "", `config.yaml:2: services private_hosts needs names`},
		{"number of a host", "services:\n  private_hosts: [\"2130706433\"]", "", `private_hosts needs names`},
		{"network", "services:\n  private_hosts: [10.0.0.0/99]", "", `private_hosts needs names`},
		{"rate", "services:\n  requests_per_second:\n    a.example: 1\n    b.example: 0", "", "config.yaml:4: services requests_per_second of b.example must be from 0.01 to 1000"},
		{"rate of a URL", "services:\n  requests_per_second: {\"http://a/\": 1}", "", "is not the name of a host"},
		{"size", "services:\n  cache: {max_mb: -1}", "", "cannot be negative"},
		{"age", "services:\n  cache:\n    max_mb: 5\n    max_age: old", "", "config.yaml:4: services cache max_age must be a duration"},
		{"timeout", "services:\n  timeout: 1ms", "", "config.yaml:2: services timeout must be from 1s to 10m0s"},
		{"no timeout", "services:\n  timeout: soon", "", "config.yaml:2: services timeout must be a duration"},

		{"project: address", "", "services: {arxiv: \"http://evil\"}", "w/.ml-intern/config.yaml:1: services arxiv may not be set by a project's file"},
		{"project: key", "", "services: {github: {key: HF_TOKEN}}", "github may not be set by a project's file"},
		{"project: private host", "", "services: {private_hosts: [127.0.0.1]}", "private_hosts may not be set by a project's file"},
		{"project: engine", "", "services: {engines: [tavily]}", "may only be some of duckduckgo"},
		{"project: faster", ownServices, "services: {requests_per_second: {arxiv.example: 5}}", "may be 0.5 at most"},
		{"project: larger", ownServices, "services: {cache: {max_mb: 101}}", "may be 100 at most"},
		{"project: older", ownServices, "services: {cache: {max_age: 13h}}", "may be 12h0m0s at most"},
		{"project: slower", ownServices, "services: {timeout: 21s}", "timeout of a project's file may be 20s at most"},
		{"project: slower than usual", "", "services: {timeout: 31s}", "may be 30s at most"},
		{"project: variable", ownServices, "services: {cache: {max_age: \"${HF_TOKEN}\"}}", "may not"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := load(t, tt.own, tt.project, "")
			if err == nil && tt.project != "" { // what a project's file may not is left out and named
				err = errors.New(strings.Join(c.Notes(), "\n"))
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "a1b2c3") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// A folder's .env cannot send a key of the person's to its own GitHub.
func TestDotEnvCannotRedirectServices(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		own, dotenv string
		env         []string
		ok          bool
	}{
		{"", "GITHUB_API_URL=http://x", nil, true},
		{"", "GITHUB_API_URL=http://x", []string{"GH_TOKEN=t"}, false},
		{"", "GITHUB_API_URL=http://x\nGH_TOKEN=own", nil, true},
		{"services: {github: {key: GHE}}", "GITHUB_API_URL=http://x", []string{"GHE=t"}, false},
		{"services: {github: {key: GHE}}", "GITHUB_API_URL=http://x", []string{"GHE=t", "GITHUB_API_URL=http://y"}, true},
		{"", "ML_INTERN_PAPERS_URL=http://x", nil, false},
	} {
		if _, err := load(t, tt.own, "", tt.dotenv, tt.env...); (err == nil) != tt.ok {
			t.Errorf("%q, %q with %q: %v", tt.own, tt.dotenv, tt.env, err)
		}
	}
}

func TestServicesSchema(t *testing.T) {
	t.Parallel()
	text, err := config.Schema()
	if err != nil || !json.Valid(text) {
		t.Fatal(err)
	}
	for _, name := range append(config.ServiceNames(), "engines", "private_hosts", "requests_per_second", "max_mb", "timeout") {
		if !strings.Contains(string(text), `"`+name+`"`) {
			t.Errorf("the schema has no %s", name)
		}
	}
}
