package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/tool"
)

func pullURL(c *hub.Client, repo hub.RepoID, num int) string {
	return fmt.Sprintf("%s/discussions/%d", c.RepoURL(repo), num)
}

func (hubGit) listPulls(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubGitInput) (tool.Output, error) {
	filter := hub.DiscussionFilter{Status: in.Status}
	switch in.Status {
	case "":
		filter.Status = "open"
	case "all":
		filter.Status = ""
	}
	var b strings.Builder
	n := 0
	for d, err := range c.ListDiscussions(ctx, repo, filter) {
		if err != nil {
			return tool.Output{}, err
		}
		if n == maxPulls {
			b.WriteString("[there are more]\n")
			break
		}
		n++
		kind := "discussion"
		if d.Pull {
			kind = "pull request"
		}
		fmt.Fprintf(&b, "#%d %s, %s, by %s %s: %s\n", d.Num, kind, d.Status, d.Author, d.Created.UTC().Format("2006-01-02"), oneLine(d.Title))
	}
	return told(b.String(), "%d pull requests and discussions of %s", n, repo), nil
}

func (hubGit) getPull(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubGitInput) (tool.Output, error) {
	d, err := c.GetDiscussion(ctx, repo, in.Num)
	if err != nil {
		return tool.Output{}, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", pullURL(c, repo, in.Num))
	if d.Pull {
		fmt.Fprintf(&b, "pull request for %s", d.Target)
		switch {
		case d.Merged != "":
			fmt.Fprintf(&b, ", merged as %.12s", d.Merged)
		case d.Conflict:
			fmt.Fprintf(&b, ", in conflict: %s", strings.Join(d.Conflicts, ", "))
		default:
			fmt.Fprintf(&b, "; upload more to revision refs/pr/%d", d.Num)
		}
		b.WriteByte('\n')
	}
	for i, e := range d.Events {
		if i == maxEvents {
			fmt.Fprintf(&b, "[%d more events]\n", len(d.Events)-i)
			break
		}
		writeEvent(&b, e)
	}
	if d.Diff != "" {
		b.WriteString("\n" + cutText(d.Diff, maxDiff))
	}
	return told(b.String(), "#%d of %s, %s, by %s: %s", d.Num, repo, d.Status, d.Author, oneLine(d.Title)), nil
}

func writeEvent(b *strings.Builder, e hub.DiscussionEvent) {
	fmt.Fprintf(b, "%s %s ", e.Created.UTC().Format("2006-01-02 15:04"), e.Author)
	switch {
	case e.Hidden:
		b.WriteString("hid a comment")
	case e.Type == "comment":
		b.WriteString("wrote: " + cutText(e.Text, 2000))
	case e.Type == "status-change":
		b.WriteString("set the status to " + e.Status)
	case e.Type == "title-change":
		fmt.Fprintf(b, "changed the title to %q", e.To)
	case e.Type == "commit":
		fmt.Fprintf(b, "committed %.12s: %s", e.Commit, e.Subject)
	default:
		b.WriteString(e.Type)
	}
	b.WriteByte('\n')
}

func (hubGit) createPull(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubGitInput) (tool.Output, error) {
	num, err := c.CreateDiscussion(ctx, repo, hub.NewDiscussion{Title: in.Title, Text: in.Description, Pull: true})
	if err != nil {
		return tool.Output{}, err
	}
	url := pullURL(c, repo, num)
	text := fmt.Sprintf("made the draft pull request #%d of %s: %s\nupload to revision refs/pr/%d, then change_pr_status to open", num, repo, url, num)
	return changed(repo, text, tool.Artifact{Kind: "pull request", URL: url}), nil
}

func (hubGit) commentPull(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubGitInput) (tool.Output, error) {
	if _, err := c.AddComment(ctx, repo, in.Num, in.Comment); err != nil {
		return tool.Output{}, err
	}
	return changed(repo, fmt.Sprintf("commented on #%d of %s: %s", in.Num, repo, pullURL(c, repo, in.Num))), nil
}

func (g hubGit) closePull(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubGitInput) (tool.Output, error) {
	in.NewStatus = "closed"
	return g.setStatus(ctx, c, repo, in)
}

func (hubGit) setStatus(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubGitInput) (tool.Output, error) {
	if in.NewStatus != "open" && in.NewStatus != "closed" {
		return badArgs("new_status must be open or closed, not %q", in.NewStatus), nil
	}
	if _, err := c.SetDiscussionStatus(ctx, repo, in.Num, in.NewStatus, in.Comment); err != nil {
		return tool.Output{}, err
	}
	return changed(repo, fmt.Sprintf("#%d of %s is now %s: %s", in.Num, repo, in.NewStatus, pullURL(c, repo, in.Num))), nil
}

func (hubGit) mergePull(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubGitInput) (tool.Output, error) {
	d, err := c.GetDiscussion(ctx, repo, in.Num)
	if err != nil {
		return tool.Output{}, err
	}
	if n := strings.Count("\n"+d.Diff, "\ndeleted file mode "); n > 0 && !in.Deletes {
		return tool.Output{}, fmt.Errorf("#%d deletes %s of %s; if the person wants that, call again with deletes", in.Num, plural(n, "file"), repo)
	}
	err = c.MergePullRequest(ctx, repo, in.Num, in.Comment)
	if errors.Is(err, hub.ErrConflict) {
		return tool.Output{}, fmt.Errorf("%w; look at it with get_pr", err)
	}
	if err != nil {
		return tool.Output{}, err
	}
	return changed(repo, fmt.Sprintf("merged #%d of %s: %s", in.Num, repo, pullURL(c, repo, in.Num))), nil
}
