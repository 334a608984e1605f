"""The checkpoints of a model folder: which there are, which is the newest whole one, which to keep.

A folder holds `model.ckpt-<step>.safetensors` files and the text file `checkpoint`:

    model_checkpoint_path: "model.ckpt-20.safetensors"  # list sha256=...
    all_model_checkpoint_paths: "model.ckpt-10.safetensors"  # time=...
    all_model_checkpoint_paths: "model.ckpt-20.safetensors"  # time=...

which is the layout of r1.4 with comments. The checksum of the list is that of its bytes with zeros
in its own place. A checkpoint is written first, then old ones are deleted, then the list is
written: so no file is forgotten when the process dies in between. A list that TensorFlow wrote is
kept as `checkpoint.tensorflow`.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import re
import time
from dataclasses import dataclass

from centroids.checkpoint_names import (
    STATE_FILE,
    SUFFIX,
    TENSORFLOW_STATE_FILE,
    DamagedCheckpointError,
)
from centroids.estimator.checkpoint import Checkpoint, deserialize, serialize
from centroids.estimator.run_config import RunConfig
from centroids.files import remove_leftovers, write_atomically

logger = logging.getLogger(__name__)

_NAME = re.compile(r"(?P<basename>.+)-(?P<step>\d{1,18})\.safetensors")
_FIRST_LINE = re.compile(
    rb'model_checkpoint_path: "[^"/\0\n]+"(?: *# list sha256=(?P<sha256>[0-9a-f]{64}))? *(?:\n|$)'
)
_FIRST_LINE_OF_TENSORFLOW = re.compile(
    rb'model_checkpoint_path: "(?![^\n]*\.safetensors")[^\n]*"[ \t\r]*(?:\n|$)'
)
# Only names of ours count: what is listed is deleted one day.
_STATE_LINE = re.compile(
    r'all_model_checkpoint_paths: "(?P<name>[^"/\0]+-\d{1,18}\.safetensors)"(?:\s*#\s*'
    r"time=(?P<time>\d{1,15}(?:\.\d{1,9})?)(?P<preserved> preserved)?)?\s*"
)
# A training that deletes what another process is about to read: it has written a newer one.
_MAX_RACES = 100


@dataclass(frozen=True)
class _Entry:
    """One line of the state file. `preserved` files are never deleted."""

    name: str
    time: float
    preserved: bool = False

    def line(self) -> str:
        preserved = " preserved" if self.preserved else ""
        return f'all_model_checkpoint_paths: "{self.name}"  # time={self.time:.3f}{preserved}'


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Reads one checkpoint.

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
    return _read(file)


def load_latest(model_dir: str) -> Checkpoint | None:
    """Reads the latest whole checkpoint of a folder.

    A file that is missing, torn or altered is passed over with a warning that names it. Another
    process may be training into the folder.

    Args:
        model_dir: The folder; it need not exist.

    Returns:
        The checkpoint, or None when the folder has none.

    Raises:
        DamagedCheckpointError: If the folder has checkpoints but none of them is whole.
    """
    entries = _find_entries(model_dir, to_load=True)
    for _ in range(_MAX_RACES):
        problems: list[tuple[str, Exception]] = []
        for entry in reversed(entries):
            path = os.path.join(model_dir, entry.name)
            try:
                found = _read(path)
            except (OSError, DamagedCheckpointError) as error:
                problems.append((path, error))
            else:
                _warn(problems)
                return found
        earlier, entries = entries, _find_entries(model_dir, to_load=True)
        if entries == earlier:
            break
    if not entries:
        return None
    _warn(problems)
    raise DamagedCheckpointError(
        f"none of the {len(entries)} checkpoints of {model_dir} is whole, the newest is "
        f"{entries[-1].name}; restore one of them, or remove them to start anew"
    )


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
        hours = config.keep_checkpoint_every_n_hours
        self._keep_seconds = math.inf if hours is None else hours * 3600.0
        self._entries = _find_entries(directory)
        self._next_preserved = time.time() + self._keep_seconds
        remove_leftovers(directory)

    def save(self, checkpoint: Checkpoint) -> str:
        """Writes a checkpoint, deletes those that are too many, and writes the list.

        Returns:
            The path of the file.

        Raises:
            OSError: If the folder cannot be written.
        """
        os.makedirs(self.directory, exist_ok=True)
        data = serialize(checkpoint)
        name = f"{self._basename}-{checkpoint.global_step}{SUFFIX}"
        path = os.path.join(self.directory, name)
        write_atomically(path, data)
        entry = _Entry(name, time.time())
        entries = [known for known in self._entries if known.name != name]
        entries.append(entry)
        self._entries, removed = self._split(entries)
        for old in removed:
            try:
                os.remove(os.path.join(self.directory, old.name))
            except FileNotFoundError:
                continue
            except OSError as error:
                logger.warning("Cannot delete the old checkpoint %s: %s", old.name, error)
        state_file = os.path.join(self.directory, STATE_FILE)
        if _is_of_tensorflow(state_file):
            os.replace(state_file, os.path.join(self.directory, TENSORFLOW_STATE_FILE))
        write_atomically(state_file, _list_of(self._entries))
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
                kept[position] = _Entry(entry.name, entry.time, preserved=True)
            else:
                removed.append(kept.pop(position))
        return kept, removed


def _is_of_tensorflow(state_file: str) -> bool:
    try:
        with open(state_file, "rb") as file:
            return _FIRST_LINE_OF_TENSORFLOW.match(file.read()) is not None
    except OSError:
        return False


def _list_of(entries: list[_Entry]) -> bytes:
    """The bytes of the state file."""
    first = f'model_checkpoint_path: "{entries[-1].name}"  # list sha256={"0" * 64}'
    data = "\n".join([first, *(entry.line() for entry in entries), ""]).encode()
    seal = _FIRST_LINE.match(data)
    assert seal is not None
    return data.replace(seal["sha256"], hashlib.sha256(data).hexdigest().encode(), 1)


def _warn(problems: list[tuple[str, Exception]]) -> None:
    for path, error in problems:
        logger.warning("Skipping the damaged checkpoint %s: %s", path, error)


def _read(path: str) -> Checkpoint:
    with open(path, "rb") as file:
        return deserialize(file.read(), path)


def _find_entries(model_dir: str, *, to_load: bool = False) -> list[_Entry]:
    """The checkpoints of a folder, the latest last: those listed, then those not yet listed.

    Without a list that is whole, all files count, by their steps. To load one, files that the list
    has left out count too, before all others; and a warning tells of a damaged list.
    """
    try:
        listed, time_of_list = _read_list(model_dir)
    except (OSError, ValueError) as error:
        listed, time_of_list = [], 0.0
        if to_load:
            path = os.path.join(model_dir, STATE_FILE)
            logger.warning("Skipping the damaged list of checkpoints %s: %s", path, error)
    newest = _step_of(listed[-1].name) if listed else -1
    known = {entry.name for entry in listed}
    older: list[_Entry] = []
    newer: list[_Entry] = []
    for entry in _unlisted(model_dir):
        # A run that was killed between its two writes left a file that is newer than the list.
        is_newer = _step_of(entry.name) > newest and entry.time >= time_of_list
        if entry.name not in known:
            (newer if is_newer else older).append(entry)
    return [*(older if to_load else []), *listed, *newer]


def _read_list(model_dir: str) -> tuple[list[_Entry], float]:
    """The entries of the state file and when it was written; none if there is no list of ours.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is torn or altered. A list that carries no checksum is by another writer.
    """
    try:
        with open(os.path.join(model_dir, STATE_FILE), "rb") as file:
            data = file.read()
            written = os.fstat(file.fileno()).st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return [], 0.0
    if _FIRST_LINE_OF_TENSORFLOW.match(data):
        return [], 0.0
    first = _FIRST_LINE.match(data)
    if first is None:
        raise ValueError("it does not begin with model_checkpoint_path")
    if first["sha256"] is not None:
        unsealed = data.replace(first["sha256"], b"0" * 64, 1)
        if first["sha256"] != hashlib.sha256(unsealed).hexdigest().encode():
            raise ValueError(
                "it differs from the checksum in its first line (who changes it by hand removes it)"
            )
    entries = []
    for line in data[first.end() :].decode(errors="replace").splitlines():
        match = _STATE_LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"it has the line {line!r}")
        saved = float(match["time"] or 0)
        preserved = match["preserved"] is not None
        entries.append(_Entry(match["name"], saved, preserved))
    return entries, written


def _unlisted(model_dir: str) -> list[_Entry]:
    """All checkpoint files by step, each with the time of its last change."""
    try:
        names = os.listdir(model_dir or ".")
    except (FileNotFoundError, NotADirectoryError):
        return []
    entries = []
    for name in sorted(filter(_NAME.fullmatch, names), key=_step_of):
        try:
            entries.append(_Entry(name, os.path.getmtime(os.path.join(model_dir, name))))
        except FileNotFoundError:
            continue  # deleted just now by a training
    return entries


def _step_of(name: str) -> int:
    match = _NAME.fullmatch(name)
    return -1 if match is None else int(match["step"])
