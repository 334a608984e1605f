"""Columns that can be read, but look like something else: the log says so."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from centroids.inputs import csv_input_fn, parquet_input_fn

IDS = "Kunde-ID;x\n" + "".join(f"{10001 + row};{row * row}\n" for row in range(8))


def warnings(file: Path, caplog: pytest.LogCaptureFixture, text: str, **arguments: Any) -> str:
    file.write_text(text, encoding="utf-8")
    caplog.clear()
    with caplog.at_level(logging.WARNING, "centroids"):
        csv_input_fn(file, **arguments)
    return "\n".join(record.getMessage() for record in caplog.records)


def test_a_named_id_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "a.csv"
    told = warnings(file, caplog, IDS)
    assert told == (
        f"{file}: column 'Kunde-ID' counts up by 1 in each row; if it is an id, choose other "
        "columns with columns=['x']"
    )
    assert warnings(file, caplog, IDS, columns=["Kunde-ID", "x"]) == ""
    assert warnings(file, caplog, IDS.replace("10003", "10004")) == ""
    assert warnings(file, caplog, "t\n1\n2\n3\n4\n5\n6\n7\n") == ""  # there is no other


@pytest.mark.parametrize(
    ("rows", "is_told"),
    [
        (["1;1.234;5", "2;2.500;7"], True),
        (["1;999;5", "2;2.500;7", "3;1.000;7"], True),
        (["1;1.234;5", "2;2.5;7"], False),
        (["1;0.123;5", "2;0.500;7"], False),
        (["1;1.234;5"], False),
        (["1;1234;5", "2;2500;7"], False),
    ],
)
def test_grouped_digits_are_told(
    rows: list[str], is_told: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "\n".join(["id;menge;preis", *rows])
    told = warnings(tmp_path / "a.csv", caplog, text)
    assert ("say decimal=',' thousands='.'" in told and "'menge' has numbers such as" in told) is (
        is_told
    )
    assert warnings(tmp_path / "a.csv", caplog, text, decimal=",", thousands=".") == ""
    assert warnings(tmp_path / "a.csv", caplog, text, columns=["preis"]) == ""
    assert warnings(tmp_path / "a.csv", caplog, text.replace(";", ",")) == ""


def test_names_of_another_encoding_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes("Alter;Einkommen (€)\n31;5\n45;6\n".encode("cp1252"))
    with caplog.at_level(logging.WARNING, "centroids"):
        csv_input_fn(file)
    assert "is not in UTF-8; say how the file is written, such as encoding='cp1252'" in caplog.text
    with pytest.raises(ValueError, match="not in UTF-8: say how it is written, such as encoding="):
        csv_input_fn(file, columns=["Einkommen (€)"])
    input_fn = csv_input_fn(file, columns=["Einkommen (€)"], encoding="cp1252")
    assert next(iter(input_fn())).tolist() == [[5.0], [6.0]]


def test_columns_of_numbers_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("when,age,city,income\n2024-01-01,31,Ulm,5\n2024-01-02,45,Bonn,6\n")
    with pytest.raises(ValueError, match=r"columns with columns=\['age', 'income'\]$"):
        list(csv_input_fn(file)())
    table = {"when": ["a"], "age": [3.5], "city": ["b"], "vector": [[1.0, 2.0]]}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    with pytest.raises(TypeError, match=r"\['when'\] .* columns=\['age', 'vector'\]$"):
        parquet_input_fn(tmp_path / "a.parquet")
    many = ",".join(f"x{column}" for column in range(30))
    file.write_text(f"day,{many}\n" + "mon" + ",1" * 30 + "\n")
    with pytest.raises(ValueError, match=r"columns=\['x0', .*'x19', \.\.\.\]$"):
        list(csv_input_fn(file)())


def test_a_title_above_the_table_is_told(tmp_path: Path) -> None:
    file = tmp_path / "skip.csv"
    file.write_text("Export vom 1.1.2024\n\na;b;c\n1;2;3\n4;5;7\n")
    message = r"line 3: 1 field, but the first line has 3; if the table begins at line 3, .*"
    with pytest.raises(ValueError, match=message + "skip_lines=2$"):
        list(csv_input_fn(file)())
    rows = np.concatenate(list(csv_input_fn(file, skip_lines=2)()))
    assert rows.tolist() == [[1, 2, 3], [4, 5, 7]]


@pytest.mark.parametrize(("period", "told"), [(12, False), (24, False), (366, False), (5000, True)])
def test_a_cycle_is_not_an_id(
    period: int, told: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "t.csv"
    rows = (f"{row % period + 1},{row % 7}.5\n" for row in range(600))
    file.write_text("hour,load\n" + "".join(rows))
    csv_input_fn(file)
    assert ("column 'hour' counts up by 1" in caplog.text) is told
