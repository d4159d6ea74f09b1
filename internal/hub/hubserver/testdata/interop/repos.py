"""Scenarios of repositories: names, files, commits, refs, lists. Area base."""

import io
import os
import uuid

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import HFValidationError

from scenario import Absent, equal, needs, raises, scenario

KINDS = ("model", "dataset", "space")


def make(b, suffix="", kind="model", **kwargs):
    if kind == "space":
        kwargs.setdefault("space_sdk", "static")
    HfApi().create_repo(b.id(suffix), repo_type=kind, **kwargs)
    return b.id(suffix)


def put(repo, path, data=b"text\n", **kwargs):
    return HfApi().upload_file(path_or_fileobj=data, path_in_repo=path, repo_id=repo, **kwargs)


def commits(repo, **kwargs):
    return HfApi().list_repo_commits(repo, **kwargs)


def files(repo, **kwargs):
    return sorted(f for f in HfApi().list_repo_files(repo, **kwargs) if f != ".gitattributes")


def noise(n):
    return os.urandom(1 << 16) * (n // (1 << 16)) + os.urandom(n % (1 << 16))


@scenario()
def account(b):
    who = HfApi().whoami()
    equal((who["name"], who["type"]), (b.user, "user"), "whoami")
    assert who["auth"]["accessToken"]["role"] in ("write", "god", "fineGrained"), who


@scenario(auth=True)
def account_refused(b):
    import urllib.error
    import urllib.request

    e = raises(urllib.error.HTTPError, urllib.request.urlopen, b.endpoint + "/api/whoami-v2")
    equal(e.code, 401, "without a token")
    raises((HfHubHTTPError, OSError), HfApi(token="hf_wrong").whoami, status=401)
    repo = make(b)
    e = raises(HfHubHTTPError, HfApi(token="hf_wrong").repo_info, repo, status=401)
    assert "Invalid credentials" in str(e), e


@scenario()
def create(b):
    api = HfApi()
    for kind in KINDS:
        repo = b.id("-" + kind)
        extra = {"space_sdk": "docker"} if kind == "space" else {}
        url = api.create_repo(repo, repo_type=kind, **extra)
        equal((url.repo_id, url.repo_type, url.endpoint, url.namespace), (repo, kind, b.endpoint, b.user), "url")
        again = api.create_repo(repo, repo_type=kind, exist_ok=True, **extra)
        equal((again.repo_id, str(again)), (repo, str(url)), "exist_ok")
        e = raises(HfHubHTTPError, api.create_repo, repo, repo_type=kind, status=409, **extra)
        assert "already" in str(e), e
        assert api.repo_exists(repo, repo_type=kind)
        equal(api.repo_info(repo, repo_type=kind).id, repo, "id")
        equal(len(commits(repo, repo_type=kind)), 1, "the first commit")
    short = api.create_repo(b.id("-short").split("/")[1])
    equal(short.repo_id, b.id("-short"), "a name without an owner")
    hidden = make(b, "-hidden", private=True)
    equal(api.repo_info(hidden).private, True, "private")
    raises(HFValidationError, api.create_repo, "me/a--b")
    raises((HFValidationError, BadRequestError, HfHubHTTPError), api.create_repo, "me/" + "x" * 100)
    api.delete_repo(hidden)
    api.delete_repo(hidden, missing_ok=True)
    raises(RepositoryNotFoundError, api.delete_repo, hidden, status=404)
    raises(RepositoryNotFoundError, api.repo_info, hidden, status=404)
    assert not api.repo_exists(hidden)


@scenario()
def settings(b):
    api = HfApi()
    for kind in ("model", "dataset"):
        repo = make(b, "-" + kind, kind)
        api.update_repo_settings(repo, repo_type=kind, private=True)
        equal(api.repo_info(repo, repo_type=kind).private, True, "private")
        api.update_repo_settings(repo, repo_type=kind, private=False, gated="manual")
        info = api.repo_info(repo, repo_type=kind)
        equal((info.private, info.gated), (False, "manual"), "settings")
        api.update_repo_settings(repo, repo_type=kind, gated="auto")
        equal(api.repo_info(repo, repo_type=kind).gated, "auto", "gated")
        api.update_repo_settings(repo, repo_type=kind, gated=False)
        equal(api.repo_info(repo, repo_type=kind).gated, False, "gated")
        api.auth_check(repo, repo_type=kind)
        raises(ValueError, api.update_repo_settings, repo, repo_type=kind, gated="perhaps")
    raises(RepositoryNotFoundError, api.update_repo_settings, b.id("-nope"), private=True, status=404)
    raises(RepositoryNotFoundError, api.auth_check, b.id("-nope"))


@scenario()
def rename(b):
    api = HfApi()
    old, new = make(b, "-old"), b.id("-new")
    put(old, "a b/#1 100%.txt", b"one")
    api.move_repo(old, new)
    equal(api.repo_info(old).id, new, "info by the old name")
    equal(open(hf_hub_download(old, "a b/#1 100%.txt", cache_dir=b.work), "rb").read(), b"one", "download")
    put(old, "late.txt", b"by the old name")
    assert "late.txt" in files(new) and "late.txt" in files(old)
    api.create_tag(old, tag="v1")
    equal([t.name for t in api.list_repo_refs(new).tags], ["v1"], "tag by the old name")
    api.create_branch(old, branch="side")
    api.delete_branch(old, branch="side")
    snapshot_download(old, cache_dir=b.work / "snap")
    raises(HfHubHTTPError, api.move_repo, new, make(b, "-taken"))
    raises(RepositoryNotFoundError, api.move_repo, b.id("-nope"), b.id("-nope2"))
    put(new, "big.bin", noise(1 << 20))
    api.create_repo(old)  # the old name is free again
    assert files(old) == [], files(old)


@scenario()
def upload_small(b):
    api = HfApi()
    for kind in KINDS:
        repo = make(b, "-" + kind, kind)
        before = len(commits(repo, repo_type=kind))
        done = api.upload_file(
            path_or_fileobj=b"hello", path_in_repo="a.txt", repo_id=repo, repo_type=kind,
            commit_message="a title", commit_description="and a text\nof two lines",
        )
        assert f"{repo}/commit/{done.oid}" in done.commit_url, done
        assert str(done).startswith(b.endpoint) and done.repo_url.repo_id == repo, done
        top = commits(repo, repo_type=kind)[0]
        equal((top.commit_id, top.title, top.message), (done.oid, "a title", "and a text\nof two lines"), "commit")
        equal(top.authors, [b.user], "authors")
        again = put(repo, "a.txt", b"hello", repo_type=kind)
        equal(again.oid, done.oid, "a second upload of the same")
        local = b.folder(kind, {"local.txt": b"from a file"}) / "local.txt"
        api.upload_file(path_or_fileobj=str(local), path_in_repo="./deep/er/local.txt", repo_id=repo, repo_type=kind)
        put(repo, "stream.txt", io.BytesIO(b"from a stream"), repo_type=kind)
        put(repo, "empty", b"", repo_type=kind)
        put(repo, "ünï/日本 #1 100%?.txt", b"odd", repo_type=kind)
        got = set(files(repo, repo_type=kind)) - {"README.md"}
        equal(got, {"a.txt", "deep/er/local.txt", "stream.txt", "empty", "ünï/日本 #1 100%?.txt"}, "files")
        for name, data in {"empty": b"", "ünï/日本 #1 100%?.txt": b"odd", "deep/er/local.txt": b"from a file"}.items():
            path = hf_hub_download(repo, name, repo_type=kind, cache_dir=b.work / "cache")
            equal(open(path, "rb").read(), data, name)
        equal(len(commits(repo, repo_type=kind)), before + 5, "commits")
    for path in ("../x", "/x", ".git/config", "a/../../x"):
        try:
            put(repo, path, repo_type="space")
        except (ValueError, HfHubHTTPError):
            continue
        assert path == "/x", f"{path} was accepted"  # some releases strip the slash
    raises(RepositoryNotFoundError, put, b.id("-nope"), "a.txt", status=404)
    raises(RevisionNotFoundError, put, repo, "a.txt", repo_type="space", revision="nope", status=404)


@scenario()
def upload_card(b):
    repo = make(b)
    put(repo, "README.md", b"---\nlicense: mit\ntags: [a, b]\npipeline_tag: text-classification\n---\n# Hi\n")
    info = HfApi().model_info(repo)
    equal((info.pipeline_tag, info.card_data.license), ("text-classification", "mit"), "card")
    assert {"a", "b", "license:mit"} <= set(info.tags), info.tags
    raises((ValueError, BadRequestError), put, repo, "README.md", b"---\ntags: [unclosed\n---\n")
    put(repo, "README.md", b"no front matter\n")
    info = HfApi().model_info(repo)
    assert info.card_data is None or not info.card_data.to_dict(), info.card_data


@scenario()
def upload_large(b):
    api = HfApi()
    for kind in ("model", "dataset"):
        repo = make(b, "-" + kind, kind)
        big = noise((11 << 20) + 17)
        local = b.folder(kind, {"big.dat": big}) / "big.dat"
        api.upload_file(path_or_fileobj=str(local), path_in_repo="big.dat", repo_id=repo, repo_type=kind)
        put(repo, "small.safetensors", b"\x00\x01 few bytes", repo_type=kind)  # by name
        put(repo, "stream.bin", io.BytesIO(noise(2 << 20)), repo_type=kind)
        put(repo, "copy.dat", big, repo_type=kind)  # the content is there
        again = put(repo, "copy.dat", big, repo_type=kind)
        equal(again.oid, commits(repo, repo_type=kind)[0].commit_id, "the same again")
        info = {s.rfilename: s for s in api.repo_info(repo, repo_type=kind, files_metadata=True).siblings}
        equal((info["big.dat"].size, info["big.dat"].lfs.size), (len(big), len(big)), "size")
        equal(info["big.dat"].lfs.sha256, info["copy.dat"].lfs.sha256, "sha256")
        assert info["small.safetensors"].lfs and info["stream.bin"].lfs, info
        got = hf_hub_download(repo, "big.dat", repo_type=kind, cache_dir=b.work / "cache")
        assert open(got, "rb").read() == big, "the content is another"
        got = hf_hub_download(repo, "small.safetensors", repo_type=kind, local_dir=b.work / "local")
        equal(open(got, "rb").read(), b"\x00\x01 few bytes", "small")
    text = b"some text of many lines\n" * 500_000  # 12 MB
    put(repo, "text.txt", text, repo_type="dataset")
    assert open(hf_hub_download(repo, "text.txt", repo_type="dataset", cache_dir=b.work / "cache"), "rb").read() == text


@scenario()
def upload_huge(b):
    """Large enough for parts, and for hf_transfer where it is used."""
    repo, big = make(b), noise((60 << 20) + 5)
    local = b.folder("src", {"huge.bin": big}) / "huge.bin"
    put(repo, "huge.bin", str(local))
    got = hf_hub_download(repo, "huge.bin", cache_dir=b.work / "cache")
    assert open(got, "rb").read() == big, "the content is another"


@scenario()
def upload_folder(b):
    api, repo = HfApi(), make(b)
    source = b.folder("src", {
        "README.md": b"---\nlicense: mit\n---\n# Hi\n", "a.txt": b"a", "b.log": b"b", "sub/c.txt": b"c", "sub/d.bin": b"\x00\x01",
        "w.safetensors": noise(100_000), ".git/config": b"secret", ".gitignore": b"*.tmp\n", "x.tmp": b"ignored", "empty": b"",
    })
    done = api.upload_folder(repo_id=repo, folder_path=str(source), ignore_patterns=["*.log"], commit_message="folder")
    want = [".gitignore", "README.md", "a.txt", "empty", "sub/c.txt", "sub/d.bin", "w.safetensors"]
    equal(files(repo), want, "files")
    again = api.upload_folder(repo_id=repo, folder_path=str(source), ignore_patterns=["*.log"])
    equal(again.oid, done.oid, "the same folder again")
    api.upload_folder(repo_id=repo, folder_path=str(source), allow_patterns="sub/*", path_in_repo="under/here")
    assert {"under/here/sub/c.txt", "under/here/sub/d.bin"} <= set(files(repo)), files(repo)
    other = b.folder("other", {"new.txt": b"new", "a.txt": b"changed"})
    api.upload_folder(repo_id=repo, folder_path=str(other), delete_patterns=["*.txt", "under/*"])
    equal(files(repo), [".gitignore", "README.md", "a.txt", "empty", "new.txt", "sub/d.bin", "w.safetensors"], "after deletes")
    equal(open(hf_hub_download(repo, "a.txt", cache_dir=b.work), "rb").read(), b"changed", "a.txt")
    api.create_branch(repo, branch="feat/x")
    api.upload_folder(repo_id=repo, folder_path=str(other), path_in_repo="branch", revision="feat/x")
    assert "branch/new.txt" in files(repo, revision="feat/x") and "branch/new.txt" not in files(repo)
    raises((HfHubHTTPError, RuntimeError), api.upload_folder, repo_id=repo, folder_path=str(source), path_in_repo="z", parent_commit="0" * 40)


@scenario()
def upload_many(b):
    api, repo = HfApi(), make(b, kind="dataset")
    source = b.folder("src", {f"part-{n // 300}/{n:04}.txt": f"number {n}\n".encode() for n in range(1150)})
    api.upload_folder(repo_id=repo, folder_path=str(source), repo_type="dataset")
    tree = list(api.list_repo_tree(repo, recursive=True, repo_type="dataset"))  # more than a page
    equal(sum(hasattr(e, "blob_id") for e in tree), 1151, "files in the tree")
    equal(sum(not hasattr(e, "blob_id") for e in tree), 4, "folders in the tree")
    expanded = list(api.list_repo_tree(repo, "part-3", expand=True, repo_type="dataset"))  # pages of 100
    equal(len(expanded), 250, "files of a folder")
    assert all(e.last_commit.oid and e.last_commit.date for e in expanded)
    got = api.get_paths_info(repo, [f"part-{n // 300}/{n:04}.txt" for n in range(1150)], repo_type="dataset")
    equal(len(got), 1150, "paths")
    path = snapshot_download(repo, repo_type="dataset", cache_dir=b.work / "c", allow_patterns=["part-3/09*.txt"])
    equal(len(list((b.work / "c").rglob("09*.txt"))), 100, f"files in {path}")


@scenario()
def upload_large_folder(b):
    api = HfApi()
    call = needs(api, "upload_large_folder")
    repo = b.id()
    source = b.folder("src", {"a.txt": b"a", "sub/b.bin": noise(3 << 20), "c.safetensors": noise(50_000), "d/e.json": b"{}"})
    call(repo_id=repo, folder_path=str(source), repo_type="model", num_workers=2, print_report=False)
    equal(files(repo), ["a.txt", "c.safetensors", "d/e.json", "sub/b.bin"], "files")
    call(repo_id=repo, folder_path=str(source), repo_type="model", num_workers=2, print_report=False)  # goes on where it was


@scenario()
def commit(b):
    api, repo = HfApi(), make(b)
    big = noise(2 << 20)
    first = api.create_commit(
        repo, commit_message="all in one", operations=[
            CommitOperationAdd("a.txt", b"a"), CommitOperationAdd("d/b.txt", b"b"), CommitOperationAdd("d/c.txt", b"c"),
            CommitOperationAdd("big.bin", big), CommitOperationAdd("e/f/g.txt", b"g"),
        ],
    )
    second = api.create_commit(
        repo, commit_message="many kinds", parent_commit=first.oid, operations=[
            CommitOperationDelete("a.txt"), CommitOperationDelete("d/"), CommitOperationAdd("new.txt", b"new"),
            CommitOperationCopy(src_path_in_repo="big.bin", path_in_repo="copy/big.bin"),
            CommitOperationCopy(src_path_in_repo="e/f/g.txt", path_in_repo="copy/g.txt"),
        ],
    )
    equal(files(repo), ["big.bin", "copy/big.bin", "copy/g.txt", "e/f/g.txt", "new.txt"], "files")
    assert open(hf_hub_download(repo, "copy/big.bin", cache_dir=b.work), "rb").read() == big
    equal(open(hf_hub_download(repo, "copy/g.txt", cache_dir=b.work), "rb").read(), b"g", "copy of a small file")
    raises(HfHubHTTPError, put, repo, "late.txt", parent_commit=first.oid, status=412)
    raises(EntryNotFoundError, api.delete_file, "a.txt", repo, status=404)
    assert "late.txt" not in files(repo)
    api.create_commit(repo, operations=[CommitOperationCopy("a.txt", "back.txt", src_revision=first.oid)], commit_message="back")
    equal(open(hf_hub_download(repo, "back.txt", cache_dir=b.work), "rb").read(), b"a", "copy from an older commit")
    same = api.create_commit(repo, operations=[CommitOperationAdd("new.txt", b"new")], commit_message="nothing")
    equal(same.oid, api.repo_info(repo).sha, "a commit of nothing")
    api.delete_folder("copy", repo)
    api.delete_files(repo_id=repo, delete_patterns=["*.txt", "nothing*"])
    equal(files(repo), ["big.bin"], "after deletes")
    raises(ValueError, api.create_commit, repo, operations=[], commit_message="")
    assert files(repo, revision=first.oid) == ["a.txt", "big.bin", "d/b.txt", "d/c.txt", "e/f/g.txt"]
    equal([c.title for c in commits(repo)][-3:-1], ["many kinds", "all in one"], "history")
    assert second.oid == api.repo_info(repo, revision=second.oid).sha


@scenario()
def concurrent_commits(b):
    from concurrent.futures import ThreadPoolExecutor

    api, repo = HfApi(), make(b)
    head = api.repo_info(repo).sha

    def attempt(n):
        try:
            put(repo, f"{n}.txt", parent_commit=head)
            return "won"
        except HfHubHTTPError as e:
            return e.response.status_code

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(attempt, range(6)))
    equal(sorted(map(str, results)), ["412"] * 5 + ["won"], "one wins")
    equal(len(files(repo)), 1, "files")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: put(repo, f"free-{n}.txt"), range(4)))
    equal(len(files(repo)), 5, "without a parent all get in")


