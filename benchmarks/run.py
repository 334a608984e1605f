"""Measures tasks x peers, each in a child process, interleaved peer by peer."""

from __future__ import annotations

import datetime
import json
import math
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import centroids
from benchmarks import data, machine
from benchmarks.child import Job, Outcome
from benchmarks.environments import NoEnvironmentError, python_of
from benchmarks.exactness import share_of_wrong_labels
from benchmarks.peers import OURS, PEERS, PeerInfo, peers_for
from benchmarks.pieces import Piece, Runs, Unfinished
from benchmarks.records import Cell, Results, Row, Status
from benchmarks.tasks import MAX_ITERATIONS, RELATIVE_TOLERANCE, Kind, Task
from centroids import kernels

ROOT = Path(__file__).resolve().parent.parent
MEMORY_SHARE = 0.6
"""Of the machine's memory: what a peer may be known to need."""
IMPORTS_SECONDS = 3.0
"""Of a child, where it is not known how long it took as a whole."""
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
    slow_seconds: float = 10.0
    give_up_seconds: float = 300.0
    peers: tuple[str, ...] = ()
    cache: Path = ROOT / "build" / "benchmark-data"
    environments: Path = ROOT / "build" / "benchmark-environments"


class ChildError(RuntimeError):
    """The child ended without an outcome."""


def measure(
    task: Task,
    options: Options,
    results: Results,
    unfinished: Unfinished | None = None,
    piece: Piece | None = None,
) -> Row:
    """Measures one task with all its peers.

    Args:
        task: What to measure.
        options: How.
        results: Has the iterations to convergence that are known; new ones are added. What it has
            of the task says how long a run takes.
        unfinished: Has the runs that were made before; new ones are added, and written.
        piece: The time that there is.

    Raises:
        OutOfTimeError: If the piece ends before the task.
    """
    piece = piece or Piece()
    files = data.prepare(task.data, options.cache)
    iterations = 0
    if task.kind == Kind.FIT:
        known = results.iterations
        if task.data.name not in known:
            known[task.data.name] = _iterations_to_convergence(files)
        iterations = known[task.data.name]
    runs = unfinished[task.name] if unfinished else {}
    cell = _CellOf(task, files, iterations, options, piece, data.load(files.points))
    for round_number in range(options.repeats):
        for info in peers_of(task, options):
            run = runs.setdefault(info.name, Runs())
            if run.finished or len(run.outcomes) > round_number:
                continue
            cell.run_once(info, run, _expected(results.rows.get(task.name), info.name, run))
            if unfinished:
                unfinished.write()
        line = "  ".join(f"{name} {_short(run)}" for name, run in runs.items())
        print(f"  {round_number + 1}/{options.repeats}: {line}", flush=True)
        if all(run.finished for run in runs.values()):
            break
    date = _now()
    return Row(
        task=task.name,
        kind=task.kind,
        data=task.data.name,
        label=task.data.label,
        data_bytes=data.num_bytes(cell.points),
        few=task.few,
        extra=task.extra,
        iterations=iterations,
        batch_size=task.batch_size,
        date=date,
        cells={name: _cell(runs[name], date) for name in PEERS if name in runs},
        machine=results.machine,
        commit=results.commit,
    )


def peers_of(task: Task, options: Options) -> list[PeerInfo]:
    """Those who are measured; a peer that is far behind in small tasks is spared large ones."""
    work = task.data.n * task.data.d * task.data.k
    return [
        info
        for info in peers_for(task.kind)
        if work <= info.most_work and (not options.peers or info.name in options.peers)
    ]


def prepare(tasks: list[Task], options: Options) -> None:
    """Makes the data and the environments, which takes time that is none of a measurement's."""
    for task in tasks:
        print(task.data.name, flush=True)
        data.prepare(task.data, options.cache)
        for info in peers_of(task, options):
            try:
                python_of(info.environment, options.environments)
            except NoEnvironmentError as error:
                print(f"{info.name}: {error}", flush=True)


def seconds_of(row: Row, options: Options) -> float:
    """How long the cells of a row take, by the last time."""
    total = 0.0
    for cell in row.cells.values():
        once = cell.wall or IMPORTS_SECONDS + sum(cell.seconds[:1]) * (2 * row.few + row.extra or 1)
        total += once * (1 if cell.status != Status.MEASURED else options.repeats)
    return total


def _expected(row: Row | None, peer: str, run: Runs) -> float:
    """The seconds that a child will take, as far as is known."""
    if run.walls:
        return run.walls[-1]
    cell = row.cells.get(peer) if row else None
    return (cell.wall if cell else None) or 0.0


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


