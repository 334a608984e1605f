"""Lines above the rows that begin with #: names, comments, and rows with a bad field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids.inputs import csv_input_fn, pandas_input_fn, parquet_input_fn


def read(file: Path, **arguments: Any) -> Any:
    return np.concatenate(list(csv_input_fn(file, **arguments)())).tolist()


@pytest.mark.parametrize(
    "field", ["#N/A", "#REF!", "#DIV/0!", "#NAME?", "#NUM!", "#NV", "#BEZUG!", "#¡REF!", "####"]
)
@pytest.mark.parametrize("header", [None, False])
def test_an_error_of_a_spreadsheet_is_not_a_comment(
    field: str, header: bool | None, tmp_path: Path
) -> None:
    """Three labels came for four lines."""
    file = tmp_path / "a.csv"
    file.write_text(f"{field},2\n3,4\n50,60\n51,61\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"a.csv, line 1, column 0: '#.*' is not a number"):
        read(file, header=header)
    assert read(file, header=header, bad_rows="drop") == [[3, 4], [50, 60], [51, 61]]


def test_of_one_column_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("#N/A\n3\n4\n")
    with pytest.raises(ValueError, match=r"line 1, column 0: '#N/A' is not a number"):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# x,y\n1,2\n3,4\n", None),
        ("#x,y\n1,2\n3,4\n", None),
        ("# by hand\n1,2\n3,4\n", "line 1 begins with # and is skipped as a comment; if it is"),
        ("#5,6\n1,2\n3,4\n", "line 1 begins with #"),
        ("# by hand\n#\nx,y\n1,2\n3,4\n", "lines 1 to 2 begin with # and are skipped as"),
        ("# by hand\n# x,y\n1,2\n3,4\n", "line 1 begins with #"),
        ("#\n\n# one\nx,y\n1,2\n3,4\n", "lines 1, 3 begin with #"),
        ("########\n1,2\n3,4\n", "line 1 begins"),
    ],
)
def test_comments_are_told_unless_they_are_the_names(
    text: str, said: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.csv"
    file.write_text(text)
    assert read(file) == [[1, 2], [3, 4]]
    told = [each.getMessage() for each in caplog.records if "with #" in each.getMessage()]
    assert len(told) == (said is not None)
    assert said is None or told[0].startswith(f"{file}: {said}")


def test_without_a_header_every_line_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("# x,y\n1,2\n")
    with pytest.raises(ValueError, match=r"line 1, .*if the line is a comment, say skip_lines=1"):
        read(tmp_path / "a.csv", header=False)
    assert read(tmp_path / "a.csv", header=False, skip_lines=1) == [[1, 2]]


def test_an_index_that_pandas_read_as_a_column_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"Unnamed: 0": [3, 1], "x": [5.0, 6.0]})
    (batch,) = pandas_input_fn(frame, shuffle=False)()
    assert set(batch) == {"Unnamed: 0", "x"}  # as in r1.4
    assert "x has a column 'Unnamed: 0', a name that pandas gives to the index" in caplog.text
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    caplog.clear()
    (rows,) = parquet_input_fn(tmp_path / "a.parquet")()
    assert rows.tolist() == [[5], [6]] and "'Unnamed: 0', the index of" in caplog.text
    (rows,) = parquet_input_fn(tmp_path / "a.parquet", columns=["x", "Unnamed: 0"])()
    assert rows.tolist() == [[5, 3], [6, 1]]


def test_a_model_is_trained_without_the_index_of_a_shuffled_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",x,y\n900,0,0\n3,0,1\n501,9,9\n2,9,8\n")
    kmeans = centroids.KMeansClustering(2, initial_clusters=np.array([[0.0, 0], [9, 9]]))
    input_fn = csv_input_fn(tmp_path / "a.csv")
    assert list(kmeans.train(input_fn).predict_cluster_index(input_fn)) == [0, 0, 1, 1]
