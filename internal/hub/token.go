package hub

import (
	"os"
	"path/filepath"
	"strings"
)

// TokenFile is where the official client keeps the account's token: the file
// HF_TOKEN_PATH, which is $HF_HOME/token by default; "" if there is no home.
func TokenFile(getenv func(string) string) string {
	if path := getenv("HF_TOKEN_PATH"); path != "" {
		return expandHome(os.Expand(path, getenv), getenv)
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
