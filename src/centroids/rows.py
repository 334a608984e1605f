"""Rows of numbers in memory, [n, ...]: a dense array, or compressed sparse rows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

if TYPE_CHECKING:
    import scipy.sparse
    from typing_extensions import TypeIs

    Sparse: TypeAlias = scipy.sparse.csr_array[Any, tuple[int, int]] | scipy.sparse.csr_matrix[Any]
    Rows: TypeAlias = NDArray[Any] | Sparse
else:
    Sparse = Any
    Rows = Any


def is_sparse(rows: object) -> TypeIs[Sparse]:
    """Whether `rows` is a scipy sparse container; never imports scipy."""
    return is_sparse_type(type(rows))


def is_sparse_type(kind: type) -> bool:
    """Whether values of a type are scipy sparse containers; never imports scipy."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and issubclass(kind, (sparse.sparray, sparse.spmatrix))


def num_rows(rows: Rows | dict[str, Rows]) -> int:
    """The number of rows; for a dict, that of its first column."""
    if isinstance(rows, dict):
        rows = next(iter(rows.values()))
    return int(rows.shape[0])
