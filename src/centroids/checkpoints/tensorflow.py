"""Variables from the checkpoints that TensorFlow wrote, without TensorFlow.

A checkpoint of TensorFlow's format V2 (since 2016) with the prefix `model.ckpt-20` is

    model.ckpt-20.index                   a sorted string table: where each variable lies
    model.ckpt-20.data-00000-of-00001     the bytes of the variables; there may be several

and the text file `checkpoint` of the folder names the latest.
"""

from __future__ import annotations

import glob
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.checkpoints._string_table import DamagedTableError
from centroids.checkpoints._tensor_bundle import TensorFlowVariable, read_index
from centroids.checkpoints.names import (
    STATE_FILE,
    SUFFIX,
    TENSORFLOW_STATE_FILE,
    DamagedCheckpointError,
)
from centroids.crc32c import masked_crc32c
from centroids.files import open_regular, read_regular

# What a list has at the end of its name when another one was put aside before.
_NUMBERED = re.compile(r"-[1-9][0-9]{0,8}$")
_LISTED = re.compile(r'^\s*model_checkpoint_path:\s*"((?:[^"\\]|\\.)*)"', re.MULTILINE)
_INDEX = ".index"
# Where a SavedModel has its variables.
_OF_SAVED_MODEL = os.path.join("variables", "variables")
# Some hundred bytes per variable, or a line per checkpoint. Torn files may have any size.
_MAX_INDEX_BYTES = 1 << 28
_MAX_LIST_BYTES = 1 << 26


@dataclass(frozen=True)
class TensorFlowCheckpoint:
    """The index of a checkpoint; the variables themselves are read on demand.

    Attributes:
        path: The prefix of its files.
        variables: What there is, by name.
    """

    path: str
    variables: Mapping[str, TensorFlowVariable]

    def read(self, name: str) -> NDArray[Any]:
        """Reads one of `variables`.

        Raises:
            ValueError: If it was saved in parts, or has a type that NumPy does not have.
            DamagedCheckpointError: If its bytes are missing or differ from their checksum; a
                ValueError too.
            OSError: If a file cannot be read.
        """
        variable = self.variables[name]
        what = f"variable {name!r} of {self.path}"
        if variable.sliced:
            raise ValueError(
                f"{what} was saved in parts (by a partitioner), which cannot be read here; save "
                "it as a whole with TensorFlow"
            )
        if variable.dtype is None:
            raise ValueError(f"{what} is of type {variable.type_name}, which NumPy does not have")
        if math.prod(variable.shape) * variable.dtype.itemsize != variable.size:
            raise DamagedCheckpointError(
                f"{what} should have {variable.size} bytes by its index, which do not fit its "
                f"type {variable.dtype} and shape {list(variable.shape)}"
            )
        data = _read_bytes(variable, what)
        if masked_crc32c(data) != variable.checksum:
            raise DamagedCheckpointError(
                f"{what} differs from its checksum: {variable.file} was altered"
            )
        try:
            array: NDArray[Any] = np.frombuffer(data, variable.dtype).reshape(variable.shape)
        except ValueError as error:  # more dimensions, or longer ones, than NumPy allows
            raise DamagedCheckpointError(
                f"{what} has the shape {list(variable.shape)}: {error}"
            ) from None
        return array.astype(variable.dtype.newbyteorder("="), copy=False)


