"""empty_clusters="relocate" and reassignment_ratio: in training, in its summaries, and resumed."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from centroids import KMeansClustering, RunConfig, kernels
from centroids.inputs import limit_epochs, numpy_input_fn
from tests.tensorboard_reader import accumulate, curve

RANDOM = np.random.default_rng(2)
MIDDLES = RANDOM.normal(size=(8, 3)) * 10
POINTS = MIDDLES[RANDOM.integers(8, size=400)] + RANDOM.normal(size=(400, 3))
FAR = np.concatenate([POINTS[:5], [[900.0, 0.0, 0.0], [0.0, 900.0, 900.0], [-900.0, 1.0, 2.0]]])


@pytest.fixture
def other_threads() -> Iterator[None]:
    yield
    kernels.set_num_threads(0)


def assert_equal(one: KMeansClustering, other: KMeansClustering) -> None:
    for name in one.get_variable_names():
        mine, theirs = one.get_variable_value(name), other.get_variable_value(name)
        np.testing.assert_array_equal(mine, theirs, name, strict=True)


def relocating(**arguments: Any) -> KMeansClustering:
    given = {"initial_clusters": FAR, "use_mini_batch": False, "empty_clusters": "relocate"}
    return KMeansClustering(8, **{**given, **arguments})


def labels_of(model: KMeansClustering, points: Any = POINTS) -> list[int]:
    return list(map(int, model.predict_cluster_index(lambda: limit_epochs(points))))


@pytest.mark.parametrize("kind", ["float32", "float64", "sparse"])
def test_full_batches_come_to_what_scikit_learn_comes_to(kind: str) -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    wide = np.where(POINTS > 0, POINTS, 0) if kind == "sparse" else POINTS
    points = scipy.sparse.csr_matrix(wide) if kind == "sparse" else wide.astype(kind)
    model = relocating(relative_tolerance=0).train(lambda: points, steps=100)
    theirs = cluster.KMeans(8, init=FAR, n_init=1, tol=0).fit(points)
    np.testing.assert_allclose(model.cluster_centers(), theirs.cluster_centers_, rtol=1e-4)
    assert labels_of(model, points) == theirs.labels_.tolist()
    assert model.score(lambda: points) == pytest.approx(theirs.inertia_, rel=1e-6)
    assert np.unique(theirs.labels_).size == 8


def test_clusters_are_kept_empty_unless_it_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    kept = relocating(empty_clusters="keep").train(lambda: POINTS, steps=3)
    np.testing.assert_array_equal(kept.cluster_centers()[5:], FAR[5:])
    assert [r.levelno for r in caplog.records if "3 of 8 clusters are empty" in r.getMessage()] == [
        logging.WARNING
    ]
    caplog.clear()
    assert np.abs(relocating().train(lambda: POINTS, steps=1).cluster_centers()).max() < 100
    assert not [record for record in caplog.records if "empty" in record.getMessage()]


def test_cosine_relocates_to_other_directions() -> None:
    points = np.abs(POINTS)
    centers = np.concatenate([points[:4], -points[:4]])
    models = {
        choice: relocating(
            initial_clusters=centers, distance_metric="cosine", empty_clusters=choice
        ).train(lambda: points, steps=12)
        for choice in ("keep", "relocate")
    }
    assert len(set(labels_of(models["keep"], points))) == 4
    assert len(set(labels_of(models["relocate"], points))) == 8
    assert models["relocate"].score(lambda: points) < models["keep"].score(lambda: points)


def test_a_curve_says_how_many_were_relocated(tmp_path: Path) -> None:
    config = RunConfig(save_summary_steps=1)
    relocating(model_dir=tmp_path / "a", config=config).train(lambda: POINTS, steps=3)
    read = accumulate(tmp_path / "a")
    assert curve(read, "model/relocated_clusters") == [(1, 3), (2, 0), (3, 0)]
    assert curve(read, "model/empty_clusters") == [(1, 3), (2, 0), (3, 0)]
    kept = relocating(empty_clusters="keep", model_dir=tmp_path / "b", config=config)
    kept.train(lambda: POINTS, steps=3)
    with pytest.raises(KeyError):
        curve(accumulate(tmp_path / "b"), "relocated_clusters")


@pytest.mark.usefixtures("other_threads")
def test_relocated_clusters_are_the_same_on_any_number_of_threads() -> None:
    models = []
    for threads in (1, 3):
        kernels.set_num_threads(threads)
        models.append(relocating().train(lambda: POINTS, steps=5))
    assert_equal(*models)


def test_a_model_that_kept_empty_clusters_can_go_on_without(tmp_path: Path) -> None:
    relocating(empty_clusters="keep", model_dir=tmp_path).train(lambda: POINTS, steps=2)
    model = relocating(model_dir=tmp_path).train(lambda: POINTS, steps=2)
    assert len(set(labels_of(model))) == 8


def batches(**arguments: Any) -> Any:
    given = {"batch_size": 40, "num_epochs": None, "shuffle": True, "seed": 3}
    return numpy_input_fn(POINTS, **{**given, **arguments})


def reassigning(**arguments: Any) -> KMeansClustering:
    return KMeansClustering(8, **{"initial_clusters": FAR, "reassignment_ratio": 0.05, **arguments})


@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
def test_starved_clusters_of_mini_batches_get_points(metric: Any) -> None:
    centers = FAR
    if metric == "cosine":
        centers = np.concatenate([POINTS[:4], [-POINTS[:4].sum(axis=0)] * 4])
    arguments: dict[str, Any] = {"initial_clusters": centers, "distance_metric": metric}
    starved = reassigning(reassignment_ratio=0, **arguments).train(batches(), steps=40)
    model = reassigning(**arguments).train(batches(), steps=40)
    assert len(set(labels_of(starved))) < len(set(labels_of(model))) == 8
    assert model.score(lambda: POINTS) < starved.score(lambda: POINTS)


def test_a_starved_center_becomes_a_row_of_its_batch(tmp_path: Path) -> None:
    first = POINTS[:40]
    model = reassigning(model_dir=tmp_path, config=RunConfig(save_summary_steps=1))
    model.train(lambda: iter([first]))
    centers, counts = model.cluster_centers(), model.get_variable_value("cluster_counts")
    index = ((first[:, None] - FAR) ** 2).sum(axis=2).argmin(axis=1)
    seen = np.bincount(index, minlength=8)
    low = seen < 0.05 * seen.max()
    assert low.tolist() == [False] * 5 + [True] * 3
    rows = [np.flatnonzero((first == center).all(axis=1)) for center in centers[low]]
    assert [row.size for row in rows] == [1, 1, 1] and len({int(row[0]) for row in rows}) == 3
    np.testing.assert_array_equal(counts[~low], seen[~low] + 1)
    np.testing.assert_array_equal(counts[low], seen[~low].min() + 1)
    assert curve(accumulate(tmp_path), "model/reassigned_clusters") == [(1, 3)]


def test_the_seed_decides_which_rows_are_drawn() -> None:
    def centers(seed: int) -> Any:
        return reassigning(random_seed=seed).train(batches(), steps=3).cluster_centers()

    assert (centers(1) == centers(1)).all()
    assert (centers(1) != centers(2)).any()
    assert (centers(-1) != centers(1)).any()


@pytest.mark.parametrize("seed", [7, None])
def test_a_run_that_was_interrupted_reassigns_the_same_rows(
    tmp_path: Path, seed: int | None
) -> None:
    def make(folder: str) -> KMeansClustering:
        return reassigning(model_dir=tmp_path / folder, random_seed=seed, reassignment_ratio=0.6)

    make("a").train(batches(), steps=2)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    whole = make("a").train(batches(), steps=12)
    for _ in range(6):
        parts = make("b").train(batches(), steps=2)
    assert_equal(whole, parts)
    without = reassigning(reassignment_ratio=0).train(batches(), steps=14)
    assert (without.cluster_centers() != whole.cluster_centers()).any()


def test_arguments_of_the_other_mode_are_refused() -> None:
    for arguments, message in (
        ({"empty_clusters": "relocate"}, r"is for full batches \(use_mini_batch=False\)"),
        ({"empty_clusters": "move"}, "empty_clusters must be one of 'keep', 'relocate'; got 'm"),
        ({"empty_clusters": None}, "empty_clusters must be one of"),
        (
            {"reassignment_ratio": 0.1, "use_mini_batch": False},
            r"is for mini-batches \(use_mini_batch=True\)",
        ),
        (
            {"reassignment_ratio": 0.1, "mini_batch_steps_per_iteration": 2},
            "counted anew in each iteration",
        ),
        *(
            ({"reassignment_ratio": ratio}, "reassignment_ratio must be a number from 0 to 1")
            for ratio in (-0.1, 1.01, np.nan, "0.1", None, True)
        ),
    ):
        with pytest.raises(ValueError, match=message):
            KMeansClustering(3, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"use_mini_batch": False, "empty_clusters": "relocate"},
        {"reassignment_ratio": 0.05},
        {"initial_clusters": "kmeans_plus_plus", "num_restarts": 4, "use_mini_batch": False},
        {"initial_clusters": "kmeans_plus_plus", "num_restarts": 4},
    ],
)
def test_rows_without_weight_change_nothing(arguments: dict[str, Any]) -> None:
    weights = np.random.default_rng(5).integers(0, 4, 400).astype(float)
    there = weights > 0

    def train(points: Any, of_rows: Any) -> KMeansClustering:
        batch = {"w": of_rows, "x": points}
        given = {"initial_clusters": FAR, **arguments}
        return KMeansClustering(8, weight_column="w", **given).train(lambda: batch, steps=4)

    models = [train(POINTS, weights), train(POINTS[there], weights[there])]
    assert_equal(*models)
    assert np.abs(models[0].cluster_centers()).max() < 100
