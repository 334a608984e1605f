"""The model folder of an Estimator: its checkpoints, and what a pickle makes of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from numpy.typing import NDArray

from centroids.checkpoints.checkpoint import Checkpoint
from centroids.checkpoints.folder import load_latest, read_checkpoint
from centroids.estimator._arguments import check_evaluation_name, check_model_dir
from centroids.estimator._inference import evaluation_folder
from centroids.estimator._pickling import (
    check_folder_is_there,
    holds_checkpoint,
    make_temporary_folder,
    read_to_carry,
    unpack,
)
from centroids.estimator._run_config import RunConfig
from centroids.estimator._spec import find_name
from centroids.files import absolute


class ModelFolder:
    """Reads what runs left in a folder; the part of Estimator that needs no model function.

    Args:
        config: The settings; without a `model_dir` a temporary folder is made, which is logged.

    Raises:
        NotADirectoryError: If `model_dir` is a file.
    """

    def __init__(self, config: RunConfig) -> None:
        self._owns_folder = config.model_dir is None
        if self._owns_folder:
            config = config.replace(model_dir=make_temporary_folder())
        elif config.model_dir is not None and not os.path.isabs(config.model_dir):
            config = config.replace(model_dir=absolute(config.model_dir))
        self._config = config
        self._known: Checkpoint | None = None
        check_model_dir(self.model_dir)

    def __getstate__(self) -> dict[str, Any]:
        """Holds the path of the model folder; for a temporary one, the newest checkpoint too."""
        carried = read_to_carry(self.latest_checkpoint()) if self._owns_folder else None
        config = self._config.replace(model_dir=os.path.abspath(self.model_dir))
        trained = holds_checkpoint(self.model_dir)
        return {
            **self.__dict__,
            "_config": config,
            "_known": None,
            "_carried": carried,
            "_was_trained": trained,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Takes up the model folder.

        Raises:
            FileNotFoundError: If the model had been trained, and its folder no longer has it.
        """
        carried, trained = state.pop("_carried"), state.pop("_was_trained")
        self.__dict__.update(state)
        gone = not (holds_checkpoint if trained else os.path.isdir)(self.model_dir)
        if gone and self._owns_folder:
            self._config = self._config.replace(model_dir=unpack(carried))
        elif trained:
            check_folder_is_there(type(self).__name__, self.model_dir)

    @property
    def config(self) -> RunConfig:
        """The settings, with `model_dir` filled in."""
        return self._config

    @property
    def model_dir(self) -> str:
        """The folder for checkpoints and event files."""
        assert self._config.model_dir is not None
        return self._config.model_dir

    def eval_dir(self, name: str | None = None) -> str:
        """Returns the folder of the event files of evaluations.

        Args:
            name: The name of the evaluations; see `evaluate`.

        Raises:
            ValueError: If the name cannot be a part of a path.
        """
        check_evaluation_name(name)
        return evaluation_folder(self.model_dir, name)

    def get_variable_names(self) -> list[str]:
        """Returns the names of all variables of the latest checkpoint, sorted.

        Raises:
            ValueError: If there is no checkpoint yet.
        """
        return sorted(self._trained(None).variables)

    def get_variable_value(self, name: str | Sequence[str]) -> Any:
        """Returns the value of a variable in the latest checkpoint.

        Args:
            name: A name, or a list of names; the name of the variable's tensor, with ":0", also
                works.

        Returns:
            An array, or a list of arrays.

        Raises:
            TypeError: If `name` is neither.
            ValueError: If there is no checkpoint yet, or no variable of this name.
        """
        if isinstance(name, bytes) or not isinstance(name, Iterable):
            raise TypeError(f"name must be a string or a list of strings, got {name!r}")
        variables = self._trained(None).variables
        if isinstance(name, str):
            return _variable(variables, name)
        return [_variable(variables, entry) for entry in name]

    def latest_checkpoint(self) -> str | None:
        """Returns the full path of the latest checkpoint, or None when there is none.

        A damaged file is skipped with a warning.
        """
        latest = self._load_checkpoint()
        return None if latest is None else latest.path

    def hand_on(self, checkpoint: Checkpoint | None) -> Self:
        """Lets the next call that reads a checkpoint use one that has been read just now.

        It does so only if that is the one it would read, and its file has not changed since; so
        calling this never changes a result. It holds for one call.

        Args:
            checkpoint: What `load_latest` or `read_checkpoint` returned.

        Returns:
            The estimator itself, for chaining.
        """
        self._known = checkpoint
        return self

    def _take_known(self) -> Checkpoint | None:
        known, self._known = self._known, None
        return known

    def _load_checkpoint(
        self, checkpoint_path: str | os.PathLike[str] | None = None
    ) -> Checkpoint | None:
        """The given checkpoint or the latest. A subclass may know more formats."""
        if checkpoint_path is not None:
            return read_checkpoint(checkpoint_path, self._take_known())
        return self._load_folder(self.model_dir)

    def _load_folder(self, folder: str) -> Checkpoint | None:
        """The latest checkpoint of a folder, or None. A subclass may know more formats."""
        return load_latest(folder, self._take_known())

    def _trained(self, checkpoint_path: str | os.PathLike[str] | None) -> Checkpoint:
        latest = self._load_checkpoint(checkpoint_path)
        if latest is None:
            raise ValueError(
                f"Could not find trained model in model_dir: {self.model_dir}; call train first"
            )
        return latest


def _variable(variables: Mapping[str, NDArray[Any]], name: Any) -> NDArray[Any]:
    found = find_name(name, variables) if isinstance(name, str) else None
    if found is None:
        raise ValueError(f"no variable is named {name!r}; there are {', '.join(sorted(variables))}")
    return variables[found]
