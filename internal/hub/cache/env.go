package cache

import (
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

// Dir is the folder of the user's cache: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, or
// hub in the home of the official client.
func Dir(getenv func(string) string) string {
	if dir := first(getenv, "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"); dir != "" {
		return hub.ExpandPath(dir, getenv)
	}
	return filepath.Join(hub.Home(getenv), "hub")
}

func first(getenv func(string) string, names ...string) string {
	for _, name := range names {
		if v := getenv(name); v != "" {
			return v
		}
	}
	return ""
}

func isTrue(v string) bool {
	switch strings.ToUpper(v) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}
