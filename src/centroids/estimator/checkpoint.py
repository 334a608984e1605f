"""Checkpoints: atomic files, a text file that lists them, and what to do about damage.

A model folder holds `model.ckpt-<step>.safetensors` files and the text file `checkpoint`:

    model_checkpoint_path: "model.ckpt-20.safetensors"
    all_model_checkpoint_paths: "model.ckpt-10.safetensors"  # sha256=... time=...
    all_model_checkpoint_paths: "model.ckpt-20.safetensors"  # sha256=... time=...

which is the layout of r1.4 with comments. Each file is written under a temporary name, synced and
renamed, so a name that exists is complete unless the disk lost it; the checksum tells.
"""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.estimator.run_config import RunConfig

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
SUFFIX = ".safetensors"
STATE_FILE = "checkpoint"
_TEMPORARY = ".temporary"
# One metadata key: safetensors writes several in a random order, and equal models would give
# different bytes.
_METADATA_KEY = "centroids"
_NAME = re.compile(r"(?P<basename>.+)-(?P<step>\d+)\.safetensors")
_STATE_LINE = re.compile(
    r'all_model_checkpoint_paths: "(?P<name>[^"]+)"(?:\s*#\s*sha256=(?P<sha256>[0-9a-f]{64})'
    r" time=(?P<time>[0-9.]+)(?P<preserved> preserved)?)?\s*"
)


