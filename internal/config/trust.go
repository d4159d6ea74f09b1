package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Trust says whether what a folder brings with it counts: the settings of its
// file that widen something, its hooks, and what else lies in .ml-intern.
type Trust string

// The states of trust.
const (
	NothingToTrust Trust = ""          // the folder brings nothing
	Untrusted      Trust = "untrusted" // the person has not said that they trust it
	Changed        Trust = "changed"   // what they trusted was something else
	Trusted        Trust = "trusted"
)

// Bounds of what can be trusted: it is read whole whenever it is looked at.
const (
	maxTrustedFiles = 2000
	maxTrustedBytes = 32 << 20
)

// ProjectDir is the folder of a project that holds what it brings.
func ProjectDir(dir string) string { return filepath.Join(dir, ".ml-intern") }

// trustFile holds the folders that the person trusts: the digest of what they
// trusted, by real path.
func (c *Config) trustFile() string { return filepath.Join(c.Paths.Config, "trusted.json") }

// trustOf looks at a folder.
func (c *Config) trustOf(dir string) (Trust, error) {
	if len(c.brought(dir)) == 0 {
		return NothingToTrust, nil
	}
	known, err := c.trusted()
	if err != nil {
		return Untrusted, err
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return Untrusted, fmt.Errorf("find folder: %w", err)
	}
	want, ok := known[real]
	if !ok {
		return Untrusted, nil
	}
	if got, err := c.digest(real); err != nil || got != want {
		return Changed, nil //nolint:nilerr // what cannot be read is not what was trusted
	}
	return Trusted, nil
}

// Trusts reports whether what lies in .ml-intern of the folder counts. What
// cannot be looked at does not.
func (c *Config) Trusts(dir string) bool {
	state, err := c.trustOf(dir)
	return err == nil && state == Trusted
}

// StillTrusted fails if the folder brings something else than what the person
// trusted.
func (c *Config) StillTrusted(dir string) error {
	if state, err := c.trustOf(dir); err != nil || state != Trusted {
		return errors.Join(fmt.Errorf("%s is no longer what you trusted; look at it, then: ml-intern config trust", c.Brought(dir)), err)
	}
	return nil
}

func (c *Config) trusted() (map[string]string, error) {
	known := make(map[string]string)
	text, err := os.ReadFile(c.trustFile())
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read trusted folders: %w", err)
	}
	if err := json.Unmarshal(text, &known); err != nil {
		return nil, fmt.Errorf("read trusted folders: %s: %w; remove the file to trust none", c.trustFile(), err)
	}
	return known, nil
}

// TrustFolder makes what the folder brings count, as it is now.
func (c *Config) TrustFolder(dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("find folder: %w", err)
	}
	sum, err := c.digest(real)
	if err != nil {
		return err
	}
	return c.changeTrust(func(known map[string]string) { known[real] = sum })
}

// DistrustFolder takes trust back, and reports whether there was any.
func (c *Config) DistrustFolder(dir string) (was bool, err error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		real = filepath.Clean(dir) // it may be gone
	}
	err = c.changeTrust(func(known map[string]string) {
		_, was = known[real]
		delete(known, real)
	})
	return was, err
}

func (c *Config) changeTrust(change func(map[string]string)) error {
	known, err := c.trusted()
	if err != nil {
		return err
	}
	change(known)
	text, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return fmt.Errorf("encode trusted folders: %w", err)
	}
	return replace(c.trustFile(), append(text, '\n'))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// Brought names what the folder brings.
func (c *Config) Brought(dir string) string {
	if all := c.brought(dir); len(all) > 0 {
		return strings.Join(all, " and ")
	}
	return ProjectDir(dir)
}

func (c *Config) brought(dir string) (all []string) {
	for _, path := range slices.Concat([]string{ProjectDir(dir), ServersFile(dir)}, c.otherSkills(dir)) {
		if exists(path) {
			all = append(all, path)
		}
	}
	return all
}

// SkillFolders are the folders of a project that may hold skills, the one that
// counts most first.
func (c *Config) SkillFolders(dir string) []string {
	return append([]string{filepath.Join(ProjectDir(dir), "skills")}, c.otherSkills(dir)...)
}

// otherSkills are those that other agents read, too. In the person's home they
// are the person's, and no project's.
func (c *Config) otherSkills(dir string) []string {
	if home := c.Home(); home != "" && sameDir(dir, home) {
		return nil
	}
	return []string{filepath.Join(dir, ".agents", "skills"), filepath.Join(dir, ".claude", "skills")}
}

