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
