package hubserver_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubserver/gitstore"
)

const (
	childDir   = "HUBSERVER_TEST_CHILD_DIR"   // serve this folder until killed
	childLimit = "HUBSERVER_TEST_CHILD_LIMIT" // files may not become larger than this
	childPart  = "HUBSERVER_TEST_CHILD_PART"  // larger files come in parts
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		serveChild(dir)
	}
	os.Exit(m.Run())
}

// serveChild is the server process that tests kill.
func serveChild(dir string) {
	if err := limitFiles(os.Getenv(childLimit)); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	part, _ := strconv.ParseInt(os.Getenv(childPart), 10, 64) // the default, if it is not there
	s, err := hubserver.Open(hubserver.Options{Dir: dir, PartSize: part})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(httptest.NewServer(s).URL)
	select {}
}

// child starts a server process and returns its client.
func child(t *testing.T, dir string, env ...string) (*exec.Cmd, *hub.Client) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(append(os.Environ(), childDir+"="+dir), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(url, "http://") {
		t.Fatalf("the server process said %q, %v", url, err)
	}
	return cmd, &hub.Client{BaseURL: strings.TrimSpace(url)}
}

// A server is killed in the middle of commits, again and again. Each time the
// repository is as after one of them, whole; and what was confirmed is there.
func TestKilledServer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files generationOf
		part  string
	}{
		"small files":    {generationOf{dirs: 3}, ""},
		"many files":     {generationOf{dirs: 3, texts: 300}, ""}, // one pack a commit
		"files in parts": {generationOf{dirs: 3, pad: 300_000}, "65536"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killAndCheck(t, c.files, childPart+"="+c.part)
		})
	}
}

func killAndCheck(t *testing.T, files generationOf, env string) {
	rounds := 25
	if testing.Short() {
		rounds = 5
	}
	dir := t.TempDir()
	repo := hub.RepoID{Type: hub.Model, Namespace: "me", Name: "x"}
	generation, kills := 0, 0
	for round := range rounds {
		cmd, client := child(t, dir, env)
		if round == 0 {
			if _, err := client.CreateRepo(t.Context(), repo, hub.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		confirmed, sent := generation, generation
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for ctx.Err() == nil {
				sent++
				if _, err := client.Upload(ctx, repo, files.commit(sent)); err != nil {
					return
				}
				confirmed = sent
			}
		})
		time.Sleep(time.Duration(30+rand.IntN(270)) * time.Millisecond) // somewhere in the middle
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed, as it should be
		stop()
		wg.Wait()
		generation = checkGeneration(t, dir, repo, files.count())
		if generation < confirmed || generation > sent {
			t.Fatalf("round %d: the repository has commit %d; %d was confirmed and %d sent", round, generation, confirmed, sent)
		}
		if sent > confirmed {
			kills++
		}
	}
	t.Logf("%d of %d kills were in the middle of an upload; %d commits were made", kills, rounds, generation)
	if kills == 0 {
		t.Error("no kill was in the middle of an upload: the test shows nothing")
	}
}

// generationOf says what a commit has, all of whose files say which one it is.
type generationOf struct {
	dirs  int // with a text and a large file each
	pad   int // bytes more in each large file
	texts int // more of them
}

func (g generationOf) count() int { return 2*g.dirs + g.texts }

func (g generationOf) commit(n int) hub.Commit {
	var c hub.Commit
	for i := range g.dirs {
		c.Files = append(c.Files,
			hub.File{Path: fmt.Sprintf("d%d/text", i), Content: fmt.Appendf(nil, "%d\n", n)},
			hub.File{Path: fmt.Sprintf("d%d/large.bin", i), Content: fmt.Appendf(nil, "%d\n\x00%d%s", n, i, strings.Repeat(" ", g.pad))})
	}
	for i := range g.texts {
		c.Files = append(c.Files, hub.File{Path: fmt.Sprintf("more/%d", i), Content: fmt.Appendf(nil, "%d\n%d", n, i)})
	}
	return c
}

