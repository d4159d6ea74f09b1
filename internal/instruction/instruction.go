// Package instruction finds what people have written for agents: AGENTS.md,
// CLAUDE.md and .ml-intern/instructions.md of a folder and those above it, and
// the person's own file.
//
// Its one rule: what it reads is text and allows nothing. A file is read only
// where it lies: a link that leads elsewhere, and a file of somebody who could
// have put it there for others, are left out.
package instruction

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of what is read, in bytes.
const (
	MaxFile = 16 << 10
	MaxAll  = 32 << 10
)

// A File is what one file says.
type File struct {
	Path string `json:"path"`
	Text string `json:"text"`
	Own  bool   `json:"own,omitempty"` // the person's own, else the project's
}

// A Place says where to look.
type Place struct {
	Own     string                // the person's file
	Dir     string                // the workspace, absolute
	Home    string                // the person's home, "" for none
	Trusted func(dir string) bool // whether what lies in .ml-intern of a folder counts
}

// names are the files of a folder, the one that counts most last.
func names() []string {
	return []string{"CLAUDE.md", "AGENTS.md", filepath.Join(".ml-intern", "instructions.md")}
}

// Find reads the files: the person's own, then the project's, the outermost
// folder first. The notes say what was left out, for the person.
func Find(p Place) (files []File, notes []string) {
	add := func(dir, name string, own bool) {
		file, note, err := read(dir, name)
		if err != nil {
			note = fmt.Sprintf("instructions in %s are left out: %v", filepath.Join(dir, name), err)
		}
		if note != "" {
			notes = append(notes, note)
		}
		if file.Text == "" || slices.ContainsFunc(files, func(f File) bool { return f.Text == file.Text }) {
			return // CLAUDE.md is often a link to AGENTS.md
		}
		file.Own = own
		files = append(files, file)
	}
	add(filepath.Dir(p.Own), filepath.Base(p.Own), true)
	for _, dir := range slices.Backward(folders(p)) {
		for _, name := range names() {
			if filepath.Dir(name) != "." && p.Trusted != nil && !p.Trusted(dir) {
				if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
					notes = append(notes, fmt.Sprintf("instructions in %s are left out: you have not trusted this folder; look at it, then: ml-intern config trust %s", filepath.Join(dir, name), dir))
				}
				continue
			}
			add(dir, name, false)
		}
	}
	return fit(files, notes)
}

// fit leaves out of the outermost project files what is too much in all.
func fit(files []File, notes []string) ([]File, []string) {
	total := 0
	for i, f := range slices.Backward(files) {
		if total += len(f.Text); total > MaxAll {
			for _, gone := range files[:i+1] {
				notes = append(notes, fmt.Sprintf("instructions in %s are left out: with those that count more they have more than %d KB", gone.Path, MaxAll>>10))
			}
			return files[i+1:], notes
		}
	}
	return files, notes
}

// folders are the workspace and those above it, up to the root of the
// repository or the home of the person. Outside both it is the workspace alone:
// who knows who may write above it.
func folders(p Place) []string {
	var all []string
	for dir := filepath.Clean(p.Dir); ; dir = filepath.Dir(dir) {
		all = append(all, dir)
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil || dir == filepath.Clean(p.Home) {
			return all
		}
		if dir == filepath.Dir(dir) {
			return all[:1]
		}
	}
}

// read reads a file of a folder, up to MaxFile. A file that is not there has no
// text.
func read(dir, name string) (file File, note string, err error) {
	file.Path = filepath.Join(dir, name)
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return file, "", nil
	}
	if err != nil {
		return file, "", err
	}
	defer root.Close()
	info, err := root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return file, "", nil
	case err != nil:
		return file, "", err
	case !info.Mode().IsRegular():
		return file, "", errors.New("it is no file")
	}
	real, err := filepath.EvalSymlinks(file.Path)
	if err != nil {
		return file, "", err
	}
	if !strings.EqualFold(filepath.Ext(real), ".md") {
		return file, "", fmt.Errorf("it is a link to %s, which is no such text", filepath.Base(real))
	}
	if !ours(info, dir) {
		return file, "", errors.New("it belongs to another user")
	}
	f, err := root.Open(name)
	if err != nil {
		return file, "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return file, "", err
	}
	file.Text = clean(string(data[:min(len(data), MaxFile)]))
	if len(data) > MaxFile {
		if end := strings.LastIndexByte(file.Text, '\n'); end > 0 {
			file.Text = file.Text[:end]
		}
		file.Text += "\n[the rest of this file was left out]"
		note = fmt.Sprintf("%s has %d KB: of it the first %d KB are instructions", file.Path, info.Size()>>10, MaxFile>>10)
	}
	return file, note, nil
}

// clean is a text without what is not meant to be read.
func clean(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(strings.TrimPrefix(text, "\ufeff"), ""), "\r\n", "\n")
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, text)
	return strings.TrimSpace(text)
}
