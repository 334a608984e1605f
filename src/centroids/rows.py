"""Rows of numbers in memory, [n, ...]: a dense array, or compressed sparse rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from centroids.packages import if_imported

if TYPE_CHECKING:
    import scipy.sparse
    from typing_extensions import TypeIs

    Sparse: TypeAlias = scipy.sparse.csr_array[Any, tuple[int, int]] | scipy.sparse.csr_matrix[Any]
    Rows: TypeAlias = NDArray[Any] | Sparse
    """Rows of numbers: a dense array [n, d], or compressed sparse rows of scipy."""
else:
    Sparse = Any
    Rows = Any


@dataclass(frozen=True, slots=True)
class WeightedPoints:
    """Points that do not all count alike.

    Attributes:
        points: [n, d], dense or compressed sparse rows.
        weights: [n], finite and not negative: 2 counts as two equal points, 0 as none.
    """

    points: Rows
    weights: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the points."""
        return self.points.shape

    def __getitem__(self, rows: Any) -> WeightedPoints:
        """Some of them, by a slice, numbers or a mask."""
        return WeightedPoints(self.points[rows], self.weights[rows])


def split_weights(rows: Rows | WeightedPoints) -> tuple[Rows, NDArray[np.float64] | None]:
    """Points and their weights; None if they have none."""
    return (rows.points, rows.weights) if isinstance(rows, WeightedPoints) else (rows, None)


def with_weights(points: Rows, weights: NDArray[np.float64] | None) -> Rows | WeightedPoints:
    """Points and their weights, if they have any."""
    return points if weights is None else WeightedPoints(points, weights)


def is_sparse(rows: object) -> TypeIs[Sparse]:
    """Whether `rows` is a scipy sparse container; never imports scipy."""
    return is_sparse_type(type(rows))


def is_sparse_type(kind: type) -> bool:
    """Whether values of a type are scipy sparse containers; never imports scipy."""
    bases = if_imported("scipy.sparse", "sparray"), if_imported("scipy.sparse", "spmatrix")
    return None not in bases and issubclass(kind, bases)


def num_rows(rows: Rows | dict[str, Rows]) -> int:
    """The number of rows; for a dict, that of its first column."""
    if isinstance(rows, dict):
        rows = next(iter(rows.values()))
    return int(rows.shape[0])


def join_rows(parts: list[Any]) -> Any:
    """Rows one after the other, all of them dense or all sparse."""
    if not is_sparse(parts[0]):
        return np.concatenate(parts)
    from scipy.sparse import vstack

    return vstack(parts, format="csr")


def gather_rows(rows: Any, numbers: NDArray[np.integer[Any]]) -> Any:
    """`rows[numbers]`, a copy, in a third of the time for an array in the order of C.

    >>> gather_rows(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 1])).tolist()
    [[3.0, 4.0], [3.0, 4.0]]
    """
    # `take` would copy the whole of another array first.
    quick = type(rows) is np.ndarray and rows.flags.c_contiguous and rows.flags.aligned
    return rows.take(numbers, axis=0) if quick else rows[numbers]


def dense(rows: Rows) -> NDArray[Any]:
    """Rows as an array."""
    return rows.toarray() if is_sparse(rows) else np.asarray(rows)
