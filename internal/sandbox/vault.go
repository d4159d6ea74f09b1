package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Vault keeps weights, checkpoints and data sets from getting lost by a
// command or a write: before one runs they are held, at little or no cost, and
// what it overwrote or deleted is kept afterwards. A Vault without a folder
// keeps nothing. It is for one workspace; several processes may share it.
//
// A file is held by a clone where the file system can make one, else by a copy
// if it is small, else by a second link, which outlives deleting and replacing
// but not writing into the file itself.
type Vault struct {
	Dir string // only its owner can read it
}

// NewVault returns the vault of a workspace: below the folder state, or inside
// the workspace if that is on another disk, to which no link can lead.
func NewVault(state, dir string) Vault {
	if !sameDisk(state, dir) {
		return Vault{filepath.Join(dir, ".ml-intern", "kept")}
	}
	sum := sha256.Sum256([]byte(dir))
	return Vault{filepath.Join(state, hex.EncodeToString(sum[:8]))}
}

// sameDisk reports whether a file of one folder could have a second name in
// the other. The folders need not exist yet.
func sameDisk(a, b string) bool {
	infoA, errA := nearest(a)
	infoB, errB := nearest(b)
	return errA != nil || errB != nil || device(infoA) == device(infoB)
}

// nearest is the folder, or the first above it that exists.
func nearest(dir string) (fs.FileInfo, error) {
	for {
		info, err := os.Stat(dir)
		if err == nil || filepath.Dir(dir) == dir {
			return info, err
		}
		dir = filepath.Dir(dir)
	}
}

// Kept is a file that a command overwrote or deleted.
type Kept struct {
	Path string // in the workspace, with slashes
	Copy string // absolute; "" if it could not be kept
}

// String says it in one sentence.
func (k Kept) String() string {
	if k.Copy == "" {
		return k.Path + " was overwritten, and it was too large to keep a copy"
	}
	return fmt.Sprintf("%s was overwritten or deleted; the file from before is %s", k.Path, k.Copy)
}

// Limits of a vault.
const (
	maxHeldCopy  = 256 << 20 // bytes of a file that is copied
	maxHeldBytes = 2 << 30   // of all copies
	maxWalked    = 50_000    // files of a workspace that are looked at
	keptFor      = 30 * 24 * time.Hour
	keptFormat   = "20060102-150405.000000"
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
	object string
	linked bool // the object is the file itself
}

// hold takes hold of the precious files below dir. What cannot be held, because
// the disk is full or the file changes right now, is not: the command may be
// the one that makes room.
func (v Vault) hold(dir string) []held {
	if v.Dir == "" {
		return nil
	}
	v.prune()
	room := int64(maxHeldBytes)
	var all []held
	walkPrecious(dir, func(rel string, info fs.FileInfo) {
		if h, err := v.take(dir, rel, info, &room); err == nil {
			all = append(all, h)
		}
	})
	v.forget(all)
	return all
}

// take holds one file. What the vault holds already is not copied again.
func (v Vault) take(dir, rel string, info fs.FileInfo, room *int64) (held, error) {
	objects := filepath.Join(v.Dir, "held")
	if err := os.MkdirAll(objects, 0o700); err != nil {
		return held{}, err
	}
	h := held{rel: rel, info: info, object: filepath.Join(objects, key(rel, info))}
	there, err := os.Lstat(h.object)
	if err == nil {
		h.linked = os.SameFile(there, info)
		return h, nil
	}
	h.linked, err = hold(filepath.Join(dir, rel), h.object, info.Size(), room)
	return h, err
}

// save keeps a precious file that is about to be replaced.
func (v Vault) save(dir, rel string) (Kept, error) {
	if v.Dir == "" || !isPrecious(rel) {
		return Kept{}, nil
	}
	info, err := os.Lstat(filepath.Join(dir, rel))
	if errors.Is(err, fs.ErrNotExist) || err == nil && (!info.Mode().IsRegular() || info.Size() == 0) {
		return Kept{}, nil
	}
	if err != nil {
		return Kept{}, fmt.Errorf("look at %s: %w", rel, err)
	}
	room := info.Size() // whatever it takes
	h, err := v.take(dir, rel, info, &room)
	if err != nil {
		return Kept{}, fmt.Errorf("keep a copy of %s: %w", rel, err)
	}
	return v.keep(h)
}