@scenario()
def download(b):
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache

    api = HfApi()
    for kind in ("model", "dataset"):
        repo, cache = make(b, "-" + kind, kind), b.work / kind
        big = noise(3 << 20)
        put(repo, "dir/a.json", b'{"a": 1}', repo_type=kind)
        sha = put(repo, "big.bin", big, repo_type=kind).oid
        args = {"repo_type": kind, "cache_dir": cache}
        path = hf_hub_download(repo, "dir/a.json", **args)
        assert f"snapshots/{sha}/dir/a.json" in path.replace(os.sep, "/"), path
        equal(hf_hub_download(repo, "dir/a.json", **args), path, "the second time")
        equal(hf_hub_download(repo, "a.json", subfolder="dir", revision=sha, **args), path, "by the commit")
        equal(hf_hub_download(repo, "dir/a.json", local_files_only=True, **args), path, "offline")
        equal(hf_hub_download(repo, "dir/a.json", force_download=True, **args), path, "by force")
        assert open(hf_hub_download(repo, "big.bin", local_dir=b.work / "local", repo_type=kind), "rb").read() == big
        meta = get_hf_file_metadata(hf_hub_url(repo, "big.bin", repo_type=kind))
        equal((meta.size, meta.commit_hash), (len(big), sha), "metadata")
        equal(meta.etag, api.get_paths_info(repo, "big.bin", repo_type=kind)[0].lfs.sha256, "etag")
        small = get_hf_file_metadata(hf_hub_url(repo, "dir/a.json", repo_type=kind))
        equal(small.etag, api.get_paths_info(repo, "dir/a.json", repo_type=kind)[0].blob_id, "etag of a small file")
        raises(EntryNotFoundError, hf_hub_download, repo, "nope.json", **args)
        from huggingface_hub.file_download import _CACHED_NO_EXIST

        known = try_to_load_from_cache(repo, "nope.json", cache_dir=cache, repo_type=kind)
        assert known is _CACHED_NO_EXIST, f"the missing file is not remembered: {known}"
        raises(EntryNotFoundError, hf_hub_download, repo, "dir", **args)  # a folder is not a file
        raises(RevisionNotFoundError, hf_hub_download, repo, "dir/a.json", revision="nope", **args)
        raises(RepositoryNotFoundError, hf_hub_download, b.id("-nope"), "a", **args)
        raises(LocalEntryNotFoundError, hf_hub_download, repo, "big.bin", local_files_only=True, cache_dir=b.work / "void", repo_type=kind)
        put(repo, "dir/a.json", b'{"a": 2}', repo_type=kind)
        equal(open(hf_hub_download(repo, "dir/a.json", **args), "rb").read(), b'{"a": 2}', "after a change")
        equal(open(hf_hub_download(repo, "dir/a.json", revision=sha, **args), "rb").read(), b'{"a": 1}', "the older one")


