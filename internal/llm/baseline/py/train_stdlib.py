# /// script
# requires-python = ">=3.9"
# dependencies = []
# ///
"""Train one model on a clean table and judge it by cross-validation, without any package.

  python3 train.py --data data/train.csv --schema data/schema.json --model forest --out runs/forest

For machines that reach no package index: everything here is Python's standard
library. Writes model.json and metrics.json, with one value of every metric for
every fold, into the output folder. All candidates are judged on the same
folds. The same data and seed give the same numbers.
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
import re
import statistics
import sys
import time

# The features


class Encoder:
    """Turns rows into vectors: numbers scaled, categories as 0 or 1, words weighed.

    A vector is a dict from column to value, in which zeros are left out.
    """

    def __init__(self, parts=None):
        self.parts = parts or []

    @classmethod
    def learn(cls, schema, rows):
        parts, at = [], 0
        for f in schema["features"]:
            cells = [row[f["name"]] for row in rows]
            if f["kind"] == "text":
                part = learn_words(cells)
            elif f["kind"] == "category":
                top = collections.Counter(c for c in cells if c).most_common(30)
                part = {"values": {value: i for i, (value, _) in enumerate(top)}, "size": len(top)}
            else:
                part = learn_numbers([numbers(f["kind"], c) for c in cells])
            part.update(name=f["name"], kind=f["kind"], at=at)
            parts.append(part)
            at += part["size"]
        return cls(parts)

    @property
    def size(self):
        return self.parts[-1]["at"] + self.parts[-1]["size"]

    def encode(self, row):
        vector = {}
        for part in self.parts:
            cell, at = row[part["name"]], part["at"]
            if part["kind"] == "text":
                for word, weight in word_weights(cell, part).items():
                    vector[at + word] = weight
            elif part["kind"] == "category":
                if cell in part["values"]:
                    vector[at + part["values"][cell]] = 1.0
            else:
                for i, v in enumerate(numbers(part["kind"], cell)):
                    center, scale = part["scales"][i]
                    if math.isnan(v):
                        vector[at + len(part["scales"])] = 1.0  # says that it is missing
                    elif v != center:
                        vector[at + i] = max(-8.0, min(8.0, (v - center) / scale))
        return vector


def numbers(kind, cell):
    if kind == "datetime":
        return date_parts(cell)
    return [float(cell) if cell else math.nan]


def learn_numbers(values):
    scales = []
    for column in zip(*values):
        present = [v for v in column if not math.isnan(v)]
        spread = statistics.pstdev(present) if present else 0.0
        scales.append([statistics.fmean(present) if present else 0.0, spread if spread > 0 else 1.0])
    return {"scales": scales, "size": len(scales) + 1}


def split_words(text):
    return re.findall(r"\w+", text.lower())


def learn_words(texts):
    """Weighs the most frequent words by how few texts hold them."""
    documents = collections.Counter(word for text in texts for word in sorted(set(split_words(text))))
    top = [(w, n) for w, n in documents.most_common(500) if n > 1 or len(texts) < 100]
    vocabulary = {w: [i, 1 + math.log(len(texts) / n)] for i, (w, n) in enumerate(top)}
    return {"vocabulary": vocabulary, "size": len(top)}


def word_weights(text, part):
    known = part["vocabulary"]
    counts = collections.Counter(w for w in split_words(text) if w in known)
    weights = {known[w][0]: (1 + math.log(n)) * known[w][1] for w, n in counts.items()}
    norm = math.sqrt(sum(v * v for v in weights.values()))
    return {w: v / norm for w, v in weights.items()}


# The models: each has learn(vectors, values, context), answer(vector), and a
# state of plain lists and dicts, so that it can be saved as JSON.


class Dummy:
    """Always answers the same: the floor that a model must beat."""

    def __init__(self, state=None):
        self.state = state or {}

    def learn(self, vectors, values, context):
        if context["task"] != "regression":
            answer = min(collections.Counter(values).items(), key=lambda item: (-item[1], item[0]))[0]
        elif context["metric"] == "mae":
            answer = statistics.median(values)
        else:
            answer = statistics.fmean(values)
        self.state = {"answer": answer}

    def answer(self, vector):
        return self.state["answer"]


class Bayes:
    """Naive Bayes: each feature bell-shaped within each class."""

    def __init__(self, state=None):
        self.state = state or {}

    def learn(self, vectors, values, context):
        classes = sorted(set(values))
        sums = {c: collections.Counter() for c in classes}
        squares = {c: collections.Counter() for c in classes}
        counts = collections.Counter(values)
        for vector, c in zip(vectors, values):
            for j, v in vector.items():
                sums[c][j] += v
                squares[c][j] += v * v
        self.state = {"size": context["size"], "classes": []}
        for c in classes:
            n, cells = counts[c], []
            for j in range(context["size"]):
                mean = sums[c][j] / n
                variance = max(squares[c][j] / n - mean * mean, 0.0) + 1e-2
                cells.append([mean, variance, math.log(variance)])
            prior = 0.0 if context["balanced"] else math.log(n / len(values))
            zeros = prior - sum(0.5 * (m * m / v + log) for m, v, log in cells)
            self.state["classes"].append({"name": c, "zeros": zeros, "cells": cells})

    def answer(self, vector):
        best, best_score = None, -math.inf
        for c in self.state["classes"]:
            cells, score_ = c["cells"], c["zeros"]
            for j, v in vector.items():
                m, variance, _ = cells[j]
                score_ += 0.5 * (m * m - (v - m) * (v - m)) / variance
            if score_ > best_score:
                best, best_score = c["name"], score_
        return best


class Logistic:
    """Logistic regression for any number of classes, by AdaGrad with a little shrinkage."""

    def __init__(self, state=None):
        self.state = state or {}

    def learn(self, vectors, values, context):
        classes = sorted(set(values))
        counts = collections.Counter(values)
        weigh = {c: len(values) / (len(classes) * counts[c]) if context["balanced"] else 1.0 for c in classes}
        size, rng = context["size"] + 1, random.Random(context["seed"])
        weights = [[0.0] * size for _ in classes]
        history = [[1e-6] * size for _ in classes]
        items = [(list(vector.items()) + [(size - 1, 1.0)], classes.index(c), weigh[c]) for vector, c in zip(vectors, values)]
        for _ in range(context["rounds"]):
            rng.shuffle(items)
            for pairs, truth, weight in items:
                shares = softmax([sum(w[j] * v for j, v in pairs) for w in weights])
                for k, w in enumerate(weights):
                    error = (shares[k] - (k == truth)) * weight
                    h = history[k]
                    for j, v in pairs:
                        g = error * v + 1e-3 * w[j]
                        h[j] += g * g
                        w[j] -= 0.3 * g / math.sqrt(h[j])
        self.state = {"classes": classes, "weights": weights}

    def answer(self, vector):
        scores = [w[-1] + sum(w[j] * v for j, v in vector.items()) for w in self.state["weights"]]
        return self.state["classes"][scores.index(max(scores))]


def softmax(scores):
    top = max(scores)
    powers = [math.exp(s - top) for s in scores]
    total = sum(powers)
    return [p / total for p in powers]


class Ridge:
    """Linear regression with shrinkage, solved by conjugate gradients."""

    def __init__(self, state=None):
        self.state = state or {}

    def learn(self, vectors, values, context):
        mean, size = statistics.fmean(values), context["size"] + 1
        vectors = [{**vector, size - 1: 1.0} for vector in vectors]  # 1 for the intercept
        rest = self.backward(vectors, [v - mean for v in values], size)
        weights, direction = [0.0] * size, rest
        length = sum(g * g for g in rest)
        for _ in range(min(size + 5, 60)):
            if length < 1e-9:
                break
            image = [sum(direction[j] * v for j, v in vector.items()) for vector in vectors]
            curved = [c + d for c, d in zip(self.backward(vectors, image, size), direction)]
            step = length / sum(d * c for d, c in zip(direction, curved))
            weights = [w + step * d for w, d in zip(weights, direction)]
            rest = [g - step * c for g, c in zip(rest, curved)]
            before, length = length, sum(g * g for g in rest)
            direction = [g + length / before * d for g, d in zip(rest, direction)]
        self.state = {"mean": mean + weights.pop(), "weights": weights}

    @staticmethod
    def backward(vectors, values, size):
        out = [0.0] * size
        for vector, value in zip(vectors, values):
            for j, v in vector.items():
                out[j] += value * v
        return out

    def answer(self, vector):
        weights = self.state["weights"]
        return self.state["mean"] + sum(weights[j] * v for j, v in vector.items())


class Forest:
    """Extremely randomized trees: each cut is the best of a few drawn at random."""

    def __init__(self, state=None):
        self.state = state or {}

    def learn(self, vectors, values, context):
        self.regression = context["task"] == "regression"
        self.classes = [] if self.regression else sorted(set(values))
        rng = random.Random(context["seed"])
        if self.regression:
            goals = values
            weights = [1.0] * len(values)
        else:
            goals = [self.classes.index(v) for v in values]
            counts = collections.Counter(goals)
            weights = [1 / counts[g] if context["balanced"] else 1.0 for g in goals]
        columns = sorted({j for vector in vectors for j in vector})
        tries = max(2, round(math.sqrt(len(columns)))) if not self.regression else max(2, len(columns) // 3)
        self.data = (vectors, goals, weights)
        self.columns, self.tries, self.rng = columns, min(tries, 40), rng
        trees = [self.grow(list(range(len(vectors))), 0) for _ in range(context["trees"])]
        self.state = {"classes": self.classes, "trees": trees}

    def grow(self, rows, depth):
        vectors, goals, weights = self.data
        first = goals[rows[0]]
        if len(rows) < (4 if self.regression else 2) or depth >= 14 or all(goals[i] == first for i in rows):
            return self.leaf(rows)
        best = None
        for j in self.rng.sample(self.columns, min(self.tries, len(self.columns))):
            cells = [vectors[i].get(j, 0.0) for i in rows]
            low, high = min(cells), max(cells)
            if low == high:
                continue
            cut = self.rng.uniform(low, high)
            left = [i for i, v in zip(rows, cells) if v <= cut]
            right = [i for i, v in zip(rows, cells) if v > cut]
            if not left or not right:
                continue
            impurity = self.impurity(left) + self.impurity(right)
            if best is None or impurity < best[0]:
                best = (impurity, j, cut, left, right)
        if best is None:
            return self.leaf(rows)
        _, j, cut, left, right = best
        return [j, cut, self.grow(left, depth + 1), self.grow(right, depth + 1)]

    def impurity(self, rows):
        _, goals, weights = self.data
        if self.regression:
            total = sum(goals[i] for i in rows)
            return sum(goals[i] ** 2 for i in rows) - total * total / len(rows)
        shares = collections.Counter()
        for i in rows:
            shares[goals[i]] += weights[i]
        total = sum(shares.values())
        return total - sum(s * s for s in shares.values()) / total

    def leaf(self, rows):
        _, goals, weights = self.data
        if self.regression:
            return statistics.fmean(goals[i] for i in rows)
        shares = [0.0] * len(self.classes)
        for i in rows:
            shares[goals[i]] += weights[i]
        total = sum(shares)
        return {str(k): s / total for k, s in enumerate(shares) if s}

    def answer(self, vector):
        votes, total = collections.Counter(), 0.0
        for node in self.state["trees"]:
            while isinstance(node, list):
                node = node[2] if vector.get(node[0], 0.0) <= node[1] else node[3]
            if isinstance(node, dict):
                votes.update(node)
            else:
                total += node
        if not self.state["classes"]:
            return total / len(self.state["trees"])
        best = min(votes, key=lambda k: (-votes[k], int(k)))
        return self.state["classes"][int(best)]


LEARNERS = {"dummy": Dummy, "bayes": Bayes, "logistic": Logistic, "ridge": Ridge, "forest": Forest}


def candidates(task):
    return ["dummy", "ridge", "forest"] if task == "regression" else ["dummy", "bayes", "logistic", "forest"]


class Model:
    """A learner together with its encoder and the schema it was trained by."""

    def __init__(self, name, learner, encoder, schema, params):
        self.name, self.learner, self.encoder = name, learner, encoder
        self.schema, self.params = schema, params

    def predict(self, rows):
        return [self.learner.answer(self.encoder.encode(row)) for row in rows]

    def save(self, folder):
        parts = {
            "model": self.name,
            "params": self.params,
            "schema": self.schema,
            "versions": versions(),
            "encoder": self.encoder.parts,
            "state": self.learner.state,
        }
        with open(os.path.join(folder, "model.json"), "w", encoding="utf-8") as f:
            json.dump(parts, f)


def load_model(folder):
    """Loads a model that save wrote."""
    with open(os.path.join(folder, "model.json"), encoding="utf-8") as f:
        parts = json.load(f)
    learner = LEARNERS[parts["model"]](parts["state"])
    model = Model(parts["model"], learner, Encoder(parts["encoder"]), parts["schema"], parts["params"])
    model.versions = parts["versions"]
    return model


def fit(options, schema, rows, values):
    if options.model not in candidates(schema["task"]):
        sys.exit("train: there is no model %r; the models are %s" % (options.model, ", ".join(candidates(schema["task"]))))
    encoder = Encoder.learn(schema, rows)
    params = {
        "balanced": bool(schema["imbalanced"]) and schema["task"] != "regression",
        "rounds": 5 if options.quick else 30,
        "trees": 3 if options.quick else 25,
    }
    context = dict(params, task=schema["task"], metric=schema["metric"], size=encoder.size, seed=options.seed)
    learner = LEARNERS[options.model]() if len(set(values)) > 1 else Dummy()
    learner.learn([encoder.encode(row) for row in rows], values, context)
    used = {"bayes": ["balanced"], "logistic": ["balanced", "rounds"], "forest": ["balanced", "trees"]}.get(options.model, [])
    name = options.model if not isinstance(learner, Dummy) else "dummy"
    return Model(name, learner, encoder, schema, {k: params[k] for k in used})


def plan_effort(options, schema, rows, notes):
    """Fits folds and rows to what plain Python does in about half a minute."""
    width = sum(15 if f["kind"] == "text" else 4 if f["kind"] == "datetime" else 1 for f in schema["features"])
    options.max_rows = max(300, min(2000, 20_000 // width))
    options.folds = max(2, min(options.folds, rows // 4))
    if min(rows, options.max_rows) * width > 5_000:
        options.repeats = 1
        notes.append("one repeat of the folds instead of two, as plain Python is slow")


def versions():
    return {"python": platform.python_version()}


#include shared.py
