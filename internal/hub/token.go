package hub

import (
	"os"
	"path/filepath"
	"strings"
)

// DiscoverToken finds the account's token where the Python client looks for
// it, in the same order: HF_TOKEN, HUGGING_FACE_HUB_TOKEN, the file
// HF_TOKEN_PATH, which is $HF_HOME/token by default. It returns "" if there is
// none, or if HF_HUB_DISABLE_IMPLICIT_TOKEN forbids to send one unasked.
func DiscoverToken(getenv func(string) string) string {
	if isTrue(getenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
		return ""
	}
	for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"} {
		if token := cleanToken(getenv(name)); token != "" {
			return token
		}
	}
	path := tokenPath(getenv)
	if path == "" {
		return ""
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "" // not logged in
	}
	return cleanToken(string(text))
}

func tokenPath(getenv func(string) string) string {
	if path := getenv("HF_TOKEN_PATH"); path != "" {
		return expandHome(path, getenv)
	}
	if home := getenv("HF_HOME"); home != "" {
		return filepath.Join(expandHome(home, getenv), "token")
	}
	if cache := getenv("XDG_CACHE_HOME"); cache != "" {
		return filepath.Join(expandHome(cache, getenv), "huggingface", "token")
	}
	if home := homeDir(getenv); home != "" {
		return filepath.Join(home, ".cache", "huggingface", "token")
	}
	return ""
}

func homeDir(getenv func(string) string) string {
	if home := getenv("HOME"); home != "" {
		return home
	}
	return getenv("USERPROFILE")
}

func expandHome(path string, getenv func(string) string) string {
	rest, ok := strings.CutPrefix(path, "~")
	if !ok || rest != "" && rest[0] != '/' && rest[0] != filepath.Separator {
		return path
	}
	return filepath.Join(homeDir(getenv), rest)
}

func cleanToken(token string) string {
	return strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "").Replace(token))
}

func isTrue(v string) bool {
	switch strings.ToUpper(v) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}
