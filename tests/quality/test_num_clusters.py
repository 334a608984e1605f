"""How many clusters: measures against scikit-learn and by hand, and what is recommended."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from numpy.typing import NDArray

import centroids
from centroids.quality import _measures as measures
from tests.cli.run_here import run_here as run


def blobs(k: int, n: int = 600, d: int = 4, seed: int = 0, far: float = 0.0) -> NDArray[Any]:
    """Points around k places that are at least six deviations apart."""
    random = np.random.default_rng(seed)
    places: list[NDArray[Any]] = []
    while len(places) < k:
        place = random.uniform(-20, 20, size=d)
        if all(np.linalg.norm(place - other) > 9 for other in places):
            places.append(place)
    return np.array(places)[np.arange(n) % k] + random.normal(size=(n, d)) + far


@pytest.mark.parametrize("k", [2, 3, 5, 8])
@pytest.mark.parametrize("far", [0.0, 1e6])
def test_separate_clusters_are_found(k: int, far: float) -> None:
    found = centroids.choose_num_clusters(blobs(k, seed=k, far=far), range(2, 11))
    assert found.num_clusters == k
    best = next(each for each in found.candidates if each.num_clusters == k)
    assert best.stability == pytest.approx(1)
    assert f"{k} clusters: they have the highest silhouette" in found.reason


def test_points_without_clusters_are_called_so() -> None:
    points = np.random.default_rng(3).uniform(size=(1500, 6))
    found = centroids.choose_num_clusters(points, range(2, 8))
    assert "no number gives clear clusters" in found.reason
    assert found.num_clusters == found.knee


def test_equal_seeds_give_equal_results_with_any_number_of_threads() -> None:
    points = blobs(4, n=400)
    before = centroids.num_threads()
    results = []
    try:
        for threads in (1, 2):
            centroids.set_num_threads(threads)
            results.append(centroids.choose_num_clusters(points, (3, 4), sample_rows=300, seed=7))
    finally:
        centroids.set_num_threads(before)
    assert results[0] == results[1]


def test_sparse_and_cosine() -> None:
    random = np.random.default_rng(5)
    lengths = random.uniform(1, 50, size=300)[:, None]
    points = (np.eye(12)[np.arange(300) % 3 * 4] + random.uniform(0, 0.1, (300, 12))) * lengths
    dense = centroids.choose_num_clusters(points, range(2, 7), cosine=True)
    sparse = centroids.choose_num_clusters(scipy.sparse.csr_array(points), range(2, 7), cosine=True)
    assert dense.num_clusters == sparse.num_clusters == 3
    best = dense.candidates[1]
    units = points / np.linalg.norm(points, axis=1, keepdims=True)
    labels = np.arange(300) % 3
    means = np.array([units[labels == c].mean(axis=0) for c in range(3)])
    directions = means / np.linalg.norm(means, axis=1, keepdims=True)
    assert best.inertia == pytest.approx((1 - (units * directions[labels]).sum(axis=1)).sum())
    total = ((units - units.mean(axis=0)) ** 2).sum()
    within = ((units - means[labels]) ** 2).sum()
    expected = (total - within) / 2 / (within / 297)
    assert best.calinski_harabasz == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_measures_equal_scikit_learns(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(seed)
    points = random.normal(size=(60, 3)) * 10.0 ** random.integers(-3, 4)
    labels = random.integers(2 + seed, size=60)
    labels[0] = 40  # a cluster of one point
    other = random.integers(3, size=60)
    distances = metrics.pairwise_distances(points)
    assert measures.silhouette(distances, labels) == pytest.approx(
        metrics.silhouette_score(points, labels)
    )
    assert measures.davies_bouldin(points, labels) == pytest.approx(
        metrics.davies_bouldin_score(points, labels)
    )
    assert measures.adjusted_rand(labels, other) == pytest.approx(
        metrics.adjusted_rand_score(labels, other)
    )


def test_indices_over_all_points_when_a_sample_is_clustered() -> None:
    points = blobs(3, n=1200)
    found = centroids.choose_num_clusters(points, [3], sample_rows=200)
    assert (found.num_points, found.num_sampled) == (1200, 200)
    labels = np.arange(1200) % 3
    within = sum(((points[labels == c] - points[labels == c].mean(0)) ** 2).sum() for c in range(3))
    total = ((points - points.mean(0)) ** 2).sum()
    expected = (total - within) / 2 / (within / 1197)
    assert found.candidates[0].calinski_harabasz == pytest.approx(expected)
    streamed = centroids.choose_num_clusters(
        points[:200], [3], batches=lambda: np.array_split(points, 7)
    )
    assert streamed.num_points == 1200
    assert streamed.candidates[0].calinski_harabasz == pytest.approx(expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_clusters": [1, 2]}, "num_clusters must be an integer of at least 2; got 1"),
        ({"num_clusters": []}, "num_clusters must hold at least one number"),
        ({"num_clusters": [2, 50]}, "num_clusters goes up to 50, which must be below 50 points"),
        ({"num_clusters": [9], "sample_rows": 9}, "must be below sample_rows = 9"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        centroids.choose_num_clusters(blobs(2, n=50), **given)


def test_bad_points_are_refused() -> None:
    points = blobs(2, n=50)
    points[7, 2] = np.nan
    with pytest.raises(ValueError, match="row 7, column 2"):
        centroids.choose_num_clusters(points, [2])
    with pytest.raises(TypeError):
        centroids.choose_num_clusters(np.array([["a"], ["b"]]), [2])


def test_equal_points_have_no_structure() -> None:
    found = centroids.choose_num_clusters(np.ones((30, 2)), [2, 3, 4])
    assert "no number gives clear clusters" in found.reason
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_plot_shows_all_numbers() -> None:
    pytest.importorskip("matplotlib")
    found = centroids.choose_num_clusters(blobs(3, n=90), [2, 3, 4])
    figure = found.plot()
    assert [list(axes.lines[0].get_xdata()) for axes in figure.axes] == [[2, 3, 4]] * 4


def test_a_notebook_shows_the_table() -> None:
    found = centroids.choose_num_clusters(blobs(3, n=90), [2, 3, 4])
    shown = found._repr_html_()
    cells = [re.findall("<t[hd][ >][^<]*", row) for row in shown.split("<tr>")[1:]]
    rows = [[cell.partition(">")[2].strip() for cell in row] for row in cells]
    lines = [re.split(r"\s{2,}", line.strip()) for line in str(found).splitlines()[:4]]
    assert rows == lines
    assert html.unescape(shown).endswith(f"<p>{found.reason}</p>")


def test_the_command(tmp_path: Path) -> None:
    np.save(tmp_path / "points.npy", blobs(4, n=300))
    done = run(tmp_path, "choose-k", "points.npy", "-k", "2-6", "--json")
    found = json.loads(done.stdout)
    assert found["num_clusters"] == 4
    assert [each["num_clusters"] for each in found["candidates"]] == [2, 3, 4, 5, 6]
    api = centroids.choose_num_clusters(np.load(tmp_path / "points.npy"), range(2, 7))
    assert found == json.loads(json.dumps(dataclasses.asdict(api)))
    shown = run(tmp_path, "choose-k", "points.npy", "-k", "2,4", "--plot", "plot.svg").stdout
    assert "points.npy: 300 points" in shown
    assert "* 4" in shown
    assert (tmp_path / "plot.svg").read_bytes().startswith(b"<?xml")


def test_the_command_on_a_file_that_is_larger_than_the_sample(tmp_path: Path) -> None:
    points = blobs(3, n=20_000, d=2)
    np.savetxt(tmp_path / "points.csv", points, delimiter=",", header="a,b", comments="")
    found = json.loads(run(tmp_path, "choose-k", "points.csv", "-k", "2-4", "--json").stdout)
    assert (found["num_clusters"], found["num_points"]) == (3, 20_000)
    assert found["num_sampled"] == 1 << 14


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["points.npy", "-k", "2-"], "--num-clusters must be numbers of at least 2, such as"),
        (["points.npy", "-k", "1-3"], "--num-clusters must be numbers of at least 2, such as"),
        (["points.npy", "-k", "2-300"], "points.npy has 300 points: --num-clusters must be fewer"),
        (["points.npy", "--plot", "a.txt"], "--plot must be a .png, .svg or .pdf file, got a.txt"),
        (["none.npy"], "none.npy"),
        (["bad.npy", "-k", "2"], "row 5, column 0"),
    ],
)
def test_mistakes_of_the_command(tmp_path: Path, words: list[str], message: str) -> None:
    points = blobs(4, n=300)
    np.save(tmp_path / "points.npy", points)
    points[5, 0] = np.inf
    np.save(tmp_path / "bad.npy", points)
    done = run(tmp_path, "choose-k", *words, code=2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