def load_tensorflow_checkpoint(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Reads the variables of a checkpoint that TensorFlow wrote. TensorFlow is not needed.

    To continue with a k-means model, give its folder to `KMeansClustering` as `model_dir` instead.

    Args:
        path: A model folder, whose latest checkpoint is read, or the prefix of a checkpoint, such
            as `folder/model.ckpt-20`, or the folder of a SavedModel.

    Returns:
        The variables by name, in the order of their names. The arrays are writable. Strings are
        left out: checkpoints of TensorFlow 2 have one that describes their objects. Those name a
        variable `layer/kernel/.ATTRIBUTES/VARIABLE_VALUE`, which is `layer/kernel` here.

    Raises:
        ValueError: If there is no checkpoint, or a variable is of a kind that cannot be read.
        DamagedCheckpointError: If a file is torn or altered; a ValueError too.
        OSError: If a file cannot be read.
    """
    checkpoint = open_tensorflow_checkpoint(path)
    variables = checkpoint.variables.items()
    return {name: checkpoint.read(name) for name, variable in variables if not variable.text}


def open_tensorflow_checkpoint(path: str | os.PathLike[str]) -> TensorFlowCheckpoint:
    """Reads the index of a checkpoint.

    Args:
        path: As for `load_tensorflow_checkpoint`.

    Raises:
        ValueError: If there is no checkpoint, or it is of a format that cannot be read.
        DamagedCheckpointError: If the index is torn or altered; a ValueError too.
        OSError: If it cannot be read.
    """
    text = os.fspath(path)
    prefix = _find_in_folder(text) if os.path.isdir(text) else text
    if prefix is None:
        raise ValueError(f"Could not find a checkpoint of TensorFlow in {text}")
    prefix = prefix.removesuffix(_INDEX)
    if not os.path.isfile(prefix + _INDEX):
        if os.path.isfile(prefix):
            raise ValueError(
                f"{prefix} is not a checkpoint of TensorFlow's format V2, which has an {_INDEX} "
                "file; load older checkpoints with TensorFlow and save them again"
            )
        raise ValueError(
            f"Could not find a checkpoint of TensorFlow: {text} is not a folder, and there is no "
            f"{prefix}{_INDEX}"
        )
    size = os.path.getsize(prefix + _INDEX)
    try:
        if size > _MAX_INDEX_BYTES:
            raise DamagedTableError(f"it has {size} bytes, more than {_MAX_INDEX_BYTES}")
        data = read_regular(prefix + _INDEX, _MAX_INDEX_BYTES, follow_links=True)
        return TensorFlowCheckpoint(prefix, read_index(data, prefix))
    except DamagedTableError as error:
        raise DamagedCheckpointError(
            f"{prefix}{_INDEX} is not a whole index of a checkpoint: {error}"
        ) from error


def _find_in_folder(folder: str) -> str | None:
    variables = os.path.join(folder, _OF_SAVED_MODEL)
    return variables if os.path.isfile(variables + _INDEX) else find_tensorflow_checkpoint(folder)


def is_tensorflow_checkpoint(path: str | os.PathLike[str]) -> bool:
    """Whether a path is the prefix of a checkpoint of TensorFlow, and not also of one of ours."""
    prefix = os.fspath(path)
    return os.path.isfile(prefix + _INDEX) and not os.path.isfile(prefix + SUFFIX)


def find_tensorflow_checkpoint(model_dir: str) -> str | None:
    """Returns the prefix of the latest checkpoint that TensorFlow wrote into a folder, or None.

    The list `checkpoint` decides, and without one the number of steps. A folder may have been
    moved: a listed file is looked for in it first.

    Raises:
        ValueError: If the list names a checkpoint that is not there.
    """
    listed = _read_list(model_dir)
    if listed is None:
        return next(reversed(list_tensorflow_checkpoints(model_dir)), None)
    places = [os.path.join(model_dir, name) for name in (os.path.basename(listed), listed)]
    for place in places:
        if os.path.isfile(place + _INDEX) or os.path.isfile(place):
            return place
    others = ", ".join(list_tensorflow_checkpoints(model_dir)) or "none"
    raise ValueError(
        f"the list {STATE_FILE!r} of {model_dir} names the checkpoint {listed}, but there is no "
        f"{places[0]}{_INDEX}; checkpoints that are there: {others}"
    )


def list_tensorflow_checkpoints(model_dir: str) -> list[str]:
    """Returns the prefixes of all checkpoints that TensorFlow wrote into a folder, by steps."""
    return sorted(_prefixes(model_dir), key=lambda prefix: (_step_of(prefix), prefix))


def _read_list(model_dir: str) -> str | None:
    for name in _lists_in(model_dir):
        try:
            path = os.path.join(model_dir, name)
            data = read_regular(path, _MAX_LIST_BYTES, follow_links=True)
        except OSError:
            continue
        match = _LISTED.search(data.decode("utf-8", "replace"))
        if match is not None and not match[1].endswith(SUFFIX):
            return _unescape(match[1])
    return None


def _lists_in(model_dir: str) -> list[str]:
    """The names of lists, the newest first: of those put aside, the last has the highest number."""
    aside = glob.glob(os.path.join(glob.escape(model_dir), f"{TENSORFLOW_STATE_FILE}-*"))
    numbers = [int(path.rpartition("-")[2]) for path in aside if _NUMBERED.search(path)]
    numbered = [f"{TENSORFLOW_STATE_FILE}-{number}" for number in sorted(numbers, reverse=True)]
    return [STATE_FILE, *numbered, TENSORFLOW_STATE_FILE]


def _unescape(text: str) -> str:
    r"""The text that a text-format protocol buffer shows with escapes.

    >>> _unescape(r"caf\303\251/\"model\"")
    'café/"model"'
    """

    def replace(match: re.Match[bytes]) -> bytes:
        escape = match[1]
        return bytes([int(escape, 8) & 0xFF]) if escape.isdigit() else escape

    escaped = re.sub(rb"\\([0-7]{1,3}|.)", replace, text.encode())
    return escaped.decode("utf-8", "surrogateescape")


def _prefixes(model_dir: str) -> list[str]:
    """The prefixes of all checkpoints in a folder; other files may end in .index too."""
    found = glob.glob(os.path.join(glob.escape(model_dir), f"*{_INDEX}"))
    prefixes = [name.removesuffix(_INDEX) for name in found]
    return [
        prefix for prefix in prefixes if glob.glob(f"{glob.escape(prefix)}.data-?????-of-?????")
    ]


def _step_of(prefix: str) -> int:
    match = re.search(r"-(\d{1,18})$", prefix)
    return -1 if match is None else int(match[1])


def _read_bytes(variable: TensorFlowVariable, what: str) -> bytearray:
    try:
        with open_regular(variable.file, follow_links=True) as file:
            available = os.fstat(file.fileno()).st_size
            # Compared before memory is taken: a damaged index may name any size.
            if variable.offset + variable.size <= available:
                data = bytearray(variable.size)
                file.seek(variable.offset)
                if file.readinto(data) == variable.size:
                    return data
    except FileNotFoundError:
        raise DamagedCheckpointError(
            f"{what} should be in {variable.file}, which is not there"
        ) from None
    raise DamagedCheckpointError(
        f"{what} should end at byte {variable.offset + variable.size} of {variable.file}, which "
        f"has only {available}"
    )
