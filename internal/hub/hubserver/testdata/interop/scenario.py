"""Runs scenarios against HF_ENDPOINT and reports each as a line of JSON.

A scenario is a function of a Bench. It belongs to an area; the area "base" must
work on every server, the others may be "not yet" with INTEROP_ALL=0. A step
that a release of the client lacks raises Absent.
"""

import json
import os
import pathlib
import sys
import tempfile
import time
import traceback

SCENARIOS = []
BASE = "base"
HERE = os.path.dirname(os.path.abspath(__file__))


class Absent(Exception):
    """The client has no such call."""


def scenario(area=BASE, auth=None):
    """Registers a function; auth says with which kind of server it makes sense."""

    def register(f):
        SCENARIOS.append((f.__name__, area, auth, f))
        return f

    return register


def raises(kind, call, *args, status=None, **kwargs):
    """Calls and returns the exception, which must be of a kind and a status."""
    try:
        got = call(*args, **kwargs)
    except kind as e:
        code = getattr(getattr(e, "response", None), "status_code", None)
        assert status is None or code == status, f"status {code} instead of {status}: {e}"
        return e
    except Exception as e:
        raise AssertionError(f"{type(e).__name__} instead of {kind}: {e}") from e
    raise AssertionError(f"{getattr(call, '__name__', call)} returned {got!r} instead of raising {kind}")


def equal(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def needs(obj, name):
    """The attribute of that name, if this release of the client has it."""
    if not hasattr(obj, name):
        raise Absent(name)
    return getattr(obj, name)


class Bench:
    """What a scenario works with: a folder, and names that nobody else has."""

    def __init__(self, name):
        self.name = name
        self.client = os.environ.get("INTEROP_CLIENT", "py")
        self.auth = os.environ.get("INTEROP_AUTH") == "1"
        self.endpoint = os.environ["HF_ENDPOINT"]
        self.user = "me"
        self.work = pathlib.Path(tempfile.mkdtemp(prefix=name + "-"))

    def id(self, suffix=""):
        plain = f"{self.client}-{self.name}".replace("_", "-").replace("+", "-")
        return f"{self.user}/{plain}{suffix}"

    def folder(self, name, files):
        for path, data in files.items():
            at = self.work / name / path
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(data)
        return self.work / name


def not_yet(e):
    """Whether the server says that it lacks what was asked for."""
    seen = set()
    while e is not None and id(e) not in seen:
        seen.add(id(e))
        response = getattr(e, "response", None)
        headers = getattr(response, "headers", None) or {}
        text = f"{headers.get('X-Error-Message', '')} {e}"
        if "this server has no " in text or "this server keeps no " in text:
            return True
        e = e.__cause__ or e.__context__
    return False


def where(e):
    """The line of the scenario that failed."""
    frames = [f for f in traceback.extract_tb(e.__traceback__) if os.path.dirname(f.filename) == HERE and not f.filename.endswith("scenario.py")]
    return f"{pathlib.Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def run_one(name, area, auth, f):
    bench = Bench(name)
    if auth is not None and auth != bench.auth:
        return "-", ""
    try:
        f(bench)
        return "ok", ""
    except Absent as e:
        return "-", f"the client has no {e}"
    except Exception as e:
        everything = os.environ.get("INTEROP_ALL", "1") == "1"
        if area != BASE and not everything and not_yet(e):
            return "not yet", ""
        if os.environ.get("INTEROP_TRACE") == "1":
            traceback.print_exc()
        return "FAILED", f"{where(e)}: {type(e).__name__}: {e}"


def run_all(*modules):
    wanted = os.environ.get("INTEROP_RUN", "").split()
    for name, area, auth, f in SCENARIOS:
        if f.__module__ not in modules or wanted and name not in wanted:
            continue
        start = time.monotonic()
        status, detail = run_one(name, area, auth, f)
        line = {"scenario": name, "area": area, "status": status, "detail": detail[:1500], "seconds": round(time.monotonic() - start, 1)}
        print("\n@@ " + json.dumps(line), flush=True)
    print('\n@@ {"end": true}', flush=True)
    os._exit(0)  # background threads of a client must not hold up the run
