"""The checkpoints of a model folder: which there are, which is the newest whole one, which to keep.

A folder holds `model.ckpt-<step>.safetensors` files and the text file `checkpoint`:

    model_checkpoint_path: "model.ckpt-20.safetensors"
    all_model_checkpoint_paths: "model.ckpt-10.safetensors"  # sha256=... time=...
    all_model_checkpoint_paths: "model.ckpt-20.safetensors"  # sha256=... time=...

which is the layout of r1.4 with comments. A checkpoint is written before the list is.
"""

from __future__ import annotations

import glob
import logging
import os
import re
import time
from dataclasses import dataclass

from centroids.estimator.checkpoint import (
    SUFFIX,
    Checkpoint,
    DamagedCheckpointError,
    checksum,
    deserialize,
    serialize,
)
from centroids.estimator.files import TEMPORARY, write_atomically
from centroids.estimator.run_config import RunConfig

logger = logging.getLogger(__name__)

STATE_FILE = "checkpoint"
_NAME = re.compile(r"(?P<basename>.+)-(?P<step>\d{1,18})\.safetensors")
_STATE_LINE = re.compile(
    r'all_model_checkpoint_paths: "(?P<name>[^"/\0]+)"(?:\s*#\s*sha256=(?P<sha256>[0-9a-f]{64})'
    r" time=(?P<time>\d{1,15}(?:\.\d{1,9})?)(?P<preserved> preserved)?)?\s*"
)
# A training that deletes what another process is about to read: it has written a newer one.
_MAX_RACES = 100


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
    folder, name = os.path.split(file)
    listed = {entry.name: entry.sha256 for entry in _find_entries(folder)}
    return _read(file, listed.get(name))


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
    entries = _find_entries(model_dir)
    for _ in range(_MAX_RACES):
        problems: list[tuple[str, Exception]] = []
        for entry in reversed(entries):
            path = os.path.join(model_dir, entry.name)
            try:
                found = _read(path, entry.sha256)
            except (OSError, DamagedCheckpointError) as error:
                problems.append((path, error))
            else:
                _warn(problems)
                return found
        earlier, entries = entries, _find_entries(model_dir)
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
        self._keep_seconds = config.keep_checkpoint_every_n_hours * 3600.0
        self._entries = _find_entries(directory)
        self._next_preserved = time.time() + self._keep_seconds
        # A run that was killed while it wrote leaves these.
        for name in (f"{basename}-*{SUFFIX}", STATE_FILE):
            pattern = os.path.join(glob.escape(directory), f"{name}.*{TEMPORARY}")
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
        write_atomically(path, data)
        entry = _Entry(name, checksum(data), time.time())
        entries = [known for known in self._entries if known.name != name]
        entries.append(entry)
        self._entries, removed = self._split(entries)
        lines = [f'model_checkpoint_path: "{name}"', *(known.line() for known in self._entries)]
        state = "\n".join(lines) + "\n"
        write_atomically(os.path.join(self.directory, STATE_FILE), state.encode())
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


def _warn(problems: list[tuple[str, Exception]]) -> None:
    for path, error in problems:
        logger.warning("Skipping the damaged checkpoint %s: %s", path, error)


def _read(path: str, sha256: str | None) -> Checkpoint:
    with open(path, "rb") as file:
        data = file.read()
    if sha256 is not None and checksum(data) != sha256:
        raise DamagedCheckpointError(
            f"{path} differs from the checksum in {STATE_FILE!r}: it is torn or was altered"
        )
    return deserialize(data, path)


def _find_entries(model_dir: str) -> list[_Entry]:
    """The checkpoints of a folder, the latest last: those listed, then those not yet listed.

    Without a list that can be read, all files count, by their steps.
    """
    listed, time_of_list = _read_list(model_dir)
    newest = _step_of(listed[-1].name) if listed else -1
    known = {entry.name for entry in listed}
    # A run that was killed between its two writes left a file that is newer than the list.
    unlisted = [
        entry
        for entry in _unlisted(model_dir)
        if entry.name not in known and _step_of(entry.name) > newest and entry.time >= time_of_list
    ]
    return listed + unlisted


def _read_list(model_dir: str) -> tuple[list[_Entry], float]:
    """The entries of the state file and when it was written; nothing if it cannot be read."""
    try:
        with open(os.path.join(model_dir, STATE_FILE), encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
            written = os.fstat(file.fileno()).st_mtime
    except OSError:
        return [], 0.0
    entries = []
    for line in lines:
        match = _STATE_LINE.fullmatch(line)
        if match:
            saved = float(match["time"] or 0)
            preserved = match["preserved"] is not None
            entries.append(_Entry(match["name"], match["sha256"], saved, preserved))
    return entries, written if entries else 0.0


def _unlisted(model_dir: str) -> list[_Entry]:
    """All checkpoint files by step, each with the time of its last change."""
    try:
        names = os.listdir(model_dir or ".")
    except (FileNotFoundError, NotADirectoryError):
        return []
    entries = []
    for name in sorted(filter(_NAME.fullmatch, names), key=_step_of):
        try:
            entries.append(_Entry(name, None, os.path.getmtime(os.path.join(model_dir, name))))
        except FileNotFoundError:
            continue  # deleted just now by a training
    return entries


def _step_of(name: str) -> int:
    match = _NAME.fullmatch(name)
    return -1 if match is None else int(match["step"])
