"""Scenarios of the libraries that read and write the Hub: datasets,
transformers, safetensors, evaluate, trackio."""

import json
import os

from huggingface_hub import HfApi, ModelCard, snapshot_download

from repos import files, make, put
from scenario import equal, needs, raises, run_all, scenario


def cache(b):
    return str(b.work / "datasets")


def load(b, *args, **kwargs):
    from datasets import load_dataset

    if not kwargs.get("streaming"):
        kwargs["cache_dir"] = cache(b)
    return load_dataset(*args, **kwargs)


@scenario()
def datasets_csv(b):
    repo = make(b, kind="dataset")
    put(repo, "train.csv", b"x,y\n1,a\n2,b\n3,c\n", repo_type="dataset")
    put(repo, "test.csv", b"x,y\n4,d\n", repo_type="dataset")
    got = load(b, repo)
    equal({k: v.num_rows for k, v in got.items()}, {"train": 3, "test": 1}, "rows")
    equal(got["train"][1], {"x": 2, "y": "b"}, "row")
    equal(list(load(b, repo, split="test", streaming=True)), [{"x": 4, "y": "d"}], "streaming")


@scenario()
def datasets_jsonl(b):
    repo = make(b, kind="dataset")
    lines = b"".join(json.dumps({"messages": [{"role": "user", "content": str(n)}], "n": n}).encode() + b"\n" for n in range(50))
    put(repo, "data/train.jsonl", lines, repo_type="dataset")
    got = load(b, repo, split="train")
    equal((got.num_rows, got[7]["messages"]), (50, [{"role": "user", "content": "7"}]), "rows")
    equal(next(iter(load(b, repo, split="train", streaming=True)))["n"], 0, "streaming")
    part = load(b, repo, data_files="data/*.jsonl", split="train[:10%]")
    equal(part.num_rows, 5, "a part")


@scenario()
def datasets_configs(b):
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    repo = make(b, kind="dataset")
    for config in ("small", "large"):
        for split, n in (("train", 10), ("test", 3)):
            out = io.BytesIO()
            pq.write_table(pa.table({"n": list(range(n)), "c": [config] * n}), out)
            put(repo, f"{config}/{split}.parquet", out.getvalue(), repo_type="dataset")
    put(repo, "README.md", b"""---
configs:
- config_name: small
  default: true
  data_files:
  - {split: train, path: small/train.parquet}
  - {split: test, path: small/test.parquet}
- config_name: large
  data_files:
  - split: train
    path: large/train.parquet
  - split: test
    path: large/test.parquet
---
""", repo_type="dataset")
    from datasets import get_dataset_config_names, get_dataset_split_names, load_dataset_builder

    equal(sorted(get_dataset_config_names(repo)), ["large", "small"], "configs")
    equal(sorted(get_dataset_split_names(repo, "large")), ["test", "train"], "splits")
    equal(load(b, repo)["train"][0]["c"], "small", "the default")
    got = load(b, repo, "large", split="test")
    equal((got.num_rows, got[2]), (3, {"n": 2, "c": "large"}), "the other")
    equal(len(list(load(b, repo, "large", split="train", streaming=True))), 10, "streaming")
    equal(load_dataset_builder(repo, "small", cache_dir=cache(b)).config.name, "small", "builder")
    raises(ValueError, load, b, repo, "nope")


@scenario(auth=False)
def datasets_200_mb(b):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    repo = make(b, kind="dataset")
    rows = 25_000_000  # of 8 bytes, which do not compress
    local = b.work / "train-00000-of-00001.parquet"
    table = pa.table({"v": np.random.default_rng(0).random(rows)})
    pq.write_table(table, local, compression="none", use_dictionary=False, row_group_size=1_000_000)
    assert local.stat().st_size > 195_000_000, local.stat()
    HfApi().upload_file(path_or_fileobj=str(local), path_in_repo=f"data/{local.name}", repo_id=repo, repo_type="dataset")
    local.unlink()
    some = load(b, repo, split="train", streaming=True)
    want = table["v"].slice(0, 3).to_pylist()
    equal([r["v"] for r in some.take(3)], want, "streaming")
    equal(next(iter(some.skip(1_500_000)))["v"], table["v"][1_500_000].as_py(), "streaming from the middle")
    got = load(b, repo, split="train")
    equal((got.num_rows, got[rows - 1]["v"]), (rows, table["v"][rows - 1].as_py()), "the whole")


