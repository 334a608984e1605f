"""Kills `centroids predict` at random instants, goes on with --resume, and compares the files.

    python -m tests.crash.predictions --kills 1000 [--seed 7]

A trial draws from its seed what is predicted, from which kind of file, and the instants. A process
is killed, another one goes on, until one comes to its end: what it has written must be equal to the
bit to what an uninterrupted process writes, whose labels are those of NumPy; and nothing else must
be left. The seeds of trials are consecutive.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import typer

from centroids import KMeansClustering, SessionRunHook
from centroids.cli import inference, unfinished
from centroids.cli.app import app
from centroids.inputs import numpy_input_fn
from tests.crash.compare import CrashFailure
from tests.crash.forked import Outcome, run_forked
from tests.inputs.tfrecord_writer import write_rows

_ROWS, _CLUSTERS = 1000, 5
_ATTEMPTS = 100
_SIGNALS = (signal.SIGKILL,) * 8 + (signal.SIGINT, signal.SIGTERM)

POINTS = ("points.npy", "points.csv", "points.parquet", "points.tfrecord")
OUTPUTS = ("labels.npy", "labels.csv")


def points() -> np.ndarray:
    """[n, 3] float32, of so few digits that text holds them."""
    return np.random.default_rng(4).integers(-400, 400, size=(_ROWS, 3)).astype(np.float32) / 8


def prepare(folder: Path) -> None:
    """Writes the files of points and trains the model; pyarrow has threads, which forks must not.

    Raises:
        CrashFailure: If that fails.
    """
    outcome = run_forked(lambda: write_files(folder))
    if outcome.code != 0:
        raise CrashFailure(outcome.output)


def write_files(folder: Path) -> None:
    """Writes the files of points and trains the model."""
    np.save(folder / "points.npy", points())
    np.savetxt(folder / "points.csv", points(), delimiter=",", header="a,b,c", comments="")
    write_rows(folder / "points.tfrecord", points().tolist())
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table({name: points()[:, i] for i, name in enumerate("abc")})
    parquet.write_table(table, folder / "points.parquet", row_group_size=90)
    model = KMeansClustering(
        _CLUSTERS, str(folder / "model"), initial_clusters=points()[:_CLUSTERS]
    )
    model.train(numpy_input_fn(points(), batch_size=_ROWS, num_epochs=2, shuffle=False))


def save_often(batch_size: int, seconds: float) -> None:
    """Lets predictions of this process have small batches, and journals after so many seconds."""
    inference._BATCH_SIZE = batch_size
    unfinished._SECONDS_BETWEEN_SAVES = seconds
    unfinished._SAVING_SHARE = float("inf")


def expected_distances(folder: Path) -> np.ndarray:
    """[n, k] squared distances, by NumPy in float64; ties come out exact for these points."""
    centers = KMeansClustering(_CLUSTERS, str(folder / "model")).cluster_centers()
    differences = points()[:, None].astype(np.float64) - centers
    return np.asarray((differences**2).sum(axis=2))


@dataclass(frozen=True)
class Job:
    """What is predicted.

    Attributes:
        folder: Where the model and the points are.
        points: The name of the file.
        output: The ending decides.
        distances: Whether distances are, or labels.
    """

    folder: Path
    points: str
    output: str
    distances: bool

    def run(self, place: Path, *options: str) -> None:
        """Runs the command, whose output goes into a folder."""
        words = ["predict", str(self.folder / "model"), str(self.folder / self.points)]
        words += ["-o", str(place / self.output), *options]
        if self.distances:
            words.append("--distances")
        sys.argv = ["centroids", *words]
        try:
            code = app(words, standalone_mode=False)
        except typer.Abort:
            raise KeyboardInterrupt from None
        if code:
            sys.exit(code)

    def whole(self, place: Path) -> bytes:
        """What an uninterrupted process writes.

        Raises:
            CrashFailure: If it fails, or a label or a distance is wrong.
        """
        place.mkdir()
        outcome = run_forked(lambda: self.run(place))
        if outcome.code != 0 or os.listdir(place) != [self.output]:
            raise CrashFailure(f"without a kill: {os.listdir(place)}\n{outcome.output}")
        file = place / self.output
        is_text = self.output.endswith(".csv")
        found = np.loadtxt(file, delimiter=",") if is_text else np.load(file)
        expected = expected_distances(self.folder)
        right = (
            np.allclose(found, expected, rtol=1e-5, atol=1e-3)
            if self.distances
            else np.array_equal(found, expected.argmin(axis=1))
        )
        if not right:
            raise CrashFailure("the prediction without a kill is wrong")
        return file.read_bytes()


def interrupted(job: Job, place: Path, batches: int) -> None:
    """Runs the command in a process whose disk fails after so many batches.

    Raises:
        CrashFailure: If nothing is left to go on with.
    """

    class Fail(SessionRunHook):
        def __init__(self, **unused: object) -> None:
            self._left = batches

        def after_run(self, run_context: object, run_values: object) -> None:
            self._left -= 1
            if self._left < 0:
                raise OSError(errno.EIO, "the disk fails")

    def work() -> None:
        vars(inference)["ProgressBarHook"] = Fail
        job.run(place)

    outcome = run_forked(work)
    if not os.path.exists(place / f"{job.output}.centroids-journal"):
        raise CrashFailure(f"nothing is left:\n{outcome.output}")


def draw_job(folder: Path, generator: random.Random) -> Job:
    """Draws what is predicted."""
    return Job(
        folder, generator.choice(POINTS), generator.choice(OUTPUTS), generator.random() < 0.4
    )


@dataclass
class Trial:
    """One prediction that is killed until it ends.

    Attributes:
        seed: Decides everything but the instants' effects.
        data: Where the model and the points are.
        folder: Where the output goes.
        signals: What was sent so far, with the seconds after the start.
    """

    seed: int
    data: Path
    folder: Path
    signals: list[tuple[float, str]] = field(default_factory=list)

    def run(self) -> None:
        """Runs the trial.

        Raises:
            CrashFailure: If the file differs from that of an uninterrupted process.
        """
        generator = random.Random(self.seed)
        self.job = draw_job(self.data, generator)
        save_often(generator.choice([7, 50, 300]), generator.choice([0.0, 0.003, 0.01]))
        started = time.perf_counter()
        self._expected = self.job.whole(self.folder / "whole")
        span = 1.2 * (time.perf_counter() - started)
        self._place, rows = self.folder / "killed", 0
        self._place.mkdir()
        for attempt in range(_ATTEMPTS):
            options = ["--resume"] if attempt or generator.random() < 0.5 else []
            signal_after = (generator.uniform(0, span), generator.choice(_SIGNALS))
            outcome = run_forked(
                lambda options=options: self.job.run(self._place, *options),
                signal_after=signal_after,
            )
            if outcome.code == 0:
                break
            self.signals.append((round(signal_after[0], 5), signal_after[1].name))
            before, rows = rows, self._check(outcome, signal_after[1])
            if rows < before and options:
                raise CrashFailure(f"{before} rows were saved, now {rows}:\n{outcome.output}")
            told = "Continue with: centroids predict" in outcome.output
            if outcome.code in (130, 143) and before < rows < _ROWS and not told:
                raise CrashFailure(f"it does not say how to go on:\n{outcome.output}")
            span *= 1.0 if rows > before else 1.2
        else:
            outcome = run_forked(lambda: self.job.run(self._place, "--resume"))
        if outcome.code != 0 or os.listdir(self._place) != [self.job.output]:
            raise CrashFailure(f"at the end: {os.listdir(self._place)}\n{outcome.output}")
        if (self._place / self.job.output).read_bytes() != self._expected:
            raise CrashFailure("the file differs from that of an uninterrupted process")

    def _check(self, outcome: Outcome, number: signal.Signals) -> int:
        """What holds after each kill; returns how many rows are saved."""
        codes = {-number} if number == signal.SIGKILL else {-number, 128 + number}
        if outcome.code not in codes:
            raise CrashFailure(f"exit code {outcome.code}:\n{outcome.output}")
        output = self._place / self.job.output
        if output.exists() and output.read_bytes() != self._expected:
            raise CrashFailure("a file is there that is not whole")
        journal = Path(f"{output}.centroids-journal")
        if output.exists() or not journal.exists():  # all is done, or nothing was
            return _ROWS if output.exists() else 0
        return int(json.loads(journal.read_text())["content"]["progress"]["rows"])


def run_trials(kills: int, seed: int, folder: Path, report: Callable[[str], None]) -> None:
    """Runs trials until there were so many kills.

    Raises:
        CrashFailure: At the first trial that fails; its folder is left behind.
    """
    data = folder / "data"
    data.mkdir()
    prepare(data)
    done, number, started = 0, seed, time.perf_counter()
    while done < kills:
        trial = Trial(number, data, folder / f"trial-{number}")
        trial.folder.mkdir()
        try:
            trial.run()
        except Exception as error:
            raise CrashFailure(
                f"{error}\n  {trial.job}\n  signals: {trial.signals}\n  folder: {trial.folder}\n"
                f"  again: python -m tests.crash.predictions --seed {number} --kills 1"
            ) from error
        shutil.rmtree(trial.folder)
        done, number = done + len(trial.signals), number + 1
    seconds = time.perf_counter() - started
    report(f"{done} kills in {number - seed} trials, {seconds:.0f} s; the seed was {seed}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Kills predictions and compares files.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="centroids-predictions-"))
    try:
        run_trials(arguments.kills, arguments.seed, folder, print)
    except CrashFailure as failure:
        sys.exit(f"FAILED: {failure}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
