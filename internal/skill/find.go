package skill

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A Place is a folder with folders of skills.
type Place struct {
	Dir     string
	Kind    Kind
	From    string       // as lists and the model are told
	Trusted func() error // says why its skills do not count, nil if they do; nil for a place that always counts
}

// A Finder finds skills. Its fields do not change.
type Finder struct {
	Places  []Place // the nearest first
	Store   *Store  // what was added, after all places; nil for none
	Off     []string
	Private func(dir string) bool // whether no skill may lie there; nil for nowhere
}

// Find lists all skills, those that count first. What is not offered has a State
// that says so. The notes say what else is wrong.
func (f Finder) Find() (all []Skill, notes []string) {
	for _, p := range f.Places {
		found, more := f.look(p)
		all, notes = append(all, found...), append(notes, more...)
	}
	if f.Store != nil {
		found, err := f.Store.list()
		if err != nil {
			notes = append(notes, err.Error())
		}
		all = append(all, found...)
	}
	nearest, here, usable := make(map[string]*Skill), make(map[string]bool), make(map[string]bool)
	for _, s := range all {
		usable[s.Dir] = usable[s.Dir] || s.State == On
	}
	all = slices.DeleteFunc(all, func(s Skill) bool { // a link of one place to another is no second skill
		if s.State == Untrusted && usable[s.Dir] { // the person has linked to it, and so chosen it
			return true
		}
		twice := here[s.Dir]
		here[s.Dir] = true
		return twice
	})
	for i := range all {
		s := &all[i]
		if s.State == On && slices.Contains(f.Off, s.Name) {
			s.State, s.Why = Off, "skills_off in the configuration names it"
		}
		if s.State != On && s.State != Off {
			continue
		}
		if first := nearest[s.Name]; first != nil {
			s.State, s.Why = Shadowed, "a nearer one has its name, in "+first.Dir
			continue
		}
		nearest[s.Name] = s
	}
	slices.SortStableFunc(all, func(a, b Skill) int { return cmp.Compare(rank(a.State), rank(b.State)) })
	return all, notes
}

func rank(s State) int {
	if s == On {
		return 0
	}
	return 1
}

// Notes say what a person should know who did not ask: which skills of theirs
// are not offered, and that a nearer one stands before another.
func Notes(all []Skill) []string {
	var notes []string
	for _, s := range all {
		switch s.State {
		case On, Off, Untrusted: // of the last, the configuration says so
		case Shadowed:
			notes = append(notes, fmt.Sprintf("the skill %s of %s is not used: %s", s.Name, s.From, s.Why))
		default:
			notes = append(notes, fmt.Sprintf("the skill %s of %s is left out: %s", cmp.Or(s.Name, filepath.Base(s.Dir)), s.From, s.Why))
		}
	}
	return notes
}

// look lists the skills of one place. One that is not there has none.
func (f Finder) look(p Place) (all []Skill, notes []string) {
	info, err := os.Lstat(p.Dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	if err == nil && p.Kind == Project && info.Mode()&fs.ModeSymlink != 0 {
		return nil, nil // often to another of the places; what it leads to may change
	}
	var untrusted error
	if p.Trusted != nil {
		untrusted = p.Trusted()
	}
	dirs, err := skillDirs(p)
	if err != nil {
		return nil, []string{fmt.Sprintf("the skills in %s are left out: %v", p.Dir, err)}
	}
	if len(dirs) > maxPlace {
		notes = append(notes, fmt.Sprintf("of the %d folders in %s the first %d are looked at for skills", len(dirs), p.Dir, maxPlace))
		dirs = dirs[:maxPlace]
	}
	for _, dir := range dirs {
		s, _, _, err := f.load(p, dir)
		if errors.Is(err, errNoSkill) {
			continue
		}
		switch {
		case err != nil:
			s.State, s.Why = Broken, err.Error()
		case untrusted != nil:
			s.State, s.Why = Untrusted, untrusted.Error()
		}
		all = append(all, s)
	}
	return all, notes
}

// skillDirs lists the folders of a place that may be skills: those in it, and
// those in a folder skills of them, as in the checkout of a repository.
func skillDirs(p Place) ([]string, error) {
	entries, err := os.ReadDir(p.Dir)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, e := range entries {
		dir := filepath.Join(p.Dir, e.Name())
		if !isDir(p, dir, e) {
			continue
		}
		if _, err := os.Lstat(filepath.Join(dir, "SKILL.md")); err == nil {
			dirs = append(dirs, dir)
			continue
		}
		inner, err := os.ReadDir(filepath.Join(dir, "skills"))
		if err != nil {
			continue // there is none
		}
		for _, e := range inner {
			if deep := filepath.Join(dir, "skills", e.Name()); isDir(p, deep, e) {
				dirs = append(dirs, deep)
			}
		}
	}
	return dirs, nil
}

// isDir reports whether a skill may lie there. A person may link to a folder of
// theirs; a project may not.
func isDir(p Place, dir string, e fs.DirEntry) bool {
	if strings.HasPrefix(e.Name(), ".") || e.Name() == "node_modules" {
		return false
	}
	if e.Type()&fs.ModeSymlink == 0 {
		return e.IsDir()
	}
	info, err := os.Stat(dir)
	return p.Kind == Own && err == nil && info.IsDir()
}

// errNoSkill says that a folder has no SKILL.md.
var errNoSkill = errors.New("there is no SKILL.md")

// load reads a skill as it is now, with its text and the bytes of its SKILL.md.
func (f Finder) load(p Place, dir string) (s Skill, body string, data []byte, err error) {
	s = Skill{Name: oneLine(filepath.Base(dir)), Kind: p.Kind, From: p.From, Dir: dir, State: On, place: p}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return s, "", nil, errNoSkill
	}
	if real != dir && f.Private != nil && f.Private(real) {
		return s, "", nil, errors.New("it is a link to where keys may be")
	}
	data, err = readIn(real, "SKILL.md", maxText)
	if errors.Is(err, fs.ErrNotExist) {
		return s, "", nil, errNoSkill
	}
	if err != nil {
		return s, "", nil, err
	}
	read, body, err := parse(data, filepath.Base(dir))
	if err == nil {
		s.Name = read.Name
	}
	s.Description, s.License, s.Compatibility, s.AllowedTools, s.Manual, s.Warnings = read.Description, read.License, read.Compatibility, read.AllowedTools, read.Manual, read.Warnings
	s.Dir = real
	return s, body, data, err
}

