"""Measures tasks x peers, each in a child process, interleaved peer by peer."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import centroids
from benchmarks import data, machine
from benchmarks.child import Job, Outcome
from benchmarks.environments import NoEnvironmentError, python_of
from benchmarks.peers import OURS, PeerInfo, peers_for
from benchmarks.records import Cell, Results, Row, Status
from benchmarks.tasks import MAX_ITERATIONS, RELATIVE_TOLERANCE, Kind, Task
from centroids import kernels

ROOT = Path(__file__).resolve().parent.parent
MEMORY_SHARE = 0.6
"""Of the machine's memory: what a peer may be known to need."""
KILL_FACTOR, KILL_SECONDS = 2.0, 120.0
"""A child is ended after so many times `give_up_seconds`, and this (for imports and loading)."""


@dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes:
        repeats: The runs of a cell.
        threads: Of every peer.
        slow_seconds: A cell whose run takes longer is run once.
        give_up_seconds: A cell that would take longer is not run.
        peers: Names; empty: all.
        cache: Where data sets are kept.
        environments: Where environments are kept.
    """

    repeats: int = 5
    threads: int = 2
    slow_seconds: float = 60.0
    give_up_seconds: float = 300.0
    peers: tuple[str, ...] = ()
    cache: Path = ROOT / "build" / "benchmark-data"
    environments: Path = ROOT / "build" / "benchmark-environments"


@dataclass
class _Runs:
    """The runs of one cell, so far."""

    info: PeerInfo
    outcomes: list[Outcome] = field(default_factory=list)
    result: NDArray[Any] | None = None
    status: Status = Status.MEASURED
    note: str = ""

    @property
    def finished(self) -> bool:
        return self.status != Status.MEASURED


class ChildError(RuntimeError):
    """The child ended without an outcome."""


def measure(task: Task, options: Options, results: Results) -> Row:
    """Measures one task with all its peers.

    Args:
        task: What to measure.
        options: How.
        results: Has the iterations to convergence that are known; new ones are added.
    """
    files = data.prepare(task.data, options.cache)
    iterations = 0
    if task.kind == Kind.FIT:
        known = results.iterations
        if task.data.name not in known:
            known[task.data.name] = _iterations_to_convergence(files)
        iterations = known[task.data.name]
    infos = [p for p in peers_for(task.kind) if not options.peers or p.name in options.peers]
    runs = {info.name: _Runs(info) for info in infos}
    for round_number in range(options.repeats):
        for run in runs.values():
            if not run.finished:
                _run_once(task, files, iterations, options, run, first=round_number == 0)
        line = "  ".join(f"{name} {_short(run)}" for name, run in runs.items())
        print(f"  {round_number + 1}/{options.repeats}: {line}", flush=True)
        if all(run.finished for run in runs.values()):
            break
    points, date = data.load(files.points), _now()
    return Row(
        task=task.name,
        kind=task.kind,
        data=task.data.name,
        label=task.data.label,
        data_bytes=data.num_bytes(points),
        few=task.few,
        extra=task.extra,
        iterations=iterations,
        batch_size=task.batch_size,
        date=date,
        cells=_cells(task, points, files, runs, date),
    )


def _iterations_to_convergence(files: data.Files) -> int:
    """How many iterations until inertia changes by less than 1e-4 of itself, at most 100."""
    points, centers = data.load(files.points), data.load(files.centers)
    model = centroids.KMeansClustering(
        len(centers),
        initial_clusters=centers,
        use_mini_batch=False,
        relative_tolerance=RELATIVE_TOLERANCE,
    )
    model.train(lambda: points, max_steps=MAX_ITERATIONS)
    steps = int(model.get_variable_value("global_step"))
    shutil.rmtree(model.model_dir, ignore_errors=True)
    return steps


def _run_once(
    task: Task, files: data.Files, iterations: int, options: Options, run: _Runs, *, first: bool
) -> None:
    """One child; its outcome and what follows from it go into `run`."""
    memory = machine.memory_bytes()
    needed = run.info.working_bytes(task.data.n, task.data.k)
    if memory is not None and needed > MEMORY_SHARE * memory:
        run.status, run.note = Status.TOO_LARGE, f"needs {needed / 2**30:.0f} GiB"
        return
    try:
        python = python_of(run.info.environment, options.environments)
        with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
            job = Job(
                peer=run.info.name,
                kind=task.kind,
                points=str(files.points),
                centers=str(files.centers),
                output=str(Path(scratch) / "result.npy"),
                few=task.few,
                extra=task.extra,
                iterations=iterations,
                batch_size=task.batch_size,
                give_up_seconds=options.give_up_seconds,
                probe=first and run.info.name != OURS,
            )
            outcome = _run_child(python, job, Path(scratch), run.info.threads or options.threads)
            if first and outcome.seconds is not None:
                run.result = np.load(job.output)
    except NoEnvironmentError as error:
        run.status, run.note = Status.UNAVAILABLE, str(error)
    except subprocess.TimeoutExpired:
        run.status, run.note = Status.OVER, f"over {options.give_up_seconds:.0f} s"
    except ChildError as error:
        run.status, run.note = Status.FAILED, str(error)
    else:
        if outcome.seconds is None:
            run.status, run.note = Status.OVER, f"over {options.give_up_seconds:.0f} s"
            return
        run.outcomes.append(outcome)
        if outcome.wall > options.slow_seconds and options.repeats > 1:
            run.status = Status.ONCE


def _run_child(python: str, job: Job, scratch: Path, threads: int) -> Outcome:
    job_file = scratch / "job.json"
    job_file.write_text(json.dumps(asdict(job)))
    done = subprocess.run(
        [python, "-m", "benchmarks.child", str(job_file)],
        env={**os.environ, **machine.thread_environment(threads), "TMPDIR": str(scratch)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=KILL_FACTOR * job.give_up_seconds + KILL_SECONDS,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        if os.environ.get("BENCHMARKS_DEBUG"):
            print(done.stderr, flush=True)
        raise ChildError(f"exit status {done.returncode}: {last[:200]}")
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def _cells(
    task: Task, points: Any, files: data.Files, runs: dict[str, _Runs], date: str
) -> dict[str, Cell]:
    predicts = task.kind in (Kind.PREDICTION, Kind.PREDICTION_LIST)
    labels = None
    if predicts:
        labels = kernels.assign(points, data.load(files.centers)).cluster_index
    cells = {}
    for name, run in runs.items():
        inertia, different = None, None
        if run.result is not None and labels is not None:
            different = int(np.count_nonzero(run.result != labels))
        elif run.result is not None:
            centers = np.ascontiguousarray(run.result, np.float32)
            inertia = float(kernels.assign(points, centers).inertia)
        memory = [outcome.memory for outcome in run.outcomes if outcome.memory is not None]
        last = run.outcomes[-1] if run.outcomes else None
        cells[name] = Cell(
            status=run.status,
            date=date,
            seconds=[o.seconds for o in run.outcomes if o.seconds is not None],
            iterations=last.iterations if last else None,
            memory=int(statistics.median(memory)) if memory else None,
            inertia=inertia,
            different_labels=different,
            versions=last.versions if last else {},
            note=run.note,
        )
    return cells


def _short(run: _Runs) -> str:
    if run.note:
        return f"({run.note})"
    seconds = run.outcomes[-1].seconds
    assert seconds is not None
    return f"{seconds:.4g} s" if seconds >= 1 else f"{seconds * 1e3:.4g} ms"


def _now() -> str:
    now = datetime.datetime.fromtimestamp(time.time(), datetime.UTC)
    return now.isoformat(timespec="seconds")
