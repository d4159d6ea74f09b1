package confine

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A guard looks after protected paths that no mount can cover: those that do
// not exist when a command starts, hidden ones too, and symbolic links. What the command made
// there is removed when it, and all that it started, has ended. A repository is
// the exception: a command may make one, and it is tamed.
type guard struct {
	rules   Rules
	missing []string
	links   map[string]string // where they lead
}

// watch notes what is there before a command.
func (r Rules) watch() guard {
	g := guard{rules: r, links: map[string]string{}}
	for _, p := range r.Hidden { // a key that a command leaves would be taken for the person's
		if longest(r.Writable, p) < 0 || !r.Hides(p) || r.Hides(filepath.Dir(p)) {
			continue
		}
		if _, err := os.Lstat(p); errors.Is(err, fs.ErrNotExist) {
			g.missing = append(g.missing, p)
		}
	}
	for _, p := range r.Protected {
		info, err := os.Lstat(p)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			g.missing = append(g.missing, p)
		case err == nil && info.Mode()&fs.ModeSymlink != 0:
			g.links[p], _ = os.Readlink(p)
		}
	}
	return g
}

// Watch notes what is there of the protected paths that no mount can cover, and
// returns what puts them back: Run does that by itself, Become cannot.
//
// The rules get what is protected of the repositories below Trees.
func Watch(rules *Rules) (restore func() []string, err error) {
	known := rules.real()
	found := new(repositories).before(&known)
	rules.Protected = known.Protected
	g := known.watch()
	var files map[string][]entry
	if rules.Bare {
		if files, err = g.rules.copies(); err != nil {
			return nil, fmt.Errorf("keep what is protected: %w", err)
		}
	}
	left := g.begin(found, files)
	return func() []string {
		defer left.end()
		return slices.Concat(g.putBack(files), g.restore(), found.after(known))
	}, nil
}

// restore undoes what the command did to them, and says so.
func (g guard) restore() []string {
	var notes []string
	for _, p := range g.missing {
		note, err := g.each(p, g.remove)
		notes = told(notes, p, note, err)
	}
	for p, to := range g.links {
		if now, err := os.Readlink(p); err == nil && now == to {
			continue
		}
		note, err := g.each(p, func(root *os.Root, rel string) (string, error) {
			return "was put back: commands may not change it", errors.Join(root.RemoveAll(rel), root.Symlink(to, rel))
		})
		notes = told(notes, p, note, err)
	}
	return notes
}

func told(notes []string, path, note string, err error) []string {
	switch {
	case err != nil:
		return append(notes, fmt.Sprintf("%s is protected, was changed, and cannot be put back: %v", path, err))
	case note != "":
		return append(notes, path+" "+note)
	}
	return notes
}

// each calls undo in the writable folder that p is in: no link that the command
// left leads undo out of it.
func (g guard) each(p string, undo func(root *os.Root, rel string) (string, error)) (string, error) {
	n := longest(g.rules.Writable, p)
	root, err := os.OpenRoot(p[:n])
	if errors.Is(err, fs.ErrNotExist) { // a folder that was opened once
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer root.Close()
	rel, err := filepath.Rel(p[:n], p)
	if err != nil {
		return "", err
	}
	return undo(root, rel)
}

// remove removes what is new at rel, or above it in place of a folder.
func (g guard) remove(root *os.Root, rel string) (string, error) {
	for dir := path.Dir(filepath.ToSlash(rel)); dir != "."; dir = path.Dir(dir) {
		if info, err := root.Lstat(dir); err == nil && !info.IsDir() {
			return "was to be reached by " + dir + ", which was removed", root.RemoveAll(dir)
		}
	}
	info, err := root.Lstat(rel)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case strings.HasSuffix(filepath.ToSlash(rel), gitConfig) && info.Mode().IsRegular():
		return tameConfig(root, rel)
	case strings.HasSuffix(filepath.ToSlash(rel), gitHooks) && info.IsDir():
		return tameHooks(root, rel)
	}
	return g.putAside(root, rel)
}

// How much of what is removed is kept.
const (
	maxAside      = 16 << 20
	maxAsideFiles = 1000
)

