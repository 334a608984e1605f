"""When a run of k-means stops, and what it says at its end."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.estimator import (
    Coordinator,
    Session,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from centroids.kernels import in_usual_float_mode
from centroids.kmeans.variables import CLUSTERS, COUNTS, PREVIOUS_LOSS, num_empty_clusters

logger = logging.getLogger(__name__)


class _StoppingHook(SessionRunHook):
    """Stops a training run once a rule over two successive losses says so.

    A run that was interrupted continues comparing with the loss of its last step, which is in
    the checkpoint. A converged run is over: it leaves NaN there, and the next run compares only
    from its own second step on.
    """

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Takes up the loss of the last step."""
        del coord
        self._previous = float(session.variables[PREVIOUS_LOSS])
        self._compares_with_earlier_call = True
        self._centers = session.variables[CLUSTERS]

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """Asks for the loss of the step."""
        self._centers = run_context.session.variables[CLUSTERS]
        return SessionRunArgs("loss")

    @in_usual_float_mode
    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Compares it with that of the step before."""
        loss, previous = float(run_values.results), self._previous
        self._previous = loss
        variables = run_context.session.variables
        # Before the first step the previous loss is NaN.
        if not np.isnan(previous) and self._converged(loss, previous, variables[CLUSTERS]):
            variables[PREVIOUS_LOSS] = np.array(np.nan, np.float64)
            run_context.request_stop()
        self._compares_with_earlier_call = False

    @abstractmethod
    def _converged(self, loss: float, previous: float, centers: NDArray[Any]) -> bool:
        """Whether this step ends training; `centers` is what it made of `self._centers`."""


class RelativeToleranceHook(_StoppingHook):
    """Stops when |loss - previous| / (1 + |previous|) < tolerance.

    Args:
        tolerance: At least 0.
        full_batch: Whether batches are the whole input: then a step that changes neither the loss
            nor a center has converged, whatever the tolerance.
    """

    def __init__(self, tolerance: float, *, full_batch: bool) -> None:
        self._tolerance, self._full_batch = tolerance, full_batch

    def _converged(self, loss: float, previous: float, centers: NDArray[Any]) -> bool:
        if abs(loss - previous) / (1 + abs(previous)) < self._tolerance:
            return True
        return self._full_batch and loss == previous and np.array_equal(centers, self._centers)


class LossToleranceHook(_StoppingHook):
    """Stops when previous - loss <= tolerance * previous, for full batches.

    This depends neither on the units of the data nor on its origin. The loss of full batches never
    rises but by rounding, so one that does not fall has converged. In the first step of a call, a
    loss that has risen by more than the tolerance belongs to other points.

    Args:
        tolerance: At least 0.
    """

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance

    def _converged(self, loss: float, previous: float, centers: NDArray[Any]) -> bool:
        del centers
        fall = previous - loss
        if self._compares_with_earlier_call:
            fall = abs(fall)
        return fall <= self._tolerance * previous


class EmptyClustersHook(SessionRunHook):
    """Says in the log how many clusters a training run has left empty, once at its end.

    Args:
        params: See `num_empty_clusters`.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Notes where training starts."""
        del coord
        self._first_step = session.global_step + 1

    def end(self, session: Session) -> None:
        """Warns if there was a step and a cluster is empty."""
        if session.global_step < self._first_step:
            return
        empty = num_empty_clusters(session.variables, self._params)
        if empty:
            count = len(session.variables[COUNTS])
            logger.warning("%s", describe_empty_clusters(empty, count, self._params))


def describe_empty_clusters(num_empty: int, num_clusters: int, params: Mapping[str, Any]) -> str:
    """What to say of a model that has empty clusters.

    >>> describe_empty_clusters(1, 4, {"use_mini_batch": False, "empty_clusters": "relocate"})
    '1 of 4 clusters is empty; try fewer clusters, or a new model with other initial centers'
    """
    living = ""
    if not params["use_mini_batch"] and params.get("empty_clusters") != "relocate":
        living = ", or empty_clusters='relocate'"
    elif params["use_mini_batch"] and params["mini_batch_steps_per_iteration"] == 1:
        living = "" if params.get("reassignment_ratio") else ", or reassignment_ratio=0.01"
    return (
        f"{num_empty} of {num_clusters} clusters {'is' if num_empty == 1 else 'are'} empty; try "
        f"fewer clusters, or a new model with other initial centers{living}"
    )