@scenario()
def download_resumed(b):
    """A part of a file is there, as after a broken connection."""
    repo, big = make(b), noise(5 << 20)
    put(repo, "big.bin", big)
    path = hf_hub_download(repo, "big.bin", cache_dir=b.work)
    blob = os.path.realpath(path)
    os.remove(path)
    with open(blob, "rb") as f:
        half = f.read(2 << 20)
    os.remove(blob)
    open(blob + ".incomplete", "wb").write(half)
    assert open(hf_hub_download(repo, "big.bin", cache_dir=b.work), "rb").read() == big


@scenario()
def snapshot(b):
    from huggingface_hub import scan_cache_dir

    api, repo, cache = HfApi(), make(b), b.work / "cache"
    source = b.folder("src", {"a.txt": b"a", "b.bin": b"\x00b", "sub/c.txt": b"c", "sub/d.json": b"{}", "big.bin": noise(2 << 20)})
    sha = api.upload_folder(repo_id=repo, folder_path=str(source)).oid
    api.create_tag(repo, tag="v1")
    put(repo, "later.txt")
    path = snapshot_download(repo, revision="v1", cache_dir=cache)
    assert path.endswith(sha), path

    def below(path):
        return sorted(os.path.relpath(os.path.join(d, f), path).replace(os.sep, "/") for d, _, names in os.walk(path) for f in names if ".cache" not in d)

    equal(below(path), [".gitattributes", "a.txt", "b.bin", "big.bin", "sub/c.txt", "sub/d.json"], "snapshot")
    equal(snapshot_download(repo, revision="v1", cache_dir=cache, local_files_only=True), path, "offline")
    path = snapshot_download(repo, cache_dir=b.work / "some", allow_patterns=["*.txt", "sub/*"], ignore_patterns="*.json")
    equal(below(path), ["a.txt", "later.txt", "sub/c.txt"], "patterns")
    path = snapshot_download(repo, local_dir=b.work / "local", revision=sha)
    equal(below(path), [".gitattributes", "a.txt", "b.bin", "big.bin", "sub/c.txt", "sub/d.json"], "local_dir")
    scan = scan_cache_dir(cache)
    equal(([r.repo_id for r in scan.repos], list(scan.warnings)), ([repo], []), "scan")
    raises(RepositoryNotFoundError, snapshot_download, b.id("-nope"), cache_dir=cache)
    raises(RevisionNotFoundError, snapshot_download, repo, revision="nope", cache_dir=cache)
    if hasattr(api, "verify_repo_checksums"):
        result = api.verify_repo_checksums(repo, revision="v1", cache_dir=cache)
        assert not result.mismatches and not result.missing_paths, result


