package tools_test

import (
	"strings"
	"testing"

	"ml-intern/internal/approval"
	"ml-intern/internal/llm"
	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
)

func (b bench) git(t *testing.T, operation string, more args) tool.Output {
	t.Helper()
	a := args{"operation": operation, "repo_id": "me/repo"}
	for k, v := range more {
		a[k] = v
	}
	return call(t, tools.HubGit(b.connect), a)
}

func TestHubGitRefs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shelf(t, "repo", true, map[string]string{"a.txt": "one\n"})
	wantText(t, b.git(t, "create_branch", args{"branch": "try/x"}), false, "/me/repo/tree/try/x")
	wantText(t, b.git(t, "create_branch", args{"branch": "try/x"}), true, "already exists")
	wantText(t, b.git(t, "create_tag", args{"tag": "v1", "tag_message": "first"}), false, "tagged main")
	wantText(t, b.git(t, "create_tag", args{"tag": "v2", "revision": "nope"}), true, "not found")
	wantText(t, b.hubFiles(t, args{"operation": "upload", "repo_id": "me/repo", "revision": "try/x", "path": "a.txt", "content": "two\n"}), false, "uploaded")
	wantText(t, b.git(t, "list_refs", nil), false, "2 branches", "refs/heads/try/x", "1 tags", "refs/tags/v1")
	wantText(t, b.git(t, "compare", args{"revision": "try/x"}), false, "-one", "+two")
	wantText(t, b.git(t, "compare", nil), true, "needs revision")
	wantText(t, b.git(t, "compare", args{"from_rev": "try/x"}), false, "+one", "-two")
	wantText(t, b.git(t, "list_commits", args{"revision": "try/x"}), false, "Upload a.txt", "initial commit")
	wantText(t, b.git(t, "delete_tag", args{"tag": "v1"}), false, "deleted the tag v1")
	wantText(t, b.git(t, "delete_branch", args{"branch": "main"}), true, "main")
	wantText(t, b.git(t, "delete_branch", args{"branch": "try/x"}), false, "deleted the branch")
	wantText(t, b.git(t, "list_refs", nil), false, "1 branches", "0 tags")
	wantText(t, b.git(t, "push", nil), true, `no operation "push"`)
	wantText(t, b.git(t, "list_refs", args{"repo_id": "me/rep"}), true, "there are: me/repo")
}

func TestHubGitPullRequests(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shelf(t, "repo", false, map[string]string{"a.txt": "one\n"})
	for _, op := range []string{"create_pr", "comment_pr", "close_pr", "merge_pr"} { // nobody said that the words may be public
		wantText(t, b.git(t, op, args{"title": "Better words", "pr_num": 1, "comment": "x"}), true, "me/repo is public")
	}
	wantText(t, b.hubFiles(t, args{"operation": "delete", "repo_id": "me/repo", "patterns": []string{"a.txt"}, "create_pr": true}), true, "is public")
	out := b.git(t, "create_pr", args{"public": true, "title": "Better words", "description": "They are better."})
	wantText(t, out, false, "draft pull request #1", "/discussions/1", "refs/pr/1")
	if len(out.Artifacts) != 1 || out.Artifacts[0].Kind != "pull request" {
		t.Errorf("no record: %+v", out.Artifacts)
	}
	wantText(t, b.hubFiles(t, args{"operation": "upload", "repo_id": "me/repo", "revision": "refs/pr/1", "path": "a.txt", "content": "two\n", "public": true}), false, "uploaded")
	wantText(t, b.git(t, "change_pr_status", args{"public": true, "pr_num": 1, "new_status": "open"}), false, "now open")
	wantText(t, b.git(t, "change_pr_status", args{"public": true, "pr_num": 1, "new_status": "merged"}), true, "must be open or closed")
	wantText(t, b.git(t, "comment_pr", args{"public": true, "pr_num": 1, "comment": "Looks good."}), false, "commented on #1")
	wantText(t, b.git(t, "get_pr", args{"pr_num": 1}), false, "Better words", "They are better.", "Looks good.", "+two", "refs/pr/1")
	wantText(t, b.git(t, "list_prs", nil), false, "#1 pull request, open")
	wantText(t, b.git(t, "merge_pr", args{"public": true, "pr_num": 1}), false, "merged #1")
	wantText(t, b.hubFiles(t, args{"operation": "read", "repo_id": "me/repo", "path": "a.txt"}), false, "two")
	wantText(t, b.git(t, "list_prs", nil), false, "0 pull requests")
	wantText(t, b.git(t, "list_prs", args{"status": "all"}), false, "#1 pull request, merged")
	wantText(t, b.git(t, "get_pr", args{"pr_num": 9}), true, "not found")
	wantText(t, b.git(t, "comment_pr", args{"public": true, "pr_num": 1}), true, "needs comment")

	made := b.hubFiles(t, args{"operation": "delete", "repo_id": "me/repo", "patterns": []string{"a.txt"}, "create_pr": true, "public": true})
	wantText(t, made, false, "proposed to delete 1 file ", "/discussions/2")
	wantText(t, b.git(t, "merge_pr", args{"public": true, "pr_num": 2}), true, "#2 deletes 1 file of me/repo")
	wantText(t, b.git(t, "comment_pr", args{"public": true, "pr_num": 2, "comment": "use hf_" + strings.Repeat("a1", 17)}), true, "what looks like a key")
	wantText(t, b.git(t, "close_pr", args{"public": true, "pr_num": 2}), false, "now closed")
}

