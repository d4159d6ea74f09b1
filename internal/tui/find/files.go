// Package find names the files of a workspace for who types, by the rules of
// .gitignore, and what of a list fits what was typed.
//
// Its one rule: it starts no program and looks at a bounded number of files. It
// owns nothing.
package find

import (
	"context"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// What a walk for completion looks at, at most.
const (
	mostFiles    = 20_000
	longestWalk  = 3 * time.Second
	largestRules = 64 << 10
)

// Files names the files of a folder and what is below it, without what git
// would ignore. No program is run: a folder's git may be anybody's.
func Files(ctx context.Context, dir string) []string {
	ctx, cancel := context.WithTimeout(ctx, longestWalk)
	defer cancel()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil
	}
	defer root.Close()
	var files []string
	rules := map[string][]ignoreRule{}
	_ = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fs.SkipDir
		}
		if ctx.Err() != nil || len(files) >= mostFiles {
			return fs.SkipAll
		}
		if name != "." && ignored(rules, name, d.IsDir()) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			rules[name] = readRules(root.FS(), name)
			if name != "." {
				files = append(files, name+"/")
			}
			return nil
		}
		files = append(files, name)
		return nil
	})
	slices.SortStableFunc(files, func(a, b string) int { return strings.Count(a, "/") - strings.Count(b, "/") })
	return files
}

// An ignoreRule is one line of a .gitignore.
type ignoreRule struct {
	pattern  string // below the folder of the file
	not, dir bool
}

func readRules(root fs.FS, dir string) []ignoreRule {
	f, err := root.Open(path.Join(dir, ".gitignore"))
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // it was only read
	data := make([]byte, largestRules)
	n, _ := f.Read(data)
	var rules []ignoreRule
	for line := range strings.Lines(string(data[:n])) {
		line = strings.TrimRight(line, " \r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		var r ignoreRule
		line, r.not = strings.CutPrefix(line, "!")
		line, r.dir = strings.CutSuffix(line, "/")
		if !strings.Contains(line, "/") {
			line = "**/" + line
		}
		r.pattern = strings.TrimPrefix(line, "/")
		if doublestar.ValidatePattern(r.pattern) {
			rules = append(rules, r)
		}
	}
	return rules
}

// ignored goes by the rules of all folders above; the last that fits counts.
func ignored(rules map[string][]ignoreRule, name string, isDir bool) bool {
	switch path.Base(name) {
	case ".git", "node_modules", "__pycache__", ".venv", ".tools":
		return true
	}
	hidden := false
	parents := []string{"."}
	for i, c := range name {
		if c == '/' {
			parents = append(parents, name[:i])
		}
	}
	for _, dir := range parents {
		below := name
		if dir != "." {
			below = name[len(dir)+1:]
		}
		for _, r := range rules[dir] {
			if r.dir && !isDir {
				continue
			}
			if ok, err := doublestar.Match(r.pattern, below); err == nil && ok {
				hidden = !r.not
			}
		}
	}
	return hidden
}
