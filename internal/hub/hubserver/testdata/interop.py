"""Does with the official client what people do with it, against HF_ENDPOINT.

Arguments: a folder to upload, a folder for downloads. Prints "interop ok" last.
"""

import filecmp
import os
import pathlib
import sys

import huggingface_hub
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

source, work = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
api = HfApi()


def raises(kind, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except kind as e:
        return e
    raise AssertionError(f"{call.__name__}{args} did not raise {kind.__name__}")


def same(a, b):
    names = {str(p.relative_to(a)) for p in a.rglob("*") if p.is_file()}
    _, wrong, missing = filecmp.cmpfiles(a, b, names, shallow=False)
    assert not wrong and not missing, (wrong, missing)
    return names


print("huggingface_hub", huggingface_hub.__version__)
assert api.whoami()["name"] == "me"

for kind in ("model", "dataset"):
    repo = f"me/interop-{kind}"
    url = api.create_repo("interop-" + kind, repo_type=kind)
    assert url.repo_id == repo and url.endpoint == os.environ["HF_ENDPOINT"], url
    api.create_repo(repo, repo_type=kind, exist_ok=True)
    raises(HfHubHTTPError, api.create_repo, repo, repo_type=kind)
    assert api.repo_exists(repo, repo_type=kind)

    first = api.upload_folder(repo_id=repo, folder_path=source, repo_type=kind)
    assert repo + "/commit/" + first.oid in first.commit_url, first
    again = api.upload_folder(repo_id=repo, folder_path=source, repo_type=kind)
    assert again.oid == first.oid, "a second upload of the same made a commit"

    info = api.repo_info(repo, repo_type=kind, files_metadata=True)
    assert info.sha == first.oid and info.private is False, info
    lfs = {s.rfilename: s.lfs for s in info.siblings}
    assert lfs["big.dat"].size == (source / "big.dat").stat().st_size
    assert lfs["notes.txt"] is None
    assert len(api.list_repo_commits(repo, repo_type=kind)) == 2

    names = same(source, pathlib.Path(snapshot_download(repo, repo_type=kind, cache_dir=work / "cache")))
    assert set(api.list_repo_files(repo, repo_type=kind)) == names | {".gitattributes"}
    same(source, pathlib.Path(snapshot_download(repo, repo_type=kind, local_dir=work / kind)))
    for name in names:
        got = hf_hub_download(repo, name, repo_type=kind, cache_dir=work / "one")
        assert filecmp.cmp(got, source / name, shallow=False), name
        assert api.file_exists(repo, name, repo_type=kind), name
    tree = list(api.list_repo_tree(repo, repo_type=kind, recursive=True, expand=True))
    assert all(entry.last_commit for entry in tree if hasattr(entry, "blob_id")), tree
    some = api.get_paths_info(repo, ["big.dat", "not there", "deep"], repo_type=kind)
    assert sorted(p.path for p in some) == ["big.dat", "deep"], some

    api.create_branch(repo, branch="feat/x", repo_type=kind)
    raises(HfHubHTTPError, api.create_branch, repo, branch="feat/x", repo_type=kind)
    api.create_tag(repo, tag="v1", repo_type=kind)
    side = api.upload_file(
        path_or_fileobj=b"on a branch", path_in_repo="side.txt", repo_id=repo, repo_type=kind, revision="feat/x"
    )
    assert api.repo_info(repo, repo_type=kind, revision="feat/x").sha == side.oid
    assert api.repo_info(repo, repo_type=kind, revision="v1").sha == first.oid
    refs = api.list_repo_refs(repo, repo_type=kind)
    assert sorted(b.name for b in refs.branches) == ["feat/x", "main"] and [t.name for t in refs.tags] == ["v1"]
    api.delete_branch(repo, branch="feat/x", repo_type=kind)

    moved = raises(
        HfHubHTTPError,
        api.upload_file,
        path_or_fileobj=b"late",
        path_in_repo="late.txt",
        repo_id=repo,
        repo_type=kind,
        parent_commit="0" * 40,
    )
    assert moved.response.status_code == 412, moved
    last = api.delete_file("notes.txt", repo, repo_type=kind)
    assert not api.file_exists(repo, "notes.txt", repo_type=kind)
    assert api.file_exists(repo, "notes.txt", repo_type=kind, revision=first.oid)
    api.delete_folder("deep", repo, repo_type=kind)
    assert not any(f.startswith("deep/") for f in api.list_repo_files(repo, repo_type=kind))
    raises(EntryNotFoundError, api.delete_file, "notes.txt", repo, repo_type=kind)

    raises(EntryNotFoundError, hf_hub_download, repo, "nope.json", repo_type=kind, cache_dir=work / "one")
    raises(RevisionNotFoundError, hf_hub_download, repo, "x", repo_type=kind, revision="nope", cache_dir=work / "one")
    raises(RepositoryNotFoundError, api.repo_info, "me/nope", repo_type=kind)
    raises(RepositoryNotFoundError, hf_hub_download, "me/nope", "x", repo_type=kind, cache_dir=work / "one")
    bad = raises(
        (BadRequestError, ValueError),
        api.upload_file,
        path_or_fileobj=b"---\ntags: [unclosed\n---\n",
        path_in_repo="README.md",
        repo_id=repo,
        repo_type=kind,
    )

    api.update_repo_settings(repo, repo_type=kind, private=True)
    assert api.repo_info(repo, repo_type=kind).private is True
    api.move_repo(repo, repo + "-moved", repo_type=kind)
    assert api.repo_info(repo, repo_type=kind).id == repo + "-moved"
    assert api.file_exists(repo, "big.dat", repo_type=kind)
    api.upload_file(path_or_fileobj=b"by the old name", path_in_repo="old.txt", repo_id=repo, repo_type=kind)
    listed = api.list_models(author="me") if kind == "model" else api.list_datasets(author="me")
    assert [r.id for r in listed] == [repo + "-moved"]
    api.delete_repo(repo + "-moved", repo_type=kind)
    api.delete_repo(repo + "-moved", repo_type=kind, missing_ok=True)
    raises(RepositoryNotFoundError, api.delete_repo, repo + "-moved", repo_type=kind)
    assert not api.repo_exists(repo, repo_type=kind)

print("interop ok")
