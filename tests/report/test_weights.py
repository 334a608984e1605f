"""A report of points that don't all count alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from tests.cli.run_here import run_here
from tests.report.test_report import Page

RANDOM = np.random.default_rng(8)
POINTS = np.round(RANDOM.normal(size=(40, 2)) + np.repeat([[0, 0], [9, 3]], 20, axis=0), 3)
TIMES = RANDOM.integers(0, 4, 40)
SIZES = "Clusters from the largest to the smallest"
SETTINGS = "What was clustered and how"


def write(file: Path, names: str, *columns: Any) -> None:
    np.savetxt(file, np.column_stack(columns), delimiter=",", header=names, comments="", fmt="%g")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    x, y = POINTS.T
    write(tmp_path / "p.csv", "x,people,y", x, TIMES, y)
    write(tmp_path / "repeated.csv", "x,y", *np.repeat(POINTS, TIMES, axis=0).T)
    write(tmp_path / "plain.csv", "x,y", x, y)
    run_here(tmp_path, "train", "p.csv", "m", "-k", "2", "--weight-column", "people", "-q")
    return tmp_path


def pages(folder: Path, *commands: list[str]) -> list[Page]:
    found = []
    for place, words in enumerate(commands):
        run_here(folder, "report", "m", *words, "-o", f"{place}.html")
        found.append(Page(folder / f"{place}.html"))
    return found


def test_whole_weights_count_as_rows_repeated(folder: Path) -> None:
    page, repeated = pages(folder, ["p.csv"], ["repeated.csv", "--weight-column", "none"])
    sizes, copies = page.tables[SIZES], repeated.tables[SIZES]
    assert (sizes[0][3], dict(page.tables[SETTINGS][1:])["weights"]) == ("weight", "people")
    for row, other in zip(sizes[1:], copies[1:], strict=True):
        assert [row[0], row[3], *row[4:]] == [other[0], other[2], *other[3:]]
    assert sum(int(row[2]) for row in sizes[1:]) == np.count_nonzero(TIMES)
    tiles = dict(zip(page.texts["dt"], page.texts["dd"], strict=True))
    others = dict(zip(repeated.texts["dt"], repeated.texts["dd"], strict=True))
    assert (tiles["points"], tiles["their weight"]) == (
        str(np.count_nonzero(TIMES)),
        f"{TIMES.sum()}",
    )
    assert tiles["their weight"] == others["points"]
    for name in ("mean squared distance", "sum of squared distances", "silhouette"):
        assert tiles[name] == others[name], name
    for cluster in (0, 1):
        name = f"Where cluster {cluster} differs most"
        assert page.tables[name] == repeated.tables[name]


def test_points_without_weight_are_nobodys_members(folder: Path) -> None:
    (page,) = pages(folder, ["p.csv"])
    shown = {
        int(row[0].removeprefix("row "))
        for name, rows in page.tables.items()
        if name.startswith(("The nearest", "The farthest"))
        for row in rows[1:]
    }
    assert shown and all(TIMES[row] for row in shown)


def test_the_weights_are_those_of_the_model_unless_others_are_asked_for(folder: Path) -> None:
    same, none = pages(
        folder, ["p.csv", "--weight-column", "people"], ["plain.csv", "--weight-column", "none"]
    )
    assert dict(same.tables[SETTINGS][1:])["weights"] == "people"
    settings = dict(none.tables[SETTINGS][1:])
    assert "weights" not in settings and settings["weights in training"] == "people"
    assert sum(int(row[2]) for row in none.tables[SIZES][1:]) == 40
    told = run_here(folder, "report", "m", "plain.csv", code=2).stderr
    assert "people" in told and "--weight-column none" in told and len(told.splitlines()) == 1


def test_bad_weights_are_told_by_their_place_or_left_out(folder: Path) -> None:
    bad = TIMES.astype(float)
    bad[3] = -2
    write(folder / "bad.csv", "x,people,y", POINTS[:, 0], bad, POINTS[:, 1])
    told = run_here(folder, "report", "m", "bad.csv", code=2).stderr
    assert "line 5" in told and "got -2" in told and len(told.splitlines()) == 1
    assert not (folder / "report.html").exists()
    (page,) = pages(folder, ["bad.csv", "--bad-rows", "drop"])
    counted = np.count_nonzero(np.delete(TIMES, 3))
    assert sum(int(row[2]) for row in page.tables[SIZES][1:]) == counted
    write(folder / "none.csv", "x,people,y", POINTS[:, 0], TIMES * 0, POINTS[:, 1])
    told = run_here(folder, "report", "m", "none.csv", code=2).stderr
    assert "none.csv has no points of a weight above 0" in told


def test_command_and_library_show_the_same(folder: Path) -> None:
    (page,) = pages(folder, ["p.csv"])
    model = centroids.KMeansClustering(2, str(folder / "m"))
    table = np.loadtxt(folder / "p.csv", delimiter=",", skiprows=1)
    centroids.write_report(
        model, table[:, [0, 2]], folder / "l.html", columns=["x", "y"], weights=table[:, 1]
    )
    library = Page(folder / "l.html")
    for each in (page, library):
        each.tables.pop(SETTINGS)
    assert page.tables == library.tables
    with pytest.raises(ValueError, match="all weights are 0"):
        centroids.write_report(model, POINTS, folder / "z.html", weights=np.zeros(40))
    with pytest.raises(ValueError, match="weights"):
        centroids.write_report(model, POINTS, folder / "z.html", weights=[1.0])
    assert not (folder / "z.html").exists()
