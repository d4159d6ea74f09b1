package tools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/secret"
	"ml-intern/internal/tool"
)

type hubGitInput struct {
	Operation   string `json:"operation" jsonschema:"list_refs, list_commits, compare, create_branch, delete_branch, create_tag, delete_tag, list_prs, get_pr, create_pr, comment_pr, change_pr_status, close_pr, merge_pr, create_repo, update_repo or delete_repo"`
	Repo        string `json:"repo_id"`
	Type        string `json:"repo_type,omitempty"`
	Branch      string `json:"branch,omitempty"`
	From        string `json:"from_rev,omitempty" jsonschema:"create_branch, compare: default main"`
	Tag         string `json:"tag,omitempty"`
	TagMessage  string `json:"tag_message,omitempty"`
	Revision    string `json:"revision,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Num         int    `json:"pr_num,omitempty"`
	Comment     string `json:"comment,omitempty"`
	Status      string `json:"status,omitempty" jsonschema:"open, closed or all"`
	NewStatus   string `json:"new_status,omitempty" jsonschema:"open or closed"`
	Private     *bool  `json:"private,omitempty"`
	Gated       any    `json:"gated,omitempty" jsonschema:"auto, manual or false"`
	Public      bool   `json:"public,omitempty" jsonschema:"the person wants this in public"`
	Deletes     bool   `json:"deletes,omitempty" jsonschema:"the person wants the files gone"`
	SDK         string `json:"space_sdk,omitempty" jsonschema:"gradio, docker or static"`
}

// A gitOperation is one thing that hf_repo_git does.
type gitOperation struct {
	effect  tool.Effect
	deletes bool
	speaks  bool     // says or merges something that readers see
	needs   []string // arguments that must be there
	do      func(hubGit, context.Context, *hub.Client, hub.RepoID, hubGitInput) (tool.Output, error)
}

func gitOperations() map[string]gitOperation {
	return map[string]gitOperation{
		"list_refs":        {tool.Reads, false, false, nil, hubGit.listRefs},
		"list_commits":     {tool.Reads, false, false, nil, hubGit.listCommits},
		"compare":          {tool.Reads, false, false, nil, hubGit.compare},
		"list_prs":         {tool.Reads, false, false, nil, hubGit.listPulls},
		"get_pr":           {tool.Reads, false, false, []string{"pr_num"}, hubGit.getPull},
		"create_branch":    {tool.Publishes, false, false, []string{"branch"}, hubGit.createBranch},
		"delete_branch":    {tool.Publishes, true, false, []string{"branch"}, hubGit.deleteBranch},
		"create_tag":       {tool.Publishes, false, false, []string{"tag"}, hubGit.createTag},
		"delete_tag":       {tool.Publishes, true, false, []string{"tag"}, hubGit.deleteTag},
		"create_pr":        {tool.Publishes, false, true, []string{"title"}, hubGit.createPull},
		"comment_pr":       {tool.Publishes, false, true, []string{"pr_num", "comment"}, hubGit.commentPull},
		"change_pr_status": {tool.Publishes, false, true, []string{"pr_num", "new_status"}, hubGit.setStatus},
		"close_pr":         {tool.Publishes, false, true, []string{"pr_num"}, hubGit.closePull},
		"merge_pr":         {tool.Publishes, false, true, []string{"pr_num"}, hubGit.mergePull},
		"create_repo":      {tool.Publishes, false, false, nil, hubGit.createRepo},
		"update_repo":      {tool.Publishes, false, false, nil, hubGit.updateRepo},
		"delete_repo":      {tool.Publishes, true, false, nil, hubGit.deleteRepo},
	}
}

// HubGit does what is done with repositories as a whole: branches, tags, pull
// requests, settings.
func HubGit(connect dialer) tool.Tool {
	operations := gitOperations()
	s := spec("hf_repo_git", tool.Publishes)
	s.Impact = impact(tool.Publishes, func(in hubGitInput, i *tool.Impact) {
		i.Repo = in.Repo
		op, known := operations[operation(in.Operation)]
		if !known {
			return
		}
		i.Effect, i.Deletes, i.Public = op.effect, op.deletes || in.Deletes && op.effect != tool.Reads, in.opens() || in.Public && op.effect != tool.Reads
		i.Object = strings.TrimSpace(strings.Join([]string{operation(in.Operation), in.Repo, in.Branch, in.Tag}, " "))
	})
	return tool.New(s, func(ctx context.Context, in hubGitInput, _ tool.Call) (tool.Output, error) {
		in.Operation = operation(in.Operation)
		op, known := operations[in.Operation]
		if !known {
			return badArgs("there is no operation %.40q; see the tool's description", in.Operation), nil
		}
		if missing := in.missing(op.needs); missing != "" {
			return badArgs("%s needs %s", in.Operation, missing), nil
		}
		repo, err := repository(in.Repo, in.Type)
		if err != nil {
			return badArgs("%v", err), nil
		}
		client, err := connect(ctx)
		if err != nil {
			return tool.Output{}, err
		}
		if found, err := secret.In(strings.NewReader(strings.Join([]string{in.Title, in.Description, in.Comment, in.TagMessage}, "\n"))); found || err != nil {
			return tool.Output{}, errors.New("the words hold what looks like a key; nothing was done: take it out")
		}
		if op.speaks && !in.Public {
			if err := private(ctx, client, repo); err != nil {
				return tool.Output{}, explain(ctx, client, repo, err)
			}
		}
		out, err := op.do(hubGit{}, ctx, client, repo, in)
		return out, explain(ctx, client, repo, err)
	})
}

// private refuses words and merges where everybody can read them, unless a
// person has allowed it.
func private(ctx context.Context, c *hub.Client, repo hub.RepoID) error {
	info, err := c.RepoInfo(ctx, repo, "")
	if err == nil && !info.Private {
		err = fmt.Errorf("%s is public: what is said or merged there, everybody can read; if the person wants that, call again with public", repo)
	}
	return err
}

// opens reports whether the call lets more people in: a repository that is
// made public, or is no longer gated.
func (in hubGitInput) opens() bool {
	if in.Operation != "create_repo" && in.Operation != "update_repo" {
		return false
	}
	gate, given, err := in.gate()
	return in.Private != nil && !*in.Private || given && gate != "manual" && err == nil // "auto" lets in who waits for "manual"
}

func (in hubGitInput) missing(needs []string) string {
	have := map[string]bool{
		"branch": in.Branch != "", "tag": in.Tag != "", "title": in.Title != "", "pr_num": in.Num > 0,
		"comment": in.Comment != "", "new_status": in.NewStatus != "", "revision": in.Revision != "",
	}
	return strings.Join(slices.DeleteFunc(slices.Clone(needs), func(n string) bool { return have[n] }), " and ")
}

// gate reads the argument gated: a word, or a boolean as models like to write.
func (in hubGitInput) gate() (gate hub.Gate, given bool, err error) {
	switch fmt.Sprint(in.Gated) {
	case "<nil>":
		return "", false, nil
	case "false":
		return "", true, nil
	case "true", "auto":
		return "auto", true, nil
	case "manual":
		return "manual", true, nil
	}
	return "", true, fmt.Errorf("gated must be auto, manual or false, not %v", in.Gated)
}

// hubGit has the operations as its methods.
type hubGit struct{}

const (
	maxRefs    = 100
	maxCommits = 30
	maxPulls   = 50
	maxDiff    = 20_000 // bytes
	maxEvents  = 40
)

func (hubGit) listRefs(ctx context.Context, c *hub.Client, repo hub.RepoID, _ hubGitInput) (tool.Output, error) {
	refs, err := c.ListRefs(ctx, repo)
	if err != nil {
		return tool.Output{}, err
	}
	var b strings.Builder
	for _, group := range []struct {
		name string
		refs []hub.Ref
	}{{"branches", refs.Branches}, {"tags", refs.Tags}, {"converted", refs.Converts}, {"pull requests", refs.PullRequests}} {
		if len(group.refs) == 0 && group.name != "tags" {
			continue
		}
		fmt.Fprintf(&b, "%d %s\n", len(group.refs), group.name)
		for _, r := range group.refs[:min(len(group.refs), maxRefs)] {
			fmt.Fprintf(&b, "  %s %.12s\n", cmp.Or(r.Ref, r.Name), r.Commit)
		}
	}
	return told(b.String(), "%s: %d branches, %d tags", repo, len(refs.Branches), len(refs.Tags)), nil
}

func (hubGit) listCommits(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubGitInput) (tool.Output, error) {
	var b strings.Builder
	n := 0
	for commit, err := range c.ListCommits(ctx, repo, in.Revision) {
		if err != nil {
			return tool.Output{}, err
		}
		if n == maxCommits {
			fmt.Fprintf(&b, "[there are more; ask for revision %.12s to go on]\n", commit.ID)
			break
		}
		n++
		author := ""
		if len(commit.Authors) > 0 {
			author = commit.Authors[0].User
		}
		fmt.Fprintf(&b, "%.12s %s %s: %s\n", commit.ID, commit.Date.UTC().Format("2006-01-02 15:04"), author, commit.Title)
	}
	return told(b.String(), "%d commits of %s", n, repo), nil
}

func (hubGit) compare(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubGitInput) (tool.Output, error) {
	if in.From == "" && in.Revision == "" {
		return badArgs("compare needs revision, or from_rev, or both"), nil
	}
	diff, err := c.Compare(ctx, repo, in.From, in.Revision)
	if err != nil {
		return tool.Output{}, err
	}
	if diff == "" {
		diff = "no difference\n"
	}
	return told(cutText(diff, maxDiff), "compared %s with %s in %s", cmp.Or(in.From, "main"), cmp.Or(in.Revision, "main"), repo), nil
}

// cutText keeps the beginning of a long text.
func cutText(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + fmt.Sprintf("\n[… %d bytes more]\n", len(text)-limit)
}

// told is an output that changed nothing.
func told(text, format string, args ...any) tool.Output {
	summary := fmt.Sprintf(format, args...)
	return tool.Output{Text: fromOutside("the Hub", summary+"\n"+text), Summary: summary}
}

func (hubGit) createBranch(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubGitInput) (tool.Output, error) {
	if err := c.CreateBranch(ctx, repo, in.Branch, hub.BranchOptions{From: in.From}); err != nil {
		return tool.Output{}, err
	}
	return changed(repo, fmt.Sprintf("made the branch %s of %s: %s", in.Branch, repo, treeURL(c, repo, in.Branch, ""))), nil
}

func (hubGit) deleteBranch(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubGitInput) (tool.Output, error) {
	if err := c.DeleteBranch(ctx, repo, in.Branch); err != nil {
		return tool.Output{}, err
	}
	return changed(repo, fmt.Sprintf("deleted the branch %s of %s", in.Branch, repo)), nil
}

func (hubGit) createTag(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubGitInput) (tool.Output, error) {
	if err := c.CreateTag(ctx, repo, in.Tag, hub.TagOptions{Revision: in.Revision, Message: in.TagMessage}); err != nil {
		return tool.Output{}, err
	}
	return changed(repo, fmt.Sprintf("tagged %s of %s as %s: %s", cmp.Or(in.Revision, "main"), repo, in.Tag, treeURL(c, repo, in.Tag, ""))), nil
}

func (hubGit) deleteTag(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubGitInput) (tool.Output, error) {
	if err := c.DeleteTag(ctx, repo, in.Tag); err != nil {
		return tool.Output{}, err
	}
	return changed(repo, fmt.Sprintf("deleted the tag %s of %s", in.Tag, repo)), nil
}

func (hubGit) createRepo(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubGitInput) (tool.Output, error) {
	if repo.Type == hub.Space && !slices.Contains([]string{"gradio", "docker", "static"}, in.SDK) {
		return badArgs("a Space needs space_sdk: gradio, docker or static"), nil
	}
	private := in.Private == nil || *in.Private
	url, err := c.CreateRepo(ctx, repo, hub.CreateOptions{Private: private, SDK: in.SDK})
	if err != nil {
		return tool.Output{}, err
	}
	made := tool.Artifact{Kind: string(repo.Type), URL: url} // with the owner, which the Hub may have added
	return changed(repo, fmt.Sprintf("made the %s %s %s: %s", visibility(private), repo.Type, repo, url), made), nil
}

func visibility(private bool) string {
	if private {
		return "private"
	}
	return "public"
}

func (hubGit) updateRepo(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubGitInput) (tool.Output, error) {
	var set hub.RepoSettings
	var said []string
	if in.Private != nil {
		set.Visibility = visibility(*in.Private)
		said = append(said, set.Visibility)
	}
	gate, given, err := in.gate()
	switch {
	case err != nil:
		return badArgs("%v", err), nil
	case given:
		set.Gated = &gate
		said = append(said, "gated: "+cmp.Or(string(gate), "no"))
	case in.Private == nil:
		return badArgs("nothing to change: give private or gated"), nil
	}
	if err := c.UpdateSettings(ctx, repo, set); err != nil {
		return tool.Output{}, err
	}
	return changed(repo, fmt.Sprintf("%s is now %s: %s", repo, strings.Join(said, ", "), c.RepoURL(repo))), nil
}

func (hubGit) deleteRepo(ctx context.Context, c *hub.Client, repo hub.RepoID, _ hubGitInput) (tool.Output, error) {
	if err := c.DeleteRepo(ctx, repo); err != nil {
		return tool.Output{}, err
	}
	return changed(repo, fmt.Sprintf("deleted the %s %s with all that was in it", repo.Type, repo)), nil
}
