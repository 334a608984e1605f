"""Text files with columns of words and missing values, as tables of all their columns."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import pytest

from centroids.inputs.tables.opening import open_table
from centroids.inputs.text import csv_table
from centroids.inputs.text._csv_fields import split_fields
from centroids.inputs.text._text_format import TextFormat

pytest.importorskip("pyarrow")


def columns_of(file: Path, text: TextFormat | None = None) -> dict[str, list[object]]:
    table = open_table(file, text or TextFormat())
    found: dict[str, list[object]] = {name: [] for name in table.schema.names}
    for batch in table.batches():
        for name, values in batch.to_pydict().items():
            found[name] += values
    return found


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_the_csv_module_writes(delimiter: str, tmp_path: Path) -> None:
    """Names with delimiters, quotation marks and any script; numbers with all their digits."""
    draw = random.Random(3)
    # (A line of white space only, as of a tab between two empty fields, is a blank line.)
    words = ["x", "Zürich", 'the "Rose"', f"a{delimiter}b", "東京", "NA", "1"]
    names = ["first", *(draw.choice(words) for _ in range(3000))]
    numbers = [0.5, *(draw.choice([draw.gauss(0, 1e9), None, 2**53 + 2, 5e-324]) for _ in names)]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(["name", "a"])
    writer.writerows(zip(names, numbers, strict=False))
    file = tmp_path / "t.csv"
    file.write_bytes(text.getvalue().encode())
    assert columns_of(file) == {"name": names, "a": numbers[: len(names)]}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("x,nan(1)", "column 'a': 'nan(1)' is not a number"),
        ("x,0x10", "column 'a': '0x10' is not a number"),
        ("x,1_0", "column 'a': '1_0' is not a number"),
        ('x,"2"3', "there is text after its closing quote"),
        ('x"y,2', "a quotation mark is not closed"),
        ("x,2\r3,4", "3 fields, but the first line has 2"),
        ("x", "1 field"),
    ],
)
def test_a_bad_line_far_down_is_named(line: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    before = 700_000  # of several pieces
    file.write_bytes(b"id,a\n" + b"x,1.5\n" * before + line.encode() + b"\nx,1\n")
    with pytest.raises(ValueError) as error:
        columns_of(file)
    assert f"line {before + 2}" in str(error.value) and problem in str(error.value)


def test_blank_lines_and_other_white_space(tmp_path: Path) -> None:
    file = tmp_path / "t.tsv"
    file.write_bytes("id\ta\nx \t 1\n\n\t\t\n\u3000y\t+2\r\n \n z\tNaN\n".encode())
    expected = {"id": ["x", "y", "z"], "a": [1.0, 2.0, None]}
    assert columns_of(file, TextFormat(header=True, delimiter="\t")) == expected


def test_decimal_commas_and_float32(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("id;a\nx;16777217,00000000001\ny;\n")
    text = TextFormat(decimal=",", dtype="float32")
    # float64 first, as for files of numbers alone: a tie, which goes to the even neighbor.
    assert columns_of(file, text) == {"id": ["x", "y"], "a": [16777216.0, None]}


def test_words_beside_numbers_are_not_split_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "t.csv"
    file.write_text("id,a,b\n" + '"Anna, B.",1.25,\nC,2.5,3\n' * 100_000)
    table = open_table(file)
    split: list[str] = []

    def count(text: str, delimiter: str | None) -> list[str]:
        split.append(text)
        return split_fields(text, delimiter)

    monkeypatch.setattr(csv_table, "split_fields", count)
    rows = sum(batch.num_rows for batch in table.batches())
    assert rows == 200_000
    assert not split  # pyarrow parsed every piece
