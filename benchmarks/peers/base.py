"""The contract of a peer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks import Kind


@dataclass(frozen=True)
class Fitted:
    """What a fit left.

    Attributes:
        centers: [k, d], after the last update; None if the library does not say.
        iterations: How many updates were really made.
        last_pass: Whether points were assigned once more after the last update.
    """

    centers: NDArray[Any] | None
    iterations: int
    last_pass: bool = False

    @property
    def passes(self) -> int:
        """How many times all points were assigned: what the time is proportional to."""
        return self.iterations + self.last_pass


@dataclass(frozen=True)
class Chosen:
    """Initial centers [k, d] and the seconds that choosing them took."""

    centers: NDArray[Any]
    seconds: float


@dataclass(frozen=True)
class Called:
    """What a call left: the centers [k, d], and of each point the label."""

    centers: NDArray[Any]
    labels: NDArray[Any]


class Peer:
    """One library. A child process calls one of these methods, for the kinds the peer can do."""

    def versions(self) -> dict[str, str]:
        """The names and versions of what does the work."""
        raise NotImplementedError

    def fit(self, points: Any, centers: NDArray[np.float32], iterations: int) -> Fitted:
        """Lloyd's algorithm over all points from `centers`, stopping early only at a fixed point.

        Args:
            points: [n, d], float32, dense or CSR.
            centers: [k, d], float32.
            iterations: How many.
        """
        raise NotImplementedError

    def steps(self, points: Any, centers: NDArray[np.float32], steps: int) -> Fitted:
        """Calls of the training step that takes one batch, here all points."""
        return self.fit(points, centers, steps)

    def mini_batch(
        self, points: Any, centers: NDArray[np.float32], batch_size: int, steps: int
    ) -> Fitted:
        """Mini-batch steps; step i takes rows from i * batch_size, as long as batches are whole.

        The row after the last whole batch is row 0.
        """
        raise NotImplementedError

    def call(self, points: Any, k: int, kind: Kind) -> Called:
        """One call of what a user calls, from points to labels.

        Args:
            points: [n, d], float32.
            k: The number of clusters.
            kind: DEFAULTS: one fit from centers by k-means++. RESTARTS: the best of ten fits from
                random rows. MINI_BATCH_FIT: a fit of mini-batches. INDEX: `INDEX_ITERATIONS` from
                random rows. All else as the library does it by default.
        """
        raise NotImplementedError

    def choose(self, points: Any, k: int, candidates: int) -> Chosen:
        """Greedy k-means++ with so many candidates a center."""
        raise NotImplementedError

    def predictor(
        self, points: Any, centers: NDArray[np.float32], as_list: bool
    ) -> Callable[[], NDArray[Any]]:
        """A function that finds the nearest center of each point; making it is not timed.

        Args:
            points: [n, d], float32.
            centers: [k, d], float32.
            as_list: Through the library's way that gives one prediction after the other, if it has
                one.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class PeerInfo:
    """What the parent process knows of a peer, without importing it.

    Attributes:
        name: Unique, and what `--peers` takes.
        label: The heading of its column.
        module: Where its `Peer` class is: "module:Class".
        kinds: What it can do.
        environment: The name of an environment of its own, or None for the harness's.
        threads: How many it may use; None: as many as all.
        working_bytes: Known demand for memory for (n, k), to leave out what cannot fit.
        most_work: Not measured where n x d x k is more: it is far behind in smaller tasks.
    """

    name: str
    label: str
    module: str
    kinds: frozenset[Kind]
    environment: str | None = None
    threads: int | None = None
    working_bytes: Callable[[int, int], int] = lambda n, k: 0
    most_work: float = math.inf
