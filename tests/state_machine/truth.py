"""What is true: plain loops over `centroids.clustering`, and what a model folder should hold.

Nothing here knows the Estimator. A state is named by its history: the input that chose its initial
centers and the batches that it was trained on since. Its variables follow from the history alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from centroids import clustering, kernels

Variables = dict[str, np.ndarray]


@dataclass(frozen=True)
class Input:
    """An input of the tests: what the Estimator gets, and the batches that it stands for.

    `kind` says how it can be resumed: "positions": at its next batch; "generator": not at all;
    "array": it is one batch, asked for again and again.
    """

    name: str
    kind: Literal["positions", "generator", "array"]
    input_fn: Callable[[], Any]
    batches: tuple[Any, ...]

    @property
    def length(self) -> float:
        """The number of batches; an array is asked for forever."""
        return math.inf if self.kind == "array" else len(self.batches)


@dataclass(frozen=True)
class History:
    """The input that a model was initialised from, and the (input, batch) of each of its steps.

    `converged_at` is the number of steps when the tolerance last ended a run.
    """

    started_from: Input
    steps: tuple[tuple[Input, int], ...] = ()
    converged_at: int = 0

    @property
    def has_converged(self) -> bool:
        """Whether the last step ended a run by the tolerance."""
        return 0 < self.converged_at == len(self.steps)

    def converge(self) -> History:
        """Ended by the tolerance: the next training compares no loss with those of this one."""
        return replace(self, converged_at=len(self.steps))

    def after(self, source: Input, index: int) -> History:
        """One step more."""
        return replace(self, steps=(*self.steps, (source, index)))


@dataclass
class Truth:
    """The variables after each history, for one way to train."""

    arguments: dict[str, Any]
    known: dict[Any, Variables] = field(default_factory=dict)

    def variables(self, history: History) -> Variables:
        """All variables of the model with this history."""
        key = (
            history.started_from.name,
            tuple((source.name, index) for source, index in history.steps),
        )
        if key not in self.known:
            self.known[key] = self._compute(history)
        variables = self.known[key]
        return (
            variables | {"previous_loss": np.array(math.nan)}
            if history.has_converged
            else variables
        )

    def _compute(self, history: History) -> Variables:
        if not history.steps:
            return self._initialize(history.started_from)
        before = self.variables(replace(history, steps=history.steps[:-1]))
        source, index = history.steps[-1]
        state = clustering.ClusterState(
            before["clusters"],
            before["cluster_counts"],
            before["clusters_updated"],
            int(before["update_in_steps"]),
        )
        batch = kernels.assign(
            source.batches[index], state.centers, cosine=self._cosine, update=True
        )
        if not self.arguments["use_mini_batch"]:
            state = clustering.full_batch_update(state, batch, cosine=self._cosine)
        elif self._steps_per_iteration == 1:
            state = clustering.mini_batch_update(state, batch)
        else:
            state = clustering.multi_step_update(
                state, batch, self._steps_per_iteration, cosine=self._cosine
            )
        return _variables(state, batch.inertia, len(history.steps))

    def _initialize(self, source: Input) -> Variables:
        def batches() -> Iterator[Any]:
            while True:
                yield from source.batches
                if source.kind != "array":
                    return

        centers = clustering.choose_initial_centers(
            batches(),
            self.arguments["num_clusters"],
            self.arguments["initial_clusters"],
            seed=self.arguments["random_seed"],
            cosine=self._cosine,
            whole_input_in_batch=not self.arguments["use_mini_batch"],
        )
        steps = self._steps_per_iteration if self.arguments["use_mini_batch"] else 1
        return _variables(clustering.initial_state(centers, steps), math.nan, 0)

    def tolerance_reached(self, history: History) -> bool:
        """Whether the loss of the last step is so near to that of the one before."""
        tolerance = self.arguments.get("relative_tolerance")
        if tolerance is None:
            return False
        before = replace(history, steps=history.steps[:-1])
        if before.has_converged:
            return False
        loss, previous = (
            float(self.variables(each)["previous_loss"]) for each in (history, before)
        )
        return abs(loss - previous) / (1 + abs(previous)) < tolerance

    @property
    def _cosine(self) -> bool:
        return self.arguments["distance_metric"] == "cosine"

    @property
    def _steps_per_iteration(self) -> int:
        return int(self.arguments["mini_batch_steps_per_iteration"])


def _variables(state: clustering.ClusterState, loss: float, step: int) -> Variables:
    return {
        "clusters": state.centers,
        "cluster_counts": state.counts,
        "clusters_updated": state.updated_centers,
        "update_in_steps": np.array(state.steps_in_iteration, np.int64),
        "initialized": np.array(True),
        "previous_loss": np.array(loss, np.float64),
        "global_step": np.array(step, np.int64),
    }


@dataclass(frozen=True)
class Place:
    """After how many batches of which input a run stood."""

    source: Input
    offset: int


@dataclass(frozen=True)
class Saved:
    """A checkpoint. `place` is None where the next training may begin any input."""

    history: History
    place: Place | None
    finished: bool
    whole: bool = True
    kept: bool = False  # for good: it was there when no list told what may go

    @property
    def step(self) -> int:
        return len(self.history.steps)


class Refused(Exception):
    """The folder's position is not one of the given input."""


