package sandbox

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// precious are the ends of names of files that took long to make or to get.
var precious = []string{
	".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".onnx", ".h5", ".keras", ".tflite", ".msgpack", ".pkl", ".joblib",
	".npz", ".npy", ".parquet", ".arrow", ".csv", ".tsv", ".jsonl",
}

func isPrecious(path string) bool {
	return slices.Contains(precious, strings.ToLower(filepath.Ext(path)))
}

// A held file is as it was before the command.
type held struct {
	rel    string
	info   fs.FileInfo
	folder string // of the vault, named by what the file was
	err    error  // why it could not be held
}

// object is what holds it.
func (h held) object() string { return filepath.Join(h.folder, h.rel) }

func (v Vault) held(rel string, info fs.FileInfo) held {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", rel, inode(info)))
	return held{rel: rel, info: info, folder: v.path("held", fmt.Sprintf("%x%s", sum[:16], stamp(info)))}
}

// stamp changes whenever a file is written.
func stamp(info fs.FileInfo) string {
	return fmt.Sprintf("-%d-%d", info.Size(), info.ModTime().UnixNano())
}

// intact reports whether what a folder holds is what was put there: a link
// leads to whatever has been written since.
func intact(folder string, info fs.FileInfo) bool { return strings.HasSuffix(folder, stamp(info)) }

func unchanged(a, b fs.FileInfo) bool { return os.SameFile(a, b) && stamp(a) == stamp(b) }

// precious lists the precious files below dir, but not those of installed
// packages, of hidden folders and of the folders without.
func (v Vault) precious(dir string, without []string) []held {
	var all []held
	skip := relative(dir, append(slices.Clip(without), v.Dir))
	seen := 0
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it cannot be read, or has just gone
		}
		if seen++; seen > maxWalked {
			return filepath.SkipAll
		}
		if !d.IsDir() && (!d.Type().IsRegular() || !isPrecious(path)) {
			return nil
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skip[rel] || rel != "." && skipped(d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if info, err := d.Info(); err == nil && info.Size() > 0 {
			all = append(all, v.held(rel, info))
		}
		return nil
	})
	return all
}

// relative is the set of those folders that are below dir, by their paths there.
func relative(dir string, folders []string) map[string]bool {
	set := make(map[string]bool)
	for _, folder := range folders {
		if rel, err := filepath.Rel(realDir(dir), realDir(folder)); err == nil {
			set[rel] = true
		}
	}
	return set
}

func skipped(name string) bool {
	return strings.HasPrefix(name, ".") || slices.Contains([]string{"node_modules", "site-packages", "__pycache__"}, name)
}

// roomFor returns how much may be copied before a command, beside the copies
// that are there.
func roomFor(files []held) int64 {
	room := int64(maxHeldBytes)
	for _, h := range files {
		if info, err := os.Lstat(h.object()); err == nil && !os.SameFile(info, h.info) {
			room -= info.Size()
		}
	}
	return min(room, maxNewCopies)
}

var errChanging = errors.New("it was being written when the command began")

// take holds one file, whole or not at all. What the vault holds already is not
// copied again.
func (v Vault) take(ctx context.Context, dir string, h held, room *int64) error {
	if info, err := os.Lstat(h.object()); err == nil {
		if intact(h.folder, info) {
			return nil
		}
		_ = os.RemoveAll(h.folder) // else the last step fails
	}
	tmp, err := os.MkdirTemp(v.path("held"), "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp) // it is gone if all went well
	path, to := filepath.Join(dir, h.rel), filepath.Join(tmp, h.rel)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if err := put(ctx, path, to, h.info, room); err != nil {
		return err
	}
	switch now, err := os.Lstat(path); {
	case err != nil:
		return err
	case !unchanged(now, h.info):
		return errChanging
	}
	err = os.Rename(tmp, h.folder)
	if info, there := os.Lstat(h.object()); there == nil && intact(h.folder, info) {
		return nil // another process may have been faster
	}
	return err
}

// put makes a file that holds what another has. It has its time, too, so that
// one can tell whether it still does.
func put(ctx context.Context, path, to string, info fs.FileInfo, room *int64) error {
	if clone(path, to) == nil {
		return os.Chtimes(to, info.ModTime(), info.ModTime())
	}
	if info.Size() <= min(maxHeldCopy, *room) {
		err := copyFile(ctx, path, to)
		if err == nil {
			*room -= info.Size()
			return os.Chtimes(to, info.ModTime(), info.ModTime())
		}
		_ = os.Remove(to)
		if ctx.Err() != nil {
			return err
		}
	}
	return os.Link(path, to)
}

func copyFile(ctx context.Context, from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	for err == nil {
		if err = ctx.Err(); err == nil {
			_, err = io.CopyN(dst, src, 8<<20)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, dst.Close())
}