@scenario()
def datasets_push(b):
    from datasets import Dataset, DatasetDict

    repo = b.id()
    ds = Dataset.from_dict({"text": ["a", "b", "c", "d"], "label": [0, 1, 0, 1]})
    ds.push_to_hub(repo, num_shards=2)
    assert [f for f in files(repo, repo_type="dataset") if f.endswith("00002.parquet")], files(repo, repo_type="dataset")
    got = load(b, repo)
    equal((got["train"].num_rows, got["train"][3]["text"]), (4, "d"), "train")
    DatasetDict({"train": ds, "validation": ds.select([0])}).push_to_hub(repo, "second", private=True)
    equal({k: v.num_rows for k, v in load(b, repo, "second").items()}, {"train": 4, "validation": 1}, "second")
    ds.select([0, 1]).push_to_hub(repo, split="test")
    equal(load(b, repo, split="test").num_rows, 2, "another split")
    ds.select([1]).push_to_hub(repo, split="train")  # again, fewer shards
    equal(load(b, repo, split="train", download_mode="force_redownload").num_rows, 1, "replaced")
    card = HfApi().dataset_info(repo).card_data
    assert {c["config_name"] for c in card["configs"]} == {"default", "second"}, card


@scenario("repos")
def datasets_push_as_pull_request(b):
    from datasets import Dataset

    ds = Dataset.from_dict({"n": [1, 2]})
    repo = make(b, kind="dataset")
    done = ds.push_to_hub(repo, create_pr=True)
    equal(load(b, repo, revision=done.pr_revision, split="train").num_rows, 2, "pull request")


@scenario()
def datasets_missing(b):
    from datasets.exceptions import DatasetNotFoundError

    raises(DatasetNotFoundError, load, b, b.id("-nope"))
    repo = make(b, kind="dataset")
    raises(Exception, load, b, repo)  # it is empty
    put(repo, "a.csv", b"x\n1\n", repo_type="dataset")
    raises(Exception, load, b, repo, revision="nope")


@scenario(auth=True)
def datasets_private(b):
    from datasets.exceptions import DatasetNotFoundError

    hidden, gated = make(b, "-hidden", "dataset", private=True), make(b, "-gated", "dataset")
    for repo in (hidden, gated):
        put(repo, "a.csv", b"x\n1\n", repo_type="dataset")
    HfApi().update_repo_settings(gated, gated="auto", repo_type="dataset")
    for repo in (hidden, gated):
        raises(DatasetNotFoundError, load, b, repo, token=False)
        equal(load(b, repo, split="train").num_rows, 1, "with the token")


@scenario()
def datasets_through_pandas(b):
    import pandas as pd

    repo = make(b, kind="dataset")
    pd.DataFrame({"x": [1, 2], "y": ["a", "b"]}).to_parquet(f"hf://datasets/{repo}/a.parquet")
    equal(pd.read_parquet(f"hf://datasets/{repo}/a.parquet")["y"].tolist(), ["a", "b"], "parquet")
    pd.DataFrame({"x": [5]}).to_csv(f"hf://datasets/{repo}/b.csv", index=False)
    equal(pd.read_csv(f"hf://datasets/{repo}/b.csv")["x"].tolist(), [5], "csv")


def tokenizer(b):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    t = Tokenizer(models.BPE(unk_token="[UNK]"))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    t.train_from_iterator(["some text to learn from", "and some more text"] * 5, trainers.BpeTrainer(vocab_size=80, special_tokens=["[UNK]", "[PAD]"]))
    return PreTrainedTokenizerFast(tokenizer_object=t, unk_token="[UNK]", pad_token="[PAD]")


@scenario()
def transformers_push(b):
    import numpy as np
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file
    from transformers import AutoConfig, AutoTokenizer, BertConfig

    repo = b.id()
    config = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, vocab_size=100)
    config.push_to_hub(repo)
    tok = tokenizer(b)
    tok.push_to_hub(repo)
    weights = {"a.weight": np.arange(12, dtype=np.float32).reshape(3, 4), "b.bias": np.ones(4, np.float16)}
    save_file(weights, b.work / "model.safetensors", metadata={"format": "pt"})
    put(repo, "model.safetensors", str(b.work / "model.safetensors"))

    back = AutoConfig.from_pretrained(repo, cache_dir=b.work / "c")
    equal((back.model_type, back.hidden_size), ("bert", 32), "config")
    again = AutoTokenizer.from_pretrained(repo, cache_dir=b.work / "c")
    text = "some more text"
    equal(again(text)["input_ids"], tok(text)["input_ids"], "tokens")
    path = snapshot_download(repo, cache_dir=b.work / "c", allow_patterns="*.safetensors")
    got = load_file(os.path.join(path, "model.safetensors"))
    assert all((got[k] == v).all() for k, v in weights.items())
    with safe_open(os.path.join(path, "model.safetensors"), "np") as f:
        equal(f.metadata(), {"format": "pt"}, "metadata")
    equal(dict(HfApi().get_safetensors_metadata(repo).parameter_count), {"F32": 12, "F16": 4}, "parameters")
    offline = AutoConfig.from_pretrained(repo, cache_dir=b.work / "c", local_files_only=True)
    equal(offline.hidden_size, 32, "offline")
    raises(OSError, AutoConfig.from_pretrained, b.id("-nope"), cache_dir=b.work / "c")
    raises(OSError, AutoConfig.from_pretrained, repo, revision="nope", cache_dir=b.work / "c")
    raises(Exception, AutoTokenizer.from_pretrained, make(b, "-empty"), cache_dir=b.work / "c")
    config.hidden_size = 64
    config.push_to_hub(repo, revision="wide", commit_message="wider")
    equal(AutoConfig.from_pretrained(repo, revision="wide", cache_dir=b.work / "c").hidden_size, 64, "a branch")


