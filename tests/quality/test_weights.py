"""How many clusters, where points don't all count alike."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

import centroids
from centroids.quality import _measures as measures
from tests.cli.run_here import run_here as run

RANDOM = np.random.default_rng(4)
POINTS = RANDOM.normal(size=(120, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], 40, axis=0)
TIMES = RANDOM.integers(0, 5, 120)
REPEATED = np.repeat(POINTS, TIMES, axis=0)


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_array])
def test_whole_weights_measure_as_rows_repeated(cosine: bool, kind: type) -> None:
    found = centroids.choose_num_clusters(
        kind(POINTS + 20), range(2, 5), weights=TIMES, cosine=cosine
    )
    expected = centroids.choose_num_clusters(kind(REPEATED + 20), range(2, 5), cosine=cosine)
    assert (found.num_points, found.total_weight) == (120, TIMES.sum())
    assert (found.num_sampled, expected.total_weight) == (np.count_nonzero(TIMES), None)
    assert found.num_clusters == expected.num_clusters == 3
    for one, other in zip(found.candidates, expected.candidates, strict=True):
        for name in ("inertia", "silhouette", "davies_bouldin", "calinski_harabasz"):
            assert getattr(one, name) == pytest.approx(getattr(other, name)), name


def test_weights_decide_how_many_there_are() -> None:
    weights = np.where(np.arange(120) < 80, 1.0, 1e-9)
    found = centroids.choose_num_clusters(POINTS, range(2, 6), weights=weights)
    assert found.num_clusters == 2
    assert centroids.choose_num_clusters(POINTS, range(2, 6)).num_clusters == 3


def test_shares_have_no_degrees_of_freedom_and_still_a_recommendation() -> None:
    found = centroids.choose_num_clusters(POINTS, range(2, 6), weights=TIMES / TIMES.sum())
    assert found.num_clusters == 3
    assert math.isnan(found.candidates[0].calinski_harabasz)
    assert found.candidates[1].silhouette > 0.7
    json.dumps(found.to_dict(), allow_nan=False)


def test_agreement_is_that_of_weighted_pairs() -> None:
    one, other = RANDOM.integers(3, size=(2, 25))
    weights = RANDOM.uniform(0, 3, 25)
    same = {"both": 0.0, "one": 0.0, "other": 0.0, "all": 0.0}
    for i, j in itertools.combinations(range(25), 2):
        pair = weights[i] * weights[j]
        same["all"] += pair
        same["one"] += pair * (one[i] == one[j])
        same["other"] += pair * (other[i] == other[j])
        same["both"] += pair * (one[i] == one[j] and other[i] == other[j])
    expected = same["one"] * same["other"] / same["all"]
    rand = (same["both"] - expected) / ((same["one"] + same["other"]) / 2 - expected)
    assert measures.adjusted_rand(one, other, weights) == pytest.approx(rand)
    assert measures.adjusted_rand(one, other, weights * 1e6) == pytest.approx(rand)


def test_silhouettes_of_light_points() -> None:
    places, weights = np.array([0.0, 1.0, 10.0, 12.0]), np.array([0.5, 0.25, 0.5, 2.0])
    scores = measures.silhouettes(abs(places[:, None] - places), np.array([0, 0, 1, 1]), weights)
    # Of the last point one unit of two is left; of the others nothing is.
    assert scores == pytest.approx(
        [1 - 1 / 11.6, 1 - 1 / 10.6, 1 - 2 / (29 / 3), 1 - 2 / 3 / (35 / 3)]
    )
    alone = measures.silhouettes(abs(places[:, None] - places), np.array([0, 0, 0, 1]), weights)
    assert alone[3] == 1  # two equal points


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.full(120, -1.0), "weights"),
        (np.ones(3), "weights"),
        (np.zeros(120), "must be below 0 points"),
        ((np.arange(120) < 3).astype(float), "must be below 3 points"),
    ],
)
def test_weights_that_cannot_be_are_refused(weights: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        centroids.choose_num_clusters(POINTS, [2, 3], weights=weights)


def test_a_sample_keeps_its_weights_and_all_points_count() -> None:
    points, weights = np.tile(POINTS, (5, 1)), np.tile(TIMES, 5)
    found = centroids.choose_num_clusters(points, [3], weights=weights, sample_rows=200)
    assert (found.num_sampled, found.num_points) == (200, 600)
    streamed = centroids.choose_num_clusters(
        points,
        [3],
        weights=weights,
        sample_rows=200,
        batches=lambda: zip(np.split(points, 6), np.split(weights, 6), strict=True),
    )
    assert streamed == found
    labels = np.repeat(np.tile(np.repeat([0, 1, 2], 40), 5), weights)
    every = np.repeat(points, weights, axis=0)
    within = sum(((every[labels == c] - every[labels == c].mean(0)) ** 2).sum() for c in range(3))
    total = ((every - every.mean(0)) ** 2).sum()
    expected = (total - within) / 2 / (within / (len(every) - 3))
    assert found.candidates[0].calinski_harabasz == pytest.approx(expected)


def test_the_command(tmp_path: Path) -> None:
    table = np.column_stack([POINTS, TIMES])
    np.savetxt(tmp_path / "p.csv", table, delimiter=",", header="x,y,people", comments="")
    words = ("choose-k", "p.csv", "-k", "2-4", "--weight-column", "people")
    found = json.loads(run(tmp_path, *words, "--json").stdout)
    api = centroids.choose_num_clusters(
        np.loadtxt(tmp_path / "p.csv", delimiter=",", skiprows=1)[:, :2], [2, 3, 4], weights=TIMES
    )
    assert found == json.loads(json.dumps(api.to_dict()))
    assert f"p.csv: 120 points, their weight {TIMES.sum()}" in run(tmp_path, *words).stdout
    told = run(tmp_path, "choose-k", "p.csv", "--weight-column", "z", code=2).stderr
    assert "has no column 'z'" in told and len(told.splitlines()) == 1
    table[7, 2] = -1
    np.savetxt(tmp_path / "bad.csv", table, delimiter=",", header="x,y,people", comments="")
    told = run(tmp_path, "choose-k", "bad.csv", *words[2:], code=2).stderr
    assert "line 9" in told and "got -1" in told and len(told.splitlines()) == 1


def test_the_command_on_a_file_that_is_larger_than_the_sample(tmp_path: Path) -> None:
    table = np.tile(np.column_stack([POINTS, TIMES]), (150, 1))
    np.savetxt(tmp_path / "p.csv", table, delimiter=",", header="x,y,people", comments="")
    words = ("choose-k", "p.csv", "-k", "3", "--weight-column", "people", "--json")
    found = json.loads(run(tmp_path, *words).stdout)
    assert (found["num_points"], found["total_weight"]) == (18_000, 150 * TIMES.sum())
    assert found["num_sampled"] <= 1 << 14
