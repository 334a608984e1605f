"""Arrays as people have them, checked as scikit-learn checks them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from numbers import Number
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, validation

from centroids.distribute import is_collection
from centroids.inputs.convert import convert_features, with_table
from centroids.kernels import NonFiniteError, Points, check_points, find_nonfinite
from centroids.rows import is_sparse

T = TypeVar("T")

# What the kernels read in place; anything else becomes the first.
_DENSE = [np.dtype(kind) for kind in ["d", "f", "e", "b", "B", "h", "H", "i", "I", "q", "Q"]]
_SPARSE = _DENSE[:2]


def check_points_of(
    estimator: Any, X: Any, *, reset: bool = True, order: str | None = None
) -> Points:
    """The points of a call, and the names and the number of their columns.

    Args:
        estimator: What is fitted, or was; None: nothing is, and no column is remembered.
        X: [n, d]: what scikit-learn takes, and what a batch of the Estimator may be.
        reset: Whether this call fits: columns are remembered rather than compared.
        order: "C" for points that are read many times.

    Returns:
        Dense, of a type that the kernels read in place, or compressed sparse rows.

    Raises:
        TypeError: If a column of a table does not hold numbers.
        ValueError: If the shape is wrong, a value is not finite, or columns differ from those of
            the fit.
    """
    usual = estimator is not None and _is_usual(estimator, X, reset, order)
    if usual and find_nonfinite(X) is None:
        estimator.n_features_in_ = X.shape[1]
        return np.asarray(X)
    table = with_table(X) if _is_foreign(X) else None
    if table is not None and hasattr(table, "columns"):
        values = convert_features(table, "X")
        _validate(estimator, table, reset=reset)
        return check_points(check_array(values, dtype=_DENSE, order=order, estimator=estimator))
    X = _converted(X, "X")
    checked = _validate(
        estimator,
        X,
        reset=reset,
        accept_sparse="csr",
        accept_large_sparse=False,
        dtype=_SPARSE if is_sparse(X) else _DENSE,
        order=order,
    )
    return check_points(checked)


def computed_of(estimator: Any, X: Any, compute: Callable[[Points], T]) -> T:
    """What is computed of the points of a call that does not fit; see `check_points_of`.

    Args:
        estimator: What was fitted.
        X: [n, d].
        compute: Refuses points that are not finite by a NonFiniteError: to look for them before
            would take another pass over the points.
    """
    if _is_usual(estimator, X, False, None):
        # Where it is refused, scikit-learn's checks have their own words for it.
        with contextlib.suppress(NonFiniteError):
            return compute(np.asarray(X))
    return compute(check_points_of(estimator, X, reset=False))


def _is_usual(estimator: Any, X: Any, reset: bool, order: str | None) -> bool:
    """Whether scikit-learn's checks would let X, if it is finite, through as it is.

    They take longer than a fit may. What is not is for them to convert, or to complain about.
    """
    if type(X) is not np.ndarray or X.ndim != 2 or not X.size or X.dtype not in _DENSE:
        return False
    if hasattr(estimator, "feature_names_in_") or (order and not X.flags.c_contiguous):
        return False
    return reset or X.shape[1] == estimator.n_features_in_


def _is_foreign(X: Any) -> bool:
    """Whether it is for the converters of the inputs, rather than for NumPy."""
    kind = type(X)
    if isinstance(X, (np.ndarray, list, tuple)) or is_sparse(X) or is_collection(kind):
        return False
    known = ("columns", "detach", "__dlpack__", "__arrow_c_stream__")
    return any(hasattr(kind, name) for name in known)


def _converted(value: Any, name: str) -> Any:
    return convert_features(value, name) if _is_foreign(value) else value


def _validate(estimator: Any, X: Any, *, reset: bool, **checks: Any) -> Any:
    if estimator is None:
        return check_array(X, **checks) if checks else X
    if hasattr(validation, "validate_data"):
        if not checks:  # of a table, whose values were converted
            return validation.validate_data(estimator, X, reset=reset, skip_check_array=True)
        return validation.validate_data(estimator, X, reset=reset, **checks)
    # scikit-learn 1.5
    if not checks:
        return estimator._validate_data(X, reset=reset, cast_to_ndarray=False)
    return estimator._validate_data(X, reset=reset, **checks)


def check_weights(sample_weight: Any, n: int) -> NDArray[np.float64] | None:
    """[n] float64, or None where every row weighs 1.

    Args:
        sample_weight: None, a number, or [n].
        n: The number of rows.

    Raises:
        TypeError: If they are a sparse matrix.
        ValueError: If the shape is wrong, a weight is complex, negative, NaN or infinite, or all
            are 0.
    """
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Number):
        sample_weight = np.full(n, sample_weight, np.float64)
    if is_sparse(sample_weight):
        raise TypeError("sample_weight must be dense, got a sparse matrix; .toarray() makes it so")
    given = np.asarray(_converted(sample_weight, "sample_weight"))
    if given.dtype.kind == "c":
        raise ValueError("Complex data not supported: sample_weight must hold real numbers")
    if given.shape != (n,):
        raise ValueError(
            f"sample_weight must have one weight for each of the {n} rows of X; "
            f"sample_weight.shape == {given.shape}, expected {(n,)}"
        )
    weights: NDArray[np.float64] = np.ascontiguousarray(given, np.float64)
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if bad.size:
        raise ValueError(
            f"sample_weight must hold finite numbers of at least 0, got {weights[bad[0]]} at row "
            f"{bad[0]}"
        )
    if not weights.any():
        raise ValueError("sample_weight must hold at least one number that is not zero")
    return None if (weights == 1).all() else weights


def check_initial_centers(init: Any, dtype: np.dtype[Any], n_clusters: int, d: int) -> NDArray[Any]:
    """Initial centers that were given, [n_clusters, d], as a copy of one's own.

    Raises:
        ValueError: If they are not finite numbers in this shape.
    """
    centers: NDArray[Any] = check_array(init, dtype=dtype, copy=True, order="C")
    for axis, expected, what in ((0, n_clusters, "clusters"), (1, d, "features of the data")):
        if centers.shape[axis] != expected:
            raise ValueError(
                f"The shape of the initial centers {centers.shape} does not match the number of "
                f"{what} {expected}."
            )
    return centers
