# /// script
# requires-python = ">=3.10"
# dependencies = ["scikit-learn>=1.5,<2", "numpy>=1.26"]
# ///
"""Measure a trained model on a table it has not seen.

  uv run evaluate.py --model-dir . --data holdout.csv --out eval.json

Needs train.py beside it, which made the model. With --card README.md the
result is compared with the number that the model card claims.
"""
import argparse
import json
import os
import re
import sys

import train


def main():
    args = arguments()
    model = train.load_model(args.model_dir)
    differing = {
        name: (made, here)
        for name, made in model.versions.items()
        for here in [train.versions().get(name)]
        if made != here
    }
    for name, (made, here) in differing.items():
        print("warning: the model was made with %s %s, this is %s" % (name, made, here), file=sys.stderr)
    rows = train.read_table(args.data)
    if not rows:
        sys.exit("evaluate: %s has no rows" % args.data)
    absent = [f["name"] for f in model.schema["features"] if f["name"] not in rows[0]]
    if absent:
        sys.exit("evaluate: %s lacks the column %r" % (args.data, absent[0]))
    metrics = train.score(model.schema["task"], train.targets(rows, model.schema), model.predict(rows))
    metric = model.schema["metric"]
    result = {
        "metric": metric,
        "value": metrics[metric],
        "n": len(rows),
        "split": args.split,
        "data_sha256": train.sha256(args.data),
        "metrics": metrics,
    }
    if args.card:
        claimed = claims(args.card, args.expect, metric)
        result["card_value"] = claimed[0] if claimed else None
        result["agrees"] = bool(claimed) and all(same(result["value"], c) for c in claimed)
    with open(args.out, "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1)
        f.write("\n")
    print(json.dumps(result))
    if args.card and not result["agrees"]:
        sys.exit("evaluate: measured %s %r, the card says %r" % (metric, result["value"], result["card_value"]))


def claims(card, evaluation, metric):
    """What the card's model-index, and the eval.json beside it, say of the metric on the holdout."""
    found = []
    with open(card, encoding="utf-8") as f:
        parts = f.read().split("---\n")
    front = parts[1] if len(parts) > 2 else ""
    for dataset in re.split(r"\n\s*- task:", front)[1:]:
        entries = re.split(r"\n\s*- (?=(?:type|name|value):)", dataset)
        for entry in entries[1:]:
            fields = dict(re.findall(r"^\s*(type|value|split|name):\s*['\"]?(.*?)['\"]?\s*$", entry, re.M))
            holdout = "holdout" in entry or "holdout" in entries[0]
            if fields.get("type") == metric and holdout and "value" in fields:
                found.append(float(fields["value"]))
    if evaluation and os.path.exists(evaluation):
        with open(evaluation, encoding="utf-8") as f:
            found.append(float(json.load(f)["value"]))
    return found


def same(value, claimed):
    """Allows for the digits that the card leaves out."""
    return abs(value - claimed) <= max(1e-9, 5.1e-5 * max(1.0, abs(value)))


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--model-dir", default=os.path.dirname(os.path.abspath(__file__)))
    p.add_argument("--data", default="holdout.csv", help="clean CSV, as split.py writes it")
    p.add_argument("--split", default="holdout", help="what to call the data in the result")
    p.add_argument("--out", default="eval.json")
    p.add_argument("--card", help="README.md whose claim is to be checked")
    p.add_argument("--expect", help="eval.json whose value is to be checked as well")
    return p.parse_args()


if __name__ == "__main__":
    main()
