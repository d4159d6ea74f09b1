# /// script
# requires-python = ">=3.9"
# dependencies = []
# ///
"""Make one clean table of a raw one and split it once, for good.

Reads the file that columns.json describes (delimited text, JSON or JSON lines,
gzip or not), cleans its cells, and writes into the output folder:

  train.csv     what training may see
  holdout.csv   what only evaluate.py may see, once, at the end
  schema.json   the target, the features and their kinds, and what was left out

The same input and seed give the same files, byte for byte. A row is never on
both sides: exact copies are dropped, or, where most rows are copies, kept
together. Only the standard library is used.
"""
import argparse
import collections
import csv
import datetime
import gzip
import hashlib
import io
import json
import os
import random
import re
import sys

MAX_CELLS = 2_000_000  # kept of a larger table, drawn at random
SKIPPED_KINDS = {
    "id": "it only tells rows apart",
    "constant": "it is the same in every row",
    "empty": "it has no values",
    "nested": "it holds nested values",
}
ALWAYS_MISSING = {
    "", "NA", "N/A", "n/a", "na", "NaN", "nan", "NAN", "-NaN", "-nan", "null", "NULL", "Null", "None", "<NA>",
    "#N/A", "#NA", "#N/A N/A", "?", "NaT", "nil", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NULL!", "#NUM!",
}
DATE_LAYOUTS = [
    "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S.%f", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%m/%d/%y", "%d/%m/%y", "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S",
    "%d-%m-%Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%H:%M:%S", "%H:%M", "%Y-%m",
]
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")
GROUPED = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?$")
MARKS = re.compile(r"^([-+]?)\s*(?:[$€£¥₹]|USD|EUR|GBP)?\s*(.*?)\s*(?:[$€£¥₹%]|USD|EUR|GBP)?$")


def main():
    args = arguments()
    with open(args.columns, encoding="utf-8") as f:
        config = json.load(f)
    notes = []
    names, rows = read_source(config, random.Random(args.seed), notes)
    if config["target"] not in names:
        sys.exit("split: there is no column %r in %s" % (config["target"], config["source"]["path"]))
    columns = [list(cells) for cells in zip(*rows)] if rows else [[] for _ in names]
    schema, cleaned = clean(config, names, columns, notes)
    if not schema["features"]:
        sys.exit("split: no column is left to learn from")
    table = list(zip(*cleaned))
    kept = [row for row in table if row[-1] != ""]
    unlabelled = len(table) - len(kept)
    groups, copies = group_copies(kept, notes)
    train, holdout = split(groups, schema["task"], args.holdout, random.Random(args.seed))
    if not train or not holdout:
        sys.exit("split: %d usable rows are too few to train and to test" % len(kept))
    os.makedirs(args.out, exist_ok=True)
    header = [f["name"] for f in schema["features"]] + [schema["target"]]
    result = {
        "rows_read": len(rows),
        "rows_without_target": unlabelled,
        "copies_dropped": copies,
        "features": len(schema["features"]),
        "dropped": schema["dropped"],
        "train": write_table(os.path.join(args.out, "train.csv"), header, train),
        "holdout": write_table(os.path.join(args.out, "holdout.csv"), header, holdout),
        "notes": notes,
    }
    with open(os.path.join(args.out, "schema.json"), "w", encoding="utf-8") as f:
        json.dump(schema, f, ensure_ascii=False, indent=1)
        f.write("\n")
    print(json.dumps(result, ensure_ascii=False))


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--columns", default="columns.json", help="what is known of the table")
    p.add_argument("--out", default="data", help="folder for the results")
    p.add_argument("--holdout", type=float, default=0.2, help="share of rows that training never sees")
    p.add_argument("--seed", type=int, default=0)
    return p.parse_args()


# Reading


def read_source(config, rng, notes):
    """Returns the column names and the rows, all text, '' where there is no value."""
    source = config["source"]
    with open(source["path"], "rb") as f:
        raw = gzip.open(f) if f.peek(2)[:2] == b"\x1f\x8b" else f
        text = io.TextIOWrapper(raw, encoding=source.get("encoding") or "utf-8-sig", errors="replace", newline="")
        if source["format"] in ("json", "jsonl"):
            names, rows = read_json(text.read())
        else:
            names, rows = read_delimited(text, source, config.get("column_count", 0))
        return names, sample(rows, len(names), rng, notes)