class AllDamaged(Exception):
    """There are checkpoints, and none is whole."""


@dataclass(frozen=True)
class Folder:
    """A model folder: its checkpoints, the newest last, and whether there is a list of them."""

    saved: tuple[Saved, ...] = ()
    listed: bool = False

    def newest(self) -> Saved | None:
        """The newest whole checkpoint.

        Raises:
            AllDamaged: If there are only damaged ones.
        """
        whole = [entry for entry in self.saved if entry.whole]
        if self.saved and not whole:
            raise AllDamaged
        return whole[-1] if whole else None

    def add(self, entry: Saved, keep: int) -> Folder:
        """With one more checkpoint, which replaces that of the same step, and not too many."""
        others = [
            other if self.listed else replace(other, kept=True)
            for other in self.saved
            if other.step != entry.step
        ]
        entries = [*others, replace(entry, kept=False)]
        rotating = [entry for entry in entries if not entry.kept]
        gone = rotating[:-keep]
        return Folder(tuple(entry for entry in entries if entry not in gone), listed=True)

    def damage(self, index: int) -> Folder:
        """With a damaged checkpoint."""
        entries = list(self.saved)
        entries[index] = replace(entries[index], whole=False)
        return Folder(tuple(entries), self.listed)

    def delete(self, index: int) -> Folder:
        """Without the file of a checkpoint, which is missed only if it is listed."""
        if self.listed:
            return self.damage(index)
        return Folder(self.saved[:index] + self.saved[index + 1 :], listed=False)


@dataclass(frozen=True)
class Moment:
    """When something may happen to a run, and what its folder holds then."""

    what: Literal["before_save", "after_save", "after_run"]
    folder: Folder
    now: Saved  # what is saved if the training ends here


def train(
    truth: Truth,
    folder: Folder,
    source: Input,
    *,
    steps: int | None,
    max_steps: int | None,
    restart_input: bool,
    save_every: int,
    keep: int,
) -> tuple[Folder, list[Moment]]:
    """What a call of train makes of a folder, and the moments on its way.

    Raises:
        Refused: If the input is not the one that the folder stands in.
        AllDamaged: If the folder has only damaged checkpoints.
    """
    restored = folder.newest()
    if max_steps is not None and restored is not None and max_steps <= restored.step:
        return folder, []
    place = None if restored is None or restart_input else restored.place
    if place is not None and place.source is not source:
        raise Refused
    offset = 0 if place is None else place.offset
    if restored is not None and restored.finished and offset == source.length:
        offset = 0
    now = restored or Saved(History(source), None, finished=False)
    last = max_steps if steps is None else now.step + steps
    moments: list[Moment] = []

    def save() -> None:
        nonlocal folder
        moments.append(Moment("before_save", folder, now))
        folder = folder.add(now, keep)
        moments.append(Moment("after_save", folder, now))

    save()
    saved_at = now.step
    while True:
        if offset == source.length:
            now = replace(now, place=None, finished=True)
            break
        index = 0 if source.kind == "array" else offset
        offset += 1
        place_after = Place(source, offset) if source.kind == "positions" else None
        now = Saved(now.history.after(source, index), place_after, finished=False)
        if truth.tolerance_reached(now.history):
            now = replace(now, history=now.history.converge(), finished=True)
        if now.step == last:
            now = replace(now, finished=True)  # the checkpoint of the last step says that it is
        if now.step >= saved_at + save_every:
            save()
            saved_at = now.step
        moments.append(Moment("after_run", folder, now))
        if now.finished:
            break
    if now.step != saved_at:
        save()
    return folder.add(now, keep), moments
