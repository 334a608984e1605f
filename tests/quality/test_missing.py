"""choose_num_clusters with missing values and units, as the Estimator treats them."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids.viewers import TerminalViewer
from tests.cli.run_here import run_here as run
from tests.points_with_blanks import BLANK, POINTS, WEIGHTS, WHOLE


def by_hand(missing: str, *, standardize: bool, weights: Any) -> tuple[Any, Any]:
    """The points, prepared with NumPy, and the weights."""
    if missing == "drop":
        points, weights = POINTS[~BLANK], None if weights is None else weights[~BLANK]
    else:
        points = POINTS
    there = ~np.isnan(points)
    counts = there * (1.0 if weights is None else weights[:, None])
    means = np.nansum(points * counts, axis=0) / counts.sum(axis=0)
    squares = np.nansum((points - means) ** 2 * counts, axis=0)
    scales = np.sqrt(squares / counts.sum(axis=0)) if standardize else np.ones(2)
    filled = np.where(there, points, means)
    return ((filled - means) / scales if standardize else filled), weights


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weights"])
@pytest.mark.parametrize("missing", ["drop", "mean"])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("in_batches", [False, True])
def test_points_are_prepared_first(
    missing: Any, standardize: bool, weights: Any, in_batches: bool
) -> None:
    batches: Any = None
    if in_batches:  # means are those of all points, not of the sample that is given
        cut = np.split(POINTS, 4)
        if weights is None:
            batches = lambda: cut  # noqa: E731
        else:
            batches = lambda: zip(cut, np.split(weights, 4), strict=True)  # noqa: E731
    found = centroids.choose_num_clusters(
        POINTS,
        range(2, 5),
        weights=weights,
        missing=missing,
        standardize=standardize,
        batches=batches,
    )
    points, own = by_hand(missing, standardize=standardize, weights=weights)
    expected = centroids.choose_num_clusters(points, range(2, 5), weights=own)
    assert found.num_clusters == expected.num_clusters
    assert found.num_points == len(points)
    for each, other in zip(found.candidates, expected.candidates, strict=True):
        np.testing.assert_allclose(
            [*vars(each).values()], [*vars(other).values()], rtol=1e-6, atol=1e-9
        )


def test_scales_show_what_units_hide() -> None:
    assert centroids.choose_num_clusters(WHOLE, range(2, 6)).num_clusters == 2
    assert centroids.choose_num_clusters(WHOLE, range(2, 6), standardize=True).num_clusters == 3


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"missing": "raise"}, ValueError, "got nan in batch 0, row 5, column 0"),
        ({"missing": "zero"}, ValueError, "missing must be one of 'raise', 'drop', 'mean'"),
        ({"standardize": 1}, ValueError, "standardize must be True or False; got 1"),
        ({"missing": "drop"}, ValueError, "got inf in batch 0, row 7, column 1"),
        ({"missing": "mean"}, ValueError, "got inf in batch 0, row 7, column 1"),
    ],
)
def test_what_cannot_be_is_refused(given: Any, error: Any, message: str) -> None:
    points = WHOLE.copy()
    points[5, 0], points[7, 1] = np.nan, np.inf
    with pytest.raises(error, match=message):
        centroids.choose_num_clusters(points, [2], **given)


def test_a_column_without_values_and_sparse_points_are_refused() -> None:
    import scipy.sparse

    with pytest.raises(ValueError, match="column 1 has no value"):
        centroids.choose_num_clusters(WHOLE * [1, np.nan], [2], missing="mean")
    with pytest.raises(TypeError, match="sparse points cannot be standardized"):
        centroids.choose_num_clusters(scipy.sparse.csr_array(WHOLE), [2], standardize=True)


def test_an_array_with_nan_is_refused_with_its_file_and_the_options(tmp_path: Path) -> None:
    np.save(tmp_path / "n.npy", POINTS)
    told = run(tmp_path, "choose-k", "n.npy", "-k", "2", code=2).stderr
    row = int(np.flatnonzero(BLANK)[0])
    assert f"got nan in n.npy, row {row}, column 0" in told
    assert "--missing mean" in told and len(told.splitlines()) == 1


def test_too_few_points_for_a_stability_are_said_in_words() -> None:
    points = np.repeat(np.arange(4.0), 2)[:, None] + np.array([[0.0], [0.01]] * 4)
    found = centroids.choose_num_clusters(points, [5, 6])
    assert "too few points to tell how stable they are" in found.reason
    assert "nan" not in str(found) and str(found).splitlines()[1].endswith(" -")


def test_python_sees_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(TerminalViewer, "after_seconds", 0.0)
    monkeypatch.setattr(TerminalViewer, "every_seconds", 0.0)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    centroids.choose_num_clusters(WHOLE, [2, 3])
    assert "clustering a sample into 3 clusters" in terminal.getvalue()
    assert "1 of 2 numbers of clusters" in terminal.getvalue()
    terminal.truncate(0)
    centroids.choose_num_clusters(WHOLE, [2, 3], progress=False)
    assert "clustering" not in terminal.getvalue()
