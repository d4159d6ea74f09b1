package tools

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"

	"ml-intern/internal/picture"
	"ml-intern/internal/sandbox"
	"ml-intern/internal/tool"
)

// files is the part of a sandbox that the file tools use.
type files interface {
	resolver
	ReadFile(ctx context.Context, path string, max int64) ([]byte, error)
	WriteFile(ctx context.Context, path string, data []byte) (sandbox.Kept, error)
}

const (
	maxReadFile  = 16 << 20 // bytes of a file that is read as text
	maxReadLines = 1000
	maxLineBytes = 2000
)

// Read shows a text file with line numbers, or a picture.
func Read(sb files) tool.Tool {
	type input struct {
		Path   string `json:"path" jsonschema:"relative to the workspace or absolute"`
		Offset int    `json:"offset,omitempty" jsonschema:"first line, from 1"`
		Limit  int    `json:"limit,omitempty" jsonschema:"lines, 1000 at most"`
	}
	s := spec("read", tool.Reads)
	s.Impact = reading(sb, func(in input) string { return in.Path })
	var decoding sync.Mutex
	return tool.New(s, func(ctx context.Context, in input, _ tool.Call) (tool.Output, error) {
		data, err := sb.ReadFile(ctx, in.Path, maxReadFile)
		if err != nil {
			return tool.Output{}, err
		}
		switch kind := http.DetectContentType(data); {
		case picture.Kind(data) != "":
			decoding.Lock() // a large one takes much memory
			defer decoding.Unlock()
			return shown(in.Path, data)
		case strings.HasPrefix(kind, "image/"):
			return tool.Output{}, fmt.Errorf("%s is a picture of type %s; make a PNG or JPEG of it to look at it", in.Path, kind)
		}
		if bytes.IndexByte(data[:min(len(data), 8000)], 0) >= 0 {
			return tool.Output{}, fmt.Errorf("%s is a binary file of %d bytes; look at it with a command", in.Path, len(data))
		}
		text, shown, total := numbered(sandbox.Printable(data), in.Offset, in.Limit)
		return tool.Output{Text: text, Summary: fmt.Sprintf("read %s: %d of %d lines", in.Path, shown, total)}, nil
	})
}

// shown shows a picture to the model.
func shown(path string, data []byte) (tool.Output, error) {
	p, err := picture.New(path, data)
	if err != nil {
		return tool.Output{}, fmt.Errorf("%s: %w", path, err)
	}
	text := fmt.Sprintf("%s is a picture (%s, %d bytes)", path, http.DetectContentType(data), len(data))
	if p.Bytes != len(data) {
		text += fmt.Sprintf("; you see it at %d×%d", p.Width, p.Height)
	} else if p.Width > 0 {
		text += fmt.Sprintf(" of %d×%d", p.Width, p.Height)
	}
	return tool.Output{Text: text, Summary: text, Image: p}, nil
}

// numbered returns limit lines from line offset on, each with its number.
func numbered(text string, offset, limit int) (out string, shown, total int) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if text == "" {
		return "[the file is empty]", 0, 0
	}
	if limit <= 0 || limit > maxReadLines {
		limit = maxReadLines
	}
	first := max(offset-1, 0)
	if first >= len(lines) {
		return fmt.Sprintf("[the file has %d lines, none from %d on]", len(lines), offset), 0, len(lines)
	}
	last := min(first+limit, len(lines))
	var b strings.Builder
	for i, line := range lines[first:last] {
		if len(line) > maxLineBytes {
			line = strings.ToValidUTF8(line[:maxLineBytes], "") + fmt.Sprintf(" [… %d bytes more]", len(line)-maxLineBytes)
		}
		fmt.Fprintf(&b, "%6d\t%s\n", first+i+1, line)
	}
	if last < len(lines) {
		fmt.Fprintf(&b, "[%d more lines; go on with offset %d]\n", len(lines)-last, last+1)
	}
	return b.String(), last - first, len(lines)
}