class DamagedCheckpointError(ValueError):
    """A checkpoint file is torn, altered or no checkpoint at all."""


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a checkpoint holds.

    Attributes:
        variables: Arrays by name, `global_step` (int64, shape []) among them.
        identity: Settings that a model must agree with to use the variables.
        params: The part of the Estimator's params that JSON can hold.
        input_position: Where the input stood after the last trained batch, or None.
        path: The file it was read from, or None.
    """

    variables: Mapping[str, NDArray[Any]]
    identity: Mapping[str, str] = field(default_factory=dict)
    params: Any = None
    input_position: Mapping[str, Any] | None = None
    path: str | None = None

    @property
    def global_step(self) -> int:
        """The number of steps that led to the variables."""
        return int(self.variables["global_step"])


@dataclass(frozen=True)
class _Entry:
    """One line of the state file. `preserved` files are never deleted."""

    name: str
    sha256: str | None
    time: float
    preserved: bool = False

    def line(self) -> str:
        text = f'all_model_checkpoint_paths: "{self.name}"'
        if self.sha256 is None:
            return text
        preserved = " preserved" if self.preserved else ""
        return f"{text}  # sha256={self.sha256} time={self.time:.3f}{preserved}"


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


def serialize(checkpoint: Checkpoint) -> bytes:
    """Returns the bytes of a checkpoint file. Equal checkpoints give equal bytes.

    Raises:
        TypeError: If a variable has a type that safetensors cannot hold.
    """
    import safetensors
    from safetensors.numpy import save

    arrays = {}
    for name, value in checkpoint.variables.items():
        array = np.asarray(value, order="C")
        arrays[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
    metadata = {
        "format_version": FORMAT_VERSION,
        "global_step": checkpoint.global_step,
        "identity": dict(checkpoint.identity),
        "params": json_part(checkpoint.params),
        "input_position": checkpoint.input_position,
    }
    try:
        return save(arrays, {_METADATA_KEY: json.dumps(metadata, sort_keys=True)})
    except safetensors.SafetensorError as error:
        types = ", ".join(f"{name}: {array.dtype}" for name, array in arrays.items())
        raise TypeError(f"a variable cannot be saved ({types}): {error}") from error


def deserialize(data: bytes, path: str) -> Checkpoint:
    """Returns the checkpoint whose file holds `data`. The arrays are writable copies.

    Raises:
        DamagedCheckpointError: If the bytes are no checkpoint, or of an unknown version.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata = json.loads(header["__metadata__"][_METADATA_KEY])
        version = metadata["format_version"]
        checkpoint = Checkpoint(
            variables={name: np.array(arrays[name]) for name in sorted(arrays)},
            identity=metadata["identity"],
            params=metadata["params"],
            input_position=metadata["input_position"],
            path=path,
        )
        checkpoint.global_step  # noqa: B018 - it must be there and be one number
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise DamagedCheckpointError(f"{path} is not a whole checkpoint: {error!r}") from error
    if version != FORMAT_VERSION:
        raise DamagedCheckpointError(
            f"{path} has the format version {version}; this package reads {FORMAT_VERSION}"
        )
    return checkpoint


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Reads one checkpoint, and compares its checksum if the folder lists one.

    Args:
        path: The file, with or without the ending `.safetensors`.

    Raises:
        ValueError: If there is no such file.
        DamagedCheckpointError: If it is torn or altered; a ValueError too.
    """
    text = os.fspath(path)
    if not text:
        raise ValueError("Could not find trained model: checkpoint_path is empty")
    file = text if text.endswith(SUFFIX) else text + SUFFIX
    if not os.path.isfile(file):
        raise ValueError(f"Could not find trained model in checkpoint_path: {file} is no file")
    folder, name = os.path.split(file)
    listed = {entry.name: entry.sha256 for entry in _read_state(folder)}
    return _read(file, listed.get(name))


def load_latest(model_dir: str) -> Checkpoint | None:
    """Reads the latest whole checkpoint of a folder.

    A listed file that is missing, torn or altered is passed over with a warning that names it.

    Args:
        model_dir: The folder; it need not exist.

    Returns:
        The checkpoint, or None when the folder has none.

    Raises:
        DamagedCheckpointError: If the folder has checkpoints but none of them is whole.
    """
    entries = _read_state(model_dir)
    for entry in reversed(entries):
        path = os.path.join(model_dir, entry.name)
        try:
            return _read(path, entry.sha256)
        except (OSError, DamagedCheckpointError) as error:
            logger.warning("Skipping the damaged checkpoint %s: %s", path, error)
    if entries:
        raise DamagedCheckpointError(
            f"none of the {len(entries)} checkpoints of {model_dir} is whole, the newest is "
            f"{entries[-1].name}; restore one of them, or remove them to start anew"
        )
    return None


def latest_checkpoint(model_dir: str) -> str | None:
    """Returns the path of the checkpoint that `load_latest` reads, or None."""
    checkpoint = load_latest(model_dir)
    return None if checkpoint is None else checkpoint.path


class Saver:
    """Writes the checkpoints of one folder and deletes those that are too many.

    Args:
        directory: The folder; created when needed.
        basename: Files are called `<basename>-<step>.safetensors`.
        config: For keep_checkpoint_max and keep_checkpoint_every_n_hours.
    """

    def __init__(self, directory: str, basename: str, config: RunConfig) -> None:
        self.directory = directory
        self._basename = basename
        self._keep_max = config.keep_checkpoint_max or None
        self._keep_seconds = config.keep_checkpoint_every_n_hours * 3600.0
        self._entries = _read_state(directory)
        self._next_preserved = time.time() + self._keep_seconds
        # A run that was killed while it wrote leaves these.
        pattern = os.path.join(glob.escape(directory), f"{basename}-*{SUFFIX}{_TEMPORARY}")
        for leftover in glob.glob(pattern):
            os.remove(leftover)

    def save(self, checkpoint: Checkpoint) -> str:
        """Writes a checkpoint and then the list; only after that it deletes old ones.

        Returns:
            The path of the file.

        Raises:
            OSError: If the folder cannot be written.
        """
        os.makedirs(self.directory, exist_ok=True)
        data = serialize(checkpoint)
        name = f"{self._basename}-{checkpoint.global_step}{SUFFIX}"
        path = os.path.join(self.directory, name)
        _write_atomically(path, data)
        entry = _Entry(name, hashlib.sha256(data).hexdigest(), time.time())
        entries = [known for known in self._entries if known.name != name]
        entries.append(entry)
        self._entries, removed = self._split(entries)
        lines = [f'model_checkpoint_path: "{name}"', *(known.line() for known in self._entries)]
        state = "\n".join(lines) + "\n"
        _write_atomically(os.path.join(self.directory, STATE_FILE), state.encode())
        for old in removed:
            try:
                os.remove(os.path.join(self.directory, old.name))
            except FileNotFoundError:
                continue
            except OSError as error:
                logger.warning("Cannot delete the old checkpoint %s: %s", old.name, error)
        return path

    def _split(self, entries: list[_Entry]) -> tuple[list[_Entry], list[_Entry]]:
        """Returns the entries to keep and those to delete."""
        rotating = [entry for entry in entries if not entry.preserved]
        excess = len(rotating) - self._keep_max if self._keep_max is not None else 0
        kept, removed = list(entries), []
        for entry in rotating[: max(excess, 0)]:
            position = kept.index(entry)
            if entry.time > self._next_preserved:
                self._next_preserved += self._keep_seconds
                kept[position] = _Entry(entry.name, entry.sha256, entry.time, preserved=True)
            else:
                removed.append(kept.pop(position))
        return kept, removed


def _read(path: str, sha256: str | None) -> Checkpoint:
    with open(path, "rb") as file:
        data = file.read()
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise DamagedCheckpointError(
            f"{path} differs from the checksum in {STATE_FILE!r}: it is torn or was altered"
        )
    return deserialize(data, path)


def _read_state(model_dir: str) -> list[_Entry]:
    """Returns the entries of a folder, the latest last; without a list, by step."""
    try:
        with open(os.path.join(model_dir, STATE_FILE), encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        lines = []
    entries = []
    for line in lines:
        match = _STATE_LINE.fullmatch(line)
        if match:
            saved = float(match["time"] or 0)
            preserved = match["preserved"] is not None
            entries.append(_Entry(match["name"], match["sha256"], saved, preserved))
    return entries or _unlisted(model_dir)


def _unlisted(model_dir: str) -> list[_Entry]:
    try:
        names = os.listdir(model_dir)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = [match for name in names if (match := _NAME.fullmatch(name))]
    found.sort(key=lambda match: int(match["step"]))
    return [
        _Entry(match[0], None, os.path.getmtime(os.path.join(model_dir, match[0])))
        for match in found
    ]


def _write_atomically(path: str, data: bytes) -> None:
    """Makes `path` hold `data`: after a crash at any instant it holds the old or the new bytes."""
    temporary = path + _TEMPORARY
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise
    # The rename itself lives in the folder, which has to reach the disk too.
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
