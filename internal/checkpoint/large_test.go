//go:build linux

package checkpoint_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/checkpoint"
)

// A folder of 100 GB costs milliseconds and no disk, and comes back when it was
// deleted or replaced.
func TestHugeFiles(t *testing.T) {
	dir := t.TempDir()
	paths := []string{"model/a.safetensors", "model/b.safetensors", "model/c.bin"}
	for _, rel := range paths {
		write(t, dir, rel, "weights")
		do(t, os.Truncate(filepath.Join(dir, rel), 34<<30))
	}
	s := open(t, dir)
	s.Live = func(string) bool { return true }
	before := take(t, s, checkpoint.Before)
	if before.Counts.Large != 3 || before.Counts.Unheld != 0 {
		t.Skipf("this file system holds no large files: %+v", before.Counts)
	}
	if before.Added > 4096 || before.Seconds > 1 {
		t.Errorf("it took %d bytes and %.3f s", before.Added, before.Seconds)
	}
	want := snapshot(t, dir)
	do(t, os.Remove(filepath.Join(dir, paths[0])))
	do(t, os.Rename(filepath.Join(dir, paths[1]), filepath.Join(dir, "moved")))
	write(t, dir, "tmp", "other")
	do(t, os.Rename(filepath.Join(dir, "tmp"), filepath.Join(dir, paths[2])))
	after := take(t, s, checkpoint.After)
	do(t, plan(t, s, points(before, after)).Apply(t.Context(), false))
	if d := differences(want, snapshot(t, dir)); d != "" {
		t.Error(d)
	}
}

// What a live session deleted last is held whatever it takes; then the oldest
// goes first, and the files beside it stay.
func TestTooMuchHeld(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "small", "1")
	s := open(t, dir)
	s.Spare = 1 << 30
	s.Live = func(string) bool { return true }
	var taken []checkpoint.Taken
	for i := range 3 {
		path := filepath.Join(dir, "model.bin")
		write(t, dir, "model.bin", "weights")
		do(t, os.Truncate(path, 800<<20))
		taken = append(taken, take(t, s, checkpoint.Before))
		if taken[0].Counts.Unheld > 0 {
			t.Skip("this file system holds no large files")
		}
		do(t, os.Remove(path))
		write(t, dir, "small", strings.Repeat("2", i+2))
		taken = append(taken, take(t, s, checkpoint.After))
	}
	for i, lost := range []int{1, -1, 1, -1, 0} {
		if lost < 0 {
			continue
		}
		if p := plan(t, s, points(taken[i:]...)); len(p.Refused()) != lost {
			t.Errorf("turn %d: %+v", i/2+1, p.Changes)
		}
	}
}

// What was written into a file that a second name holds is said, and somebody
// else's copy is taken.
func TestWrittenInto(t *testing.T) {
	dir := t.TempDir()
	text := strings.Repeat("w", 5<<20)
	write(t, dir, "w.bin", text)
	keep := filepath.Join(t.TempDir(), "kept")
	do(t, os.WriteFile(keep, []byte(text), 0o600))
	info, err := os.Stat(filepath.Join(dir, "w.bin"))
	do(t, err)
	do(t, os.Chtimes(keep, info.ModTime(), info.ModTime()))
	s := open(t, dir)
	before := take(t, s, checkpoint.Before)
	f, err := os.OpenFile(filepath.Join(dir, "w.bin"), os.O_WRONLY, 0)
	do(t, err)
	_, err = f.WriteString("damage")
	do(t, err)
	do(t, f.Close())
	after := take(t, s, checkpoint.After)

	p := plan(t, s, points(before, after))
	if refused := p.Refused(); len(refused) == 1 && refused[0].Lost {
		s.Elsewhere = func(rel string, size int64, when time.Time) string {
			if rel == "w.bin" && size == 5<<20 && when.Equal(info.ModTime()) {
				return keep
			}
			return ""
		}
		p = plan(t, s, points(before, after))
	} // else the file system clones
	do(t, p.Apply(t.Context(), false))
	if back, _ := os.ReadFile(filepath.Join(dir, "w.bin")); string(back) != text {
		t.Error("the file did not come back")
	}
	a, _ := os.Stat(keep)
	b, _ := os.Stat(filepath.Join(dir, "w.bin"))
	if os.SameFile(a, b) {
		t.Error("somebody else's copy changes with the workspace now")
	}
}

// Pipes, sockets and devices are no files, and nobody waits for them.
func TestSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	do(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	write(t, dir, "a", "1")
	s := open(t, dir)
	before := take(t, s, checkpoint.Before)
	if before.Counts.Files != 1 || len(before.Counts.LeftOut) != 1 {
		t.Errorf("%+v", before.Counts)
	}
	do(t, os.Remove(filepath.Join(dir, "pipe")))
	write(t, dir, "pipe", "now a file")
	after := take(t, s, checkpoint.After)
	p := plan(t, s, points(before, after))
	if p.Work() != 0 {
		t.Errorf("%+v", p.Changes)
	}
}

// Where a job runs nothing is brought back, whatever was there before.
func TestRunningJob(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "out/model.txt", "1")
	write(t, dir, "out/sub/gone.txt", "1")
	write(t, dir, "a", "1")
	s := open(t, dir)
	before := take(t, s, checkpoint.Before)
	s.Skip = skipping(filepath.Join(dir, "out"))
	write(t, dir, "a", "2")
	write(t, dir, "out/model.txt", "2")
	do(t, os.RemoveAll(filepath.Join(dir, "out", "sub")))
	after := take(t, s, checkpoint.After)
	p := plan(t, s, points(before, after))
	if len(p.Changes) != 1 {
		t.Errorf("%+v", p.Changes)
	}
	do(t, p.Apply(t.Context(), true))
	if text, _ := os.ReadFile(filepath.Join(dir, "out", "model.txt")); string(text) != "2" {
		t.Error("the job's output was touched")
	}
}

// What others write to is left out.
func TestSkip(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "out/model.txt", "1")
	write(t, dir, "a", "1")
	s := open(t, dir)
	s.Skip = skipping(filepath.Join(dir, "out"))
	before := take(t, s, checkpoint.Before)
	write(t, dir, "out/model.txt", "2")
	write(t, dir, "out/more.txt", "2")
	s.Skip = nil // the job has ended
	after := take(t, s, checkpoint.After)
	if p := plan(t, s, points(before, after)); p.Work() != 0 {
		t.Errorf("%+v", p.Changes)
	}
}

// A workspace on another disk may come with a link where large files are to be
// held: what it leads to is somebody's, and stays.
func TestHoldsNothingThroughLinks(t *testing.T) {
	for _, at := range []string{".ml-intern", ".ml-intern/checkpoints"} {
		dir, err := os.MkdirTemp("/dev/shm", "checkpoint")
		if err != nil {
			t.Skip("there is no second disk: ", err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		home := t.TempDir()
		write(t, home, "mine", "mine")
		write(t, home, "checkpoints/mine", "mine")
		link := filepath.Join(dir, filepath.FromSlash(at))
		do(t, os.MkdirAll(filepath.Dir(link), 0o700))
		do(t, os.Symlink(home, link))
		write(t, dir, "a.txt", "one")
		s := open(t, dir)
		take(t, s, checkpoint.Before)
		do(t, s.Forget(t.Context(), "s"))
		for _, name := range []string{"mine", "checkpoints/mine"} {
			if _, err := os.Stat(filepath.Join(home, name)); err != nil {
				t.Errorf("%s: %v", at, err)
			}
		}
	}
}
