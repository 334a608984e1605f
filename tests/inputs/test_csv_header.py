"""Whether a first line is a header: what decides, and what the log says of a guess."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids.inputs import csv_input_fn

NAMES = "is taken for the names of the columns; if it is a row, say header=False"
ROW = "is taken for a row; if it holds the names of the columns, say header=True"


def read(file: Path, **arguments: Any) -> list[list[float]]:
    batches = list(csv_input_fn(file, **arguments)())
    return np.concatenate(batches).tolist() if batches else []


@pytest.mark.parametrize(
    ("text", "columns", "want", "told"),
    [
        # Plain headers and plain rows need no word.
        ("x,y\n1,2\n3,4\n", None, [[1, 2], [3, 4]], None),
        ("1,2\n3,4\n", None, [[1, 2], [3, 4]], None),
        ("1,2\n7,5\n", None, [[1, 2], [7, 5]], None),
        ("5,6,7\n7,5,9\n", None, [[5, 6, 7], [7, 5, 9]], None),
        ("2000,1,5\n1999,7,2\n", None, [[2000, 1, 5], [1999, 7, 2]], None),
        ("name,x\nA,1\nB,2\n", [1], [[1], [2]], None),
        ("Aruba,1,2\nBonaire,3,4\n", [1, 2], [[1, 2], [3, 4]], None),
        ("größe,höhe\n1,2\n", None, [[1, 2]], None),
        ("x1,x2\n1,2\n", None, [[1, 2]], None),
        ("x\n", None, [], None),
        # Only the columns that are taken decide; of the others the log may warn.
        ("A12,1,2\n1203,3,4\n", [1, 2], [[1, 2], [3, 4]], ROW),
        (",1,2\n7,3,4\n", [1, 2], [[1, 2], [3, 4]], None),
        # Years, and the numbers that pandas writes for columns without names.
        ("c,k,1960,1961\nA,AB,54608,55811\n", [2, 3], [[54608, 55811]], NAMES),
        ("c,k,1960,1961\nA,AB,5.5,6.5\n", ["1960"], [[5.5]], None),
        ("c,1960,1970,1980\nA,5,6,7\n", [1, 2, 3], [[5, 6, 7]], NAMES),
        ("1960,1961\n1962,1963\n", None, [[1960, 1961], [1962, 1963]], None),
        ("c,1960\nA,54608\n", [1], [[1960], [54608]], ROW),
        ("0,1,2\n0.5,0.25,3.5\n", None, [[0.5, 0.25, 3.5]], NAMES),
        ("0,1,2\n4,4,7\n", None, [[0, 1, 2], [4, 4, 7]], ROW),
        ("1,2,3\n7,5,9\n", None, [[1, 2, 3], [7, 5, 9]], ROW),
        ("0,1,2,3,4\n7,7,2,9,1\n", None, [[7, 7, 2, 9, 1]], NAMES),
        ("0,1\n0.5,0.25\n", None, [[0, 1], [0.5, 0.25]], ROW),
        (",0,1\n0,0.5,1.5\n1,2.5,3.5\n", None, [[0.5, 1.5], [2.5, 3.5]], NAMES),
        # Words beside whole numbers.
        ("id,1960,1961\n7,54608,55811\n", None, [[7, 54608, 55811]], NAMES),
        # Names that were asked for are a header, whatever else there is.
        ("1,2\n3,4\n", ["2"], [[4]], None),
        ("NA,x\n3,4\n", ["x"], [[4]], None),
    ],
)
def test_what_the_first_line_is(
    text: str,
    columns: Any,
    want: list[list[float]],
    told: str | None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = tmp_path / "a.csv"
    file.write_text(text, encoding="utf-8")
    assert read(file, columns=columns) == want
    messages = [
        record.getMessage()
        for record in caplog.records
        if "is taken for" in record.getMessage() and record.levelno == logging.WARNING
    ]
    assert len(messages) == (told is not None)
    if told is not None:
        assert messages[0].startswith(f"{file}: line 1, ") and messages[0].endswith(told)


@pytest.mark.parametrize("bad", ["", "NA", "N/A", "null", "-", "?", "1kg", "1_000", "$5", "5%"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_bad_first_row_is_not_a_header(bad: str, place: int, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    first = ["2", "2"]
    first[place] = bad
    file.write_text(f"{','.join(first)}\n3,4\n50,60\n51,61\n")
    with pytest.raises(ValueError, match=rf"a.csv, line 1, column {place}: .* is not a number"):
        read(file)
    assert read(file, bad_rows="drop") == [[3, 4], [50, 60], [51, 61]]
    index = bad == "" and place == 0  # a first name that is empty is that of an index
    assert read(file, header=True) == [row[index:] for row in [[3, 4], [50, 60], [51, 61]]]


def test_a_word_above_numbers_beside_a_fraction_is_a_bad_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("abc,2.5\n3,4\n")
    with pytest.raises(ValueError, match=r"line 1, column 0: 'abc' .* names of the columns, say"):
        read(tmp_path / "a.csv")


def test_each_line_has_a_label(tmp_path: Path) -> None:
    """The example of the report: three labels came for four lines."""
    file = tmp_path / "a.csv"
    file.write_text("A12,2,1\n3,4,5\n50,60,7\n51,61,8\n")
    kmeans = centroids.KMeansClustering(2, initial_clusters=np.array([[2.0, 1], [60, 7]]))
    input_fn = csv_input_fn(file, columns=[1, 2])
    kmeans.train(input_fn)
    assert list(kmeans.predict_cluster_index(input_fn)) == [0, 0, 1, 1]


@pytest.mark.parametrize("header", [True, False])
def test_what_is_told_is_not_guessed(
    header: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.csv").write_text("0,1,2\n0.5,0.25,3.5\n")
    rows = [[0, 1, 2], [0.5, 0.25, 3.5]]
    assert read(tmp_path / "a.csv", header=header) == rows[header:]
    assert not caplog.records


# Indices and equal names


@pytest.mark.parametrize(
    ("text", "columns", "want"),
    [
        (",x,y\n0,5,7\n1,6,8\n", None, [[5, 7], [6, 8]]),
        ('"","x","y"\n"1",5,7\n"2",6,8\n', None, [[5, 7], [6, 8]]),
        ("Unnamed: 0,x\n7,5\n8,6\n", None, [[5], [6]]),
        (",x,y\n0,5,7\n1,6,8\n", ["", "x"], [[0, 5], [1, 6]]),
        (",x,y\n0,5,7\n1,6,8\n", [0, 2], [[0, 7], [1, 8]]),
        (",Unnamed: 0,x\n0,0,5\n1,1,6\n", None, [[5], [6]]),
        # Of rows that were chosen, shuffled or put together; and of two levels.
        (",x\n3,5\n9,6\n", None, [[5], [6]]),
        (",x\n0.5,5\n1.5,6\n", None, [[5], [6]]),
        (",x,y\n0,5,6\n2,7,8\n5,9,8\n", None, [[5, 6], [7, 8], [9, 8]]),
        ("Unnamed: 0,x\nb,5\na,6\n", None, [[5], [6]]),
        (",,x\n3,3,5\n9,1,6\n", None, [[5], [6]]),
        (",x\n3,5\n9,6\n", [0, 1], [[3, 5], [9, 6]]),
        ("x,\n5,3\n6,9\n", None, [[5, 3], [6, 9]]),
        ("id,x\n0,5\n1,6\n", None, [[0, 5], [1, 6]]),
    ],
)
def test_an_index_without_a_name_is_not_a_feature(
    text: str, columns: Any, want: list[list[float]], tmp_path: Path, caplog: Any
) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert read(tmp_path / "a.csv", columns=columns) == want
    told = [
        r
        for r in caplog.records
        if "has no name, as the index of a table, and is not taken" in r.getMessage()
    ]
    assert len(told) == (columns is None and len(want[0]) < text.split("\n")[0].count(",") + 1)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('"" y\n1 2\n', [[2]]),  # an index, as R writes it
        ('"x" "y"\n1 2\n', [[1, 2]]),
        ('" y\n1 2\n', [[1, 2]]),  # one mark alone is a word of word vectors
        ('" #y#\n1 2\n', [[1, 2]]),
    ],
)
def test_quotation_marks_between_white_space(
    text: str, want: list[list[float]], tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text(text)
    assert read(tmp_path / "a.txt", header=True) == want


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
def test_equal_names_are_refused(name: str, tmp_path: Path) -> None:
    mark = {"a.csv": ",", "a.tsv": "\t", "a.txt": " "}[name]
    (tmp_path / name).write_text("x,y,x\n1,2,3\n".replace(",", mark))
    input_fn = centroids.inputs.file_input_fn
    for columns in (None, ["x"], ["y", "x"]):
        with pytest.raises(ValueError, match=rf"{name} has 2 columns called 'x'; give them diff"):
            input_fn(tmp_path / name, columns=columns)
    assert next(iter(input_fn(tmp_path / name, columns=["y", 2])())).tolist() == [[2, 3]]


def test_equal_names_of_tables_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    pyarrow = pytest.importorskip("pyarrow")
    tables: list[Any] = [
        pandas.DataFrame([[1.0, 2.0]], columns=["x", "x"]),
        pyarrow.Table.from_arrays([pyarrow.array([1.0]), pyarrow.array([2.0])], ["x", "x"]),
    ]
    for table in tables:
        with pytest.raises(ValueError, match=r"x has 2 columns called 'x'; give them different"):
            centroids.inputs.numpy_input_fn(table, shuffle=False)
    with pytest.raises(ValueError, match=r"x has 2 columns called 'x'"):
        centroids.inputs.pandas_input_fn(tables[0], shuffle=False)


@pytest.mark.parametrize("header", [None, True])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_name_in_quotation_marks_may_have_line_breaks(
    newline: str, header: bool | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "t.csv").write_text(
        f'"a","income{newline}per ""head""{newline}in euros",c{newline}1,2,3{newline}4,x,6',
        newline="",
    )
    file = tmp_path / "t.csv"
    with pytest.raises(
        ValueError, match=r"t.csv, line 5, column 'income\\nper \"head\"\\nin euros'"
    ):
        read(file, header=header)
    assert read(file, header=header, columns=["a", "c"]) == [[1, 3], [4, 6]]
    assert read(file, header=header, columns=[2, 0]) == [[3, 1], [6, 4]]
    assert not caplog.text
    table = centroids.inputs.table_input_fn(file, columns=["c"])
    assert table().column_names == ["c"]


@pytest.mark.parametrize("text", ['1,"2\n3,4\n5",6\n', 'a,"b\n1,2\n', '"a\n1,2\n3","b\n'])
def test_a_quotation_mark_that_stays_open_is_refused_where_it_is(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match="line 1: a quotation mark is not closed"):
        read(tmp_path / "t.csv")
