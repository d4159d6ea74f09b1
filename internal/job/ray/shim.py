"""Runs one job on a node of a Ray cluster: the part of ml-intern that is there.

Ray knows of a job only whether it runs and, as one text, all it has printed. So
this program keeps the job's limits, says how it ended, and puts what can be
asked for into a folder among Ray's logs, whose files Ray's API hands out:

    start.json    it has begun; the folder is made once, so it never begins twice
    log           its output in lines of ":OFFSET LENGTH=text", with "+" if its line has no end yet
    key.json      the public key for its secrets, for which it waits
    sealed.json   the secrets, sealed for that key; removed when they were read
    gauge.json    how full its disk was and what its GPUs did, a minute ago at most, while it runs
    output        a link to OUTPUT_DIR
    results.json  the files in it, at the end with their hashes
    end.json      how it ended

It needs nothing but Python's standard library.
"""

import codecs
import ctypes
import hashlib
import hmac
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CONFIG = json.loads(json.loads(os.environ["RAY_JOB_CONFIG_JSON_ENV_VAR"])["metadata"]["ml_intern"])
PLAIN_BYTES = 16 << 20  # of output that Ray's own log gets, for its dashboard
LATE_BYTES = 256 << 10  # of the output's end that are kept when there is too much
LATE_EVERY = 10.0  # seconds between looks at output past the bound
GAUGE_EVERY = 60.0
GAUGE_LIMIT = 10.0  # seconds that the driver's program may take
GAUGE_BYTES = 16 << 10  # of what it says
MOST_FILES = 20000
CANCEL_GRACE = 1.5  # Ray kills after 3 seconds
LIMIT_GRACE = 2.0
SECRET_WAIT = 900.0  # seconds for somebody to bring the secrets
SHORT_SECRET = 4  # what has fewer bytes is not hidden in the output


def write_json(path, value):
    """Writes a file whole or not at all."""
    with open(path + ".tmp", "w") as f:
        json.dump(value, f)
    os.rename(path + ".tmp", path)


class Plain:
    """The output in Ray's own log: text, because Ray cannot read other bytes."""

    def __init__(self):
        self.left = PLAIN_BYTES
        self.text = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data):
        if self.left <= 0:
            return
        text = self.text.decode(data).replace("\r", "\n").encode("utf-8", "replace")
        self.say(text[: self.left])
        self.left -= len(text)
        if self.left <= 0:
            self.say(b"\n[more output than Ray's log is given: ml-intern has the rest]\n")

    def say(self, data):
        try:
            while data:
                data = data[os.write(1, data) :]
        except OSError:
            pass  # the disk is full; the job goes on


class Log:
    """The output in frames. Past its bound it gets a little now and then, and the end."""

    def __init__(self, path, bound):
        self.fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        self.at, self.bound = 0, bound
        self.late, self.dropped, self.looked = bytearray(), 0, time.monotonic()
        self.torn, self.lost = False, 0

    def write(self, data):
        if self.at < self.bound:
            return self.frame(data)
        self.late += data
        if len(self.late) > 2 * LATE_BYTES:
            self.dropped += len(self.late) - LATE_BYTES
            del self.late[:-LATE_BYTES]
        if time.monotonic() - self.looked > LATE_EVERY:
            self.looked = time.monotonic()
            self.flush(2048)

    def flush(self, most):
        """Frames the last of the output that came after the bound."""
        cut = max(0, len(self.late) - most)
        if cut:
            cut = self.late.find(b"\n", cut) + 1 or cut
        self.dropped += cut
        kept, self.late = bytes(self.late[cut:]), bytearray()
        if self.dropped:
            self.frame(b"\n[%d bytes of output were dropped here]\n" % self.dropped)
            self.dropped = 0
        self.frame(kept)

    def frame(self, data):
        out, sizes, size = b"\n" if self.torn else b"", [], len(data)
        if self.lost:
            data = b"\n[%d bytes of output were lost: the disk was full]\n" % self.lost + data
        at = self.at
        for piece in split(data):
            whole = piece.endswith(b"\n")
            out += b":%d %d%s%s\n" % (at, len(piece), b"=" if whole else b"+", piece[:-1] if whole else piece)
            at += len(piece)
            sizes.append((len(out), at))
        written = 0
        try:
            while written < len(out):
                written += os.write(self.fd, out[written:])
            self.at, self.torn, self.lost = at, False, 0
        except OSError:
            # The disk is full. Frames that are whole count, the reader may have them.
            self.at = max([self.at] + [at for end, at in sizes if end <= written])
            self.torn, self.lost = self.torn or written > 0, self.lost + size


