# Copies its input to its output with [NAME] in the place of each secret, also
# if it comes in pieces: what may be the beginning of one is held until more comes.
# Arguments: a file to make at the end, and the names of variables.
import os
import signal
import sys

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)

names = [n for n in sys.argv[2:] if len(os.environb.get(os.fsencode(n), b"")) >= 4]
secrets = sorted(((os.environb[os.fsencode(n)], n) for n in names), key=lambda s: -len(s[0]))


def write(data):
    while data:
        try:
            data = data[os.write(1, data):]
        except OSError:  # as on a full disk: the job goes on
            return


def begun(data):
    "The length of the longest end of data that begins a secret."
    for n in range(min(len(data), max([len(s) for s, _ in secrets] + [0])), 0, -1):
        if any(n < len(s) and data.endswith(s[:n]) for s, _ in secrets):
            return n
    return 0


def masked(data):
    "The data with names for secrets, and what has to be held."
    out = []
    while True:
        found = [(data.find(s), i) for i, (s, _) in enumerate(secrets) if s in data]
        if not found:
            break
        at, i = min(found)
        out += [data[:at], b"[" + os.fsencode(secrets[i][1]) + b"]"]
        data = data[at + len(secrets[i][0]):]
    held = begun(data)
    return b"".join(out) + data[:len(data) - held], data[len(data) - held:]


held = b""
while True:
    data = os.read(0, 65536)
    if not data:
        break
    out, held = masked(held + data)
    write(out)
write(held)
open(sys.argv[1], "w").close()