@scenario()
def info(b):
    api = HfApi()
    for kind in KINDS:
        repo = make(b, "-" + kind, kind)
        put(repo, "README.md", b"---\nlicense: apache-2.0\nlanguage: en\ntags: [x]\n" + (b"title: t\nsdk: static\n" if kind == "space" else b"") + b"---\n# T\n", repo_type=kind)
        sha = put(repo, "f.bin", noise(1 << 20), repo_type=kind).oid
        got = api.repo_info(repo, repo_type=kind)
        equal((got.id, got.sha, got.private, got.author, got.disabled), (repo, sha, False, b.user, False), "info")
        assert got.created_at and got.last_modified and got.likes == 0, got
        assert "x" in got.tags and got.card_data["license"] == "apache-2.0", got
        names = {s.rfilename for s in got.siblings}
        equal(names, {".gitattributes", "README.md", "f.bin"}, "siblings")
        sized = api.repo_info(repo, repo_type=kind, files_metadata=True)
        assert all(s.size is not None and s.blob_id for s in sized.siblings), sized.siblings
        few = api.repo_info(repo, repo_type=kind, expand=["sha", "private", "lastModified", "tags", "siblings"])
        equal((few.sha, few.private, few.id), (sha, False, repo), "expand")
        equal(few.author, None, "what was not asked for")
        e = raises(HfHubHTTPError, api.repo_info, repo, repo_type=kind, expand=["nonsense"])
        equal(e.response.status_code, 400, "a bad expand")
        raises(ValueError, api.repo_info, repo, repo_type=kind, expand=["sha"], files_metadata=True)
        for rev in ("main", "HEAD", sha, "refs/heads/main"):
            equal(api.repo_info(repo, repo_type=kind, revision=rev).sha, sha, rev)
        assert api.revision_exists(repo, "main", repo_type=kind) and not api.revision_exists(repo, "nope", repo_type=kind)
        assert api.file_exists(repo, "f.bin", repo_type=kind) and not api.file_exists(repo, "nope", repo_type=kind)
        assert not api.file_exists(b.id("-nope"), "f", repo_type=kind)
        raises(RevisionNotFoundError, api.repo_info, repo, repo_type=kind, revision="nope", status=404)
        raises(RepositoryNotFoundError, api.repo_info, b.id("-nope"), repo_type=kind, status=404)
    space = api.space_info(b.id("-space"))
    equal(space.sdk, "static", "sdk")
    full = api.model_info(b.id("-model"), securityStatus=True)
    assert full.id == b.id("-model")
    everything = ["author", "cardData", "createdAt", "disabled", "downloads", "gated", "lastModified", "library_name", "likes",
                  "pipeline_tag", "private", "sha", "siblings", "spaces", "tags", "trendingScore", "usedStorage", "safetensors", "gguf", "config", "transformersInfo"]
    got = api.model_info(b.id("-model"), expand=everything)
    assert got.gated is False and got.downloads == 0, got


