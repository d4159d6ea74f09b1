package tools

import (
	"context"
	"fmt"
	"path/filepath"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/cache"
	"ml-intern/internal/tool"
)

// cacher is where downloads are shared with other programs.
type cacher func(*hub.Client) *cache.Cache

type downloadInput struct {
	Repo     string   `json:"repo" jsonschema:"OWNER/NAME; datasets/OWNER/NAME for a data set"`
	Dir      string   `json:"dir,omitempty" jsonschema:"workspace folder for the files; if not given they go where transformers and datasets look for them"`
	Revision string   `json:"revision,omitempty" jsonschema:"branch, tag or commit: main if not given"`
	Files    []string `json:"files,omitempty" jsonschema:"only these; * stands for anything, folder/ for all in it"`
}

// HubDownload fetches a repository, into the workspace or into the cache that
// Python programs read too.
func HubDownload(connect dialer, sb files, shared cacher) tool.Tool {
	s := spec("hub_download", tool.Writes)
	s.Resumable = true
	s.Impact = impact(tool.Writes, func(in downloadInput, i *tool.Impact) {
		if in.Dir == "" {
			i.Outside = "it writes to the Hugging Face cache, outside the workspace"
		}
	})
	return tool.New(s, func(ctx context.Context, in downloadInput, call tool.Call) (tool.Output, error) {
		abs, inside := sb.Resolve(in.Dir)
		if !inside {
			return tool.Output{}, fmt.Errorf("%s is outside the workspace", in.Dir)
		}
		repo, err := hub.ParseRepo(hub.Model, in.Repo)
		if err != nil {
			return tool.Output{}, err
		}
		client, err := connect(ctx)
		if err != nil {
			return tool.Output{}, err
		}
		wanted := hub.Filter{Allow: in.Files}
		res := downloadResult{Repo: repo.String(), Dir: in.Dir}
		if in.Dir == "" {
			opts := cache.SnapshotOptions{Revision: in.Revision, Filter: wanted}
			if abs, err = shared(client).Snapshot(ctx, repo, opts); err == nil {
				res.Dir, res.Commit = abs, filepath.Base(abs)
			}
		} else {
			res.Commit, err = client.Snapshot(ctx, repo, hub.SnapshotOptions{Revision: in.Revision, Dir: abs, Match: wanted.Match})
		}
		if err != nil {
			return tool.Output{}, explain(ctx, client, repo, err)
		}
		if err := res.list(ctx, client, repo, abs, wanted); err != nil {
			return tool.Output{}, err
		}
		return object(res, fmt.Sprintf("downloaded %s: %d files", repo, res.Count))
	})
}

type downloadResult struct {
	Repo   string          `json:"repo"`
	Commit string          `json:"commit"`
	Dir    string          `json:"dir"`
	Count  int             `json:"count"`
	Files  []publishedFile `json:"files"` // the first of them
}

// maxListed is how many files of a download the model is told about.
const maxListed = 100

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
		if r.Count++; len(r.Files) == maxListed {
			continue
		}
		file := publishedFile{entry.Path, entry.Size, entry.LFS}
		if entry.LFS == "" {
			if file.SHA256, file.Size, err = hashFile(filepath.Join(dir, filepath.FromSlash(entry.Path))); err != nil {
				return fmt.Errorf("check download of %s: %w", entry.Path, err)
			}
		}
		r.Files = append(r.Files, file)
	}
	return nil
}