// checkGeneration reads the whole repository and returns which commit it is.
func checkGeneration(t *testing.T, dir string, id hub.RepoID, want int) int {
	t.Helper()
	s, err := gitstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := s.Repo(id)
	if err != nil {
		t.Fatal(err)
	}
	head, err := s.Resolve(repo, "main")
	if err != nil {
		t.Fatal(err)
	}
	for c, err := range s.History(head.ID) {
		if err != nil {
			t.Fatalf("the history is broken at %s: %v", c.ID, err)
		}
	}
	found := map[int]int{}
	for e, err := range s.Entries(head, "", true) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Dir || e.Path == gitstore.AttributesFile {
			continue
		}
		f, err := s.File(e.OID)
		if err != nil {
			t.Fatal(err)
		}
		found[readGeneration(t, s, f)]++
	}
	if len(found) == 0 {
		return 0
	}
	if len(found) != 1 {
		t.Fatalf("the files are of several commits: %v", found)
	}
	for n, files := range found {
		if files != want {
			t.Fatalf("commit %d has %d files, want %d", n, files, want)
		}
		return n
	}
	return 0
}

func readGeneration(t *testing.T, s *gitstore.Store, f gitstore.File) int {
	t.Helper()
	var n int
	if f.Large == nil {
		text, err := s.Blob(f.OID)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Sscan(string(text), &n)
		return n
	}
	file, err := s.OpenLarge(f.Large.OID)
	if err != nil {
		t.Fatal(err)
	}
	text := read(t, file)
	if sum(text) != f.Large.OID {
		t.Fatalf("the large file %s is damaged", f.Large.OID)
	}
	fmt.Sscan(text, &n)
	return n
}

// The same with git's push: a branch is where it was or where it was pushed
// to, and what it leads to is whole.
func TestKilledPush(t *testing.T) {
	t.Parallel()
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	dir := t.TempDir()
	g := newGit(t)
	g.run("", "init", "-q", "x")
	repo := hub.RepoID{Type: hub.Model, Namespace: "me", Name: "x"}
	confirmed, kills := "", 0
	for round := range rounds {
		cmd, client := child(t, dir)
		url := client.BaseURL + "/me/x"
		if round == 0 {
			if _, err := client.CreateRepo(t.Context(), repo, hub.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			g.run("x", "pull", "-q", url, "main")
			confirmed = g.run("x", "rev-parse", "HEAD")
		}
		kill := time.AfterFunc(time.Duration(100+rand.IntN(1200))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		sent := confirmed
		for n := 0; ; n++ {
			for i := range 30 {
				g.write(fmt.Sprintf("x/d%d/f", i), fmt.Sprint(round, n, i))
			}
			g.write("x/large.bin", fmt.Sprint("\x00", round, n))
			g.run("x", "add", ".")
			g.run("x", "commit", "-qm", fmt.Sprint(round, n))
			sent = g.run("x", "rev-parse", "HEAD")
			if _, err := g.try("x", "push", "-q", url, "HEAD:main"); err != nil {
				break
			}
			confirmed = sent
		}
		kill.Stop()
		_ = cmd.Process.Kill() // a push that failed for another reason ends the round too
		_ = cmd.Wait()
		s, err := gitstore.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Repo(repo)
		if err != nil {
			t.Fatal(err)
		}
		switch head := r.Refs[gitstore.MainBranch]; head {
		case sent:
			confirmed = sent
		case confirmed:
			kills++
		default:
			t.Fatalf("round %d: the branch is at %s; %s was confirmed and %s sent", round, head, confirmed, sent)
		}
		g.run("x", "reset", "-q", "--hard", confirmed)
	}
	_, client := child(t, dir)
	g.run("", "clone", "-q", client.BaseURL+"/me/x", "clone")
	g.whole("clone")
	g.run("clone", "diff", "--exit-code", confirmed)
	t.Logf("%d of %d kills lost what was on its way", kills, rounds)
}
