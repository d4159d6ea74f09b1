package cache_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"ml-intern/internal/hub/cache"
)

// Whatever stands where the cache has its files, what is returned is right, or
// there is an error; and what can be mended is.
func TestOddThingsInTheCache(t *testing.T) {
	t.Parallel()
	const name = "w.safetensors"
	for what, odd := range map[string]struct {
		do   func(repo, pointer, blob string) error
		fail bool // it cannot be mended
	}{
		"ref cut off": {do: func(repo, _, _ string) error {
			return os.WriteFile(filepath.Join(repo, "refs", "main"), []byte("abc"), 0o600)
		}},
		"ref of nothing": {do: func(repo, _, _ string) error {
			return os.WriteFile(filepath.Join(repo, "refs", "main"), []byte(strings.Repeat("f", 40)), 0o600)
		}},
		"link to nothing": {do: func(_, _, blob string) error { return os.Remove(blob) }},
		"link to itself":  {do: func(_, pointer, _ string) error { return errors.Join(os.Remove(pointer), os.Symlink(pointer, pointer)) }},
		"no snapshot":     {do: func(repo, _, _ string) error { return os.RemoveAll(filepath.Join(repo, "snapshots")) }},
		"listing cut off": {do: func(repo, pointer, _ string) error {
			trees, err := filepath.Glob(filepath.Join(repo, "trees", "*"))
			if err != nil || len(trees) != 1 {
				return errors.New("there is no listing")
			}
			return errors.Join(os.Truncate(trees[0], 20), os.Remove(pointer))
		}},
		"rest too long": {do: func(_, _, blob string) error {
			return errors.Join(os.Remove(blob), os.WriteFile(blob+".incomplete", make([]byte, 1<<20), 0o600))
		}},
		"folder as ref":     {fail: true, do: func(repo, _, _ string) error { return folderAt(filepath.Join(repo, "refs", "main")) }},
		"folder as blob":    {fail: true, do: func(_, _, blob string) error { return folderAt(blob) }},
		"folder as pointer": {fail: true, do: func(_, pointer, _ string) error { return folderAt(pointer) }},
		"folder as rest": {fail: true, do: func(_, _, blob string) error {
			return errors.Join(os.Remove(blob), folderAt(blob+".incomplete"))
		}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			files := content()
			h, _ := hubWith(t, files)
			c := open(t, h)
			if _, err := c.Snapshot(t.Context(), model, cache.SnapshotOptions{}); err != nil {
				t.Fatal(err)
			}
			pointer := get(t, c, "main", name, files[name])
			blob, err := filepath.EvalSymlinks(pointer)
			if err != nil || blob == pointer {
				t.Skip("there are no links here")
			}
			if err := odd.do(filepath.Join(c.Dir, "models--me--x"), pointer, blob); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if path, err := c.File(t.Context(), model, "main", name, nil); err == nil {
					if got, err := os.ReadFile(path); err != nil || string(got) != string(files[name]) {
						t.Errorf("%s has %d bytes, %v", path, len(got), err)
					}
				} else if !odd.fail {
					t.Error(err)
				}
				if _, err := c.Snapshot(t.Context(), model, cache.SnapshotOptions{}); err != nil && !odd.fail {
					t.Error(err)
				}
			}
		})
	}
}

// folderAt puts a folder with something in it where a file was.
func folderAt(path string) error {
	return errors.Join(os.RemoveAll(path), os.MkdirAll(filepath.Join(path, "x"), 0o700))
}

// Python may finish, under a name of its own, what we had begun.
func TestRestOfWhatIsThere(t *testing.T) {
	t.Parallel()
	files := content()
	h, head := hubWith(t, files)
	c := open(t, h)
	pointer := get(t, c, head, "w.safetensors", files["w.safetensors"])
	blob, err := filepath.EvalSymlinks(pointer)
	if err != nil || blob == pointer {
		t.Skip("there are no links here")
	}
	if err := errors.Join(os.Remove(pointer), os.WriteFile(blob+".incomplete", []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	get(t, c, head, "w.safetensors", files["w.safetensors"])
	leftovers(t, c.Dir)
}

// Names that are as long as they can be, and as odd.
func TestOddNames(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{}
	for _, path := range []string{strings.Repeat("n", 255), "d/" + strings.Repeat("é", 127), "100% #1? a+b&c=d;e.txt", "日本/ ü .json", "UPPER", "Upper", "%2e%2e"} {
		files[path] = []byte(path)
	}
	if runtime.GOOS != "linux" {
		t.Skip("other systems have less room for names")
	}
	h, head := hubWith(t, files)
	for _, noLinks := range []bool{false, true} {
		c := open(t, h)
		c.NoLinks = noLinks
		for path, data := range files {
			get(t, c, "main", path, data)
		}
		for path := range files { // twice: what is of no use is replaced
			name := filepath.Join(c.Dir, "models--me--x", "snapshots", head, path)
			if err := errors.Join(os.Remove(name), os.Symlink("nothing", name)); err != nil {
				t.Fatal(err)
			}
			get(t, c, "main", path, files[path])
		}
		leftovers(t, c.Dir)
	}
}

// Waiting for somebody else's download ends with the context.
func TestCancelWhileLocked(t *testing.T) {
	t.Parallel()
	files := content()
	h, head := hubWith(t, files)
	c := open(t, h)
	pointer := get(t, c, head, "w.safetensors", files["w.safetensors"])
	blob, err := filepath.EvalSymlinks(pointer)
	if err != nil || blob == pointer {
		t.Skip("there are no links here")
	}
	if err := errors.Join(os.Remove(pointer), os.Remove(blob)); err != nil {
		t.Fatal(err)
	}
	lock := flock.New(filepath.Join(c.Dir, ".locks", "models--me--x", filepath.Base(blob)+".lock"))
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = c.File(ctx, model, head, "w.safetensors", nil)
	if at, _ := ctx.Deadline(); !errors.Is(err, context.DeadlineExceeded) || time.Since(at) > 30*time.Second {
		t.Errorf("%s after its context it is %v", time.Since(at), err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	get(t, c, head, "w.safetensors", files["w.safetensors"])
}

// A cache that can only be read serves what is there, and says what it cannot.
func TestReadOnlyCache(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("this account may write everywhere")
	}
	files := content()
	h, _ := hubWith(t, files)
	c := open(t, h)
	get(t, c, "main", "config.json", files["config.json"])
	commit(t, h, map[string][]byte{"more": []byte("x")})
	readOnly(t, c.Dir)
	get(t, c, "main", "config.json", files["config.json"])
	if _, err := c.File(t.Context(), model, "main", "w.safetensors", nil); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a file that cannot be written is %v", err)
	}
}

func readOnly(t *testing.T, dir string) {
	t.Helper()
	set := func(mode os.FileMode) {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				err = os.Chmod(path, mode)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	set(0o500)
	t.Cleanup(func() { set(0o700) })
}
