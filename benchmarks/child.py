"""One measurement in a process of its own, so that time and memory are of one peer alone.

`python -m benchmarks.child JOB.json` imports the peer, loads the data, warms up, measures, writes
the centers and the labels and prints an `Outcome` as the last line. Needs only numpy and the peer.
"""

from __future__ import annotations

import ctypes
import gc
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import peers
from benchmarks.data import load
from benchmarks.tasks import CALLS, KMEANS_PLUS_PLUS_CANDIDATES, Kind

WARM_UP_ROWS, WARM_UP_CENTERS = 10_000, 1_000
QUICK_SECONDS = 5.0
"""Predictions faster than this are repeated within the process."""
REPEATED_SECONDS, MOST_REPEATS = 1.0, 200
"""Calls of `fit` are repeated until they took so long together."""


@dataclass(frozen=True)
class Job:
    """What to measure.

    Attributes:
        peer: Its name.
        kind: What to time.
        points: The file of points.
        centers: The file of initial centers.
        output: Where to write the final centers and the labels, those that there are (.npz).
        few: See `Task`.
        extra: See `Task`.
        iterations: Of a whole fit.
        batch_size: See `Task`.
        give_up_seconds: Do not begin what will take longer than this.
        probe: Whether to find that out by one iteration, before a whole fit.
    """

    peer: str
    kind: Kind
    points: str
    centers: str
    output: str
    few: int
    extra: int
    iterations: int
    batch_size: int
    give_up_seconds: float
    probe: bool

    @classmethod
    def read(cls, path: Path) -> Job:
        """From a JSON file."""
        values = json.loads(path.read_text())
        return cls(**{**values, "kind": Kind(values["kind"])})


@dataclass(frozen=True)
class Outcome:
    """What was measured.

    Attributes:
        seconds: Of an iteration, step, fit, choice or prediction; None if given up.
        predicted: The seconds that the whole would have taken, if given up.
        wall: The seconds that all timed calls took.
        iterations: The updates really made by the longer fit.
        memory: Peak bytes above those before the first call; None where this is not known.
        versions: Of the peer.
    """

    seconds: float | None
    wall: float
    predicted: float | None = None
    iterations: int | None = None
    memory: int | None = None
    versions: dict[str, str] = field(default_factory=dict)


Arrays = dict[str, NDArray[Any]]
"""By name: "centers", "labels"."""


class PeakMemory:
    """The growth of the resident set from its making to the highest point (Linux only)."""

    def __init__(self) -> None:
        gc.collect()
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # the peak is the present, from now on
        self._before = _status("VmRSS")

    def growth(self) -> int | None:
        """In bytes."""
        peak = _status("VmHWM")
        return None if peak is None or self._before is None else max(0, peak - self._before)


def _status(key: str) -> int | None:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    return None


