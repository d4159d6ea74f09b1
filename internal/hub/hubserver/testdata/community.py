"""Has two people work on a repository with the official client, against HF_ENDPOINT.

Their tokens are hf_owner (the user "me") and hf_other (the user "other"). Prints
"interop ok" last.
"""

import os
import tempfile
import urllib.request

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import BadRequestError, GatedRepoError, HfHubHTTPError

owner, other = HfApi(token="hf_owner"), HfApi(token="hf_other")
repo = "me/together"


def raises(kind, status, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except kind as e:
        assert e.response.status_code == status, e
        return e
    raise AssertionError(f"{call.__name__}{args} did not raise {kind.__name__}")


def put(api, path, data, **kwargs):
    return api.upload_file(path_or_fileobj=data, path_in_repo=path, repo_id=repo, **kwargs)


owner.create_repo(repo)
put(owner, "a.txt", b"one\ntwo\n")

d = owner.create_discussion(repo, title="  Hello there ", description="text")
assert (d.num, d.title, d.status, d.is_pull_request) == (1, "Hello there", "open", False), d
c = other.comment_discussion(repo, 1, "hi")
assert (c.content, c.author) == ("hi", "other")
c = other.edit_discussion_comment(repo, 1, c.id, "hi again")
assert c.content == "hi again" and c.edited and c.number_of_edits == 1 and c.edit_history[0]["raw"] == "hi"
assert c.last_edited_by == "other" and c.last_edited_at and "hi again" in c.rendered
raises(HfHubHTTPError, 403, owner.edit_discussion_comment, repo, 1, c.id, "not mine")
assert owner.hide_discussion_comment(repo, 1, c.id).hidden
t = owner.rename_discussion(repo, 1, "New title")
assert (t.old_title, t.new_title) == ("Hello there", "New title")
assert owner.change_discussion_status(repo, 1, "closed", comment="bye").new_status == "closed"
raises(HfHubHTTPError, 403, other.rename_discussion, repo, 1, "Not mine")

p = put(other, "a.txt", b"one\n2\n", create_pr=True, commit_message="Change a")
assert (p.pr_num, p.pr_revision) == (2, "refs/pr/2"), p
p = other.get_discussion_details(repo, 2)
assert "-two\n+2" in p.diff and p.target_branch == "refs/heads/main" and p.conflicting_files == [], p
assert [e.type for e in p.events] == ["comment", "commit"] and (p.status, p.author) == ("open", "other")
put(other, "w.safetensors", os.urandom(100000), revision="refs/pr/2")
raises(HfHubHTTPError, 403, other.merge_pull_request, repo, 2)
owner.merge_pull_request(repo, 2, comment="thanks")
p = owner.get_discussion_details(repo, 2)
assert p.status == "merged" and p.merge_commit_oid == owner.repo_info(repo).sha
assert "w.safetensors" in owner.list_repo_files(repo)

p = other.create_pull_request(repo, title="A draft")
assert (p.num, p.status) == (3, "draft")
put(other, "b.txt", b"b", revision="refs/pr/3")
raises(HfHubHTTPError, 409, owner.merge_pull_request, repo, 3)
other.change_discussion_status(repo, 3, "open")
owner.merge_pull_request(repo, 3)
assert [d.num for d in owner.get_repo_discussions(repo)] == [3, 2, 1]
assert [d.num for d in owner.get_repo_discussions(repo, discussion_type="pull_request", discussion_status="closed")] == [3, 2]
assert [r.ref for r in owner.list_repo_refs(repo, include_pull_requests=True).pull_requests] == ["refs/pr/2", "refs/pr/3"]
large = CommitOperationAdd("x/y.bin", os.urandom(50000))
assert other.create_commit(repo, operations=[large], commit_message="big", create_pr=True).pr_num == 4
assert {f.filename for f in owner.list_lfs_files(repo)} == {"w.safetensors", "x/y.bin"}

owner.update_repo_settings(repo, gated="manual")
with tempfile.TemporaryDirectory() as cache:
    raises(GatedRepoError, 403, other.auth_check, repo)
    ask = urllib.request.Request(f"{os.environ['HF_ENDPOINT']}/{repo}/ask-access", b"why=fun", {"Authorization": "Bearer hf_other"})
    urllib.request.urlopen(ask).close()
    (request,) = owner.list_pending_access_requests(repo)
    assert request.username == "other" and request.fields == {"why": "fun"}
    owner.accept_access_request(repo, "other")
    raises(HfHubHTTPError, 404, owner.accept_access_request, repo, "other")
    other.hf_hub_download(repo, "a.txt", cache_dir=cache)
owner.reject_access_request(repo, "other", rejection_reason="no")
assert len(list(owner.list_rejected_access_requests(repo))) == 1
owner.cancel_access_request(repo, "other")
raises(HfHubHTTPError, 404, owner.grant_access, repo, "nobody")
owner.grant_access(repo, "other")
owner.update_repo_settings(repo, gated=False)

owner.super_squash_history(repo, branch="main")
assert len(owner.list_repo_commits(repo)) == 1
raises(BadRequestError, 400, list, owner.list_models(sort="nope"))
raises(BadRequestError, 400, owner.model_info, repo, expand=["citation"])
assert [m.id for m in owner.list_models(search="together", author="me", sort="likes")] == [repo]
owner.move_repo(repo, "me/renamed")
assert owner.create_discussion(repo, title="by the old name").num == 5
assert list(owner.list_repo_likers("me/renamed")) == []
print("interop ok")
