package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/session"
	"ml-intern/internal/session/sqlite"
)

// childVariable makes the test binary one of the other processes below:
// "ROLE ID PATH".
const childVariable = "SQLITE_TEST_CHILD"

func TestMain(m *testing.M) {
	role, rest, ok := strings.Cut(os.Getenv(childVariable), " ")
	if !ok {
		os.Exit(m.Run())
	}
	id, path, _ := strings.Cut(rest, " ")
	if err := child(role, path, id); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// child says on its standard output what it has achieved, when it has.
func child(role, path, id string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	switch role {
	case "lease":
		if _, err := s.Lease(ctx, id); err != nil {
			return err
		}
		fmt.Println("held")
		select {}
	case "write":
		return writeForEver(ctx, s, id)
	case "compete":
		return errors.Join(compete(ctx, s, id), s.Close())
	}
	return fmt.Errorf("no role %q", role)
}

// writeForEver goes on with the session, one to three events at a time, and
// prints the last number that is saved.
func writeForEver(ctx context.Context, s session.Store, id string) error {
	var last int64
	for ev, err := range s.Load(ctx, id, 0) {
		if err != nil {
			return err
		}
		last = ev.Seq
	}
	for {
		var events []session.Event
		for range rand.IntN(3) + 1 {
			last++
			events = append(events, reply(last))
		}
		if err := s.Append(ctx, id, events...); err != nil {
			return err
		}
		fmt.Println(last)
	}
}

const rounds = 40

// compete writes a session of its own and fights for each number of a shared
// one. It prints the numbers that it won.
func compete(ctx context.Context, s session.Store, id string) error {
	for seq := int64(1); seq <= rounds; seq++ {
		if err := s.Append(ctx, id, reply(seq)); err != nil {
			return err
		}
		switch err := s.Append(ctx, "shared", reply(seq)); {
		case err == nil:
			fmt.Println(seq)
		case !errors.Is(err, session.ErrConflict):
			return err
		}
	}
	return nil
}

func start(ctx context.Context, role, path, id string) (*exec.Cmd, *bufio.Scanner, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s", childVariable, role, id, path))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	return cmd, bufio.NewScanner(out), cmd.Start()
}

// A process that is killed at any moment has saved what it said it had, and
// the next one finds a log without holes and goes on.
func TestKilledWriters(t *testing.T) {
	t.Parallel()
	kills := 20 // of each of two writers
	if testing.Short() {
		kills = 3
	}
	path := filepath.Join(t.TempDir(), "s.db")
	var wg sync.WaitGroup
	for _, id := range []string{"a", "b"} {
		wg.Go(func() {
			var last int64
			for i := range kills {
				said, err := writeAndKill(t.Context(), path, id, i%2 == 0)
				if err != nil {
					t.Errorf("writer %s, kill %d: %v", id, i, err)
					return
				}
				last = max(last, said)
			}
			if last == 0 {
				t.Errorf("writer %s saved nothing in %d lives", id, kills)
			}
			checkLog(t, open(t, path), id, last)
		})
	}
	wg.Wait()
}

// writeAndKill lets a writer live for a short while and returns the last
// number that it said is saved. Some die while they start, some while they
// write.
func writeAndKill(ctx context.Context, path, id string, writing bool) (said int64, err error) {
	cmd, lines, err := start(ctx, "write", path, id)
	if err != nil {
		return 0, err
	}
	if writing {
		lines.Scan()
		said, err = strconv.ParseInt(lines.Text(), 10, 64)
	}
	killer := time.AfterFunc(rand.N(50*time.Millisecond), func() { _ = cmd.Process.Kill() })
	defer killer.Stop()
	for err == nil && lines.Scan() {
		said, err = strconv.ParseInt(lines.Text(), 10, 64)
	}
	_ = cmd.Wait() // killed
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, lines.Text())
	}
	return said, checkSaved(ctx, path, id, said)
}

