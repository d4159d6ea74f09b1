package hub

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// A File is content to put at a path of a repository. It comes from a file on
// the disk, which must not change meanwhile, or from memory.
type File struct {
	Path    string
	Local   string // the file on the disk; "" if Content is meant
	Root    string // if set, a folder above Local that no link may lead out of
	Content []byte
}

// A Commit says what to change in a repository, in one step.
type Commit struct {
	Revision    string // the branch; main if ""
	Message     string // "Upload files" if ""
	Description string
	Parent      string // if set and the branch has another head, nothing changes: ErrConflict
	Rebase      bool   // with Parent: such a conflict is tried once more on top of the new head
	Pull        bool   // make a pull request for the branch, from Parent if set
	Files       []File
	Delete      []string // files, or folders if they end with /

	// Memory is a folder, for the account alone, in which is kept what a later
	// call can use: hashes of large files and what has been sent of them. With ""
	// nothing is kept. Several processes may share it.
	Memory   string
	Progress Progress // of each file
}

// Committed is what an upload came to.
type Committed struct {
	Commit    string   // the head of the branch now
	URL       string   // its page
	Unchanged bool     // the Hub had everything already: no commit was made
	Commits   int      // how many were made
	Skipped   []string // files that a .gitignore of the repository leaves out
	PullURL   string   // the page of the pull request, if one was made
	Pull      int      // its number
	Rebased   bool     // the branch had moved on: the commit is on top of its new head
}

// Upload changes a repository by one commit, or by none if the Hub has it all.
// Large files are sent first, those that the Hub lacks; after a failure the
// repository is as it was, and another call sends only what is still missing.
func (c *Client) Upload(ctx context.Context, repo RepoID, in Commit) (Committed, error) {
	out, err := c.upload(ctx, repo, in)
	if in.Rebase && in.Parent != "" && !in.Pull && moved(err) {
		out, err = c.rebase(ctx, repo, in)
	}
	if err != nil {
		return Committed{}, fmt.Errorf("upload to %s: %w", repo, err)
	}
	return out, nil
}

// moved reports whether a commit was refused because its branch has moved on.
func moved(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusPreconditionFailed
}

// rebase uploads on top of what the branch is now.
func (c *Client) rebase(ctx context.Context, repo RepoID, in Commit) (Committed, error) {
	info, err := c.RepoDetails(ctx, repo, InfoOptions{Revision: in.Revision, Expand: []string{"sha"}})
	if err == nil {
		err = info.checkSHA()
	}
	if err != nil {
		return Committed{}, err
	}
	in.Parent = info.SHA
	out, err := c.upload(ctx, repo, in)
	out.Rebased = err == nil
	return out, err
}

func (c *Client) upload(ctx context.Context, repo RepoID, in Commit) (Committed, error) {
	return (&push{client: c, repo: repo, in: in}).run(ctx)
}

func (in Commit) check() error {
	seen := map[string]bool{}
	for _, f := range in.Files {
		if err := CheckPath(f.Path); err != nil {
			return err
		}
		if seen[f.Path] {
			return fmt.Errorf("path %q is there twice", f.Path)
		}
		seen[f.Path] = true
	}
	for _, path := range in.Delete {
		if err := CheckPath(strings.TrimSuffix(path, "/")); err != nil {
			return err
		}
	}
	return nil
}

// deletes reports whether the commit deletes what is at path before it writes
// there: then even the same content must be sent.
func (in Commit) deletes(path string) bool {
	for _, d := range in.Delete {
		if d == path || strings.HasSuffix(d, "/") && strings.HasPrefix(path, d) {
			return true
		}
	}
	return false
}

type seekCloser interface {
	io.ReadSeekCloser
	io.ReaderAt
}

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

func (f File) open() (seekCloser, int64, error) {
	if f.Local == "" {
		return memory{bytes.NewReader(f.Content)}, int64(len(f.Content)), nil
	}
	file, err := f.openLocal()
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", f.Local)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

func (f File) openLocal() (*os.File, error) {
	if f.Root == "" {
		return os.Open(f.Local)
	}
	rel, err := filepath.Rel(f.Root, f.Local)
	if err != nil {
		return nil, err
	}
	return os.OpenInRoot(f.Root, rel)
}

// Open opens the content.
func (f File) Open() (io.ReadCloser, error) {
	body, _, err := f.open()
	return body, err
}

// checkCard asks the Hub whether it can read the card, before anything is
// sent.
func (c *Client) checkCard(ctx context.Context, repo RepoID, files []File) error {
	for _, f := range files {
		if f.Path != "README.md" {
			continue
		}
		body, size, err := f.open()
		if err != nil {
			return err
		}
		defer body.Close()
		if size > 1<<20 {
			return nil // the commit will tell
		}
		text, err := io.ReadAll(body)
		if err != nil {
			return fmt.Errorf("read %s: %w", f.Path, err)
		}
		in := map[string]string{"content": string(text), "repoType": string(cmp.Or(repo.Type, Model))}
		_, err = c.api(ctx, call{method: "POST", path: "/api/validate-yaml"}, in, nil)
		if e, ok := errors.AsType[*Error](err); ok && e.Status != http.StatusBadRequest {
			return nil // advice that cannot be had
		}
		return err
	}
	return nil
}

const preuploadChunk = 256

// preupload asks how to send each file and what is there now. It returns the
// head of the branch, if the Hub says it.
func (c *Client) preupload(ctx context.Context, repo RepoID, in Commit, uploads []*upload) (head string, err error) {
	type file struct {
		Path   string `json:"path"`
		Size   int64  `json:"size"`
		Sample string `json:"sample"`
	}
	var ignore *string
	for _, f := range in.Files {
		if f.Path == ".gitignore" {
			if ignore, err = f.text(); err != nil {
				return "", err
			}
		}
	}
	for start := 0; start < len(uploads); start += preuploadChunk {
		chunk := uploads[start:min(start+preuploadChunk, len(uploads))]
		ask := struct {
			Files  []file  `json:"files"`
			Ignore *string `json:"gitIgnore,omitempty"`
		}{Ignore: ignore}
		byPath := map[string]*upload{}
		for _, u := range chunk {
			ask.Files = append(ask.Files, file{u.Path, u.size, base64.StdEncoding.EncodeToString(u.sample)})
			byPath[u.Path] = u
		}
		var answer struct {
			Files []struct {
				Path   string `json:"path"`
				Mode   string `json:"uploadMode"`
				Ignore bool   `json:"shouldIgnore"`
				OID    string `json:"oid"`
			} `json:"files"`
			Commit string `json:"commitOid"`
		}
		if _, err := c.api(ctx, call{method: "POST", path: in.path(repo, "preupload")}, ask, &answer); err != nil {
			return "", err
		}
		for _, a := range answer.Files {
			if u := byPath[a.Path]; u != nil {
				u.ignored, u.remote = a.Ignore, a.OID
				if !u.asked { // later the sample is gone, and what is sent is sent
					u.large, u.asked = a.Mode == "lfs" && u.size > 0, true
				}
				delete(byPath, a.Path)
			}
		}
		for path := range byPath {
			return "", fmt.Errorf("the Hub did not say how to send %s", path)
		}
		head = answer.Commit
	}
	return head, nil
}

func (f File) text() (*string, error) {
	body, _, err := f.open()
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, 1<<20))
	text := string(data)
	return &text, err
}
