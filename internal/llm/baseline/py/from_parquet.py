# /// script
# requires-python = ">=3.10"
# dependencies = ["pyarrow>=15"]
# ///
"""Convert a Parquet file to JSON lines, a batch at a time."""
import argparse
import base64
import datetime
import decimal
import json

import pyarrow.parquet as parquet


def plain(value):
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("source")
    p.add_argument("out")
    args = p.parse_args()
    rows = 0
    with open(args.out, "w", encoding="utf-8") as f:
        for batch in parquet.ParquetFile(args.source).iter_batches():
            for row in batch.to_pylist():
                f.write(json.dumps(row, ensure_ascii=False, default=plain) + "\n")
                rows += 1
    print(json.dumps({"file": args.out, "rows": rows}))


if __name__ == "__main__":
    main()
