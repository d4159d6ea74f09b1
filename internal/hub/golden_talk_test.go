package hub_test

import (
	"context"
	"errors"
	"iter"
	"slices"

	"ml-intern/internal/hub"
)

// ask makes a golden of one call without an answer that matters.
func ask(name string, do func(context.Context, *hub.Client) error, differ ...difference) golden {
	return golden{name: name, differ: differ, ours: func(ctx context.Context, c *hub.Client, _ string) error { return do(ctx, c) }}
}

func goldenRefs() []golden {
	return []golden{
		ask("move-repo", func(ctx context.Context, c *hub.Client) error {
			return c.MoveRepo(ctx, goldenRepo, hub.RepoID{Type: hub.Model, Namespace: "me", Name: "moved"})
		}),
		ask("settings", func(ctx context.Context, c *hub.Client) error {
			gate := hub.Gate("manual")
			return c.UpdateSettings(ctx, goldenRepo, hub.RepoSettings{Visibility: "private", Gated: &gate})
		}),
		ask("create-branch", func(ctx context.Context, c *hub.Client) error {
			return c.CreateBranch(ctx, goldenRepo, "feat/y", hub.BranchOptions{})
		}),
		ask("delete-branch", func(ctx context.Context, c *hub.Client) error { return c.DeleteBranch(ctx, goldenRepo, "feat/x") }),
		ask("create-tag", func(ctx context.Context, c *hub.Client) error {
			return c.CreateTag(ctx, goldenRepo, "v1", hub.TagOptions{Message: "first"})
		}),
		ask("refs", func(ctx context.Context, c *hub.Client) error {
			_, err := c.ListRefs(ctx, goldenRepo)
			return err
		}),
		{name: "commits", ours: walk(func(ctx context.Context, c *hub.Client) iter.Seq2[hub.PastCommit, error] {
			return c.ListCommits(ctx, goldenRepo, "")
		})},
		ask("paths", func(ctx context.Context, c *hub.Client) error {
			_, err := c.PathsInfo(ctx, goldenRepo, "", []string{"there.txt", "dir"}, false)
			return err
		}, difference{"the Hub takes JSON as well as a form; its documents show JSON", func(in []step) ([]step, bool) {
			out := slices.Clone(in)
			out[0].kind, out[0].body = "application/json", `{"expand":false,"paths":["there.txt","dir"]}`+"\n"
			return out, out[0] != in[0]
		}}),
	}
}

func goldenTalks() []golden {
	return []golden{
		ask("discussion", func(ctx context.Context, c *hub.Client) error {
			num, err := c.CreateDiscussion(ctx, goldenRepo, hub.NewDiscussion{Title: "a title", Text: "a text"})
			if err != nil {
				return err
			}
			said, err := c.AddComment(ctx, goldenRepo, num, "a comment")
			if err != nil {
				return err
			}
			_, err1 := c.EditComment(ctx, goldenRepo, num, said.ID, "another comment")
			_, err2 := c.RenameDiscussion(ctx, goldenRepo, num, "another title")
			_, err3 := c.SetDiscussionStatus(ctx, goldenRepo, num, "closed", "done")
			for _, err := range c.ListDiscussions(ctx, goldenRepo, hub.DiscussionFilter{}) {
				if err != nil {
					return err
				}
			}
			return errors.Join(err1, err2, err3)
		}, without("it reads a new discussion only when it is asked to", "GET /api/models/me/golden/discussions/1?diff=1")),
		{name: "merge", ours: func(ctx context.Context, c *hub.Client, source string) error {
			if err := put(hub.Commit{Pull: true}, "a.txt")(ctx, c, source); err != nil {
				return err
			}
			return c.MergePullRequest(ctx, goldenRepo, 1, "fine")
		}},
		{name: "upload-pull-request", ours: put(hub.Commit{Pull: true}, "big.bin"), differ: []difference{verifyKind}},
	}
}
