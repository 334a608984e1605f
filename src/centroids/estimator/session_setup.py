"""What happens before the first step: looking ahead in the input, and checking a checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from centroids.checkpoints.checkpoint import UNKNOWN_POSITION, Checkpoint
from centroids.errors import Argument, Message, WordedError
from centroids.estimator._spec import EstimatorSpec

if TYPE_CHECKING:
    from centroids.inputs.batch import Position

logger = logging.getLogger(__name__)


def position_to_resume(restored: Checkpoint | None, restart_input: bool) -> Position | None:
    """Where the input of a training run should begin; None: at its beginning."""
    if restored is None or restart_input or restored.input_position is None:
        return None
    if restored.input_position == UNKNOWN_POSITION:
        logger.warning(
            "The last run stopped within an input that cannot tell its position (a generator, "
            "a DataLoader): this one begins at the beginning of its input."
        )
        return None
    return dict(restored.input_position)


def check_restored(spec: EstimatorSpec, restored: Checkpoint, with_variables: bool) -> None:
    """Checks that a checkpoint belongs to a model.

    Args:
        spec: The model.
        restored: The checkpoint.
        with_variables: Whether to compare the variables too, not only the identity.

    Raises:
        ValueError: If a setting, a name or a shape differs; it names both values.
    """
    source = f"the checkpoint {restored.path}"
    for key in sorted({*spec.identity, *restored.identity}):
        here, there = spec.identity.get(key), restored.identity.get(key)
        if here != there:
            raise WordedError(
                f"{source} belongs to another model: {key} is {_show(there)} there and "
                f"{_show(here)} here",
                remedy=Message("use the same settings or another ", Argument("model_dir")),
            )
    if not with_variables:
        return
    saved = {name: value for name, value in restored.variables.items() if name != "global_step"}
    if spec.check_variables is not None:
        spec.check_variables(saved)
    if set(saved) != set(spec.variables):
        raise WordedError(
            f"{source} belongs to another model: it has the variables {_names(saved)}, but the "
            f"model has {_names(spec.variables)}",
            remedy=Message("use another ", Argument("model_dir")),
        )
    for name, initial in spec.variables.items():
        theirs, ours = saved[name].shape, np.shape(initial)
        if theirs != ours:
            raise WordedError(
                f"{source} belongs to another model: {name} has the shape {theirs} there and "
                f"{ours} here",
                remedy=Message(
                    "use the same settings and inputs of the same width, or another ",
                    Argument("model_dir"),
                ),
            )


def check_order(trained: tuple[str, ...] | None, given: tuple[str, ...] | None) -> None:
    """Raises a ValueError if an input has the columns of the model in another order."""
    if trained is None or given is None or trained == given or sorted(trained) != sorted(given):
        return
    place = next(i for i, names in enumerate(zip(trained, given, strict=True)) if len({*names}) > 1)
    raise ValueError(
        f"the columns of the input are those that the model was trained with, in another order: "
        f"column {place} is {given[place]!r}, but was {trained[place]!r}. A DataFrame keeps the "
        "order of its columns, while the columns of a dict, as pandas_input_fn makes it, are "
        "joined in the order of their sorted names. Give the points as in training, with the "
        f"columns {_shorten(trained)}"
    )


def _shorten(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")


def _show(value: str | None) -> str:
    return "not set" if value is None else repr(value)


def _names(variables: Mapping[str, NDArray[Any]]) -> str:
    return ", ".join(sorted(variables)) or "none"
