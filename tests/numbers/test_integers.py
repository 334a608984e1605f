"""Integers keep their digits: those of 32 bits and more are computed in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import centroids
from centroids import export
from centroids.inputs import file_input_fn, limit_epochs
from tests.export.proto import read_meta_graph

SECONDS = [[1_700_000_000, 3], [1_700_000_001, 3], [1_700_000_100, 3], [1_700_000_101, 3]]
CENTERS = [[1_700_000_000.5, 3.0], [1_700_000_100.5, 3.0]]
WIDE = ["int32", "uint32", "int64", "uint64"]
NARROW = ["bool", "int8", "uint8", "int16", "uint16"]
LAYOUTS: dict[str, Any] = {
    "dense": lambda points: points,
    "by column": np.asfortranarray,
    "foreign": lambda points: points.astype(points.dtype.newbyteorder()),
    "sparse": scipy.sparse.csr_array,
    "columns": lambda points: {"a": points[:, 0], "b": points[:, 1].astype(np.int8)},
}


def train(input_fn: Any, mini_batch: bool = False, **arguments: Any) -> centroids.KMeansClustering:
    arguments.setdefault("initial_clusters", np.array(SECONDS)[[0, 2]])
    model = centroids.KMeansClustering(2, use_mini_batch=mini_batch, **arguments)
    return model.train(input_fn, steps=3)


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_times_in_seconds_keep_their_digits(dtype: str, layout: str) -> None:
    features = LAYOUTS[layout](np.array(SECONDS, dtype))
    model = train(lambda: features)
    assert model.cluster_centers().dtype == np.float64
    assert model.cluster_centers().tolist() == CENTERS

    def once() -> Any:
        return limit_epochs(features, num_epochs=1)

    assert list(model.predict_cluster_index(once)) == [0, 0, 1, 1]
    distances = np.array(list(model.transform(once)))
    assert distances.dtype == np.float64
    if layout == "sparse":  # exact relative to the squared length of a point, which is huge here
        same = train(lambda: features.astype(np.float64))
        np.testing.assert_array_equal(distances, np.array(list(same.transform(once))))
        return
    assert model.score(once) == 1.0
    assert distances[:, 0].tolist() == [0.25, 0.25, 99.5**2, 100.5**2]


@pytest.mark.parametrize("method", ["random", "kmeans_plus_plus", lambda points, k: points[:k]])
def test_initial_centers_and_small_batches_keep_their_digits(method: Any) -> None:
    points = np.array(SECONDS)
    model = train(lambda: points, initial_clusters=method)
    assert sorted(model.cluster_centers().tolist()) in (CENTERS, sorted(points[:2].tolist()))
    batches = [points[[1, 3]], points[[1, 3]], points[[1, 3]]]
    model = train(lambda: iter(batches), mini_batch=True)
    want = [1_700_000_000.75, 1_700_000_100.75]  # three points beside the count that it starts with
    assert model.cluster_centers()[:, 0].tolist() == want


@pytest.mark.parametrize("dtype", WIDE)
def test_files_and_exports_keep_the_digits(tmp_path: Path, dtype: str) -> None:
    pa: Any = pytest.importorskip("pyarrow")
    pq: Any = pytest.importorskip("pyarrow.parquet")
    points = np.array(SECONDS, dtype)
    np.save(tmp_path / "points.npy", points)
    pq.write_table(pa.table({"a": points[:, 0], "b": points[:, 1]}), tmp_path / "points.parquet")
    for name in ("points.npy", "points.parquet"):
        model = train(file_input_fn(tmp_path / name, num_epochs=None))
        assert model.cluster_centers().tolist() == CENTERS
    receive = export.build_raw_serving_input_receiver_fn({"points": points})
    assert list(model.predict_cluster_index(lambda: [points])) == [0, 0, 1, 1]
    signatures = read_meta_graph(model.export_savedmodel(tmp_path, receive)).signature_def
    assert signatures["all_distances"].outputs["output"].dtype == 2  # DT_DOUBLE


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_what_float32_holds_is_computed_in_float32(dtype: str, layout: str) -> None:
    ends = [0, 1] if dtype == "bool" else [np.iinfo(dtype).min, np.iinfo(dtype).max]
    points = LAYOUTS[layout](np.array([[ends[0]], [ends[1]]], dtype))
    model = train(lambda: points, initial_clusters=np.array([[ends[0]], [ends[1]]]))
    assert model.cluster_centers().dtype == np.float32
    assert model.cluster_centers().ravel().tolist() == ends
    assert model.score(lambda: points) == 0.0


def test_integers_beyond_the_digits_of_float64_are_rounded() -> None:
    points = np.array([[2**53], [2**53 + 1], [-(2**53)]])
    model = train(lambda: points, initial_clusters=points[[0, 2]])
    assert model.cluster_centers().ravel().tolist() == [2.0**53, -(2.0**53)]
