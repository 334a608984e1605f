"""Checks of the arguments of the constructor, train, evaluate and predict."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import Any

from centroids.checkpoints.lock import ModelDirLostError
from centroids.checks import as_integer
from centroids.errors import Argument, NotAFolderError, WordedText
from centroids.estimator._run_config import RunConfig
from centroids.files import make_folders


def check_count(name: str, value: Any) -> int | None:
    """Returns a number of steps as an int, or None.

    Raises:
        ValueError: If it is not an integer, or not positive.
    """
    if value is None:
        return None
    count = as_integer(value)
    if count is None:
        raise ValueError(f"{name} must be an integer > 0 or None, not {value!r}")
    if count <= 0:
        raise ValueError(f"Must specify {name} > 0, given: {count}")
    return count


def check_train_steps(steps: Any, max_steps: Any) -> tuple[int | None, int | None]:
    """Returns both numbers as ints, or None.

    Raises:
        ValueError: If both are given, or one is not a positive integer.
    """
    if steps is not None and max_steps is not None:
        raise ValueError(
            "Can not provide both steps and max_steps, but they are "
            f"{steps!r} and {max_steps!r}; set one of them to None"
        )
    return check_count("steps", steps), check_count("max_steps", max_steps)


def check_exactly_one(**given: object) -> None:
    """Checks that one argument of a pair is given, and the other is None.

    Raises:
        ValueError: If both are given, or neither is.
    """
    if sum(value is not None for value in given.values()) != 1:
        values = " and ".join(f"{name}={value!r}" for name, value in given.items())
        raise ValueError(f"exactly one of {' and '.join(given)} must be given, not {values}")


def check_input_fn(input_fn: Any) -> None:
    """Checks that there is an input function.

    Raises:
        TypeError: If it cannot be called.
    """
    if not callable(input_fn):
        # A lambda around an iterator would give it again, used up, to the next call.
        remedy = (
            "give a function that makes a new one at each call"
            if isinstance(input_fn, Iterator)
            else "write `lambda: data`"
        )
        raise TypeError(
            f"input_fn must be a function that returns batches, not {type(input_fn).__name__}; "
            f"{remedy}"
        )


def check_predict_keys(predict_keys: Any) -> list[str] | None:
    """Returns the keys as a list, or None.

    Raises:
        ValueError: If there is no key, or one is not a string.
    """
    if predict_keys is None:
        return None
    keys = [predict_keys] if isinstance(predict_keys, str) else list(predict_keys)
    if not keys or not all(isinstance(key, str) for key in keys):
        raise ValueError(f"predict_keys must be a list of names or None, not {predict_keys!r}")
    return keys


def check_model_dir(model_dir: str) -> None:
    """Checks that a model folder is not something else. Nothing is created.

    Raises:
        NotADirectoryError: If it is, or lies below, a file.
    """
    place = os.path.abspath(model_dir)
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    if not os.path.isdir(place):
        relation = "it is" if place == os.path.abspath(model_dir) else f"{place} is"
        raise NotAFolderError(
            Argument("model_dir"),
            f" must be a folder, but {relation} a file: {model_dir}",
            remedy="choose another one",
        )


@contextlib.contextmanager
def prepared_model_dir(model_dir: str) -> Iterator[None]:
    """Creates a model folder for a training run and checks that files can be written there.

    Folders that were not there before are removed again if training is refused, that is, if an
    exception comes before anything was written.

    Raises:
        NotADirectoryError: If it is, or lies below, a file.
        PermissionError: If it cannot be created or written.
        OSError: For other reasons of the file system.
    """
    check_model_dir(model_dir)
    created = []
    place = os.path.abspath(model_dir)
    while not os.path.lexists(place):
        created.append(place)
        place = os.path.dirname(place)
    try:
        make_folders(model_dir)
        # Asking for rights is not enough: a mount may be read-only, a disk full.
        with tempfile.TemporaryFile(dir=model_dir):
            pass
    except OSError as error:
        _remove_empty(created)
        raise type(error)(
            error.errno,
            WordedText(
                Argument("model_dir"),
                f" cannot be written ({error.strerror}); training needs a folder that can",
            ),
            model_dir,
        ) from error
    try:
        yield
    except ModelDirLostError:
        raise  # a folder of this name is no longer ours
    except BaseException:
        _remove_empty(created)
        raise


def _remove_empty(folders: list[str]) -> None:
    """Removes folders from the innermost out, as long as they are empty."""
    for folder in folders:
        try:
            os.rmdir(folder)
        except OSError:
            return


def merge_model_dir(config: RunConfig | None, model_dir: Any) -> RunConfig:
    """Returns the settings with the model folder of the constructor.

    Raises:
        ValueError: If both name a folder and they differ, or `config` is not a RunConfig.
    """
    if config is None:
        config = RunConfig()
    if not isinstance(config, RunConfig):
        raise ValueError(f"config must be an instance of RunConfig, received {config!r}")
    if model_dir is None:
        return config
    merged = config.replace(model_dir=model_dir)
    if config.model_dir is not None and config.model_dir != merged.model_dir:
        raise ValueError(
            "model_dir is set both in the constructor and in RunConfig, but with different values: "
            f"{merged.model_dir!r} and {config.model_dir!r}; they must be the same"
        )
    return merged


def check_evaluation_name(name: Any) -> None:
    """Checks that an evaluation's name can be the end of a path; "a/b" makes two folders.

    Raises:
        ValueError: If it cannot, or leads to another place.
    """
    if name is None:
        return
    parts = name.replace(os.sep, "/").split("/") if isinstance(name, str) else None
    # The first part has eval_ before it: it may be empty, and is not a step upwards.
    if parts is None or "\0" in name or any(part in ("", ".", "..") for part in parts[1:]):
        raise ValueError(
            "name must be a string or None, with no empty part, '.' or '..' between slashes, not "
            f"{name!r}"
        )
