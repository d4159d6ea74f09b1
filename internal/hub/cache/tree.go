package cache

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"ml-intern/internal/hub"
)

// treeFormat is the only form of a listing that is read and written.
const treeFormat = 1

// A listing is the files of a commit, by path.
type listing map[string]hub.Entry

type treeFile struct {
	Size    int64  `json:"size"`
	BlobID  string `json:"blob_id"`
	LFS     string `json:"lfs_sha256,omitempty"`
	LFSSize *int64 `json:"lfs_size,omitempty"`
	XetHash string `json:"xet_hash,omitempty"`
}

func (f *folder) treePath(commit string) string {
	return filepath.Join(f.dir, "trees", commit+".json")
}

// readTree reads the listing of a commit. One that is not there or cannot be
// understood is only a listing to ask for.
func (f *folder) readTree(commit string) (listing, bool) {
	data, err := os.ReadFile(f.treePath(commit))
	if err != nil {
		return nil, false
	}
	var in struct {
		Version int                 `json:"format_version"`
		Files   map[string]treeFile `json:"files"`
	}
	if json.Unmarshal(data, &in) != nil || in.Version != treeFormat || in.Files == nil {
		return nil, false
	}
	out := listing{}
	for path, t := range in.Files {
		out[path] = hub.Entry{Path: path, Size: t.Size, OID: t.BlobID, LFS: t.LFS}
	}
	return out, true
}

// tree returns the listing of a commit, from the cache or else from the Hub.
func (f *folder) tree(ctx context.Context, commit string) (listing, error) {
	if tree, ok := f.readTree(commit); ok {
		return tree, nil
	}
	out, files := listing{}, map[string]treeFile{}
	for e, err := range f.cache.Client.ListTree(ctx, f.repo, hub.TreeOptions{Revision: commit, Recursive: true}) {
		if err != nil {
			return nil, err
		}
		if e.Dir {
			continue
		}
		t := treeFile{Size: e.Size, BlobID: e.OID, LFS: e.LFS}
		if e.LFS != "" {
			t.LFSSize = &e.Size
		}
		out[e.Path], files[e.Path] = e, t
	}
	data, err := json.MarshalIndent(map[string]any{"format_version": treeFormat, "files": files}, "", " ")
	if err != nil {
		return nil, err
	}
	_ = replace(f.treePath(commit), data) // it spares a question, no more
	return out, nil
}
