"""Does with the official client what login_interop_test.go asks for: one JSON object a line."""

import contextlib
import io
import json
import sys

import huggingface_hub as hf
from huggingface_hub.utils import _auth


def run(do, args):
    _auth._OAUTH_REFRESH_CACHE = None  # as a new process
    if do == "token":
        return hf.get_token()
    if do == "stored":
        return _auth._read_stored_tokens_full()
    if do == "login":
        return hf.login(token=args[0])
    if do == "browser":
        return hf.interpreter_login(skip_if_logged_in=False)
    if do == "switch":
        return hf.auth_switch(args[0])
    if do == "list":
        return hf.auth_list()
    if do == "logout":
        return hf.logout(args[0] if args else None)
    if do == "whoami":
        return hf.whoami()["name"]
    if do == "lock":
        global held
        held = _auth.WeakFileLock(args[0])
        held.__enter__()
        return None
    if do == "unlock":
        return held.__exit__(None, None, None)
    raise ValueError(do)


print(json.dumps({"value": hf.__version__}), flush=True)
for line in sys.stdin:
    do, *args = json.loads(line)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            value = run(do, args)
        answer = {"value": value, "text": said.getvalue()}
    except Exception as e:
        answer = {"error": f"{type(e).__name__}: {e}"}
    print(json.dumps(answer), flush=True)
