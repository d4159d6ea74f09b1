package picture

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"ml-intern/internal/llm"
)

// MostFound is how many pictures one prompt may have.
const MostFound = 20

// A Finder looks for the pictures that prompts name.
type Finder struct {
	Dir    string                       // names are relative to it
	Home   string                       // what "~/" stands for; "" for nothing
	Inside bool                         // only what is in Dir: the text may be another's than the person's
	Held   func(name string) *llm.Image // a picture that is no file, by its name, nil if there is none; may be nil
}

// Find loads the pictures that the text names with an @, each once, in order:
// @plot.png, @"a plot.png", @'a plot.png', @a\ plot.png, @file:///tmp/plot.png. A
// name of anything else is left to be read. The errors say what of them could not
// be had, and are no reason not to go on.
func (f Finder) Find(text string) (found []*llm.Image, errs []error) {
	var seen []string
	for _, m := range mentions(text) {
		name, path, here := f.choose(m)
		if !here && !looksLike(name) || slices.Contains(seen, name) {
			continue
		}
		seen = append(seen, name)
		picture, err := f.load(name, path)
		switch {
		case errors.Is(err, ErrNone) && !looksLike(name):
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		case len(found) == MostFound:
			return found, append(errs, fmt.Errorf("%s: a prompt may have %d pictures", name, MostFound))
		default:
			found = append(found, picture)
		}
	}
	return found, errs
}

// choose is the name that is meant: what ends in a sign of the sentence is taken
// without it, if there is no such file.
func (f Finder) choose(m mention) (name, path string, here bool) {
	name = m.text
	for {
		if f.held(name) != nil {
			return name, "", true
		}
		path = f.path(name)
		if info, err := os.Stat(path); err == nil {
			return name, path, info.Mode().IsRegular()
		}
		short := strings.TrimRight(name, ".,;:!?)]}>\"'`")
		if m.quoted || short == name {
			return name, path, false
		}
		name = short
	}
}

func (f Finder) held(name string) *llm.Image {
	if f.Held == nil {
		return nil
	}
	return f.Held(name)
}

// path is the file that a name means.
func (f Finder) path(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok && f.Home != "" {
		return filepath.Join(f.Home, rest)
	}
	if path, ok := fileURL(name); ok {
		return path
	}
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(f.Dir, name)
}

func fileURL(name string) (path string, ok bool) {
	if !strings.HasPrefix(name, "file://") {
		return "", false
	}
	u, err := url.Parse(name)
	if err != nil || u.Host != "" && u.Host != "localhost" {
		return "", false
	}
	path = filepath.FromSlash(u.Path)
	if runtime.GOOS == "windows" {
		path = strings.TrimPrefix(path, `\`) // of \C:\folder
	}
	return path, true
}

func (f Finder) load(name, path string) (*llm.Image, error) {
	if picture := f.held(name); picture != nil {
		return picture, nil
	}
	if f.Inside && !f.inside(path) {
		return nil, ErrOutside
	}
	return ReadFile(name, path)
}

// inside reports whether the file is in Dir, wherever links lead. One that does
// not exist is nowhere.
func (f Finder) inside(path string) bool {
	dir, err := filepath.EvalSymlinks(f.Dir)
	if err != nil {
		return false
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// ReadFile makes a picture of a file. What is no picture is not read to its end.
func ReadFile(name, path string) (*llm.Image, error) {
	head, err := read(path, headBytes)
	if err != nil {
		return nil, err
	}
	if Kind(head) == "" {
		return nil, ErrNone
	}
	data, err := read(path, MostFile+1)
	switch {
	case err != nil:
		return nil, err
	case len(data) > MostFile:
		return nil, fmt.Errorf("the picture has more than %d MB: make it smaller", MostFile>>20)
	}
	return New(name, data)
}

// headBytes tell what a file is.
const headBytes = 16

// read reads the first bytes of a regular file.
func read(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path) // before it is opened: a pipe would wait for a writer
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, ErrMissing
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, ErrNone
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	return io.ReadAll(io.LimitReader(file, most))
}

// looksLike reports whether a name is that of a picture, by its end.
func looksLike(name string) bool {
	return slices.Contains([]string{".png", ".jpg", ".jpeg", ".gif", ".webp"}, strings.ToLower(filepath.Ext(name)))
}

// A mention is a name after an @.
type mention struct {
	text   string
	quoted bool
}

// mentions lists the names after an @ that begins a word.
func mentions(text string) []mention {
	var all []mention
	begins := true
	for i := 0; i < len(text); i++ {
		if text[i] == '@' && begins {
			if m, n := nameAt(text[i+1:]); m.text != "" {
				all = append(all, m)
				i += n
			}
		}
		begins = strings.IndexByte(" \t\r\n([{<,;:\"'`", text[i]) >= 0
	}
	return all
}

// nameAt reads a name: in quotes, or to the next blank that no backslash is
// before. It returns how many bytes it took.
func nameAt(text string) (mention, int) {
	if text != "" && (text[0] == '"' || text[0] == '\'') {
		if end := strings.IndexByte(text[1:], text[0]); end > 0 && !strings.Contains(text[1:1+end], "\n") {
			return mention{text[1 : 1+end], true}, end + 2
		}
		return mention{}, 0
	}
	var b strings.Builder
	i := 0
	for ; i < len(text) && strings.IndexByte(" \t\r\n", text[i]) < 0; i++ {
		if text[i] == '\\' && i+1 < len(text) && strings.IndexByte(` \'"()[]&$;!`, text[i+1]) >= 0 {
			i++
		}
		b.WriteByte(text[i])
	}
	return mention{text: b.String()}, i
}

// Pasted makes a mention of a text that is the name of a picture which is there,
// as terminals write it when a file is dropped on them or its name is pasted:
// bare, quoted, with backslashes, or as a file:// URL. It is "" for anything else.
func (f Finder) Pasted(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > 4096 || strings.ContainsAny(text, "\n\r") {
		return ""
	}
	whole := mention{text: text, quoted: true}
	candidates := []mention{whole}
	if m, n := nameAt(text); n == len(text) {
		candidates = append(candidates, mention{m.text, true})
	}
	for _, c := range candidates {
		path := f.path(c.text)
		if !looksLike(path) || strings.ContainsAny(path, "\"\n\r") {
			continue
		}
		if head, err := read(path, headBytes); err != nil || Kind(head) == "" {
			continue
		}
		if rel, err := filepath.Rel(f.Dir, path); err == nil && filepath.IsLocal(rel) {
			path = filepath.ToSlash(rel)
		}
		if strings.ContainsAny(path, " \t'\\()[]&$;!,") {
			return `@"` + path + `"`
		}
		return "@" + path
	}
	return ""
}

// Raw reports whether a pasted text is the data of a picture or another binary
// file: a terminal that sends that has broken it.
func Raw(text string) bool {
	return Kind([]byte(text)) != "" || strings.HasPrefix(text, "\uFFFDPNG") || strings.ContainsRune(text[:min(len(text), 4096)], 0)
}