@dataclass(frozen=True)
class _CellOf:
    """How the cells of a task are measured."""

    task: Task
    files: data.Files
    iterations: int
    options: Options
    piece: Piece
    points: Any

    def run_once(self, info: PeerInfo, run: Runs, expected: float) -> None:
        """One child; its outcome and what follows from it go into `run`."""
        memory = machine.memory_bytes()
        needed = info.working_bytes(self.task.data.n, self.task.data.k)
        if memory is not None and needed > MEMORY_SHARE * memory:
            run.status, run.note = Status.TOO_LARGE, f"needs {needed / 2**30:.0f} GiB"
            return
        try:
            python = python_of(info.environment, self.options.environments)
            with (
                tempfile.TemporaryDirectory(prefix="benchmark-") as scratch,
                self.piece.measurement(expected) as timeout,
            ):
                job = self._job(info, Path(scratch), first=not run.outcomes)
                begin = time.monotonic()
                threads = info.threads or self.options.threads
                outcome = _run_child(python, job, Path(scratch), threads, timeout)
                run.walls.append(time.monotonic() - begin)
                if not run.outcomes and outcome.seconds is not None:
                    self._judge(dict(np.load(job.output)), run)
        except NoEnvironmentError as error:
            run.status, run.note = Status.UNAVAILABLE, str(error)
        except subprocess.TimeoutExpired as error:
            run.status, run.note = Status.OVER, f"over {error.timeout:.0f} s"
        except ChildError as error:
            run.status, run.note = Status.FAILED, str(error)
        else:
            if outcome.seconds is None:
                run.status, run.note = Status.OVER, f"over {self.options.give_up_seconds:.0f} s"
                return
            run.outcomes.append(outcome)
            if outcome.wall > self.options.slow_seconds and self.options.repeats > 1:
                run.status = Status.ONCE

    def _job(self, info: PeerInfo, scratch: Path, *, first: bool) -> Job:
        return Job(
            peer=info.name,
            kind=self.task.kind,
            points=str(self.files.points),
            centers=str(self.files.centers),
            output=str(scratch / "result.npz"),
            few=self.task.few,
            extra=self.task.extra,
            iterations=self.iterations,
            batch_size=self.task.batch_size,
            give_up_seconds=self.options.give_up_seconds,
            probe=first and info.name != OURS,
        )

    def _judge(self, arrays: dict[str, NDArray[Any]], run: Runs) -> None:
        """What the centers and labels are worth."""
        centers, labels = arrays.get("centers"), arrays.get("labels")
        if centers is not None:
            single = np.ascontiguousarray(centers, np.float32)
            run.inertia = float(kernels.assign(self.points, single).inertia)
        if labels is not None and centers is not None:
            run.wrong_labels = share_of_wrong_labels(self.points, centers, labels)
        elif labels is not None:
            ours = kernels.assign(self.points, data.load(self.files.centers)).cluster_index
            run.different_labels = int(np.count_nonzero(labels != ours))


def _run_child(
    python: str, job: Job, scratch: Path, threads: int, timeout: float | None
) -> Outcome:
    job_file = scratch / "job.json"
    job_file.write_text(json.dumps(asdict(job)))
    done = subprocess.run(
        [python, "-m", "benchmarks.child", str(job_file)],
        env={**os.environ, **machine.environment(threads), "TMPDIR": str(scratch)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=min(KILL_FACTOR * job.give_up_seconds + KILL_SECONDS, timeout or math.inf),
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        if os.environ.get("BENCHMARKS_DEBUG"):
            print(done.stderr, flush=True)
        raise ChildError(f"exit status {done.returncode}: {last[:200]}")
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def _cell(run: Runs, date: str) -> Cell:
    memory = [outcome.memory for outcome in run.outcomes if outcome.memory is not None]
    last = run.outcomes[-1] if run.outcomes else None
    return Cell(
        status=run.status,
        date=date,
        seconds=[o.seconds for o in run.outcomes if o.seconds is not None],
        iterations=last.iterations if last else None,
        memory=int(statistics.median(memory)) if memory else None,
        inertia=run.inertia,
        different_labels=run.different_labels,
        wrong_labels=run.wrong_labels,
        wall=statistics.median(run.walls) if run.walls else None,
        versions=last.versions if last else {},
        note=run.note,
    )


def _short(run: Runs) -> str:
    if run.note:
        return f"({run.note})"
    seconds = run.outcomes[-1].seconds
    assert seconds is not None
    return f"{seconds:.4g} s" if seconds >= 1 else f"{seconds * 1e3:.4g} ms"


def _now() -> str:
    now = datetime.datetime.fromtimestamp(time.time(), datetime.UTC)
    return now.isoformat(timespec="seconds")
