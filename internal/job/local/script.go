package local

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"ml-intern/internal/job"
)

// maxScript is the largest script: what is larger is data in the wrong place.
const maxScript = 16 << 20

// commandLine returns the arguments of a job without a script.
func (b Backend) commandLine(spec job.Spec) ([]string, error) {
	argv := append(append([]string{}, spec.Command...), spec.Args...)
	if strings.ContainsRune(argv[0], filepath.Separator) {
		path := argv[0]
		if !filepath.IsAbs(path) {
			path = filepath.Join(spec.Dir, path)
		}
		if _, err := exec.LookPath(path); err != nil {
			return nil, fmt.Errorf("find the job's program: %w", err)
		}
		argv[0] = path
		return argv, nil
	}
	if _, err := exec.LookPath(argv[0]); err != nil {
		return nil, fmt.Errorf("find the job's program: %w", err)
	}
	return argv, nil
}

// takeScript copies the job's script to its folder, so that the job runs what
// was submitted, and decides how it is run.
func (b Backend) takeScript(f folder, rec *record) error {
	source, err := readScript(rec.Spec)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(source)
	rec.ScriptSHA256 = hex.EncodeToString(sum[:])
	rec.ImportDir = filepath.Dir(filepath.Join(rec.Spec.Dir, rec.Spec.Script))

	dir := f.path(scriptDir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("copy script: %w", err)
	}
	name := filepath.Base(rec.Spec.Script)
	if err := writeFile(filepath.Join(dir, name), source); err != nil {
		return fmt.Errorf("copy script: %w", err)
	}
	run, err := b.interpreter(string(source))
	if err != nil {
		return fmt.Errorf("run %s: %w", rec.Spec.Script, err)
	}
	// The folder moves when the job is accepted.
	copied := filepath.Join(b.Dir, jobsDir, rec.ID, scriptDir, name)
	rec.Argv = append(append(run, copied), rec.Spec.Args...)
	return nil
}

// readScript reads the script through the folder it must be in, so that neither
// ".." nor a symbolic link leads out.
func readScript(spec job.Spec) ([]byte, error) {
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
	case info.Size() > maxScript:
		return nil, fmt.Errorf("script %s has %d bytes, more than the %d of any script", spec.Script, info.Size(), maxScript)
	}
	file, err := root.Open(spec.Script)
	if err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	defer file.Close()
	source, err := io.ReadAll(io.LimitReader(file, maxScript))
	if err != nil {
		return nil, fmt.Errorf("read script %s: %w", spec.Script, err)
	}
	return source, nil
}

// interpreter returns the arguments before the script's path: uv for a script
// that says what it needs (PEP 723), else python.
func (b Backend) interpreter(source string) ([]string, error) {
	if block, ok := inlineMetadata(source); ok {
		uv, err := exec.LookPath(cmp.Or(b.UV, "uv"))
		if err == nil {
			// The workspace's own project must not change what the script gets.
			return []string{uv, "run", "--no-project", "--quiet", "--script"}, nil
		}
		if needs := dependencies(block); len(needs) > 0 {
			return nil, fmt.Errorf("the script depends on %s, which uv installs, and uv is not there: "+
				"install it with `pip install uv` or from https://docs.astral.sh/uv/", strings.Join(needs, ", "))
		}
	}
	for _, name := range []string{cmp.Or(b.Python, "python3"), "python"} {
		if python, err := exec.LookPath(name); err == nil {
			return []string{python}, nil
		} else if b.Python != "" {
			return nil, fmt.Errorf("find python: %w", err)
		}
	}
	return nil, errors.New("there is no python3 on this machine's PATH: install it, or uv")
}

// metadataBlock is how PEP 723 writes a block.
var metadataBlock = regexp.MustCompile(`(?m)^# /// script[ \t]*\r?\n((?:#(?: .*)?\r?\n)+)# ///[ \t]*\r?$`)

// inlineMetadata returns the TOML that a script carries in its comments.
func inlineMetadata(source string) (toml string, ok bool) {
	match := metadataBlock.FindStringSubmatch(source)
	if match == nil {
		return "", false
	}
	var text strings.Builder
	for line := range strings.Lines(match[1]) {
		line = strings.TrimPrefix(strings.TrimPrefix(line, "#"), " ")
		text.WriteString(strings.TrimRight(line, "\r\n") + "\n")
	}
	return text.String(), true
}

var dependenciesKey = regexp.MustCompile(`(?m)^[ \t]*dependencies[ \t]*=[ \t]*\[`)

// dependencies returns the strings of the metadata's list of dependencies.
func dependencies(toml string) []string {
	at := dependenciesKey.FindStringIndex(toml)
	if at == nil {
		return nil
	}
	var found []string
	for rest := toml[at[1]:]; rest != ""; {
		switch c := rest[0]; c {
		case ']':
			return found
		case '#':
			_, rest, _ = strings.Cut(rest, "\n")
		case '"', '\'':
			var text string
			text, rest, _ = strings.Cut(rest[1:], string(c))
			found = append(found, text)
		default:
			rest = rest[1:]
		}
	}
	return found
}
