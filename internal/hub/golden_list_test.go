package hub_test

import (
	"context"
	"hash/crc32"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ml-intern/internal/hub"
)

func checksum(data []byte) uint32 { return crc32.ChecksumIEEE(data) }

type goldenCall = func(context.Context, *hub.Client, string) error

// create makes a new repository.
func create(typ hub.RepoType, name string, opts hub.CreateOptions) goldenCall {
	return func(ctx context.Context, c *hub.Client, _ string) error {
		_, err := c.CreateRepo(ctx, hub.RepoID{Type: typ, Namespace: "me", Name: name}, opts)
		return err
	}
}

// put uploads files of the source folder under their own names.
func put(in hub.Commit, names ...string) goldenCall {
	return func(ctx context.Context, c *hub.Client, source string) error {
		for _, name := range names {
			in.Files = append(in.Files, hub.File{Path: name, Local: filepath.Join(source, filepath.FromSlash(name))})
		}
		_, err := c.Upload(ctx, goldenRepo, in)
		return err
	}
}

// walk reads a list to its end.
func walk[T any](list func(context.Context, *hub.Client) iter.Seq2[T, error]) goldenCall {
	return func(ctx context.Context, c *hub.Client, _ string) error {
		for _, err := range list(ctx, c) {
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// What our client does otherwise.
var (
	saysAll    = replace("it always says the type and the visibility", `"organization":"me"`, `"organization":"me","type":"model","visibility":"public"`)
	saysPublic = replace("it always says the visibility", `"type":"space"`, `"type":"space","visibility":"public"`)
	verifyKind = difference{"the LFS protocol has its own content type for verify, too", func(in []step) ([]step, bool) {
		used, out := false, slices.Clone(in)
		for i, s := range out {
			if strings.HasSuffix(s.line, "/objects/verify") && s.kind != lfsKind {
				out[i].kind, used = lfsKind, true
			}
		}
		return out, used
	}}
	noRef    = replace("a large file of no branch in particular needs no branch", `"ref":{"name":"main"},`, "")
	noExpand = replace("expand=false is the rule anyway", "expand=false&", "")
)

const lfsKind = "application/vnd.git-lfs+json"

func goldens() []golden {
	return slices.Concat(goldenRepos(), goldenUploads(), goldenReads(), goldenRefs(), goldenTalks(), goldenJobs())
}

func goldenRepos() []golden {
	return []golden{
		{name: "whoami", ours: func(ctx context.Context, c *hub.Client, _ string) error {
			_, err := c.WhoAmI(ctx)
			return err
		}},
		{name: "create-model", ours: create(hub.Model, "new", hub.CreateOptions{}), differ: []difference{saysAll}},
		{name: "create-private-dataset", ours: create(hub.Dataset, "new", hub.CreateOptions{Private: true})},
		{name: "create-space", ours: create(hub.Space, "new", hub.CreateOptions{SDK: "docker"}), differ: []difference{saysPublic}},
		{name: "create-existing", ours: create(hub.Model, "golden", hub.CreateOptions{ExistOK: true}), differ: []difference{saysAll}},
		{name: "delete-repo", ours: func(ctx context.Context, c *hub.Client, _ string) error {
			return c.DeleteRepo(ctx, hub.RepoID{Type: hub.Dataset, Namespace: "me", Name: "golden"})
		}},
	}
}

func goldenUploads() []golden {
	return []golden{
		{name: "upload-small", ours: put(hub.Commit{}, "a.txt")},
		{name: "upload-unchanged", ours: put(hub.Commit{}, "there.txt"), differ: []difference{
			without("the answer to preupload tells the head already", "GET /api/models/me/golden/revision/main"),
		}},
		{name: "upload-card", ours: put(hub.Commit{}, "README.md")},
		{name: "upload-large", ours: put(hub.Commit{}, "big.bin"), differ: []difference{noRef, verifyKind}},
		{name: "upload-parts", ours: put(hub.Commit{}, "big.bin"), part: 1 << 20, unordered: true, differ: []difference{noRef, verifyKind}},
		{name: "upload-large-there", differ: []difference{noRef}, ours: func(ctx context.Context, c *hub.Client, source string) error {
			_, err := c.Upload(ctx, goldenRepo, hub.Commit{Files: []hub.File{{Path: "copy.bin", Local: filepath.Join(source, "there.bin")}}})
			return err
		}},
		{name: "upload-empty", ours: put(hub.Commit{}, "empty")},
		{name: "upload-odd-name", ours: put(hub.Commit{}, "ünï/日本 #1 100%.txt")},
		{name: "upload-to-branch", ours: put(hub.Commit{Revision: "feat/x"}, "a.txt")},
		{name: "upload-with-parent", ours: func(ctx context.Context, c *hub.Client, source string) error {
			info, err := c.RepoInfo(ctx, goldenRepo, "main")
			if err != nil {
				return err
			}
			return put(hub.Commit{Parent: info.SHA}, "a.txt")(ctx, c, source)
		}},
		{name: "upload-folder", unordered: true, differ: []difference{noRef, verifyKind, once("it asks about a card once, not twice", "POST /api/validate-yaml")}, ours: func(ctx context.Context, c *hub.Client, source string) error {
			files, err := hub.Folder(filepath.Join(source, "folder"))
			if err != nil {
				return err
			}
			_, err = c.Upload(ctx, goldenRepo, hub.Commit{Files: files})
			return err
		}},
		{name: "delete-file", ours: put(hub.Commit{Delete: []string{"there.txt"}})},
		{name: "delete-folder", ours: put(hub.Commit{Delete: []string{"dir/"}}), differ: []difference{
			replace("it writes a folder with a slash, as the other calls of the official client do", `"path":"dir"`, `"path":"dir/"`),
		}},
		{name: "mixed-commit", ours: put(hub.Commit{Message: "a title", Description: "a text", Delete: []string{"there.txt", "dir/"}}, "a.txt")},
		{name: "copy-file"},
	}
}

func goldenReads() []golden {
	return []golden{
		{name: "info", ours: func(ctx context.Context, c *hub.Client, _ string) error {
			_, err := c.RepoInfo(ctx, goldenRepo, "main")
			return err
		}},
		{name: "tree", differ: []difference{noExpand}, ours: walk(func(ctx context.Context, c *hub.Client) iter.Seq2[hub.Entry, error] {
			return c.ListTree(ctx, goldenRepo, hub.TreeOptions{Recursive: true})
		})},
		{name: "tree-folder", differ: []difference{
			replace("both are the rule anyway", "?expand=false&recursive=false", ""),
			replace("the Hub's documents show plain slashes", "dir%2Fsub", "dir/sub"),
		}, ours: walk(func(ctx context.Context, c *hub.Client) iter.Seq2[hub.Entry, error] {
			return c.ListTree(ctx, goldenRepo, hub.TreeOptions{Path: "dir/sub"})
		})},
		{name: "search", ours: walk(func(ctx context.Context, c *hub.Client) iter.Seq2[hub.Info, error] {
			return c.Search(ctx, hub.SearchOptions{Search: "gold", Author: "me", Filter: []string{"a", "b"}, Sort: "downloads", Limit: 5})
		})},
		{name: "download", ours: fetch("there.txt"), differ: []difference{
			without("GET tells all that HEAD does", "HEAD "),
		}},
		{name: "download-large", ours: fetch("there.bin"), differ: []difference{
			without("GET tells all that HEAD does", "HEAD "),
		}},
		{name: "snapshot", unordered: true, differ: []difference{
			noExpand, without("the tree tells sizes and hashes already", "HEAD "),
		}, ours: func(ctx context.Context, c *hub.Client, _ string) error {
			dir, err := os.MkdirTemp("", "golden")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			_, err = c.Snapshot(ctx, goldenRepo, hub.SnapshotOptions{Dir: dir})
			return err
		}},
	}
}

func fetch(path string) goldenCall {
	return func(ctx context.Context, c *hub.Client, _ string) error {
		_, err := c.Download(ctx, goldenRepo, "", path, io.Discard)
		return err
	}
}
