"""RunConfig: where a run writes, how often, and what it keeps."""

from __future__ import annotations

import copy
import dataclasses
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self

from centroids.checks import check_bool, check_integer, check_number
from centroids.estimator._cluster import TF_CONFIG, ClusterSpec, Task, task_of_environment

logger = logging.getLogger(__name__)

DEFAULT_SAVE_CHECKPOINTS_SECS: Final = 600

_UNSET: Any = object()

# The lowest value of each field that is an integer or None; None: any.
_INTEGERS = {
    "tf_random_seed": None,
    "save_summary_steps": 0,
    "save_checkpoints_steps": 0,
    "keep_checkpoint_max": 0,
    "log_step_count_steps": 1,
}


@dataclass(frozen=True)
class RunConfig:
    """Settings of an Estimator's runs, with the fields and defaults of r1.4, and one more.

    What r1.4 reads from the environment variable TF_CONFIG is read here too, when the object is
    made: `task_type`, `cluster_spec` and their like say what it holds. But one process trains a
    model: in a cluster of several tasks `train` is an error.

    A subclass may have fields or attributes of its own; `replace` and Estimator keep them.

    Attributes:
        model_dir: The folder for checkpoints and event files, or None.
        tf_random_seed: A seed that models may use; the runtime itself draws nothing.
        save_summary_steps: Write summaries each time this many steps are done; None or 0: never.
        save_checkpoints_steps: Save a checkpoint each time this many steps are done.
        save_checkpoints_secs: Save a checkpoint each time this many seconds have passed. 600 if
            neither of the two is given; None in both (or 0) saves no checkpoint at all.
        session_config: Kept for the r1.4 signature, unused.
        keep_checkpoint_max: How many of the latest checkpoints to keep; None or 0 keeps all.
        keep_checkpoint_every_n_hours: Of the checkpoints that would be deleted, one is kept for
            good each time this many hours have passed; None keeps none for good.
        log_step_count_steps: Log loss and steps per second each time this many steps are done;
            None: never.
        asynchronous_checkpoints: Write the checkpoints that are due between the first step and the
            last in a background thread: a step then waits for a copy of the variables, not for the
            disk. Not in r1.4, and keyword-only; see CheckpointSaverHook.
        train_distribute: Where collections of an engine are clustered, such as
            `centroids.distribute.Dask(client)`; None takes the engine's current client. Not in
            r1.4, and keyword-only.

    Raises:
        ValueError: If a value is out of its range, both save_checkpoints_* are given, or TF_CONFIG
            is wrong.
        TypeError: If the service in TF_CONFIG is not a dict.

    >>> RunConfig(save_checkpoints_steps=20).save_checkpoints_secs is None
    True
    >>> RunConfig().replace(model_dir="model").model_dir
    'model'
    """

    model_dir: str | None = None
    tf_random_seed: int | None = None
    save_summary_steps: int | None = 100
    save_checkpoints_steps: int | None = _UNSET
    save_checkpoints_secs: float | None = _UNSET
    session_config: Any = None
    keep_checkpoint_max: int | None = 5
    keep_checkpoint_every_n_hours: float | None = 10000
    log_step_count_steps: int | None = 100
    asynchronous_checkpoints: bool = field(default=False, kw_only=True)
    train_distribute: Any = field(default=None, kw_only=True)

    # What TF_CONFIG said when the object was made; not a field, because `replace` must not change
    # it.
    _task: ClassVar[Task] = Task()

    def __post_init__(self) -> None:
        steps, seconds = self.save_checkpoints_steps, self.save_checkpoints_secs
        if steps is _UNSET and seconds is _UNSET:
            steps, seconds = None, DEFAULT_SAVE_CHECKPOINTS_SECS
        elif seconds is _UNSET:
            seconds = None
        elif steps is _UNSET:
            steps = None
        object.__setattr__(self, "save_checkpoints_steps", steps)
        object.__setattr__(self, "save_checkpoints_secs", seconds)
        self._check_fields()
        task = task_of_environment()
        if os.environ.get(TF_CONFIG):
            logger.info("%s is set: %s", TF_CONFIG, task)
        object.__setattr__(self, "_task", task)

    def _check_fields(self) -> None:
        steps, seconds = self.save_checkpoints_steps, self.save_checkpoints_secs
        if steps is not None and seconds is not None:
            raise ValueError(
                "save_checkpoints_steps and save_checkpoints_secs cannot be both set, but they are "
                f"{steps} and {seconds}; set one of them"
            )
        if self.model_dir is not None:
            object.__setattr__(self, "model_dir", _path(self.model_dir))
        for name, lowest in _INTEGERS.items():
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), lowest, ", or None")
        for name in ("save_checkpoints_secs", "keep_checkpoint_every_n_hours"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), 0, ", or None")
        if self.keep_checkpoint_every_n_hours == 0:
            raise ValueError("keep_checkpoint_every_n_hours must be > 0 or None, not 0")
        check_bool("asynchronous_checkpoints", self.asynchronous_checkpoints)

    @property
    def cluster_spec(self) -> ClusterSpec:
        """The tasks of the cluster; empty when there is none."""
        return self._task.cluster_spec

    @property
    def service(self) -> Mapping[str, Any] | None:
        """The service in TF_CONFIG, or None."""
        return self._task.service

    @property
    def is_chief(self) -> bool:
        """Whether this process saves the checkpoints."""
        return self._task.is_chief

    @property
    def task_type(self) -> str:
        """The job of this process."""
        return self._task.task_type

    @property
    def task_id(self) -> int:
        """The number of this process within its job."""
        return self._task.task_id

    @property
    def master(self) -> str:
        """The address of this task; "" when there is no cluster."""
        return self._task.master

    @property
    def evaluation_master(self) -> str:
        """Always ""."""
        return ""

    @property
    def num_ps_replicas(self) -> int:
        """The number of parameter servers."""
        return self._task.num_ps_replicas

    @property
    def num_worker_replicas(self) -> int:
        """The number of tasks that train."""
        return self._task.num_worker_replicas

    def check_may_train(self) -> None:
        """Checks that this process is not a task of a larger cluster.

        Raises:
            ValueError: If it is.
        """
        self._task.check_may_train()

    def replace(self, **changes: Any) -> Self:
        """Returns a copy with other values, of the same class and with the same attributes.

        Setting one of save_checkpoints_steps and save_checkpoints_secs unsets the other.

        Args:
            **changes: New values by field name.

        Raises:
            ValueError: If a name is not a field, or a value is out of its range.
        """
        names = [entry.name for entry in dataclasses.fields(self)]
        unknown = sorted(set(changes) - set(names))
        if unknown:
            raise ValueError(
                f"Replacing {', '.join(unknown)} is not supported; RunConfig has {', '.join(names)}"
            )
        pair = ("save_checkpoints_steps", "save_checkpoints_secs")
        for name, other in (pair, pair[::-1]):
            if changes.get(name) is not None and other not in changes:
                changes = {**changes, other: None}
        # As r1.4 does it: a subclass may have a constructor that takes other arguments.
        replaced = copy.copy(self)
        for name, value in changes.items():
            object.__setattr__(replaced, name, value)
        replaced._check_fields()
        return replaced


def _path(model_dir: Any) -> str:
    try:
        path = os.fspath(model_dir)
    except TypeError:
        path = None
    if not isinstance(path, str) or not path:
        raise ValueError(f"model_dir must be a non-empty path or None, not {model_dir!r}")
    return path
