"""Runs jobs with the official client against HF_ENDPOINT.

Argument: "uv" if the server's machine has uv. Prints "interop ok" last.
"""

import inspect
import sys
import time

import huggingface_hub
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

api = HfApi()
version = tuple(int(n) for n in huggingface_hub.__version__.split(".")[:2])
print("huggingface_hub", huggingface_hub.__version__)


def has(name, *parameters):
    return hasattr(api, name) and set(parameters) <= set(inspect.signature(getattr(api, name)).parameters)


def raises(status, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except Exception as e:  # of old clients, an error of their HTTP library
        assert isinstance(e, HfHubHTTPError) or version < (1, 13), repr(e)
        assert e.response.status_code == status, (status, e)
        return str(e)
    raise AssertionError(f"{call.__name__}{args} did not raise {status}")


def wait(job, *stages):
    for _ in range(400):
        info = api.inspect_job(job_id=job.id)
        if info.status.stage in stages:
            return info
        time.sleep(0.05)
    raise AssertionError(info)


def logs(job):
    return [line.rstrip("\n") for line in api.fetch_job_logs(job_id=job.id)]


# run, inspect, logs
script = "import os, sys\nprint('hello', os.environ['MODE'], len(os.environ['MY_TOKEN']), sys.argv[1:])\nsys.exit(3)"
job = api.run_job(
    image="python:3.12", command=["python", "-c", script, "a b"], env={"MODE": "fast"}, secrets={"MY_TOKEN": "hunter2-hunter2"}, timeout="2m",
)
assert job.id and job.url.endswith("/jobs/me/" + job.id), job
job = wait(job, "ERROR", "COMPLETED", "CANCELED")
assert job.status.stage == "ERROR" and "3" in job.status.message, job.status
assert job.docker_image == "python:3.12" and job.environment["MODE"] == "fast" and job.flavor == "cpu-basic", job
assert list(job.secrets) == ["MY_TOKEN"], job.secrets
text = logs(job)
assert text[0] == "hello fast 15 ['a b']" and "hunter2" not in str(api.inspect_job(job_id=job.id)), text

# a log that is followed ends with the job, and every line comes once
job = api.run_job(image="python:3.12", command=["sh", "-c", "for i in 1 2 3 4; do echo line $i; sleep 0.3; done"])
follow = {"follow": True} if has("fetch_job_logs", "follow") else {}
assert [line.rstrip("\n") for line in api.fetch_job_logs(job_id=job.id, **follow)] == [f"line {i}" for i in (1, 2, 3, 4)]
assert wait(job, "COMPLETED").status.stage == "COMPLETED"
if has("fetch_job_logs", "tail"):
    assert [line.rstrip("\n") for line in api.fetch_job_logs(job_id=job.id, tail=2)] == ["line 3", "line 4"]

# list, labels
assert job.id in [j.id for j in api.list_jobs()]
if has("run_job", "labels"):
    labeled = api.run_job(image="python:3.12", command=["true"], labels={"sweep": "a-1"})
    assert wait(labeled, "COMPLETED").labels["sweep"] == "a-1"
    if has("list_jobs", "labels"):
        assert [j.id for j in api.list_jobs(labels={"sweep": "a-1"})] == [labeled.id]
if has("list_jobs", "status"):
    assert job.id in [j.id for j in api.list_jobs(status="COMPLETED")]
if has("wait_for_job"):
    assert api.wait_for_job(job_id=api.run_job(image="python:3.12", command=["sleep", "1"]).id).status.stage == "COMPLETED"
if has("rerun_job"):
    again = api.rerun_job(job_id=job.id)
    assert again.id != job.id and wait(again, "COMPLETED").initiator.type == "duplicated-job"
    assert "MY_TOKEN" not in str(again)

# cancel
job = api.run_job(image="python:3.12", command=["sleep", "600"], timeout=100)
wait(job, "RUNNING")
api.cancel_job(job_id=job.id)
assert wait(job, "CANCELED", "ERROR", "COMPLETED").status.stage == "CANCELED"
api.cancel_job(job_id=job.id)

# limits
job = api.run_job(image="python:3.12", command=["sleep", "600"], timeout=1)
assert "limit" in wait(job, "ERROR").status.message

# what cannot run says so
assert "pull an image" in raises(400, api.run_job, image="ubuntu", command=["true"])
assert "no program" in raises(400, api.run_job, image="python:3.12", command=["no-such-program"])
assert "flavor" in raises(400, api.run_job, image="python:3.12", command=["true"], flavor="a100-large")
raises(404, api.inspect_job, job_id="none")
if has("list_jobs_hardware"):
    hardware = {h.name: h for h in api.list_jobs_hardware()}
    assert "cpu-basic" in hardware and hardware["local"].unit_cost_usd == 0, hardware

# uv
if "uv" in sys.argv[1:] and has("run_uv_job"):
    api.create_repo("me/scripts", exist_ok=True)
    api.upload_file(path_or_fileobj=b"# /// script\n# dependencies = []\n# ///\nimport sys\nprint('by uv', sys.argv[1:])\n", path_in_repo="train.py", repo_id="me/scripts")
    job = api.run_uv_job(f"{api.endpoint}/me/scripts/resolve/main/train.py", script_args=["--lr", "1"])
    info = wait(job, "COMPLETED", "ERROR")
    assert info.status.stage == "COMPLETED" and "by uv ['--lr', '1']" in logs(job), (info, logs(job))

# by the clock
if has("create_scheduled_job"):
    plan = api.create_scheduled_job(image="python:3.12", command=["echo", "tick"], schedule="@hourly", timeout="5m")
    assert plan.schedule == "@hourly" and not plan.suspend and plan.status.next_job_run_at, plan
    assert [p.id for p in api.list_scheduled_jobs()] == [plan.id]
    api.suspend_scheduled_job(scheduled_job_id=plan.id)
    assert api.inspect_scheduled_job(scheduled_job_id=plan.id).suspend
    api.resume_scheduled_job(scheduled_job_id=plan.id)
    if has("trigger_scheduled_job"):
        run = wait(api.trigger_scheduled_job(scheduled_job_id=plan.id), "COMPLETED")
        assert logs(run) == ["tick"] and run.initiator.id == plan.id, run
        assert api.inspect_scheduled_job(scheduled_job_id=plan.id).status.last_job.id == run.id
    if has("update_scheduled_job_schedule"):
        assert api.update_scheduled_job_schedule(scheduled_job_id=plan.id, schedule="5 4 * * sun").schedule == "5 4 * * sun"
    api.delete_scheduled_job(scheduled_job_id=plan.id)
    raises(404, api.inspect_scheduled_job, scheduled_job_id=plan.id)
    raises(400, api.create_scheduled_job, image="python:3.12", command=["true"], schedule="now and then")

print("interop ok")
