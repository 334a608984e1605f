"""What a training run came to: its loss, why it stopped, and the clusters that stayed empty."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import SessionRunArgs, SessionRunHook, ValidationHook
from centroids.cli.numbers import show_number
from centroids.cli.settings import Settings
from centroids.kmeans.model import TOTAL_WEIGHT
from centroids.kmeans.summaries import CLUSTER_SIZES
from centroids.kmeans.variables import COUNTS, has_converged

_LAST_BATCHES = 100


class Outcome(SessionRunHook):
    """Gathers it during a training run.

    Args:
        settings: Those of the training.
        ends_at_step: The step at which it ends at the latest; None: at the end of its input.
        warn: Called with the Outcome after the first full-batch step of a run that continues with a
            model, if most of its clusters get no points.
        validation: May end the training; None: there is none.

    Attributes:
        steps: The steps so far.
        has_points: [k], which clusters had points: in the last step for full batches, in any step
            of this call for mini-batches.
    """

    def __init__(
        self,
        settings: Settings,
        ends_at_step: int | None,
        warn: Callable[[Outcome], None],
        validation: ValidationHook | None = None,
    ) -> None:
        self._validation = validation
        self._settings, self._ends_at_step, self._warn = settings, ends_at_step, warn
        self._full_batch = not settings.use_mini_batch
        self._cumulative = not self._full_batch and settings.mini_batch_steps_per_iteration == 1
        self._weighted = settings.weight_column is not None
        self._args = SessionRunArgs(
            {
                "loss": "loss",
                **({} if self._cumulative else {"sizes": CLUSTER_SIZES}),
                **({"weight": TOTAL_WEIGHT} if self._weighted else {}),
            }
        )
        # The losses of batches, and the rows of each or their weight.
        self._losses: collections.deque[tuple[float, float]] = collections.deque(
            maxlen=_LAST_BATCHES
        )
        self.steps = 0
        self.has_points = np.ones(0, np.bool_)

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Notes where the training begins."""
        self._session, self._before = session, session.global_step
        self._counts: NDArray[np.int64] = np.array(session.variables[COUNTS])
        self._num_examples = session.num_examples
        self.has_points = np.zeros(len(self._counts), np.bool_)

    def before_run(self, run_context: Any) -> SessionRunArgs:
        """Asks for the loss and, where the counts of the model do not show them, for the sizes."""
        return self._args

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Takes a step into account."""
        self.steps += 1
        rows = self._session.num_examples - self._num_examples
        self._num_examples += rows
        results = run_values.results
        self._losses.append((float(results["loss"]), results.get("weight", rows)))
        if self._cumulative:
            return
        sizes = results["sizes"]
        self.has_points = sizes > 0 if self._full_batch else self.has_points | (sizes > 0)
        if self._full_batch and self.steps == 1 and self._before and self.most_are_empty:
            self._warn(self)

    def end(self, session: Any) -> None:
        """Compares the counts with those before."""
        if self._cumulative:
            self.has_points = session.variables[COUNTS] > self._counts
        elif self._full_batch and self.steps:  # after clusters were relocated
            self.has_points = session.variables[COUNTS] > 0

    @property
    def num_empty(self) -> int:
        """How many clusters had no point; see `has_points`."""
        return int((~self.has_points).sum())

    @property
    def most_are_empty(self) -> bool:
        """Whether more than half of the clusters had no point."""
        return 2 * self.num_empty > len(self.has_points)

    def describe_loss(self, metric: str) -> str:
        """The loss of the last step, or of the last mini-batches."""
        distances = "squared distances" if metric == "squared_euclidean" else "cosine distances"
        loss = sum(loss for loss, _ in self._losses)
        rows = sum(rows for _, rows in self._losses) or 1
        if self._full_batch:
            loss, rows = self._losses[-1]
            unit = "unit of weight" if self._weighted else "point"
            return (
                f"Loss {show_number(loss)} (sum of {distances}; {show_number(loss / (rows or 1))} "
                f"per {unit}), measured before the last update."
            )
        count = len(self._losses)
        batches = "mini-batch" if count == 1 else f"{count:,} mini-batches"
        return f"Loss {show_number(loss / rows)} (mean of {distances} over the last {batches})."

    def to_dict(self) -> dict[str, Any]:
        """All of it, for programs."""
        losses = list(self._losses)[-1:] if self._full_batch else list(self._losses)
        loss, rows = (sum(part) for part in zip(*losses, strict=True)) if losses else (None, 0)
        return {
            "steps": self.steps,
            "global_step": self._session.global_step,
            "loss": losses[-1][0] if losses else None,
            "mean_distance": loss / rows if rows and loss is not None else None,
            "ended_by": self.ended_by,
            "num_empty_clusters": self.num_empty if self.steps else None,
        }

    @property
    def ended_by(self) -> str:
        """What ended the training, in one word for programs."""
        if not self.steps:
            return "nothing_to_do"
        if has_converged(self._session.variables):
            return "convergence"
        if self._validation is not None and self._validation.stopped:
            return "validation"
        if self._ends_at_step == self._session.global_step:
            return "max_steps"
        return "end_of_input"

    def describe_end(self, epochs: int) -> str:
        """Why the training stopped."""
        if has_converged(self._session.variables):
            if not self._settings.relative_tolerance:
                return "Converged: the loss no longer falls."
            percent = show_number(100 * self._settings.relative_tolerance)
            return f"Converged: the last step lowered the loss by no more than {percent}%."
        if self._validation is not None and self._validation.stopped:
            return "Stopped by --validation: its mean distance no longer falls."
        if self._ends_at_step == self._session.global_step:
            return "Stopped at its limit of steps; --steps N trains N more."
        passes = "a pass" if epochs == 1 else f"{epochs:,} passes"
        return f"Stopped at the end of {passes} over the file; --epochs N makes more."

    def describe_empty(self) -> str:
        """How many clusters are empty, with what can be done about it."""
        count, all_of_them = self.num_empty, len(self.has_points)
        if not count:
            return "No cluster is empty."
        of_all = f"{count:,} of {all_of_them:,} clusters"
        if self._full_batch:
            return f"{of_all} {'is' if count == 1 else 'are'} empty."
        return f"{of_all} received no points in this run."
