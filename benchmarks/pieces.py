"""A run in pieces: what it is a run of, how long a piece may take, and what is not finished yet."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.child import Outcome
from benchmarks.records import Status

MEASURED = ("src", "native", "cmake", "CMakeLists.txt", "benchmarks", ":!benchmarks/results")
"""What figures depend on."""
SLACK = 1.2
"""A child may take so much longer than the last one of its cell."""


class OutOfTimeError(Exception):
    """The piece has no time left for the next measurement."""


def commit(root: Path) -> str | None:
    """The last commit that changed what is measured, with a sum of what differs from it.

    None where this cannot be found out.
    """

    def git(*command: str) -> str:
        done = subprocess.run(
            ["git", *command, "--", *MEASURED], cwd=root, capture_output=True, check=True
        )
        return done.stdout.decode(errors="replace")

    try:
        last, changes = git("log", "-1", "--format=%h").strip(), git("diff", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return None
    if not last:
        return None
    return f"{last}+{hashlib.sha256(changes.encode()).hexdigest()[:7]}" if changes else last


@dataclass
class Piece:
    """How long this piece may take.

    Attributes:
        seconds: From its making; None: as long as it takes.
    """

    seconds: float | None = None
    _begin: float = field(default_factory=lambda: time.monotonic())
    _first: bool = True

    @contextmanager
    def measurement(self, expected: float) -> Iterator[float | None]:
        """Around a measurement; gives the seconds that it may take.

        Args:
            expected: The seconds it will take, as far as is known.

        Raises:
            OutOfTimeError: If that is too long, or it took all the time that was left, unless it
                was the first of the piece: it will never have more.
        """
        left = None if self.seconds is None else self.seconds - (time.monotonic() - self._begin)
        if left is not None and not self._first and left < SLACK * expected + 1:
            raise OutOfTimeError
        first, self._first = self._first, False
        try:
            yield None if left is None else max(left, 1.0)
        except subprocess.TimeoutExpired as error:
            if left is None or first or error.timeout < left:
                raise
            raise OutOfTimeError from error


@dataclass
class Runs:
    """The runs of one cell, so far.

    Attributes:
        outcomes: One for each run.
        walls: The seconds that each child took as a whole.
        status: How the cell came about.
        note: Why there is no time.
        inertia: Of the final centers.
        different_labels: For predictions: how many labels are not ours.
        wrong_labels: For calls: the share of labels that are not of the nearest center.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    walls: list[float] = field(default_factory=list)
    status: Status = Status.MEASURED
    note: str = ""
    inertia: float | None = None
    different_labels: int | None = None
    wrong_labels: float | None = None

    @property
    def finished(self) -> bool:
        """Whether there will be no more runs."""
        return self.status != Status.MEASURED

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Runs:
        """From JSON."""
        outcomes = [Outcome(**outcome) for outcome in values["outcomes"]]
        return cls(**{**values, "outcomes": outcomes, "status": Status(values["status"])})


class Unfinished:
    """The tasks of which some cells are measured, in a file that is gone when there are none.

    Args:
        path: The file.
        run: What the measurements are of; what the file has of another run is dropped.
    """

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        self._path, self._run = path, dict(run)
        self._tasks: dict[str, dict[str, Runs]] = {}
        if path.exists():
            values = json.loads(path.read_text())
            if values["run"] == self._run and None not in self._run.values():
                self._tasks = {
                    task: {peer: Runs.of(runs) for peer, runs in cells.items()}
                    for task, cells in values["tasks"].items()
                }

    def __getitem__(self, task: str) -> dict[str, Runs]:
        return self._tasks.setdefault(task, {})

    def write(self) -> None:
        """To the file."""
        tasks = {
            task: {peer: asdict(runs) for peer, runs in cells.items()}
            for task, cells in self._tasks.items()
            if cells
        }
        if not tasks:
            self._path.unlink(missing_ok=True)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps({"run": self._run, "tasks": tasks}, indent=1) + "\n")

    def finish(self, task: str) -> None:
        """Forgets a task."""
        self._tasks.pop(task, None)
        self.write()
