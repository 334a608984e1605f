"""Answers requests with TensorFlow, as a program of its own: it must not meet our warnings filter.

`python answer_with_tensorflow.py LOADER FOLDER...`: each folder has an exported model, named in
`model.txt`, and its requests, `inputs.npz`. The answers go to `<loader>.npz`, one array for each
signature. Requests for serialized examples are made from the inputs by name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

Arrays = dict[str, Any]


def requests(path: Path, names: list[str]) -> Arrays:
    """The inputs of a request by name."""
    inputs = dict(np.load(path / "inputs.npz"))
    if names != ["examples"]:
        return inputs
    columns = sorted(inputs)
    rows = zip(*(inputs[name] for name in columns), strict=True)
    examples = [dict(zip(columns, row, strict=True)) for row in rows]
    return {"examples": np.array([serialize(example) for example in examples], object)}


def serialize(example: Arrays) -> bytes:
    """One row as a serialized tf.Example."""
    features = {}
    for name, value in example.items():
        values = np.ravel(value)
        if values.dtype.kind == "f":
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        else:
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def tf2(path: Path, model: str) -> Arrays:
    """By tf.saved_model.load."""
    signatures = tf.saved_model.load(model).signatures
    names = list(signatures["serving_default"].structured_input_signature[1])
    inputs = {name: tf.constant(value) for name, value in requests(path, names).items()}
    return {key: answer(**inputs)["output"].numpy() for key, answer in signatures.items()}


def tf1(path: Path, model: str) -> Arrays:
    """By the loader that TF Serving's first models were made for, into a session."""
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], model)
        answers = {}
        for key, signature in graph.signature_def.items():
            assert signature.method_name == "tensorflow/serving/predict"
            inputs = requests(path, list(signature.inputs))
            feed = {signature.inputs[name].name: value for name, value in inputs.items()}
            answers[key] = session.run(signature.outputs["output"].name, feed)
    return answers


LOADERS: dict[str, Callable[[Path, str], Arrays]] = {"tf1": tf1, "tf2": tf2}

if __name__ == "__main__":
    loader, *folders = sys.argv[1:]
    for folder in map(Path, folders):
        np.savez(folder / loader, **LOADERS[loader](folder, (folder / "model.txt").read_text()))
