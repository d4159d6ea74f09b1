package app

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"ml-intern/internal/config"
)

// apart finds a program of the PATH where no command could have put it: one
// that this process runs itself, without walls. An environment of the workspace
// that the person has activated comes first on the PATH, and the model writes it.
// Without such a program it is one that is not there.
func apart(cfg *config.Config, name string) string {
	written := writtenByCommands(cfg)
	for _, dir := range filepath.SplitList(cfg.Getenv("PATH")) {
		path, err := exec.LookPath(filepath.Join(dir, name))
		if err != nil || !filepath.IsAbs(path) {
			continue
		}
		if real, err := filepath.EvalSymlinks(path); err == nil && !below(written, real) && !below(written, path) {
			return path
		}
	}
	return filepath.Join("/usr/bin", name)
}

// writtenByCommands are the folders that commands may write.
func writtenByCommands(cfg *config.Config) []string {
	var all []string
	for _, dir := range []string{cachesOf(cfg).Dir, cfg.Dir, filepath.Join(cfg.Paths.State, "tmp")} {
		if real, err := filepath.EvalSymlinks(dir); err == nil && real != dir {
			all = append(all, real)
		}
		all = append(all, dir)
	}
	return all
}

func below(dirs []string, path string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool {
		return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
	})
}
