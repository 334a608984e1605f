"""A checkpoint and its file: a safetensors file that carries its own checksums.

They stand in the metadata, so that any safetensors reader can still open the file. A file is whole
if one of the two is right: its bytes are those that were written, or else its content is, for
example if another program has rewritten the header.

What no later format may change, so that each version knows the files of all others: the first entry
of the metadata, which comes first in the file, is `centroids`, the text of an object in JSON. Among
the entries of the object are

    sha256           the first one: the SHA-256 of the file with zeros in place of this checksum
    content_sha256   from format 2 on: that of the content, as `_digest_of_content` says
    format_version   a number

Format 2 holds an array that equals another one once: `same_as` has its name, and that of the other.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from centroids.checkpoints._safetensors_file import Buffer, arrays_in, head_of, layout_of
from centroids.checkpoints.names import DamagedCheckpointError, NewerCheckpointError
from centroids.kernels.float_mode import in_usual_float_mode

FORMAT_VERSION = 2
_METADATA_KEY = "centroids"
# The reader of Hugging Face refuses files that do not say it.
_FORMAT = {"format": "pt"}
# The checksum comes first in the metadata, which comes first in the file.
_SEAL = re.compile(rb'\{"__metadata__":\{"centroids":"\{\\"sha256\\": \\"([0-9a-f]{64})\\"')
# For an input that cannot tell where it stands: somewhere between its beginning and its end.
UNKNOWN_POSITION = {"unknown": True}
_UNSEALED = "0" * 64
_CHECKSUMS = ("sha256", "content_sha256")
# Longer headers are refused by readers of safetensors.
_MAX_HEADER_BYTES = 100_000_000
# How many others one array may stand for: a small file must not fill the memory.
_MOST_REPEATS = 16


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a checkpoint holds.

    Attributes:
        variables: Arrays by name, `global_step` (int64, shape []) among them.
        identity: Settings that a model must agree with to use the variables.
        params: The part of the Estimator's params that JSON can hold.
        input_position: Where the input stood after the last trained batch. None if the next
            training begins at the beginning: no batch was trained, the input came to its end, or
            its one batch is asked for again and again. UNKNOWN_POSITION if it has none.
        finished: Whether the call of train that saved it came to its end, by itself or at its last
            step: it is not a checkpoint on the way.
        random_state: The state of the model's random generator (of its bit_generator), or None.
        column_names: The names of the columns that it was trained on, in the order of the matrix;
            None if they had none.
        hook_states: What hooks keep for a call that is interrupted, by the name of each; JSON.
        path: The file it was read from, or None.
        stamp: Shows whether that file has been replaced or changed since, or None.
    """

    variables: Mapping[str, NDArray[Any]]
    identity: Mapping[str, str] = field(default_factory=dict)
    params: Any = None
    input_position: Mapping[str, Any] | None = None
    finished: bool = False
    random_state: Mapping[str, Any] | None = None
    column_names: tuple[str, ...] | None = None
    hook_states: Mapping[str, Any] = field(default_factory=dict)
    path: str | None = None
    stamp: tuple[int, ...] | None = field(default=None, compare=False, repr=False)

    @property
    def global_step(self) -> int:
        """The number of steps that led to the variables."""
        return int(self.variables["global_step"])


def restore_random_state(random: np.random.Generator, checkpoint: Checkpoint) -> None:
    """Gives a generator the state that a checkpoint holds, if it holds one.

    Raises:
        DamagedCheckpointError: If it is not a state of such a generator.
    """
    if checkpoint.random_state is None:
        return
    try:
        random.bit_generator.state = dict(checkpoint.random_state)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DamagedCheckpointError(
            f"{checkpoint.path} does not hold a state of a random generator: {error!r}"
        ) from error