func TestHubGitSettings(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	out := b.git(t, "create_repo", nil)
	wantText(t, out, false, "made the private model me/repo", "/me/repo")
	if len(out.Artifacts) != 1 || !strings.HasSuffix(out.Artifacts[0].URL, "/me/repo") || out.Artifacts[0].Kind != "model" {
		t.Errorf("no record: %+v", out.Artifacts)
	}
	wantText(t, b.git(t, "create_repo", nil), true, "already")
	wantText(t, b.git(t, "create_repo", args{"repo_type": "space", "repo_id": "me/app"}), true, "needs space_sdk")
	wantText(t, b.git(t, "create_repo", args{"repo_type": "space", "repo_id": "me/app", "space_sdk": "static"}), false, "/spaces/me/app")
	wantText(t, b.git(t, "update_repo", nil), true, "nothing to change")
	wantText(t, b.git(t, "update_repo", args{"gated": "often"}), true, "gated must be")
	wantText(t, b.git(t, "update_repo", args{"private": false, "gated": "manual"}), false, "public, gated: manual")
	wantText(t, b.git(t, "update_repo", args{"gated": false}), false, "gated: no")
	wantText(t, b.git(t, "update_repo", args{"gated": "false", "private": true}), false, "private, gated: no")
	wantText(t, b.git(t, "delete_repo", nil), false, "deleted the model me/repo")
	wantText(t, b.git(t, "delete_repo", nil), true, "not found")
}

func TestHubGitImpact(t *testing.T) {
	t.Parallel()
	router, err := tool.NewRouter(tools.HubGit(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ args, auto, plan string }{
		{`{"operation":"list_refs"}`, approval.Allow, approval.Allow},
		{`{"operation":"get_pr","pr_num":1}`, approval.Allow, approval.Allow},
		{`{"operation":"create_repo"}`, approval.Allow, approval.Deny},
		{`{"operation":"create_repo","private":false}`, approval.Deny, approval.Deny},
		{`{"operation":"update_repo","private":true}`, approval.Allow, approval.Deny},
		{`{"operation":"update_repo","private":false}`, approval.Deny, approval.Deny},
		{`{"operation":"update_repo","gated":"false"}`, approval.Deny, approval.Deny},
		{`{"operation":"update_repo","gated":false}`, approval.Deny, approval.Deny},
		{`{"operation":"update_repo","gated":"auto"}`, approval.Deny, approval.Deny}, // who waited gets in
		{`{"operation":"update_repo","gated":"manual"}`, approval.Allow, approval.Deny},
		{`{"operation":"comment_pr","pr_num":1,"comment":"x","public":true}`, approval.Deny, approval.Deny},
		{`{"operation":"merge_pr","pr_num":1,"deletes":true}`, approval.Deny, approval.Deny},
		{`{"operation":"list_refs","public":true}`, approval.Allow, approval.Allow},
		{`{"operation":"delete_branch","branch":"x"}`, approval.Deny, approval.Deny},
		{`{"operation":"delete_tag","tag":"x"}`, approval.Deny, approval.Deny},
		{`{"operation":"delete_repo"}`, approval.Deny, approval.Deny},
		{`{"operation":"merge_pr","pr_num":1}`, approval.Allow, approval.Deny},
		{`{"operation":"none"}`, approval.Allow, approval.Deny},
	} {
		c := llm.ToolCall{Name: "hf_repo_git", Args: test.args}
		r := approval.Request{Call: c, Impact: router.Impact(c)}
		if got := approval.Auto.Decide(r).Verdict; got != test.auto {
			t.Errorf("%s: auto says %s, want %s", test.args, got, test.auto)
		}
		if got := approval.Plan.Decide(r).Verdict; got != test.plan {
			t.Errorf("%s: plan says %s, want %s", test.args, got, test.plan)
		}
	}
}
