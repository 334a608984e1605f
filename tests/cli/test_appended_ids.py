"""Ids of a whole table stay what they are, in every format."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.cli.run_here import run_here as run

pytest.importorskip("pyarrow")

IDS = ["00123456789012345678", "00123456789012345679", "0000", "7"]


def test_ids_of_a_model_keep_their_digits_in_parquet(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    rows = [f"{number},{i},{i % 2},{10 * i}" for i, number in enumerate(IDS)]
    (tmp_path / "rows.csv").write_text("\n".join(["id,a,b,other", *rows, ""]))
    train = ["train", "rows.csv", "model", "-k", "2", "--id-column", "id", "--columns", "a,b"]
    run(tmp_path, *train, "--quiet")
    run(tmp_path, "predict", "model", "rows.csv", "--append", "-o", "all.parquet")
    table = pq.read_table(tmp_path / "all.parquet")
    assert table["id"].to_pylist() == IDS
    assert table["other"].to_pylist() == [0, 10, 20, 30]  # numbers are numbers
    run(tmp_path, "predict", "model", "rows.csv", "--append", "-o", "all.csv")
    with (tmp_path / "all.csv").open(newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == IDS
