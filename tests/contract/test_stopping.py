"""When a run stops by itself: by the page's rule, or by the one without units."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering
from centroids.kmeans.variables import has_converged
from tests.oracle import Oracle

METRICS = ["squared_euclidean", "cosine"]
NEVER = 400  # steps; what should have stopped has failed by then


def clouds(seed: int = 0) -> np.ndarray:
    """[600, 2], four groups that run into each other."""
    random = np.random.default_rng(seed)
    middles = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [3.0, 3.0]]) + 5
    return middles[random.integers(0, 4, 600)] + random.normal(size=(600, 2))


def model(points: np.ndarray, **arguments: Any) -> KMeansClustering:
    return KMeansClustering(
        6, initial_clusters=points[:6].copy(), use_mini_batch=False, **arguments
    )


def steps_of(kmeans: KMeansClustering) -> int:
    return int(kmeans.get_variable_value("global_step"))


def oracle_losses(points: np.ndarray, metric: str) -> list[float]:
    truth = Oracle(points[:6], metric, mini_batch=False)
    return [truth.step(points) for _ in range(NEVER)]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_that_changes_nothing_has_converged(metric: str, dtype: Any) -> None:
    points = clouds().astype(dtype)
    kmeans = model(points, relative_tolerance=0, distance_metric=metric)
    kmeans.train(lambda: points, steps=NEVER)
    assert 2 < steps_of(kmeans) < NEVER
    # It had to go so far, and no further: one step less leaves something to change.
    last = steps_of(kmeans)
    earlier, later = (
        model(points, distance_metric=metric).train(lambda: points, steps=steps)
        for steps in (last - 3, last + 50)
    )
    np.testing.assert_array_equal(kmeans.cluster_centers(), later.cluster_centers())
    assert (earlier.cluster_centers() != later.cluster_centers()).any()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("tolerance", [1e-2, 1e-3, 1e-5])
def test_the_rule_of_the_page(metric: str, tolerance: float) -> None:
    points = clouds()
    losses = oracle_losses(points, metric)
    changes = [abs(b - a) / (1 + abs(a)) for a, b in itertools.pairwise(losses)]
    expected = next(step for step, change in enumerate(changes, 2) if change < tolerance)
    kmeans = model(points, relative_tolerance=tolerance, distance_metric=metric)
    assert steps_of(kmeans.train(lambda: points, steps=NEVER)) == expected


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-5])
def test_the_rule_without_units(metric: str, tolerance: float) -> None:
    points = clouds()
    losses = oracle_losses(points, metric)
    gains = [(a - b) / a for a, b in itertools.pairwise(losses)]
    expected = next(step for step, gain in enumerate(gains, 2) if gain <= tolerance)
    kmeans = model(points, loss_tolerance=tolerance, distance_metric=metric)
    assert steps_of(kmeans.train(lambda: points, steps=NEVER)) == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e-2, 1e6, 1e17, 1e30])
def test_the_rule_without_units_in_any_unit(scale: float, dtype: Any) -> None:
    steps = []
    for factor in (1.0, scale):
        points = (clouds(1) * factor).astype(dtype)
        kmeans = model(points, loss_tolerance=1e-4).train(lambda p=points: p, steps=NEVER)
        steps.append(steps_of(kmeans))
    assert steps[0] == steps[1] < NEVER


@pytest.mark.parametrize("offset", [1e4, 1e9])
def test_the_rule_without_units_at_any_origin(offset: float) -> None:
    steps = []
    for origin in (0.0, offset):
        points = clouds(1) + origin
        kmeans = model(points, loss_tolerance=1e-4).train(lambda p=points: p, steps=NEVER)
        steps.append(steps_of(kmeans))
    assert steps[0] == steps[1] < NEVER


@pytest.mark.parametrize("tolerance", [0, 1e-4])
@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_float32_far_from_the_origin_comes_to_an_end(offset: float, tolerance: float) -> None:
    # Centers between representable numbers: rounding them may raise the loss forever.
    points = (clouds(2) * 30 + offset).astype(np.float32)
    kmeans = model(points, loss_tolerance=tolerance).train(lambda: points, steps=NEVER)
    assert steps_of(kmeans) < NEVER


@pytest.mark.parametrize("rule", ["relative_tolerance", "loss_tolerance"])
@pytest.mark.parametrize("tolerance", [0, 1e-4])
def test_a_loss_that_reaches_zero(rule: str, tolerance: float) -> None:
    points = np.repeat(np.array([[0.0], [1.0], [10.0]]), 4, axis=0)
    kmeans = KMeansClustering(
        3,
        initial_clusters=np.array([[0.0], [0.5], [3.0]]),
        use_mini_batch=False,
        **{rule: tolerance},
    ).train(lambda: points, steps=NEVER)
    assert steps_of(kmeans) < 6
    assert kmeans.score(lambda: points) == 0


def test_gps_points_do_not_stop_far_above_the_converged_sum() -> None:
    random = np.random.default_rng(3)
    middles = random.normal(size=(30, 2)) * 0.05 + [48.1, 11.5]
    points = middles[random.integers(0, 30, 3000)] + random.normal(size=(3000, 2)) * 0.005
    sums = {}
    for name, arguments in {"converged": {}, "rule": {"loss_tolerance": 1e-4}}.items():
        kmeans = KMeansClustering(30, use_mini_batch=False, **arguments)
        sums[name] = kmeans.train(lambda: points, steps=NEVER).score(lambda: points)
    assert sums["rule"] < 1.01 * sums["converged"]


def converged(kmeans: KMeansClustering) -> bool:
    names = kmeans.get_variable_names()
    return has_converged(dict(zip(names, kmeans.get_variable_value(names), strict=True)))


@pytest.mark.parametrize(("tolerance", "expected"), [(1e-2, [4, 6, 8]), (1e-4, [10, 15, 17])])
def test_calls_stop_where_those_of_tensorflow_stop(tolerance: float, expected: list[int]) -> None:
    # The steps that TensorFlow 1.15.5 had done after each of three calls of train.
    random = np.random.RandomState(0)
    points = random.normal(size=(600, 2)).astype(np.float32)
    points += random.randint(0, 4, size=(600, 1)).astype(np.float32) * 3
    kmeans = model(points, relative_tolerance=tolerance)
    steps = [steps_of(kmeans.train(lambda: points, steps=300)) for _ in expected]
    assert steps == expected


@pytest.mark.parametrize("rule", ["relative_tolerance", "loss_tolerance"])
def test_a_run_after_one_that_converged_takes_two_steps(rule: str, tmp_path: Path) -> None:
    # So does TensorFlow 1.15.5, of which each call of train forgets the loss of the last one.
    points = clouds()
    kmeans = model(points, model_dir=tmp_path, **{rule: 1e-3}).train(lambda: points)
    first = steps_of(kmeans)
    assert converged(kmeans)
    assert steps_of(kmeans.train(lambda: points)) == first + 2


@pytest.mark.parametrize("rule", ["relative_tolerance", "loss_tolerance"])
def test_a_run_that_was_cut_by_steps_goes_on_comparing(rule: str, tmp_path: Path) -> None:
    points = clouds()
    whole = model(points, model_dir=tmp_path / "whole", **{rule: 1e-3}).train(lambda: points)
    cut = model(points, model_dir=tmp_path / "cut", **{rule: 1e-3}).train(lambda: points, steps=1)
    while not converged(cut):
        cut.train(lambda: points, steps=1)
    assert steps_of(cut) == steps_of(whole)
    np.testing.assert_array_equal(cut.cluster_centers(), whole.cluster_centers())
