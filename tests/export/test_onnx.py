"""Models as ONNX files: onnxruntime finds what KMeansClustering finds."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from centroids import KMeansClustering, kernels
from centroids.export.onnx_file import write_onnx
from centroids.inputs import limit_epochs
from tests.export.oracle import cosine_distances

METRICS = (KMeansClustering.SQUARED_EUCLIDEAN_DISTANCE, KMeansClustering.COSINE_DISTANCE)
TYPES = (np.float32, np.float64)
needs_onnx = pytest.mark.skipif(
    importlib.util.find_spec("onnx") is None, reason="onnx is not installed"
)


def sample(shape: tuple[int, int], dtype: Any, offset: float = 0.0, seed: int = 0) -> NDArray[Any]:
    return (np.random.default_rng(seed).normal(size=shape) + offset).astype(dtype)


def train(points: NDArray[Any], num_clusters: int, **settings: Any) -> KMeansClustering:
    model = KMeansClustering(num_clusters, **settings)
    return model.train(lambda: points, steps=5)


def answer(path: str, points: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """What onnxruntime says: cluster_index and all_distances."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    index, distances = session.run(["cluster_index", "all_distances"], {"points": points})
    return index, distances


def check_centers(
    folder: Path, centers: NDArray[Any], points: NDArray[Any], metric: str, rtol: float = 1e-5
) -> None:
    """The file of these centers gives the labels and distances of the kernels."""
    index, distances = answer(write_onnx(folder / "model.onnx", centers, metric, 1), points)
    cosine = metric == KMeansClustering.COSINE_DISTANCE
    assert index.dtype == np.int64 and distances.dtype == centers.dtype
    np.testing.assert_array_equal(
        index, kernels.assign(points, centers, cosine=cosine).cluster_index
    )
    check_distances(distances, points, centers, cosine, rtol=rtol)
    assert not (distances < 0).any()


def check_distances(
    distances: NDArray[Any],
    points: NDArray[Any],
    centers: NDArray[Any],
    cosine: bool,
    **allowed: Any,
) -> None:
    """They are those of the kernels; for cosine of float32, those of float64.

    The kernels round unit vectors to float32 where that leaves no doubt about the nearest: their
    distances then have fewer digits where the vectors are near each other.
    """
    kernel = kernels.all_distances(points, centers, cosine=cosine)
    if cosine:
        np.testing.assert_allclose(distances, cosine_distances(points, centers), **allowed)
        check_rounded_chords(distances, kernel)
    if not cosine or points.dtype == np.float64:
        np.testing.assert_allclose(distances, kernel, **allowed)


def check_rounded_chords(distances: NDArray[Any], kernel: NDArray[Any]) -> None:
    """Cosine distances are those of chords between unit vectors that were rounded."""
    margin = 4 * np.finfo(kernel.dtype).eps
    np.testing.assert_allclose(np.sqrt(distances), np.sqrt(kernel), rtol=1e-5, atol=margin)


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize(("dimensions", "num_clusters"), [(1, 3), (2, 10), (16, 10), (64, 100)])
def test_onnxruntime_agrees(
    tmp_path: Path, metric: str, dtype: Any, offset: float, dimensions: int, num_clusters: int
) -> None:
    points = sample((10_000, dimensions), dtype, offset)
    model = train(points, num_clusters, distance_metric=metric)
    path = model.export_onnx(tmp_path / "model.onnx")
    fresh = sample((10_000, dimensions), dtype, offset, seed=1)

    def once() -> Any:
        return limit_epochs(fresh, num_epochs=1)

    index, distances = answer(path, fresh)
    np.testing.assert_array_equal(index, list(model.predict_cluster_index(once)))
    assert distances.dtype == dtype
    # Angles in one dimension are 0 or 180 degrees, up to the rounding of a quotient.
    centers, cosine = model.cluster_centers(), metric == METRICS[1]
    check_distances(distances, fresh, centers, cosine, rtol=1e-5, atol=1e-30)
    assert distances.min() >= 0


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(tmp_path: Path, metric: str, rows: int) -> None:
    check_centers(tmp_path, sample((4, 3), np.float32), sample((rows, 3), np.float32, 1), metric)


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_one_cluster(tmp_path: Path, metric: str, offset: float) -> None:
    points = sample((1000, 3), np.float32, offset)
    check_centers(tmp_path, points[:1], points, metric)


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_many_clusters_of_many_dimensions(tmp_path: Path, metric: str) -> None:
    points = sample((3000, 768), np.float32, 3.0)
    check_centers(tmp_path, points[:1000] * np.float32(0.9), points, metric)


