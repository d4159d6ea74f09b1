package confine

import (
	"os"
	"path/filepath"
	"strings"
)

// ProjectNames are the paths in a project's folder, with slashes, by which a file
// that is left there could run outside later, by git, an editor, an agent or a
// shell: a person writes them.
func ProjectNames() []string {
	return append(gitPaths(".git"),
		".ml-intern", ".vscode", ".idea", ".claude", ".agents/skills", ".cursor", ".mcp.json", ".husky",
		".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".profile",
		".zshrc", ".zshenv", ".zprofile", ".zlogin", ".envrc", ".config/fish", ".config/systemd", ".config/autostart",
	)
}

// ProjectPaths are those paths in the folder, which are protected.
func ProjectPaths(dir string) []string {
	var paths []string
	for _, name := range ProjectNames() {
		paths = append(paths, filepath.Join(dir, filepath.FromSlash(name)))
	}
	if repository := Repository(dir); repository != "" {
		paths = append(append(paths, filepath.Join(dir, ".git")), gitPaths(repository)...)
	}
	return paths
}

func gitPaths(dir string) []string {
	var paths []string
	for _, name := range []string{"hooks", "config", "config.worktree", "commondir", "gitdir"} {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

// Repository is the folder of the repository that dir is a second working tree
// of, "" if it is none. Git writes there at every commit. Both must name each
// other: a .git that came with an archive could name any.
func Repository(dir string) string {
	named := pointer(filepath.Join(dir, ".git"), "gitdir: ")
	if !filepath.IsAbs(named) {
		return ""
	}
	back, err1 := filepath.EvalSymlinks(pointer(filepath.Join(named, "gitdir"), ""))
	here, err2 := filepath.EvalSymlinks(filepath.Join(dir, ".git"))
	common := pointer(filepath.Join(named, "commondir"), "")
	if err1 != nil || err2 != nil || back != here || common == "" {
		return ""
	}
	if !filepath.IsAbs(common) {
		common = filepath.Join(named, common)
	}
	if !within(common, named) {
		return ""
	}
	return common
}

// maxPointer is more than any path has.
const maxPointer = 16 << 10

// pointer is the path that a small file of git holds after a prefix.
func pointer(file, prefix string) string {
	info, err := os.Lstat(file)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxPointer {
		return ""
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	path, ok := strings.CutPrefix(strings.TrimSpace(string(data)), prefix)
	if !ok {
		return ""
	}
	return path
}
