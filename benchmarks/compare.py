"""The arithmetic of the report: who is best, is the target met, do the results agree."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.peers.registry import OURS
from benchmarks.records import INERTIA_TOLERANCE, Cell, Row
from benchmarks.tasks import CALLS, TASKS, Kind, Target

DRAWN = CALLS | {Kind.PLUS_PLUS}
"""Where each peer draws initial centers of its own."""
MEMORY_TARGET = 0.10
"""Peak memory above the data, as a share of the data."""


@dataclass(frozen=True)
class Verdict:
    """Our seconds over a peer's.

    Attributes:
        ratio: Below 1: we are faster.
        against: The name of the peer.
        target: What the ratio must be at most; None if there is no target.
    """

    ratio: float
    against: str
    target: float | None

    @property
    def met(self) -> bool | None:
        """None if there is no target."""
        return None if self.target is None else self.ratio <= self.target


def targets_of(row: Row) -> tuple[Target, ...]:
    """Those of the row's task; none if the task was scaled."""
    return next((task.targets for task in TASKS if task.name == row.task), ())


def best_peer(row: Row) -> str | None:
    """The fastest of the others; None if none was measured."""
    times = {
        name: cell.median
        for name, cell in row.cells.items()
        if name != OURS and cell.median is not None
    }
    return min(times, key=lambda name: times[name]) if times else None


def ratio(row: Row, peer: str) -> float | None:
    """Our median over the peer's; None unless both were measured."""
    ours, theirs = row.cells.get(OURS), row.cells.get(peer)
    if ours is None or theirs is None or not ours.median or not theirs.median:
        return None
    return ours.median / theirs.median


def verdicts(row: Row) -> list[Verdict]:
    """One for each target that can be judged.

    One against the best peer, without a target, if there is none, or if it is faster than we are.
    """
    found = []
    for target in targets_of(row):
        against = target.against or best_peer(row)
        value = ratio(row, against) if against else None
        if against and value is not None:
            found.append(Verdict(value, against, target.ratio))
    best = best_peer(row)
    value = ratio(row, best) if best else None
    known = any(verdict.against == best for verdict in found)
    if best and value is not None and not known and (not found or value >= 1):
        found.append(Verdict(value, best, None))
    return found


def inertia_difference(row: Row, peer: str) -> float | None:
    """(the peer's final inertia - ours) / ours: positive if ours is better."""
    ours, theirs = row.cells.get(OURS), row.cells.get(peer)
    if ours is None or theirs is None or ours.inertia is None or theirs.inertia is None:
        return None
    if ours.inertia == 0:
        return 0.0 if theirs.inertia == 0 else float("inf")
    return theirs.inertia / ours.inertia - 1


def disagrees(row: Row, peer: str) -> bool:
    """Whether a peer ends elsewhere. Of what draws at random nothing is expected."""
    difference = inertia_difference(row, peer)
    if row.kind in DRAWN or difference is None:
        return False
    return abs(difference) > INERTIA_TOLERANCE


def stopped_early(row: Row, peer: str) -> bool:
    """Whether a peer made fewer iterations than it was told: labels did not change any more."""
    asked = row.iterations if row.kind == Kind.FIT else row.few + row.extra
    done = row.cells[peer].iterations
    return done is not None and done < asked


def memory_share(row: Row, cell: Cell) -> float | None:
    """Peak memory above the data as a share of the data."""
    return None if cell.memory is None else cell.memory / row.data_bytes
