"""Does one thing with the official client, for its requests to be recorded.

Arguments: the name of the scenario, a folder with the files to upload. The
repositories are there already (golden_test.go makes them).
"""

import pathlib
import sys
import tempfile

from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi, hf_hub_download, snapshot_download

api = HfApi()
repo = "me/golden"
source = pathlib.Path(sys.argv[2])
work = tempfile.mkdtemp()


def put(name, **kwargs):
    return api.upload_file(path_or_fileobj=str(source / name), path_in_repo=name, repo_id=repo, commit_message="Upload files", **kwargs)


def discussion():
    d = api.create_discussion(repo, title="a title", description="a text")
    c = api.comment_discussion(repo, d.num, comment="a comment")
    api.edit_discussion_comment(repo, d.num, c.id, "another comment")
    api.rename_discussion(repo, d.num, "another title")
    api.change_discussion_status(repo, d.num, "closed", comment="done")
    list(api.get_repo_discussions(repo))


def merge():
    put("a.txt", create_pr=True)
    api.merge_pull_request(repo, 1, comment="fine")


def jobs():
    list(api.list_jobs(namespace="me", status="RUNNING", labels={"k": "v"}))
    api.inspect_job(job_id="j1", namespace="me")
    api.update_job_labels(job_id="j1", labels={"name": "n", "k": "v"}, namespace="me")
    api.rerun_job(job_id="j1", namespace="me")
    api.cancel_job(job_id="j1", namespace="me")
    api.list_jobs_hardware()


def schedule():
    j = api.create_scheduled_job(
        image="python:3.12", command=["true"], schedule="@daily", suspend=True, concurrency=True, name="n", namespace="me"
    )
    api.list_scheduled_jobs(namespace="me")
    api.inspect_scheduled_job(scheduled_job_id=j.id, namespace="me")
    api.resume_scheduled_job(scheduled_job_id=j.id, namespace="me")
    api.trigger_scheduled_job(scheduled_job_id=j.id, namespace="me")
    api.suspend_scheduled_job(scheduled_job_id=j.id, namespace="me")
    api.delete_scheduled_job(scheduled_job_id=j.id, namespace="me")


SCENARIOS = {
    "run-job": lambda: api.run_job(
        image="python:3.12", command=["python", "-c", "x"], env={"AB": "c"}, secrets={"HF_TOKEN": "s"}, timeout="2h", attempts=2,
        labels={"name": "n", "k": "v"}, namespace="me",
    ),
    "jobs": jobs,
    "schedule": schedule,
    "whoami": lambda: api.whoami(),
    "create-model": lambda: api.create_repo("me/new"),
    "create-private-dataset": lambda: api.create_repo("me/new", repo_type="dataset", private=True),
    "create-space": lambda: api.create_repo("me/new", repo_type="space", space_sdk="docker"),
    "create-existing": lambda: api.create_repo(repo, exist_ok=True),
    "delete-repo": lambda: api.delete_repo(repo, repo_type="dataset"),
    "upload-small": lambda: put("a.txt"),
    "upload-unchanged": lambda: put("there.txt"),
    "upload-card": lambda: put("README.md"),
    "upload-large": lambda: put("big.bin"),
    "upload-parts": lambda: put("big.bin"),
    "upload-large-there": lambda: api.upload_file(
        path_or_fileobj=str(source / "there.bin"), path_in_repo="copy.bin", repo_id=repo, commit_message="Upload files"
    ),
    "upload-empty": lambda: put("empty"),
    "upload-odd-name": lambda: put("ünï/日本 #1 100%.txt"),
    "upload-to-branch": lambda: put("a.txt", revision="feat/x"),
    "upload-with-parent": lambda: put("a.txt", parent_commit=api.repo_info(repo, revision="main").sha),
    "upload-folder": lambda: api.upload_folder(repo_id=repo, folder_path=source / "folder", commit_message="Upload files"),
    "upload-pull-request": lambda: put("big.bin", create_pr=True),
    "delete-file": lambda: api.delete_file("there.txt", repo, commit_message="Upload files"),
    "delete-folder": lambda: api.delete_folder("dir", repo, commit_message="Upload files"),
    "mixed-commit": lambda: api.create_commit(
        repo, commit_message="a title", commit_description="a text",
        operations=[CommitOperationDelete("there.txt"), CommitOperationDelete("dir/"), CommitOperationAdd("a.txt", str(source / "a.txt"))],
    ),
    "copy-file": lambda: api.create_commit(repo, commit_message="copy", operations=[CommitOperationCopy("there.bin", "copy.bin")]),
    "info": lambda: api.model_info(repo, revision="main"),
    "tree": lambda: list(api.list_repo_tree(repo, recursive=True)),
    "tree-folder": lambda: list(api.list_repo_tree(repo, "dir/sub")),
    "search": lambda: list(api.list_models(search="gold", author="me", filter=["a", "b"], sort="downloads", limit=5, full=True)),
    "download": lambda: hf_hub_download(repo, "there.txt", cache_dir=work),
    "download-large": lambda: hf_hub_download(repo, "there.bin", cache_dir=work),
    "snapshot": lambda: snapshot_download(repo, cache_dir=work, max_workers=1),
    "move-repo": lambda: api.move_repo(repo, "me/moved"),
    "settings": lambda: api.update_repo_settings(repo, gated="manual", private=True),
    "create-branch": lambda: api.create_branch(repo, branch="feat/y"),
    "delete-branch": lambda: api.delete_branch(repo, branch="feat/x"),
    "create-tag": lambda: api.create_tag(repo, tag="v1", tag_message="first"),
    "refs": lambda: api.list_repo_refs(repo, include_pull_requests=True),
    "commits": lambda: api.list_repo_commits(repo),
    "paths": lambda: api.get_paths_info(repo, ["there.txt", "dir"]),
    "discussion": discussion,
    "merge": merge,
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]]()