// Home is the person's home, "" if it is not known.
func (c *Config) Home() string { return cmp.Or(c.env["HOME"], c.env["USERPROFILE"]) }

func sameDir(a, b string) bool {
	real, err := filepath.EvalSymlinks(b)
	return filepath.Clean(a) == filepath.Clean(b) || err == nil && filepath.Clean(a) == real
}

// digest is the digest of all that a folder brings: its .ml-intern, its
// .mcp.json and its skills.
func (c *Config) digest(folder string) (string, error) {
	h := sha256.New()
	if dir := ProjectDir(folder); exists(dir) || len(c.brought(folder)) == 0 {
		if err := addFolder(h, dir, false); err != nil {
			return "", err
		}
	}
	for _, dir := range c.otherSkills(folder) {
		if !exists(dir) {
			continue
		}
		fmt.Fprintf(h, "skills %s\n", filepath.Base(filepath.Dir(dir)))
		if err := addFolder(h, dir, true); err != nil {
			return "", err
		}
	}
	if file := ServersFile(folder); exists(file) {
		info, err := os.Lstat(file)
		switch {
		case err != nil:
			return "", fmt.Errorf("look at what would be trusted: %w", err)
		case !info.Mode().IsRegular() || info.Size() > maxServersFile:
			return "", fmt.Errorf("%s is a link, a special file or has more than %d MB, which cannot be trusted", file, maxServersFile>>20)
		}
		fmt.Fprintf(h, "servers %d\n", info.Size())
		if err := addFile(h, file); err != nil {
			return "", fmt.Errorf("look at what would be trusted: %w", err)
		}
	}
	return fmt.Sprintf("sha256:%x", h.Sum(nil)), nil
}

// addFolder adds names, kinds and contents of all in a folder, but for what the
// program itself keeps there. Links are refused: what they lead to may change.
// Where nobody follows them they are added by what they say.
func addFolder(h io.Writer, dir string, links bool) error {
	files, bytes := 0, int64(0)
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		if d.IsDir() && rel == "kept" && !links {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files++
		bytes += info.Size()
		switch {
		case files > maxTrustedFiles || bytes > maxTrustedBytes:
			return fmt.Errorf("%s holds more than %d files or %d MB, too much to be trusted", dir, maxTrustedFiles, maxTrustedBytes>>20)
		case links && info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(file)
			fmt.Fprintf(h, "%q link %q\n", filepath.ToSlash(rel), to)
			return err
		case !d.IsDir() && !info.Mode().IsRegular():
			return fmt.Errorf("%s is a link or a special file, which cannot be trusted", file)
		}
		fmt.Fprintf(h, "%q %v %v %d\n", filepath.ToSlash(rel), d.IsDir(), info.Mode()&0o111 != 0, info.Size())
		if d.IsDir() {
			return nil
		}
		return addFile(h, file)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is nothing to trust: no folder %s", dir)
	}
	if err != nil {
		return fmt.Errorf("look at what would be trusted: %w", err)
	}
	return nil
}

func addFile(h io.Writer, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(h, io.LimitReader(f, maxTrustedBytes))
	return err
}

// Notes says what of the folder's files was ignored, and how to change that.
func (c *Config) Notes() []string {
	var notes []string
	if len(c.unset) > 0 {
		notes = append(notes, fmt.Sprintf("ignored: %s in .env, which say where programs and files are, or where telemetry goes: set them in the environment", strings.Join(c.unset, ", ")))
	}
	notes = append(append(notes, c.foreign...), c.servers...)
	ignored := c.ignored
	if c.Trust != Trusted {
		for _, dir := range c.SkillFolders(c.Dir) {
			if exists(dir) {
				ignored = append(slices.Clip(ignored), dir+": its skills")
			}
		}
	}
	if len(ignored) == 0 {
		return notes
	}
	why := "you have not trusted this folder"
	if c.Trust == Changed {
		why = "it has changed since you trusted this folder"
	}
	for _, text := range ignored {
		notes = append(notes, "ignored: "+text)
	}
	return append(notes, fmt.Sprintf("%s; look at %s, then: ml-intern config trust %s", why, c.Brought(c.Dir), quoted(c.Dir)))
}

func quoted(s string) string {
	if strings.ContainsAny(s, " '\"$\\") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}
