package ssh

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"

	"ml-intern/internal/job"
)

// Collect implements job.Backend. Results come into a folder beside the output
// folder, are compared with their hashes there, and are then moved into place.
// While the job still writes them, they are taken as they are.
func (b *Backend) Collect(ctx context.Context, id string) error {
	rec, err := b.records().Get(id)
	if err != nil {
		return err
	}
	status, err := b.status(ctx, rec)
	if err != nil {
		return err
	}
	if status.Started.IsZero() {
		return nil // it has made nothing
	}
	root, err := os.OpenRoot(rec.Spec.Dir)
	if err != nil {
		return fmt.Errorf("collect the results of job %s: %w", id, err)
	}
	defer root.Close()
	if err := b.collect(ctx, root, rec, status); err != nil {
		return fmt.Errorf("collect the results of job %s: %w", id, err)
	}
	return nil
}

func (b *Backend) collect(ctx context.Context, root *os.Root, rec job.Record, status job.Status) error {
	out := path.Join("runs", rec.ID)
	if _, err := root.Stat(out); err == nil && rec.Kept[keptResults] != "" {
		return nil
	}
	want, err := b.sums(ctx, rec.ID)
	if err != nil {
		return err
	}
	here, err := hashes(root, out, want)
	if err != nil {
		return err
	}
	if !status.Done() || !maps.Equal(here, want) {
		coming := path.Join("runs", "."+rec.ID)
		defer root.RemoveAll(coming) // nothing is left there once it is in place
		if err := b.fetch(ctx, root, coming, rec.ID); err != nil {
			return err
		}
		if status.Done() {
			if err := compare(root, coming, want); err != nil {
				return err
			}
		}
		if err := place(root, coming, out); err != nil {
			return err
		}
	}
	if !status.Done() {
		return nil
	}
	rec, err = b.records().Get(rec.ID)
	if err != nil {
		return err
	}
	rec.Kept[keptResults] = "here"
	return b.records().Save(rec)
}

// sums asks for the hashes of what the job has made.
func (b *Backend) sums(ctx context.Context, id string) (map[string]string, error) {
	s, err := b.start(ctx, workTime, "sums", id)
	if err != nil {
		return nil, err
	}
	defer s.close()
	sums := map[string]string{}
	for lines := bufio.NewReader(s); ; {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return sums, nil
		}
		if err != nil {
			return nil, err
		}
		odd := strings.HasPrefix(line, `\`) // a name in which these are written otherwise
		sum, name, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, `\`), "\n"), "  ")
		if odd {
			name = strings.NewReplacer(`\\`, `\`, `\n`, "\n").Replace(name)
		}
		if !ok || len(sum) != hex.EncodedLen(sha256.Size) {
			return nil, fmt.Errorf("%s says %.100q, which is no hash of a file", b.Host, line)
		}
		sums[path.Clean(name)] = sum
	}
}

// hashes are those of the files here that are asked for.
func hashes(root *os.Root, dir string, of map[string]string) (map[string]string, error) {
	found := map[string]string{}
	for name := range of {
		sum, err := hashFile(root, path.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[name] = sum
	}
	return found, nil
}

func hashFile(root *os.Root, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// compare says which of the files that came is not what was made.
func compare(root *os.Root, dir string, want map[string]string) error {
	here, err := hashes(root, dir, want)
	if err != nil {
		return err
	}
	for name, sum := range want {
		if here[name] != sum {
			return fmt.Errorf("%s did not come as it was made: collect again", name)
		}
	}
	return nil
}

// fetch brings what the job has made into a folder.
func (b *Backend) fetch(ctx context.Context, root *os.Root, dir, id string) error {
	if err := errors.Join(root.RemoveAll(dir), root.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	s, err := b.start(ctx, silence, "fetch", id)
	if err != nil {
		return err
	}
	defer s.close()
	if err := unpack(root, dir, s); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, s); err != nil { // how it ended
		return err
	}
	return nil
}

// unpack writes the files of a tar into a folder. What would lead out of it is
// left out.
func unpack(root *os.Root, dir string, r io.Reader) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(h.Name)
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%q is no name of a result", h.Name)
		}
		target := path.Join(dir, name)
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(target, 0o755)
		case tar.TypeReg:
			err = unpackFile(root, target, t)
		case tar.TypeLink:
			if filepath.IsLocal(path.Clean(h.Linkname)) {
				err = root.Link(path.Join(dir, path.Clean(h.Linkname)), target)
			}
		case tar.TypeSymlink:
			if !path.IsAbs(h.Linkname) && filepath.IsLocal(path.Join(path.Dir(name), h.Linkname)) {
				err = root.Symlink(h.Linkname, target)
			}
		}
		if err != nil {
			return err
		}
	}
}

func unpackFile(root *os.Root, name string, r io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Sync(), f.Close())
}

// place moves what came into the output folder. What is there besides stays.
func place(root *os.Root, from, to string) error {
	if _, err := root.Lstat(to); errors.Is(err, fs.ErrNotExist) {
		return root.Rename(from, to)
	}
	return fs.WalkDir(root.FS(), from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := path.Join(to, strings.TrimPrefix(name, from))
		if d.IsDir() {
			return root.MkdirAll(target, 0o755)
		}
		return root.Rename(name, target)
	})
}
