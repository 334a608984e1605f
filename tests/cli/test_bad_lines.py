"""Lines of text that are not rows, where each row gets a label."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.cli.run_here import run_here as run

HEAD = "id,a,b\n"
GOOD = ["x1,1,2", "x2,2,1", "x3,9,9", "x4,8,9"]
BAD = ["y1,3", "y2,four,4", 'y3,"4,4', "y4,5,5,5", "y5,6cm,6"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model, and points of which every second line is bad."""
    (tmp_path / "good.csv").write_text(HEAD + "\n".join(GOOD) + "\n")
    run(tmp_path, "train", "good.csv", "model", "-k", "2", "--id-column", "id")
    mixed = [line for pair in zip(BAD, [*GOOD, "x5,,1"], strict=True) for line in pair]
    (tmp_path / "t.csv").write_text(HEAD + "\n".join(mixed) + "\n")
    return tmp_path


def labels_of(folder: Path, points: str = "good.csv") -> list[str]:
    return run(folder, "predict", "model", points).stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("y,3", "t.csv, line 6: 2 fields, but the first line has 3"),
        ("y,four,4", "t.csv, line 6, column 'a': 'four' is not a number"),
        ("y,6cm,4", "t.csv, line 6, column 'a': '6cm' is not a number"),
        ('y,"4,4', "t.csv, line 6: a quotation mark is not closed"),
    ],
)
@pytest.mark.parametrize("options", [[], ["--append"], ["--distance"]])
def test_a_line_that_stops_predict_can_be_passed_over(
    line: str, message: str, options: list[str], folder: Path
) -> None:
    if options:
        pytest.importorskip("pyarrow")
    (folder / "t.csv").write_text(HEAD + "\n".join([*GOOD, line]) + "\n")
    before = sorted(folder.iterdir())
    command = ("predict", "model", "t.csv", "-o", "l.csv", *options)
    told = run(folder, *command, code=2).stderr
    assert message in told and told.count("\n") == 1
    advice = ", or give such lines an empty label with --bad-rows empty\n"
    assert told.endswith(advice) and sorted(folder.iterdir()) == before
    told = run(folder, *command, "--bad-rows", "empty").stderr
    assert "1 of 5 rows have no label: a value is missing or infinite, or the line is not" in told


@pytest.mark.parametrize("options", [[], ["--append"], ["--id-column", "id"]])
@pytest.mark.parametrize("source", ["t.csv", "parts"])
def test_the_first_empty_row_is_named_by_its_line(
    source: str, options: list[str], folder: Path
) -> None:
    if options or source == "parts":
        pytest.importorskip("pyarrow")
    text = HEAD + "\n".join([*GOOD, "", "y2,,4", "x6,2,2"]) + "\n"
    (folder / "t.csv").write_text(text)
    (folder / "parts").mkdir()
    (folder / "parts" / "1.csv").write_text(HEAD + "\n".join(GOOD) + "\n")
    (folder / "parts" / "2.csv").write_text(text)
    told = run(folder, "predict", "model", source, *options, "--bad-rows", "empty").stderr
    place = "t.csv, line 7" if source == "t.csv" else "parts, 2.csv, line 7"
    assert told.endswith(f"the first one is {place}\n")


def test_lines_that_are_not_rows_have_empty_labels(folder: Path) -> None:
    expected = [label for good in labels_of(folder) for label in ('""', good)]
    done = run(folder, "predict", "model", "t.csv", "--bad-rows", "empty")
    assert done.stdout.splitlines() == [*expected, '""', '""']
    assert "6 of 10 rows have no label" in done.stderr
    assert "the first one is t.csv, line 2" in done.stderr and done.stderr.count("\n") == 1
    run(folder, "predict", "model", "t.csv", "--bad-rows", "empty", "-o", "l.npy")
    labels = np.load(folder / "l.npy")
    assert (labels[[0, 2, 4, 6, 8, 9]] == -1).all() and (labels[[1, 3, 5, 7]] >= 0).all()
    run(folder, "transform", "model", "t.csv", "--bad-rows", "empty", "-o", "d.npy")
    assert np.isnan(np.load(folder / "d.npy")).all(axis=1).tolist() == (labels == -1).tolist()


def test_bad_lines_keep_what_can_be_read_of_them(folder: Path) -> None:
    pytest.importorskip("pyarrow")
    run(folder, "predict", "model", "t.csv", "--bad-rows", "empty", "--append", "-o", "l.csv")
    rows = list(csv.reader((folder / "l.csv").read_text().splitlines()))
    assert rows[0] == ["id", "a", "b", "cluster"]
    assert [row[0] for row in rows[1:]] == [
        *["y1", "x1", "y2", "x2", "", "x3", "y4", "x4", "y5", "x5"]
    ]
    assert rows[1][1:] == ["3", "", ""] and rows[3][1:] == ["", "4", ""]
    good = labels_of(folder)
    assert [row[3] for row in rows[1:]] == [*(x for label in good for x in ("", label)), "", ""]


@pytest.mark.parametrize("options", [[], ["--append"]])
def test_a_model_that_fills_in_means_gives_bad_lines_no_label(
    options: list[str], folder: Path
) -> None:
    pytest.importorskip("pyarrow")
    ids = ["--id-column", "id", "--missing", "mean", "--fresh"]
    run(folder, "train", "good.csv", "model", "-k", "2", *ids)
    command = ["predict", "model", "t.csv", "--bad-rows", "empty", "-o", "l.csv", *options]
    told = run(folder, *command).stderr
    assert "5 of 10 rows have no label" in told
    assert (folder / "l.csv").read_text().splitlines()[-1][-1] in "01"


def test_folders_of_text_have_bad_lines_too(folder: Path) -> None:
    pytest.importorskip("pyarrow")
    (folder / "parts").mkdir()
    for number in range(2):
        lines = [*GOOD * 3, BAD[number], *GOOD]
        (folder / f"parts/{number}.csv").write_text(HEAD + "\n".join(lines) + "\n")
    told = run(folder, "predict", "model", "parts", code=2).stderr
    assert "parts/0.csv, line 14: 2 fields" in told and "--bad-rows empty" in told
    done = run(folder, "predict", "model", "parts", "--bad-rows", "empty")
    good = labels_of(folder)
    assert done.stdout.splitlines() == [*good * 3, '""', *good] * 2
    assert "2 of 34 rows have no label" in done.stderr


def test_a_wrong_way_to_write_all_numbers_is_told_first(folder: Path) -> None:
    (folder / "t.csv").write_text("id;a;b\nx;1,5;2\ny;2,5;3\n")
    told = run(folder, "predict", "model", "t.csv", code=2).stderr
    assert "if the comma is a decimal mark, say --decimal ," in told and told.count("\n") == 1
    (folder / "t.csv").write_text("id,a,b\nx,red,2\ny,blue,3\n")
    told = run(folder, "predict", "model", "t.csv", code=2).stderr
    assert "'red' is not a number" in told and "--bad-rows" not in told
