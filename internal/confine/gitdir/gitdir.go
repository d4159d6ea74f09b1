// Package gitdir finds the repositories of git below a folder, and the files in
// them by which git runs programs.
//
// Its one rule: it only looks, and follows no links. What it finds are folders
// with what git keeps of a repository, also those of submodules and second working
// trees, files and links that name such a folder, and folders that git would take
// for one because they look so. A Finder remembers what folders hold while they
// do not change.
package gitdir

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Kind of what was found.
type Kind int

// The kinds.
const (
	Folder  Kind = iota // what git keeps of a repository
	Pointer             // a file .git that names such a folder
	Link                // a symbolic link .git
	Tree                // what git keeps of a second working tree, in the repository's folder
)

// A Repository is one that was found, or a part of one.
type Repository struct {
	Kind Kind
	Dir  string // the folder, file or link
	Top  string // the folder that it is the .git of; "" if it is none
}

// Files are the names in a repository's folder by which git finds programs.
var files = []string{"hooks", "config", "config.worktree", "commondir", "gitdir"}

// Paths are what nobody may change who must not make git run programs.
func (r Repository) Paths() []string {
	switch r.Kind {
	case Pointer, Link:
		return []string{r.Dir}
	case Folder, Tree: // which without commondir is a repository of its own
	}
	var paths []string
	for _, name := range files {
		path := filepath.Join(r.Dir, name)
		paths = append(paths, path)
		paths = append(paths, led(path)...)
	}
	if r.Top != "" {
		paths = append(paths, filepath.Join(r.Top, ".husky"))
		paths = append(paths, r.named()...)
	}
	return paths
}

// led is where a path, and the files right below it, lead that are links.
func led(path string) []string {
	info, err := os.Lstat(path)
	if err != nil {
		return nil
	}
	var links []string
	switch {
	case info.Mode()&os.ModeSymlink != 0:
		links = []string{path}
	case info.IsDir():
		entries, _ := os.ReadDir(path) // what cannot be read git cannot either
		for _, e := range entries {
			if e.Type()&os.ModeSymlink != 0 {
				links = append(links, filepath.Join(path, e.Name()))
			}
		}
	}
	var paths []string
	for _, link := range links {
		if real, err := filepath.EvalSymlinks(link); err == nil {
			paths = append(paths, real)
		}
	}
	return paths
}

// Target is the folder that a Pointer names, "" if it names none. By a link it
// names none: that could lead elsewhere later.
func (r Repository) Target() string {
	data, err := readSmall(r.Dir)
	if err != nil {
		return ""
	}
	path, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "gitdir: ")
	if !ok || path == "" {
		return ""
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(r.Dir), path)
	}
	if real, err := filepath.EvalSymlinks(path); err != nil || real != filepath.Clean(path) {
		return ""
	}
	return filepath.Clean(path)
}

// State says in short what git would run by it: it changes with that.
func (r Repository) State() string {
	sum := sha256.New()
	if r.Kind == Pointer { // with where it leads, which others can turn
		to := r.Target()
		data, _ := readSmall(filepath.Join(to, "commondir"))
		fmt.Fprintf(sum, "%q %q\n", to, data)
	}
	for _, path := range r.Paths() {
		info, err := os.Lstat(path)
		if err != nil {
			continue
		}
		fmt.Fprintln(sum, path, info.Mode())
		if !info.IsDir() {
			data, _ := readSmall(path) // what cannot be read git cannot either
			sum.Write(data)
			continue
		}
		entries, _ := os.ReadDir(path)
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".sample") {
				continue
			}
			data, _ := readSmall(filepath.Join(path, e.Name()))
			fmt.Fprintln(sum, e.Name(), len(data))
			sum.Write(data)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// ChangedSince reports whether the repository's folder, or what git would run by
// it, may have changed since a time.
func (r Repository) ChangedSince(t time.Time) bool {
	return r.RunsSince(t) || !changed(r.Dir).Before(t.Add(-fresh))
}

// RunsSince is that of what git would run alone: to use git changes the folder.
func (r Repository) RunsSince(t time.Time) bool {
	return slices.ContainsFunc(r.Paths(), func(path string) bool { return ChangedAfter(path, t) })
}

// ChangedAfter reports whether what is at a path, or right below it, may have
// changed since a time.
func ChangedAfter(path string, t time.Time) bool {
	if !changed(path).Before(t.Add(-fresh)) {
		return true
	}
	entries, _ := os.ReadDir(path) // of what is no folder there are none
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return !changed(filepath.Join(path, e.Name())).Before(t.Add(-fresh))
	})
}

// maxSmall is more than a file of settings has.
const maxSmall = 1 << 20

func readSmall(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSmall {
		return nil, fmt.Errorf("read %s: it is no small file", path)
	}
	return os.ReadFile(path)
}

// hookNames are the programs that git looks for in a folder of hooks.
var hookNames = []string{
	"applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit", "prepare-commit-msg", "commit-msg", "post-commit",
	"pre-rebase", "post-checkout", "post-merge", "pre-push", "post-rewrite", "pre-auto-gc", "reference-transaction", "fsmonitor-watchman", "sendemail-validate",
}

// named are the paths below the repository's working tree that its settings name:
// the folder of its hooks, and more settings.
func (r Repository) named() []string {
	data, err := readSmall(filepath.Join(r.Dir, "config"))
	if err != nil {
		return nil
	}
	var paths []string
	section := ""
	for line := range bytes.Lines(data) {
		text := strings.TrimSpace(string(line))
		if rest, ok := strings.CutPrefix(text, "["); ok {
			name, after, _ := strings.Cut(rest, "]")
			section, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(name)), " ")
			text = strings.TrimSpace(after) // a setting may follow in the same line
		}
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch key = strings.ToLower(strings.TrimSpace(key)); {
		case section == "core" && key == "hookspath":
			paths = append(paths, hooksBelow(r.Top, value)...)
		case (section == "include" || section == "includeif") && key == "path":
			paths = append(paths, below(r.Dir, value)) // relative to the file
		}
	}
	return slices.DeleteFunc(paths, func(p string) bool { return p == "" })
}

// hooksBelow is the folder of hooks, or the hooks in it if it is the working tree
// itself: the rest of that stays writable.
func hooksBelow(top, value string) []string {
	dir := below(top, value)
	if dir != filepath.Clean(top) {
		return []string{dir}
	}
	var paths []string
	for _, name := range hookNames {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

func below(dir, path string) string {
	if path == "" || strings.HasPrefix(path, "~") {
		return ""
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return filepath.Clean(path)
}