// putAside removes rel and keeps a copy, for a person may have made it while
// the command ran.
func (g guard) putAside(root *os.Root, rel string) (string, error) {
	if g.rules.Aside == "" {
		return "was removed: commands may not make it", root.RemoveAll(rel)
	}
	place := g.place(rel)
	if err := copyFrom(root.FS(), filepath.ToSlash(rel), place); err != nil {
		return "was removed, and not all of it could be kept (" + err.Error() + "): commands may not make it", root.RemoveAll(rel)
	}
	return "was moved to " + place + ": commands may not make it", root.RemoveAll(rel)
}

// place is where what is at rel is kept.
func (g guard) place(rel string) string {
	return filepath.Join(g.rules.Aside, time.Now().UTC().Format("20060102-150405.000000"), filepath.Base(rel))
}

// copyFrom copies the files at name and below; links are left out. What cannot
// be copied keeps nothing else from it: the error is the first one.
func copyFrom(from fs.FS, name, to string) error {
	var total int64
	var first error
	files := 0
	err := fs.WalkDir(from, name, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.Type().IsRegular() {
			return nil
		}
		if err == nil {
			if files++; files > maxAsideFiles {
				return errors.New("there are too many files")
			}
			err = copyFile(from, path, filepath.Join(to, filepath.FromSlash(strings.TrimPrefix(path, name))), &total)
		}
		first = cmp.Or(first, err)
		return nil
	})
	return cmp.Or(first, err)
}

func copyFile(from fs.FS, path, to string, total *int64) error {
	info, err := fs.Stat(from, path)
	if err != nil {
		return err
	}
	if *total+info.Size() > maxAside {
		return errors.New("it is too large")
	}
	*total += info.Size()
	data, err := fs.ReadFile(from, path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

// Paths that a new repository has.
const (
	gitConfig = ".git/config"
	gitHooks  = ".git/hooks"
)

// tameHooks leaves the samples, which git does not run.
func tameHooks(root *os.Root, rel string) (string, error) {
	entries, err := fs.ReadDir(root.FS(), filepath.ToSlash(rel))
	if err != nil {
		return "", err
	}
	note := ""
	for _, e := range entries {
		if sample(e) {
			continue
		}
		note = "lost what is no sample: git would run it later, outside the sandbox"
		err = errors.Join(err, root.RemoveAll(filepath.Join(rel, e.Name())))
	}
	return note, err
}

func sample(e fs.DirEntry) bool {
	return e.Type().IsRegular() && strings.HasSuffix(e.Name(), ".sample")
}

// harmlessSettings are the settings of a new repository that run nothing.
var harmlessSettings = map[string][]string{
	"core":       {"repositoryformatversion", "filemode", "bare", "logallrefupdates", "ignorecase", "precomposeunicode", "symlinks", "worktree"},
	"remote":     {"url", "fetch"},
	"branch":     {"remote", "merge", "rebase"},
	"user":       {"name", "email"},
	"init":       {"defaultbranch"},
	"extensions": {"objectformat"},
	"submodule":  {"url", "active", "branch"},
}

const maxConfig = 64 << 10

// tameConfig leaves the settings that run no program.
func tameConfig(root *os.Root, rel string) (string, error) {
	info, err := root.Lstat(rel)
	if err != nil {
		return "", err
	}
	if info.Size() > maxConfig {
		return "was removed: it is too long", root.Remove(rel)
	}
	data, err := root.ReadFile(rel)
	if err != nil {
		return "", err
	}
	tame := harmless(string(data))
	if tame == string(data) {
		return "", nil
	}
	// A new file: what another name of this one holds is not ours to write.
	return "lost the settings by which git could run programs", errors.Join(root.Remove(rel), root.WriteFile(rel, []byte(tame), 0o644))
}

// harmless is a git configuration without the lines that are not known to be.
func harmless(config string) string {
	var kept strings.Builder
	section := ""
	for line := range strings.Lines(config) {
		text := strings.TrimSpace(line)
		switch {
		case strings.HasSuffix(text, `\`): // goes on in the next line
			continue
		case strings.HasPrefix(text, "["):
			name, rest, closed := strings.Cut(text[1:], "]")
			section, _, _ = strings.Cut(strings.ToLower(name), " ")
			if !closed || strings.TrimSpace(rest) != "" || harmlessSettings[section] == nil {
				section = ""
				continue
			}
		case text != "":
			key, _, _ := strings.Cut(text, "=")
			if !slices.Contains(harmlessSettings[section], strings.ToLower(strings.TrimSpace(key))) {
				continue
			}
		}
		kept.WriteString(line)
	}
	return kept.String()
}
