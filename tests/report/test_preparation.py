"""A report of a model that fills missing values and standardizes columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import centroids
from tests.cli.run_here import run_here
from tests.report.test_report import Page

RANDOM = np.random.default_rng(5)
POINTS = RANDOM.normal(size=(60, 2)) * [1, 1000] + np.repeat([[0, 0], [8, 9000]], 30, axis=0)
MISSING = POINTS.copy()
MISSING[[3, 40], [1, 0]] = np.nan
FILLED = np.where(np.isnan(MISSING), np.nanmean(MISSING, axis=0), MISSING)
SIZES = "Clusters from the largest to the smallest"


def test_distances_are_those_of_prepared_points_and_values_those_of_the_file(
    tmp_path: Path,
) -> None:
    lines = [",".join("" if np.isnan(x) else repr(x) for x in row) for row in MISSING.tolist()]
    (tmp_path / "p.csv").write_text("a,b\n" + "\n".join(lines) + "\n")
    prepared = (FILLED - np.nanmean(MISSING, axis=0)) / np.nanstd(MISSING, axis=0)
    np.save(tmp_path / "prepared.npy", prepared)
    run_here(
        tmp_path, "train", "p.csv", "m", "-k", "2", "--missing", "mean", "--standardize", "-q"
    )  # fmt: skip
    run_here(tmp_path, "train", "prepared.npy", "plain", "-k", "2", "-q")
    run_here(tmp_path, "report", "m", "p.csv", "-o", "m.html")
    run_here(tmp_path, "report", "plain", "prepared.npy", "-o", "plain.html")
    page, plain = Page(tmp_path / "m.html"), Page(tmp_path / "plain.html")
    for row, other in zip(page.tables[SIZES], plain.tables[SIZES], strict=True):
        assert row == other
    assert page.texts["dd"] == plain.texts["dd"]
    settings = dict(page.tables["What was clustered and how"][1:])
    assert (
        settings["preparation of points"] == "missing values become means, columns are standardized"
    )
    profile = page.tables["Where cluster 0 differs most"]
    index = np.arange(60) // 30
    for row in profile[1:]:
        column = "ab".index(row[0])
        means = [FILLED[index == cluster, column].mean() for cluster in (0, 1)]
        shown = float(row[3].replace(",", ""))
        assert min(abs(shown - mean) / abs(mean) for mean in means) < 1e-3
    values = [
        cell
        for name, rows in page.tables.items()
        if name.startswith(("The nearest", "The farthest"))
        for row in rows[1:]
        for cell in row[2:]
    ]
    assert all(cell == "-" or float(cell.replace(",", "")) < 20_000 for cell in values)

    model = centroids.KMeansClustering(2, str(tmp_path / "m"), missing="mean", standardize=True)
    centroids.write_report(model, MISSING, tmp_path / "l.html", columns=["a", "b"])
    library = Page(tmp_path / "l.html")
    for each in (page, library):
        each.tables.pop("What was clustered and how")
    assert page.tables == library.tables
