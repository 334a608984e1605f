"""ONNX files: columns, the index alone, float32, and what other runtimes need of the graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering, kernels
from centroids.export.onnx_file import write_onnx
from tests.export.test_onnx import (
    METRICS,
    TYPES,
    answer,
    check_centers,
    check_distances,
    sample,
    train,
)

onnx: Any = pytest.importorskip("onnx", reason="onnx is not installed")


def outputs_of(path: str) -> list[str]:
    return [output.name for output in onnx.load(path).graph.output]


@pytest.mark.slow
@pytest.mark.parametrize("sides", [1e4, 1e6])
@pytest.mark.parametrize(("dimensions", "num_clusters"), [(2, 20), (16, 100)])
def test_groups_a_million_times_farther_apart_keep_their_labels(
    tmp_path: Path, sides: float, dimensions: int, num_clusters: int
) -> None:
    points = sample((40_000, dimensions), np.float64)
    points[::2] += sides
    points[1::2] -= sides
    path = write_onnx(tmp_path / "model.onnx", points[:num_clusters], METRICS[0], 1)
    index, _ = answer(path, points)
    # Their own group decides, where nothing is far from anything.
    for group, side in ((points[::2], sides), (points[1::2], -sides)):
        own = np.arange(num_clusters).reshape(-1, 2)[:, 0 if side > 0 else 1]
        near, centers = group - side, points[own] - side
        differences = (near[:, np.newaxis] - centers) ** 2
        found = index[::2] if side > 0 else index[1::2]
        np.testing.assert_array_equal(found, own[differences.sum(axis=2).argmin(axis=1)])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("float32", [False, True])
def test_groups_far_apart_have_no_wrong_label(tmp_path: Path, metric: str, float32: bool) -> None:
    """Products lose every digit there: two candidates are not enough."""
    points = sample((1000, 6), np.float64)
    points[::2] += 1e4 if float32 else 1e8
    points[1::2] -= 1e4 if float32 else 1e8
    points = points.astype(np.float32) if float32 else points
    path = write_onnx(tmp_path / "m.onnx", points[:30], metric, 1, float32=float32)
    index, distances = answer(path, points)
    cosine = metric == METRICS[1]
    if not cosine:
        differences = points.astype(np.float64)[:, np.newaxis] - points[:30].astype(np.float64)
        squares = (differences**2).sum(axis=2)
        np.testing.assert_array_equal(index, squares.argmin(axis=1))
        np.testing.assert_allclose(distances, squares, rtol=1e-5)
    expected = kernels.assign(points, points[:30], cosine=cosine).cluster_index
    np.testing.assert_array_equal(index, expected)


@pytest.mark.parametrize("dtype", TYPES)
def test_three_directions_that_round_to_one_are_compared(tmp_path: Path, dtype: Any) -> None:
    base = sample((20, 3), dtype)
    centers = np.concatenate([base, base * dtype(1.5), base * dtype(3), base * dtype(7)])
    points = sample((1000, 3), dtype, seed=1)
    index, _ = answer(write_onnx(tmp_path / "m.onnx", centers, METRICS[1], 1), points)
    expected = kernels.assign(points, centers, cosine=True).cluster_index
    assert (index != expected).mean() < (0.001 if dtype == np.float32 else 0.2)


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("float32", [False, True])
@pytest.mark.parametrize("index_only", [False, True])
def test_labels_are_right_with_every_option(
    tmp_path: Path, metric: str, dtype: Any, offset: float, float32: bool, index_only: bool
) -> None:
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    model = train(sample((2000, 16), dtype, offset), 30, distance_metric=metric)
    path = model.export_onnx(tmp_path / "m.onnx", float32=float32, index_only=index_only)
    points = sample((20_000, 16), np.float32 if float32 else dtype, offset, seed=1)
    centers = model.cluster_centers().astype(points.dtype)
    cosine = metric == METRICS[1]
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(None, {"points": points})
    assert len(found) == (1 if index_only else 2)
    expected = kernels.assign(points, centers, cosine=cosine).cluster_index
    np.testing.assert_array_equal(found[0], expected)
    if not index_only:
        assert found[1].dtype == points.dtype
        largest = kernels.all_distances(points, centers, cosine=cosine).max()
        # Products of float32 leave six digits of what is as large as the spread.
        allowed = {"atol": largest * 1e-5} if float32 else {"rtol": 1e-5}
        check_distances(found[1], points, centers, cosine, **allowed)


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_the_index_is_that_of_the_lowest_distance(tmp_path: Path, metric: str) -> None:
    centers = np.repeat(sample((40, 7), np.float64) * 1e4, 2, axis=0)
    centers[::2] += 1e-8
    path = write_onnx(tmp_path / "model.onnx", centers, metric, 1)
    index, distances = answer(path, centers)
    own = distances[np.arange(len(index)), index]
    np.testing.assert_array_equal(own, distances.min(axis=1))


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_many_equal_centers(tmp_path: Path, metric: str) -> None:
    centers = sample((5, 3), np.float32)[[0, 1, 0, 0, 2, 0, 1, 3, 0]]
    check_centers(tmp_path, centers, sample((500, 3), np.float32, seed=1), metric)
    check_centers(tmp_path, centers[[0, 0, 0]], sample((50, 3), np.float32, seed=1), metric)


def test_names_of_columns_are_in_the_metadata(tmp_path: Path) -> None:
    model = train(sample((50, 2), np.float32), 3)
    names = ["H\u00f6he, cm", "width"]
    proto = onnx.load(model.export_onnx(tmp_path / "m.onnx", columns=names))
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(properties["columns"]) == names
    features = {"width": np.zeros(5), "height": np.zeros((5, 1))}
    proto = onnx.load(model.export_onnx(tmp_path / "m.onnx", columns=features))
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(properties["columns"]) == ["height", "width"]
    with pytest.raises(ValueError, match="must name the 2 columns of the points, got 1 names"):
        model.export_onnx(tmp_path / "m.onnx", columns=["a"])
    for wrong in ("ab", ["a", 3]):
        with pytest.raises(TypeError, match="columns must be a list of names"):
            model.export_onnx(tmp_path / "m.onnx", columns=wrong)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("float32", [False, True])
def test_operators_that_not_every_runtime_has_are_avoided(
    tmp_path: Path, metric: str, float32: bool
) -> None:
    path = write_onnx(
        tmp_path / "m.onnx", sample((5, 3), np.float64), metric, 1, index_only=True, float32=float32
    )
    proto = onnx.load(path)
    products = [node for node in proto.graph.node if node.op_type == "Gemm"]
    assert {len(product.input) for product in products} == {2}  # tract refuses one to add
    assert outputs_of(path) == ["cluster_index"]
    kinds = {value.type.tensor_type.elem_type for value in proto.graph.input}
    assert kinds == {onnx.TensorProto.FLOAT if float32 else onnx.TensorProto.DOUBLE}


def test_the_graph_computes_what_it_should_by_the_reference_of_onnx(tmp_path: Path) -> None:
    reference = pytest.importorskip("onnx.reference")
    random = np.random.default_rng(0)
    points = random.integers(0, 4, size=(60, 2)).astype(np.float64)
    centers = np.array([[3.0, 0.0], [0.0, 1.0], [1.0, 2.0], [0.0, 1.0], [2.0, 2.0]])
    squares = ((points[:, np.newaxis] - centers) ** 2).sum(axis=2)
    for options in ({}, {"float32": True}):
        path = write_onnx(tmp_path / "m.onnx", centers, METRICS[0], 1, **options)
        given = points.astype(np.float32) if options else points
        index, distances = reference.ReferenceEvaluator(path).run(None, {"points": given})
        np.testing.assert_array_equal(index, squares.argmin(axis=1))
        np.testing.assert_array_equal(distances, squares)


def test_centers_beyond_float32_are_refused(tmp_path: Path) -> None:
    centers = np.full((2, 2), 1e39)
    with pytest.raises(ValueError, match=r"float32 was asked for, but the centers reach 1e\+39"):
        write_onnx(tmp_path / "m.onnx", centers, METRICS[0], 1, float32=True)
    assert not list(tmp_path.iterdir())


def test_both_options_of_a_model_of_float64(tmp_path: Path) -> None:
    model = KMeansClustering(2, initial_clusters=np.eye(2)).train(lambda: [np.eye(2)])
    path = model.export_onnx(tmp_path / "m.onnx", index_only=True, float32=True)
    clusters = {value.name: value for value in onnx.load(path).graph.initializer}["clusters"]
    assert onnx.numpy_helper.to_array(clusters).dtype == np.float32
