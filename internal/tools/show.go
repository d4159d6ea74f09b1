package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"

	"ml-intern/internal/tool"
)

// maxShow is how much a person is shown of one call, in bytes.
const maxShow = 256 << 10

// showing is what a person sees of a call by its arguments of type In.
func showing[In any](show func(context.Context, In) string) func(context.Context, string) string {
	return func(ctx context.Context, args string) string {
		var in In
		if json.Unmarshal([]byte(args), &in) != nil {
			return "" // the tool will refuse it
		}
		text := strings.ToValidUTF8(show(ctx, in), "?")
		if len(text) > maxShow {
			return strings.ToValidUTF8(text[:maxShow], "") + fmt.Sprintf("\n[… %d bytes more]", len(text)-maxShow)
		}
		return text
	}
}

// change is what writing the content would change in a file.
func change(ctx context.Context, sb files, path, content string) string {
	before, err := sb.ReadFile(ctx, path, maxReadFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "new file " + path + ":\n" + content
	case err != nil:
		return fmt.Sprintf("the file as it is cannot be shown (%v); its new content:\n%s", err, content)
	case !utf8.Valid(before):
		return fmt.Sprintf("%s is not text; its %d bytes become:\n%s", path, len(before), content)
	case string(before) == content:
		return path + " stays as it is"
	}
	return udiff.Unified(path, path, string(before), content)
}

// writing is the impact of changing a file of the workspace.
func writing[In any](sb resolver, path func(In) string) func(string) tool.Impact {
	return impact(tool.Writes, func(in In, i *tool.Impact) {
		abs, _ := sb.Resolve(path(in))
		i.Paths = touched(abs)
	})
}

// touched are the names of a file that rules may know it by: as it was given,
// and where links lead.
func touched(abs string) []string {
	paths := []string{abs}
	for there, below := abs, ""; ; there, below = filepath.Dir(there), filepath.Join(filepath.Base(there), below) {
		if real, err := filepath.EvalSymlinks(there); err == nil {
			paths = append(paths, filepath.Join(real, below))
			break
		}
		if there == filepath.Dir(there) {
			break
		}
	}
	return slices.Compact(paths)
}

// show is the job in full, with its script as it is now.
func (in jobInput) show(dir string) string {
	text := plainly(in)
	if in.Script == "" {
		return text
	}
	path := in.Script
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	script, err := head(path, maxShow)
	if err != nil {
		return fmt.Sprintf("%s\nthe script cannot be shown: %v", text, err)
	}
	return fmt.Sprintf("%s\n%s:\n%s", text, in.Script, script)
}

// plainly lists what is set in a call's arguments, one to a line.
func plainly(in any) string {
	data, err := json.Marshal(in)
	if err != nil {
		return fmt.Sprint(err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	var b strings.Builder
	_, err = dec.Token()
	for err == nil && dec.More() {
		var key json.Token
		var value json.RawMessage
		if key, err = dec.Token(); err == nil {
			err = dec.Decode(&value)
		}
		var text string
		if json.Unmarshal(value, &text) != nil || strings.ContainsFunc(text, unicode.IsControl) {
			text = string(value)
		}
		fmt.Fprintf(&b, "%s: %s\n", key, text)
	}
	return b.String()
}

// head reads the beginning of a regular file.
func head(path string, limit int64) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	return string(data), err
}