def split(data):
    """Lines with their ends: only a line feed ends one."""
    pieces = data.split(b"\n")
    whole = [p + b"\n" for p in pieces[:-1]]
    return whole + [pieces[-1]] if pieces[-1] else whole


def x25519(scalar, point):
    """The function of RFC 7748: how two who know each other's public halves get one key."""
    p = 2**255 - 19
    k = int.from_bytes(scalar, "little") & ~(7 | 1 << 255) | 1 << 254
    x1 = int.from_bytes(point, "little") & (1 << 255) - 1
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for i in reversed(range(255)):
        if swap != k >> i & 1:
            x2, x3, z2, z3, swap = x3, x2, z3, z2, k >> i & 1
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % p, b * b % p, d * a % p, c * b % p
        x3, z3 = (da + cb) ** 2 % p, x1 * (da - cb) ** 2 % p
        x2, z2 = aa * bb % p, (aa - bb) * (aa + 121665 * (aa - bb)) % p
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, "little")


def digest(key, text):
    return hmac.new(key, text, "sha256").digest()


def unseal(private, public, ref, box):
    """What secrets.go has sealed; None if it was not meant for this key."""
    point = x25519(private, bytes.fromhex(box["key"]))
    both = ("%s %s %s" % (ref, public.hex(), box["key"])).encode()
    text = bytes.fromhex(box["text"])
    if not any(point) or not hmac.compare_digest(digest(digest(point, b"tag " + both), text).hex(), box["tag"]):
        return None
    stream = hashlib.shake_256(digest(point, b"stream " + both)).digest(len(text))
    return json.loads(bytes(a ^ b for a, b in zip(text, stream)))


class Veil:
    """Puts names in the place of secrets in a stream, also where they come in pieces."""

    def __init__(self, secrets):
        pairs = [(value.encode("utf-8", "surrogateescape"), name) for name, value in secrets.items()]
        self.names = {value: name.encode() for value, name in pairs if len(value) >= SHORT_SECRET}
        longest = sorted(self.names, key=len, reverse=True)
        self.any = re.compile(b"|".join(map(re.escape, longest)) or b"(?!)")
        self.most = len(longest[0]) - 1 if longest else 0
        self.rest = b""

    def over(self, data, last=False):
        data, out, at = self.rest + data, b"", 0
        while True:
            keep = len(data) if last else self.begun(data, at)
            found = self.any.search(data, at)
            if not found or found.start() >= keep:
                self.rest = data[keep:]
                return out + data[at:keep]
            out += data[at : found.start()] + b"[secret %s]" % self.names[found.group()]
            at = found.end()

    def begun(self, data, at):
        """Where, at the end, a secret may have begun."""
        for i in range(max(at, len(data) - self.most), len(data)):
            if any(len(value) > len(data) - i and value.startswith(data[i:]) for value in self.names):
                return i
        return len(data)


def secret_name(name):
    """Whether a variable is likely to hold a secret: the cluster's own are not the job's."""
    words = name.upper().split("_")
    ends = ("TOKEN", "TOKENS", "KEY", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIALS")
    return words[-1].endswith(ends) or not {"TOKEN", "KEY", "APIKEY", "SECRET", "SECRETS", "PASSWORD", "CREDENTIAL"}.isdisjoint(words)


def python_fits(want):
    if not want:
        return True
    if want[0].isdigit():
        have, parts = [str(n) for n in sys.version_info[:3]], want.split(".")
        return have[: len(parts)] == parts
    try:
        from packaging.specifiers import SpecifierSet

        return "%d.%d.%d" % sys.version_info[:3] in SpecifierSet(want)
    except Exception:
        return True  # nobody here can tell


OURS = set()  # processes below this one that are not the job's


def descendants():
    """All processes of the job, as far as the system tells; 0 reads as none."""
    below, parents = [], {}
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as f:
                    fields = f.read().rpartition(b")")[2].split()
                if fields[0] not in (b"Z", b"X") and int(name) not in OURS:
                    parents.setdefault(int(fields[1]), []).append((int(name), int(fields[21])))
            except OSError:
                pass
    todo = [os.getpid()]
    while todo:
        for pid, pages in parents.get(todo.pop(), []):
            below.append((pid, pages * os.sysconf("SC_PAGE_SIZE")))
            todo.append(pid)
    return below


def send(number, first):
    """Signals all processes of the job; returns how many there were."""
    pids = [pid for pid, _ in descendants()] or [first]
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            pass
    return len(pids)


def memory_kills():
    """How often the system has killed because memory ran out, here or in this container."""
    count = 0
    for path in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"):
        try:
            with open(path) as f:
                count += sum(int(line.split()[1]) for line in f if line.startswith("oom_kill "))
        except (OSError, ValueError, IndexError):
            pass
    return count


def memory(limit):
    """What the job uses. Only if that seems too much, shared pages are divided."""
    below = descendants()
    used = sum(rss for _, rss in below)
    return used if used <= limit else sum(proportional(pid, rss) for pid, rss in below)


def proportional(pid, rss):
    try:
        with open("/proc/%d/smaps_rollup" % pid) as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith("Pss:"))
    except (OSError, ValueError, StopIteration):
        return rss