def sample(rows, width, rng, notes):
    """Keeps so many rows that the table fits into memory."""
    limit = max(1000, MAX_CELLS // max(width, 1))
    kept, seen = [], 0
    for row in rows:
        seen += 1
        if len(kept) < limit:
            kept.append(row)
        else:
            i = rng.randrange(seen)
            if i < limit:
                kept[i] = row
    if seen > limit:
        notes.append("%d of %d rows were drawn at random, which is what a baseline needs" % (limit, seen))
    return kept


def read_delimited(text, source, column_count):
    csv.field_size_limit(1 << 24)
    for _ in range(source.get("skip_lines", 0)):
        text.readline()
    records = csv.reader((line.replace("\0", "") for line in text), delimiter=source.get("delimiter") or ",")
    records = (r for r in records if any(cell.strip() for cell in r) or len(r) > 1)
    if source.get("has_header", True):
        header = next(records, [])
        if len(header) == column_count - 1:
            header = [""] + header  # R writes row names without a name
        if len(header) > column_count > 0:
            header = header[:column_count]  # a separator at the end of every line
        header = [header[0].lstrip("# ")] + header[1:] if header and header[0].startswith("#") else header
    else:
        header = ["column_%d" % (i + 1) for i in range(column_count)]
    width = len(header)
    return clean_names(header), (tuple(cell.strip() for cell in r[:width]) + ("",) * (width - len(r)) for r in records)


def read_json(text):
    """Reads a list of objects, one object per line, or objects in a row."""
    decoder, objects, at = json.JSONDecoder(), [], 0
    while True:
        start = re.compile(r"[^{]*").match(text, at).end()
        if start >= len(text):
            break
        value, at = decoder.raw_decode(text, start)
        objects.append(value)
    keys = list(dict.fromkeys(key for o in objects for key in o))
    return clean_names(keys), (tuple(json_cell(o.get(k)) for k in keys) for o in objects)


def json_cell(value):
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value).strip()


def clean_names(header):
    """Makes the names unique and free of blanks around them."""
    names = []
    for i, original in enumerate(header):
        name = stem = " ".join(original.split()) or "column_%d" % (i + 1)
        n = 2
        while name in names:
            name = "%s_%d" % (stem, n)
            n += 1
        names.append(name)
    return names


# Cleaning


def clean(config, names, columns, notes):
    """Returns the schema and the cleaned feature columns, the target's last."""
    known = {c["name"]: c["kind"] for c in config["columns"]}
    tokens = ALWAYS_MISSING | set(config.get("missing_tokens") or [])
    schema = {key: config[key] for key in ("target", "task", "metric", "also_report", "imbalanced")}
    schema["features"], schema["dropped"] = [], []
    cleaned, target = [], None
    for name, cells in zip(names, columns):
        hard = ["" if cell in ALWAYS_MISSING else cell for cell in cells]
        kind = known.get(name) or infer_kind(hard)
        if name == config["target"]:
            target = clean_target(config["task"], name, kind, hard, tokens, config, notes)
            continue
        reason = config.get("drop", {}).get(name) or SKIPPED_KINDS.get(kind)
        if reason:
            schema["dropped"].append({"name": name, "reason": reason})
            continue
        kind = {"integer": "number", "boolean": "category"}.get(kind, kind)
        cells = clean_cells(name, kind, hard, tokens, config, notes)
        if not any(cells):
            schema["dropped"].append({"name": name, "reason": "no value in it can be used"})
            continue
        schema["features"].append({"name": name, "kind": kind})
        cleaned.append(cells)
    return schema, cleaned + [target]


def clean_target(task, name, kind, cells, tokens, config, notes):
    if task == "regression":
        return clean_cells(name, "number", cells, tokens, config, notes)
    if kind in ("integer", "number"):
        plain = [number(cell, config) for cell in cells]
        return [cell if v is None else number_text(v) for cell, v in zip(cells, plain)]
    return unify_case(name, cells, notes)


def clean_cells(name, kind, cells, tokens, config, notes):
    if kind == "number":
        values = [None if cell in tokens else number(cell, config) for cell in cells]
        strangers = sum(v is None and cell not in tokens for v, cell in zip(values, cells))
        if strangers:
            notes.append("values of %r that are no numbers and count as missing: %d" % (name, strangers))
        return ["" if v is None else number_text(v) for v in values]
    if kind == "datetime":
        return clean_dates(name, ["" if cell in tokens else cell for cell in cells], notes)
    if kind == "category":
        return unify_case(name, cells, notes)
    return cells


