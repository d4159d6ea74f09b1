"""Scenarios of what a server may lack: discussions, Spaces, jobs and others.

Each has an area that says who it waits for.
"""

import json
import os
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request

from huggingface_hub import CommitOperationAdd, HfApi, errors, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from repos import commits, files, make, noise, put
from scenario import equal, needs, raises, scenario


def ask(b, path, body=None, form=None, headers=None, method=None, base=None):
    """A plain request, for what the client has no call for. The server's no is an HTTPError."""
    data = None
    headers = {"Authorization": "Bearer " + os.environ["HF_TOKEN"], **(headers or {})}
    if body is not None:
        data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    if form is not None:
        data = urllib.parse.urlencode(form).encode()
    request = urllib.request.Request((base or b.endpoint) + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            page = "json" not in answer.headers.get("Content-Type", "")
            return answer.status, text if page else json.loads(text or b"null")
    except urllib.error.HTTPError as e:
        text = e.read().decode("utf-8", "replace")
        nothing = e.headers.get("X-Error-Code") == "RepoNotFound" and not path.startswith("/api/")  # taken for a repository
        if "this server has no " in text or nothing and "nope" not in path:
            raise RuntimeError("this server has no " + path) from None
        return e.code, json.loads(text) if text.startswith(("{", "[")) else text


@scenario("repos")
def lists_in_full(b):
    repo = make(b)
    put(repo, "a.txt")
    full = list(HfApi().list_models(search=repo.split("/")[1], full=True))[0]
    if full.siblings is None:
        raise RuntimeError("this server has no files in its lists")
    equal({s.rfilename for s in full.siblings}, {".gitattributes", "a.txt"}, "siblings")


@scenario("repos")
def discussions(b):
    api, repo = HfApi(), make(b)
    d = api.create_discussion(repo, title="  A question ", description="why?")
    equal((d.num, d.title, d.status, d.is_pull_request, d.author), (1, "A question", "open", False, b.user), "discussion")
    equal(d.events[0].content, "why?", "description")
    said = api.comment_discussion(repo, 1, comment="because")
    equal((said.content, said.author, said.edited, said.hidden), ("because", b.user, False, False), "comment")
    edited = api.edit_discussion_comment(repo, 1, said.id, "because so")
    equal((edited.content, edited.edited), ("because so", True), "edited")
    hidden = api.hide_discussion_comment(repo, 1, said.id)
    equal(hidden.hidden, True, "hidden")
    named = api.rename_discussion(repo, 1, "Another title")
    equal((named.old_title, named.new_title), ("A question", "Another title"), "renamed")
    closed = api.change_discussion_status(repo, 1, "closed", comment="done")
    equal(closed.new_status, "closed", "closed")
    got = api.get_discussion_details(repo, 1)
    equal((got.title, got.status), ("Another title", "closed"), "details")
    kinds = [e.type for e in got.events]
    assert {"comment", "title-change", "status-change"} <= set(kinds), kinds
    api.change_discussion_status(repo, 1, "open")
    api.create_discussion(repo, title="second")
    api.create_pull_request(repo, title="third")
    both = list(api.get_repo_discussions(repo))
    equal(sorted(d.num for d in both), [1, 2, 3], "list")
    equal([d.num for d in api.get_repo_discussions(repo, discussion_type="pull_request")], [3], "only pull requests")
    equal(sorted(d.num for d in api.get_repo_discussions(repo, discussion_type="discussion", discussion_status="open")), [1, 2], "only discussions")
    equal(list(api.get_repo_discussions(repo, author="nobody")), [], "of another")
    raises(HfHubHTTPError, api.get_discussion_details, repo, 99, status=404)
    raises(RepositoryNotFoundError, api.create_discussion, b.id("-nope"), title="x y z")


@scenario("repos")
def pull_requests(b):
    api = HfApi()
    for kind in ("model", "dataset"):
        repo = make(b, "-" + kind, kind)
        put(repo, "a.txt", b"one\n", repo_type=kind)
        pr = put(repo, "a.txt", b"two\n", repo_type=kind, create_pr=True)
        equal((pr.pr_num, pr.pr_revision), (1, "refs/pr/1"), "pull request")
        assert pr.pr_url.startswith(b.endpoint) and pr.pr_url.endswith("/discussions/1"), pr.pr_url
        equal(files(repo, repo_type=kind, revision="refs/pr/1"), sorted(files(repo, repo_type=kind)), "files")
        more = api.create_commit(
            repo, operations=[CommitOperationAdd("big.bin", noise(1 << 20)), CommitOperationAdd("b.txt", b"b")],
            commit_message="more", repo_type=kind, revision="refs/pr/1",
        )
        equal(api.repo_info(repo, repo_type=kind, revision="refs/pr/1").sha, more.oid, "head")
        refs = api.list_repo_refs(repo, repo_type=kind, include_pull_requests=True)
        equal([r.ref for r in refs.pull_requests], ["refs/pr/1"], "refs")
        got = api.get_discussion_details(repo, 1, repo_type=kind)
        equal((got.status, got.is_pull_request, got.target_branch), ("open", True, "refs/heads/main"), "details")
        assert "-one" in got.diff and "+two" in got.diff, got.diff
        assert [e for e in got.events if e.type == "commit"], got.events
        api.merge_pull_request(repo, 1, repo_type=kind, comment="fine")
        got = api.get_discussion_details(repo, 1, repo_type=kind)
        equal(got.status, "merged", "status")
        equal(got.merge_commit_oid, api.repo_info(repo, repo_type=kind).sha, "merge commit")
        path = hf_hub_download(repo, "a.txt", repo_type=kind, cache_dir=b.work)
        equal(open(path, "rb").read(), b"two\n", "merged content")
        assert {"b.txt", "big.bin"} <= set(files(repo, repo_type=kind))
        raises(HfHubHTTPError, api.merge_pull_request, repo, 1, repo_type=kind)

        draft = api.create_pull_request(repo, title="a draft", repo_type=kind)
        equal((draft.num, draft.status, draft.git_reference), (2, "draft", "refs/pr/2"), "draft")
        put(repo, "draft.txt", repo_type=kind, revision="refs/pr/2")
        api.change_discussion_status(repo, 2, "open", repo_type=kind)
        api.change_discussion_status(repo, 2, "closed", repo_type=kind)
        equal(api.get_discussion_details(repo, 2, repo_type=kind).status, "closed", "closed")


@scenario("repos")
def merge_conflict(b):
    api, repo = HfApi(), make(b)
    put(repo, "a.txt", b"one\n")
    put(repo, "a.txt", b"two\n", create_pr=True)
    put(repo, "a.txt", b"three\n")
    got = api.get_discussion_details(repo, 1)
    assert got.conflicting_files is True or got.conflicting_files == ["a.txt"], got.conflicting_files
    e = raises(HfHubHTTPError, api.merge_pull_request, repo, 1)
    assert e.response.status_code in (400, 409), e
    equal(open(hf_hub_download(repo, "a.txt", cache_dir=b.work), "rb").read(), b"three\n", "nothing changed")


@scenario("repos")
def upload_as_pull_request(b):
    api, repo = HfApi(), make(b)
    source = b.folder("src", {"a.txt": b"a", "w.bin": noise(1 << 20), "sub/c.txt": b"c"})
    done = api.upload_folder(repo_id=repo, folder_path=str(source), create_pr=True)
    equal(files(repo), [], "main")
    equal(files(repo, revision=done.pr_revision), ["a.txt", "sub/c.txt", "w.bin"], "pull request")
    api.delete_file("a.txt", repo, revision=done.pr_revision)
    api.merge_pull_request(repo, done.pr_num)
    equal(files(repo), ["sub/c.txt", "w.bin"], "merged")


@scenario("repos")
def likes(b):
    api, repo = HfApi(), make(b)
    status, _ = ask(b, f"/api/models/{repo}/like", body={})
    equal(status, 200, "like")
    equal([u.username for u in api.list_repo_likers(repo)], [b.user], "likers")
    equal(api.model_info(repo).likes, 1, "likes")
    assert repo in api.list_liked_repos(b.user).models
    api.unlike(repo)
    equal(list(api.list_repo_likers(repo)), [], "likers")
    equal(api.model_info(repo).likes, 0, "likes")


@scenario("repos")
def duplicate(b):
    api = HfApi()
    space = make(b, "-from", "space")
    put(space, "app.py", b"print()", repo_type="space")
    call = getattr(api, "duplicate_space", None)
    if call:
        url = call(space, b.id("-to"))
    else:
        url = api.duplicate_repo(space, b.id("-to"), repo_type="space")
    equal((url.repo_id, url.repo_type), (b.id("-to"), "space"), "url")
    assert "app.py" in files(b.id("-to"), repo_type="space")
    if hasattr(api, "duplicate_repo"):
        model = make(b, "-model")
        put(model, "w.bin", noise(1 << 20))
        api.duplicate_repo(model, b.id("-copy"), private=True)
        equal((files(b.id("-copy")), api.repo_info(b.id("-copy")).private), (["w.bin"], True), "model")
        raises(HfHubHTTPError, api.duplicate_repo, model, b.id("-copy"), status=409)
        raises(RepositoryNotFoundError, api.duplicate_repo, b.id("-nope"), b.id("-nope2"))


@scenario("repos")
def squash(b):
    api, repo = HfApi(), make(b)
    for n in range(3):
        put(repo, "n.txt", str(n).encode())
    put(repo, "w.bin", noise(1 << 20))
    before = files(repo)
    api.super_squash_history(repo, commit_message="all of it")
    equal(([c.title for c in commits(repo)], files(repo)), (["all of it"], before), "squashed")
    raises(HfHubHTTPError, api.super_squash_history, repo, branch="nope", status=404)


@scenario("repos")
def large_files(b):
    api, repo = HfApi(), make(b)
    put(repo, "w.bin", noise(1 << 20))
    put(repo, "v.bin", noise(1 << 20))
    found = list(api.list_lfs_files(repo))
    equal({f.filename for f in found}, {"w.bin", "v.bin"}, "names")
    equal({f.size for f in found}, {1 << 20}, "sizes")
    api.permanently_delete_lfs_files(repo, [f for f in found if f.filename == "w.bin"])
    equal([f.filename for f in api.list_lfs_files(repo)], ["v.bin"], "names after the deletion")
    equal(api.file_exists(repo, "w.bin"), False, "the deleted file is there")
    hf_hub_download(repo, "v.bin", cache_dir=b.work)


@scenario("repos")
def access_requests(b):
    api, repo = HfApi(), make(b)
    api.update_repo_settings(repo, gated="manual")
    equal((list(api.list_pending_access_requests(repo)), list(api.list_accepted_access_requests(repo)), list(api.list_rejected_access_requests(repo))), ([], [], []), "none yet")
    raises(HfHubHTTPError, api.accept_access_request, repo, "nobody-here", status=404)


def second_user():
    if not os.environ.get("INTEROP_OTHER"):
        raise RuntimeError("this server has no users but one")
    return HfApi(token=os.environ["INTEROP_OTHER"])


@scenario("repos", auth=True)
def two_users(b):
    api, other = HfApi(), second_user()
    who = other.whoami()
    equal((who["name"], [o["name"] for o in who["orgs"]]), ("other", ["team"]), "whoami")
    hidden, plain = make(b, "-hidden", private=True), make(b, "-plain")
    put(plain, "a.txt", b"a")
    raises(RepositoryNotFoundError, other.repo_info, hidden, status=404)
    raises(RepositoryNotFoundError, hf_hub_download, hidden, "a.txt", token=other.token, cache_dir=b.work)
    assert hidden not in [m.id for m in other.list_models(author=b.user)]
    raises(HfHubHTTPError, other.upload_file, path_or_fileobj=b"x", path_in_repo="x", repo_id=plain, status=403)
    raises(HfHubHTTPError, other.delete_repo, plain, status=403)
    raises(HfHubHTTPError, other.create_repo, b.id("-theirs"), status=403)
    shared = "team/" + b.id().split("/")[1]
    equal(other.create_repo(shared, private=True).repo_id, shared, "a repository of the organization")
    raises(RepositoryNotFoundError, api.repo_info, shared, status=404)
    pr = other.upload_file(path_or_fileobj=b"b", path_in_repo="b.txt", repo_id=plain, create_pr=True)  # takes no right to write
    equal(api.get_discussion_details(plain, pr.pr_num).author, "other", "author")
    raises(HfHubHTTPError, other.merge_pull_request, plain, pr.pr_num, status=403)
    api.merge_pull_request(plain, pr.pr_num)
    equal(files(plain), ["a.txt", "b.txt"], "merged")


@scenario("repos", auth=True)
def gated_asks(b):
    api, other = HfApi(), second_user()
    repo = make(b)
    put(repo, "a.txt", b"a")
    api.update_repo_settings(repo, gated="manual")

    def reads():
        return hf_hub_download(repo, "a.txt", token=other.token, cache_dir=tempfile.mkdtemp(dir=b.work))

    e = raises(errors.GatedRepoError, reads, status=403)
    assert "ask for access" in str(e) or "authorized list" in str(e), e
    ask(b, f"/{repo}/ask-access", form={}, headers={"Authorization": "Bearer " + other.token})
    equal([r.username for r in api.list_pending_access_requests(repo)], ["other"], "pending")
    raises(errors.GatedRepoError, reads)
    api.accept_access_request(repo, "other")
    assert reads()
    raises(HfHubHTTPError, api.accept_access_request, repo, "other", status=404)  # it is handled
    equal([r.username for r in api.list_accepted_access_requests(repo)], ["other"], "accepted")
    api.reject_access_request(repo, "other", rejection_reason="no longer")
    raises(errors.GatedRepoError, reads)
    equal([r.username for r in api.list_rejected_access_requests(repo)], ["other"], "rejected")
    api.cancel_access_request(repo, "other")
    equal([r.username for r in api.list_pending_access_requests(repo)], ["other"], "pending again")
    api.update_repo_settings(repo, gated="auto")
    fresh = make(b, "-granted")
    api.update_repo_settings(fresh, gated="manual")
    api.grant_access(fresh, "other")
    equal([r.username for r in api.list_accepted_access_requests(fresh)], ["other"], "granted")
    raises(HfHubHTTPError, lambda: list(other.list_pending_access_requests(repo)))


@scenario("repos")
def users(b):
    api = HfApi()
    got = api.get_user_overview(b.user)
    equal(got.username, b.user, "user")
    raises(HfHubHTTPError, api.get_user_overview, "nobody-here", status=404)


@scenario("spaces")
def collections(b):
    api, repo = HfApi(), make(b)
    title = b.id().split("/")[1]
    c = api.create_collection(title=title, namespace=b.user, description="what I like", private=True)
    equal((c.title, c.owner["name"] if isinstance(c.owner, dict) else c.owner, c.private, c.items), (title, b.user, True, []), "collection")
    assert c.slug.startswith(f"{b.user}/") and c.url.startswith(b.endpoint), c.slug
    again = api.create_collection(title=title, namespace=b.user, exists_ok=True)
    equal(again.slug, c.slug, "exists_ok")
    got = api.add_collection_item(c.slug, item_id=repo, item_type="model", note="good")
    equal([(i.item_id, i.item_type, i.note) for i in got.items], [(repo, "model", "good")], "items")
    raises(HfHubHTTPError, api.add_collection_item, c.slug, item_id=repo, item_type="model", status=409)
    api.add_collection_item(c.slug, item_id=repo, item_type="model", exists_ok=True)
    data = make(b, "-data", "dataset")
    got = api.add_collection_item(c.slug, item_id=data, item_type="dataset")
    item = got.items[0]
    api.update_collection_item(c.slug, item.item_object_id, note="better", position=1)
    c = api.update_collection_metadata(c.slug, title=title + " 2", private=False)  # its slug follows the title
    got = api.get_collection(c.slug)
    equal((got.title, got.private, len(got.items)), (title + " 2", False, 2), "after updates")
    assert "better" in [i.note for i in got.items]
    assert c.slug in [x.slug for x in api.list_collections(owner=b.user)]
    api.delete_collection_item(c.slug, item.item_object_id)
    raises(HfHubHTTPError, api.delete_collection_item, c.slug, item.item_object_id, status=404)
    api.delete_collection_item(c.slug, item.item_object_id, missing_ok=True)
    api.delete_collection(c.slug)
    api.delete_collection(c.slug, missing_ok=True)
    raises(HfHubHTTPError, api.get_collection, c.slug, status=404)


@scenario("spaces")
def space_runtime(b):
    api, repo = HfApi(), make(b, kind="space", space_sdk="docker")
    put(repo, "Dockerfile", b"FROM python:3.12\n", repo_type="space")
    equal(api.get_space_runtime(repo).stage in ("NO_APP_FILE", "STOPPED", "BUILDING", "CONFIG_ERROR", "RUNNING", "PAUSED"), True, "stage")
    equal(api.request_space_hardware(repo, "cpu-basic").requested_hardware, "cpu-basic", "hardware")
    try:
        got = api.request_space_hardware(repo, "t4-small", sleep_time=3600)
        equal((got.requested_hardware, got.sleep_time), ("t4-small", 3600), "hardware that costs")
    except HfHubHTTPError as e:
        equal(e.response.status_code, 402, "hardware that costs")
    equal(api.set_space_sleep_time(repo, 7200).sleep_time, 7200, "sleep time")
    equal(api.pause_space(repo).stage, "PAUSED", "paused")
    assert api.restart_space(repo).stage != "PAUSED"
    raises(RepositoryNotFoundError, api.get_space_runtime, b.id("-nope"), status=404)
    still = make(b, "-static", "space", space_sdk="static")
    raises((HfHubHTTPError, ValueError), api.pause_space, still)


@scenario("spaces")
def space_settings(b):
    api, repo = HfApi(), make(b, kind="space", space_sdk="gradio")
    api.add_space_secret(repo, "TOKEN", "very secret", description="a token")
    if hasattr(api, "get_space_secrets"):
        got = api.get_space_secrets(repo)
        equal((list(got), got["TOKEN"].description), (["TOKEN"], "a token"), "secrets")
        assert "very secret" not in repr(got)
    api.delete_space_secret(repo, "TOKEN")
    got = api.add_space_variable(repo, "MODE", "fast", description="how")
    equal((got["MODE"].value, got["MODE"].description), ("fast", "how"), "variable")
    api.add_space_variable(repo, "MODE", "slow")
    equal(api.get_space_variables(repo)["MODE"].value, "slow", "variable")
    equal(api.delete_space_variable(repo, "MODE"), {}, "no variables")
    raises((HfHubHTTPError, ValueError), api.add_space_variable, repo, "1 bad", "x")


@scenario("spaces")
def space_logs(b):
    api, repo = HfApi(), make(b, kind="space", space_sdk="docker")
    put(repo, "Dockerfile", b"FROM python:3.12\n", repo_type="space")
    read = needs(api, "fetch_space_logs")
    for build in (False, True):
        lines = list(read(repo, build=build, follow=False))
        assert all(isinstance(line, str) for line in lines), lines
    raises(RepositoryNotFoundError, lambda: list(read(b.id("-nope"), follow=False)))


@scenario("spaces")
def webhooks(b):
    api, repo = HfApi(), make(b)
    hook = api.create_webhook(url="http://127.0.0.1:9/hook", watched=[{"type": "model", "name": repo}], domains=["repo"], secret="s")
    equal((hook.url, hook.disabled, [(w.type, w.name) for w in hook.watched]), ("http://127.0.0.1:9/hook", False, [("model", repo)]), "webhook")
    assert hook.id in [w.id for w in api.list_webhooks()]
    equal(api.disable_webhook(hook.id).disabled, True, "disabled")
    equal(api.enable_webhook(hook.id).disabled, False, "enabled")
    equal([d.rstrip("s") for d in api.update_webhook(hook.id, domains=["repo", "discussions"]).domains], ["repo", "discussion"], "domains")
    api.delete_webhook(hook.id)
    raises(HfHubHTTPError, api.get_webhook, hook.id, status=404)


@scenario("spaces")
def space_created_with_all(b):
    api, repo = HfApi(), b.id()
    api.create_repo(repo, repo_type="space", space_sdk="gradio", space_hardware="cpu-basic",
                    space_secrets=[{"key": "S", "value": "v"}], space_variables=[{"key": "V", "value": "w"}])
    equal(api.get_space_variables(repo)["V"].value, "w", "variable")
    equal(api.get_space_runtime(repo).requested_hardware, "cpu-basic", "hardware")


@scenario("spaces")
def jobs(b):
    api = HfApi()
    assert isinstance(list(api.list_jobs(namespace=b.user)), list)
    kind = getattr(errors, "JobNotFoundError", OSError)  # 0.36 has none
    raises(kind, api.inspect_job, job_id="0123456789abcdef01234567", namespace=b.user, status=404)
    raises(kind, api.cancel_job, job_id="0123456789abcdef01234567", namespace=b.user, status=404)
    for job in list(api.list_jobs(namespace=b.user))[:2]:
        got = api.inspect_job(job_id=job.id, namespace=b.user)
        equal((got.id, got.owner.name), (job.id, b.user), "job")
        list(api.fetch_job_logs(job_id=job.id, namespace=b.user))
    assert needs(api, "list_jobs_hardware")(), "no hardware"


@scenario("login")
def device_login(b):
    status, got = ask(b, "/oauth/device", form={"client_id": "interop", "scope": "openid"}, headers={"Authorization": ""})
    equal(status, 200, f"device: {got}")
    assert got["device_code"] and got["user_code"] and got["verification_uri"].startswith("http"), got
    status, got = ask(b, "/oauth/token", form={
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": got["device_code"], "client_id": "interop"},
        headers={"Authorization": ""})
    assert status == 200 or got["error"] in ("authorization_pending", "slow_down"), (status, got)
    status, got = ask(b, "/oauth/token", form={
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "wrong", "client_id": "interop"},
        headers={"Authorization": ""})
    assert 400 <= status < 500 and got["error"], (status, got)


@scenario("viewer")
def dataset_viewer(b):
    repo = make(b, kind="dataset")
    put(repo, "train.csv", b"x,y\n1,a\n2,b\n3,c\n", repo_type="dataset")
    put(repo, "test.csv", b"x,y\n4,d\n", repo_type="dataset")
    named = "dataset=" + urllib.parse.quote(repo, safe="")

    def get(path):
        status, got = ask(b, "/datasets-server" + path)
        equal(status, 200, f"{path}: {got}")
        return got

    equal(get("/is-valid?" + named)["viewer"], True, "viewer")
    splits = get("/splits?" + named)["splits"]
    equal(sorted(s["split"] for s in splits), ["test", "train"], "splits")
    config = splits[0]["config"]
    split = f"{named}&config={config}&split=train"
    rows = get(f"/rows?{split}&offset=1&length=2")
    equal(([r["row"]["x"] for r in rows["rows"]], rows["num_rows_total"]), ([2, 3], 3), "rows")
    first = get(f"/first-rows?{split}")
    equal([f["name"] for f in first["features"]], ["x", "y"], "features")
    equal(get("/size?" + named)["size"]["dataset"]["num_rows"], 4, "size")
    equal([r["row"]["x"] for r in get(f"/search?{split}&query=b")["rows"]], [2], "search")
    where = urllib.parse.quote('"x" > 1')
    equal([r["row"]["x"] for r in get(f"/filter?{split}&where={where}")["rows"]], [2, 3], "filter")
    equal(get(f"/statistics?{split}")["num_examples"], 3, "statistics")
    assert "parquet_files" in get("/parquet?" + named)
    info = get("/info?" + named)["dataset_info"][config]
    equal(info["splits"]["train"]["num_examples"], 3, "info")
    status, got = ask(b, "/datasets-server/splits")
    equal(status, 422, f"without a dataset: {got}")
    status, got = ask(b, "/datasets-server/splits?dataset=me%2Fnope-at-all")
    assert status in (401, 404), (status, got)
    port = b.endpoint.rsplit(":", 1)[1]
    status, got = ask(b, "/splits?" + named, headers={"Host": f"datasets-server.localhost:{port}"})
    equal((status, len(got["splits"])), (200, 2), "by the name of the host")


@scenario("gitweb")
def git_clone(b):
    repo = make(b)
    put(repo, "a.txt", b"a\n")
    last = put(repo, "sub/b.txt", b"b\n").oid
    to = b.work / "clone"
    url = f"{b.endpoint}/{repo}"
    if b.auth:
        url = url.replace("http://", f"http://me:{os.environ['HF_TOKEN']}@")
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}
    done = subprocess.run(["git", "clone", url, str(to)], capture_output=True, text=True, env=env, timeout=60)
    if "not found" in done.stderr or "403" in done.stderr or "404" in done.stderr:
        raise RuntimeError("this server has no git protocol: " + done.stderr)
    equal(done.returncode, 0, done.stderr)
    head = subprocess.run(["git", "-C", str(to), "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    equal((head, (to / "sub" / "b.txt").read_bytes()), (last, b"b\n"), "clone")


@scenario("gitweb")
def router_models(b):
    status, got = ask(b, "/v1/models")
    if status == 503 or status == 502:
        return  # no model endpoint is configured
    equal((status, got.get("object")), (200, "list"), f"models: {got}")
