"""Centers as plain arrays: NumPy archives and faiss indices."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import kernels
from centroids.export.array_files import write_faiss, write_npz

CENTERS = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
POINTS = np.random.default_rng(1).normal(size=(2000, 5)).astype(np.float32)


def npz(path: Path) -> str:
    return write_npz(path, CENTERS, np.arange(20), "cosine", 7)


def faiss_index(path: Path) -> str:
    pytest.importorskip("faiss", reason="faiss is not installed")
    return write_faiss(path, CENTERS, "squared_euclidean")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_archive_holds_the_arrays_to_the_bit(tmp_path: Path, dtype: Any) -> None:
    centers, counts = CENTERS.astype(dtype) / 3, np.arange(20)
    path = write_npz(tmp_path / "centers.npz", centers, counts, "squared_euclidean", 7)
    with np.load(path, allow_pickle=False) as archive:
        assert sorted(archive) == ["cluster_counts", "clusters", "distance_metric", "global_step"]
        assert archive["clusters"].dtype == dtype
        np.testing.assert_array_equal(archive["clusters"], centers)
        np.testing.assert_array_equal(archive["cluster_counts"], counts)
        assert str(archive["distance_metric"]) == "squared_euclidean"
        assert int(archive["global_step"]) == 7


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cosine", [False, True])
def test_faiss_finds_the_same_clusters(tmp_path: Path, dtype: Any, cosine: bool) -> None:
    faiss = pytest.importorskip("faiss", reason="faiss is not installed")
    metric = "cosine" if cosine else "squared_euclidean"
    centers = CENTERS.astype(dtype)
    index = faiss.read_index(write_faiss(tmp_path / "centers.faiss", centers, metric))
    points = POINTS.copy()
    if cosine:
        faiss.normalize_L2(points)
    found, labels = index.search(points, 1)
    np.testing.assert_array_equal(
        labels[:, 0], kernels.assign(POINTS, centers, cosine=cosine).cluster_index
    )
    nearest = kernels.all_distances(POINTS, centers, cosine=cosine).min(axis=1)
    np.testing.assert_allclose(1 - found[:, 0] if cosine else found[:, 0], nearest, atol=1e-6)
    stored = index.reconstruct_n(0, 20)
    np.testing.assert_allclose(
        np.linalg.norm(stored, axis=1) if cosine else stored[:, 0],
        1 if cosine else CENTERS[:, 0],
        rtol=1e-6,
    )


@pytest.mark.parametrize("write", [npz, pytest.param(faiss_index, marks=pytest.mark.slow)])
def test_a_file_is_replaced_and_a_folder_is_not(
    tmp_path: Path, write: Callable[[Path], str]
) -> None:
    file = tmp_path / "centers"  # no ending is added
    file.write_bytes(b"old")
    assert write(file) == str(file)
    assert file.read_bytes() != b"old" and os.listdir(tmp_path) == ["centers"]
    with pytest.raises(IsADirectoryError, match=f"{tmp_path}: it is a folder"):
        write(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*absent"):
        write(tmp_path / "absent" / "centers")
    assert os.listdir(tmp_path) == ["centers"]


def test_absent_faiss_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match="pip install faiss-cpu"):
        write_faiss(tmp_path / "centers.faiss", CENTERS, "cosine")
    assert not os.listdir(tmp_path)


@pytest.mark.slow
def test_values_that_faiss_cannot_hold_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason="faiss is not installed")
    with pytest.raises(ValueError, match="holds float32, but the centers reach 1e\\+39"):
        write_faiss(tmp_path / "centers.faiss", np.full((2, 2), 1e39), "squared_euclidean")
    assert not os.listdir(tmp_path)


def far_points(offset: float) -> np.ndarray:
    return (np.random.default_rng(2).normal(size=(20_000, 16)) + offset).astype(np.float32)


def exact_labels(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """By differences in float64, a part at a time."""
    wide = centers.astype(np.float64)
    parts = np.array_split(points.astype(np.float64), 40)
    return np.concatenate(
        [((part[:, np.newaxis] - wide) ** 2).sum(axis=2).argmin(axis=1) for part in parts]
    )


@pytest.mark.slow
@pytest.mark.parametrize("offset", [0.0, 10.0, 1e4, 1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_faiss_is_right_far_from_the_origin(tmp_path: Path, offset: float, dtype: Any) -> None:
    faiss = pytest.importorskip("faiss", reason="faiss is not installed")
    points = far_points(offset)
    centers = points[:100].astype(dtype)
    index = faiss.read_index(write_faiss(tmp_path / "c.faiss", centers, "squared_euclidean"))
    kind = faiss.IndexFlatL2 if offset == 0 else faiss.IndexPreTransform
    assert type(index) is kind and index.ntotal == 100
    distances, labels = index.search(points, 1)
    np.testing.assert_array_equal(labels[:, 0], exact_labels(points, centers))
    nearest = kernels.all_distances(points, points[:100]).min(axis=1)
    np.testing.assert_allclose(distances[:, 0], nearest, atol=1e-4)
    np.testing.assert_array_equal(index.reconstruct_n(0, 100), points[:100])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["IVFFlat", "IVFPQ"])
def test_faiss_takes_it_for_a_coarse_quantizer(tmp_path: Path, kind: str) -> None:
    faiss = pytest.importorskip("faiss", reason="faiss is not installed")
    points = far_points(1e4)[:5000]
    path = write_faiss(tmp_path / "c.faiss", points[:100], "squared_euclidean")
    faiss.omp_set_num_threads(1)  # its training on many small lists waits more than it works
    quantizer = faiss.read_index(path)
    more = (8, 8) if kind == "IVFPQ" else ()
    index = getattr(faiss, f"Index{kind}")(quantizer, 16, 100, *more)
    index.train(points)
    index.add(points)
    lists = np.full(len(points), -1)
    for number in range(100):
        size = index.invlists.list_size(number)
        if size:
            lists[faiss.rev_swig_ptr(index.invlists.get_ids(number), size)] = number
    np.testing.assert_array_equal(lists, exact_labels(points, points[:100]))
    index.nprobe = 10
    _, found = index.search(points[:500], 5)
    assert (found == np.arange(500)[:, np.newaxis]).any(axis=1).mean() > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("offset", [100.0, 1000.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("normalized", [False, True])
def test_faiss_tells_directions_apart_that_are_much_alike(
    tmp_path: Path, offset: float, dtype: Any, normalized: bool
) -> None:
    faiss = pytest.importorskip("faiss", reason="faiss is not installed")
    points = far_points(offset)
    wide = points.astype(np.float64)
    units = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    centers = points[:50].astype(dtype)
    index = faiss.read_index(write_faiss(tmp_path / "c.faiss", centers, "cosine"))
    assert index.metric_type == faiss.METRIC_L2 and index.ntotal == 50
    if normalized:
        faiss.normalize_L2(points)
    distances, labels = index.search(points, 1)
    expected = exact_labels(units, units[:50])
    np.testing.assert_array_equal(labels[:, 0], expected)
    nearest = ((units - units[expected]) ** 2).sum(axis=1)  # twice the cosine distance
    np.testing.assert_allclose(distances[:, 0], nearest, rtol=1e-2, atol=1e-9)
    np.testing.assert_allclose(index.reconstruct_n(0, 50), units[:50], atol=1e-7)