@needs_onnx
@pytest.mark.slow
def test_a_model_of_integers(tmp_path: Path) -> None:
    points = np.random.default_rng(0).integers(-9, 9, size=(500, 3))
    model = train(points, 6, use_mini_batch=False)
    index, _ = answer(model.export_onnx(tmp_path / "model.onnx"), points.astype(np.float64))
    once = limit_epochs(points, num_epochs=1)
    np.testing.assert_array_equal(index, list(model.predict_cluster_index(lambda: once)))


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("offset", [0, 10_000])
def test_the_lowest_index_wins_ties(tmp_path: Path, offset: int) -> None:
    random = np.random.default_rng(0)
    points = (random.integers(0, 8, size=(10_000, 3)) + offset).astype(np.float32)
    centers = (random.integers(0, 8, size=(51, 3)) + offset).astype(np.float32)
    check_centers(tmp_path, centers, points, METRICS[0])


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("metric", METRICS)
def test_the_lowest_of_equal_centers_wins(tmp_path: Path, metric: str, dtype: Any) -> None:
    centers = sample((37, 13), dtype)
    centers[20:] = centers[:17]
    index, _ = answer(
        write_onnx(tmp_path / "model.onnx", centers, metric, 1), sample((5000, 13), dtype, seed=1)
    )
    assert index.max() < 20


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_a_point_that_is_a_center_is_at_distance_0(
    tmp_path: Path, dtype: Any, offset: float
) -> None:
    centers = sample((50, 7), dtype, offset)
    centers[49] = centers[3]
    index, distances = answer(write_onnx(tmp_path / "m.onnx", centers, METRICS[0], 1), centers)
    assert index.tolist() == [*range(49), 3]
    assert (distances[np.arange(50), np.arange(50)] == 0).all() and distances[3, 49] == 0


@needs_onnx
@pytest.mark.slow
def test_groups_far_apart_keep_their_labels(tmp_path: Path) -> None:
    points = sample((4000, 2), np.float64)
    points[::2] += 1e4
    points[1::2] -= 1e4
    check_centers(tmp_path, points[:20], points[20:], METRICS[0])


@needs_onnx
@pytest.mark.slow
def test_data_very_far_from_the_origin_keeps_its_distances(tmp_path: Path) -> None:
    points = sample((5000, 6), np.float64, 1e9)
    check_centers(tmp_path, points[:20], points[20:], METRICS[0])


@needs_onnx
@pytest.mark.slow
def test_distances_are_never_negative(tmp_path: Path) -> None:
    # Pairs of nearly equal centers: |x|^2 - 2xc + |c|^2 is a rounding error of either sign.
    centers = np.repeat(sample((40, 7), np.float64) * 1e4, 2, axis=0)
    centers[::2] += 1e-8
    _, distances = answer(write_onnx(tmp_path / "model.onnx", centers, METRICS[0], 1), centers)
    assert distances.min() == 0


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("dtype", TYPES)
def test_zero_vectors_have_no_direction(tmp_path: Path, dtype: Any) -> None:
    centers, points = sample((5, 3), dtype), sample((20, 3), dtype, seed=1)
    centers[2] = points[7] = 0
    check_centers(tmp_path, centers, points, METRICS[1])
    check_centers(tmp_path, np.zeros((3, 3), dtype), points, METRICS[1])
    index, distances = answer(str(tmp_path / "model.onnx"), points)
    assert not index.any() and (distances == 1).all()


@needs_onnx
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("common", [0, 50])
def test_points_at_right_angles_to_all_centers_are_at_distance_1(
    tmp_path: Path, dtype: Any, common: int
) -> None:
    # With a large column in common the centers are shifted, and scores do not tie.
    centers = np.pad(np.random.default_rng(0).random((40, 6)), [(0, 0), (0, 5)]).astype(dtype)
    centers[:, 0] += common
    points = np.pad(np.random.default_rng(1).normal(size=(200, 5)), [(0, 0), (6, 0)]).astype(dtype)
    index, distances = answer(write_onnx(tmp_path / "m.onnx", centers, METRICS[1], 1), points)
    assert not index.any() and (distances == 1).all()
    check_centers(tmp_path, centers, centers[::-1] + points[:40], METRICS[1])


@needs_onnx
@pytest.mark.slow
def test_cosines_of_huge_and_tiny_vectors(tmp_path: Path) -> None:
    points = sample((300, 5), np.float64)
    points[:100] *= 1e300
    points[100:200] *= 1e-300
    check_centers(tmp_path, sample((7, 5), np.float64, seed=1), points, METRICS[1])


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_bad_points_have_no_distance(tmp_path: Path, metric: str) -> None:
    points = sample((3, 4), np.float32, seed=1)
    points[0, 1], points[2, 3] = np.nan, np.inf
    path = write_onnx(tmp_path / "model.onnx", sample((5, 4), np.float32), metric, 1)
    _, distances = answer(path, points)
    assert np.isfinite(distances).all(axis=1).tolist() == [False, True, False]
    assert np.isnan(distances[0]).all()


