package ray

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	_ "embed"
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

	"ml-intern/internal/job"
	"ml-intern/internal/secret"
)

const (
	shimName   = ".ml-intern-shim.py"
	maxPackage = 100 << 20 // Ray takes no more
	maxFiles   = 20_000
	maxModule  = 1 << 20 // larger *.py files nobody wrote
	maxScript  = 16 << 20
)

//go:embed shim.py
var shim []byte

// A pkg is what is sent along with a job: the shim, the script as it is now,
// the Python files of the workspace, and the job's inputs there.
type pkg struct {
	zip          []byte
	script       string // its text
	scriptSHA256 string
}

// name says what is in the package, so that the same files are sent once.
func (p pkg) name() string { return packageName(p.zip) }

func packageName(data []byte) string {
	sum := sha256.Sum256(data)
	return "_ray_pkg_" + hex.EncodeToString(sum[:16]) + ".zip"
}

// pack makes the package. Where the workspace is shared, the rest is there.
func pack(spec job.Spec, shared bool) (pkg, error) {
	root, err := os.OpenRoot(spec.Dir)
	if err != nil {
		return pkg{}, fmt.Errorf("open the job's folder: %w", err)
	}
	defer root.Close()
	var p pkg
	files := packer{root: root, files: map[string][]byte{shimName: shim}}
	if spec.Script != "" {
		if err := files.script(spec.Script); err != nil {
			return pkg{}, err
		}
		source := files.files[path.Clean(filepath.ToSlash(spec.Script))]
		sum := sha256.Sum256(source)
		p.script, p.scriptSHA256 = string(source), hex.EncodeToString(sum[:])
	}
	if !shared {
		if err := files.modules(); err != nil {
			return pkg{}, err
		}
		if err := files.inputs(spec.Inputs); err != nil {
			return pkg{}, err
		}
	}
	p.zip, err = files.zip()
	return p, err
}

// A packer collects files of a folder, and nothing that a link leads to
// outside.
type packer struct {
	root  *os.Root
	files map[string][]byte // by path with slashes
	size  int64
}

func (p *packer) script(name string) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("script %q is not inside the job's folder %s", name, p.root.Name())
	}
	info, err := p.root.Stat(name) // first: opening a pipe would wait for a writer
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no script %s in %s: %w", name, p.root.Name(), fs.ErrNotExist)
	case err != nil:
		return fmt.Errorf("read script: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("script %s is not a file", name)
	case info.Size() > maxScript:
		return fmt.Errorf("script %s has %d bytes, more than the %d of any script", name, info.Size(), maxScript)
	}
	return p.add(path.Clean(filepath.ToSlash(name)))
}

// modules adds the Python files, which the script may import: not those of
// hidden folders, environments and earlier jobs.
func (p *packer) modules() error {
	return fs.WalkDir(p.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			if name == "." {
				return fmt.Errorf("read the job's folder: %w", err)
			}
			return nil // what cannot be read cannot be imported
		case d.IsDir() && name != "." && p.foreign(name, d.Name()):
			return fs.SkipDir
		case !d.Type().IsRegular() || path.Ext(name) != ".py" || secret.File(name):
			return nil
		}
		info, err := d.Info()
		if err == nil && info.Size() <= maxModule {
			return p.add(name)
		}
		return nil //nolint:nilerr // what is gone by now cannot be imported
	})
}

func (p *packer) foreign(name, last string) bool {
	if strings.HasPrefix(last, ".") || last == "__pycache__" || last == "node_modules" || last == "site-packages" || name == "runs" {
		return true
	}
	_, err := p.root.Stat(path.Join(name, "pyvenv.cfg"))
	return err == nil
}

// inputs adds what the job says it reads. Hub repositories it fetches itself.
func (p *packer) inputs(names []string) error {
	for _, name := range names {
		if strings.Contains(name, "://") {
			continue
		}
		if !filepath.IsLocal(name) {
			return fmt.Errorf("the input %s is not inside the job's folder: a job elsewhere can have only what is", name)
		}
		err := fs.WalkDir(p.root.FS(), path.Clean(filepath.ToSlash(name)), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if d.Type()&fs.ModeSymlink == 0 && !d.Type().IsRegular() {
				return nil
			}
			return p.add(name)
		})
		if err != nil {
			return fmt.Errorf("read the input %s: %w", name, err)
		}
	}
	return nil
}

// add adds a file, unless it holds a key: whoever reaches the cluster can read
// it there.
func (p *packer) add(name string) error {
	if _, there := p.files[name]; there {
		return nil
	}
	if secret.File(name) {
		return fmt.Errorf("%s is a file of keys: everybody who reaches the cluster could read it; give secrets by name", name)
	}
	file, err := p.root.Open(filepath.FromSlash(name))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxPackage+1-p.size))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	p.size += int64(len(data))
	if p.size > maxPackage || len(p.files) > maxFiles {
		return fmt.Errorf("the job's files are more than the %d MB that Ray takes: put data on the Hub, or share the workspace with the cluster", maxPackage>>20)
	}
	if found, err := secret.In(bytes.NewReader(data)); err == nil && found {
		return fmt.Errorf("%s holds a key: everybody who reaches the cluster could read it; give secrets by name", name)
	}
	p.files[name] = data
	return nil
}

// zip writes the files in one order and without dates, so that the same files
// are the same package.
func (p *packer) zip() ([]byte, error) {
	names := make([]string, 0, len(p.files))
	for name := range p.files {
		names = append(names, name)
	}
	slices.Sort(names)
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	w.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	for _, name := range names {
		to, err := w.Create(name)
		if err == nil {
			_, err = to.Write(p.files[name])
		}
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack the job's files: %w", err)
	}
	return out.Bytes(), nil
}
