package hubserver_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
)

// A server is killed while pull requests are opened, discussed and merged. Each
// is there with its branch and its conversation or not at all, and is merged on
// both sides or on none; what was confirmed is there.
func TestKilledMerge(t *testing.T) {
	t.Parallel()
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	dir := t.TempDir()
	repo := hub.RepoID{Type: hub.Model, Namespace: "me", Name: "x"}
	newSite(t, hubserver.Options{Dir: dir}).create("x")
	opened, merged := map[int]bool{}, map[int]bool{} // confirmed
	cut := 0
	for round := range rounds {
		cmd, client := child(t, dir)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				num, did, err := proposeAndMerge(ctx, client, repo, fmt.Sprintf("f%d-%d", round, i))
				if num > 0 {
					opened[num] = true
				}
				if did {
					merged[num] = true
				}
				if err != nil {
					return
				}
			}
		})
		time.Sleep(time.Duration(20+rand.IntN(200)) * time.Millisecond) // somewhere in the middle
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed, as it should be
		stop()
		wg.Wait()
		cut += checkPulls(t, newSite(t, hubserver.Options{Dir: dir}), opened, merged)
	}
	t.Logf("%d pull requests, %d of them merged; %d things were done and not confirmed", len(opened), len(merged), cut)
	if len(merged) == 0 {
		t.Error("nothing was merged: the test shows nothing")
	}
}

// proposeAndMerge opens a pull request with a file, and merges it.
func proposeAndMerge(ctx context.Context, client *hub.Client, repo hub.RepoID, name string) (num int, merged bool, err error) {
	out, err := client.Upload(ctx, repo, hub.Commit{Message: name, Pull: true, Files: []hub.File{{Path: name, Content: []byte(name)}}})
	if err != nil {
		return 0, false, err
	}
	if err := client.MergePullRequest(ctx, repo, out.Pull, "merging "+name); err != nil {
		return out.Pull, false, err
	}
	return out.Pull, true, nil
}

// checkPulls checks every pull request, and adds to opened and merged what was
// done but not confirmed. It returns how many such things there are.
func checkPulls(t *testing.T, s site, opened, merged map[int]bool) int {
	t.Helper()
	var commits []struct{ Title string }
	s.do("GET", "/api/models/me/x/commits/main?limit=1000", "").json(t, &commits)
	inMain := map[string]int{}
	for _, c := range commits {
		inMain[c.Title]++
	}
	var refs struct{ PullRequests []struct{ Name string } }
	s.do("GET", "/api/models/me/x/refs?include_prs=1", "").json(t, &refs)
	surprises := 0
	for _, ref := range refs.PullRequests {
		var num int
		fmt.Sscan(ref.Name, &num)
		d := s.discussion("me/x", num)
		if !opened[num] {
			opened[num] = true
			surprises++
		}
		if want := inMain[fmt.Sprintf("%s (#%d)", d.Title, num)]; d.Status == "merged" && want != 1 || d.Status == "open" && want != 0 {
			t.Fatalf("pull request %d is %s and %d times in main", num, d.Status, want)
		}
		want := "comment commit"
		if d.Status == "merged" {
			want += " comment status-change"
			if !merged[num] {
				merged[num] = true
				surprises++
			}
		}
		if d.types() != want {
			t.Fatalf("pull request %d is %s and has %q, want %q", num, d.Status, d.types(), want)
		}
		if merged[num] && d.Status != "merged" {
			t.Fatalf("pull request %d was merged and is %s", num, d.Status)
		}
	}
	var list struct{ Count int }
	s.do("GET", "/api/models/me/x/discussions", "").json(t, &list)
	if list.Count != len(refs.PullRequests) || list.Count != len(opened) {
		t.Fatalf("there are %d conversations, %d branches and %d pull requests that were opened", list.Count, len(refs.PullRequests), len(opened))
	}
	for title := range inMain {
		if strings.Contains(title, "(#") && inMain[title] != 1 {
			t.Fatalf("%s is %d times in main", title, inMain[title])
		}
	}
	return surprises
}
