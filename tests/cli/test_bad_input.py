"""Every command and every kind of bad input: one line, exit code 2, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.run_here import run_here as run

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")
pytest.importorskip("PIL")

POINTS = np.random.default_rng(0).normal(size=(60, 3))

# What is in a file of this name; None: it is not there.
SOURCES: dict[str, bytes | None] = {
    "missing.csv": None,
    "missing.parquet": None,
    "empty.csv": b"",
    "empty.npy": b"",
    "empty.jsonl": b"",
    "ragged.csv": b"a,b,c\n1,2,3\n3,4\n4,5,6\n6,7,8\n8,9,1\n",
    "text.csv": b"a,b,c\n1,2,3\n3,x,4\n4,5,6\n6,7,8\n8,9,1\n",
    "words.csv": b"a,b,c\nx,y,z\nz,w,z\nq,r,z\n",
    "wrong.parquet": b"hello",
    "wrong.npy": b"\x93NUMPY and no more",
    "wrong.xlsx": b"hello",
    "wrong.db": b"hello",
    "wrong.npz": b"hello",
    "wrong.duckdb": b"hello",
    "wrong.arrow": b"hello",
    "picture.png": b"not a picture",
    "points.docx": b"PK\x03\x04",
    "SELECT nothing FROM 'points.csv'": None,
    "SELECT": None,
    ".": None,
}
COMMANDS: dict[str, Callable[[str], list[str]]] = {
    "train": lambda source: ["train", source, "new", "-k", "2"],
    "train --missing mean": lambda source: ["train", source, "new", "-k", "2", "--missing", "mean"],
    "train --validation": lambda source: [
        "train",
        "points.npy",
        "new",
        "-k",
        "2",
        "--validation",
        source,
    ],
    "train --initial-clusters": lambda source: [
        *("train", "points.npy", "new", "-k", "2", "--initial-clusters", source)
    ],
    "choose-k": lambda source: ["choose-k", source, "-k", "2"],
    "predict": lambda source: ["predict", "model", source, "-o", "out.npy"],
    "predict --append": lambda source: ["predict", "model", source, "--append", "-o", "out.csv"],
    "transform": lambda source: ["transform", "model", source, "-o", "out.npy"],
    "evaluate": lambda source: ["evaluate", "model", source],
    "score": lambda source: ["score", "model", source],
    "inspect": lambda source: ["inspect", "model", "--points", source],
    "report": lambda source: ["report", "model", source, "-o", "out.html"],
    "quantize": lambda source: ["quantize", source, "-k", "2", "-o", "out.png"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    np.save(folder / "points.npy", POINTS)
    np.savetxt(folder / "points.csv", POINTS, delimiter=",", header="a,b,c", comments="")
    for name, content in SOURCES.items():
        if content is not None:
            (folder / name).write_bytes(content)
    run(folder, "train", "points.csv", "model", "-k", "3", "--quiet")
    return folder


def everything(folder: Path) -> dict[str, int]:
    return {str(file): file.stat().st_mtime_ns for file in folder.rglob("*")}


@pytest.mark.parametrize("command", COMMANDS)
def test_bad_input_is_said_in_one_line(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("centroids.viewers.SHOW_AFTER_SECONDS", 600.0)  # on a slow machine, too
    before = everything(folder)
    for source in SOURCES:
        done = run(folder, *COMMANDS[command](source), code=2)
        lines = done.stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith("centroids: "), (source, lines)
        assert "Traceback" not in done.stderr and not done.stdout, (source, lines)
        name = source.split(" ")[0] if source.startswith("SELECT") else source
        assert name in lines[0], (source, lines)
        assert everything(folder) == before, source


@pytest.mark.parametrize(
    "words",
    [
        ["train", "points.npy", "points.npy/model", "-k", "2"],
        ["train", "points.npy", "new", "-k", "61"],
        ["choose-k", "points.npy", "-k", "2-60"],
        ["choose-k", "points.npy", "-k", "2", "--plot", "none/plot.svg"],
        ["predict", "model", "points.npy", "-o", "none/out.npy"],
        ["predict", "model", "points.npy", "-o", "none/out.parquet"],
        ["transform", "model", "points.npy", "-o", "none/out.npy"],
        ["report", "model", "points.npy", "-o", "none/out.html"],
        ["export", "model", "none/centers.csv"],
        ["export", "none", "centers.csv"],
        ["export", "model", "points.npy/served"],
        ["import", "none", "new"],
        ["import", "points.npy", "new"],
        ["inspect", "none"],
        ["verify", "none"],
        ["evaluate", "none", "points.npy"],
    ],
)
def test_what_cannot_be_written_or_is_not_there(words: list[str], folder: Path) -> None:
    before = everything(folder)
    done = run(folder, *words, code=2)
    (line,) = done.stderr.splitlines()
    assert line.startswith("centroids: ") and not done.stdout
    assert everything(folder) == before
