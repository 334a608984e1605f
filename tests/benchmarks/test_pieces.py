"""Benchmarks in pieces: what is left to measure, and what may stand beside what."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("benchmarks")  # not in the source distribution

from benchmarks import data, machine, run
from benchmarks.__main__ import left_to_measure, measure_all
from benchmarks.child import Job, Outcome
from benchmarks.peers import OURS, PEERS
from benchmarks.pieces import OutOfTimeError, Piece, Runs, Unfinished, commit
from benchmarks.records import Results, Status
from benchmarks.tasks import TASKS, Kind, Task

RUN = {"machine": {"cpu": "some"}, "commit": "abc"}
TASK = Task(Kind.FIT, data.DataSet("noise", 3_000, 4, 5))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("benchmarks.pieces.time.monotonic", lambda: now[0])
    return now


def test_a_piece_ends_before_a_measurement_that_would_not_fit(clock: list[float]) -> None:
    piece = Piece(100, _begin=0)
    with piece.measurement(500) as seconds:  # its first: it will never have more time
        assert seconds == 100
        clock[0] = 40
    with piece.measurement(45) as seconds:
        assert seconds == 60
        clock[0] = 80
    with pytest.raises(OutOfTimeError), piece.measurement(45):
        pass


def test_a_measurement_that_used_up_the_rest_of_a_piece_is_not_its_result(
    clock: list[float],
) -> None:
    def time_out(piece: Piece) -> None:
        with piece.measurement(0) as seconds:
            assert seconds is not None
            raise subprocess.TimeoutExpired("child", seconds)

    piece = Piece(100, _begin=0)
    with pytest.raises(subprocess.TimeoutExpired):
        time_out(piece)
    clock[0] = 90
    with pytest.raises(OutOfTimeError):
        time_out(piece)
    with Piece().measurement(1e9) as seconds:
        assert seconds is None


def test_what_is_unfinished_is_taken_up_by_the_same_run_only(tmp_path: Path) -> None:
    path = tmp_path / "unfinished.json"
    unfinished = Unfinished(path, RUN)
    runs = Runs([Outcome(1.5, 3.0, versions={"faiss": "1"})], [4.0], Status.ONCE, inertia=2.0)
    unfinished[TASK.name]["faiss"] = runs
    unfinished.write()
    assert Unfinished(path, RUN)[TASK.name] == {"faiss": runs}
    assert Unfinished(path, {**RUN, "commit": "def"})[TASK.name] == {}
    assert Unfinished(path, {**RUN, "machine": {"cpu": "other"}})[TASK.name] == {}
    unfinished.finish(TASK.name)
    assert not path.exists()


def test_a_run_in_pieces_measures_every_cell_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    made = []

    def child(python: str, job: Job, *others: object) -> Outcome:
        made.append(job.peer)
        clock[0] += 30
        return Outcome(float(len(made)), 30.0)

    monkeypatch.setattr(run, "_run_child", child)
    monkeypatch.setattr(run._CellOf, "_judge", lambda *arguments: None)
    monkeypatch.setattr("benchmarks.run.np.load", lambda path: {})
    monkeypatch.setattr("benchmarks.run.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("benchmarks.data.load", lambda path: np.zeros((2, 2)))
    monkeypatch.setattr(
        "benchmarks.data.prepare", lambda *arguments: data.Files(tmp_path, tmp_path)
    )
    monkeypatch.setattr(run, "ROOT", tmp_path)
    options = run.Options(repeats=3, slow_seconds=60, peers=(OURS, "faiss"), cache=tmp_path)
    results = Results(RUN["machine"], {TASK.data.name: 7}, commit=RUN["commit"])
    pieces = 0
    while left_to_measure([TASK], results, options, again=False):
        done = measure_all([TASK], options, results, tmp_path / "avx2.json", 70)
        pieces += 1
        assert done == (TASK.name in results.rows)
    assert pieces == 3
    assert made == [OURS, "faiss"] * 3
    row = results.rows[TASK.name]
    assert row.cells[OURS].seconds == [1, 3, 5] and row.cells["faiss"].seconds == [2, 4, 6]
    assert row.run == RUN
    assert Results.read(tmp_path / "avx2.json").rows == results.rows
    assert left_to_measure([TASK], results, options, again=True) == [TASK]
    results.commit = "def"
    assert left_to_measure([TASK], results, options, again=False) == [TASK]


def test_a_commit_is_the_last_that_changed_what_is_measured(tmp_path: Path) -> None:
    def git(*command: str) -> None:
        names = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *names, *command], cwd=tmp_path, check=True, capture_output=True)

    assert commit(tmp_path / "nowhere") is None
    git("init")
    assert commit(tmp_path) is None
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("1")
    git("add", ".")
    git("commit", "-m", "one")
    first = commit(tmp_path)
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    (tmp_path / "benchmarks" / "results" / "avx2.json").write_text("{}")
    git("add", ".")
    git("commit", "-m", "figures")
    assert commit(tmp_path) == first
    (tmp_path / "src" / "a.py").write_text("2")
    changed = commit(tmp_path)
    assert first is not None and changed is not None and changed.startswith(f"{first}+")


def test_peers_are_held_to_the_instruction_set_that_ours_is_held_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CENTROIDS_ISA", "avx2")
    assert machine.environment(3)["FAISS_OPT_LEVEL"] == "avx2"
    assert machine.environment(3)["OMP_NUM_THREADS"] == "3"
    monkeypatch.delenv("CENTROIDS_ISA")
    assert "FAISS_OPT_LEVEL" not in machine.environment(3)


def test_a_peer_that_is_far_behind_is_spared_large_tasks() -> None:
    names = {task.name: {info.name for info in run.peers_of(task, run.Options())} for task in TASKS}
    assert "geokmeans" in names["iteration/noise-1000000x16-k100"]
    assert "geokmeans" not in names["iteration/noise-500000x100-k500"]
    assert PEERS["geokmeans"].threads == 1
