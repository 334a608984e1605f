"""Warm starts: variables of another model as the initial values of a new one."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.checkpoints.checkpoint import Checkpoint
from centroids.estimator._spec import EstimatorSpec, find_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WarmStartSettings:
    """Which variables of which checkpoint a new model begins with.

    Attributes:
        ckpt_to_initialize_from: A model folder, whose latest checkpoint counts, or the path of a
            checkpoint.
        vars_to_warm_start: A regular expression, matched from the beginning of the names of the
            model's weights (for k-means, `clusters`); or a list of such expressions for the names
            of all variables, `global_step` among them. None takes nothing.
        var_name_to_vocab_info: Must be empty: models here have no vocabularies.
        var_name_to_prev_var_name: The names of variables in the checkpoint, if they differ.

    Raises:
        ValueError: If there is no checkpoint to begin with, or there are vocabularies.
        TypeError: If an attribute has a wrong type.
    """

    ckpt_to_initialize_from: str | os.PathLike[str]
    vars_to_warm_start: str | Sequence[str] | None = ".*"
    var_name_to_vocab_info: Mapping[str, Any] | None = None
    var_name_to_prev_var_name: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if not self.ckpt_to_initialize_from:
            raise ValueError(
                "ckpt_to_initialize_from must be a model folder or a checkpoint, not "
                f"{self.ckpt_to_initialize_from!r}"
            )
        object.__setattr__(self, "ckpt_to_initialize_from", os.fspath(self.ckpt_to_initialize_from))
        if self.var_name_to_vocab_info:
            raise ValueError(
                "var_name_to_vocab_info must be empty, as models here have no vocabularies, not "
                f"{self.var_name_to_vocab_info!r}"
            )
        wanted = self.vars_to_warm_start
        patterns = [wanted] if isinstance(wanted, str) else list(wanted or ())
        if not all(isinstance(pattern, str) for pattern in patterns):
            raise TypeError(
                "vars_to_warm_start must be a regular expression, a list of them, or None, not "
                f"{wanted!r}"
            )
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(
                    f"vars_to_warm_start has {pattern!r}, which is not a regular expression: "
                    f"{error}"
                ) from None
        for name in ("var_name_to_vocab_info", "var_name_to_prev_var_name"):
            object.__setattr__(self, name, dict(getattr(self, name) or {}))


def check_warm_start(warm_start_from: Any) -> WarmStartSettings | None:
    """Returns what the argument `warm_start_from` of an Estimator means.

    Raises:
        ValueError: If it is neither a path, nor WarmStartSettings, nor None.
    """
    if warm_start_from is None or isinstance(warm_start_from, WarmStartSettings):
        return warm_start_from
    if isinstance(warm_start_from, (str, os.PathLike)):
        return WarmStartSettings(warm_start_from)
    raise ValueError(
        "warm_start_from must be a path or a WarmStartSettings, not "
        f"{type(warm_start_from).__name__}"
    )


def warm_variables(
    spec: EstimatorSpec, settings: WarmStartSettings, checkpoint: Checkpoint
) -> dict[str, NDArray[Any]]:
    """The variables of a checkpoint that a new model begins with, by their names in the model.

    Args:
        spec: The model.
        settings: Which of its variables to take.
        checkpoint: Where to take them from.

    Raises:
        ValueError: If the checkpoint lacks one, or has it in another shape; or
            `var_name_to_prev_var_name` names a variable that is not taken.
    """
    names = _chosen_names(spec, settings.vars_to_warm_start)
    earlier = settings.var_name_to_prev_var_name or {}
    unused = sorted(set(earlier) - set(names))
    if unused:
        raise ValueError(
            f"var_name_to_prev_var_name has {', '.join(map(repr, unused))}, but the variables that "
            f"are warm-started are {', '.join(map(repr, names)) or 'none'}"
        )
    taken = {}
    for name in names:
        found = find_name(earlier.get(name, name), checkpoint.variables)
        if found is None:
            raise ValueError(
                f"cannot warm-start {name!r}: {checkpoint.path} has no variable "
                f"{earlier.get(name, name)!r}; it has {', '.join(sorted(checkpoint.variables))}"
            )
        value = checkpoint.variables[found]
        initial = spec.variables.get(name, np.array(0, np.int64))
        if np.shape(value) != np.shape(initial):
            raise ValueError(
                f"cannot warm-start {name!r}: its shape is {np.shape(value)} in {checkpoint.path} "
                f"and {np.shape(initial)} in this model"
            )
        dtype = np.asarray(initial).dtype
        # Sums of weights, where there would be counts without them, stay what they are.
        taken[name] = np.array(value, dtype if np.can_cast(value, dtype, "same_kind") else None)
    logger.info("Warm-started %d variables from %s: %s", len(taken), checkpoint.path, names)
    return taken


def _chosen_names(spec: EstimatorSpec, wanted: str | Sequence[str] | None) -> list[str]:
    if wanted is None:
        return []
    if isinstance(wanted, str):
        weights = spec.variables if spec.weights is None else spec.weights
        return [name for name in weights if re.match(wanted, name)]
    patterns = list(wanted)
    everything = [*spec.variables, "global_step"]
    return [name for name in everything if any(re.match(each, name) for each in patterns)]
