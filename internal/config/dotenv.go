package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// readDotEnv reads lines KEY=VALUE, with comments, an optional "export" and
// optional quotes. There is no expansion: a value means what it says.
func readDotEnv(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	env, n := make(map[string]string), 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		key = strings.TrimSpace(key)
		if !ok || !isName(key) {
			return nil, fmt.Errorf("%s line %d: expected KEY=VALUE", path, n) // the line itself may hold a secret
		}
		env[key] = unquote(strings.TrimSpace(value))
	}
	return env, nil
}

// checkDotEnv refuses a .env that would send a key from elsewhere to an
// address of its own, or move the program's state: a folder that somebody else
// wrote must not be able to. An address beside its own key is fine.
func checkDotEnv(file, environ map[string]string) error {
	for name := range file {
		if _, set := environ[name]; set {
			continue // it overrides nothing
		}
		if strings.HasPrefix(name, "ML_INTERN_") {
			return fmt.Errorf("%s cannot be set here; set it in the environment", name)
		}
		for _, key := range keysOf(name) {
			if _, elsewhere := environ[key]; elsewhere {
				return fmt.Errorf("%s would send the %s that is set elsewhere to another address; set that address in the environment", name, key)
			}
		}
		switch name { // these say which account it is, and who is asked for its token
		case "HF_TOKEN_PATH", "HF_OIDC_RESOURCE", "HF_OIDC_ID_TOKEN", "HF_DEVICE_CODE_OAUTH_CLIENT_ID", "GITHUB_ACTIONS", "ACTIONS_ID_TOKEN_REQUEST_URL":
			return fmt.Errorf("%s cannot be set here; set it in the environment", name)
		}
		if name == "HF_ENDPOINT" && file["HF_TOKEN"] == "" { // a token may also be in a file
			return fmt.Errorf("%s would send the token that is set elsewhere to another address; set both here, or the address in the environment", name)
		}
	}
	return nil
}

// steers reports whether a variable says which programs, libraries and settings
// are taken, where files are kept, or where telemetry goes. The .env of a folder does not set those:
// a command may have written it, and what it names runs, or is written, outside
// the sandbox.
func steers(name string) bool {
	name = strings.ToUpper(name)
	for _, prefix := range []string{"XDG_", "LD_", "DYLD_", "UV_", "PIP_", "PYTHON", "SSL_CERT_", "GIT_", "SSH_", "SBATCH_", "SLURM_", "BASH_", "OTEL_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	for _, suffix := range []string{"_HOME", "_CACHE", "_PREFIX", "_PROXY", "_CA_BUNDLE"} {
		if strings.HasSuffix(name, suffix) && name != "ML_INTERN_HOME" { // which is refused
			return true
		}
	}
	return slices.Contains([]string{
		"PATH", "HOME", "USER", "LOGNAME", "SHELL", "ENV", "TMPDIR", "TMP", "TEMP", "VIRTUAL_ENV", "PATHEXT",
		"COMSPEC", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES",
	}, name)
}

// merge takes what .env sets and the environment does not.
func (c *Config) merge(file map[string]string) {
	for key, value := range file {
		if _, set := c.env[key]; set {
			continue
		}
		if steers(key) {
			c.unset = append(c.unset, key)
			continue
		}
		c.env[key] = value
	}
	slices.Sort(c.unset)
}

// checkServiceKeys refuses a .env that would send a key which the person's file
// names, and which is from elsewhere, to an address of its own.
func (c *Config) checkServiceKeys(file map[string]string, environ []string) error {
	for _, s := range services() {
		key := c.Services.At[s.name].Key
		if file[s.address] == "" || key == "" || c.env[key] == "" {
			continue
		}
		set := func(name string) bool {
			return slices.ContainsFunc(environ, func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
		}
		if set(key) && !set(s.address) {
			return fmt.Errorf("%s would send the %s that is set elsewhere to another address; set that address in the environment", s.address, key)
		}
	}
	return nil
}

// keysOf lists the variables with keys that are sent to the address in the
// named variable.
func keysOf(name string) []string {
	local := []string{"OLLAMA_API_KEY", "VLLM_API_KEY", "LM_STUDIO_API_KEY", "LLAMACPP_API_KEY", "LOCAL_LLM_API_KEY"}
	switch name {
	case "HF_ENDPOINT", "HF_ROUTER_BASE_URL":
		return []string{"HF_TOKEN"}
	case "GITHUB_API_URL":
		return []string{"GITHUB_TOKEN", "GH_TOKEN"}
	case "LOCAL_LLM_BASE_URL":
		return local
	case "OLLAMA_HOST":
		return []string{"OLLAMA_API_KEY", "LOCAL_LLM_API_KEY"}
	}
	server, isAddress := strings.CutSuffix(name, "_BASE_URL")
	if !isAddress {
		return nil
	}
	keys := []string{server + "_API_KEY"}
	if slices.Contains(local, keys[0]) {
		keys = append(keys, "LOCAL_LLM_API_KEY")
	}
	return keys
}

func isName(s string) bool {
	for i, r := range s {
		letter := r == '_' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

func unquote(v string) string {
	if len(v) >= 2 && (v[0] == '"' || v[0] == '\'') {
		if end := strings.IndexByte(v[1:], v[0]); end >= 0 {
			return v[1 : 1+end]
		}
	}
	if i := strings.Index(v, " #"); i >= 0 {
		v = strings.TrimSpace(v[:i])
	}
	return v
}