def json_part(value: Any) -> Any:
    """Returns what JSON can hold of `value`; parts of other types become None.

    >>> json_part({"rate": np.float32(0.5), "centers": np.zeros(3), "sizes": (1, 2)})
    {'rate': 0.5, 'centers': None, 'sizes': [1, 2]}
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return json_part(value.item())
    if isinstance(value, Mapping):
        return {key: json_part(entry) for key, entry in value.items() if isinstance(key, str)}
    if isinstance(value, (list, tuple)):
        return [json_part(entry) for entry in value]
    return None


@in_usual_float_mode
def serialize(checkpoint: Checkpoint) -> bytes:
    """Returns the bytes of a checkpoint file. Equal checkpoints give equal bytes.

    Raises:
        TypeError: If a variable has a type that safetensors cannot hold.
    """
    arrays = {}
    for name, value in checkpoint.variables.items():
        array = np.asarray(value, order="C")
        arrays[name] = array.astype(array.dtype.newbyteorder("<"), copy=False)
    try:
        same_as = _take_repeated(arrays)
        header, values = layout_of(arrays)
    except TypeError as error:
        types = ", ".join(f"{name}: {array.dtype}" for name, array in arrays.items())
        raise TypeError(f"a variable cannot be saved ({types}): {error}") from error
    metadata = {
        "format_version": FORMAT_VERSION,
        "global_step": checkpoint.global_step,
        "identity": dict(checkpoint.identity),
        "params": json_part(checkpoint.params),
        "input_position": checkpoint.input_position,
        "finished": checkpoint.finished,
        "random_state": checkpoint.random_state,
        "same_as": same_as,
    }
    if checkpoint.column_names is not None:
        metadata["column_names"] = list(checkpoint.column_names)
    if checkpoint.hook_states:
        metadata["hook_states"] = dict(checkpoint.hook_states)
    metadata = json.loads(json.dumps(metadata))  # as it will be read: names are texts
    metadata["content_sha256"] = _digest_of_content(metadata, header, values)
    text = f'{{"sha256": "{_UNSEALED}", {json.dumps(metadata, sort_keys=True)[1:]}'
    parts = [*head_of(header, {_METADATA_KEY: text, **_FORMAT}), *values.values()]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    # Only the header is copied: replacing in all the bytes would keep other threads from running.
    length, head, *rest = parts
    sealed = bytes(head).replace(_UNSEALED.encode(), digest.hexdigest().encode(), 1)
    return b"".join([length, sealed, *rest])


def _take_repeated(arrays: dict[str, NDArray[Any]]) -> dict[str, str]:
    """Takes out arrays that are equal to others; returns the name of the other for each."""
    same_as: dict[str, str] = {}
    times = Counter[str]()
    names = [name for name in sorted(arrays) if arrays[name].ndim > 0]
    for index, name in enumerate(names):
        for earlier in names[:index]:
            may_stand = earlier in arrays and times[earlier] < _MOST_REPEATS
            if may_stand and _are_equal(arrays[name], arrays[earlier]):
                same_as[name] = earlier
                times[earlier] += 1
                del arrays[name]
                break
    return same_as


def _are_equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether all bits are the same; -0.0 is not 0.0 here, and NaN is NaN."""
    alike = (one.dtype, one.shape) == (other.dtype, other.shape)
    return alike and np.array_equal(
        one.reshape(-1).view(np.uint8), other.reshape(-1).view(np.uint8)
    )


def _digest_of_content(
    metadata: Mapping[str, Any], header: Mapping[str, Any], values: Mapping[str, Buffer]
) -> str:
    """The SHA-256 of what a file holds, however it is written.

    That is the text of a list in JSON: the metadata without the two checksums, and of each array in
    the order of the names its name, type and shape. Then the bytes of the arrays in that order.
    """
    known = {key: value for key, value in metadata.items() if key not in _CHECKSUMS}
    arrays = [[name, header[name]["dtype"], header[name]["shape"]] for name in sorted(values)]
    digest = hashlib.sha256(json.dumps([known, arrays], sort_keys=True).encode())
    for name in sorted(values):
        digest.update(values[name])
    return digest.hexdigest()


def checksum(data: bytes) -> str:
    """The SHA-256 of a checkpoint file, with zeros in place of the checksum that it carries."""
    seal = _SEAL.match(data, 8)
    if seal is None:
        return hashlib.sha256(data).hexdigest()
    digest = hashlib.sha256(data[: seal.start(1)])
    digest.update(_UNSEALED.encode())
    digest.update(memoryview(data)[seal.end(1) :])
    return digest.hexdigest()


def wrote(file: BinaryIO, path: str) -> bool:
    """Whether a safetensors file is one of ours.

    Raises:
        DamagedCheckpointError: If it has no whole header.
        OSError: If it cannot be read.
    """
    metadata = _read_header(file, path)[0].get("__metadata__")
    return isinstance(metadata, dict) and _METADATA_KEY in metadata


def read_bytes(file: BinaryIO, path: str) -> bytes:
    """The bytes of a checkpoint file, whose size is compared with its header before it is read.

    Raises:
        DamagedCheckpointError: If it is longer or shorter than its header says. A torn file may
            have any size, even more than the memory.
        OSError: If it cannot be read.
    """
    header, length = _read_header(file, path)
    try:
        stops = [part["data_offsets"][1] for name, part in header.items() if name != "__metadata__"]
        expected = 8 + length + max(stops, default=0)
    except (KeyError, IndexError, TypeError) as error:
        raise DamagedCheckpointError(f"{path} is not a whole checkpoint: {error!r}") from error
    size = os.fstat(file.fileno()).st_size
    if expected != size:
        raise DamagedCheckpointError(
            f"{path} is not a whole checkpoint: it has {size} bytes, but its header says {expected}"
        )
    file.seek(0)
    return file.read()


