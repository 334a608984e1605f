"""How a text file is written: marks in numbers, lines to skip, types; and what is not text."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids.inputs import TextFormat, csv_input_fn, file_input_fn, npy_input_fn


def read(file: Path, **arguments: Any) -> Any:
    return np.concatenate(list(csv_input_fn(file, **arguments)()))


@pytest.mark.parametrize(
    ("text", "arguments", "want"),
    [
        ("x;y\n1,5;-2,25\n,5;1e3\n", {"decimal": ","}, [[1.5, -2.25], [0.5, 1000]]),
        ("1,5 2,5\n3 4\n", {"decimal": ","}, [[1.5, 2.5], [3, 4]]),
        ("1,5\n2,5\n", {"decimal": ","}, [[1.5], [2.5]]),
        ('"1,5","2"\n"3","4,5"\n', {"decimal": ","}, [[1.5, 2], [3, 4.5]]),
        ('x,y\n"1,234","5"\n1234567,"1,234,567.5"\n', {"thousands": ","}, None),
        ("1.234,5;1\n12.345.678;2\n", {"decimal": ",", "thousands": "."}, None),
        ("1'234;5\n12'345'678.5;-1\n", {"thousands": "'"}, [[1234, 5], [12345678.5, -1]]),
        ("1 234;5\n2 000;6\n", {"thousands": " "}, [[1234, 5], [2000, 6]]),
        ("1\u00a0234;5\n2\u202f000;6\n", {"thousands": " "}, [[1234, 5], [2000, 6]]),
        ("12,34,567;1\n1,00,000;2\n", {"thousands": ","}, [[1234567, 1], [100000, 2]]),
        ("made by hand\n1,2,3\nx,y\n1,2\n", {"skip_lines": 2}, [[1, 2]]),
        ("sep=;\nx;y\n1;2\n", {}, [[1, 2]]),
        ("\ufeffsep=|\r\n1|2\r\n", {}, [[1, 2]]),
        ("sep=,\n1;5,2\n", {"delimiter": ";", "decimal": ","}, [[1, 5.2]]),
    ],
)
def test_numbers_and_lines(text: str, arguments: dict[str, Any], want: Any, tmp_path: Path) -> None:
    wants = {",": [[1234, 5], [1234567, 1234567.5]], ".": [[1234.5, 1], [12345678, 2]]}
    want = wants[arguments["thousands"]] if want is None else want
    for name in ("a.csv", "a.txt"):
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        assert read(tmp_path / name, **arguments).tolist() == want
        source = file_input_fn(tmp_path / name, 1, shuffle=True, **arguments)()
        assert sorted(batch[0].tolist() for batch in source) == sorted(want)


@pytest.mark.parametrize(
    ("field", "arguments", "remedy"),
    [
        ('"1,234"', {}, "if ',' groups digits, say thousands=','; if the comma is a decimal mark"),
        ('"1,5"', {}, r"say decimal=',' \(and thousands='.' if points group digits\)$"),
        ("1.234.567", {}, "if points group digits, say decimal=',' thousands='.'$"),
        ("1\u00a0234", {}, "if ' ' groups digits, say thousands=' '$"),
        ("1.234,5", {}, "if the comma is a decimal mark, say decimal=',' thousands='.'"),
        ("1'234", {}, 'if "\'" groups digits, say thousands="\'"'),
        ('"1,5"', {"thousands": ","}, "decimal mark"),
        ('"12,34"', {"thousands": ","}, "decimal mark"),
        ("1.5", {"decimal": ","}, "correct it"),
        ("$5", {}, "correct it, or choose other columns with columns="),
        ("x", {}, "correct it, or choose other columns with columns="),
    ],
)
def test_what_is_not_a_number_says_what_would_make_it_one(
    field: str, arguments: dict[str, Any], remedy: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(f"a|b\n1|2\n1|{field}\n")
    with pytest.raises(ValueError, match=rf"line 3, column 'b': .* not a number; .*{remedy}"):
        read(tmp_path / "a.csv", delimiter="|", **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"thousands": "."}, r"both are '.'; if that groups digits, say decimal=',' thousands='.'"),
        ({"decimal": ";"}, r"decimal must be '.' or ','; got ';'"),
        ({"thousands": "x"}, r"thousands must be one of ',', .* got 'x'"),
        ({"thousands": ",", "decimal": ","}, r"decimal and thousands must differ, both are ','"),
        ({"skip_lines": -1}, r"skip_lines must be an integer of at least 0; got -1"),
        ({"delimiter": ""}, r"delimiter must be a single character, .*; got ''"),
        ({"header": "yes"}, r"header must be True or False; got 'yes'"),
        ({"dtype": "int32"}, r"dtype must be a floating-point type, got int32"),
        ({"skip_lines": 3}, r"a.csv has no rows"),
    ],
)
def test_formats_that_cannot_be(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    for function in (csv_input_fn, file_input_fn):
        with pytest.raises(ValueError, match=message):
            function(tmp_path / "a.csv", **arguments)


def test_a_format_is_for_text(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.eye(2))
    with pytest.raises(ValueError, match=r"thousands is for text files, and .*a.npy is not one"):
        file_input_fn(tmp_path / "a.npy", thousands=",")
    (tmp_path / "a.txt").write_text("1 2\n")
    with pytest.raises(ValueError, match=r"thousands=' ' needs another delimiter than white space"):
        csv_input_fn(tmp_path / "a.txt", thousands=" ")


def test_a_format_survives_json() -> None:
    text = TextFormat(header=False, delimiter=";", decimal=",", thousands=".", dtype="float32")
    assert TextFormat(**json.loads(json.dumps(asdict(text)))) == text
    assert TextFormat(dtype=np.float32) == TextFormat(dtype="float32")


def test_a_position_of_other_numbers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1;2\n3;4\n5;6\n")
    source = csv_input_fn(tmp_path / "a.csv", 1, thousands=",")()
    next(iter(source))
    with pytest.raises(ValueError, match=r"numbers was \['.', ','\], now it is"):
        csv_input_fn(tmp_path / "a.csv", 1, decimal=",")().restore(source.position())


def test_text_gives_what_the_same_numbers_give(tmp_path: Path) -> None:
    """Unix seconds lost their digits: the mean distance was off by 8%."""
    random = np.random.default_rng(0)
    rows = np.column_stack([1.7e9 + random.integers(0, 2000, 400), random.normal(size=400)])
    np.save(tmp_path / "a.npy", rows)
    np.savetxt(tmp_path / "a.csv", rows, delimiter=",", fmt="%.17g")
    kmeans = [
        centroids.KMeansClustering(5, initial_clusters=rows[:5], use_mini_batch=False).train(
            make(path, 400, 10)
        )
        for make, path in ((npy_input_fn, tmp_path / "a.npy"), (csv_input_fn, tmp_path / "a.csv"))
    ]
    evaluated = [
        model.evaluate(csv_input_fn(tmp_path / "a.csv"))["mean_distance"] for model in kmeans
    ]
    assert evaluated[0] == evaluated[1]
    np.testing.assert_array_equal(*(model.cluster_centers() for model in kmeans))
    centers = kmeans[0].cluster_centers()
    nearest = ((rows[:, None] - centers) ** 2).sum(axis=2)
    np.testing.assert_allclose(evaluated[0], nearest.min(axis=1).mean(), rtol=1e-12)
    assert list(kmeans[1].predict_cluster_index(csv_input_fn(tmp_path / "a.csv"))) == list(
        nearest.argmin(axis=1)
    )


TEXT = b"x,y\n1,2\n3,4\n" * 20


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04\x14\0\0\0", "a zip archive or an Excel workbook"),
        (b"PAR1\x15\0", "a Parquet file; give it a name that ends in .parquet"),
        (TEXT.decode().encode("utf-16-be"), "text in UTF-16; say encoding='utf-16-be'"),
        (TEXT.decode().encode("utf-16-le"), "text in UTF-16; say encoding='utf-16-le'"),
        (bytes(100), "binary data"),
        (TEXT.replace(b"\n", b"\r"), "lines that end in CR alone"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_what_a_file_is_that_is_not_text(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(ValueError, match=rf"a.csv (is not plain text|has).*{message[:9]}") as error:
        csv_input_fn(tmp_path / "a.csv", bad_rows="drop")
    assert message in str(error.value)