def size(count):
    return "%.0f MB" % (count / (1 << 20)) if count < 1 << 30 else "%.1f GB" % (count / (1 << 30))


class Gauge:
    """Writes down once a minute how full the disk is and what the job's GPUs do. It never waits."""

    def __init__(self, path, output):
        self.path, self.output, self.due, self.child = path, output, 0.0, None
        self.visible = os.environ.get("CUDA_VISIBLE_DEVICES", "") if CONFIG.get("gpus") else ""
        self.smi = shutil.which("nvidia-smi") if self.visible else None

    def step(self, now):
        if self.child is None and now >= self.due:
            self.due = now + GAUGE_EVERY
            self.look(now)
        elif self.child is not None and now > self.until:
            self.end()
            self.late = True

    def look(self, now):
        if not self.smi:
            return self.write("")
        try:
            self.answer = tempfile.TemporaryFile()
            self.child = subprocess.Popen([self.smi, CONFIG["gpu_query"], "--format=csv,noheader,nounits"],
                                          stdin=subprocess.DEVNULL, stdout=self.answer, stderr=subprocess.DEVNULL)
            OURS.add(self.child.pid)
            self.until, self.late = now + GAUGE_LIMIT, False
        except OSError:
            self.child, self.smi = None, None

    def reaped(self, pid):
        """Reads what the driver's program has said, if that is the one that has ended."""
        if self.child is None or pid != self.child.pid:
            return
        OURS.discard(pid)
        self.child.returncode, self.child = 0, None  # it was collected
        with self.answer:
            self.answer.seek(0)
            text = self.answer.read(GAUGE_BYTES).decode("utf-8", "replace")
        self.write("" if self.late else text)

    def write(self, gpus):
        try:
            disk = os.statvfs(self.output)
            free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
            write_json(self.path, {"free": free, "total": total, "visible": self.visible, "gpus": gpus})
        except OSError:
            pass  # nothing is lost but this look

    def end(self):
        """Kills the driver's program: not by its own kill, which would collect it."""
        if self.child is not None:
            try:
                os.kill(self.child.pid, signal.SIGKILL)
            except OSError:
                pass


