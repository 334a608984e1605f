"""What is shown while something takes long: on a terminal, and in a log."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import progress
from centroids.cli.outcome import Outcome
from centroids.cli.progress import count_rows
from centroids.inputs.text.csv_file import CsvSource
from centroids.progress import Activity, Moment
from centroids.viewers import LineViewer, TerminalViewer
from tests.cli.run_here import run_here


class Terminal(io.StringIO):
    """What was written to a terminal."""

    def isatty(self) -> bool:
        return True


def wait_for(shown: io.StringIO, text: str) -> None:
    until = time.monotonic() + 10
    while text not in shown.getvalue():
        assert time.monotonic() < until, shown.getvalue()
        time.sleep(0.01)


def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """In the test itself: pytest puts its own stream there after the fixtures."""
    monkeypatch.setattr(TerminalViewer, "after_seconds", 0.01)
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    return shown


def is_idle() -> bool:
    return not any(thread.name == progress.THREAD_NAME for thread in threading.enumerate())


def test_work_that_takes_long_is_shown_with_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    batches = count_rows(iter([np.zeros(1500), np.zeros(1)]), "reading it", 1501)
    next(batches)
    wait_for(terminal, "reading it")  # within the work: nobody has counted anything yet
    next(batches)
    wait_for(terminal, "1,500 of 1,501 rows")
    batches.close()
    assert is_idle()
    before = terminal.getvalue()
    time.sleep(0.2)
    assert terminal.getvalue() == before


def test_short_work_and_files_see_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    with Activity("quick"):
        time.sleep(0.05)
    monkeypatch.setattr(TerminalViewer, "after_seconds", 0.01)
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    with Activity("slow"):
        assert is_idle()
        time.sleep(0.05)
    assert shown.getvalue() == file.getvalue() == ""


def test_the_innermost_work_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    with Activity("outer"):
        wait_for(terminal, "outer")
        with Activity("inner"):
            wait_for(terminal, "inner")
        terminal.truncate(0)
        wait_for(terminal, "outer")
    assert is_idle()


def test_what_is_printed_into_a_file_gets_there(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    monkeypatch.setattr(sys, "stdout", file := io.StringIO())
    with Activity("predicting"):
        wait_for(terminal, "predicting")
        print("7")
    assert file.getvalue() == "7\n"


def test_the_time_that_is_left_follows_from_the_rate() -> None:
    work = Activity("work", 40)
    work.started = work._counted_from = time.monotonic() - 30
    work.update(10)
    moment = work.moment()
    assert moment.seconds_left == pytest.approx(90, abs=0.1)
    work.update(50)  # more than was expected
    assert work.moment().seconds_left == 0
    assert Activity("work", 40).moment().seconds_left is None


def test_a_moment_tells_the_memory_of_the_process() -> None:
    block = np.ones(1 << 24, np.uint8)
    told = Activity("work").moment().to_dict()
    if sys.platform == "linux":
        assert told["peak_memory_bytes"] >= told["memory_bytes"] * 0.9 > len(block)
    assert list(told)[:4] == ["doing", "done", "total", "unit"]


def test_lines_come_every_so_often_whatever_work_it_is() -> None:
    lines: list[Moment] = []
    with progress.viewed_by(LineViewer(lines.append, 0.2)):
        end = time.monotonic() + 0.7
        while time.monotonic() < end:
            with Activity("step"):
                time.sleep(0.21)
    assert 1 <= len(lines) <= 4
    assert is_idle()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forking beside threads
def test_a_forked_child_leaves_the_terminal_to_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    with Activity("work"):
        wait_for(terminal, "work")
        child = os.fork()
        if child == 0:
            with Activity("child's"):
                time.sleep(0.1)
            os._exit(1 if "child" in terminal.getvalue() else 0)
        assert os.waitpid(child, 0)[1] == 0


NOTEBOOK = """
import time
from centroids import viewers
viewers.NotebookViewer.after_seconds = 0.05
viewers.NotebookViewer.every_seconds = 0.05
import numpy as np, centroids
class Slow(centroids.SessionRunHook):
    def after_run(self, run_context, run_values):
        time.sleep(0.1)
