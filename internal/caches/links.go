package caches

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxLinks bounds how many links Make makes at once; the next time it goes on.
const maxLinks = 50_000

var errEnough = errors.New("there are more")

// linkHub makes repositories of the person's cache of the Hub appear in this
// one: their blobs are links to the person's, so that nothing is fetched twice,
// and the rest is made anew, so that commands can add to it.
func (c Caches) linkHub(root *os.Root, left *int) error {
	if c.Hub == "" {
		return nil
	}
	repos, err := os.ReadDir(c.Hub)
	if err != nil {
		return err
	}
	for _, r := range repos {
		kind, _, named := strings.Cut(r.Name(), "--")
		if !r.IsDir() || !named || kind != "models" && kind != "datasets" && kind != "spaces" && kind != "kernels" {
			continue
		}
		if err := c.linkRepo(root, r.Name(), left); errors.Is(err, errEnough) {
			return err
		} // one that is spoilt, or goes at this moment, is fetched by who needs it
	}
	return nil
}

// linked are the parts of a repository, in this order: a ref is of use with all
// that it names.
var linked = [...]string{"blobs", "snapshots", "refs"}

func (c Caches) linkRepo(root *os.Root, name string, left *int) error {
	here := filepath.Join(filepath.FromSlash(hubDir), name)
	if err := root.MkdirAll(here, 0o700); err != nil {
		return err
	}
	repo, err := root.OpenRoot(here)
	if err != nil {
		return err
	}
	defer repo.Close()
	from := filepath.Join(c.Hub, name)
	for _, part := range linked {
		add := link
		if part == "refs" {
			add = copyRef
		}
		if err := copyTree(repo, part, filepath.Join(from, part), left, add); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// coarse is more than the clocks of file systems are behind.
const coarse = time.Second

// NewSince reports whether the person may have got something since a time that
// Make would link. It looks at few folders: what is new makes itself known there.
func (c Caches) NewSince(t time.Time) bool {
	repos, _ := os.ReadDir(c.Hub) // nothing is new where nothing is
	dirs := []string{c.checkpoints()}
	for _, r := range repos {
		for _, part := range linked {
			dirs = append(dirs, filepath.Join(c.Hub, r.Name(), part))
		}
	}
	return slices.ContainsFunc(dirs, func(dir string) bool {
		info, err := os.Stat(dir)
		return err == nil && info.ModTime().After(t.Add(-coarse))
	})
}

// copyTree makes dir look as from does: folders anew, and what is in them as add
// has it. What is there stays.
func copyTree(root *os.Root, dir, from string, left *int, add func(root *os.Root, name, source string) error) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	there, err := root.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer there.Close()
	for _, e := range entries {
		if *left--; *left < 0 {
			return errEnough
		}
		name, source := e.Name(), filepath.Join(from, e.Name())
		switch {
		case strings.HasSuffix(name, ".incomplete") || strings.HasSuffix(name, ".lock"):
			continue
		case e.IsDir():
			err = copyTree(there, name, source, left, add)
		default:
			err = add(there, name, source)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// link makes a link of its own to where a link of the person's leads beside it,
// and to anything else by its whole path.
func link(root *os.Root, name, source string) error {
	if to, err := os.Readlink(source); err == nil && !filepath.IsAbs(to) {
		return root.Symlink(to, name)
	}
	return root.Symlink(source, name)
}

// maxRef is more than a commit's name takes.
const maxRef = 1 << 10

// copyRef copies which commit a name of the repository stands for, if the
// person's is the newer one.
func copyRef(root *os.Root, name, source string) error {
	theirs, err := os.Stat(source)
	if err != nil || theirs.Size() > maxRef {
		return err
	}
	if ours, err := root.Lstat(name); err == nil && !ours.ModTime().Before(theirs.ModTime()) {
		return nil
	}
	data, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) { // never through a link
		return err
	}
	return root.WriteFile(name, data, 0o600)
}

// linkTorch links the weights that torch.hub has fetched. Code that it fetched
// is fetched anew.
func (c Caches) linkTorch(root *os.Root, left *int) error {
	if c.Torch == "" {
		return nil
	}
	if err := root.MkdirAll("torch/hub", 0o700); err != nil {
		return err
	}
	torch, err := root.OpenRoot("torch/hub")
	if err != nil {
		return err
	}
	defer torch.Close()
	return copyTree(torch, "checkpoints", c.checkpoints(), left, link)
}

// linkSettings shows accelerate the person's settings.
func (c Caches) linkSettings(root *os.Root, _ *int) error {
	if c.HF == "" {
		return nil
	}
	source := c.settings()
	if _, err := os.Stat(source); err != nil {
		return fmt.Errorf("look for settings: %w", err)
	}
	if err := root.Symlink(source, "huggingface/accelerate"); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
