# /// script
# requires-python = ">=3.10"
# dependencies = ["scikit-learn>=1.5,<2", "numpy>=1.26"]
# ///
"""Train one scikit-learn model on a clean table and judge it by cross-validation.

  uv run train.py --data data/train.csv --schema data/schema.json --model forest --out runs/forest

Writes model.joblib and metrics.json, with one value of every metric for every
fold, into the output folder. All candidates are judged on the same folds. The
same data and seed give the same numbers.
"""
import argparse
import collections
import csv
import datetime
import hashlib
import json
import math
import os
import platform
import random
import sys
import time

# One thread: the candidates run side by side, and tables this small only get
# slower with more. It must be set before numpy is loaded.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import joblib
import numpy as np
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

# The features


def widths(schema):
    """How many matrix columns each feature takes."""
    return [4 if f["kind"] == "datetime" else 1 for f in schema["features"]]


def matrix(rows, schema):
    """The features as an array: numbers and parts of dates as floats, the rest as text."""
    out = np.empty((len(rows), sum(widths(schema))), dtype=object)
    for i, row in enumerate(rows):
        cells = []
        for f in schema["features"]:
            text = row[f["name"]]
            if f["kind"] == "number":
                cells.append(float(text) if text else math.nan)
            elif f["kind"] == "datetime":
                cells += date_parts(text)
            else:
                cells.append(text)
        out[i] = cells
    return out


def words(min_df):
    return TfidfVectorizer(max_features=5000, min_df=min_df, sublinear_tf=True, strip_accents="unicode", token_pattern=r"\b\w+\b")


def preprocessing(schema, x, dense):
    """Imputes and scales numbers, encodes categories, weighs words.

    Trees get a few components instead of thousands of words.
    """
    numbers, categories, steps, at = [], [], [], 0
    for feature, width in zip(schema["features"], widths(schema)):
        if feature["kind"] == "category":
            categories.append(at)
        elif feature["kind"] == "text":
            filled = sum(bool(text.strip()) for text in x[:, at])
            step = words(2 if filled > 100 else 1)
            vocabulary = vocabulary_size(step, x[:, at])
            if vocabulary == 0:
                at += width
                continue
            if dense and vocabulary > 50:
                step = make_pipeline(step, TruncatedSVD(50, random_state=0))
            steps.append(("text %d" % at, step, at))
        else:
            numbers += range(at, at + width)
        at += width
    if numbers:
        steps.append(("numbers", make_pipeline(SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), StandardScaler()), numbers))
    if categories:
        encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=30, sparse_output=not dense)
        steps.append(("categories", encoder, categories))
    return ColumnTransformer(steps, sparse_threshold=0.0 if dense else 0.3)


def vocabulary_size(vectorizer, texts):
    try:
        return len(vectorizer.fit(texts).vocabulary_)
    except ValueError:  # nothing but blanks and rare words
        return 0


# The models


def candidates(task):
    return ["dummy", "ridge" if task == "regression" else "logistic", "forest", "boosting"]


def estimator(options, schema):
    """The estimator of a candidate and the parameters worth reporting."""
    trees = 10 if options.quick else 100
    weight = "balanced" if schema["imbalanced"] else None
    if schema["task"] == "regression":
        loss = "absolute_error" if schema["metric"] == "mae" else "squared_error"
        known = {
            "dummy": (DummyRegressor, {"strategy": "median" if schema["metric"] == "mae" else "mean"}),
            "ridge": (RidgeCV, {"alphas": [0.1, 1.0, 10.0, 100.0]}),
            "forest": (RandomForestRegressor, {"n_estimators": trees, "max_features": 1 / 3, "random_state": options.seed}),
            "boosting": (HistGradientBoostingRegressor, {"max_iter": trees, "loss": loss, "early_stopping": False, "random_state": options.seed}),
        }
    else:
        known = {
            "dummy": (DummyClassifier, {"strategy": "most_frequent"}),
            "logistic": (LogisticRegression, {"max_iter": 2000, "class_weight": weight}),
            "forest": (RandomForestClassifier, {"n_estimators": trees, "class_weight": weight, "random_state": options.seed}),
            "boosting": (HistGradientBoostingClassifier, {"max_iter": trees, "class_weight": weight, "early_stopping": False, "random_state": options.seed}),
        }
    if options.model not in known:
        sys.exit("train: there is no model %r; the models are %s" % (options.model, ", ".join(known)))
    make, params = known[options.model]
    return make(**params), params


class Model:
    """A fitted pipeline with the schema it was trained by, and the classes it numbers."""

    def __init__(self, pipeline, schema, classes, params):
        self.pipeline, self.schema, self.classes, self.params = pipeline, schema, classes, params

    def predict(self, rows):
        answers = self.pipeline.predict(matrix(rows, self.schema)).tolist()
        return [self.classes[i] for i in answers] if self.classes else answers

    def save(self, folder):
        parts = {"pipeline": self.pipeline, "schema": self.schema, "classes": self.classes, "params": self.params, "versions": versions()}
        joblib.dump(parts, os.path.join(folder, "model.joblib"), compress=3)


def load_model(folder):
    """Loads a model that save wrote. Only load files that you trust."""
    parts = joblib.load(os.path.join(folder, "model.joblib"))
    model = Model(parts["pipeline"], parts["schema"], parts["classes"], parts["params"])
    model.versions = parts["versions"]
    return model


def fit(options, schema, rows, values):
    model, params = estimator(options, schema)
    classes = []
    if schema["task"] != "regression":
        classes = sorted(set(values))
        values = [classes.index(v) for v in values]
    if len(set(values)) == 1:
        model = DummyRegressor() if schema["task"] == "regression" else DummyClassifier()
    x = matrix(rows, schema)
    if options.model == "dummy":
        pipeline = model.fit(x, values)
    else:
        dense = options.model in ("forest", "boosting")
        pipeline = make_pipeline(preprocessing(schema, x, dense), model).fit(x, values)
    return Model(pipeline, schema, classes, params)


def plan_effort(options, schema, rows, notes):
    """Fits folds and rows to what one core does in about half a minute."""
    width = sum(40 if f["kind"] == "text" else w for f, w in zip(schema["features"], widths(schema)))
    options.max_rows = max(500, 150_000 // width)
    options.folds = max(2, min(options.folds, rows // 4))
    if min(rows, options.max_rows) * width > 40_000:
        options.repeats = 1
        notes.append("one repeat of the folds instead of two, as the table is large")


def versions():
    return {
        "python": platform.python_version(),
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        "joblib": joblib.__version__,
    }


#include shared.py
