package hfjobs

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ml-intern/internal/job"
	"ml-intern/internal/lazyregexp"
)

//go:embed wrap.sh
var wrapScript string

const (
	maxScript = 16 << 20

	// A program's arguments and variables have a limit together, and the Hub
	// keeps them with the job.
	maxLoad = 1 << 20
	maxPart = 96 << 10
)

// A load is what a job brings along.
type load struct {
	command      []string
	files        string // base64 of a compressed archive, "" for none
	bare         int    // so many arguments give way to python where there is no uv; 0 if uv is needed
	scriptSHA256 string
}

// wrap returns the command that runs the load under wrap.sh, and adds to env
// what that has to know.
func (l load) wrap(id string, env map[string]string) []string {
	env["ML_INTERN_JOB"], env["ML_INTERN_WRAP"] = id, wrapScript
	if l.bare > 0 {
		env["ML_INTERN_BARE"] = strconv.Itoa(l.bare)
	}
	n := 0
	for part := range slices.Chunk([]byte(l.files), maxPart) {
		env["ML_INTERN_PART_"+strconv.Itoa(n)] = string(part)
		n++
	}
	env["ML_INTERN_PARTS"] = strconv.Itoa(n)
	return append([]string{"/bin/sh", "-c", `eval "$ML_INTERN_WRAP"`, "ml-intern-job"}, l.command...)
}

// pack reads the job's script and those of its inputs that are files here.
func pack(spec job.Spec) (load, error) {
	root, err := os.OpenRoot(spec.Dir) // neither .. nor a link leads out of it
	if err != nil {
		return load{}, fmt.Errorf("open the job's folder: %w", err)
	}
	defer root.Close()
	var l load
	var archive archive
	archive.open()
	if spec.Script == "" {
		l.command = slices.Concat(spec.Command, spec.Args)
	} else {
		source, err := job.ReadScript(spec)
		if err != nil {
			return load{}, err
		}
		sum := sha256.Sum256(source)
		l.scriptSHA256 = hex.EncodeToString(sum[:])
		l.command, l.bare = uvCommand(spec, source)
		if err := archive.add(filepath.ToSlash(filepath.Clean(spec.Script)), 0o644, source); err != nil {
			return load{}, err
		}
	}
	for _, input := range spec.Inputs {
		if strings.HasPrefix(input, "hf://") { // the job reads it from the Hub
			continue
		}
		if err := archive.addInput(root, input); err != nil {
			return load{}, err
		}
	}
	if l.files, err = archive.close(); err != nil {
		return load{}, err
	}
	return l, nil
}

// metadata is how PEP 723 begins what a script needs.
var metadata = lazyregexp.New(`(?m)^# /// script[ \t]*\r?$`)

// uvCommand runs a script with uv; bare is how many of the arguments make room
// for python where the script needs nothing that uv would get.
func uvCommand(spec job.Spec, source []byte) (command []string, bare int) {
	command = []string{"uv", "run", "--no-project"}
	for _, need := range spec.Dependencies {
		command = append(command, "--with", need)
	}
	if spec.Python != "" {
		command = append(command, "--python", spec.Python)
	}
	if spec.Python == "" && len(spec.Dependencies) == 0 && !metadata.Match(source) {
		bare = len(command)
	}
	return slices.Concat(command, []string{filepath.ToSlash(filepath.Clean(spec.Script))}, spec.Args), bare
}

// readFile reads a file, and nothing else: a pipe would wait for a writer.
func readFile(root *os.Root, name string) ([]byte, error) {
	info, err := root.Stat(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", name)
	case info.Size() > maxScript:
		return nil, fmt.Errorf("%s has %d bytes, too many to send with a job: put it into a repository of the Hub and name that as an input", name, info.Size())
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxScript))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

// An archive is the files that a job brings along, in the making.
type archive struct {
	buf   bytes.Buffer
	gzip  *gzip.Writer
	tar   *tar.Writer
	added map[string]bool
}

func (a *archive) open() {
	a.gzip = gzip.NewWriter(&a.buf)
	a.tar = tar.NewWriter(a.gzip)
	a.added = map[string]bool{}
}

func (a *archive) add(name string, mode int64, data []byte) error {
	if a.added[name] {
		return nil
	}
	a.added[name] = true
	err := a.tar.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(data)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = a.tar.Write(data)
	}
	if err == nil {
		err = a.tar.Flush()
	}
	if err != nil {
		return fmt.Errorf("pack %s: %w", name, err)
	}
	if a.buf.Len() > maxLoad {
		return fmt.Errorf("the job's files are too many to send with it, %s is one: put them into a repository of the Hub and name that as an input", name)
	}
	return nil
}

// addInput adds a file, or all files of a folder.
func (a *archive) addInput(root *os.Root, input string) error {
	if !filepath.IsLocal(input) {
		return fmt.Errorf("input %q is not inside the job's folder", input)
	}
	walk := func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read input %s: %w", input, err)
		}
		if d.IsDir() {
			return nil
		}
		data, err := readFile(root, filepath.FromSlash(name))
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("read input %s: %w", input, err)
		}
		return a.add(name, int64(0o644|info.Mode().Perm()&0o111), data)
	}
	return fs.WalkDir(root.FS(), path.Clean(filepath.ToSlash(input)), walk)
}

// close returns the archive as text, "" if nothing is in it.
func (a *archive) close() (string, error) {
	if len(a.added) == 0 {
		return "", nil
	}
	if err := errors.Join(a.tar.Close(), a.gzip.Close()); err != nil {
		return "", fmt.Errorf("pack the job's files: %w", err)
	}
	if a.buf.Len() > maxLoad {
		return "", fmt.Errorf("the job's files have %d bytes when packed, more than %d: put them into a repository of the Hub and name that as an input", a.buf.Len(), maxLoad)
	}
	return base64.StdEncoding.EncodeToString(a.buf.Bytes()), nil
}
