package hub

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// A FolderUpload says what of a folder to put into a repository.
type FolderUpload struct {
	Dir    string
	Path   string   // where in the repository; at its root if ""
	Filter          // of the folder's files, by their path in it
	Remove []string // patterns of files to delete below Path, unless the folder has them

	// PerCommit is how many files one commit has at most: more are put there by
	// several, one after the other. It is 2000 if 0, and below 0 there is one.
	PerCommit int

	Commit // the rest; its own Files and Delete are done too
}

const filesPerCommit = 2000

// UploadFolder puts the files of a folder into a repository. What is there
// already is not sent again, so that a call which failed can be repeated.
func (c *Client) UploadFolder(ctx context.Context, repo RepoID, in FolderUpload) (Committed, error) {
	out, err := c.uploadFolder(ctx, repo, in)
	if err != nil {
		return Committed{}, fmt.Errorf("upload %s to %s: %w", in.Dir, repo, err)
	}
	return out, nil
}

func (c *Client) uploadFolder(ctx context.Context, repo RepoID, in FolderUpload) (Committed, error) {
	files, err := Folder(in.Dir)
	if err != nil {
		return Committed{}, err
	}
	p := &push{client: c, repo: repo, in: in.Commit, split: in.PerCommit}
	if p.split == 0 {
		p.split = filesPerCommit
	}
	p.in.Files = append([]File(nil), in.Files...)
	have := map[string]bool{}
	for _, f := range files {
		if in.Match(f.Path) {
			f.Path = path.Join(in.Path, f.Path)
			p.in.Files = append(p.in.Files, f)
		}
	}
	for _, f := range p.in.Files {
		have[f.Path] = true
	}
	gone, err := c.outdated(ctx, repo, in, have)
	if err != nil {
		return Committed{}, err
	}
	p.in.Delete = append(gone, in.Delete...)
	return p.run(ctx)
}

// outdated lists the files of the repository that are to be removed.
func (c *Client) outdated(ctx context.Context, repo RepoID, in FolderUpload, have map[string]bool) ([]string, error) {
	if len(in.Remove) == 0 {
		return nil, nil
	}
	below := ""
	if in.Path != "" {
		below = path.Clean(in.Path) + "/"
	}
	var gone []string
	for e, err := range c.ListTree(ctx, repo, TreeOptions{Revision: in.Revision, Recursive: true}) {
		if err != nil {
			return nil, err
		}
		rel, inside := strings.CutPrefix(e.Path, below)
		if inside && !e.Dir && !have[e.Path] && e.Path != ".gitattributes" && matchAny(in.Remove, rel) {
			gone = append(gone, e.Path)
		}
	}
	return gone, nil
}

// leftOut reports whether a path, or what is below it, belongs to git or to a
// download cache.
func leftOut(rel string) bool {
	return strings.EqualFold(path.Base(rel), ".git") || rel == ".cache/huggingface" || strings.HasSuffix(rel, "/.cache/huggingface")
}

// Folder lists the files below dir for an upload. It leaves out what belongs to
// git and the notes of download caches, however deep. A link that leads out of dir is an error: what is
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
		if rel != "." && leftOut(rel) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if d.IsDir() {
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
