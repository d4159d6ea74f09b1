// Package caches knows the folders in which confined commands and jobs keep what
// they fetch and compile: the caches of uv, pip, PyTorch, Triton, the Hugging
// Face libraries and their kin.
//
// Its one rule: what a command leaves in a cache is run by confined commands
// alone. So they never write the person's caches, and nothing outside reads
// theirs. Of weights, which are large, they find links to what the person has,
// and cannot write through those. All workspaces of a person share one Dir: what
// runs there is confined everywhere, and jobs of all of them share environments
// that were made from it. Commands own what is in Dir; who makes or removes
// something there goes through os.Root, for they may have left links.
package caches

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Caches are those in a folder.
type Caches struct {
	Dir   string // nothing that is not confined may run what is in it
	Hub   string // the person's cache of the Hub, to be linked to; "" for none
	Torch string // and TORCH_HOME
	HF    string // and HF_HOME, of which only the settings of accelerate are
}

// hubDir is the cache of the Hub in Dir.
const hubDir = "huggingface/hub"

// places are the variables by which programs find their caches, and the folders
// below Dir. What is not named here follows XDG_CACHE_HOME.
var places = [...][2]string{
	{"XDG_CACHE_HOME", "."},
	{"UV_CACHE_DIR", "uv"},
	{"PIP_CACHE_DIR", "pip"},
	{"HF_HOME", "huggingface"},
	{"HF_HUB_CACHE", hubDir},
	{"HF_DATASETS_CACHE", "huggingface/datasets"},
	{"HF_MODULES_CACHE", "huggingface/modules"},
	{"HF_ASSETS_CACHE", "huggingface/assets"},
	{"HF_XET_CACHE", "huggingface/xet"},
	{"TORCH_HOME", "torch"},
	{"TORCH_EXTENSIONS_DIR", "torch_extensions"},
	{"TRITON_HOME", "triton"},
	{"TRITON_CACHE_DIR", "triton/cache"},
	{"CUDA_CACHE_PATH", "nv"},
	{"NUMBA_CACHE_DIR", "numba"},
	{"MPLCONFIGDIR", "matplotlib"},
	{"VLLM_CACHE_ROOT", "vllm"},
}

// Environ is env with the variables that lead programs to these caches, and
// without those that led elsewhere.
func (c Caches) Environ(env []string) []string {
	kept := slices.DeleteFunc(slices.Clone(env), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return leads(name)
	})
	for _, p := range places {
		kept = append(kept, p[0]+"="+filepath.Join(c.Dir, filepath.FromSlash(p[1])))
	}
	return kept
}

// leads reports whether a variable says where a cache is.
func leads(name string) bool {
	if strings.HasPrefix(name, "HF_") && strings.HasSuffix(name, "_CACHE") || name == "TRACKIO_DIR" {
		return true
	}
	return slices.ContainsFunc(places[:], func(p [2]string) bool { return p[0] == name })
}

// Make makes the folder with what programs want to find in it, and links what
// the person has of the Hub. It does little when that was done before.
func (c Caches) Make() error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("make folder for caches: %w", err)
	}
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return fmt.Errorf("open caches: %w", err)
	}
	defer root.Close()
	for _, p := range places { // some programs make no folder, and one that a command broke is its own loss
		_ = root.MkdirAll(filepath.FromSlash(p[1]), 0o700)
	}
	left := maxLinks
	for _, seed := range []func(*os.Root, *int) error{c.linkHub, c.linkTorch, c.linkSettings} {
		if err := seed(root, &left); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errEnough) {
			return fmt.Errorf("link what is in the person's caches: %w", err)
		}
	}
	return nil
}

// Sources are the folders of the person's that links lead to: commands must be
// able to read them, wherever they are.
func (c Caches) Sources() []string {
	var all []string
	for _, dir := range []string{c.Hub, c.checkpoints(), c.settings()} {
		if _, err := os.Stat(dir); dir != "" && err == nil {
			all = append(all, dir)
		}
	}
	return all
}

func (c Caches) checkpoints() string { return below(c.Torch, "hub/checkpoints") }
func (c Caches) settings() string    { return below(c.HF, "accelerate") }

func below(dir, path string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, filepath.FromSlash(path))
}

// An Entry is what one program keeps.
type Entry struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Files int    `json:"files"`
}

// Entries says what there is, by name.
func (c Caches) Entries() ([]Entry, error) {
	found, err := os.ReadDir(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list caches: %w", err)
	}
	var all []Entry
	for _, f := range found {
		e := Entry{Name: f.Name()}
		_ = filepath.WalkDir(filepath.Join(c.Dir, f.Name()), func(_ string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil //nolint:nilerr // what cannot be seen, or goes at this moment, is not counted
			}
			e.Files++
			if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
				e.Bytes += info.Size()
			}
			return nil
		})
		if e.Files > 0 {
			all = append(all, e)
		}
	}
	return all, nil
}

// Clear removes what a program keeps, or all of it if name is "". What is in use
// is fetched anew.
func (c Caches) Clear(name string) error {
	root, err := os.OpenRoot(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open caches: %w", err)
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return fmt.Errorf("list caches: %w", err)
	}
	found := name == ""
	var errs []error
	for _, e := range entries {
		if name == "" || e.Name() == name {
			found = true
			errs = append(errs, root.RemoveAll(e.Name()))
		}
	}
	if !found {
		return fmt.Errorf("there is no cache %q: %w", name, fs.ErrNotExist)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("clear caches: %w", err)
	}
	return nil
}
