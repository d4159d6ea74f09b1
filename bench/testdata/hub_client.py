"""Uploads or downloads a repository once with the official client.

Arguments: upload or download, OWNER/NAME, a folder or a cache. Prints seconds
and CPU seconds without the interpreter's start and imports, and the peak
memory in MB.
"""

import json
import resource
import sys
import time

from huggingface_hub import HfApi, snapshot_download

action, repo, folder = sys.argv[1:]
api = HfApi()
began, cpu = time.perf_counter(), time.process_time()
if action == "upload":
    api.upload_folder(repo_id=repo, folder_path=folder)
else:
    snapshot_download(repo, cache_dir=folder)
seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak}))
