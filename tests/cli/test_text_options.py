"""The options for text files, what is said of a guess, and errors in the words of options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from centroids.cli import main
from tests.inputs.tfrecord_writer import write_rows

ROWS = np.random.default_rng(0).integers(1000, 2_000_000, (40, 2)) / 4


@dataclass
class Done:
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process: a new one would take a second each time."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, code: int = 0) -> Done:
        monkeypatch.setattr(sys, "argv", ["centroids", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        done = Done(*capsys.readouterr())
        assert ended.value.code in (code, code or None), done.stderr
        return done

    return call


@pytest.fixture
def folder(tmp_path: Path, run: Run) -> Path:
    """The same points as numbers, and as text that no default reads."""
    np.save(tmp_path / "points.npy", ROWS)
    german = "".join(f"{a:,.2f};{b:,.2f}\n" for a, b in ROWS).translate(str.maketrans(".,", ",."))
    (tmp_path / "german.csv").write_text(f"Bericht\nsep=;\nÄpfel;Birnen\n{german}")
    run("train", "points.npy", "model", "-k", "3")
    return tmp_path


FORMAT = ["--skip-lines", "2", "--decimal", ",", "--thousands", ".", "--delimiter", ";"]


def test_every_command_reads_what_the_options_say(folder: Path, run: Run) -> None:
    want = run("predict", "model", "points.npy").stdout
    assert run("predict", "model", "german.csv", *FORMAT).stdout == want
    evaluated = run("evaluate", "model", "points.npy").stdout
    assert run("evaluate", "model", "german.csv", *FORMAT).stdout == evaluated
    shown = run("inspect", "model", "--points", "german.csv", *FORMAT).stdout
    assert "score:" in shown
    trained = ["train", "german.csv", "other", "-k", "3", *FORMAT]
    run(*trained)
    assert run("evaluate", "other", "points.npy").stdout == evaluated
    columns = ["--columns", "Birnen,Äpfel"]
    run(*trained[:2], "third", "-k", "3", *FORMAT, *columns, "--dtype", "float32")
    assert "float32" in run("inspect", "third").stdout
    assert not (folder / "none").exists()
    told = run("predict", "model", "german.csv", "--skip-lines", "2", code=2).stderr
    assert "if the comma is a decimal mark, say --decimal , --thousands ." in told


def test_a_guess_is_said_once_and_an_option_settles_it(folder: Path, run: Run) -> None:
    """A header of years was clustered as a point."""
    lines = "".join(f"A,B,{a},{b}\n" for a, b in ROWS)
    (folder / "years.csv").write_text(f"Name,Code,1960,1961\n{lines}")
    told = run("predict", "model", "years.csv", "--columns", "2,3")
    assert len(told.stdout.split()) == len(ROWS)
    assert told.stderr == (
        "centroids: years.csv: line 1, 'Name,Code,1960,1961', is taken for the names of the "
        "columns; if it is a row, say --no-header\n"
    )
    for options in (["--columns", "1960,1961"], ["--columns", "2,3", "--header"]):
        named = run("predict", "model", "years.csv", *options)
        assert (named.stdout, named.stderr) == (told.stdout, "")
    row = run("predict", "model", "years.csv", "--columns", "2,3", "--no-header")
    assert len(row.stdout.split()) == len(ROWS) + 1 and row.stderr == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'x|y\n1|"1,234"\n',
            "line 2, column 'y': '1,234' is not a number; if ',' groups digits, say "
            "--thousands ,; if the comma is a decimal mark, say --decimal , (and --thousands . if "
            "points group digits)\n",
        ),
        (
            "x|y\n1|1'234\n",
            "line 2, column 'y': \"1'234\" is not a number; if \"'\" groups digits, say "
            "--thousands ''\"'\"''\n",
        ),
        (
            "x|y\n1|$5\n",
            "line 2, column 'y': '$5' is not a number; correct it, or choose other columns "
            "with --columns x\n",
        ),
        (
            "x|y\n1|NA\n",
            "line 2, column 'y': 'NA' is not a number; correct it, or choose other columns "
            "with --columns x, or leave such lines out with --bad-rows drop\n",
        ),
        (
            "|2\n3|4\n5|6\n",
            "line 1, column 0: '' is not a number; if the line holds the names of the columns, "
            "say --header, or leave such lines out with --bad-rows drop\n",
        ),
        ("x|y\n1|2\n3|inf\n", "line 3, column 'y'; remove or replace such rows, or leave"),
    ],
)
@pytest.mark.parametrize("mode", [[], ["--batch-size", "2"]])
def test_advice_is_safe_to_follow(
    text: str, message: str, mode: list[str], tmp_path: Path, run: Run
) -> None:
    """To drop lines with '1,234' would drop every income above 1,000."""
    (tmp_path / "a.csv").write_text(text)
    arguments = ["train", "a.csv", "m", "-k", "1", "--delimiter", "|", *mode]
    told = run(*arguments, code=2).stderr
    assert f"a.csv, {message}" in told and len(told.splitlines()) == 1


def test_places_of_bad_values_in_files(tmp_path: Path, run: Run) -> None:
    rows = ROWS.astype(np.float32)
    rows[33, 1] = np.nan
    np.save(tmp_path / "a.npy", rows)
    write_rows(tmp_path / "a.tfrecord", rows.tolist())
    for mode in ([], ["--batch-size", "4"]):
        told = run("train", "a.npy", "m", "-k", "2", *mode, code=2).stderr
        assert told.startswith("centroids: points must be finite, got nan in a.npy, row 33, column")
        told = run("train", "a.tfrecord", "m", "-k", "2", *mode, code=2).stderr
        assert "got nan in a.tfrecord, record 33, feature 1 of 'x'; remove" in told
    done = run("train", "a.tfrecord", "m", "-k", "2", "--bad-rows", "drop")
    assert "Dropped 1 of 40 rows of a.tfrecord" in done.stderr
    told = run("train", "a.npy", "n", "-k", "2", "--header", code=2).stderr
    assert (
        told == "centroids: --header is for text files, and a.npy is not one: leave --header out\n"
    )


def test_options_that_cannot_be(tmp_path: Path, run: Run) -> None:
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    told = run("train", "a.csv", "m", "-k", "1", "--thousands", "x", code=2).stderr
    assert told.startswith("centroids: --thousands must be one of")
    told = run("train", "a.csv", "m", "-k", "1", "--batch-size", "0", code=2).stderr
    assert told == "centroids: --batch-size must be an integer of at least 1; got 0\n"


def test_another_input_is_told_in_options(folder: Path, run: Run) -> None:
    run("train", "points.npy", "mini", "-k", "3", "--batch-size", "10", "--steps", "2")
    np.save(folder / "more.npy", np.concatenate([ROWS, ROWS]))
    told = run("train", "more.npy", "mini", "--batch-size", "10", code=2).stderr
    assert told.endswith("to begin this input at its beginning, pass --restart-input\n")
    assert "input_fn" not in told
    told = run("train", "points.npy", "mini", "--full-batch", code=2).stderr
    assert told == (
        "centroids: the last run stopped within the mini-batches of points.npy: continue "
        "with the options that it had, or start the file at its beginning with --restart-input\n"
    )
