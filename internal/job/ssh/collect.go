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
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gofrs/flock"

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
	if err == nil {
		err = status.Gone()
	}
	if err != nil {
		return err
	}
	if status.Started.IsZero() {
		return nil // it has made nothing
	}
	lock := flock.New(filepath.Join(b.Dir, id+".collect"))
	if _, err := lock.TryLockContext(ctx, 50*time.Millisecond); err != nil {
		return fmt.Errorf("wait for another collection of job %s: %w", id, err)
	}
	defer lock.Close()
	if rec, err = b.records().Get(id); err != nil {
		return err
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
	coming := path.Join("runs", "."+rec.ID)
	defer func() { _ = root.RemoveAll(coming) }() // nothing is left there once it is in place
	if !status.Done() {
		if _, err := b.fetch(ctx, root, coming, rec.ID); err != nil {
			return err
		}
		return place(root, coming, out)
	}
	if _, err := root.Stat(out); err == nil && rec.Kept[keptResults] != "" {
		return nil
	}
	want, err := b.sums(ctx, rec.ID)
	if err != nil {
		return err
	}
	links, err := b.fetch(ctx, root, coming, rec.ID)
	if err == nil {
		err = compare(root, coming, want)
	}
	if err == nil {
		err = place(root, coming, out)
	}
	switch {
	case err != nil:
		return err
	case len(links) > 0:
		return fmt.Errorf("the rest is here, but these are links that lead out of OUTPUT_DIR, and what they name is still on %s only: %s",
			b.Host, strings.Join(links, ", "))
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
	for name, sum := range want {
		here, err := hashFile(root, path.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if here != sum {
			return fmt.Errorf("%s did not come as it was made: collect again", name)
		}
	}
	return nil
}

// fetch brings what the job has made into a folder. links are those that lead
// out of it.
func (b *Backend) fetch(ctx context.Context, root *os.Root, dir, id string) (links []string, err error) {
	if err := errors.Join(root.RemoveAll(dir), root.MkdirAll(dir, 0o755)); err != nil {
		return nil, err
	}
	s, err := b.start(ctx, silence, "fetch", id)
	if err != nil {
		return nil, err
	}
	defer s.close()
	links, err = unpack(root, dir, id, s)
	if err == nil {
		_, err = io.Copy(io.Discard, s) // how it ended
	}
	return links, err
}

// unpack writes the files of a tar into a folder, less the links that lead out
// of it.
func unpack(root *os.Root, dir, id string, r io.Reader) (links []string, err error) {
	own := regexp.MustCompile(`^/.*/` + id + `/(?:try\.[a-z0-9]+|start)/out/`) // the folder's name there
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return links, nil
		}
		if err != nil {
			return nil, err
		}
		name := path.Clean(h.Name)
		if !filepath.IsLocal(name) {
			return nil, fmt.Errorf("%q is no name of a result", h.Name)
		}
		switch target := path.Join(dir, name); h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(target, 0o755)
		case tar.TypeReg:
			err = unpackFile(root, target, h.FileInfo().Mode(), t)
		case tar.TypeLink:
			err = root.Link(path.Join(dir, path.Clean("/"+h.Linkname)), target)
		case tar.TypeSymlink:
			to := h.Linkname
			if at := own.FindStringIndex(to); at != nil {
				to = strings.Repeat("../", strings.Count(name, "/")) + to[at[1]:]
			}
			if path.IsAbs(to) || !filepath.IsLocal(path.Join(path.Dir(name), to)) {
				links = append(links, name+" -> "+to)
				continue
			}
			err = root.Symlink(to, target)
		}
		if err != nil {
			return nil, err
		}
	}
}

func unpackFile(root *os.Root, name string, mode fs.FileMode, r io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644|mode.Perm()&0o111)
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
