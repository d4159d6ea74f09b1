package tools

import (
	"context"
	"crypto/sha1" // of git
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/cache"
	"ml-intern/internal/tool"
)

// cacher is where downloads are shared with other programs.
type cacher func(context.Context) (*cache.Cache, error)

type downloadInput struct {
	Repo     string   `json:"repo" jsonschema:"OWNER/NAME; datasets/OWNER/NAME for a data set"`
	Dir      string   `json:"dir,omitempty" jsonschema:"workspace folder"`
	Revision string   `json:"revision,omitempty"`
	Files    []string `json:"files,omitempty" jsonschema:"only these; * is anything, folder/ all in it"`
}

// HubDownload fetches a repository, into the workspace or into the cache that
// Python programs read too.
func HubDownload(connect dialer, sb disk, shared cacher) tool.Tool {
	s := spec("hub_download", tool.Writes)
	s.Resumable = true
	s.Impact = impact(tool.Writes, func(in downloadInput, i *tool.Impact) {
		i.Repo = in.Repo
		if in.Dir == "" {
			i.Outside = "it writes to the Hugging Face cache, outside the workspace"
			return
		}
		abs, _ := sb.Resolve(in.Dir)
		i.Paths = touched(abs)
	})
	return tool.New(s, func(ctx context.Context, in downloadInput, _ tool.Call) (tool.Output, error) {
		repo, err := hub.ParseRepo(hub.Model, in.Repo)
		if err != nil {
			return badArgs("%v", err), nil
		}
		res := downloadResult{Repo: repo.String()}
		if in.Dir == "" {
			err = res.share(ctx, shared, repo, in)
		} else {
			err = res.save(ctx, connect, sb, repo, in)
		}
		if err != nil {
			return tool.Output{}, err
		}
		return object(res, fmt.Sprintf("downloaded %s: %d files", repo, res.Count))
	})
}

// share fetches into the cache. A Hub that cannot be asked leaves what is there.
func (r *downloadResult) share(ctx context.Context, shared cacher, repo hub.RepoID, in downloadInput) error {
	c, err := shared(ctx)
	if err != nil {
		return err
	}
	wanted := hub.Filter{Allow: in.Files}
	dir, err := c.Snapshot(ctx, repo, cache.SnapshotOptions{Revision: in.Revision, Filter: wanted})
	if err != nil {
		return explain(ctx, c.Client, repo, err)
	}
	r.Dir, r.Commit = dir, filepath.Base(dir)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || !wanted.Match(filepath.ToSlash(rel)) {
			return err
		}
		info, err := os.Stat(path) // of what the link leads to
		if err != nil {
			return err
		}
		r.add(publishedFile{Path: filepath.ToSlash(rel), Size: info.Size()})
		return nil
	})
	if err == nil && r.Count == 0 && len(in.Files) > 0 {
		err = fmt.Errorf("no file of %s matches %s; list them with hf_repo_files", repo, strings.Join(in.Files, ", "))
	}
	return err
}

// save fetches into a folder of the workspace.
func (r *downloadResult) save(ctx context.Context, connect dialer, sb disk, repo hub.RepoID, in downloadInput) error {
	abs, _ := sb.Resolve(in.Dir)
	if err := sb.MayWrite(filepath.Join(in.Dir, "file")); err != nil {
		return err
	}
	client, err := connect(ctx)
	if err != nil {
		return err
	}
	if err := free(ctx, client, repo, in, abs); err != nil {
		return explain(ctx, client, repo, err)
	}
	wanted := hub.Filter{Allow: in.Files}
	r.Dir = in.Dir
	if r.Commit, err = client.Snapshot(ctx, repo, hub.SnapshotOptions{Revision: in.Revision, Dir: abs, Match: wanted.Match}); err != nil {
		return explain(ctx, client, repo, err)
	}
	return r.list(ctx, client, repo, abs, wanted)
}

type downloadResult struct {
	Repo   string          `json:"repo"`
	Commit string          `json:"commit"`
	Dir    string          `json:"dir"`
	Count  int             `json:"count"`
	Files  []publishedFile `json:"files"` // the first of them
}

// free says why the files must not be put where they are to go: some are there
// with other content, or there are none to put there.
func free(ctx context.Context, client *hub.Client, repo hub.RepoID, in downloadInput, dir string) error {
	if slices.Contains(strings.Split(filepath.ToSlash(in.Dir), "/"), ".git") {
		return fmt.Errorf("%s belongs to git", in.Dir)
	}
	wanted, n := hub.Filter{Allow: in.Files}, 0
	var others, names []string
	for entry, err := range client.ListTree(ctx, repo, hub.TreeOptions{Revision: in.Revision, Recursive: true}) {
		if err != nil {
			return err
		}
		if entry.Dir {
			continue
		}
		if !wanted.Match(entry.Path) {
			names = append(names, entry.Path)
			continue
		}
		n++
		if differs(filepath.Join(dir, filepath.FromSlash(entry.Path)), entry) {
			others = append(others, entry.Path)
		}
	}
	switch {
	case len(others) > 0:
		return fmt.Errorf("%s in %s have other content, and nothing was downloaded: take another folder (%s)", plural(len(others), "file"), in.Dir, few(others))
	case n == 0 && len(in.Files) > 0:
		return fmt.Errorf("no file of %s matches %s; there are %s", repo, strings.Join(in.Files, ", "), few(names))
	}
	return nil
}

// few names the first of many.
func few(names []string) string {
	const most = 10
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// differs reports whether a file is there that is not the one of the
// repository.
func differs(path string, want hub.Entry) bool {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return false
	case !info.Mode().IsRegular() || info.Size() != want.Size:
		return true
	}
	sum, size, err := hashFile(path)
	if want.LFS != "" {
		return err != nil || sum != want.LFS
	}
	data, err := os.ReadFile(path) // small: it is no large file
	blob := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", size), data...))
	return err != nil || hex.EncodeToString(blob[:]) != want.OID
}

// maxListed is how many files of a download the model is told about.
const maxListed = 20

// list names the files as they are on the disk. Large ones were held against
// their hash as they came, and are not read again.
func (r *downloadResult) list(ctx context.Context, client *hub.Client, repo hub.RepoID, dir string, wanted hub.Filter) error {
	for entry, err := range client.ListTree(ctx, repo, hub.TreeOptions{Revision: r.Commit, Recursive: true}) {
		if err != nil {
			return err
		}
		if entry.Dir || !wanted.Match(entry.Path) {
			continue
		}
		file := publishedFile{entry.Path, entry.Size, entry.LFS}
		if entry.LFS == "" && len(r.Files) < maxListed {
			if file.SHA256, file.Size, err = hashFile(filepath.Join(dir, filepath.FromSlash(entry.Path))); err != nil {
				return fmt.Errorf("check download of %s: %w", entry.Path, err)
			}
		}
		r.add(file)
	}
	return nil
}

func (r *downloadResult) add(file publishedFile) {
	if r.Count++; len(r.Files) < maxListed {
		r.Files = append(r.Files, file)
	}
}
