package hub

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
}

// Committed is what an upload came to.
type Committed struct {
	Commit    string   // the head of the branch now
	URL       string   // its page
	Unchanged bool     // the Hub had everything already: no commit was made
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
	if err != nil {
		return Committed{}, err
	}
	in.Parent = info.SHA
	out, err := c.upload(ctx, repo, in)
	out.Rebased = err == nil
	return out, err
}

func (c *Client) upload(ctx context.Context, repo RepoID, in Commit) (Committed, error) {
	if err := in.check(); err != nil {
		return Committed{}, err
	}
	if err := c.checkCard(ctx, repo, in.Files); err != nil {
		return Committed{}, err
	}
	uploads, err := digestAll(ctx, in.Files)
	if err != nil {
		return Committed{}, err
	}
	head, err := c.preupload(ctx, repo, in, uploads)
	if err != nil {
		return Committed{}, err
	}
	var out Committed
	var changed []*upload
	for _, u := range uploads {
		switch {
		case u.ignored:
			out.Skipped = append(out.Skipped, u.Path)
		case !u.same() || in.deletes(u.Path):
			changed = append(changed, u)
		}
	}
	if len(changed) == 0 && len(in.Delete) == 0 {
		out.Unchanged = true
		return c.atHead(ctx, repo, in, head, out)
	}
	if err := c.sendLarge(ctx, repo, in, changed); err != nil {
		return Committed{}, err
	}
	made, err := c.commit(ctx, repo, in, changed)
	if err != nil {
		if done, ok := c.arrived(ctx, repo, in, uploads, head, err); ok && !in.Pull {
			return c.atHead(ctx, repo, in, done, out)
		}
		return Committed{}, err
	}
	out.Commit, out.URL = made.OID, made.URL
	out.PullURL, out.Pull = made.PullURL, pullNumber(made.PullURL)
	return out, nil
}

// atHead describes the branch as it is.
func (c *Client) atHead(ctx context.Context, repo RepoID, in Commit, head string, out Committed) (Committed, error) {
	if head == "" {
		info, err := c.RepoInfo(ctx, repo, in.Revision)
		if err != nil {
			return Committed{}, err
		}
		head = info.SHA
	}
	out.Commit, out.URL = head, c.RepoURL(repo)+"/commit/"+head
	return out, nil
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

// An upload is a file with all that must be known of it.
type upload struct {
	File
	size    int64
	sha1    string // git's id of a blob with the content
	sha256  string
	sample  []byte // the first bytes
	large   bool   // as the Hub wants it
	ignored bool
	remote  string // id of what the Hub has there
}

// same reports whether the Hub has this very content there.
func (u *upload) same() bool { return u.remote == u.sha1 || u.remote == u.sha256 }

const sampleSize = 512

func digestAll(ctx context.Context, files []File) ([]*upload, error) {
	uploads := make([]*upload, len(files))
	for i, f := range files {
		uploads[i] = &upload{File: f}
	}
	return uploads, inParallel(ctx, 0, uploads, func(ctx context.Context, u *upload) error { return u.digest(ctx) })
}

// digest reads the content once, for its size, hashes and sample.
func (u *upload) digest(ctx context.Context) error {
	body, size, err := u.open()
	if err != nil {
		return err
	}
	defer body.Close()
	git, sum, sample := sha1.New(), sha256.New(), &bytes.Buffer{}
	fmt.Fprintf(git, "blob %d\x00", size)
	head := io.TeeReader(io.LimitReader(body, sampleSize), sample)
	n, err := io.Copy(io.MultiWriter(git, sum), &obedient{ctx, io.MultiReader(head, body)})
	if err != nil {
		return fmt.Errorf("read %s: %w", u.Path, err)
	}
	if n != size {
		return fmt.Errorf("read %s: it changes while it is read", u.Path)
	}
	u.size, u.sample = size, sample.Bytes()
	u.sha1, u.sha256 = hex.EncodeToString(git.Sum(nil)), hex.EncodeToString(sum.Sum(nil))
	return nil
}

// obedient stops reading when ctx ends.
type obedient struct {
	ctx context.Context
	r   io.Reader
}

func (o *obedient) Read(p []byte) (int, error) {
	if o.ctx.Err() != nil {
		return 0, context.Cause(o.ctx)
	}
	return o.r.Read(p)
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
	file, err := os.Open(f.Local)
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

// reopen opens content that was digested before.
func (u *upload) reopen() (seekCloser, error) {
	body, size, err := u.open()
	if err != nil {
		return nil, err
	}
	if size != u.size {
		return nil, errors.Join(fmt.Errorf("%s changed while it was uploaded", cmp.Or(u.Local, u.Path)), body.Close())
	}
	return body, nil
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
				u.large, u.ignored, u.remote = a.Mode == "lfs" && u.size > 0, a.Ignore, a.OID
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

// Folder lists the files below dir for an upload. It leaves out .git and the
// notes of download caches. A link that leads out of dir is an error: what is
// there was not meant to be published.
func Folder(dir string) ([]File, error) {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("list folder: %w", err)
	}
	var files []File
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if d.Name() == ".git" && rel != "." || rel == ".cache/huggingface" {
				return filepath.SkipDir
			}
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := filepath.EvalSymlinks(path)
			if err != nil {
				return err
			}
			if within, err := filepath.Rel(root, target); err != nil || !filepath.IsLocal(within) {
				return fmt.Errorf("%s is a link to %s, outside of the folder", path, target)
			}
			path = target
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			return err // sockets, pipes, links to folders
		}
		files = append(files, File{Path: rel, Local: path})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list folder: %w", err)
	}
	return files, nil
}
