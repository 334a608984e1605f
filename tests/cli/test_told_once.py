"""What the first line is taken for is told once, and as it is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.cli.run_here import run_here


def test_a_row_of_a_model_with_numbers_of_columns(tmp_path: Path) -> None:
    """Both were told: that the line is a row, and that it holds names."""
    (tmp_path / "a.csv").write_text("A12,1,2\n1203,3,4\n1204,5,6\n")
    run_here(tmp_path, "train", "a.csv", "m", "-k", "3", "--columns", "1,2")
    for command in (["predict", "m", "a.csv"], ["evaluate", "m", "a.csv"]):
        done = run_here(tmp_path, *command)
        assert "line 1, 'A12,1,2', is taken for a row" in done.stderr
        assert "for the names" not in done.stderr
        assert done.stderr.count("is taken for") == 1
    assert len(run_here(tmp_path, "predict", "m", "a.csv").stdout.split()) == 3


def test_a_name_of_digits_of_the_model(tmp_path: Path) -> None:
    """The name is asked for: it is neither a guess nor a row."""
    (tmp_path / "a.csv").write_text("1960\n5\n")
    (tmp_path / "b.csv").write_text("c,1960\nA,3\nB,5\n")
    run_here(tmp_path, "train", "b.csv", "m", "-k", "2", "--columns", "1960")
    done = run_here(tmp_path, "predict", "m", "a.csv")
    assert len(done.stdout.split()) == 1 and "is taken for" not in done.stderr


def test_the_numbers_of_columns_that_were_typed(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "a.csv", np.eye(3), delimiter=",", header="0,1,2", comments="")
    done = run_here(tmp_path, "train", "a.csv", "m", "-k", "2", "--columns", "0,1,2")
    assert "for a row" not in done.stderr
