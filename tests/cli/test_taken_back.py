"""Text options that change what a model keeps, and columns that share a name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.run_here import run_here as run

GERMAN = "a;b\n1.000,5;2\n3.000,5;4\n"
ENGLISH = "a;b\n1000.5;2\n3000.5;4\n"


@pytest.fixture
def german(tmp_path: Path) -> Path:
    """A folder with a model that keeps a decimal comma and points between groups of digits."""
    (tmp_path / "german.csv").write_text(GERMAN)
    (tmp_path / "english.csv").write_text(ENGLISH)
    told = run(
        tmp_path, *["train", "german.csv", "m", "-k", "2", "--decimal", ",", "--thousands", "."]
    )
    assert "From now on" not in told.stdout
    return tmp_path


@pytest.mark.parametrize(
    "options",
    ["--decimal .", "--decimal . --thousands none", "--decimal . --thousands None"],
)
def test_an_option_wins_over_a_kept_one_that_contradicts_it(german: Path, options: str) -> None:
    want = run(german, "predict", "m", "german.csv").stdout
    assert want.split() in (["0", "1"], ["1", "0"])
    got = run(german, "predict", "m", "english.csv", *options.split())
    assert (got.stdout, got.stderr) == (want, "")


def test_points_group_digits_for_a_model_with_a_decimal_comma(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a;b\n1000,5;2\n3000,5;4\n")
    (tmp_path / "german.csv").write_text(GERMAN)
    run(tmp_path, "train", "a.csv", "m", "-k", "2", "--decimal", ",")
    want = run(tmp_path, "predict", "m", "a.csv").stdout
    assert run(tmp_path, "predict", "m", "german.csv", "--thousands", ".").stdout == want


def test_nothing_groups_digits_any_more(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a b\n1 2\n3 4\n")
    (tmp_path / "b.csv").write_text("a;b\n1 000;2\n3 000;4\n")
    run(tmp_path, "train", "b.csv", "m", "-k", "2", "--thousands", " ")
    told = run(tmp_path, "predict", "m", "a.csv", code=2).stderr
    assert "--thousands ' ' needs another delimiter" in told
    run(tmp_path, "predict", "m", "a.csv", "--thousands", "none")


def test_errors_of_text_options_have_no_words_of_python(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ENGLISH)
    train = ["train", "a.csv", "m", "-k", "1"]
    for options in ("--thousands x", "--delimiter ab"):
        told = run(tmp_path, *train, *options.split(), code=2).stderr
        assert "must be" in told
        assert "None" not in told


def test_train_tells_each_text_option_that_changes(german: Path) -> None:
    told = run(german, "train", "german.csv", "m", "--dtype", "float32", "--header").stdout
    assert "From now on: --header (until now detected).\n" in told
    assert "From now on: --dtype float32 (until now float64).\n" in told
    assert told.count("From now on") == 2
    told = run(german, "train", "english.csv", "m", "--decimal", ".", "--delimiter", ";").stdout
    assert "From now on: --delimiter ';' (until now detected).\n" in told
    assert "From now on: --decimal . (until now ,).\n" in told
    assert "From now on: --thousands none (until now .).\n" in told
    assert told.count("From now on") == 3
    settings = json.loads((german / "m" / "settings.json").read_text())
    assert settings["text"] == {"header": True, "delimiter": ";", "dtype": "float32"}
    told = run(
        german, "train", "english.csv", "m", "--dtype", "float64", "--skip-lines", "0"
    ).stdout
    assert told.count("From now on") == 1
    assert "From now on" not in run(german, "train", "english.csv", "m").stdout


def test_errors_name_what_the_command_line_has(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ENGLISH)
    (tmp_path / "file").touch()
    told = run(tmp_path, "train", "a.csv", "file", "-k", "1", code=2).stderr
    assert told.startswith("centroids: MODEL_DIR must be a folder, but it is a file")
    run(tmp_path, "train", "a.csv", "m", "-k", "1")
    told = run(tmp_path, "export", "m", "file", code=2).stderr
    assert told == "centroids: OUTPUT must be a folder, but it is a file: file\n"
    options = ["--decimal", ",", "--thousands", ","]
    told = run(tmp_path, "predict", "m", "a.csv", *options, code=2).stderr
    assert told.startswith("centroids: --decimal and --thousands must differ, both are ','; if ")


@pytest.mark.parametrize("columns", ["a,a", "0,0", "a,0", "0,b,a"])
def test_no_column_is_taken_twice(tmp_path: Path, columns: str) -> None:
    (tmp_path / "a.csv").write_text(ENGLISH)
    told = run(tmp_path, "train", "a.csv", "m", "-k", "1", "--columns", columns, code=2).stderr
    assert told.startswith("centroids: --columns takes ")
    assert " twice" in told
    assert not (tmp_path / "m").exists()


def test_no_column_of_a_parquet_file_is_taken_twice(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"a": [1.0, 5.0], "b": [2.0, 2.0]}), tmp_path / "a.parquet")
    told = run(tmp_path, *["train", "a.parquet", "m", "-k", "1", "--columns", "a,a"], code=2).stderr
    assert told == "centroids: --columns takes the column 'a' twice: leave one out\n"


@pytest.mark.parametrize(
    ("columns", "kept"),
    [("0,2", [0, 2]), ("0,1", [0, 1]), ("1,2", [1, 2]), ("1", ["b"]), ("b", ["b"])],
)
def test_columns_that_share_a_name_are_kept_by_number(
    tmp_path: Path, columns: str, kept: list[str | int]
) -> None:
    (tmp_path / "dup.csv").write_text("a,b,a\n1,2,3\n2,3,4\n90,80,70\n")
    run(tmp_path, "train", "dup.csv", "m", "-k", "2", "--columns", columns)
    settings = json.loads((tmp_path / "m" / "settings.json").read_text())
    assert settings["columns"] == kept
    first, second, third = run(tmp_path, "predict", "m", "dup.csv").stdout.split()
    assert first == second != third
    run(tmp_path, "evaluate", "m", "dup.csv")
    run(tmp_path, "inspect", "m", "--points", "dup.csv")
    assert "From now on" not in run(tmp_path, "train", "dup.csv", "m").stdout
