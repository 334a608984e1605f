"""Checks of the arguments of KMeansClustering: each by itself, and those that go together."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from centroids.checks import check_choice, check_number
from centroids.clustering import InitialCenters, InitialMethod
from centroids.errors import Argument, ArgumentError, Message, WordedError, message_of
from centroids.kernels.dense_or_sparse import is_real
from centroids.kmeans._given_centers import centers_of
from centroids.kmeans.model import INITIAL_METHODS, KMeansModel


def check_weight_column(value: object) -> str | None:
    """The name of a column that an argument is, or None."""
    if value is not None and (not isinstance(value, str) or not value):
        raise ArgumentError("weight_column", "the name of a column", value, or_none=True)
    return value or None


def check_ratio(name: str, value: object) -> float:
    """The share that an argument is: a number from 0 to 1."""
    is_number = isinstance(value, (int, float, np.integer, np.floating))
    if not is_number or isinstance(value, bool) or not 0 <= float(cast("float", value)) <= 1:
        raise ArgumentError(name, "a number from 0 to 1", value)
    return float(cast("float", value))


def check_restarts(model: KMeansModel) -> None:
    """Raises a ValueError if there are restarts of what is given."""
    if model.num_restarts > 1 and isinstance(model.initial_clusters, np.ndarray):
        raise WordedError(
            Argument("num_restarts"),
            f" is {model.num_restarts}, but given initial centers are the same each time",
            remedy=Message(
                "leave it out, or let the initial centers be chosen: ",
                Argument("initial_clusters", "kmeans_plus_plus"),
            ),
        )


def check_living_clusters(model: KMeansModel) -> None:
    """Raises a ValueError if empty clusters are to be treated as another mode does."""
    if model.empty_clusters != "keep" and model.use_mini_batch:
        raise WordedError(
            Argument("empty_clusters", model.empty_clusters),
            " is for full batches (",
            Argument("use_mini_batch", False),
            "): a cluster that has no points in one mini-batch need not be empty",
            remedy=Message("for mini-batches there is ", Argument("reassignment_ratio", 0.01)),
        )
    if not model.reassignment_ratio:
        return
    if not model.use_mini_batch:
        raise WordedError(
            Argument("reassignment_ratio"),
            " is for mini-batches (",
            Argument("use_mini_batch", True),
            ")",
            remedy=Message("for full batches there is ", Argument("empty_clusters", "relocate")),
        )
    if model.mini_batch_steps_per_iteration > 1:
        raise WordedError(
            Argument("reassignment_ratio"),
            " compares what clusters have had in all steps, but with ",
            Argument("mini_batch_steps_per_iteration", model.mini_batch_steps_per_iteration),
            " they are counted anew in each iteration",
            remedy=Message(
                "choose ",
                Argument("reassignment_ratio", 0),
                " or ",
                Argument("mini_batch_steps_per_iteration", 1),
            ),
        )


def check_tolerance(name: str, value: object) -> float | None:
    """The tolerance that an argument is: a finite number of at least 0, or None."""
    if value is None:
        return None
    tolerance = check_number(name, value, 0, ", or None")
    if tolerance == np.inf:
        raise ArgumentError(name, "finite", value, or_none=True)
    return tolerance


def check_loss_tolerance(model: KMeansModel) -> None:
    """Raises a ValueError if a loss_tolerance does not go with the other arguments."""
    if model.loss_tolerance is None:
        return
    if model.use_mini_batch:
        raise ValueError(
            "loss_tolerance compares the losses of whole passes, so it needs use_mini_batch=False; "
            "bound mini-batches by steps or by the epochs of their input"
        )
    if model.relative_tolerance is not None:
        raise ValueError(
            f"relative_tolerance is {model.relative_tolerance} and loss_tolerance is "
            f"{model.loss_tolerance}, but they are two rules for one thing; give one of them"
        )


def check_initial_clusters(value: object) -> InitialCenters | NDArray[Any]:
    """The initial centers that an argument is, or how they are found."""
    if isinstance(value, str):
        method: InitialMethod = check_choice("initial_clusters", value, INITIAL_METHODS)
        return method
    if callable(value):
        return cast("InitialCenters", value)
    allowed = (
        f"initial_clusters must be {', '.join(map(repr, INITIAL_METHODS))}, a callable, or an "
        "array of numbers of shape [k, d]"
    )
    try:
        # A copy: later changes of the caller's array are not ours.
        array = centers_of(value, "the centers").copy()
    except (TypeError, ValueError) as error:
        raise WordedError(f"{allowed}; ", message_of(error)) from None
    if not is_real(array.dtype) or array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{allowed}; got {type(value).__name__} of shape {array.shape} and type {array.dtype}"
        )
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(
            f"initial_clusters must be finite, got {array[row, column]} at row {row}, "
            f"column {column}"
        )
    return array
