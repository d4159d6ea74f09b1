package cache

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/hub"
)

// FromEnv is the cache of the user, where the Python client has it, with what
// the environment says about being offline and links.
func FromEnv(getenv func(string) string, client *hub.Client) *Cache {
	c := &Cache{
		Client:  client,
		Dir:     Dir(getenv),
		Offline: isTrue(first(getenv, "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")),
		NoLinks: isTrue(getenv("HF_HUB_DISABLE_SYMLINKS")),
	}
	if n, err := strconv.Atoi(getenv("HF_HUB_ETAG_TIMEOUT")); err == nil && n > 0 {
		c.Patience = time.Duration(n) * time.Second
	}
	return c
}

// Dir is the folder of the user's cache: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE,
// hub in HF_HOME, or huggingface/hub in the system's place for caches.
func Dir(getenv func(string) string) string {
	if dir := first(getenv, "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"); dir != "" {
		return expand(dir, getenv)
	}
	if home := getenv("HF_HOME"); home != "" {
		return filepath.Join(expand(home, getenv), "hub")
	}
	if cache := getenv("XDG_CACHE_HOME"); cache != "" {
		return filepath.Join(expand(cache, getenv), "huggingface", "hub")
	}
	return filepath.Join(expand("~", getenv), ".cache", "huggingface", "hub")
}

func first(getenv func(string) string, names ...string) string {
	for _, name := range names {
		if v := getenv(name); v != "" {
			return v
		}
	}
	return ""
}

// expand puts the home folder for ~ and values for variables. A variable that
// is not set stays as it is written.
func expand(path string, getenv func(string) string) string {
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == '/' || rest[0] == filepath.Separator) {
		path = filepath.Join(first(getenv, "HOME", "USERPROFILE"), rest)
	}
	return os.Expand(path, func(name string) string {
		if v := getenv(name); v != "" {
			return v
		}
		return "$" + name
	})
}

func isTrue(v string) bool {
	switch strings.ToUpper(v) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}