func checkSaved(ctx context.Context, path, id string, said int64) error {
	s, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	defer s.Close()
	var last int64
	for ev, err := range s.Load(ctx, id, 0) {
		if err != nil {
			return err
		}
		if ev.Seq != last+1 {
			return fmt.Errorf("event %d comes after %d", ev.Seq, last)
		}
		last = ev.Seq
	}
	if last < said {
		return fmt.Errorf("event %d was reported as saved and the log ends at %d", said, last)
	}
	return nil
}

func checkLog(t *testing.T, s session.Store, id string, atLeast int64) {
	n := int64(0)
	for _, err := range s.Load(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	list, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sum := range list {
		if sum.ID == id && (sum.Events != n || int64(sum.Steps) != n || n < atLeast) {
			t.Errorf("%d events, %d said to be saved, summary %+v", n, atLeast, sum)
		}
	}
}

// A disk that takes no more fails an append, keeps what it has, and goes on
// once there is room. A limit on the size of files stands for the disk.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no shell to set the limit")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s.db")
	cmd := exec.CommandContext(t.Context(), sh, "-c", `trap "" XFSZ; ulimit -f 400; exec "$0"`, exe)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=write a %s", childVariable, path))
	out, err := cmd.Output()
	if err == nil {
		t.Fatal("there was no limit")
	}
	said := strings.Split(strings.TrimSpace(string(out)), "\n")
	failure := said[len(said)-1]
	if len(said) < 2 || !strings.Contains(failure, "append to session a") {
		t.Fatalf("the writer ended with %q", failure)
	}
	last, err := strconv.ParseInt(said[len(said)-2], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkSaved(t.Context(), path, "a", last); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	put(t, s, last+1)
	checkLog(t, s, "a", last+1)
}

// Several processes make the file at once, write beside each other, and no
// number goes to two of them.
func TestSeveralProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "s.db")
	var mu sync.Mutex
	won := map[string]int{}
	var wg sync.WaitGroup
	const processes = 4
	for i := range processes {
		wg.Go(func() {
			cmd, lines, err := start(t.Context(), "compete", path, fmt.Sprint("own", i))
			if err != nil {
				t.Error(err)
				return
			}
			for lines.Scan() {
				mu.Lock()
				won[lines.Text()]++
				mu.Unlock()
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("process %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	s := open(t, path)
	for i := range processes {
		checkLog(t, s, fmt.Sprint("own", i), rounds)
	}
	checkLog(t, s, "shared", rounds)
	for seq := range rounds {
		if n := won[fmt.Sprint(seq+1)]; n != 1 {
			t.Errorf("number %d was won %d times", seq+1, n)
		}
	}
	if len(won) != rounds {
		t.Errorf("won %v", won)
	}
}

// A lease ends with the process that has it.
func TestLeaseOfTheDead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	cmd, lines, err := start(t.Context(), "lease", path, "a")
	if err != nil {
		t.Fatal(err)
	}
	if !lines.Scan() || lines.Text() != "held" {
		t.Fatalf("the other process says %q", lines.Text())
	}
	s := open(t, path)
	if _, err := s.Lease(t.Context(), "a"); !errors.Is(err, session.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	release, err := s.Lease(t.Context(), "a")
	if err != nil {
		t.Fatalf("the lease of a dead process: %v", err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}

// An append that waits in the queue stops when its caller does, and has saved
// nothing; the others are saved.
func TestCancelInTheQueue(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "s.db"))
	outcomes := make([]error, 200)
	var wg sync.WaitGroup
	for i := range outcomes {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), rand.N(20*time.Millisecond))
			defer cancel()
			outcomes[i] = s.Append(ctx, fmt.Sprint("s", i), reply(1))
		})
	}
	wg.Wait()
	for i, err := range outcomes {
		n := 0
		for range s.Load(t.Context(), fmt.Sprint("s", i), 0) {
			n++
		}
		if saved := err == nil; saved != (n == 1) {
			t.Errorf("append %d said %v and %d events are there", i, err, n)
		}
	}
}