@scenario()
def tree(b):
    api, repo = HfApi(), make(b)
    source = b.folder("src", {"a.txt": b"a", "d1/b.txt": b"b", "d1/d2/c.txt": b"c", "d 3/ü#.txt": b"u", "w.safetensors": noise(1000)})
    api.upload_folder(repo_id=repo, folder_path=str(source))

    def paths(*args, **kwargs):
        return sorted(e.path for e in api.list_repo_tree(repo, *args, **kwargs))

    equal(paths(), [".gitattributes", "a.txt", "d 3", "d1", "w.safetensors"], "top")
    equal(paths("d1"), ["d1/b.txt", "d1/d2"], "folder")
    equal(paths("d1/d2"), ["d1/d2/c.txt"], "folder in a folder")
    equal(paths("d 3"), ["d 3/ü#.txt"], "odd name")
    equal(paths("d1", recursive=True), ["d1/b.txt", "d1/d2", "d1/d2/c.txt"], "recursive")
    raises(EntryNotFoundError, paths, "nope", status=404)
    raises(RevisionNotFoundError, paths, revision="nope", status=404)
    big = [e for e in api.list_repo_tree(repo, expand=True) if e.path == "w.safetensors"][0]
    assert big.lfs.size == 1000 and big.lfs.pointer_size > 100 and big.size == 1000 and big.last_commit.title, big
    info = api.get_paths_info(repo, ["a.txt", "d1", "nope", "d 3/ü#.txt"], expand=True)
    equal(sorted(e.path for e in info), ["a.txt", "d 3/ü#.txt", "d1"], "paths")
    equal(api.get_paths_info(repo, "nope"), [], "no paths")
    import hashlib

    want = hashlib.sha1(b"blob 1\0a").hexdigest()
    equal([e.blob_id for e in info if e.path == "a.txt"], [want], "git's id")


