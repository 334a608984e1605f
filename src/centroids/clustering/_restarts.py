"""Several choices of initial centers, of which the best one goes on."""

from __future__ import annotations

import itertools
import logging
import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import kernels
from centroids.clustering._lloyd import lloyd_iterations
from centroids.clustering._sharded import partial_assignment
from centroids.clustering.points import locate_bad_points
from centroids.rows import split_weights

logger = logging.getLogger(__name__)

ITERATIONS_OF_RESTARTS = 10

# Called with the number of the restart that begins and of all.
restart_watchers: list[Callable[[int, int], None]] = []


class PulledBatches:
    """Batches that can be gone through again and again, and are pulled once, when they are needed.

    Args:
        batches: The points of each.

    >>> batches = PulledBatches(iter([np.zeros(1), np.ones(1)]))
    >>> [next(iter(batches)).tolist() for _ in range(3)], len(batches.pulled)
    ([[0.0], [0.0], [0.0]], 1)
    """

    def __init__(self, batches: Iterator[Any]) -> None:
        self._coming = batches
        self.pulled: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        place = 0
        while True:
            if place == len(self.pulled):
                batch = next(self._coming, None)
                if batch is None:
                    return
                self.pulled.append(batch)
            yield self.pulled[place]
            place += 1


def choose_best_centers(
    choose: Callable[[], NDArray[Any]],
    num_restarts: int,
    batches: PulledBatches,
    *,
    cosine: bool = False,
    whole_input_in_batch: bool = False,
    relocate: bool = False,
) -> NDArray[Any]:
    """Chooses initial centers several times, and keeps those of the lowest loss.

    Mini-batches: the loss is that over all batches that were pulled to choose from. Full batches:
    10 iterations of Lloyd's algorithm follow each choice; the loss is that of the last one, and the
    centers that they led to are kept. On equal losses the earlier choice wins.

    Args:
        choose: Chooses centers from `batches`, anew in each call.
        num_restarts: How often, at least 1. Once, the centers are what `choose` returns.
        batches: The first batches of the input.
        cosine: The distance is cosine.
        whole_input_in_batch: Full batches: the first one is the whole input.
        relocate: Whether iterations relocate empty clusters.

    Returns:
        [k, d].

    Raises:
        ValueError: If a point is not finite, or too large.

    Source: Biernacki, Celeux and Govaert, Choosing starting values for the EM algorithm for
    getting the highest likelihood in multivariate Gaussian mixture models, Computational
    Statistics and Data Analysis 41, 2003: short runs, the best of which goes on.

    >>> points = np.array([[0.0], [1.0], [10.0]])
    >>> choices = iter([np.array([[0.0], [1.0]]), np.array([[0.0], [9.0]])])
    >>> batches = PulledBatches(iter([points]))
    >>> choose = lambda: next(choices) if next(iter(batches)) is points else None
    >>> choose_best_centers(choose, 2, batches).tolist()
    [[0.0], [9.0]]
    """
    if num_restarts == 1:
        return choose()
    numbers = range(1, num_restarts + 1)

    def attempt(number: int) -> NDArray[Any]:
        for watcher in list(restart_watchers):
            watcher(number, num_restarts)
        return choose()

    def log(number: int, loss: float) -> float:
        logger.info("Restart %d of %d: loss %g.", number, num_restarts, loss)
        return loss

    if whole_input_in_batch:
        runs = (_fit_briefly(batches, attempt(n), cosine, relocate) for n in numbers)
    else:  # all are chosen first: a batch that a later choice has pulled counts for each
        choices = [attempt(n) for n in numbers]
        runs = ((_loss_of(batches, centers, cosine), centers) for centers in choices)
    logged = ((log(n, loss), centers) for n, (loss, centers) in zip(numbers, runs, strict=True))
    return min(logged, key=operator.itemgetter(0))[1]


def _fit_briefly(
    batches: PulledBatches, centers: NDArray[Any], cosine: bool, relocate: bool
) -> tuple[float, NDArray[Any]]:
    points, weights = split_weights(batches.pulled[0])
    loss = math.inf
    iterations = lloyd_iterations(
        points,
        centers,
        memory=kernels.AssignmentMemory(),
        cosine=cosine,
        weights=weights,
        relocate=relocate,
    )
    with locate_bad_points(0):
        for found, moved in itertools.islice(iterations, ITERATIONS_OF_RESTARTS):
            loss, before, centers = found.inertia, centers, moved
            if np.array_equal(centers, before):
                break
    return loss, centers


def _loss_of(batches: PulledBatches, centers: NDArray[Any], cosine: bool) -> float:
    """The exact sum over all that were pulled, rounded once."""
    total: Any = 0
    for index, batch in enumerate(batches.pulled):
        points, weights = split_weights(batch)
        with locate_bad_points(index):
            total += partial_assignment(
                points, centers, cosine=cosine, update=False, weights=weights
            )
    loss: float = total.finish().inertia
    return loss
