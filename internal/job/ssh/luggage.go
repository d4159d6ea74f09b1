package ssh

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/secret"
)

// What goes along with a job: its script, the small files of the script's
// folder and below, and what its inputs name, of any size. Never what is git's,
// what holds keys, hidden folders, and folders that programs make.
const (
	smallFile  = 1 << 20
	smallFiles = 2000 // all together
	smallBytes = 64 << 20
)

// A luggage is what is sent with a job.
type luggage struct {
	dir     string
	script  []byte
	name    string   // of the script, with slashes, from dir
	files   []string // besides the script, likewise
	skipped []string // too large to go along by themselves

	count, bytes int64 // of small files
}

// pick finds what goes along with a job.
func pick(spec job.Spec) (luggage, error) {
	l := luggage{dir: spec.Dir}
	root, err := os.OpenRoot(spec.Dir)
	if err != nil {
		return l, fmt.Errorf("open the job's folder: %w", err)
	}
	defer root.Close()
	folder := "."
	if spec.Script != "" {
		if l.script, err = job.ReadScript(spec); err != nil {
			return l, err
		}
		l.name = filepath.ToSlash(filepath.Clean(spec.Script))
		folder = path.Dir(l.name)
	}
	if err := fs.WalkDir(root.FS(), folder, l.small(root)); err != nil {
		return l, fmt.Errorf("look for the job's files: %w", err)
	}
	for _, input := range spec.Inputs {
		if strings.Contains(input, "://") {
			continue // the job fetches it
		}
		if err := l.input(root, input); err != nil {
			return l, err
		}
	}
	slices.Sort(l.files)
	l.files = slices.DeleteFunc(slices.Compact(l.files), func(file string) bool { return file == l.name })
	return l, nil
}

// small takes the small files below a folder.
func (l *luggage) small(root *os.Root) fs.WalkDirFunc {
	return func(file string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrPermission):
			return nil // not the job's either
		case err != nil:
			return err
		case d.IsDir() && file != "." && made(d.Name()):
			return fs.SkipDir
		}
		size, ok := regular(root, file)
		switch {
		case !ok || secret.File(file):
			return nil
		case size > smallFile:
			l.skipped = append(l.skipped, fmt.Sprintf("%s (%.0f MB)", file, float64(size)/(1<<20)))
			return nil
		}
		l.count, l.bytes, l.files = l.count+1, l.bytes+size, append(l.files, file)
		if l.count > smallFiles || l.bytes > smallBytes {
			return fmt.Errorf("%s has more than %d small files or %d MB of them, which all go along with the job: "+
				"put the script into a folder of its own, and name what it needs in inputs", l.dir, smallFiles, smallBytes>>20)
		}
		return nil
	}
}

// made reports whether a folder of this name holds what programs made, not
// what a job needs.
func made(name string) bool {
	if strings.HasPrefix(name, ".") {
		return true
	}
	return slices.Contains([]string{"__pycache__", "node_modules", "venv", "runs", "wandb", "mlruns", "ml-intern-demo"}, name)
}

// regular is the size of a file, also of one that a link inside the folder
// leads to.
func regular(root *os.Root, file string) (size int64, ok bool) {
	info, err := root.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false // a link that leads out, a pipe, a folder
	}
	return info.Size(), true
}

// input takes a file or folder that the spec names.
func (l *luggage) input(root *os.Root, input string) error {
	if filepath.IsAbs(input) {
		rel, err := filepath.Rel(l.dir, input)
		if err != nil {
			return fmt.Errorf("find input %s: %w", input, err)
		}
		input = rel
	}
	if !filepath.IsLocal(input) {
		return fmt.Errorf("input %q is not inside the job's folder %s", input, l.dir)
	}
	input = filepath.ToSlash(filepath.Clean(input))
	if secret.File(input) {
		return fmt.Errorf("input %s may hold keys, so it is not sent: give the job its secrets by name", input)
	}
	err := fs.WalkDir(root.FS(), input, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		if _, ok := regular(root, file); ok && !secret.File(file) {
			l.files = append(l.files, file)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("find input %s: %w", input, err)
	}
	return nil
}

// hash is that of the script, "" if there is none.
func (l luggage) hash() string {
	if l.name == "" {
		return ""
	}
	sum := sha256.Sum256(l.script)
	return hex.EncodeToString(sum[:])
}

// pack writes the job's folder as the shim wants it. The last file says that
// all of it is there.
func (p plan) pack(w io.Writer, id string) error {
	root, err := os.OpenRoot(p.luggage.dir)
	if err != nil {
		return fmt.Errorf("open the job's folder: %w", err)
	}
	defer root.Close()
	t := tar.NewWriter(w)
	now := time.Now().Truncate(time.Second)
	put := func(name, text string) {
		if err == nil {
			err = t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text)), ModTime: now, Format: tar.FormatGNU})
		}
		if err == nil {
			_, err = io.WriteString(t, text)
		}
	}
	err = t.WriteHeader(&tar.Header{Name: "work/", Typeflag: tar.TypeDir, Mode: 0o700, ModTime: now, Format: tar.FormatGNU})
	put("need", p.needText())
	put("run", p.runText(id))
	put("sha", p.luggage.hash()+"\n")
	put("log", p.luggage.note())
	if p.luggage.name != "" {
		put("work/"+p.luggage.name, string(p.luggage.script))
	}
	for _, file := range p.luggage.files {
		if err == nil {
			err = packFile(t, root, file)
		}
	}
	put("complete", "")
	if err == nil {
		err = t.Close()
	}
	if err != nil {
		return fmt.Errorf("send the job's files: %w", err)
	}
	return nil
}

// note is what the log says first of files that did not go along.
func (l luggage) note() string {
	if len(l.skipped) == 0 {
		return ""
	}
	some, more := l.skipped, ""
	if len(some) > 5 {
		some, more = some[:5], fmt.Sprintf(" and %d more", len(l.skipped)-5)
	}
	return fmt.Sprintf("[too large to be sent unless inputs name them: %s%s]\n", strings.Join(some, ", "), more)
}

func packFile(t *tar.Writer, root *os.Root, file string) error {
	f, err := root.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file any more", file)
	}
	mode := int64(0o600)
	if info.Mode()&0o111 != 0 {
		mode = 0o700
	}
	err = t.WriteHeader(&tar.Header{
		Name: "work/" + file, Mode: mode, Size: info.Size(), ModTime: info.ModTime().Truncate(time.Second), Format: tar.FormatGNU,
	})
	if err != nil {
		return err
	}
	if _, err := io.CopyN(t, f, info.Size()); err != nil {
		return fmt.Errorf("%s changed while it was sent: %w", file, err)
	}
	return nil
}
