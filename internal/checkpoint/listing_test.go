package checkpoint_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/checkpoint"
)

// Whatever happens in folders that were listed a while ago, a checkpoint has
// what one has that lists them all: also what is made while it looks.
func TestListedBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 60 {
		write(t, dir, fmt.Sprintf("d%d/e%d/f%d", i%4, i%3, i), fmt.Sprint(i))
	}
	write(t, dir, ".gitignore", "*.log\n")
	s := open(t, dir)
	random := rand.New(rand.NewPCG(3, 4))
	any := func() string { return fmt.Sprintf("d%d/e%d", random.IntN(4), random.IntN(3)) }
	changes := []func(n int) error{
		func(int) error { return nil },
		func(n int) error {
			return os.WriteFile(filepath.Join(dir, any(), fmt.Sprint("new", n)), []byte("new"), 0o600)
		},
		func(n int) error { return os.Mkdir(filepath.Join(dir, any(), fmt.Sprint("folder", n)), 0o700) },
		func(n int) error { return os.Symlink("nowhere", filepath.Join(dir, any(), fmt.Sprint("link", n))) },
		func(n int) error {
			return os.WriteFile(filepath.Join(dir, any(), fmt.Sprintf("x%d.log", n)), []byte("left out"), 0o600)
		},
		func(int) error { return removeOne(filepath.Join(dir, any())) },
		func(n int) error { // a name changes, and the folder is given its old time back
			at := filepath.Join(dir, any())
			info, err := os.Stat(at)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(at, fmt.Sprint("old", n)), []byte("old"), 0o600); err != nil {
				return err
			}
			return os.Chtimes(at, info.ModTime(), info.ModTime())
		},
		func(n int) error { // two folders change places
			a, b, c := filepath.Join(dir, "d0"), filepath.Join(dir, "d1"), filepath.Join(dir, fmt.Sprint("d", n, "x"))
			for _, move := range [][2]string{{a, c}, {b, a}, {c, b}} {
				if err := os.Rename(move[0], move[1]); err != nil {
					return err
				}
			}
			return nil
		},
	}
	for n := range 24 {
		if n%3 == 0 {
			time.Sleep(130 * time.Millisecond) // what was listed is trusted from then on
			take(t, s, checkpoint.Before)
		}
		do(t, changes[random.IntN(len(changes))](n))
		if got, want := take(t, s, checkpoint.After), take(t, open(t, dir), checkpoint.After); got.ID != want.ID || got.Counts.Files != want.Counts.Files {
			t.Fatalf("round %d: %+v, and all listed anew %+v", n, got, want)
		}
	}
	time.Sleep(130 * time.Millisecond)
	var busy sync.WaitGroup
	busy.Go(func() {
		for i := range 300 {
			_ = os.WriteFile(filepath.Join(dir, "d2", "e1", fmt.Sprint("while", i)), []byte("x"), 0o600)
		}
	})
	for range 5 {
		take(t, s, checkpoint.Before)
	}
	busy.Wait()
	if got, want := take(t, s, checkpoint.After), take(t, open(t, dir), checkpoint.After); got.ID != want.ID {
		t.Errorf("what was made while it looked is missing: %+v, want %+v", got, want)
	}
}

// removeOne removes the first file of a folder.
func removeOne(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			return os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	return nil
}

// A cache that is cut short or wrong is not believed.
func TestCacheDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 30 {
		write(t, dir, fmt.Sprintf("d%d/f%d", i%4, i), fmt.Sprint(i))
	}
	s := open(t, dir)
	time.Sleep(130 * time.Millisecond)
	want := take(t, s, checkpoint.Before)
	path := filepath.Join(s.Home, "cache")
	whole, err := os.ReadFile(path)
	do(t, err)
	for _, cut := range []int{0, 7, 50, 60, len(whole) / 2, len(whole) - 200, len(whole) - 5, len(whole) - 1} {
		do(t, os.WriteFile(path, whole[:cut], 0o600))
		if got := take(t, s, checkpoint.Before); got.ID != want.ID {
			t.Errorf("cut at %d: %+v", cut, got)
		}
	}
	for at := 40; at < len(whole); at += 97 {
		bad := append([]byte{}, whole...)
		bad[at] ^= 0x55
		do(t, os.WriteFile(path, bad, 0o600))
		if got := take(t, s, checkpoint.Before); got.ID != want.ID {
			t.Errorf("wrong at %d: %+v", at, got)
		}
	}
}