def _time(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def measure(job: Job) -> tuple[Outcome, Arrays]:
    """Runs the job; returns the outcome, and final centers and labels unless it was given up."""
    peer = peers.load(job.peer)
    points, centers = load(Path(job.points)), load(Path(job.centers))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a fit has not converged is what we asked for
        if job.kind in CALLS:
            outcome, arrays = _measure_call(job, peer, points, len(centers))
        elif job.kind == Kind.PLUS_PLUS:
            outcome, arrays = _measure_choice(job, peer, points, len(centers))
        elif job.kind in (Kind.PREDICTION, Kind.PREDICTION_LIST):
            outcome, arrays = _measure_prediction(job, peer, points, centers)
        else:
            train = _trainer(job, peer, points, centers)
            measure_training = _measure_fit if job.kind == Kind.FIT else _measure_iterations
            outcome, arrays = measure_training(job, train)
    return Outcome(**{**asdict(outcome), "versions": peer.versions()}), arrays


Train = Callable[[int], peers.Fitted]


def _trainer(job: Job, peer: peers.Peer, points: Any, centers: NDArray[np.float32]) -> Train:
    """Training for so many iterations, warmed up: imports and thread pools are there."""
    some = points[: max(min(WARM_UP_ROWS, points.shape[0]), job.batch_size)]

    def train(points: Any, centers: Any, iterations: int) -> peers.Fitted:
        if job.kind == Kind.MINI_BATCH:
            return peer.mini_batch(points, centers, job.batch_size, iterations)
        if job.kind == Kind.STEP:
            return peer.steps(points, centers, iterations)
        return peer.fit(points, centers, iterations)

    train(some, centers[:WARM_UP_CENTERS], 1)
    return lambda iterations: train(points, centers, iterations)


def _measure_iterations(job: Job, train: Train) -> tuple[Outcome, Arrays]:
    """(time of few + extra - time of few) / extra: set-up cancels out.

    If the peer stopped early, passes over the points are counted in place of `extra`.
    """
    memory = PeakMemory()
    short_seconds, short = _time(lambda: train(job.few))
    predicted = short_seconds / job.few * (job.few + job.extra)
    if predicted > job.give_up_seconds:
        return Outcome(None, short_seconds, predicted), {}
    long_seconds, long = _time(lambda: train(job.few + job.extra))
    wall = short_seconds + long_seconds
    if long.passes > short.passes:
        seconds = (long_seconds - short_seconds) / (long.passes - short.passes)
    else:  # both stopped early: set-up is part of it
        seconds = long_seconds / long.passes
    return (
        Outcome(seconds, wall, iterations=long.iterations, memory=memory.growth()),
        _centers(long),
    )


def _centers(fitted: peers.Fitted) -> Arrays:
    return {} if fitted.centers is None else {"centers": fitted.centers}


def _measure_fit(job: Job, train: Train) -> tuple[Outcome, Arrays]:
    """The whole, from the call to the final centers."""
    if job.probe:
        one, _ = _time(lambda: train(1))
        if one * job.iterations > job.give_up_seconds:
            return Outcome(None, one, one * job.iterations), {}
    memory = PeakMemory()
    seconds, fitted = _time(lambda: train(job.iterations))
    return (
        Outcome(seconds, seconds, iterations=fitted.iterations, memory=memory.growth()),
        _centers(fitted),
    )


def _measure_choice(job: Job, peer: peers.Peer, points: Any, k: int) -> tuple[Outcome, Arrays]:
    peer.choose(points[: max(WARM_UP_ROWS // 4, k)], min(k, 20), KMEANS_PLUS_PLUS_CANDIDATES)
    memory = PeakMemory()
    wall, chosen = _time(lambda: peer.choose(points, k, KMEANS_PLUS_PLUS_CANDIDATES))
    return Outcome(chosen.seconds, wall, memory=memory.growth()), {"centers": chosen.centers}


def _measure_call(job: Job, peer: peers.Peer, points: Any, k: int) -> tuple[Outcome, Arrays]:
    """From points to labels, again and again for a second, as small calls vary."""
    peer.call(points[:WARM_UP_ROWS], min(k, WARM_UP_CENTERS), job.kind)
    memory = PeakMemory()
    seconds, called = _time(lambda: peer.call(points, k, job.kind))
    growth, times = memory.growth(), [seconds]
    while sum(times) < REPEATED_SECONDS and len(times) < MOST_REPEATS:
        times.append(_time(lambda: peer.call(points, k, job.kind))[0])
    return Outcome(statistics.median(times), sum(times), memory=growth), vars(called)


def _measure_prediction(
    job: Job, peer: peers.Peer, points: Any, centers: NDArray[np.float32]
) -> tuple[Outcome, Arrays]:
    as_list = job.kind == Kind.PREDICTION_LIST
    peer.predictor(points[:WARM_UP_ROWS], centers, as_list)()
    predict = peer.predictor(points, centers, as_list)
    memory = PeakMemory()
    first, labels = _time(predict)
    growth = memory.growth()
    times = [first]
    if first < QUICK_SECONDS:
        times = [first, *(_time(predict)[0] for _ in range(2))]
    return Outcome(statistics.median(times), sum(times), memory=growth), {"labels": labels}


def main() -> None:
    """Entry point of the process."""
    job = Job.read(Path(sys.argv[1]))
    outcome, arrays = measure(job)
    named: dict[str, Any] = {**arrays}
    np.savez(job.output, **named)
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