def number(cell, config):
    """Reads 1,234.5 and 12 % and $3, and 1.234,5 where the file writes so."""
    cell = cell.replace("\u00a0", " ").strip()
    if not NUMBER.match(cell):
        cell = "".join(MARKS.match(cell).groups())
    if config["source"].get("decimal") == "," and cell.count(",") == 1 and "." not in cell.split(",")[1]:
        cell = cell.replace(".", "").replace(",", ".")
    elif GROUPED.match(cell):
        cell = cell.replace(",", "")
    if not NUMBER.match(cell):
        return None
    value = float(cell)
    return value if abs(value) < 1e300 else None


def number_text(value):
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def clean_dates(name, cells, notes):
    """Writes dates the ISO way, read by the layouts that fit most of them."""
    probe = [cell for cell in cells if cell][:500]
    layouts = sorted(DATE_LAYOUTS, key=lambda layout: -sum(parse_date(cell, layout) is not None for cell in probe))[:3]
    out, strangers = [], 0
    for cell in cells:
        when = next(filter(None, (parse_date(cell, layout) for layout in layouts)), None) if cell else None
        strangers += bool(cell) and when is None
        out.append(when.isoformat() if when else "")
    if strangers:
        notes.append("values of %r that cannot be read as dates and count as missing: %d" % (name, strangers))
    return out


def parse_date(cell, layout):
    cell = re.sub(r"(Z|UTC|GMT|[+-]\d\d:?\d\d)$", "", cell).strip() if ":" in cell else cell
    try:
        return datetime.datetime.strptime(cell, layout)
    except ValueError:
        return None


def unify_case(name, cells, notes):
    """Gives values that differ only in case the most frequent spelling."""
    spelling = {}
    for cell, _ in collections.Counter(cells).most_common():
        spelling.setdefault(cell.casefold(), cell)
    out = [spelling[cell.casefold()] for cell in cells]
    changed = sum(a != b for a, b in zip(cells, out))
    if changed:
        notes.append("values of %r that differed from others only in case and were unified: %d" % (name, changed))
    return out


def infer_kind(cells):
    """Judges a column that columns.json does not describe."""
    values = [cell for cell in cells if cell]
    distinct = len(set(values))
    if distinct < 2:
        return "constant" if values else "empty"
    if sum(bool(NUMBER.match(v)) for v in values) >= 0.8 * len(values):
        return "number"
    words = sum(len(v.split()) for v in values) / len(values)
    unique = distinct >= 0.99 * len(values) and len(values) >= 20
    if unique and words < 1.2:
        return "id"
    return "text" if words > 8 or (unique and words >= 4) or distinct > 1000 else "category"


# Splitting


def group_copies(rows, notes):
    """Returns lists of rows that must stay on one side, and how many copies were dropped."""
    groups = {}
    for row in rows:
        groups.setdefault(row, []).append(row)
    copies = len(rows) - len(groups)
    if copies * 2 > len(rows):
        notes.append("%d of %d rows are copies of others; they were kept, all copies of a row on one side" % (copies, len(rows)))
        return list(groups.values()), 0
    if copies:
        notes.append("exact copies of other rows that were dropped: %d" % copies)
    return [[row] for row in groups], copies


def split(groups, task, share, rng):
    """Draws the holdout, class by class, at least one row of each class that has two."""
    strata = collections.defaultdict(list)
    for group in groups:
        strata[group[0][-1] if task != "regression" else ""].append(group)
    train, holdout = [], []
    for key in sorted(strata):
        members = strata[key]
        rng.shuffle(members)
        n = round(share * len(members))
        n = min(max(n, 1), len(members) - 1)
        holdout += [row for group in members[:n] for row in group]
        train += [row for group in members[n:] for row in group]
    rng.shuffle(train)
    rng.shuffle(holdout)
    return train, holdout


def write_table(path, header, rows):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    data = out.getvalue().encode("utf-8", "replace")
    with open(path, "wb") as f:
        f.write(data)
    return {"path": path.replace(os.sep, "/"), "rows": len(rows), "sha256": hashlib.sha256(data).hexdigest()}


if __name__ == "__main__":
    main()
