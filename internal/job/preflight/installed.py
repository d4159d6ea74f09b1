"""Says which modules this Python finds, which packages it has, and where it looks.

Nothing that is asked for is imported. The request comes on stdin as JSON: modules.
"""
import importlib.util, json, sys
from importlib import metadata

versions, missing = {}, []
for d in metadata.distributions():
    try:
        versions[d.metadata["Name"]] = d.version
    except Exception:
        continue
for name in json.loads(sys.stdin.buffer.read())["modules"]:
    try:
        if importlib.util.find_spec(name) is None:
            missing.append(name)
    except (ImportError, ValueError):
        continue
sys.stdout.write(json.dumps({"versions": {k: v for k, v in versions.items() if k}, "missing": missing, "path": [p for p in sys.path if p], "python": sys.executable}))
