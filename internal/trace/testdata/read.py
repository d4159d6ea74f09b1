"""Reads a dataset of traces and a file of rows as people would: with
huggingface_hub and, if they are there or must be, datasets, transformers' chat
templates and those of TRL. Usage: read.py REPO ROWS [must]"""

import json
import sys

from huggingface_hub import HfApi, hf_hub_download

repo, rows = sys.argv[1], sys.argv[2]
must = len(sys.argv) > 3
api = HfApi()
files = [f for f in api.list_repo_files(repo, repo_type="dataset") if f.endswith(".jsonl")]
assert files, files
assert api.dataset_info(repo).private
for name in files:
    with open(hf_hub_download(repo, name, repo_type="dataset"), encoding="utf-8") as f:
        head, *messages = [json.loads(line) for line in f]
    assert head["type"] == "session" and head["harness"] == "ml-intern" and head["id"], head
    ids = [m["id"] for m in messages]
    assert len(ids) == len(set(ids)), ids
    calls = set()
    for m in messages:
        assert m["type"] == "message" and m["message"]["role"] in ("user", "assistant", "system", "tool"), m
        assert isinstance(m["message"]["content"], str) and m["message"]["timestamp"] > 1_600_000_000_000, m
        for c in m["message"].get("toolCalls", []):
            assert isinstance(c["function"]["arguments"], str)
            calls.add(c["id"])
        if m["message"]["role"] == "tool":
            assert m["message"]["toolCallId"] in calls, m
print(len(files), "traces")

try:
    from datasets import load_dataset
except ImportError:
    if must:
        raise
    sys.exit("there is no datasets") if must else sys.exit(0)

lines = load_dataset(repo, split="train", parse_agent_traces=False)
assert {"session", "message"} == set(lines["type"]), lines
try:
    import teich  # with which datasets reads traces
except ImportError:
    if must:
        raise
else:
    traces = load_dataset(repo, split="train")
    assert len(traces) == len(files) == len(list(load_dataset(repo, split="train", streaming=True))), traces
    for t in traces:
        assert t["session_id"] in t["file_path"] and t["prompt"] and t["num_user_messages"] > 0 and t["sent_at"].startswith("2026-11-27T12:00:"), t
        assert any(m["role"] == "assistant" for m in t["messages"]), t["messages"]
    print("datasets shows", len(traces), "traces, of", traces["num_user_messages"], "prompts")
train = load_dataset("json", data_files=rows, split="train")
print(train.features)
assert {"messages", "tools"} <= set(train.column_names)
for row in train:
    assert isinstance(json.loads(row["tools"]), list)
    for m in row["messages"]:
        for c in m.get("tool_calls") or []:
            assert isinstance(c["function"]["arguments"], dict), c
print(len(train), "rows")

try:
    import pathlib

    import trl
    from transformers.utils.chat_template_utils import render_jinja_template
except ImportError:
    if must:
        raise
    sys.exit(0)
# Left out: Llama 3, whose template takes one call a message, and gpt-oss, whose takes no text beside thoughts and calls
folder = pathlib.Path(trl.__file__).parent / "chat_templates"
done = 0
for name in ("qwen2_5", "qwen2_5_training", "qwen3", "qwen3_training", "qwen3_8", "glm4moe", "gemma4"):
    template = folder / (name + ".jinja")
    if not template.exists():
        continue
    for row in train:
        text, _ = render_jinja_template(
            conversations=[row["messages"]], tools=json.loads(row["tools"]), chat_template=template.read_text("utf-8"),
            add_generation_prompt=False, bos_token="<s>", eos_token="</s>",
        )
        assert "Count the rows" in text[0] and "wc -l" in text[0], (name, text)
        assert '\\"command\\"' not in text[0].split("Count the rows", 1)[1], (name, text)
    done += 1
assert done >= 3, sorted(p.name for p in folder.iterdir())
print("shown by", done, "chat templates of TRL", trl.__version__)