def _read_header(file: BinaryIO, path: str) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, and how many bytes it takes."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if length > min(size - 8, _MAX_HEADER_BYTES):
        raise DamagedCheckpointError(
            f"{path} is not a whole checkpoint: it has {size} bytes, and should have a header of "
            f"{length}"
        )
    try:
        header = json.loads(file.read(length))
        if not isinstance(header, dict):
            raise ValueError("its header is not an object")
    except (ValueError, RecursionError) as error:
        raise DamagedCheckpointError(f"{path} is not a whole checkpoint: {error!r}") from error
    return header, length


@in_usual_float_mode
def deserialize(data: bytes, path: str) -> Checkpoint:
    """Returns the checkpoint whose file holds `data`. The arrays are writable copies.

    Raises:
        DamagedCheckpointError: If the bytes are not a checkpoint, or were altered.
        NewerCheckpointError: If they are whole, but of a format that this version does not know.
    """
    try:
        header, metadata = _parse(data)
        whole = metadata.get("sha256") == checksum(data) or (
            metadata.get("content_sha256") == _digest_of_file(data, header, metadata)
        )
        if whole:
            _check_version(metadata["format_version"], path)
        arrays = arrays_in(header, memoryview(data)[8 + int.from_bytes(data[:8], "little") :])
        variables = dict(arrays)
        same_as = metadata.get("same_as", {})
        if max(Counter(same_as.values()).values(), default=0) > _MOST_REPEATS:
            raise ValueError(f"one of its arrays stands for more than {_MOST_REPEATS} others")
        for name, other in same_as.items():
            variables[name] = np.array(arrays[other])
        checkpoint = Checkpoint(
            variables=dict(sorted(variables.items())),
            identity=metadata["identity"],
            params=metadata["params"],
            input_position=metadata["input_position"],
            finished=metadata["finished"],
            random_state=metadata["random_state"],
            column_names=_names_in(metadata),
            hook_states=_hook_states_in(metadata),
            path=path,
        )
        _check_parts(checkpoint)
    except NewerCheckpointError:
        raise
    except (LookupError, AttributeError, ValueError, TypeError, RecursionError) as error:
        raise DamagedCheckpointError(f"{path} is not a whole checkpoint: {error!r}") from error
    if not whole:
        raise DamagedCheckpointError(
            f"{path} differs from the checksums that it carries: it is incomplete or was altered"
        )
    return checkpoint


def _parse(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The entries of the arrays, and the metadata."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = json.loads(header.pop("__metadata__")[_METADATA_KEY])
    if not isinstance(metadata, dict):
        raise ValueError("its metadata is not an object")
    return header, metadata


def _digest_of_file(data: bytes, header: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    begin = 8 + int.from_bytes(data[:8], "little")
    values = memoryview(data)[begin:]
    places = {name: entry["data_offsets"] for name, entry in header.items()}
    return _digest_of_content(
        metadata, header, {name: values[start:stop] for name, (start, stop) in places.items()}
    )


def _names_in(metadata: dict[str, Any]) -> tuple[str, ...] | None:
    names = metadata.get("column_names")
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"its column_names are {names!r}")
    return tuple(names)


def _hook_states_in(metadata: dict[str, Any]) -> dict[str, Any]:
    states = metadata.get("hook_states", {})
    if not isinstance(states, dict):
        raise ValueError(f"its hook_states are {states!r}")
    return states


def _check_version(version: Any, path: str) -> None:
    """Raises a NewerCheckpointError, or a ValueError for what no version has written."""
    if type(version) is not int or version < 1:
        raise ValueError(f"its format version is {version!r}")
    if version > FORMAT_VERSION:
        raise NewerCheckpointError(
            f"{path} has the format version {version}, of a newer version of centroids; this one "
            f"reads formats up to {FORMAT_VERSION}. Use the newer version"
        )


def _check_parts(checkpoint: Checkpoint) -> None:
    """Raises a KeyError or ValueError if a part that every checkpoint has is missing or odd."""
    step = checkpoint.variables["global_step"]
    if step.shape != () or step.dtype.kind not in "iu" or step < 0:
        raise ValueError(f"its global_step is {step!r}")
    identity = checkpoint.identity
    if not isinstance(identity, dict) or not all(isinstance(v, str) for v in identity.values()):
        raise ValueError(f"its identity is {identity!r}")
    for name in ("input_position", "random_state"):
        if not isinstance(getattr(checkpoint, name), (dict, type(None))):
            raise ValueError(f"its {name} is {getattr(checkpoint, name)!r}")
    if not isinstance(checkpoint.finished, bool):
        raise ValueError(f"its entry finished is {checkpoint.finished!r}")