points = np.random.default_rng(0).normal(size=(50, 2))
kmeans = centroids.KMeansClustering(3, use_mini_batch=False)
bar = centroids.ProgressBarHook(5)
kmeans = kmeans.train(lambda: points, hooks=[bar, Slow()], steps=5)
"""


def test_a_notebook_has_a_bar_below_its_cell(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(NOTEBOOK), nbformat.v4.new_code_cell("1 + 1")]
    )
    nbclient.NotebookClient(notebook, timeout=120).execute()
    first, second = notebook.cells
    (bar,) = (part for part in first.outputs if part.output_type == "display_data")
    page = bar.data["text/html"]
    assert '<progress aria-label="training" value="5" max="5">' in page
    assert "5 of 5 steps, loss " in page
    assert [part.output_type for part in second.outputs] == ["execute_result"]


def moments(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """What a command says of its progress, in lines of JSON."""
    every = ("--log-format", "json", "--log-every", "0.000001")
    lines = map(json.loads, run_here(folder, *arguments, *every).stderr.splitlines())
    return [line for line in lines if line.get("event") == "progress"]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each chunk of lines takes a while, so that all of it is seen."""
    take = CsvSource._take_lines

    def take_slowly(*arguments: Any) -> list[str]:
        time.sleep(0.02)
        return take(*arguments)

    monkeypatch.setattr(CsvSource, "_take_lines", take_slowly)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("packed", [False, True])
def test_the_time_left_of_a_text_file_follows_from_its_bytes(packed: bool, tmp_path: Path) -> None:
    text = "a,b\n" + "".join(f"{row:06},{row % 7}\n" for row in range(60_000))
    name = "t.csv.gz" if packed else "t.csv"
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    (tmp_path / "few.csv").write_text("a,b\n1,2\n50000,3\n")
    run_here(tmp_path, "train", "few.csv", "m", "-k", "2")
    seen = [each for each in moments(tmp_path, "score", "m", name) if each["doing"] == "evaluating"]
    totals = [each["total"] for each in seen if each["total_is_estimate"]]
    assert totals and all(each["seconds_left"] is not None for each in seen if each["done"])
    assert all(total == pytest.approx(60_000, rel=0.3 if packed else 0.01) for total in totals)
    assert (seen[-1]["total"], seen[-1]["total_is_estimate"]) == (60_000, False)


@pytest.mark.usefixtures("slow")
def test_steps_are_known_once_the_rows_are(tmp_path: Path) -> None:
    text = "a,b\n" + "".join(f"{row:05},{row % 7}\n" for row in range(20_000))
    (tmp_path / "t.csv").write_text(text)
    common = ("train", "t.csv", "m", "-k", "2", "--mini-batch", "--batch-size", "1000")
    options = ("--epochs", "3", "--initial-clusters", "random")
    seen = [each for each in moments(tmp_path, *common, *options) if each["doing"] == "training"]
    assert (seen[-1]["total"], seen[-1]["total_is_estimate"]) == (60, False)
    assert all(each["total"] == pytest.approx(60, rel=0.1) for each in seen if each["done"])


def test_an_estimate_is_told_as_one() -> None:
    with Activity("reading", unit="rows") as work:
        work.update(1000, total=1_234_567, is_estimate=True)
        assert work.moment().describe().startswith("1,000 of about 1,230,000 rows, ")
        work.update(1_300_000)
        assert work.moment().describe().startswith("1,300,000 of about 1,300,000 rows, ")
        work.update(total=1_300_001, is_estimate=False)
        assert work.moment().describe().startswith("1,300,000 of 1,300,001 rows, ")


def test_an_activity_that_begins_twice_ends_once() -> None:
    outer, inner = Activity("training"), Activity("reading")
    seen: list[str] = []

    class Seeing(LineViewer):
        after_seconds = 0.0

    with progress.viewed_by(Seeing(lambda moment: seen.append(moment.what), 0.0)), outer:
        inner.start()
        inner.start()
        inner.stop()
        seen.clear()
        outer.update(1)
        assert set(seen) == {"training"}


def test_training_is_shown_as_training_once_means_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "points.npy", np.random.default_rng(0).normal(size=(5000, 2)))
    seen: list[str] = []
    after_run = Outcome.after_run

    def look(self: Outcome, *arguments: Any) -> None:
        seen.append(progress._watch.activities()[-1].moment().what)
        after_run(self, *arguments)

    monkeypatch.setattr(Outcome, "after_run", look)
    words = ["train", "points.npy", "model", "-k", "3", "--batch-size", "500", "--standardize"]
    run_here(tmp_path, *words)
    assert set(seen) == {"training"}
