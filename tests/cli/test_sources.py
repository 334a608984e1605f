"""Every command takes every source; what cannot be read is told in one line and leaves nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.run_here import Done, run_here
from tests.inputs import table_files as files
from tests.inputs.table_files import POINTS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for package in ("pyarrow", "duckdb"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", POINTS)
    files.frame().to_parquet("t.parquet")
    files.parquet_folder(Path("parts"))
    files.npy_folder(Path("arrays"))
    files.json_lines(Path("t.jsonl"))
    return tmp_path


SOURCES = ("FROM 't.parquet'", "parts", "parts/*.parquet", "arrays", "t.jsonl")


@pytest.mark.parametrize("mode", ["--full-batch", "--mini-batch"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_source_is_as_good_as_its_array(source: str, mode: str, folder: Path) -> None:
    def run(*arguments: str) -> Done:
        return run_here(folder, *arguments)

    def results(points: str, model: str) -> list[str]:
        steps = [] if mode == "--full-batch" else ["--batch-size", "5", "--no-shuffle"]
        run("train", points, model, "-k", "3", mode, *steps, "--initial-clusters", "c.npy")
        run("inspect", model, "--points", points, "--clusters", "1")
        return [run(command, model, points).stdout for command in ("predict", "evaluate")]

    np.save("c.npy", POINTS[:3])
    assert results(source, "b") == results("rows.npy", "a")


@pytest.mark.parametrize("source", SOURCES)
def test_a_report_takes_every_source(source: str, folder: Path) -> None:
    run_here(folder, "train", source, "model", "-k", "3")
    done = run_here(folder, "report", "model", source, "--json")
    assert json.loads(done.stdout) == {"output": "report.html", "num_points": len(POINTS)}
    assert (folder / "report.html").stat().st_size


def test_distances_are_one_key_in_every_form(folder: Path) -> None:
    run_here(folder, "train", "t.parquet", "model", "-k", "3")
    for name in ("d.npy", "d.parquet"):
        done = run_here(folder, "transform", "model", "t.parquet", "-o", name, "--json")
        assert json.loads(done.stdout)["key"] == "all_distances"


def test_training_from_a_query_that_was_interrupted_goes_on(folder: Path) -> None:
    query = "SELECT a, c FROM 't.parquet'"
    same = ["-k", "2", "--batch-size", "5", "--epochs", "3"]
    run_here(folder, "train", query, "whole", *same)
    run_here(folder, "train", query, "cut", *same, "--max-steps", "7")
    run_here(folder, "train", query, "cut", "--epochs", "3")
    for model in ("whole", "cut"):
        run_here(folder, "export", model, f"{model}.npy")
    np.testing.assert_array_equal(np.load("whole.npy"), np.load("cut.npy"))
    kept = json.loads(Path("whole/settings.json").read_text())
    assert kept["columns"] == ["a", "c"]


def write_text(name: str, text: str) -> Callable[[], None]:
    return lambda: (Path(name).write_text(text), None)[1]


@pytest.mark.parametrize(
    ("source", "message", "prepare"),
    [
        ("absent.csv", "absent.csv: No such file", None),
        ("absent/*.csv", "absent/*.csv is a pattern that matches no file", None),
        ("SELECT x FROM 't.parquet'", "the query \"SELECT x FROM 't.parquet'\" fails: Bind", None),
        ("SELECT FROM FROM", "fails: Parser Error", None),
        ("FROM 'absent.parquet'", 'No files found that match the pattern "absent.parquet"', None),
        ("FROM 't.parquet' LIMIT 0", "the query \"FROM 't.parquet' LIMIT 0\" has no rows", None),
        ("t.parquet#part", "t.parquet has no parts to choose from", None),
        ("model.onnx", "the name of a file must end in .csv", write_text("model.onnx", "x")),
        ("empty.jsonl", "empty.jsonl has no rows", write_text("empty.jsonl", "")),
        ("bad.jsonl", "in line 3: unexpected end", write_text("bad.jsonl", '{"a": 1}\n{"a": \n')),
        ("text.jsonl", "text.jsonl['a'] must hold", write_text("text.jsonl", '{"a": "x"}\n')),
        ("bad.npz", "bad.npz is not a .npz file", write_text("bad.npz", "x")),
        ("bad.arrow", "bad.arrow is", write_text("bad.arrow", "ARROW1xx")),
        ("ragged.csv", "ragged.csv, line 3: 1 field", write_text("ragged.csv", "a,b\n1,2\n3\n")),
        ("odd://x.csv", "odd://x.csv is not an address", None),
        ("rows.npy", "--num-clusters is 99, but rows.npy has only 23", None),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(
    source: str, message: str, prepare: Callable[[], None] | None, folder: Path
) -> None:
    if prepare is not None:
        prepare()
    before = sorted(folder.rglob("*"))
    done = run_here(folder, "train", source, "model", "-k", "99", code=2)
    assert message in done.stderr and done.stderr.count("\n") == 1
    assert done.stderr.startswith("centroids: ") and "Traceback" not in done.stderr
    assert sorted(folder.rglob("*")) == before


def test_a_late_text_among_numbers_has_its_line(folder: Path) -> None:
    Path("late.jsonl").write_text('{"a":1}\n' * 100_000 + '{"a":"x"}\n')
    done = run_here(folder, "train", "late.jsonl", "model", "-k", "1", code=2)
    assert done.stderr.count("\n") == 1
    assert "late.jsonl cannot be read: " in done.stderr and "line 100001" in done.stderr
