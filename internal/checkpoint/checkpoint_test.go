package checkpoint_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/checkpoint"
)

func open(tb testing.TB, dir string) checkpoint.Store {
	tb.Helper()
	s, err := checkpoint.Open(filepath.Join(tb.TempDir(), "checkpoints"), dir)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func take(tb testing.TB, s checkpoint.Store, kind string) checkpoint.Taken {
	tb.Helper()
	taken, err := s.Take(tb.Context(), "s", kind)
	if err != nil {
		tb.Fatal(err)
	}
	return taken
}

func write(tb testing.TB, dir, rel, text string) {
	tb.Helper()
	path := filepath.Join(dir, rel)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
}

func skipping(dirs ...string) func(context.Context) []string {
	return func(context.Context) []string { return dirs }
}

// Nothing new costs nothing: the same id, no bytes, and a change is seen even
// if size and time are what they were.
func TestSameAgain(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.txt", "one")
	write(t, dir, "sub/b.txt", "two")
	s := open(t, dir)
	first := take(t, s, checkpoint.Before)
	again := take(t, s, checkpoint.After)
	if again.ID != first.ID || again.Added != 0 {
		t.Errorf("nothing changed: %+v, then %+v", first, again)
	}
	path := filepath.Join(dir, "a.txt")
	info, err := os.Stat(path)
	do(t, err)
	time.Sleep(150 * time.Millisecond)
	take(t, s, checkpoint.Before) // now it trusts what it saw
	write(t, dir, "a.txt", "eno")
	do(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	if changed := take(t, s, checkpoint.After); changed.ID == first.ID {
		t.Error("a change behind an old time was not seen")
	}
}

// A file that is written right after it was read looks the same on a coarse
// clock: it is read again.
func TestRacilyClean(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	ids := map[checkpoint.Hash]int{}
	for i := range 200 {
		write(t, dir, "a", fmt.Sprintf("%03d", i))
		id := take(t, s, checkpoint.Before).ID
		if was, seen := ids[id]; seen {
			t.Fatalf("%d looks like %d", i, was)
		}
		ids[id] = i
	}
}

// A damaged store is said, and nothing is touched then.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.txt", strings.Repeat("text ", 100))
	write(t, dir, "b.txt", "b")
	s := open(t, dir)
	before := take(t, s, checkpoint.Before)
	write(t, dir, "a.txt", "changed")
	write(t, dir, "b.txt", "changed")
	after := take(t, s, checkpoint.After)
	packs, err := filepath.Glob(filepath.Join(s.Home, "packs", "*.pack"))
	do(t, err)
	failed := 0
	for _, pack := range packs {
		good, err := os.ReadFile(pack)
		do(t, err)
		for at := 0; at < len(good); at += 7 {
			bad := append([]byte{}, good...)
			bad[at] ^= 0x41
			do(t, os.WriteFile(pack, bad, 0o600))
			p, err := s.Plan(t.Context(), points(before, after))
			if err == nil && len(p.Refused()) == 0 {
				err = p.Apply(t.Context(), false)
			}
			have := snapshot(t, dir)
			if err != nil || len(p.Refused()) > 0 {
				failed++
				if err != nil && !errors.Is(err, checkpoint.ErrDamaged) {
					t.Errorf("byte %d: %v", at, err)
				}
				if !strings.Contains(have["a.txt"], fmt.Sprintf("%x", "changed")) || !strings.Contains(have["b.txt"], fmt.Sprintf("%x", "changed")) {
					t.Fatalf("byte %d: a rewind that failed changed something", at)
				}
			} else if !strings.Contains(have["a.txt"], fmt.Sprintf("%x", "text text")) || !strings.Contains(have["b.txt"], fmt.Sprintf("%x", "b")) {
				t.Fatalf("byte %d: what came back is not what was there", at)
			}
			write(t, dir, "a.txt", "changed")
			write(t, dir, "b.txt", "changed")
			do(t, os.WriteFile(pack, good, 0o600))
			after = take(t, s, checkpoint.After) // their times are new
		}
	}
	if failed == 0 {
		t.Error("no damage was ever noticed")
	}
}

// The quota holds: the oldest go first, the newest of a live session stays.
func TestQuota(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.Quota = 300_000
	s.Live = func(id string) bool { return id == "live" }
	random := rand.New(rand.NewPCG(1, 2))
	noise := func() string {
		b := make([]byte, 60_000)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return string(b)
	}
	write(t, dir, "a", noise())
	live, err := s.Take(t.Context(), "live", checkpoint.Before)
	do(t, err)
	var last checkpoint.Taken
	for range 12 {
		write(t, dir, "a", noise())
		last = take(t, s, checkpoint.Before)
	}
	size := int64(0)
	do(t, filepath.WalkDir(s.Home, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && filepath.Ext(d.Name()) == ".pack" {
			info, err := d.Info()
			size += info.Size()
			return err
		}
		return err
	}))
	if size > s.Quota {
		t.Errorf("the store has %d bytes, more than %d", size, s.Quota)
	}
	if !s.Has("live", live.ID) || !s.Has("s", last.ID) {
		t.Error("the checkpoint of a live session, or the newest, is gone")
	}
	plan(t, s, []checkpoint.Point{{Kind: checkpoint.Before, ID: live.ID}})

	s.Quota = 1000
	if _, err := s.Take(t.Context(), "live", checkpoint.After); err != nil {
		t.Errorf("nothing new needs no room: %v", err)
	}
	write(t, dir, "a", noise())
	if _, err := s.Take(t.Context(), "live", checkpoint.After); !errors.Is(err, checkpoint.ErrQuota) {
		t.Errorf("there was no room: %v", err)
	}
	do(t, s.Forget(t.Context(), "live"))
	do(t, s.Forget(t.Context(), "s"))
	if left, _ := filepath.Glob(filepath.Join(s.Home, "packs", "*")); len(left) > 0 {
		t.Errorf("nobody needs %v", left)
	}
}

