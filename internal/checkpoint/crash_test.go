package checkpoint_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/checkpoint"
)

// The test program is also the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("CHECKPOINT_CRASH_DIR"); dir != "" {
		if err := victim(context.Background(), os.Getenv("CHECKPOINT_CRASH_HOME"), dir, os.Getenv("CHECKPOINT_CRASH_IDS")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// victim makes checkpoints of versions for ever, or with ids brings one back.
func victim(ctx context.Context, home, dir, ids string) error {
	s, err := checkpoint.Open(home, dir)
	if err != nil {
		return err
	}
	s.Quota = 150_000 // so that it tidies up all the time
	if ids != "" {
		before, after, _ := strings.Cut(ids, " ")
		b, errB := checkpoint.ParseHash(before)
		a, errA := checkpoint.ParseHash(after)
		if errA != nil || errB != nil {
			return fmt.Errorf("%w %w", errA, errB)
		}
		p, err := s.Plan(ctx, []checkpoint.Point{{Kind: checkpoint.Before, ID: b}, {Kind: checkpoint.After, ID: a}})
		if err != nil {
			return err
		}
		return p.Apply(ctx, false)
	}
	for v := rand.IntN(1_000_000); ; v++ {
		if err := version(dir, v); err != nil {
			return err
		}
		if _, err := s.Take(ctx, fmt.Sprintf("s%d", v%3), checkpoint.Before); err != nil {
			return err
		}
	}
}

// version writes twelve files that all have one version, and noise that does
// not compress.
func version(dir string, v int) error {
	random := rand.New(rand.NewPCG(uint64(v), 0))
	noise := make([]byte, 3000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	for i := range 12 {
		path := filepath.Join(dir, fmt.Sprintf("d%d", i%4), fmt.Sprintf("f%d", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, fmt.Appendf(nil, "%d %d %s", v, i, noise), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// killed runs the victim and kills it after a while, if it still runs.
func killed(t *testing.T, after time.Duration, env ...string) {
	t.Helper()
	exe, err := os.Executable()
	do(t, err)
	cmd := exec.CommandContext(t.Context(), exe)
	var said strings.Builder
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), &said
	do(t, cmd.Start())
	time.Sleep(after)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if said.Len() > 0 {
		t.Fatalf("before it was killed: %s", said.String())
	}
}

// Whenever a process is killed, what is recorded can be brought back whole.
func TestKilledWhileKeeping(t *testing.T) {
	dir, home := t.TempDir(), filepath.Join(t.TempDir(), "checkpoints")
	found, wait := 0, 30*time.Millisecond
	for round := 0; round < 12 || found < 12 && round < 40; round++ {
		before := found
		killed(t, wait+time.Duration(rand.IntN(60_000))*time.Microsecond,
			"CHECKPOINT_CRASH_DIR="+dir, "CHECKPOINT_CRASH_HOME="+home)
		s, err := checkpoint.Open(home, dir)
		do(t, err)
		records, err := filepath.Glob(filepath.Join(s.Home, "records", "*", "*"))
		do(t, err)
		for _, r := range records {
			id, err := checkpoint.ParseHash(filepath.Base(r)[strings.LastIndexByte(filepath.Base(r), '.')+1:])
			do(t, err)
			p, err := s.Plan(t.Context(), []checkpoint.Point{{Kind: checkpoint.Before, ID: id}})
			do(t, err)
			do(t, p.Apply(t.Context(), true))
			oneVersion(t, dir)
			found++
		}
		if found == before { // the machine is busy with other work
			wait = min(2*wait, 3*time.Second)
		}
	}
	if found < 12 {
		t.Errorf("%d records were looked at: it was always killed before it had begun", found)
	}
}

func oneVersion(t *testing.T, dir string) {
	t.Helper()
	seen := map[string]bool{}
	for i := range 12 {
		text, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("d%d", i%4), fmt.Sprintf("f%d", i)))
		do(t, err)
		v, _, _ := strings.Cut(string(text), " ")
		seen[v] = true
	}
	if len(seen) != 1 {
		t.Fatalf("files of several versions came back: %v", seen)
	}
}

// A rewind that was killed is finished by the next one, and nobody is told that
// a person changed what it did.
func TestKilledWhileBringingBack(t *testing.T) {
	half := 0
	for range 10 {
		dir, home := t.TempDir(), filepath.Join(t.TempDir(), "checkpoints")
		s, err := checkpoint.Open(home, dir)
		do(t, err)
		for i := range 60 {
			write(t, dir, fmt.Sprintf("d%d/f%d", i%5, i), strings.Repeat("old", i))
		}
		before := take(t, s, checkpoint.Before)
		want := snapshot(t, dir)
		do(t, os.RemoveAll(filepath.Join(dir, "d1")))
		write(t, dir, "d1", "a file")
		for i := range 60 {
			if i%5 != 1 {
				write(t, dir, fmt.Sprintf("d%d/f%d", i%5, i), "new")
			}
			write(t, dir, fmt.Sprintf("new%d/f", i), "new")
		}
		after := take(t, s, checkpoint.After)
		was := snapshot(t, dir)
		killed(t, time.Duration(rand.IntN(60_000))*time.Microsecond, "CHECKPOINT_CRASH_DIR="+dir, "CHECKPOINT_CRASH_HOME="+home,
			"CHECKPOINT_CRASH_IDS="+before.ID.String()+" "+after.ID.String())
		if is := snapshot(t, dir); differences(want, is) != "" && differences(was, is) != "" {
			half++
		}
		p := plan(t, s, points(before, after))
		if refused := p.Refused(); len(refused) > 0 {
			t.Fatalf("%+v", refused)
		}
		do(t, p.Apply(t.Context(), false))
		if d := differences(want, snapshot(t, dir)); d != "" {
			t.Fatal(d)
		}
	}
	t.Logf("%d of 10 were killed half way", half)
}
