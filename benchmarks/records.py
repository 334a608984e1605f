"""What is kept of a run: rows of cells, as JSON."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from benchmarks.tasks import Kind

INERTIA_TOLERANCE = 1e-5


class Status(StrEnum):
    """How a cell came about."""

    MEASURED = "measured"
    ONCE = "measured once, as it is slow"
    OVER = "given up: it would take too long"
    TOO_LARGE = "left out: it needs more memory than there is"
    FAILED = "failed"
    UNAVAILABLE = "the peer cannot be installed here"


@dataclass(frozen=True)
class Cell:
    """One peer at one task.

    Attributes:
        status: How it came about.
        date: When, in ISO 8601.
        seconds: One value for each run.
        iterations: The updates really made by the (longer) fit.
        memory: Peak bytes above the data; the median of the runs.
        inertia: Of the final centers, measured by `centroids.kernels.assign`.
        different_labels: For predictions: how many labels are not ours.
        wrong_labels: For calls: the share of the labels that are not of the nearest center.
        wall: The seconds that one child takes: import, data and warm-up included.
        versions: Of the peer.
        note: Why there is no time.
    """

    status: Status
    date: str
    seconds: list[float] = field(default_factory=list)
    iterations: int | None = None
    memory: int | None = None
    inertia: float | None = None
    different_labels: int | None = None
    wrong_labels: float | None = None
    wall: float | None = None
    versions: dict[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def median(self) -> float | None:
        """Seconds."""
        return statistics.median(self.seconds) if self.seconds else None

    @property
    def spread(self) -> float | None:
        """The slowest run over the fastest."""
        return max(self.seconds) / min(self.seconds) if self.seconds else None


@dataclass(frozen=True)
class Row:
    """One task.

    Attributes:
        task: Its name.
        kind: What was timed.
        data: The name of the data set.
        label: The data set for people.
        data_bytes: The size of the points.
        few: See `Task`.
        extra: See `Task`.
        iterations: Of a whole fit, the same for all.
        batch_size: See `Task`.
        date: Of the last measurement.
        cells: By peer.
        machine: What it was measured on.
        commit: What was measured; None: this is not known.
    """

    task: str
    kind: Kind
    data: str
    label: str
    data_bytes: int
    few: int
    extra: int
    iterations: int
    batch_size: int
    date: str
    cells: dict[str, Cell]
    machine: dict[str, Any] = field(default_factory=dict)
    commit: str | None = None

    def same_run(self, other: Row) -> bool:
        """Whether both are known to be of one machine and one commit."""
        return self.commit is not None and self.run == other.run

    @property
    def run(self) -> dict[str, Any]:
        """What is the same for all that may be compared."""
        return {"machine": self.machine, "commit": self.commit}


@dataclass
class Results:
    """All rows, by task, and the machine that the last of them were measured on."""

    machine: dict[str, Any] = field(default_factory=dict)
    iterations: dict[str, int] = field(default_factory=dict)
    """To convergence, by data set."""
    rows: dict[str, Row] = field(default_factory=dict)
    commit: str | None = None
    """What new rows are of."""

    @property
    def newest_run(self) -> dict[str, Any] | None:
        """That of the row which was measured last."""
        return max(self.rows.values(), key=lambda row: row.date).run if self.rows else None

    @property
    def run(self) -> dict[str, Any]:
        """As that of new rows."""
        return {"machine": self.machine, "commit": self.commit}

    @classmethod
    def read(cls, path: Path) -> Results:
        """From JSON; empty if there is no such file."""
        if not path.exists():
            return cls()
        values = json.loads(path.read_text())
        rows = [_row({"machine": values["machine"], **row}) for row in values["rows"]]
        return cls(values["machine"], values["iterations"], {row.task: row for row in rows})

    def write(self, path: Path) -> None:
        """To JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [asdict(row) for row in self.rows.values()]
        values = {"machine": self.machine, "iterations": self.iterations, "rows": rows}
        path.write_text(json.dumps(values, indent=1) + "\n")


def _row(values: dict[str, Any]) -> Row:
    cells = {
        name: Cell(**{**cell, "status": Status(cell["status"])})
        for name, cell in values["cells"].items()
    }
    return Row(**{**values, "kind": Kind(values["kind"]), "cells": cells})
