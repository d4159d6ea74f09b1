# /// script
# requires-python = ">=3.10"
# dependencies = ["scikit-learn>=1.5,<2", "numpy>=1.26"]
# ///
"""Write a data set that comes with scikit-learn to a CSV file. Nothing is downloaded."""
import argparse
import csv
import json

from sklearn import datasets

TARGETS = {
    "iris": "species",
    "wine": "cultivar",
    "breast_cancer": "diagnosis",
    "digits": "digit",
    "diabetes": "progression",
}


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("name", choices=sorted(TARGETS))
    p.add_argument("out")
    args = p.parse_args()
    bunch = getattr(datasets, "load_" + args.name)()
    names = [name.replace(" (cm)", "_cm").replace(" ", "_") for name in bunch.feature_names]
    if args.name == "diabetes":
        labels = bunch.target.tolist()
    else:
        labels = [str(bunch.target_names[i]) for i in bunch.target]
    with open(args.out, "w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(names + [TARGETS[args.name]])
        writer.writerows(row + [label] for row, label in zip(bunch.data.tolist(), labels))
    print(json.dumps({"file": args.out, "rows": len(labels), "columns": len(names) + 1, "target": TARGETS[args.name]}))


if __name__ == "__main__":
    main()
