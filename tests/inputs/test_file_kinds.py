"""A file that is packed is refused by what it is, whatever its name ends in."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

import centroids
from centroids.inputs import file_input_fn, numpy_input_fn


def test_a_packed_file_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "monday.gz").write_bytes(gzip.compress(b"1,2\n"))
    with pytest.raises(ValueError, match=r"monday.gz is compressed by gzip; unpack it first"):
        file_input_fn(tmp_path / "monday.gz")
    (tmp_path / "a.xyz").write_bytes(b"1,2\n")
    with pytest.raises(ValueError, match=r"must end in .csv, .*Convert it, or rename it"):
        file_input_fn(tmp_path / "a.xyz")


def test_a_generator_object_is_not_an_input_function() -> None:
    kmeans = centroids.KMeansClustering(2)
    with pytest.raises(TypeError, match="a function that makes a new one at each call"):
        kmeans.train(iter([[[1.0]]]))
    with pytest.raises(TypeError, match="write `lambda: data`"):
        kmeans.train([[1.0]])


def test_another_input_within_a_pass_names_the_argument() -> None:
    points = [[0.0], [1.0], [2.0], [3.0]]
    array = np.array(points)
    kmeans = centroids.KMeansClustering(2)
    kmeans.train(numpy_input_fn(array, batch_size=2, shuffle=False), steps=1)
    with pytest.raises(ValueError, match="in the middle of another input") as caught:
        kmeans.train(lambda: array, steps=1)
    told = str(caught.value)
    assert told.endswith("to begin this input at its beginning, pass restart_input=True to train")
    assert "{" not in told and "--" not in told