class Job:
    def __init__(self):
        self.asked = False  # somebody wants it to end
        signal.signal(signal.SIGTERM, self.ask)
        signal.signal(signal.SIGINT, self.ask)
        logs = os.path.dirname(os.path.realpath("/proc/self/fd/1"))
        if not os.path.isdir(logs) or os.path.basename(logs) != "logs":
            # Ray unpacks to SESSION/runtime_resources/working_dir_files/PACKAGE.
            logs = os.path.join(os.getcwd().partition("/runtime_resources/")[0], "logs")
        self.folder = os.path.join(logs, "ml-intern-" + CONFIG["ref"])
        self.home = os.path.join(os.path.dirname(logs), "ml-intern", CONFIG["ref"])
        self.work = CONFIG.get("dir") or os.path.join(self.home, "work")
        self.output = CONFIG.get("output") or os.path.join(self.home, "output")
        self.plain = Plain()
        self.veil = Veil({})
        self.seen = None  # results.json as it was last written

    def ask(self, *_):
        self.asked = True

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self):
        try:
            os.mkdir(self.folder)
        except FileExistsError:
            self.plain.say(b"ml-intern: failed 70: it has begun here before, and is not run again\n")
            return 70
        self.begun = time.monotonic()
        self.log = Log(self.path("log"), CONFIG["log_bytes"])
        # A job that was canceled while it waited is started and ended by Ray.
        until = time.monotonic() + 0.3
        while time.monotonic() < until and not self.asked:
            time.sleep(0.02)
        if self.asked:
            return self.end("canceled", 143, "canceled before it began")
        if not python_fits(CONFIG["python"]):
            have = "%d.%d.%d" % sys.version_info[:3]
            return self.end("failed", 127, "the cluster has Python %s, and the job wants %s" % (have, CONFIG["python"]))
        secrets = self.secrets(CONFIG["secrets"]) if CONFIG["secrets"] else {}
        if self.asked:
            return self.end("canceled", 143, "canceled before it began")
        if secrets is None:
            return self.end("failed", 127, "nobody brought its secrets in %.0f minutes: ml-intern must watch it begin" % (SECRET_WAIT / 60))
        self.veil = Veil(secrets)
        write_json(self.path("start.json"), {"at": time.time()})
        self.begun = time.monotonic()
        try:
            child = self.start(secrets)
        except OSError as e:
            return self.end("failed", 127, "its program could not be started: %s" % e)
        return self.end(*self.supervise(child))

    def secrets(self, names):
        """Waits for the values; None if they do not come."""
        private = os.urandom(32)
        public = x25519(private, (9).to_bytes(32, "little"))
        write_json(self.path("key.json"), {"key": public.hex(), "folder": self.folder})
        until = time.monotonic() + SECRET_WAIT
        while time.monotonic() < until and not self.asked:
            try:
                with open(self.path("sealed.json")) as f:
                    box = json.load(f)
                os.remove(self.path("sealed.json"))
                values = unseal(private, public, CONFIG["ref"], box)
                if values is not None and set(values) == set(names):
                    return values
            except FileNotFoundError:
                pass
            except (ValueError, KeyError, TypeError):
                pass  # not ours
            time.sleep(0.05)
        return None

    def start(self, secrets):
        os.makedirs(self.output, exist_ok=True)
        os.symlink(self.output, self.path("output"))
        self.gauge = Gauge(self.path("gauge.json"), self.output)
        package = os.getcwd()
        if not CONFIG.get("dir"):  # other jobs of the same package have the same folder
            shutil.copytree(package, self.work, symlinks=True)
        env = {name: value for name, value in os.environ.items() if not secret_name(name) or name.startswith("RAY_")}
        env.update(CONFIG["env"])
        env.update(secrets)
        env.update(JOB_ID=CONFIG["id"], JOB_ATTEMPT=str(CONFIG["attempt"]), OUTPUT_DIR=self.output, PYTHONUNBUFFERED="1")
        if CONFIG.get("checkpoint"):
            here = "://" not in CONFIG["checkpoint"]
            env["CHECKPOINT"] = os.path.join(self.output, CONFIG["checkpoint"]) if here else CONFIG["checkpoint"]
        settings = json.loads(env["RAY_JOB_CONFIG_JSON_ENV_VAR"])  # for the job's tasks on other nodes
        variables = (settings.setdefault("runtime_env", None) or {}).get("env_vars") or {}
        settings["runtime_env"] = dict(settings["runtime_env"] or {}, env_vars=dict(variables, **CONFIG["env"]))
        env["RAY_JOB_CONFIG_JSON_ENV_VAR"] = json.dumps(settings)
        argv = list(CONFIG["argv"])
        if CONFIG.get("script"):
            argv = [sys.executable or "python3", os.path.join(package if CONFIG.get("dir") else self.work, CONFIG["script"])] + argv
            beside = os.path.dirname(os.path.join(self.work, CONFIG["script"]))
            env["PYTHONPATH"] = os.pathsep.join(filter(None, [beside, env.get("PYTHONPATH")]))
        try:
            prctl = ctypes.CDLL(None, use_errno=True).prctl
            prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: what the job leaves behind becomes ours
        except (OSError, AttributeError):
            prctl = lambda *_: None  # noqa: E731
        read, write = os.pipe()
        # In this process group: when Ray's part dies, Ray kills the group.
        child = subprocess.Popen(argv, cwd=self.work, env=env, stdin=subprocess.DEVNULL, stdout=write, stderr=write,
                                 preexec_fn=lambda: prctl(1, signal.SIGKILL, 0, 0, 0))  # PR_SET_PDEATHSIG: without us it ends
        os.close(write)
        os.set_blocking(read, False)
        self.pipe = read
        return child

    def pump(self, wait):
        """Takes what output there is; False at its end."""
        if not select.select([self.pipe], [], [], wait)[0]:
            return True
        try:
            data = os.read(self.pipe, 1 << 16)
        except BlockingIOError:
            return True
        shown = self.veil.over(data, last=data == b"")
        self.log.write(shown)
        self.plain.write(shown)
        return data != b""

    def reap(self, first):
        """Collects the dead; returns how the first process ended, None if it has not."""
        code = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return code
            if pid == 0:
                return code
            self.gauge.reaped(pid)
            if pid == first:
                code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def supervise(self, child):
        kills, open_, code = memory_kills(), True, None
        verdict, kill_at, listed, weighed = None, None, time.monotonic(), 0.0
        limit = CONFIG["memory_mb"] << 20
        while code is None:
            self.gauge.step(time.monotonic())
            if open_:
                open_ = self.pump(0.1)
            else:
                time.sleep(0.01)
            code = self.reap(child.pid)
            now = time.monotonic()
            if code is not None:
                break
            if verdict is None:
                used = 0
                if limit and now - weighed > 0.5:
                    used, weighed = memory(limit), now
                if self.asked:
                    verdict, kill_at = ("canceled", "canceled"), now + CANCEL_GRACE
                elif now - self.begun > CONFIG["limit_s"]:
                    verdict, kill_at = ("timed_out", "it ran longer than its time limit of " + CONFIG["limit"]), now + LIMIT_GRACE
                elif used > limit:
                    verdict, kill_at = ("out_of_memory", "it used %s of memory, its limit is %s" % (size(used), size(limit))), now
                if verdict:
                    send(signal.SIGTERM, child.pid)
            elif now > kill_at:
                send(signal.SIGKILL, child.pid)
            if now - listed > 10:
                listed = now
                self.list_results(False)
        self.gauge.end()
        self.clear(child.pid)
        until = time.monotonic() + 2
        while open_ and time.monotonic() < until:
            open_ = self.pump(0.1)
        return judge(verdict or (self.asked and ("canceled", "canceled")), code, memory_kills() > kills)

    def clear(self, first):
        """Kills what the job's first process has left."""
        for _ in range(100):
            if not descendants():
                return
            send(signal.SIGKILL, first)
            self.reap(first)
            time.sleep(0.02)

    def list_results(self, final):
        files, count = [], 0
        for root, dirs, names in os.walk(self.output):
            dirs.sort()
            for name in sorted(names):
                path = os.path.join(root, name)
                try:
                    info = os.lstat(path)
                    os.fsencode(path).decode("utf-8")
                    if (info.st_mode & 0o170000) != 0o100000:
                        continue
                    count += 1
                    if len(files) < MOST_FILES:
                        one = {"path": os.path.relpath(path, self.output), "size": info.st_size, "mode": info.st_mode & 0o777}
                        if final and not self.asked:
                            one["sha256"] = self.hash(path)
                        files.append(one)
                except (OSError, UnicodeDecodeError):
                    pass
        listing = {"final": final, "count": count, "files": files}
        if listing != self.seen:
            try:
                write_json(self.path("results.json"), listing)
                self.seen = listing
            except OSError:
                pass

    def hash(self, path):
        digest = hashlib.sha256()
        with open(path, "rb") as f:
            for block in iter(lambda: f.read(1 << 20), b""):
                if self.asked:
                    return ""
                digest.update(block)
        return digest.hexdigest()

    def end(self, state, code, reason):
        ran = time.monotonic() - self.begun
        self.log.write(self.veil.over(b"", last=True))
        self.log.flush(LATE_BYTES)
        if not CONFIG.get("output"):
            self.list_results(True)
        try:
            write_json(self.path("end.json"), {"state": state, "exit_code": code, "reason": reason, "seconds": ran})
        except OSError:
            pass  # Ray's log says it as well
        if state != "succeeded":
            self.plain.say(("ml-intern: %s %d: %s\n" % (state, code, reason)).encode("utf-8", "replace"))
        if not CONFIG.get("dir"):
            shutil.rmtree(self.work, ignore_errors=True)
        return code if code or state == "succeeded" else 1


def judge(verdict, code, killed):
    """How the job ended: its state, exit code and, in a sentence, why."""
    if verdict:
        return verdict[0], code, verdict[1]
    if code == 0:
        return "succeeded", 0, ""
    if code == 137 and killed:
        return "out_of_memory", code, "the system killed it because the machine's memory ran out"
    if code == 137:
        return "failed", code, "it was killed from outside (SIGKILL), most often because the machine's memory ran out"
    if 128 < code < 128 + 65:
        try:
            return "failed", code, "it was ended by the signal %s" % signal.Signals(code - 128).name
        except ValueError:
            pass
    return "failed", code, "it ended with exit code %d" % code


if __name__ == "__main__":
    sys.exit(Job().run())
