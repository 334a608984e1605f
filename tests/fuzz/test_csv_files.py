"""No bytes in a CSV file lead to a hang, wrong numbers, a warning or another's exception."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids.inputs import csv_input_fn
from centroids.inputs.text import csv_layout
from tests.fuzz.damage import SLOW, damaged, read_or_refuse

FAST = settings(max_examples=300)
WHOLE = st.sampled_from(
    [
        b"x,y\n1,2\n3.5,-4e3\n",
        b"1;2;3\r\n4;5;6\r\n",
        b'"a","b"\n"1","2"\n3,4\n',
        b"\xef\xbb\xbfa\tb\n1\t2\n\n3\t4\n",
        b"# 1 2\n1 2\n3   4\n",
        b"1\n2\n3\n",
        b'"x"\n"1"\n"2"\n',
        b'"x" "y"\n1 2\n',
        "id,\u00e9\nx,1\ny,2\n".encode(),
    ]
)
# What separates and what confuses, more often than chance would have it.
PIECES = st.sampled_from(
    list('1,;\t\n\r\0#_ e"\x1c\x0b\x85\ufeff\u00a0\u2028\u0663')
) | st.sampled_from(["-2.5", "1e400", "nan", "", '""', "\r\n", "0x1", "x", "1_0"])
TEXTS = st.lists(PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode())


def check(data: bytes, file: Path, **arguments: Any) -> None:
    file.write_bytes(data)
    data = as_utf8(data)
    raised = read_or_refuse(lambda: _read(file, **arguments), file)
    dropped = read_or_refuse(lambda: _read(file, bad_rows="drop", **arguments), file)
    if raised is not None:
        if raised.shape == numbers_of(data, raised.shape[1]).shape or not has_index(data):
            expected = numbers_of(data, raised.shape[1])
        else:
            expected = numbers_without_index(data, raised.shape[1])
            if not np.array_equal(raised, expected, equal_nan=True):
                expected = numbers_below_no_names(data, raised.shape[1])
        np.testing.assert_array_equal(raised, expected)
        good = raised[np.isfinite(raised).all(axis=1)]
        if len(good):
            assert dropped is not None
            np.testing.assert_array_equal(dropped, good)
    elif dropped is not None:
        # Whatever is left are rows of the file, in their order.
        width = dropped.shape[1]
        possible = [numbers_of(data, width).tolist()]
        if has_index(data):
            possible.append(numbers_without_index(data, width).tolist())
            possible.append(numbers_below_no_names(data, width).tolist())
        assert any(is_part_in_order(dropped.tolist(), every) for every in possible)


def as_utf8(data: bytes) -> bytes:
    """Text in UTF-16 or UTF-32, which begins with its mark, in UTF-8."""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return data.decode("utf-32", "replace").encode(errors="replace")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace").encode(errors="replace")
    return data


def is_part_in_order(rows: list[Any], every: list[Any]) -> bool:
    remaining = iter(every)
    return all(row in remaining for row in rows)


def has_index(data: bytes) -> bool:
    """Whether a line begins with a field that is empty: the header of an index without a name."""
    lines = data.decode(errors="replace").removeprefix("\ufeff").split("\n")
    empty = r'\s*#?\s*(""\s*)?[\t;,]|.*[\t;,]\s*("")?\s*([\t;,]|$)|(.*\s)?#?""(\s|$)'
    return any(re.match(empty, line) for line in lines)


def numbers_without_index(data: bytes, width: int) -> NDArray[np.float64]:
    """As `numbers_of` a file with one column more, of whole numbers that follow each other."""
    rows = numbers_of(data, width + 1)
    for column in range(width + 1):
        index = rows[:8, column]
        if len(index) and (np.diff(index) == 1).all() and (index >= 0).all():
            return np.delete(rows, column, axis=1)
    return rows


def numbers_below_no_names(data: bytes, width: int) -> NDArray[np.float64]:
    """The last `width` fields of lines below one that begins with empty fields, as many as needed.

    Whatever is in the fields before them: they are an index.
    """
    rows: list[list[float]] = []
    for text in data.decode(errors="replace").split("\n"):
        line = text.removeprefix("\ufeff")
        for delimiter in "\t;, ":
            try:
                fields = fields_of(line, delimiter)
                numbers = [number(field) for field in fields[-width:]]
            except ValueError:
                continue
            if len(fields) > width:
                rows.append(numbers)
                break
    return np.array(rows).reshape(-1, width)


def _read(file: Path, **arguments: Any) -> NDArray[Any]:
    source = csv_input_fn(file, batch_size=3, dtype=np.float64, **arguments)()
    batches = list(source)
    return np.concatenate(batches) if batches else np.empty((0, 1))


def numbers_of(data: bytes, width: int) -> NDArray[np.float64]:
    """The lines that are rows of `width` numbers, by the plainest means."""
    rows: list[list[float]] = []
    for text in data.decode(errors="replace").split("\n"):
        line = text.removeprefix("\ufeff")  # anywhere: files may have been joined
        for delimiter in "\t;, ":
            try:
                numbers = [number(field) for field in fields_of(line, delimiter)]
            except ValueError:
                continue
            if len(numbers) == width:
                rows.append(numbers)
                break
    return np.array(rows).reshape(-1, width)


def fields_of(line: str, delimiter: str) -> list[str]:
    """Character by character; a ValueError where a quotation mark is not as it should be."""
    if delimiter == " ":
        return line.split()  # where it is no more than a character
    if line.count('"') % 2:
        raise ValueError
    fields, place = [], 0
    while True:
        field, place = (quoted if line.startswith('"', place) else plain)(line, place, delimiter)
        fields.append(field)
        if place == len(line):
            return fields
        if line[place] != delimiter:
            raise ValueError
        place += 1


def plain(line: str, start: int, delimiter: str) -> tuple[str, int]:
    place = start
    while place < len(line) and line[place] != delimiter:
        place += 1
    return line[start:place], place


def quoted(line: str, start: int, delimiter: str) -> tuple[str, int]:
    """What is between the quotation marks, and where the field ends with the blanks after it."""
    field, place = "", start + 1
    while line[place : place + 1] != '"' or line[place + 1 : place + 2] == '"':
        if place >= len(line):
            raise ValueError
        field += line[place]
        place += 2 if line[place] == '"' else 1
    place += 1
    while place < len(line) and line[place].isspace() and line[place] != delimiter:
        place += 1
    return field, place


def number(field: str) -> float:
    field = field.strip()  # of all that Unicode calls white space, as NumPy does
    if "_" in field or not field.isascii():
        raise ValueError
    return float(field)


@FAST
@given(data=damaged(WHOLE) | TEXTS)
def test_damaged_files(data: bytes, tmp_path: Path) -> None:
    check(data, tmp_path / "fuzzed.csv")


@FAST
@given(
    data=damaged(WHOLE) | TEXTS,
    delimiter=st.sampled_from([None, ",", ";", " ", "|", "\t", "\0", "1"]),
    header=st.sampled_from([None, True, False]),
    columns=st.none() | st.lists(st.integers(-1, 3), min_size=1, max_size=3),
    shuffle=st.booleans(),
)
def test_damaged_files_and_any_arguments(data: bytes, tmp_path: Path, **arguments: Any) -> None:
    file = tmp_path / "fuzzed.csv"
    file.write_bytes(data)
    for bad_rows in ("raise", "drop"):
        read_or_refuse(lambda given=bad_rows: _read(file, bad_rows=given, **arguments), file)


@pytest.mark.slow
@settings(parent=FAST, max_examples=SLOW)
@given(data=damaged(WHOLE, most=10) | TEXTS)
def test_many_damaged_files(data: bytes, tmp_path: Path) -> None:
    check(data, tmp_path / "fuzzed.csv")


MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    "data",
    [
        b"1," * MEGABYTE + b"1\n",
        b"1" * MEGABYTE,
        b"1,2\n" + b"3" * MEGABYTE + b",4\n",
        b"1,2\n" + b"x" * MEGABYTE + b",4\n",
        b'1,2\n"' + b"x" * MEGABYTE + b'",4\n',
        b"1,2\n" + b'"' * MEGABYTE + b",4\n",
        b"\0" * MEGABYTE,
        b"1,2\n" + b"\0" * MEGABYTE,
        b"\n" * (MEGABYTE // 16) + b"1,2\n",
        b"#" * MEGABYTE + b"\n1,2\n",
        b" " * MEGABYTE,
        b"a," * 100_000 + b"a\n" + b"1," * 100_000 + b"1\n" + b"1,2\n",
        "1,2\n3,4\n".encode("utf-16"),
        b"1,2\n3,4\n5,6\r7,8\r\n\r\r\n9,10\n",
    ],
    ids=lambda data: f"{data[:12]!r}",
)
def test_large_and_odd_lines(data: bytes, tmp_path: Path) -> None:
    check(data, tmp_path / "fuzzed.csv")


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_layout, "_MAX_LINE_BYTES", MEGABYTE)
    file = tmp_path / "fuzzed.csv"
    for start, number in ((b"", 1), (b"1,2\n3,4\n5,6\n", 4)):
        file.write_bytes(start + b"7," * MEGABYTE)
        with pytest.raises(ValueError, match=rf"fuzzed.csv, line {number} has more than 1 MiB"):
            list(csv_input_fn(file, bad_rows="drop")())
