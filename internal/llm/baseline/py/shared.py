# What both the training and the evaluation need


def read_table(path):
    """Reads a clean CSV file: a list of rows, each a dict of text."""
    csv.field_size_limit(1 << 24)
    with open(path, encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def targets(rows, schema):
    """The values to predict: numbers, or classes as text."""
    values = [row[schema["target"]] for row in rows]
    return [float(v) for v in values] if schema["task"] == "regression" else values


def date_parts(text):
    """A date as numbers: day count, month, weekday, hour."""
    if not text:
        return [math.nan] * 4
    when = datetime.datetime.fromisoformat(text)
    days = (when - datetime.datetime(2000, 1, 1)).total_seconds() / 86400
    return [days, float(when.month), float(when.weekday()), float(when.hour)]


def score(task, truth, predicted):
    """All metrics of a prediction, by name."""
    n = len(truth)
    if task == "regression":
        errors = [p - t for t, p in zip(truth, predicted)]
        mean = sum(truth) / n
        spread = sum((t - mean) ** 2 for t in truth)
        squares = sum(e * e for e in errors)
        return {
            "rmse": math.sqrt(squares / n),
            "mae": sum(abs(e) for e in errors) / n,
            "r2": 1 - squares / spread if spread > 0 else 0.0,
        }
    hits, found, asked = collections.Counter(), collections.Counter(predicted), collections.Counter(truth)
    for t, p in zip(truth, predicted):
        hits[t] += t == p
    f1 = [2 * hits[c] / (asked[c] + found[c]) for c in sorted(asked.keys() | found.keys())]
    return {
        "accuracy": sum(hits.values()) / n,
        "balanced_accuracy": sum(hits[c] / asked[c] for c in sorted(asked)) / len(asked),
        "f1_macro": sum(f1) / len(f1),
    }


HIGHER_IS_BETTER = {
    "accuracy": True, "balanced_accuracy": True, "f1_macro": True, "rmse": False, "mae": False, "r2": True,
}


def deal(values, stratify, parts, rng):
    """Deals the row numbers into parts, each with its share of every class."""
    strata = collections.defaultdict(list)
    for i, value in enumerate(values):
        strata[value if stratify else ""].append(i)
    hands, at = [[] for _ in range(parts)], 0
    for key in sorted(strata):
        rng.shuffle(strata[key])
        for i in strata[key]:
            hands[at % parts].append(i)
            at += 1
    return hands


def thin(values, stratify, limit, rng):
    """At most limit row numbers, every class in its share and none left out."""
    strata = collections.defaultdict(list)
    for i, value in enumerate(values):
        strata[value if stratify else ""].append(i)
    ranked = []
    for key in sorted(strata):
        rng.shuffle(strata[key])
        ranked += [(j / len(strata[key]), i) for j, i in enumerate(strata[key])]
    return sorted(i for _, i in sorted(ranked)[:limit])


def cross_validate(options, schema, rows, values):
    """The metrics of each fold, from models that never saw the fold."""
    stratify = schema["task"] != "regression"
    results = collections.defaultdict(list)
    for repeat in range(options.repeats):
        rng = random.Random(options.seed + repeat)
        for fold in deal(values, stratify, options.folds, rng):
            held = set(fold)
            rest = [i for i in range(len(rows)) if i not in held]
            model = fit(options, schema, [rows[i] for i in rest], [values[i] for i in rest])
            predicted = model.predict([rows[i] for i in fold])
            for name, value in score(schema["task"], [values[i] for i in fold], predicted).items():
                results[name].append(value)
    return dict(results)


def main():
    options = arguments()
    if options.check:
        print(json.dumps({"ready": versions()}))
        return
    with open(options.schema, encoding="utf-8") as f:
        schema = json.load(f)
    rows = read_table(options.data)
    values = targets(rows, schema)
    folder = options.out or os.environ.get("OUTPUT_DIR") or "out"
    if options.smoke:
        smoke(options, schema, rows, values, folder)
        return
    print(json.dumps(train(options, schema, rows, values, folder)))


def train(options, schema, rows, values, folder):
    """Cross-validates, trains on all rows, and writes model and metrics."""
    start = time.monotonic()
    notes = []
    plan_effort(options, schema, len(rows), notes)
    kept = thin(values, schema["task"] != "regression", options.max_rows, random.Random(options.seed))
    if len(kept) < len(rows):
        notes.append("trained on %d of %d rows, drawn evenly" % (len(kept), len(rows)))
        rows, values = [rows[i] for i in kept], [values[i] for i in kept]
    rare = [c for c, n in collections.Counter(values).items() if n < options.folds] if schema["task"] != "regression" else []
    if rare:
        notes.append("classes with fewer rows than there are folds, whose part of the metrics is noisy: %d" % len(rare))
    for note in notes:
        print("note:", note, flush=True)
    results = cross_validate(options, schema, rows, values)
    for name, list_ in results.items():
        print("%-18s %.4f over %d folds" % (name, sum(list_) / len(list_), len(list_)), flush=True)
    model = fit(options, schema, rows, values)
    os.makedirs(folder, exist_ok=True)
    model.save(folder)
    metrics = {
        "metrics": results,
        "splits": {"kind": "repeated_kfold", "folds": options.folds, "repeats": options.repeats, "test_fraction": 1 / options.folds},
        "higher_is_better": {name: HIGHER_IS_BETTER[name] for name in results},
        "params": dict(model.params, model=options.model),
        "versions": versions(),
        "n_train": len(rows),
        "seconds": round(time.monotonic() - start, 2),
        "seed": options.seed,
        "data_sha256": sha256(options.data),
        "notes": notes,
    }
    with open(os.path.join(folder, "metrics.json"), "w", encoding="utf-8") as f:
        json.dump(metrics, f, indent=1)
        f.write("\n")
    return {"model": options.model, "n_train": len(rows), "seconds": metrics["seconds"], "notes": notes}


def smoke(options, schema, rows, values, folder):
    """Runs every candidate on a few rows, and each model once from its file."""
    options.folds, options.repeats, options.quick = 2, 1, True
    kept = thin(values, schema["task"] != "regression", 120, random.Random(options.seed))
    rows, values = [rows[i] for i in kept], [values[i] for i in kept]
    for options.model in candidates(schema["task"]):
        cross_validate(options, schema, rows, values)
        fresh = fit(options, schema, rows, values)
        os.makedirs(folder, exist_ok=True)
        fresh.save(folder)
        few = rows[:20]
        if list(load_model(folder).predict(few)) != list(fresh.predict(few)):
            sys.exit("smoke: the saved %s model predicts something else than the one in memory" % options.model)
        print("smoke: %s trains, saves, loads and predicts" % options.model, flush=True)
    print(json.dumps({"smoke": "passed", "rows": len(rows)}))


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--data", default="data/train.csv")
    p.add_argument("--schema", default="data/schema.json", help="target, features and metric, as split.py wrote them")
    p.add_argument("--model", default="dummy", help="which candidate to train")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", help="folder for the results; OUTPUT_DIR if not given")
    p.add_argument("--smoke", action="store_true", help="only test that everything works, on a few rows")
    p.add_argument("--check", action="store_true", help="only test that the packages are there")
    options = p.parse_args()
    options.folds, options.repeats, options.quick = 5, 2, False
    return options


if __name__ == "__main__":
    main()
