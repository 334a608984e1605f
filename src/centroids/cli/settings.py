"""What the command line keeps of a model beside its checkpoints, in one small file."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from centroids.checkpoints.folder import find_entries
from centroids.cli.input_file import InputFile
from centroids.estimator import Checkpoint
from centroids.files import read_regular, replace_file
from centroids.inputs import TextFormat
from centroids.inputs.missing import MissingValues

EmptyClusters: TypeAlias = Literal["keep", "relocate"]

SETTINGS_FILE = "settings.json"
_VERSION = 1
OLD_COLUMNS_FILE = "columns.json"
_MAX_BYTES = 1 << 24


@dataclass(frozen=True)
class Settings:
    """The settings of a model, which hold until others are given; None: not known.

    Attributes:
        use_mini_batch: Whether it is trained in mini-batches.
        batch_size: The points of a mini-batch.
        shuffle: Whether the points are shuffled for mini-batches.
        mini_batch_steps_per_iteration: The mini-batches between two updates of the centers.
        relative_tolerance: The share of the loss by which a full-batch step has to lower it.
        seed: The seed for initialisation and shuffling; any integer.
        columns: The columns that it was trained with: names, or numbers of a file without names.
        weight_column: The column that held the weights: its name, or its number in digits.
        empty_clusters: What a full-batch step does with clusters without points.
        reassignment_ratio: The share of points below which a cluster of mini-batches is reassigned.
        text: How the text file that it was trained with was written, as far as options said so: the
            fields of a TextFormat that were not the default.
        ends_at_step: The step at which the last call of train was to end, for one that continues.
        missing: What is done with missing values.
        standardize: Whether columns are scaled.
        id_column: The column that names the rows, which is not one of the points.
        inputs: The file that its mini-batches are read from, and the one before that, newest first.
    """

    use_mini_batch: bool | None = None
    batch_size: int | None = None
    shuffle: bool | None = None
    mini_batch_steps_per_iteration: int | None = None
    relative_tolerance: float | None = None
    seed: int | None = None
    columns: tuple[str | int, ...] | None = None
    text: Mapping[str, Any] | None = None
    ends_at_step: int | None = None
    inputs: tuple[InputFile, ...] | None = None
    weight_column: str | None = None
    empty_clusters: EmptyClusters | None = None
    reassignment_ratio: float | None = None
    missing: MissingValues | None = None
    standardize: bool | None = None
    id_column: str | None = None


def shuffling_seed(seed: int | None) -> int:
    """The seed of sources and samples, which take none below 0, for that of a model.

    >>> shuffling_seed(7), shuffling_seed(None), shuffling_seed(-1) == 2**64 + 1
    (7, 0, True)
    """
    return 0 if seed is None else seed if seed >= 0 else 2**64 - seed


def read_settings(
    model_dir: Path, checkpoint: Checkpoint | None = None, *, with_columns: bool = True
) -> Settings:
    """The settings of a model.

    Args:
        model_dir: Its folder.
        checkpoint: Its latest checkpoint, if at hand. A model that the library trained has no file
            of settings: its checkpoint has the mode, the seed and the like.
        with_columns: Whether the columns are wanted, which may be in a file of their own.

    Raises:
        ValueError: If a file of settings is damaged, or a newer version wrote it.
        OSError: If it cannot be read.
    """
    file = model_dir / SETTINGS_FILE
    try:
        data = read_regular(file, _MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        settings = Settings(columns=_read_old_columns(model_dir) if with_columns else None)
        return settings if checkpoint is None else _complete(settings, checkpoint)
    try:
        return _parse(data)
    except NewerSettingsError as error:
        raise NewerSettingsError(f"{file} {error}") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{file} is damaged: {error}. The model itself is not in it. Move the file away to "
            "continue, and give the options again that were not the default: --columns, "
            "--mini-batch, --batch-size, --seed and the like"
        ) from None


def what_was_said(text: TextFormat) -> dict[str, Any]:
    """The fields of a text format that are not the default."""
    default = TextFormat()
    return {
        name: value
        for name, value in dataclasses.asdict(text).items()
        if value != getattr(default, name)
    }


def write_settings(model_dir: Path, settings: Settings) -> None:
    """Writes the settings, whole or not at all, in the place of the older file of columns.

    Raises:
        OSError: If the folder cannot be written.
    """
    values = {"version": _VERSION, **dataclasses.asdict(settings)}
    known = {name: value for name, value in values.items() if value is not None}
    text = json.dumps(known, ensure_ascii=False, indent=1)
    replaces_columns = _replaces_old_columns(model_dir)
    replace_file(os.path.join(model_dir, SETTINGS_FILE), f"{text}\n".encode())
    if replaces_columns:
        (model_dir / OLD_COLUMNS_FILE).unlink(missing_ok=True)


def _replaces_old_columns(model_dir: Path) -> bool:
    """Whether the file of columns is that of the model: other programs have such names too.

    Only a model without settings has one, and it holds nothing but the columns.
    """
    if os.path.lexists(model_dir / SETTINGS_FILE) or not find_entries(str(model_dir), warn=False):
        return False
    try:
        held = json.loads(read_regular(model_dir / OLD_COLUMNS_FILE, _MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(held, dict) and set(held) == {"columns"} and _are_columns(held["columns"])


def _complete(settings: Settings, checkpoint: Checkpoint) -> Settings:
    """What a checkpoint of the library says about its training, in our terms."""
    position, params = checkpoint.input_position, checkpoint.params
    if position is not None and position.get("source") == "csv" and "dtype" in position:
        # Text was float32 once: a run that stands within a file continues with the same numbers.
        text = what_was_said(TextFormat(dtype=position["dtype"]))
        settings = dataclasses.replace(settings, text=text or None)
    if not isinstance(params, Mapping):
        return settings
    names = {
        "use_mini_batch": "use_mini_batch",
        "mini_batch_steps_per_iteration": "mini_batch_steps_per_iteration",
        "relative_tolerance": "loss_tolerance",
        "empty_clusters": "empty_clusters",
        "reassignment_ratio": "reassignment_ratio",
        "missing": "missing",
        "standardize": "standardize",
        "seed": "random_seed",
    }
    found = {
        ours: params[theirs]
        for ours, theirs in names.items()
        if theirs in params and _CHECKS[ours](params[theirs])
    }
    return dataclasses.replace(settings, **found)


class NewerSettingsError(ValueError):
    """The file is of a version that came after this one."""


def _parse(data: bytes) -> Settings:
    values = json.loads(data)
    if not isinstance(values, dict):
        raise ValueError("it holds no settings")
    version = values.pop("version", None)
    if type(version) is not int or version < 1:
        raise ValueError(f"its version is {version!r}")
    if version > _VERSION:
        raise NewerSettingsError(
            f"was written by a newer centroids (version {version} of the file; this one reads "
            f"{_VERSION}): use that one"
        )
    for name, value in values.items():
        if name not in _CHECKS:
            raise ValueError(f"it has the unknown setting {name!r}")
        if not _CHECKS[name](value):
            raise ValueError(f"its {name} is {value!r}")
    if "columns" in values:
        values["columns"] = tuple(values["columns"])
    if "inputs" in values:
        values["inputs"] = tuple(InputFile(**file) for file in values["inputs"])
    return Settings(**values)


def _read_old_columns(model_dir: Path) -> tuple[str | int, ...] | None:
    file = model_dir / OLD_COLUMNS_FILE
    try:
        columns = json.loads(read_regular(file, _MAX_BYTES))["columns"]
        if not _are_columns(columns):
            raise ValueError
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(
            f"{file} is damaged: give --columns, or move it away to take all columns"
        ) from None
    return tuple(columns)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_integer(lowest: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and value >= lowest


def _is_tolerance(value: object) -> bool:
    return type(value) in (int, float) and 0 <= float(str(value)) < math.inf


def _is_text_format(value: object) -> bool:
    try:
        return isinstance(value, dict) and value != {} and bool(TextFormat(**value))
    except (TypeError, ValueError):
        return False


def _are_columns(value: object) -> bool:
    return isinstance(value, list) and value != [] and all(type(v) in (str, int) for v in value)


def _are_inputs(value: object) -> bool:
    return isinstance(value, list) and value != [] and all(map(_is_input, value))


def _is_input(value: object) -> bool:
    is_count = _is_integer(0)
    return (
        isinstance(value, dict)
        and value.keys() == {field.name for field in dataclasses.fields(InputFile)}
        and is_count(value["after_step"])
        and is_count(value["num_bytes"])
        and isinstance(value["digest"], str)
    )


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "use_mini_batch": _is_bool,
    "batch_size": _is_integer(1),
    "shuffle": _is_bool,
    "mini_batch_steps_per_iteration": _is_integer(1),
    "relative_tolerance": _is_tolerance,
    "empty_clusters": lambda value: value in ("keep", "relocate"),
    "reassignment_ratio": lambda value: _is_tolerance(value) and float(str(value)) <= 1,
    "seed": lambda value: type(value) is int,
    "columns": _are_columns,
    "missing": lambda value: value in ("raise", "drop", "mean"),
    "standardize": _is_bool,
    "id_column": lambda value: type(value) is str and value != "",
    "weight_column": lambda value: type(value) is str and value != "",
    "text": _is_text_format,
    "ends_at_step": _is_integer(1),
    "inputs": _are_inputs,
}