// Write replaces or creates a file of the workspace.
func Write(sb files) tool.Tool {
	type input struct {
		Path    string `json:"path"`
		Content string `json:"content"`
	}
	s := spec("write", tool.Writes)
	s.Impact = writing(sb, func(in input) string { return in.Path })
	s.Show = showing(func(ctx context.Context, in input) string { return change(ctx, sb, in.Path, in.Content) })
	return tool.New(s, func(ctx context.Context, in input, _ tool.Call) (tool.Output, error) {
		kept, err := sb.WriteFile(ctx, in.Path, []byte(in.Content))
		if err != nil {
			return tool.Output{}, err
		}
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte(in.Content)))
		text := fmt.Sprintf("wrote %s: %d bytes, sha256 %s", in.Path, len(in.Content), sum) + keptWords(kept)
		return tool.Output{Text: text, Summary: fmt.Sprintf("wrote %s, %d bytes", in.Path, len(in.Content)), Artifacts: []tool.Artifact{fileArtifact(sb, in.Path, sum)}, Facts: fileFact(in.Path, text)}, nil
	})
}

// keptWords says what became of weights and data that were written over.
func keptWords(all ...sandbox.Kept) string {
	var b strings.Builder
	for i, k := range all {
		if k.Path == "" {
			continue
		}
		if i == maxKeptWords {
			fmt.Fprintf(&b, "\n%d more files were written over or deleted; what could be kept of them is beside it", len(all)-i)
			break
		}
		b.WriteString("\n" + k.String())
	}
	return b.String()
}

const maxKeptWords = 10

func fileFact(path, text string) []tool.Fact {
	return []tool.Fact{{Kind: "Files written", Name: path, Text: text}}
}

func fileArtifact(sb resolver, path, sum string) tool.Artifact {
	abs, _ := sb.Resolve(path)
	return tool.Artifact{Kind: "file", Path: filepath.ToSlash(abs), SHA256: sum}
}

// Edit replaces text in a file of the workspace.
func Edit(sb files) tool.Tool {
	type input struct {
		Path string `json:"path"`
		Old  string `json:"old"`
		New  string `json:"new"`
		All  bool   `json:"all,omitempty"`
	}
	s := spec("edit", tool.Writes)
	s.Impact = writing(sb, func(in input) string { return in.Path })
	s.Show = showing(func(ctx context.Context, in input) string {
		data, err := sb.ReadFile(ctx, in.Path, maxReadFile)
		if err != nil {
			return "the edit will fail: " + err.Error()
		}
		edited, _, err := replaceText(string(data), in.Old, in.New, in.All)
		if err != nil {
			return "the edit will fail: " + err.Error()
		}
		return change(ctx, sb, in.Path, edited)
	})
	return tool.New(s, func(ctx context.Context, in input, _ tool.Call) (tool.Output, error) {
		data, err := sb.ReadFile(ctx, in.Path, maxReadFile)
		if err != nil {
			return tool.Output{}, err
		}
		edited, n, err := replaceText(string(data), in.Old, in.New, in.All)
		if err != nil {
			return tool.Output{}, fmt.Errorf("edit %s: %w; the file is unchanged", in.Path, err)
		}
		kept, err := sb.WriteFile(ctx, in.Path, []byte(edited))
		if err != nil {
			return tool.Output{}, err
		}
		text := fmt.Sprintf("edited %s: %d replaced", in.Path, n)
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte(edited)))
		return tool.Output{Text: text + ", sha256 " + sum + keptWords(kept), Summary: text, Artifacts: []tool.Artifact{fileArtifact(sb, in.Path, sum)}, Facts: fileFact(in.Path, text)}, nil
	})
}

// replaceText puts repl in place of old, which must occur once unless all is
// set. A file with Windows line ends is matched by text with plain ones.
func replaceText(text, old, repl string, all bool) (string, int, error) {
	switch {
	case old == "":
		return "", 0, errors.New("the text to replace is empty")
	case old == repl:
		return "", 0, errors.New("the new text is the same as the old")
	case !utf8.ValidString(text):
		return "", 0, errors.New("the file is not UTF-8 text")
	}
	n := strings.Count(text, old)
	if n == 0 && strings.Contains(text, "\r\n") && !strings.Contains(old, "\r") {
		crlf := strings.NewReplacer("\n", "\r\n")
		old, repl = crlf.Replace(old), crlf.Replace(repl)
		n = strings.Count(text, old)
	}
	switch {
	case n == 0:
		return "", 0, errors.New("the old text is not in the file; read the file and copy the text exactly")
	case n > 1 && !all:
		return "", 0, fmt.Errorf("the old text is there %d times; give more of what surrounds it, or set all", n)
	}
	return strings.ReplaceAll(text, old, repl), n, nil
}