// A store in a folder of any name knows what is needed.
func TestOddFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "1")
	s, err := checkpoint.Open(filepath.Join(t.TempDir(), "odd [a-b*"), dir)
	if runtime.GOOS == "windows" {
		t.Skip("there is no such name")
	}
	do(t, err)
	before := take(t, s, checkpoint.Before)
	write(t, dir, "a", "22")
	_, err = s.Take(t.Context(), "other", checkpoint.Before)
	do(t, err)
	do(t, s.Forget(t.Context(), "other"))
	do(t, plan(t, s, points(before)).Apply(t.Context(), true))
	if text, _ := os.ReadFile(filepath.Join(dir, "a")); string(text) != "1" {
		t.Errorf("a is %q", text)
	}
}

// What cannot be read is left out, and the rest is kept.
func TestUnreadable(t *testing.T) {
	if runtime.GOOS == "windows" || os.Getuid() == 0 {
		t.Skip("whoever runs this may read everything")
	}
	dir := t.TempDir()
	write(t, dir, "a", "1")
	write(t, dir, "secret", "1")
	write(t, dir, "closed/b", "1")
	do(t, os.Chmod(filepath.Join(dir, "secret"), 0))
	do(t, os.Chmod(filepath.Join(dir, "closed"), 0))
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "closed"), 0o700) })
	s := open(t, dir)
	before := take(t, s, checkpoint.Before)
	if before.Counts.Files != 1 || before.Counts.LeftOut["could not be read"] != 2 {
		t.Errorf("%+v", before.Counts)
	}
	write(t, dir, "a", "2")
	do(t, plan(t, s, points(before, take(t, s, checkpoint.After))).Apply(t.Context(), false))
}

// Much at once is kept in a hurry, and made small when the turn is over.
func TestHurry(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(3, 4))
	for i := range 60 {
		text := make([]byte, 100_000)
		for j := range text {
			text[j] = "0123456789abcdef"[random.IntN(16)]
		}
		write(t, dir, fmt.Sprintf("d%d/f%d", i%7, i), string(text))
	}
	time.Sleep(150 * time.Millisecond)
	s := open(t, dir)
	want := snapshot(t, dir)
	before := take(t, s, checkpoint.Before)
	bulk := func() int {
		names, _ := filepath.Glob(filepath.Join(s.Home, "packs", "bulk-*"))
		return len(names)
	}
	if bulk() != 1 {
		t.Fatal("nothing was kept in a hurry")
	}
	for i := range 60 {
		do(t, os.Remove(filepath.Join(dir, fmt.Sprintf("d%d/f%d", i%7, i))))
	}
	do(t, plan(t, s, points(before)).Apply(t.Context(), true))
	if d := differences(want, snapshot(t, dir)); d != "" {
		t.Error(d)
	}
	time.Sleep(150 * time.Millisecond)
	after := take(t, s, checkpoint.After)
	if again := take(t, s, checkpoint.Before); bulk() != 0 || again.Added != 0 || again.ID != before.ID || after.ID != before.ID {
		t.Errorf("%d bulky packs; %+v, %+v", bulk(), after, again)
	}
	do(t, os.RemoveAll(filepath.Join(dir, "d3")))
	do(t, plan(t, s, points(before, take(t, s, checkpoint.After))).Apply(t.Context(), false))
	if d := differences(want, snapshot(t, dir)); d != "" {
		t.Error(d)
	}
}

// Only the person can read the store.
func TestPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are those of other systems")
	}
	dir := t.TempDir()
	write(t, dir, ".env", "SECRET=1")
	s := open(t, dir)
	take(t, s, checkpoint.Before)
	do(t, filepath.WalkDir(s.Home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	}))
}

// Processes that share a store do not disturb each other.
func TestManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	for i := range 200 {
		write(t, dir, fmt.Sprintf("d%d/f%d", i%7, i), strings.Repeat(fmt.Sprint(i), 200))
	}
	s := open(t, dir)
	var wg sync.WaitGroup
	ids := make([]checkpoint.Hash, 8)
	for i := range ids {
		wg.Go(func() {
			session := fmt.Sprintf("s%d", i)
			taken, err := s.Take(t.Context(), session, checkpoint.Before)
			if err == nil && i%2 == 0 {
				err = s.Forget(t.Context(), session)
			}
			if ids[i] = taken.ID; err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, id := range ids {
		if id != ids[0] {
			t.Error("the same files have two ids")
		}
		if i%2 == 1 {
			plan(t, s, []checkpoint.Point{{Kind: checkpoint.Before, ID: id}})
		}
	}
	do(t, os.RemoveAll(filepath.Join(dir, "d1")))
	after := take(t, s, checkpoint.After)
	p := plan(t, s, []checkpoint.Point{{Kind: checkpoint.Before, ID: ids[1]}, {Kind: checkpoint.After, ID: after.ID}})
	do(t, p.Apply(t.Context(), false))
}