@scenario("repos")
def transformers_push_as_pull_request(b):
    from transformers import AutoConfig, BertConfig

    repo = make(b)
    BertConfig(hidden_size=48, num_attention_heads=2).push_to_hub(repo, create_pr=True)
    equal(AutoConfig.from_pretrained(repo, revision="refs/pr/1", cache_dir=b.work / "c").hidden_size, 48, "pull request")


@scenario()
def transformers_gated(b):
    from transformers import AutoConfig, BertConfig

    repo = b.id()
    BertConfig().push_to_hub(repo, private=True)
    equal(AutoConfig.from_pretrained(repo, cache_dir=b.work / "c").model_type, "bert", "private")
    if b.auth:
        raises(OSError, AutoConfig.from_pretrained, repo, token=False, cache_dir=b.work / "d")
        HfApi().update_repo_settings(repo, private=False, gated="manual")
        e = raises(OSError, AutoConfig.from_pretrained, repo, token=False, cache_dir=b.work / "d")
        assert "gated" in str(e).lower(), e


@scenario()
def evaluate_push(b):
    import evaluate

    data = make(b, "-data", "dataset")
    repo = make(b)
    put(repo, "README.md", b"---\nlicense: mit\n---\n# M\n")
    evaluate.push_to_hub(
        model_id=repo, task_type="text-classification", dataset_type=data, dataset_name="Data",
        metric_type="accuracy", metric_name="Accuracy", metric_value=0.5, dataset_split="test",
    )
    result = ModelCard.load(repo).data.eval_results[0]
    equal((result.metric_value, result.dataset_type), (0.5, data), "result")


@scenario()
def trackio_static(b):
    from trackio import deploy

    repo = b.id()
    needs(deploy, "deploy_as_static_space")(repo, None, "a-project")
    config = json.load(open(os.path.join(snapshot_download(repo, repo_type="space", cache_dir=b.work), "config.json")))
    equal((config["mode"], config["project"]), ("static", "a-project"), "config")
    equal(HfApi().space_info(repo).sdk, "static", "sdk")


@scenario("spaces")
def trackio_space(b):
    """A dashboard is made as trackio makes it, up to the point where it must run."""
    from trackio import deploy

    repo = b.id()
    needs(deploy, "deploy_as_space")(repo)
    assert {"README.md", "app.py", "requirements.txt"} <= set(files(repo, repo_type="space")), files(repo, repo_type="space")
    assert "GRADIO_MCP_SERVER" in HfApi().get_space_variables(repo)


@scenario("spaces")
def trackio_private(b):
    """What job/preflight goes by: a new dashboard is public unless it is asked to be private."""
    from trackio import deploy

    make_space = needs(deploy, "create_space_if_not_exists")
    for private, want in ((True, True), (None, False)):
        repo = b.id("-private" if private else "-open")
        make_space(repo, private=private)
        equal(HfApi().space_info(repo).private, want, f"with private={private}")
        equal("trackio" in HfApi().space_info(repo).tags, True, "tag")
    make_space(repo, private=True)
    equal(HfApi().space_info(repo).private, False, "one that was public before")


@scenario()
def trackio_of_trainer(b):
    """The Trainer's callback copies the metrics for everybody when it pushes, and fails if it may not."""
    from types import SimpleNamespace

    import trackio
    from transformers.integrations.integration_utils import TrackioCallback

    args = SimpleNamespace(
        project="p", run_name=None, hub_private_repo=True, trackio_space_id=None, trackio_bucket_id=None, trackio_static_space_id=None,
        to_dict=dict)
    callback, state = TrackioCallback(), SimpleNamespace(is_world_process_zero=True, global_step=1)
    callback.setup(args, state, None)
    trackio.log({"loss": 1.0})
    callback.on_train_end(args, state, None)
    assert "private=True is not supported" in str(raises(ValueError, callback.on_push_begin, args, state, None, None))
    args.trackio_static_space_id = False
    callback.on_push_begin(args, state, None, None)


if __name__ == "__main__":
    run_all("__main__")