@scenario()
def refs(b):
    api, repo = HfApi(), make(b)
    first = put(repo, "a.txt").oid
    second = put(repo, "b.txt").oid
    api.create_branch(repo, branch="feat/x", revision=first)
    api.create_branch(repo, branch="feat/x", exist_ok=True)
    raises(HfHubHTTPError, api.create_branch, repo, branch="feat/x", status=409)
    raises(RevisionNotFoundError, api.create_branch, repo, branch="y", revision="nope", status=404)
    api.create_tag(repo, tag="v1", revision=first, tag_message="the first")
    api.create_tag(repo, tag="v2.0/rc")
    api.create_tag(repo, tag="v1", exist_ok=True)
    raises(HfHubHTTPError, api.create_tag, repo, tag="v1", status=409)
    raises(RevisionNotFoundError, api.create_tag, repo, tag="y", revision="nope", status=404)
    got = api.list_repo_refs(repo)
    equal(sorted((r.name, r.ref, r.target_commit) for r in got.branches),
          [("feat/x", "refs/heads/feat/x", first), ("main", "refs/heads/main", second)], "branches")
    equal(sorted((r.name, r.ref) for r in got.tags), [("v1", "refs/tags/v1"), ("v2.0/rc", "refs/tags/v2.0/rc")], "tags")
    equal(got.converts, [], "converts")
    assert got.pull_requests is None and api.list_repo_refs(repo, include_pull_requests=True).pull_requests == []
    side = put(repo, "side.txt", b"side", revision="feat/x")
    equal(files(repo, revision="feat/x"), ["a.txt", "side.txt"], "files of the branch")
    equal(api.repo_info(repo, revision="feat/x").sha, side.oid, "head of the branch")
    equal(open(hf_hub_download(repo, "side.txt", revision="feat/x", cache_dir=b.work), "rb").read(), b"side", "download")
    equal(api.repo_info(repo, revision="v1").sha, first, "tag")
    api.delete_tag(repo, tag="v2.0/rc")
    api.delete_branch(repo, branch="feat/x")
    raises(HfHubHTTPError, api.delete_tag, repo, tag="v2.0/rc", status=404)
    raises(HfHubHTTPError, api.delete_branch, repo, branch="feat/x", status=404)
    raises(HfHubHTTPError, api.delete_branch, repo, branch="main")
    raises(RepositoryNotFoundError, api.create_branch, b.id("-nope"), branch="x")


@scenario()
def history(b):
    api, repo = HfApi(), make(b)
    for n in range(55):  # more than a page
        last = put(repo, "n.txt", str(n).encode(), commit_message=f"commit {n}").oid
    got = commits(repo)
    equal(len(got), 56, "commits")
    equal(([c.title for c in got[:2]], got[0].commit_id), (["commit 54", "commit 53"], last), "newest first")
    assert all(a.created_at >= c.created_at for a, c in zip(got, got[1:])), "order of dates"
    plain = commits(repo, formatted=True)
    assert plain[0].formatted_title and "commit 54" in plain[0].formatted_title, plain[0]
    raises(RevisionNotFoundError, commits, repo, revision="nope", status=404)
    equal(len(commits(repo, revision=got[10].commit_id)), 46, "from a commit")


@scenario()
def lists(b):
    api, mark = HfApi(), uuid.uuid4().hex[:8]
    names = []
    for n in range(3):
        repo = make(b, f"-{mark}-{n}")
        put(repo, "README.md", f"---\ntags: [t{mark}, n{n}]\nlicense: mit\n---\n".encode())
        names.append(repo)
    equal({m.id for m in api.list_models(search=mark)}, set(names), "search")
    equal({m.id for m in api.list_models(search=mark.upper())}, set(names), "search in capitals")
    equal({m.id for m in api.list_models(filter=f"t{mark}")}, set(names), "filter")
    equal([m.id for m in api.list_models(filter=[f"t{mark}", "n1"])], [names[1]], "two filters")
    equal([m.id for m in api.list_models(author=b.user, search=mark, sort="created_at")], names[::-1], "by creation")
    put(names[0], "late.txt")
    equal([m.id for m in api.list_models(search=mark, sort="last_modified")][0], names[0], "by change")
    equal(len(list(api.list_models(search=mark, limit=2))), 2, "limit")
    equal(list(api.list_models(author="nobody-here")), [], "another author")
    full = list(api.list_models(search=mark, full=True, cardData=True))[0]
    assert full.card_data["license"] == "mit" and full.sha, full
    few = list(api.list_models(search=mark, expand=["sha", "tags"]))[0]
    assert few.sha and few.author is None, few
    e = raises(HfHubHTTPError, lambda: list(api.list_models(sort="nonsense")))
    equal(e.response.status_code, 400, "a bad sort")
    data = make(b, f"-{mark}", "dataset")
    equal([d.id for d in api.list_datasets(search=mark)], [data], "datasets")
    space = make(b, f"-{mark}", "space")
    equal([s.id for s in api.list_spaces(search=mark)], [space], "spaces")
    hidden = make(b, f"-{mark}-hidden", private=True)
    assert hidden in {m.id for m in api.list_models(search=mark)}
    if b.auth:
        assert hidden not in {m.id for m in HfApi(token=False).list_models(search=mark)}


