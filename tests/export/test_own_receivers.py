"""Receivers that programs write themselves."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import centroids
from centroids import export
from centroids.export import FixedLenFeature

POINTS = np.array([[0.0, 0.0], [0.0, 2.0], [9.0, 0.0], [9.0, 2.0]], np.float32)
SPEC = {"x": FixedLenFeature([2], np.float32)}


def parsing_receiver() -> export.ServingInputReceiver:
    rows = export.placeholder("S", [None], "rows_of_a_request")
    return export.ServingInputReceiver(export.parse_example(rows, SPEC), {"rows": rows})


def tensor_receiver() -> export.ServingInputReceiver:
    points = export.placeholder(np.float32, [None, 2], "points")
    return export.TensorServingInputReceiver(points, {"points": points})


@pytest.fixture
def kmeans(tmp_path: Path) -> centroids.KMeansClustering:
    model = centroids.KMeansClustering(2, tmp_path / "model", POINTS[[0, 3]], use_mini_batch=False)
    return model.train(lambda: POINTS, steps=2)


def test_parsed_features_are_those_of_the_examples() -> None:
    receiver = parsing_receiver()
    assert list(receiver.named_receivers) == ["rows"]
    assert isinstance(receiver.features, dict)
    assert receiver.features["x"].shape == (None, 2)
    numbers = export.placeholder(np.float32, [None])
    with pytest.raises(ValueError, match='serialized must be a tensor of the type "S"'):
        export.parse_example(numbers, SPEC)
    with pytest.raises(ValueError, match=r"serialized must have one axis, got the shape \(\)"):
        export.parse_example(export.placeholder("S", []), SPEC)
    with pytest.raises(ValueError, match="features must be a dict of FixedLenFeature by name"):
        export.parse_example(export.placeholder("S", [None]), {})


def test_a_tensor_receiver_has_one_tensor() -> None:
    receiver = tensor_receiver()
    assert isinstance(receiver, export.ServingInputReceiver)
    assert list(receiver.named_receivers) == ["points"]
    points = export.placeholder(np.float32, [None, 2])
    assert list(export.TensorServingInputReceiver(points, points).named_receivers) == ["input"]
    with pytest.raises(ValueError, match="TensorServingInputReceiver must be a tensor, got"):
        export.TensorServingInputReceiver({"x": points}, points)


def test_both_are_exported(kmeans: centroids.KMeansClustering, tmp_path: Path) -> None:
    for receiver in (parsing_receiver, tensor_receiver):
        folder = kmeans.export_savedmodel(tmp_path / receiver.__name__, receiver)
        assert (Path(folder) / "saved_model.pb").stat().st_size > 100


ANSWER = """
import sys, numpy as np, tensorflow as tf
points = np.array([[1, 1], [8, 1], [0, 5]], np.float32)
floats = [tf.train.Feature(float_list=tf.train.FloatList(value=row)) for row in points]
examples = [tf.train.Example(features=tf.train.Features(feature={"x": row})) for row in floats]
by_example = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
by_tensor = tf.saved_model.load(sys.argv[2]).signatures["serving_default"]
rows = tf.constant([example.SerializeToString() for example in examples])
for answer in (by_example(rows=rows), by_tensor(points=tf.constant(points))):
    print(answer["output"].numpy())
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="needs TensorFlow")
def test_tensorflow_fills_them(kmeans: centroids.KMeansClustering, tmp_path: Path) -> None:
    folders = [
        kmeans.export_savedmodel(tmp_path / receiver.__name__, receiver)
        for receiver in (parsing_receiver, tensor_receiver)
    ]
    command = [sys.executable, "-c", ANSWER, *folders]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0 1 0]\n[0 1 0]"
