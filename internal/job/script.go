package job

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ml-intern/internal/lazyregexp"
)

// MaxScript is the largest script, in bytes: what is larger is data in the wrong
// place.
const MaxScript = 16 << 20

// ReadScript reads the spec's script through the folder it must be in, so that
// neither ".." nor a symbolic link leads out.
func ReadScript(spec Spec) ([]byte, error) {
	if !filepath.IsLocal(spec.Script) {
		return nil, fmt.Errorf("script %q is not inside the job's folder %s", spec.Script, spec.Dir)
	}
	root, err := os.OpenRoot(spec.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the job's folder: %w", err)
	}
	defer root.Close()
	info, err := root.Stat(spec.Script) // first: opening a pipe would wait for a writer
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no script %s in %s: %w", spec.Script, spec.Dir, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("read script in %s: %w", spec.Dir, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("script %s is not a file", spec.Script)
	case info.Size() > MaxScript:
		return nil, fmt.Errorf("script %s has %d bytes, more than the %d of any script", spec.Script, info.Size(), MaxScript)
	}
	file, err := root.Open(spec.Script)
	if err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	defer file.Close()
	source, err := io.ReadAll(io.LimitReader(file, MaxScript))
	if err != nil {
		return nil, fmt.Errorf("read script %s: %w", spec.Script, err)
	}
	return source, nil
}

// metadataBlock is how PEP 723 writes what a script needs.
var metadataBlock = lazyregexp.New(`(?m)^# /// script[ \t]*\r?\n((?:#(?: .*)?\r?\n)+)# ///[ \t]*\r?$`)

// Metadata returns the TOML that a script carries in its comments (PEP 723), and
// whether it carries any.
func Metadata(source []byte) (toml string, ok bool) {
	match := metadataBlock.FindSubmatch(source)
	if match == nil {
		return "", false
	}
	var text strings.Builder
	for line := range strings.Lines(string(match[1])) {
		line = strings.TrimPrefix(strings.TrimPrefix(line, "#"), " ")
		text.WriteString(strings.TrimRight(line, "\r\n") + "\n")
	}
	return text.String(), true
}
