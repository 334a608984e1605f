"""Tables in terminals of 40, 60 and 80 columns: no line is longer, and no number is lost."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from centroids.text_table import text_table
from tests.cli.run_here import run_here as run
from tests.pseudo_terminal import read_terminal

NAMES = ("a", "monthly income", "age", "\u6536\u5165", "e", "f", "a longer name", "h")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("narrow")
    points = np.random.default_rng(0).normal(size=(60, 8)) * 10.0 ** np.arange(-4, 4)
    np.savetxt(
        folder / "p.csv",
        points,
        delimiter=",",
        header=",".join(NAMES),
        comments="",
        encoding="utf-8",
    )
    run(folder, "train", "p.csv", "model", "-k", "3", "--quiet")
    return folder


def words_of(text: str) -> list[str]:
    return sorted(re.findall(r"[^\s\u2588]+", text))


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize(
    "command",
    [
        ["choose-k", "p.csv", "-k", "2-5"],
        ["inspect", "model"],
        ["inspect", "model", "--variables"],
        ["inspect", "model", "--points", "p.csv"],
        ["verify", "model"],
    ],
)
def test_nothing_is_cut_in_silence(folder: Path, command: list[str], width: int) -> None:
    shown = terminal(folder, width, command)
    # A word that is too long, as the name of an event file, cannot be helped.
    for line in shown.splitlines():
        assert len(line) <= width or max(map(len, line.split())) > width - 10, line
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    file = run(folder, *command).stdout
    # A table that goes on below has its first column again.
    assert set(words_of(file)) <= set(words_of(shown))


def terminal(folder: Path, width: int, command: list[str]) -> str:
    """What a command writes on a terminal, without its colors."""
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    fcntl = pytest.importorskip("fcntl")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    paths = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": paths, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    environment.pop("COLUMNS", None)
    child = subprocess.Popen(
        [sys.executable, "-m", "centroids", *command], cwd=folder, env=environment, stdout=theirs
    )
    os.close(theirs)
    written = read_terminal(ours)
    assert child.wait(timeout=60) == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode()).replace("\r", "")


def test_a_wide_table_goes_on_below() -> None:
    rows = [["k", "one", "two", "three"], ["2", "10", "200", "3"], ["10", "1", "2", "30"]]
    assert text_table(rows).splitlines() == [
        " k  one  two  three",
        " 2   10  200      3",
        "10    1    2     30",
    ]
    assert text_table(rows, 12).splitlines() == [
        " k  one  two",
        " 2   10  200",
        "10    1    2",
        "",
        " k  three",
        " 2      3",
        "10     30",
    ]
    # A column that is wider than the terminal is not cut.
    assert text_table([["k", "x" * 30], ["1", "2"]], 10).splitlines()[0] == f"k  {'x' * 30}"
