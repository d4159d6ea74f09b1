package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
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
		key, isAddress := keyOf(name)
		if _, own := file[key]; !isAddress || own {
			continue
		}
		if _, elsewhere := environ[key]; elsewhere || name == "HF_ENDPOINT" {
			return fmt.Errorf("%s would send the %s that is set elsewhere to another address; set both here, or the address in the environment", name, key)
		}
	}
	return nil
}

// keyOf returns the variable with the key that is sent to the address in the
// named variable.
func keyOf(name string) (key string, isAddress bool) {
	switch {
	case name == "HF_ENDPOINT" || name == "HF_ROUTER_BASE_URL":
		return "HF_TOKEN", true
	case name == "OLLAMA_HOST":
		return "OLLAMA_API_KEY", true
	case strings.HasSuffix(name, "_BASE_URL"):
		return strings.TrimSuffix(name, "_BASE_URL") + "_API_KEY", true
	}
	return "", false
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
