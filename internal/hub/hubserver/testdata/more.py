"""Does with the official client what people do with Spaces, jobs, collections
and webhooks, against HF_ENDPOINT.

Arguments: the ids of a job that has ended and of one that runs. Prints
"interop ok" last.
"""

import inspect
import sys
import time

import huggingface_hub
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

STARTING = ("BUILDING", "APP_STARTING", "RUNNING")  # how far depends on the machine

ended, running = sys.argv[1:3]
api = HfApi()
version = tuple(int(n) for n in huggingface_hub.__version__.split(".")[:2])


def raises(status, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except Exception as e:  # of old clients, an error of their HTTP library
        assert isinstance(e, HfHubHTTPError) or version < (1, 13), repr(e)
        assert e.response.status_code == status, (status, e)
        return e
    raise AssertionError(f"{call.__name__}{args} did not raise {status}")


def wait(space, stage):
    for _ in range(100):
        runtime = api.get_space_runtime(space)
        if runtime.stage == stage:
            return runtime
        time.sleep(0.1)
    raise AssertionError(runtime)


print("huggingface_hub", huggingface_hub.__version__)

# Spaces
space = api.create_repo(
    "me/app", repo_type="space", space_sdk="gradio",
    space_secrets=[{"key": "TOKEN", "value": "s3cret", "description": "of mine"}],
    space_variables=[{"key": "MODE", "value": "fast"}], space_sleep_time=3600,
).repo_id
assert api.get_space_runtime(space).stage == "NO_APP_FILE"
api.upload_file(path_or_fileobj=b"print(1)", path_in_repo="app.py", repo_id=space, repo_type="space")
assert api.get_space_runtime(space).stage in STARTING
runtime = wait(space, "RUNNING")
assert (runtime.hardware, runtime.requested_hardware, runtime.sleep_time) == ("cpu-basic", "cpu-basic", 3600), runtime
variables = api.get_space_variables(space)
assert variables["MODE"].value == "fast", variables
variables = api.add_space_variable(space, "OTHER", "1", description="why")
assert set(variables) == {"MODE", "OTHER"} and variables["OTHER"].description == "why"
assert set(api.delete_space_variable(space, "MODE")) == {"OTHER"}
api.add_space_secret(space, "KEY", "value")
if hasattr(api, "get_space_secrets"):
    secrets = api.get_space_secrets(space)
    assert set(secrets) == {"TOKEN", "KEY"} and secrets["TOKEN"].description == "of mine", secrets
    assert "s3cret" not in repr(secrets)
api.delete_space_secret(space, "KEY")
raises(400, api.add_space_secret, space, "1bad", "x")
raises(402, api.request_space_hardware, space, "t4-medium")
raises(400, api.request_space_hardware, space, "abacus")
assert api.set_space_sleep_time(space, 7200).sleep_time == 7200
assert api.pause_space(space).stage == "PAUSED"
assert api.get_space_runtime(space).hardware is None
assert api.restart_space(space).stage in STARTING
assert api.restart_space(space, factory_reboot=True).stage in STARTING
if hasattr(api, "wait_for_space"):
    assert api.wait_for_space(space, timeout=20).stage == "RUNNING"
if hasattr(api, "fetch_space_logs"):
    began = time.monotonic()
    lines = list(api.fetch_space_logs(space, build=True))
    assert any("Build Queued" in line for line in lines), lines
    assert time.monotonic() - began < 20
assert api.space_info(space).runtime.stage in STARTING
api.create_repo("me/page", repo_type="space", space_sdk="static")
api.upload_file(path_or_fileobj=b"<p>", path_in_repo="index.html", repo_id="me/page", repo_type="space")
assert api.get_space_runtime("me/page").stage == "RUNNING"
raises(400, api.pause_space, "me/page")
raises(400, api.restart_space, "me/page")
raises(404, api.get_space_runtime, "me/none")
raises(402, api.create_repo, "me/rich", repo_type="space", space_sdk="gradio", space_hardware="t4-small")
assert not api.repo_exists("me/rich", repo_type="space")
if hasattr(api, "list_spaces_hardware"):
    assert any(h.name == "cpu-basic" for h in api.list_spaces_hardware())
if hasattr(api, "set_space_volumes"):
    volume = huggingface_hub.Volume(type="dataset", source="me/d", mount_path="/data")
    api.set_space_volumes(space, [volume])
    assert api.get_space_runtime(space).volumes[0].read_only is True
    api.delete_space_volumes(space)
    assert not api.get_space_runtime(space).volumes

# jobs
if version >= (1, 3):  # before, the log comes from huggingface.co only
    jobs = {j.id: j for j in api.list_jobs()}
    assert jobs[ended].status.stage == "COMPLETED" and jobs[running].status.stage == "RUNNING", jobs
    job = api.inspect_job(job_id=ended)
    assert job.command == ["echo"] and getattr(job, "started_at", 1) and getattr(job, "finished_at", 1) and job.owner.name == "me", job
    raises(404, api.inspect_job, job_id="no-such")
    lines = [line for line in api.fetch_job_logs(job_id=ended, **({"follow": True} if version >= (1, 5) else {}))]
    assert lines == ["one", "two", "three"], lines
    if "tail" in inspect.signature(api.fetch_job_logs).parameters:
        assert list(api.fetch_job_logs(job_id=ended, tail=2)) == ["two", "three"]
    if hasattr(api, "update_job_labels"):
        assert api.update_job_labels(job_id=ended, labels={"k": "v"}).labels == {"k": "v"}
        assert [j.id for j in api.list_jobs(labels={"k": "v"})] == [ended]
        assert [j.id for j in api.list_jobs(status="RUNNING")] == [running]
    assert {h.name for h in api.list_jobs_hardware()} == {"cpu-basic", "local"}
    api.cancel_job(job_id=running)
    assert api.inspect_job(job_id=running).status.stage == "CANCELED"
    raises(501, api.run_job, image="python:3.12", command=["true"])

# collections
made = api.create_collection("My Things!", description="some", private=False)
assert made.slug.startswith("me/my-things-"), made.slug
again = raises(409, api.create_collection, "My Things!")
assert api.create_collection("My Things!", exists_ok=True).slug == made.slug
api.add_collection_item(made.slug, space, "space", note="an app")
raises(409, api.add_collection_item, made.slug, space, "space")
api.add_collection_item(made.slug, space, "space", exists_ok=True)
raises(404, api.add_collection_item, made.slug, "me/none", "model")
got = api.add_collection_item(made.slug, "2310.12345", "paper")
assert [(i.item_id, i.item_type, i.note) for i in got.items] == [(space, "space", "an app"), ("2310.12345", "paper", None)], got
api.update_collection_item(made.slug, got.items[1].item_object_id, note="read it", position=0)
got = api.get_collection(made.slug)
assert [i.note for i in got.items] == ["read it", "an app"], got
api.delete_collection_item(made.slug, got.items[0].item_object_id)
api.delete_collection_item(made.slug, got.items[0].item_object_id, missing_ok=True)
new = api.update_collection_metadata(made.slug, title="Better", theme="pink")
assert new.slug.startswith("me/better-") and new.theme == "pink", new
assert api.get_collection(made.slug).title == "Better"  # the old slug still leads there
for n in range(3):
    api.create_collection(f"more {n}")
assert len(list(api.list_collections(owner="me"))) == 4
assert len(list(api.list_collections(owner="me", limit=2))) == 2
assert [c.slug for c in api.list_collections(item=f"spaces/{space}")] == [new.slug]
api.delete_collection(new.slug)
raises(404, api.delete_collection, new.slug)
api.delete_collection(new.slug, missing_ok=True)

# accounts
if hasattr(api, "get_user_overview"):
    assert api.get_user_overview("me").num_spaces == 2
    raises(404, api.get_user_overview, "nobody")

# webhooks
hook = api.create_webhook(url="http://127.0.0.1:9/x", watched=[{"type": "user", "name": "me"}], domains=["repo"], secret="psst")
assert api.get_webhook(hook.id).url == "http://127.0.0.1:9/x"
assert api.disable_webhook(hook.id).disabled and not api.enable_webhook(hook.id).disabled
assert api.update_webhook(hook.id, url="http://127.0.0.1:9/y", watched=hook.watched).url.endswith("/y")
assert len(api.list_webhooks()) == 1
api.delete_webhook(hook.id)
assert api.list_webhooks() == []
raises(404, api.get_webhook, hook.id)
raises(400, api.create_webhook, url="ftp://x", watched=[{"type": "user", "name": "me"}])

print("interop ok")