// readIn reads a regular file of a folder, whatever links there are.
func readIn(dir, name string, limit int64) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Stat(name) // before it is opened: a pipe would keep one waiting
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read within the skill's folder: %w", name, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file", name)
	case info.Size() > limit:
		return nil, fmt.Errorf("%s has more than %s", name, bytesOf(limit))
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %s", name, bytesOf(limit))
	}
	return data, err
}

// A File is a file of a skill, or of a repository.
type File struct {
	Path string // with slashes
	Size int64

	SHA1   string // of a repository's file: git's id
	SHA256 string // or this, of a large one
}

// Files lists the files of a skill beside its SKILL.md, as many as are told of,
// and how many there are. Links are not among them.
func (s Skill) Files() (files []File, total int) {
	_ = filepath.WalkDir(s.Dir, func(name string, d fs.DirEntry, err error) error { // what cannot be read is not listed
		if err != nil {
			return nil //nolint:nilerr // go on with the rest
		}
		if d.IsDir() && name != s.Dir && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		rel, err := filepath.Rel(s.Dir, name)
		if err != nil || !d.Type().IsRegular() || rel == "SKILL.md" {
			return nil //nolint:nilerr // likewise
		}
		if total++; total > 20*maxFiles {
			return fs.SkipAll
		}
		if info, err := d.Info(); err == nil && len(files) < maxListed {
			files = append(files, File{Path: clean(filepath.ToSlash(rel)), Size: info.Size()})
		}
		return nil
	})
	return files, total
}

const maxListed = 100

// A Text is what a skill, or one of its files, says.
type Text struct {
	Skill
	Name string // of the file, "" for the skill's own text
	Body string
}

// Errors of Read.
var (
	ErrUnknown = errors.New("there is no such skill")
	ErrNotOn   = errors.New("this skill is not offered")
)

// Read reads a skill that is on, as it is now, or one of its files. What it says
// is that of the skill that was trusted or added, or there is an error.
func (f Finder) Read(name, file string) (Text, error) {
	all, _ := f.Find()
	i := slices.IndexFunc(all, func(s Skill) bool { return s.Name == name && s.State != Shadowed })
	if i < 0 {
		return Text{}, fmt.Errorf("%w: %s", ErrUnknown, cut(oneLine(name), maxName))
	}
	s := all[i]
	if s.State != On {
		return Text{}, fmt.Errorf("%w: %s: %s: %s", ErrNotOn, s.Name, s.State, s.Why)
	}
	text := Text{Skill: s}
	var err error
	if file == "" || path.Clean(file) == "SKILL.md" {
		text.Body, err = f.readText(s)
	} else {
		text.Name = path.Clean(filepath.ToSlash(file))
		text.Body, err = f.readFile(s, text.Name)
	}
	if err != nil {
		return Text{}, err
	}
	if s.place.Trusted != nil { // once more: it may have changed until it was read
		if err := s.place.Trusted(); err != nil {
			return Text{}, fmt.Errorf("%w: %s: %w", ErrNotOn, s.Name, err)
		}
	}
	return text, nil
}

// Show is a skill's text for a person, whatever its state.
func (f Finder) Show(s Skill) (string, error) {
	_, body, _, err := f.load(s.place, s.Dir)
	return body, err
}

func (f Finder) readText(s Skill) (string, error) {
	_, body, data, err := f.load(s.place, s.Dir)
	if err == nil && s.Kind == Added {
		err = f.Store.check(s.Name, "SKILL.md", data)
	}
	return body, err
}

func (f Finder) readFile(s Skill, name string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", fmt.Errorf("%s is no file of the skill %s: paths begin in its folder", cut(oneLine(name), 200), s.Name)
	}
	data, err := readIn(s.Dir, filepath.FromSlash(name), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the skill %s has no file %s", s.Name, cut(oneLine(name), 200))
	}
	if err != nil {
		return "", err
	}
	if s.Kind == Added {
		if err := f.Store.check(s.Name, name, data); err != nil {
			return "", err
		}
	}
	if !isText(data) {
		return "", fmt.Errorf("%s is no text: it has %s and lies at %s", name, bytesOf(int64(len(data))), filepath.Join(s.Dir, filepath.FromSlash(name)))
	}
	return clean(string(data)), nil
}
