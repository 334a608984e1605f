"""How many clusters there are in points that are read from somewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import choose_num_clusters
from centroids.inputs import limit_epochs, numpy_input_fn, table_input_fn

RANDOM = np.random.default_rng(0)
PLACES = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
POINTS = PLACES[RANDOM.integers(3, size=400)] + RANDOM.normal(size=(400, 2))
NUMBERS = [2, 3, 4]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    lines = [f"{a!r},{b!r},{row % 3}" for row, (a, b) in enumerate(POINTS.tolist())]
    path.write_text("\n".join(["a,b,w", *lines, ""]))
    return path


def choose(points: Any, **options: Any) -> Any:
    return choose_num_clusters(points, NUMBERS, progress=False, **options)


def test_a_path_and_input_functions_are_as_good_as_their_array(file: Path) -> None:
    np.save(file.with_suffix(".npy"), POINTS)
    expected = choose(POINTS)
    assert expected.num_clusters == 3
    for source in (
        file.with_suffix(".npy"),
        str(file.with_suffix(".npy")),
        table_input_fn(file, columns=["a", "b"]),
        numpy_input_fn(POINTS, batch_size=64, shuffle=False),
        lambda: POINTS,
        lambda: limit_epochs(POINTS, 1),
    ):
        assert choose(source).candidates == expected.candidates


def test_other_sources(file: Path) -> None:
    polars = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    frame = polars.from_numpy(POINTS, schema=["a", "b"])
    expected = choose(POINTS)
    assert choose(frame.lazy()).candidates == expected.candidates
    assert choose(frame).candidates == expected.candidates
    pytest.importorskip("duckdb")
    assert choose(f"SELECT a, b FROM '{file}'").candidates == expected.candidates


def test_more_points_than_the_sample_are_all_measured(file: Path) -> None:
    np.save(file.with_suffix(".npy"), POINTS)
    found = choose(file.with_suffix(".npy"), sample_rows=100)
    assert (found.num_points, found.num_sampled, found.num_clusters) == (400, 100, 3)
    again = choose(file.with_suffix(".npy"), sample_rows=100)
    assert again.candidates == found.candidates
    other = choose(file.with_suffix(".npy"), sample_rows=100, seed=1)
    assert other.candidates != found.candidates


@pytest.mark.parametrize("sample_rows", [100, 1000])
def test_weights_are_a_column(file: Path, sample_rows: int) -> None:
    weights = np.arange(400) % 3
    found = choose(file, weights="w", sample_rows=sample_rows)
    assert (found.num_points, found.total_weight) == (400, weights.sum())
    if sample_rows > 400:
        assert found.candidates == choose(POINTS, weights=weights).candidates


@pytest.mark.parametrize("missing", ["drop", "mean"])
def test_missing_values(missing: Any, tmp_path: Path) -> None:
    points = POINTS.copy()
    points[::10, 0] = np.nan
    np.save(tmp_path / "t.npy", points)
    expected = choose(points, missing=missing, standardize=True)
    found = choose(tmp_path / "t.npy", missing=missing, standardize=True)
    assert found.candidates == expected.candidates
    small = choose(tmp_path / "t.npy", missing=missing, standardize=True, sample_rows=90)
    assert small.num_points == expected.num_points


def test_what_cannot_be(file: Path) -> None:
    bad = POINTS.copy()
    bad[7, 1] = np.nan
    np.save(file.with_name("bad.npy"), bad)
    with pytest.raises(ValueError, match=r"got nan in .*bad.npy, row 7, column 1"):
        choose(file.with_name("bad.npy"))
    with pytest.raises(FileNotFoundError):
        choose(file.with_name("absent.npy"))
    with pytest.raises(TypeError, match="weights can name a column only if the points are read"):
        choose(POINTS, weights="w")
    with pytest.raises(ValueError, match="leave batches out, and give weights the name of the col"):
        choose(file, weights=np.ones(400))
    with pytest.raises(ValueError, match="the input has no points"):
        choose(lambda: iter([]))