// key names what a file held at a time.
func key(rel string, info fs.FileInfo) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d", rel, info.Size(), info.ModTime().UnixNano()))
	return hex.EncodeToString(sum[:16])
}

// walkPrecious visits the precious files below dir, but not those of installed
// packages and of hidden folders.
func walkPrecious(dir string, visit func(rel string, info fs.FileInfo)) {
	seen := 0
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it cannot be read, or has just gone
		}
		if seen++; seen > maxWalked {
			return filepath.SkipAll
		}
		if d.IsDir() && path != dir && skipped(d.Name()) {
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() || !isPrecious(path) {
			return nil
		}
		if info, err := d.Info(); err == nil && info.Size() > 0 {
			if rel, err := filepath.Rel(dir, path); err == nil {
				visit(rel, info)
			}
		}
		return nil
	})
}

func skipped(name string) bool {
	return strings.HasPrefix(name, ".") || slices.Contains([]string{"node_modules", "site-packages", "__pycache__"}, name)
}

// hold puts what the file has under object, whole or not at all.
func hold(path, object string, size int64, room *int64) (linked bool, err error) {
	tmp := fmt.Sprintf("%s.%d", object, os.Getpid())
	if err := clone(path, tmp); err == nil {
		return false, os.Rename(tmp, object)
	}
	if size > min(maxHeldCopy, *room) {
		return true, os.Link(path, object)
	}
	*room -= size
	if err := copyFile(path, tmp); err != nil {
		return false, errors.Join(err, os.Remove(tmp))
	}
	return false, os.Rename(tmp, object)
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // only read
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

// settle keeps what is not as it was held, and says so.
func (v Vault) settle(dir string, before []held) []Kept {
	var changed []held
	for _, h := range before {
		now, err := os.Lstat(filepath.Join(dir, h.rel))
		if err != nil || !os.SameFile(now, h.info) || now.Size() != h.info.Size() || !now.ModTime().Equal(h.info.ModTime()) {
			changed = append(changed, h)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	var there []fs.FileInfo // maybe under other names
	walkPrecious(dir, func(_ string, info fs.FileInfo) { there = append(there, info) })
	var all []Kept
	for _, h := range changed {
		i := slices.IndexFunc(there, func(info fs.FileInfo) bool { return os.SameFile(info, h.info) })
		switch {
		case i >= 0 && there[i].Size() == h.info.Size() && there[i].ModTime().Equal(h.info.ModTime()): // it was only moved
			_ = os.Remove(h.object)
		case i >= 0 && h.linked: // the object is the file, so it holds what was written
			all = append(all, Kept{Path: filepath.ToSlash(h.rel)})
			_ = os.Remove(h.object)
		default:
			k, err := v.keep(h)
			if err == nil {
				all = append(all, k)
			}
		}
	}
	return all
}

// keep moves what was held to where a person finds it.
func (v Vault) keep(h held) (Kept, error) {
	k := Kept{Path: filepath.ToSlash(h.rel)}
	folder := filepath.Join(v.Dir, "kept", time.Now().UTC().Format(keptFormat))
	to := filepath.Join(folder, h.rel)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return k, fmt.Errorf("keep %s: %w", h.rel, err)
	}
	if err := os.Rename(h.object, to); err != nil {
		return k, fmt.Errorf("keep %s: %w", h.rel, err)
	}
	k.Copy = to
	return k, nil
}

// prune removes what was kept long ago.
func (v Vault) prune() {
	folders, err := os.ReadDir(filepath.Join(v.Dir, "kept"))
	if err != nil {
		return // there is none
	}
	for _, f := range folders {
		if when, err := time.Parse(keptFormat, f.Name()); err == nil && time.Since(when) > keptFor {
			_ = os.RemoveAll(filepath.Join(v.Dir, "kept", f.Name())) // else next time
		}
	}
}

// forget removes what was held of files that have changed since without a
// command: a job trains on. What is young may be another process's.
func (v Vault) forget(current []held) {
	entries, err := os.ReadDir(filepath.Join(v.Dir, "held"))
	if err != nil || len(entries) == len(current) {
		return
	}
	used := make(map[string]bool)
	for _, h := range current {
		used[filepath.Base(h.object)] = true
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && !used[e.Name()] && time.Since(info.ModTime()) > time.Hour {
			_ = os.Remove(filepath.Join(v.Dir, "held", e.Name())) // else next time
		}
	}
}
