"""RunConfig: where a run writes, how often, and what it keeps."""

from __future__ import annotations

import dataclasses
import numbers
import operator
import os
from dataclasses import dataclass
from typing import Any, ClassVar, Final

DEFAULT_SAVE_CHECKPOINTS_SECS: Final = 600

_UNSET: Any = object()


@dataclass(frozen=True)
class RunConfig:
    """Settings of an Estimator's runs, with the fields and defaults of r1.4.

    Attributes:
        model_dir: The folder for checkpoints and event files, or None.
        tf_random_seed: A seed that models may use; the runtime itself draws nothing.
        save_summary_steps: Write summaries every this many steps; None or 0 for never.
        save_checkpoints_steps: Save a checkpoint every this many steps.
        save_checkpoints_secs: Save a checkpoint every this many seconds. 600 when neither of the
            two is given; None in both (or 0) saves no checkpoint at all.
        session_config: Kept for the r1.4 signature, unused.
        keep_checkpoint_max: How many of the latest checkpoints to keep; None or 0 keeps all.
        keep_checkpoint_every_n_hours: Of the checkpoints that would be deleted, one is kept for
            good each time this many hours have passed.
        log_step_count_steps: Log loss and steps per second every this many steps; None for never.

    Raises:
        ValueError: If a value is out of its range, or both save_checkpoints_* are given.

    >>> RunConfig(save_checkpoints_steps=20).save_checkpoints_secs is None
    True
    >>> RunConfig().replace(model_dir="model").model_dir
    'model'
    """

    model_dir: str | None = None
    tf_random_seed: int | None = 1
    save_summary_steps: int | None = 100
    save_checkpoints_steps: int | None = _UNSET
    save_checkpoints_secs: float | None = _UNSET
    session_config: Any = None
    keep_checkpoint_max: int | None = 5
    keep_checkpoint_every_n_hours: float = 10000
    log_step_count_steps: int | None = 100

    # One process does all the work, so what r1.4 reads from TF_CONFIG is constant.
    is_chief: ClassVar[bool] = True
    task_type: ClassVar[str] = "worker"
    task_id: ClassVar[int] = 0
    master: ClassVar[str] = ""
    evaluation_master: ClassVar[str] = ""
    num_ps_replicas: ClassVar[int] = 0
    num_worker_replicas: ClassVar[int] = 1

    def __post_init__(self) -> None:
        steps, seconds = self.save_checkpoints_steps, self.save_checkpoints_secs
        if steps is _UNSET and seconds is _UNSET:
            steps, seconds = None, DEFAULT_SAVE_CHECKPOINTS_SECS
        elif seconds is _UNSET:
            seconds = None
        elif steps is _UNSET:
            steps = None
        if steps is not None and seconds is not None:
            raise ValueError(
                "save_checkpoints_steps and save_checkpoints_secs cannot be both set, but they are "
                f"{steps} and {seconds}; set one of them"
            )
        object.__setattr__(self, "save_checkpoints_steps", steps)
        object.__setattr__(self, "save_checkpoints_secs", seconds)
        if self.model_dir is not None:
            object.__setattr__(self, "model_dir", _path(self.model_dir))
        for name in ("save_summary_steps", "save_checkpoints_steps", "keep_checkpoint_max"):
            self._check(name, minimum=0, whole=True)
        self._check("tf_random_seed", minimum=None, whole=True)
        self._check("log_step_count_steps", minimum=1, whole=True)
        self._check("save_checkpoints_secs", minimum=0, whole=False)
        self._check("keep_checkpoint_every_n_hours", minimum=0, whole=False)
        hours: Any = self.keep_checkpoint_every_n_hours
        if hours is None or hours == 0:
            raise ValueError(f"keep_checkpoint_every_n_hours must be > 0, not {hours!r}")

    def replace(self, **changes: Any) -> RunConfig:
        """Returns a copy with other values.

        Setting one of save_checkpoints_steps and save_checkpoints_secs unsets the other.

        Args:
            **changes: New values by field name.

        Raises:
            ValueError: If a name is no field, or a value is out of its range.
        """
        names = [entry.name for entry in dataclasses.fields(self)]
        unknown = sorted(set(changes) - set(names))
        if unknown:
            raise ValueError(
                f"Replacing {', '.join(unknown)} is not supported; RunConfig has {', '.join(names)}"
            )
        values = {name: getattr(self, name) for name in names}
        pair = ("save_checkpoints_steps", "save_checkpoints_secs")
        for name, other in (pair, pair[::-1]):
            if changes.get(name) is not None and other not in changes:
                values[other] = None
        return RunConfig(**(values | changes))

    def _check(self, name: str, minimum: int | None, whole: bool) -> None:
        value = getattr(self, name)
        if value is None:
            return
        kind = "an integer" if whole else "a number"
        bound = "" if minimum is None else f" >= {minimum}"
        try:
            if isinstance(value, bool):
                raise TypeError
            if not whole and not isinstance(value, numbers.Real):
                raise TypeError
            number = operator.index(value) if whole else float(value)
            allowed = minimum is None or number >= minimum
        except TypeError:
            allowed = False
        if not allowed:
            raise ValueError(f"{name} must be {kind}{bound} or None, not {value!r}")


def _path(model_dir: Any) -> str:
    try:
        path = os.fspath(model_dir)
    except TypeError:
        path = None
    if not isinstance(path, str) or not path:
        raise ValueError(f"model_dir must be a non-empty path or None, not {model_dir!r}")
    return path
