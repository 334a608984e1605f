"""Line breaks within fields, which a row of a text file must not have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from centroids.inputs import csv_input_fn, table_input_fn
from centroids.inputs.tables.opening import open_table
from tests.inputs.test_tables import read

TEXT = 'name,a,b\n"x",1,2\n"two\nand ""more""\nlines",3,4\nz,5,6\n'


def test_a_line_break_in_a_field_is_told_as_such(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(TEXT)
    with pytest.raises(ValueError, match=r"t.csv, line 3: .* line break .* ends in line 5"):
        list(csv_input_fn(file, columns=["a", "b"])())
    pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match=r"t.csv, line 3: .* line break .* ends in line 5") as told:
        list(open_table(file).batches())
    pytest.importorskip("duckdb")
    query = str(told.value).split('"')[1]
    assert query.startswith("FROM '")
    rows = np.concatenate([x for x, _ in read(table_input_fn(query, columns=["a", "b"]))])
    assert rows.tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    "text",
    [
        'a,b\n1,2\n3,"4\n5,6\n',  # never closed
        'a,b\n1,2\n3"x,4\n5"y,6\n',  # in the middle of words
        'a,b\n1,2\n3,"4\n5",6,7\n',  # too many fields once it is closed
        'a,b\n1,2\n3,"4"x"\n5,6"\n',  # text after the closing one
    ],
)
def test_other_quotation_marks_are_not_taken_for_it(text: str, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"t.csv, line 3: a quot") as told:
        list(csv_input_fn(file)())
    assert "line break" not in str(told.value)


def test_lines_of_such_a_row_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "t.csv"
    file.write_text('a,b,c\n1,2,x\n3,4,"y\nz"\n5,6,w\n')
    (rows,) = csv_input_fn(file, columns=["a", "b"], bad_rows="drop")()
    assert rows.tolist() == [[1, 2], [5, 6]]
    assert "the first one is line 3: a field in quotation marks has a line break" in caplog.text
