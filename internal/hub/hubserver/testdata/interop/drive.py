"""Runs the scenarios with every client against `ml-intern hub serve`.

Arguments: the program, the folder with the environments. Prints a table of
client and scenario, then what failed. Exit status 1 if anything did.
INTEROP_RUN names the scenarios to run, INTEROP_CLIENTS the clients;
What the server does not have is a failure; with INTEROP_ALL=0 it is "not yet".
"""

import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TOKEN = "hf_interop"
LIMIT = 300  # seconds for one client
TRANSFERS = "upload_small upload_large upload_huge upload_folder preupload download download_resumed snapshot"

# name, environment, script, further variables
CLIENTS = [
    ("0.36", "hub0", "hub.py", {}),
    ("0.36+transfer", "hub0", "hub.py", {"HF_HUB_ENABLE_HF_TRANSFER": "1", "INTEROP_RUN": TRANSFERS}),
    ("1.x", "hub1", "hub.py", {}),
    ("2.x", "hub2", "hub.py", {}),
    ("js", "js", "hub.mjs", {}),
    ("libraries", "libs", "libraries.py", {}),
]


class Server:
    """One `ml-intern hub serve`."""

    def __init__(self, program, folder, auth):
        self.log = open(folder / "server.log", "wb")
        address = folder / "address"
        args = [program, "hub", "serve", "--dir", str(folder / "hub"), "--addr", "127.0.0.1:0", "--addr-file", str(address)]
        args += ["--auth"] if auth else ["--part-size", str(5 << 20)]  # large files in parts here, whole there
        env = {**os.environ, "HF_TOKEN": TOKEN, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        self.other = ""  # the token of a second user
        if auth:
            add = [program, "hub", "user", "add", "other", "--org", "team", "--dir", str(folder / "hub")]
            self.other = subprocess.run(add, env=env, capture_output=True, text=True, check=False).stdout.strip()
        self.process = subprocess.Popen(args, stdout=self.log, stderr=self.log, env=env)
        end = time.monotonic() + 30
        while not address.exists() or not address.read_text().strip():
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit("test-interop: the server did not start: " + (folder / "server.log").read_text())
            time.sleep(0.05)
        url = address.read_text().strip()
        self.url = url if url.startswith("http") else "http://" + url

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "none: it had to be killed"
        self.log.close()
        return code


def environment(server, auth, work, extra):
    """What a client sees: nothing of the person's own settings."""
    keep = ("PATH", "SYSTEMROOT", "LANG", "INTEROP_ALL", "INTEROP_RUN", "INTEROP_TRACE")
    env = {k: v for k, v in os.environ.items() if k in keep and v}
    env |= {
        "HOME": str(work), "HF_HOME": str(work / "hf"), "TMPDIR": str(work), "HF_ENDPOINT": server.url, "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1", "PYTHONUTF8": "1", "PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": "1",
        "NO_PROXY": "*", "no_proxy": "*", "INTEROP_AUTH": "1" if auth else "0", "TOKENIZERS_PARALLELISM": "false",
        "GIT_CONFIG_GLOBAL": "/dev/null", "INTEROP_OTHER": server.other, "TRACKIO_DIR": str(work / "trackio"),
    }
    if "INTEROP_RUN" in env and "INTEROP_RUN" in extra:
        extra = {k: v for k, v in extra.items() if k != "INTEROP_RUN"}
    return env | extra


def run_client(tools, server, auth, top, client):
    """Runs one client and returns its lines of result."""
    name, place, script, extra = client
    work = pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=top))
    env = environment(server, auth, work, {**extra, "INTEROP_CLIENT": name.replace(".", "-")})
    command = [str(tools / place / "bin" / "python"), "-u", str(HERE / script)]
    if script.endswith(".mjs"):
        env["INTEROP_MODULE"] = str(tools / "js" / "node_modules" / "@huggingface" / "hub" / "dist" / "index.mjs")
        command = ["node", str(HERE / script)]
    out = work / "output"
    with open(out, "wb") as to:
        try:
            code = subprocess.run(command, env=env, cwd=work, stdout=to, stderr=subprocess.STDOUT, timeout=LIMIT, check=False).returncode
        except subprocess.TimeoutExpired:
            code = f"none after {LIMIT} s"
    text = out.read_text("utf-8", "replace")
    results = [json.loads(line[3:]) for line in text.splitlines() if line.startswith("@@ ")]
    if not results or results[-1] != {"end": True}:
        results.append({"scenario": "(all)", "area": "base", "status": "FAILED", "detail": f"the client ended early, exit status {code}: {text[-1500:]}", "seconds": 0})
    if os.environ.get("INTEROP_TRACE") == "1":
        sys.stderr.write(text)
    return [r for r in results if "scenario" in r]


def table(columns, results):
    """Prints a line for each scenario."""
    rows = {}
    for column in columns:
        for r in results[column]:
            rows.setdefault((r["scenario"], r["area"]), {})[column] = r["status"]
    wide = max([len(name) for name, _ in rows] + [8]) + 2
    cell = {c: max(len(c), 7) + 2 for c in columns}
    for (name, area), row in {("", "base"): {c: c for c in columns}, **rows}.items():
        line = name.ljust(wide) + "".join(row.get(c, "").ljust(cell[c]) for c in columns)
        print((line if area == "base" else f"{line}({area})").rstrip())


def main():
    program, tools = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
    wanted = os.environ.get("INTEROP_CLIENTS", "").split()
    clients = [c for c in CLIENTS if not wanted or c[0] in wanted]
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ml-intern-interop-", ignore_cleanup_errors=True) as top:
        top = pathlib.Path(top)
        servers = {}
        for auth in (False, True):
            (top / str(auth)).mkdir()
            servers[auth] = Server(program, top / str(auth), auth)
        work = [(c, auth) for c in clients for auth in (False, True)]
        try:
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                done = list(pool.map(lambda w: run_client(tools, servers[w[1]], w[1], top, w[0]), work))
        finally:
            codes = {auth: s.stop() for auth, s in servers.items()}
        logs = {auth: (top / str(auth) / "server.log").read_text("utf-8", "replace") for auth in servers}
    results = {c[0] + (" --auth" if auth else ""): lines for (c, auth), lines in zip(work, done)}
    table(list(results), results)
    every = [(column, r) for column, lines in results.items() for r in lines]
    failed = [(column, r) for column, r in every if r["status"] == "FAILED"]
    for column, r in failed:
        print(f"\nFAILED {r['scenario']} with {column}\n  {r['detail']}")
    for auth, code in codes.items():
        if code != 0 or "panic" in logs[auth]:
            failed.append(("server", {}))
            print(f"\nFAILED the server{' --auth' if auth else ''} ended with {code}: {logs[auth][-2000:]}")
    count = {s: sum(r["status"] == s for _, r in every) for s in ("ok", "not yet")}
    print(f"\n{count['ok']} ok, {len(failed)} failed, {count['not yet']} not yet, {time.monotonic() - start:.0f} s")
    if not every or not count["ok"]:
        sys.exit("test-interop: nothing was run")
    sys.exit(1 if failed else 0)


main()