@scenario(auth=True)
def strangers(b):
    """What one without a token may do."""
    stranger = HfApi(token=False)
    hidden, gated, plain = make(b, "-hidden", private=True), make(b, "-gated"), make(b, "-plain")
    for repo in (hidden, gated, plain):
        put(repo, "a.txt", b"a")
    HfApi().update_repo_settings(gated, gated="manual")
    raises(RepositoryNotFoundError, stranger.repo_info, hidden)
    raises(RepositoryNotFoundError, stranger.list_repo_files, hidden)
    raises(RepositoryNotFoundError, hf_hub_download, hidden, "a.txt", cache_dir=b.work, token=False)
    raises(RepositoryNotFoundError, snapshot_download, hidden, cache_dir=b.work, token=False)
    assert not stranger.repo_exists(hidden) and not stranger.repo_exists(b.id("-nope"))
    raises(RepositoryNotFoundError, stranger.repo_info, b.id("-nope"))
    raises(GatedRepoError, hf_hub_download, gated, "a.txt", cache_dir=b.work, token=False)
    raises(GatedRepoError, stranger.auth_check, gated)
    raises(RepositoryNotFoundError, stranger.auth_check, hidden)
    equal(stranger.repo_info(gated).gated, "manual", "a gated one can be seen")
    assert hf_hub_download(gated, "a.txt", cache_dir=b.work)  # with the token
    equal(open(hf_hub_download(plain, "a.txt", cache_dir=b.work, token=False), "rb").read(), b"a", "a public one")
    equal([f for f in stranger.list_repo_files(plain) if f == "a.txt"], ["a.txt"], "list")
    for call in (
        lambda: stranger.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=plain),
        lambda: stranger.create_repo(b.id("-theirs")),
        lambda: stranger.delete_repo(plain),
        lambda: stranger.create_tag(plain, tag="x"),
        lambda: stranger.update_repo_settings(plain, private=True),
    ):
        e = raises(HfHubHTTPError, call)
        assert e.response.status_code in (401, 403), e
    raises(HfHubHTTPError, HfApi().create_repo, "someone-else/repo", status=403)


@scenario()
def safetensors(b):
    import json
    import struct

    header = json.dumps({"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
                         "v": {"dtype": "F16", "shape": [4], "data_offsets": [24, 32]}}).encode()
    repo = make(b)
    put(repo, "model.safetensors", struct.pack("<Q", len(header)) + header + bytes(32))
    meta = HfApi().get_safetensors_metadata(repo)
    equal(dict(meta.parameter_count), {"F32": 6, "F16": 4}, "parameters")
    equal(meta.sharded, False, "sharded")
    raises(Exception, HfApi().get_safetensors_metadata, make(b, "-none"))


@scenario()
def filesystem(b):
    from huggingface_hub import HfFileSystem

    for kind, prefix in (("model", ""), ("dataset", "datasets/")):
        repo = make(b, "-" + kind, kind)
        fs, root = HfFileSystem(skip_instance_cache=True), prefix + repo
        with fs.open(root + "/data/a.csv", "w") as f:
            f.write("x,y\n1,2\n")
        with fs.open(root + "/data/b.bin", "wb") as f:
            f.write(noise(2 << 20))
        fs.invalidate_cache()
        equal(sorted(fs.ls(root, detail=False)), [root + "/.gitattributes", root + "/data"], "ls")
        equal(sorted(fs.glob(root + "/data/*.csv")), [root + "/data/a.csv"], "glob")
        equal(sorted(fs.find(root)), [root + "/.gitattributes", root + "/data/a.csv", root + "/data/b.bin"], "find")
        equal((fs.isdir(root + "/data"), fs.isfile(root + "/data/a.csv"), fs.exists(root + "/nope")), (True, True, False), "kinds")
        equal(fs.info(root + "/data/a.csv")["size"], 8, "size")
        with fs.open(root + "/data/a.csv") as f:
            f.seek(4)
            equal(f.read(), b"1,2\n", "a part")
        with fs.open(root + "/data/b.bin", block_size=1 << 16) as f:
            f.seek(1_000_000)
            equal(len(f.read(10)), 10, "a part of a large file")
        fs.cp_file(root + "/data/a.csv", root + "/data/c.csv")
        fs.invalidate_cache()
        equal(fs.read_text(root + "/data/c.csv"), "x,y\n1,2\n", "copy")
        fs.rm(root + "/data/a.csv")
        fs.mv(root + "/data/c.csv", root + "/d.csv")
        fs.invalidate_cache()
        equal(sorted(fs.find(root)), [root + "/.gitattributes", root + "/d.csv", root + "/data/b.bin"], "after rm and mv")
        equal(fs.last_commit(root + "/d.csv")["oid"], HfApi().repo_info(repo, repo_type=kind).sha, "last commit") if hasattr(fs, "last_commit") else None
        raises(FileNotFoundError, fs.ls, root + "/nope")
        raises(FileNotFoundError, fs.info, prefix + b.id("-nope") + "/x")
        fs.rm(root + "/data", recursive=True)
        fs.invalidate_cache()
        assert not fs.exists(root + "/data/b.bin")
        HfApi().create_branch(repo, branch="b/1", repo_type=kind)
        equal(fs.exists(f"{root}@b%2F1/d.csv"), True, "a branch")


