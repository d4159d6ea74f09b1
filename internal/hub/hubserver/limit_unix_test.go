//go:build unix

package hubserver_test

import (
	"bytes"
	"errors"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ml-intern/internal/hub"
)

// limitFiles has the system refuse to write files larger than that.
func limitFiles(bytes string) error {
	if bytes == "" {
		return nil
	}
	n, err := strconv.ParseUint(bytes, 10, 64)
	if err != nil {
		return err
	}
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n})
}

// The disk takes no more: the client is told so, and nothing of the file is
// left.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, client := child(t, dir, childLimit+"=65536")
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	repo := hub.RepoID{Type: hub.Model, Namespace: "me", Name: "x"}
	if _, err := client.CreateRepo(t.Context(), repo, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	before, err := client.RepoInfo(t.Context(), repo, "")
	if err != nil {
		t.Fatal(err)
	}
	noise := sampleFiles()["big.dat"][:200_000]
	for name, file := range map[string]hub.File{
		"large":   {Path: "m.bin", Content: noise},
		"regular": {Path: "t.txt", Content: bytes.ToValidUTF8(bytes.ReplaceAll(noise, []byte{0}, nil), nil)},
	} {
		_, err := client.Upload(t.Context(), repo, hub.Commit{Files: []hub.File{file}})
		e, ok := errors.AsType[*hub.Error](err)
		if !ok || e.Status != http.StatusInsufficientStorage || !strings.Contains(e.Message, "no space left") {
			t.Errorf("a %s file that does not fit is %v", name, err)
		}
	}
	after, err := client.RepoInfo(t.Context(), repo, "")
	if err != nil || after.SHA != before.SHA {
		t.Errorf("afterwards the repository is at %s, %v", after.SHA, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "tmp", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if _, err := client.Upload(t.Context(), repo, hub.Commit{Files: []hub.File{{Path: "small", Content: []byte("fits")}}}); err != nil {
		t.Error(err)
	}
}

// Likewise when the parts of a file are joined, and when git pushes.
func TestFullDiskElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, client := child(t, dir, childLimit+"=65536", childPart+"=49152")
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	repo := hub.RepoID{Type: hub.Model, Namespace: "me", Name: "x"}
	if _, err := client.CreateRepo(t.Context(), repo, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s := site{t: t, url: client.BaseURL}
	before := s.head("me/x")
	noise := sampleFiles()["big.dat"][:200_000]
	_, err := client.Upload(t.Context(), repo, hub.Commit{Files: []hub.File{{Path: "m.bin", Content: noise}}})
	if e, ok := errors.AsType[*hub.Error](err); !ok || e.Status != http.StatusInsufficientStorage {
		t.Errorf("a file in parts that does not fit is %v", err)
	}
	g := newGit(t)
	g.run("", "clone", "-q", client.BaseURL+"/me/x", "x")
	g.write("x/t.txt", string(bytes.ToValidUTF8(bytes.ReplaceAll(noise, []byte{0}, nil), []byte("?"))))
	g.run("x", "add", ".")
	g.run("x", "commit", "-qm", "too much")
	g.refused("507", "x", "push", "-q")
	if after := s.head("me/x"); after != before {
		t.Errorf("afterwards the repository is at %s", after)
	}
	left, err := filepath.Glob(filepath.Join(dir, "tmp", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	g.run("x", "reset", "-q", "--hard", before)
	g.write("x/small", "fits\n")
	g.run("x", "add", ".")
	g.run("x", "commit", "-qm", "fits")
	g.run("x", "push", "-q")
	g.whole("x")
}
