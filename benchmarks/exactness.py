"""Whether labels are those of the nearest centers, found in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE = 1_000
"""Points that are looked at."""
BLOCK = 100
TIE = 1e-12
"""Distances that differ by less, relatively, are taken for equal: float64 rounds them."""


def share_of_wrong_labels(
    points: Any, centers: NDArray[Any], labels: NDArray[Any], sample: int = SAMPLE
) -> float:
    """The share of points, of a random sample, that have a nearer center than that of their label.

    Args:
        points: [n, d], dense.
        centers: [k, d], as the labels' maker returned them.
        labels: [n].
        sample: How many points are looked at, at most.
    """
    rows = np.random.default_rng(2).permutation(len(points))[:sample]
    exact = np.asarray(centers, np.float64)
    squares = np.einsum("ij,ij->i", exact, exact)
    wrong = 0
    for at in range(0, len(rows), BLOCK):
        some = rows[at : at + BLOCK]
        chosen = np.asarray(points[some], np.float64)
        nearest = np.argmin(squares - 2 * chosen @ exact.T, axis=1)
        least = np.square(chosen - exact[nearest]).sum(1)
        found = np.square(chosen - exact[np.asarray(labels)[some].astype(np.int64)]).sum(1)
        wrong += int(np.count_nonzero(found > least * (1 + TIE)))
    return wrong / len(rows)
