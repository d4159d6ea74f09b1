package checkpoint

import (
	"os"
	"path/filepath"
	"slices"
)

// Why something is left out. Rewind never touches it.
const (
	reasonIgnored    = "ignored by git"
	reasonHeavy      = "made by tools"       // environments, caches, what a version control keeps
	reasonPerson     = "the person's"        // .ml-intern, which no tool may write
	reasonElsewhere  = "written by others"   // the program's own folders, outputs of running jobs
	reasonSpecial    = "not a file"          // sockets, pipes, devices
	reasonDisk       = "on another disk"     // what is mounted into the workspace
	reasonUnreadable = "could not be read"   //
	reasonChanging   = "was being written"   // and so had no content to keep
	reasonDeep       = "too many folders in" //
)

// maxDepth bounds folders in folders: each is open while those in it are read.
const maxDepth = 200

// marks are files that say that the folder they are in is such a one: a cache
// by the convention of bford.info/cachedir, an environment of Python.
var marks = []string{"CACHEDIR.TAG", "pyvenv.cfg"}

// marked reports whether a folder's names have such a file.
func marked(names []string) bool {
	return slices.ContainsFunc(marks, func(mark string) bool {
		_, found := slices.BinarySearch(names, mark)
		return found
	})
}

// leftOutName says why a name is left out whatever it is, "" if it is not.
func leftOutName(name string) string {
	switch name { // most names are asked for, so no list is searched
	case ".git", ".hg", ".svn", ".jj", "node_modules", ".venv", "site-packages", "__pycache__", ".cache", ".mypy_cache",
		".pytest_cache", ".ruff_cache", ".tox", ".nox", ".eggs", ".gradle", ".terraform", ".direnv", ".pixi", ".conda":
		return reasonHeavy // tools fill them, and can fill them again
	case ".ml-intern", stage:
		return reasonPerson
	}
	return ""
}

// ignoredAbove reads the .gitignore files above the workspace, up to the top of
// the repository that it is in, and what .git/info/exclude says there.
func ignoredAbove(dir string) *ignore {
	var between []string // the workspace's own path in the repository
	for top := dir; ; top = filepath.Dir(top) {
		if _, err := os.Lstat(filepath.Join(top, ".git")); err == nil {
			g := &ignore{}
			g.addFile(filepath.Join(top, ".git", "info", "exclude"))
			for _, name := range slices.Backward(between) {
				g.addFile(filepath.Join(top, ".gitignore"))
				g, top = g.in(name), filepath.Join(top, name)
			}
			return g
		}
		if filepath.Dir(top) == top {
			return &ignore{}
		}
		between = append(between, filepath.Base(top))
	}
}

// maxIgnore bounds a .gitignore, in bytes.
const maxIgnore = 1 << 20

func (g *ignore) addFile(path string) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxIgnore {
		return // git reads no such file, or nobody can
	}
	if text, err := os.ReadFile(path); err == nil {
		g.add(string(text))
	}
}
