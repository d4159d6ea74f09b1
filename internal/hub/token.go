package hub

import (
	"os"
	"path/filepath"
	"strings"
)

// Home is the folder of the official client: HF_HOME, or huggingface in the
// system's place for caches; "" if there is no home.
func Home(getenv func(string) string) string {
	if home := getenv("HF_HOME"); home != "" {
		return ExpandPath(home, getenv)
	}
	if cache := getenv("XDG_CACHE_HOME"); cache != "" {
		return ExpandPath(filepath.Join(cache, "huggingface"), getenv)
	}
	if home := homeDir(getenv); home != "" {
		return filepath.Join(home, ".cache", "huggingface")
	}
	return ""
}

// TokenFile is where the official client keeps the account's token: the file
// HF_TOKEN_PATH, which is token in its Home by default; "" if there is no home.
func TokenFile(getenv func(string) string) string {
	if path := getenv("HF_TOKEN_PATH"); path != "" {
		return ExpandPath(path, getenv)
	}
	if home := Home(getenv); home != "" {
		return filepath.Join(home, "token")
	}
	return ""
}

func homeDir(getenv func(string) string) string {
	if home := getenv("HOME"); home != "" {
		return home
	}
	return getenv("USERPROFILE")
}

// ExpandPath puts the home folder for ~ and values for variables, as the
// official client does in the paths that it is told. A variable that is not set
// stays as it is written.
func ExpandPath(path string, getenv func(string) string) string {
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == '/' || rest[0] == filepath.Separator) {
		path = filepath.Join(homeDir(getenv), rest)
	}
	return os.Expand(path, func(name string) string {
		if v := getenv(name); v != "" {
			return v
		}
		return "$" + name
	})
}