@needs_onnx
def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    import onnx

    points = sample((100, 3), np.float64)
    model = train(points, 4, distance_metric=METRICS[1])
    proto = onnx.load(model.export_onnx(tmp_path / "model.onnx"))
    onnx.checker.check_model(proto, full_check=True)
    assert proto.producer_name == "centroids" and proto.ir_version == 7
    assert [entry.version for entry in proto.opset_import] == [13]
    assert {entry.key: entry.value for entry in proto.metadata_props} == {
        "distance_metric": "cosine",
        "global_step": "5",
        "num_clusters": "4",
    }
    shapes = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in [*proto.graph.input, *proto.graph.output]
    }
    assert shapes == {"points": ["n", 3], "cluster_index": ["n"], "all_distances": ["n", 4]}
    assert proto.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE


@needs_onnx
def test_a_checkpoint_of_ones_choice_is_exported(tmp_path: Path) -> None:
    import onnx

    model = KMeansClustering(2, str(tmp_path / "model"), initial_clusters=np.eye(2))
    points = sample((50, 2), np.float64)
    first = model.train(lambda: points, steps=1).latest_checkpoint()
    before = model.cluster_centers()
    model.train(lambda: points, steps=1)
    proto = onnx.load(model.export_onnx(tmp_path / "old.onnx", first))
    clusters = {value.name: value for value in proto.graph.initializer}["clusters"]
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(clusters), before)


@needs_onnx
def test_the_same_model_gives_the_same_bytes_in_place_of_the_old(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"old")
    model = train(sample((100, 3), np.float32), 4)
    assert model.export_onnx(file) == str(file)
    first = file.read_bytes()
    model.export_onnx(str(file))
    assert file.read_bytes() == first and os.listdir(tmp_path) == ["model.onnx"]


@needs_onnx
def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"old")
    model = train(sample((100, 3), np.float32), 4)

    def fail(source: str, target: str) -> None:
        raise OSError(28, "No space left on device", source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match=r"No space left on device: '.*model\.onnx'$"):
        model.export_onnx(file)
    assert file.read_bytes() == b"old" and os.listdir(tmp_path) == ["model.onnx"]


@pytest.fixture
def trained() -> Iterator[KMeansClustering]:
    yield train(sample((100, 3), np.float32), 4)


def test_a_folder_in_the_way_is_named(tmp_path: Path, trained: KMeansClustering) -> None:
    with pytest.raises(IsADirectoryError, match=f"{tmp_path}: it is a folder"):
        trained.export_onnx(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*absent"):
        trained.export_onnx(tmp_path / "absent" / "model.onnx")
    with pytest.raises(ValueError, match="path must name a file, got ''"):
        trained.export_onnx("")
    assert not os.listdir(tmp_path)


def test_an_absent_package_is_named(
    tmp_path: Path, trained: KMeansClustering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'centroids\[onnx\]'"):
        trained.export_onnx(tmp_path / "model.onnx")
    assert not os.listdir(tmp_path)


def test_centers_beyond_what_a_file_holds_are_refused(tmp_path: Path) -> None:
    centers = np.broadcast_to(np.float32(0), (1 << 20, 600))  # takes no memory
    with pytest.raises(ValueError, match=r"up to 2 GB, but 1048576 centers .* take 2\.53 GB"):
        write_onnx(tmp_path / "model.onnx", centers, METRICS[0], 1)
    assert not os.listdir(tmp_path)


def test_only_a_trained_model_of_the_same_kind_is_exported(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    with pytest.raises(ValueError, match="Could not find trained model"):
        KMeansClustering(4).export_onnx(file)
    folder = str(tmp_path / "model")
    train(sample((100, 3), np.float32), 4, model_dir=folder)
    with pytest.raises(ValueError, match="distance_metric is 'squared_euclidean' there"):
        KMeansClustering(4, folder, distance_metric="cosine").export_onnx(file)
    with pytest.raises(ValueError, match="num_clusters is 5, but the trained model has 4"):
        KMeansClustering(5, folder).export_onnx(file)
    with pytest.raises(ValueError, match=r"absent\.safetensors is not a file"):
        KMeansClustering(4, folder).export_onnx(file, tmp_path / "absent")
    assert not file.exists()
