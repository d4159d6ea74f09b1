//go:build unix

package local_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/job"
)

// TestRemoveFollowsNoLink removes a job in whose folder somebody has put links,
// and one whose folder has become a link itself.
func TestRemoveFollowsNoLink(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	outside := t.TempDir()
	kept := filepath.Join(outside, "spec.json")
	write(t, kept, "mine")
	ids := [2]string{}
	for i := range ids {
		s, err := b.Submit(t.Context(), job.Spec{Dir: t.TempDir(), Command: []string{"echo", "said"}})
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = wait(t, b, s.ID).ID
	}
	inside := filepath.Join(b.Dir, "jobs", ids[0])
	if err := errors.Join(os.Symlink(outside, filepath.Join(inside, "link")), os.Symlink(kept, filepath.Join(inside, "file"))); err != nil {
		t.Fatal(err)
	}
	if err := b.Remove(t.Context(), ids[0]); err != nil {
		t.Errorf("remove: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(inside, "link")); err == nil {
		t.Error("the link is still there")
	}
	away := filepath.Join(b.Dir, "jobs", ids[1])
	if err := errors.Join(os.Rename(away, filepath.Join(outside, "moved")), os.Symlink(filepath.Join(outside, "moved"), away)); err != nil {
		t.Fatal(err)
	}
	if err := b.Remove(t.Context(), ids[1]); err == nil {
		t.Error("a folder that is a link was emptied")
	}
	if log := read(t, filepath.Join(outside, "moved", "log.0")); log != "said\n" || read(t, kept) != "mine" {
		t.Errorf("behind the links there is %q", log)
	}
}

// TestRemoveCutOff removes what a removal that was killed has left.
func TestRemoveCutOff(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	s, err := b.Submit(t.Context(), job.Spec{Dir: t.TempDir(), Command: []string{"echo", "said"}})
	if err != nil {
		t.Fatal(err)
	}
	done := wait(t, b, s.ID)
	if err := os.Remove(filepath.Join(b.Dir, "jobs", s.ID, "log.0")); err != nil {
		t.Fatal(err)
	}
	if now, err := b.Status(t.Context(), s.ID); err != nil || now != done {
		t.Errorf("in between it is %+v, %v", now, err)
	}
	if err := b.Remove(t.Context(), s.ID); err != nil {
		t.Error(err)
	}
	if now, err := b.Status(t.Context(), s.ID); err != nil || now.State != job.Succeeded || now.Removed.IsZero() {
		t.Errorf("afterwards it is %+v, %v", now, err)
	}
}

// TestUnusedEnvironments removes an environment when no job has it, and not
// before; a job that comes later gets it anew.
func TestUnusedEnvironments(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	var calls string
	b.UV, calls = fakeUV(t, "")
	submit := func() string {
		s, err := b.Submit(t.Context(), job.Spec{Dir: t.TempDir(), Command: []string{"sh", "-c", "python x; echo ran; [ -e go ] || sleep 300"}, Dependencies: []string{"something"}})
		if err != nil {
			t.Fatal(err)
		}
		return s.ID
	}
	list := func(age time.Duration) []string {
		all, err := b.UnusedEnvironments(t.Context(), age)
		if err != nil {
			t.Fatal(err)
		}
		names := make([]string, len(all))
		for i, e := range all {
			if names[i] = e.Name; e.Bytes <= 0 {
				t.Errorf("the environment is %+v", e)
			}
		}
		return names
	}
	if got := list(0); len(got) != 0 {
		t.Errorf("there is %v", got)
	}
	id := submit()
	for !strings.Contains(logged(t, b, id), "ran") {
		time.Sleep(10 * time.Millisecond)
	}
	if got := list(0); len(got) != 0 {
		t.Errorf("a running job has %v", got)
	}
	entries, err := filepath.Glob(filepath.Join(b.Dir, "envs", "*.whole"))
	if err != nil || len(entries) != 1 {
		t.Fatalf("the environments are %v, %v", entries, err)
	}
	name := strings.TrimSuffix(filepath.Base(entries[0]), ".whole")
	if err := b.RemoveEnvironment(t.Context(), name, 0); err == nil {
		t.Error("what a running job has was removed")
	}
	if err := b.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if got := list(time.Hour); len(got) != 0 {
		t.Errorf("in the last hour %v was not used", got)
	}
	if got := list(0); len(got) != 1 || got[0] != name {
		t.Errorf("now there is %v, want %s", got, name)
	}
	if err := b.RemoveEnvironment(t.Context(), name, time.Hour); err == nil {
		t.Error("what was used a moment ago was removed as an hour old")
	}
	if err := b.RemoveEnvironment(t.Context(), name, 0); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "..", "../jobs", "locks/x"} {
		if err := b.RemoveEnvironment(t.Context(), bad, 0); err == nil {
			t.Errorf("%q was removed", bad)
		}
	}
	id = submit()
	for !strings.Contains(logged(t, b, id), "ran") {
		time.Sleep(10 * time.Millisecond)
	}
	if got := read(t, calls); strings.Count(got, "install") != 2 {
		t.Errorf("uv was called for:\n%s", got)
	}
	if err := b.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}