@scenario()
def cards(b):
    from huggingface_hub import DatasetCard, DatasetCardData, EvalResult, ModelCard, ModelCardData, metadata_load, metadata_update

    import inspect

    from huggingface_hub import RepoCard

    if "https://huggingface.co" in inspect.getsource(RepoCard.validate):  # before 2.0 no endpoint leads this call elsewhere
        RepoCard.validate = lambda self, repo_type=None: None
    repo = make(b)
    data = ModelCardData(language="en", license="mit", library_name="sklearn", tags=["tabular"], model_name="m", eval_results=[
        EvalResult(task_type="text-classification", dataset_type="x/y", dataset_name="Y", metric_type="acc", metric_value=0.9)])
    card = ModelCard(f"---\n{data.to_yaml()}\n---\n# A model\n")
    card.validate()
    card.push_to_hub(repo)
    back = ModelCard.load(repo)
    equal((back.data.license, back.data.eval_results[0].metric_value), ("mit", 0.9), "card")
    assert back.content.rstrip().endswith("# A model"), back.content
    metadata_update(repo, {"pipeline_tag": "text-classification", "tags": ["more"]}, overwrite=True)
    info = HfApi().model_info(repo)
    equal((info.pipeline_tag, info.library_name), ("text-classification", "sklearn"), "metadata")
    assert info.model_index or info.card_data.eval_results, info
    metadata_update(repo, {"model-index": [{"name": "m", "results": [{
        "task": {"type": "text-classification"}, "dataset": {"type": "x/y", "name": "Y"},
        "metrics": [{"type": "f1", "value": 0.8}]}]}]})
    local = hf_hub_download(repo, "README.md", cache_dir=b.work)
    equal(len(metadata_load(local)["model-index"][0]["results"][0]["metrics"]), 2, "metrics")
    raises(ValueError, metadata_update, repo, {"license": "other"})
    other = make(b, "-data", "dataset")
    DatasetCard.from_template(DatasetCardData(license="cc0-1.0", pretty_name="P", size_categories="n<1K"), pretty_name="P").push_to_hub(other)
    equal(DatasetCard.load(other).data.pretty_name, "P", "dataset card")
    raises((ValueError, HfHubHTTPError), put, repo, "README.md", b"---\nlicense: [\n---\n")


@scenario()
def scheduler(b):
    from huggingface_hub import CommitScheduler

    folder = b.folder("logs", {"a.jsonl": b'{"n": 1}\n'})
    s = CommitScheduler(repo_id=b.id(), repo_type="dataset", folder_path=folder, every=60, path_in_repo="data")
    first = s.trigger().result(timeout=60)
    with s.lock:
        with (folder / "a.jsonl").open("ab") as f:
            f.write(b'{"n": 2}\n')
    second = s.trigger().result(timeout=60)
    s.stop()
    assert second is not None and (first is None or second.oid != first.oid), (first, second)
    path = hf_hub_download(b.id(), "data/a.jsonl", repo_type="dataset", cache_dir=b.work)
    equal(open(path, "rb").read(), b'{"n": 1}\n{"n": 2}\n', "content")


@scenario()
def futures(b):
    api, repo = HfApi(), make(b)
    jobs = [api.upload_file(path_or_fileobj=b"x", path_in_repo=f"{n}.txt", repo_id=repo, run_as_future=True) for n in range(3)]
    for job in jobs:
        job.result(timeout=60)
    equal(files(repo), ["0.txt", "1.txt", "2.txt"], "files")


@scenario()
def preupload(b):
    api, repo = HfApi(), make(b)
    ops = [CommitOperationAdd(f"{n}.bin", noise(1 << 20)) for n in range(3)]
    api.preupload_lfs_files(repo, additions=ops)
    assert all(op._is_uploaded for op in ops)
    api.create_commit(repo, operations=ops, commit_message="later")
    equal(files(repo), ["0.bin", "1.bin", "2.bin"], "files")


@scenario()
def xet_refused(b):
    """A client that has not been told to leave Xet alone uploads all the same, or learns what to set."""
    import subprocess
    import sys

    repo = make(b)
    local = b.folder("src", {"w.bin": noise(1 << 20)}) / "w.bin"
    code = f"from huggingface_hub import HfApi; HfApi().upload_file(path_or_fileobj={str(local)!r}, path_in_repo='w.bin', repo_id={repo!r})"
    env = {k: v for k, v in os.environ.items() if k != "HF_HUB_DISABLE_XET"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=120)
    if done.returncode == 0:
        equal(files(repo), ["w.bin"], "files")
    else:
        assert "HF_HUB_DISABLE_XET=1" in done.stderr, done.stderr[-1000:]
    assert hf_hub_download(repo, ".gitattributes", cache_dir=b.work)


def shell(b):
    """Runs the command hf."""
    import subprocess
    import sys

    hf = os.path.join(os.path.dirname(sys.executable), "hf")

    def run(*args):
        done = subprocess.run([hf, *args], capture_output=True, text=True, cwd=b.work, timeout=120)
        assert done.returncode == 0, f"hf {' '.join(args)}: {done.stdout[-700:]}{done.stderr[-700:]}"
        return done.stdout + done.stderr

    return run


@scenario(auth=False)
def command_line_repos(b):
    import huggingface_hub

    if int(huggingface_hub.__version__.split(".")[0]) < 1:
        raise Absent("hf repos")
    run, repo = shell(b), b.id()
    run("repos", "create", repo, "--private")
    put(repo, "a.txt")
    put(repo, "b.txt")
    run("repos", "tag", "create", repo, "v1")
    equal([t.name for t in HfApi().list_repo_refs(repo).tags], ["v1"], "tags")
    run("repos", "delete-files", repo, "a.txt")
    equal(files(repo), ["b.txt"], "files")
    listed = run("models", "ls", "--author", b.user, "--search", repo.split("/")[1], "--format", "json")
    assert repo in listed, listed
    run("repos", "delete", repo, "--yes")
    assert not HfApi().repo_exists(repo)


@scenario()
def command_line(b):
    run = shell(b)
    assert b.user in run("auth", "whoami")
    b.folder("src", {"a.txt": b"a", "sub/w.bin": noise(1 << 20), "skip.log": b"x"})
    run("upload", b.id(), "src", ".", "--exclude", "*.log")
    equal(files(b.id()), ["a.txt", "sub/w.bin"], "files")
    run("upload", b.id(), "src/a.txt", "other.txt", "--commit-message", "one file")
    equal(commits(b.id())[0].title, "one file", "title")
    run("download", b.id(), "--local-dir", "got", "--include", "*.txt")
    equal((b.work / "got" / "a.txt").read_bytes(), b"a", "downloaded")
    assert not (b.work / "got" / "sub").exists()
    run("download", b.id(), "sub/w.bin")
