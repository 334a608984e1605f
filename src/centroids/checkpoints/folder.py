"""The checkpoints of a model folder: which there are, which whole one is the newest, which to keep.

A folder holds `model.ckpt-<step>.safetensors` files and the list `checkpoint`, whose layout is in
_listing.py. A checkpoint is written first, then old ones are deleted, then the list is written: so
no file is forgotten when the process dies in between. Only what the list names is ever deleted. A
list that TensorFlow wrote is kept as `checkpoint.tensorflow`, and a damaged one as
`checkpoint.damaged`, or with -2, -3 and so on if the name is taken.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import time
from dataclasses import replace

import numpy as np

from centroids.checkpoints._listing import (
    Entry,
    ForeignListError,
    check_list,
    list_of,
    read_list,
    set_aside,
)
from centroids.checkpoints.checkpoint import (
    Checkpoint,
    deserialize,
    read_bytes,
    serialize,
    wrote,
)
from centroids.checkpoints.names import STATE_FILE, SUFFIX, DamagedCheckpointError
from centroids.files import absolute, make_folders, open_regular, remove_leftovers, write_atomically

logger = logging.getLogger(__name__)

DEFAULT_BASENAME = "model.ckpt"
_NAME = re.compile(r"(?P<basename>.+)-(?P<step>\d{1,18})\.safetensors", re.DOTALL)
# A training run that deletes what another process is about to read: it has written a newer one.
_MAX_RACES = 100


def check_basename(basename: object) -> str:
    """Returns the first part of the names of checkpoints, which the list has to hold.

    Raises:
        ValueError: If it is empty, not a string, or has quotes, slashes or characters that cannot
            be printed.
    """
    if not isinstance(basename, str) or not _can_be_listed(basename):
        raise ValueError(
            "checkpoint_basename must be a name of printable characters without quotes and "
            f"slashes, got {basename!r}"
        )
    return basename


def _can_be_listed(basename: str) -> bool:
    return bool(basename) and basename.isprintable() and not set(basename) & {'"', "/", os.sep}


def read_checkpoint(path: str | os.PathLike[str], known: Checkpoint | None = None) -> Checkpoint:
    """Reads one checkpoint.

    Args:
        path: The file, with or without the ending `.safetensors`.
        known: One that was read before; see `load_latest`.

    Raises:
        ValueError: If there is no such file.
        DamagedCheckpointError: If it is torn or altered; a ValueError too.
        NewerCheckpointError: If a newer version wrote it; a ValueError too.
    """
    text = os.fspath(path)
    if not text:
        raise ValueError("Could not find trained model: checkpoint_path is empty")
    file = text if text.endswith(SUFFIX) else text + SUFFIX
    if not os.path.isfile(file):
        raise ValueError(f"Could not find trained model in checkpoint_path: {file} is not a file")
    return _read(file, known, follow_links=True)  # the caller has named it


def load_latest(model_dir: str, known: Checkpoint | None = None) -> Checkpoint | None:
    """Reads the latest whole checkpoint of a folder.

    A file that is missing, torn or altered is skipped with a warning that names it. Another process
    may be training into the folder.

    Args:
        model_dir: The folder; it need not exist.
        known: One that was read before. If it is the latest, and its file has not changed, it is
            copied and not read again.

    Returns:
        The checkpoint, or None when the folder has none.

    Raises:
        DamagedCheckpointError: If the folder has checkpoints but none of them is whole.
        NewerCheckpointError: If a newer version of this package wrote the latest.
    """
    entries = find_entries(model_dir)
    for _ in range(_MAX_RACES):
        problems: list[tuple[str, Exception]] = []
        for entry in reversed(entries):
            path = os.path.join(model_dir, entry.name)
            try:
                found = _read(path, known)
            except (OSError, DamagedCheckpointError) as error:
                problems.append((path, error))
            else:
                _warn(problems)
                return found
        earlier, entries = entries, find_entries(model_dir)
        if entries == earlier:
            break
    if not entries:
        return None
    path, problem = problems[0]
    raise DamagedCheckpointError(
        f"none of the {len(entries)} checkpoints of {model_dir} is whole; the newest is "
        f"{entries[-1].name}{_reason(path, problem)}; restore one of them, or remove them to start "
        "over"
    )


def latest_checkpoint(model_dir: str) -> str | None:
    """Returns the path of the checkpoint that `load_latest` reads, or None."""
    checkpoint = load_latest(model_dir)
    return None if checkpoint is None else checkpoint.path


class Saver:
    """Writes the checkpoints of one folder and deletes those in excess.

    Args:
        directory: The folder; created when needed.
        basename: Files are called `<basename>-<step>.safetensors`.
        keep_checkpoint_max: How many to keep; 0 or None for all.
        keep_checkpoint_every_n_hours: Each time this many hours have passed, one is kept for good;
            None: never.

    Raises:
        ValueError: If the list cannot hold `basename`.
        IsADirectoryError: If a folder has the name of the list.
    """

    def __init__(
        self,
        directory: str,
        basename: str,
        keep_checkpoint_max: int | None = 5,
        keep_checkpoint_every_n_hours: float | None = 10000,
    ) -> None:
        self.directory = absolute(directory)
        check_list(self.directory)
        self._basename = check_basename(basename)
        self._keep_max = keep_checkpoint_max or None
        hours = keep_checkpoint_every_n_hours
        self._keep_seconds = math.inf if hours is None else hours * 3600.0
        self._entries = _entries_to_keep(directory, basename)
        self._next_preserved = time.time() + self._keep_seconds
        names = rf"{re.escape(basename)}-\d{{1,18}}\.safetensors"
        remove_leftovers(directory, f"{STATE_FILE}|{names}")

    def save(self, checkpoint: Checkpoint) -> str:
        """Writes a checkpoint, deletes those in excess, and writes the list.

        Returns:
            The path of the file.

        Raises:
            OSError: If the folder cannot be written.
        """
        make_folders(self.directory)
        data = serialize(checkpoint)
        name = f"{self._basename}-{checkpoint.global_step}{SUFFIX}"
        path = os.path.join(self.directory, name)
        write_atomically(path, data)
        entry = Entry(name, time.time())
        entries = [known for known in self._entries if known.name != name]
        entries.append(entry)
        self._entries, removed = self._split(entries)
        for old in removed:
            self._delete(old.name)
        set_aside(self.directory)
        write_atomically(os.path.join(self.directory, STATE_FILE), list_of(self._entries))
        return path

    def _delete(self, name: str) -> None:
        path = os.path.join(self.directory, name)
        # Versions before the first release took files of other programs into their lists.
        if _basename_of(name) not in (self._basename, DEFAULT_BASENAME) and not _is_ours(path):
            return
        try:
            os.remove(path)
        except FileNotFoundError:
            return
        except OSError as error:
            logger.warning("Cannot delete the old checkpoint %s: %s", name, error)

    def _split(self, entries: list[Entry]) -> tuple[list[Entry], list[Entry]]:
        """Returns the entries to keep and those to delete."""
        rotating = [entry for entry in entries if not entry.preserved]
        excess = len(rotating) - self._keep_max if self._keep_max is not None else 0
        kept, removed = list(entries), []
        for entry in rotating[: max(excess, 0)]:
            position = kept.index(entry)
            if entry.time > self._next_preserved:
                self._next_preserved += self._keep_seconds
                kept[position] = replace(entry, preserved=True)
            else:
                removed.append(kept.pop(position))
        return kept, removed


def remove_beginning(directory: str, before: set[str]) -> None:
    """Removes the files of a run of this process that made no step, as far as possible.

    Its list goes first: a checkpoint without a list is found, a list without one is damage.

    Args:
        directory: The folder, in which there was no checkpoint.
        before: The names that were there before; they stay.
    """
    if STATE_FILE in before:
        return
    with contextlib.suppress(OSError, ValueError):
        listed, _ = read_list(directory)
        names = [entry.name for entry in listed]
        ours = re.compile(rf"events\.out\.tfevents\.\d+\.\d+\..*\.{os.getpid()}\.\d+", re.DOTALL)
        events = filter(ours.fullmatch, os.listdir(directory))
        for name in [STATE_FILE, *names, *events]:
            if name not in before and (name not in names or _step_of(name) == 0):
                os.remove(os.path.join(directory, name))


def _warn(problems: list[tuple[str, Exception]]) -> None:
    for path, error in problems:
        logger.warning("Skipping the damaged checkpoint %s%s", path, _reason(path, error))


def _reason(path: str, error: Exception) -> str:
    """Why a checkpoint cannot be used, after its name."""
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f", which {told.removeprefix(path).strip()}" if told.startswith(path) else f": {told}"


def _read(path: str, known: Checkpoint | None = None, *, follow_links: bool = False) -> Checkpoint:
    with open_regular(path, follow_links=follow_links) as file:
        now = os.fstat(file.fileno())
        stamp = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
        if known is not None and known.stamp == stamp:
            # A model may change its arrays in place.
            copies = {name: np.array(value) for name, value in known.variables.items()}
            return replace(known, variables=copies, path=path)
        return replace(deserialize(read_bytes(file, path), path), stamp=stamp)


def read_entry(model_dir: str, entry: Entry) -> Checkpoint:
    """Reads one of `find_entries`.

    Raises:
        DamagedCheckpointError: If it is torn or altered.
        NewerCheckpointError: If a newer version wrote it.
        OSError: If it cannot be read, is gone, or is not a regular file.
    """
    return _read(os.path.join(model_dir, entry.name))


def find_entries(model_dir: str, *, warn: bool = True) -> list[Entry]:
    """The checkpoints of a folder, the latest last: those listed, then those not yet listed.

    Files that the list left out come before all others. Without a whole list, all files count, by
    their steps, and a warning names the damaged list.

    Args:
        model_dir: The folder; it need not exist.
        warn: Whether to log it.
    """
    lost = False
    try:
        listed, time_of_list = read_list(model_dir)
    except (OSError, ValueError) as error:
        # Without a list of ours, a torn file of an unknown name is not ours either.
        listed, time_of_list, lost = [], 0.0, not isinstance(error, ForeignListError)
        if warn:
            path = os.path.join(model_dir, STATE_FILE)
            logger.warning("Skipping the damaged list of checkpoints %s: %s", path, error)
    newest = _step_of(listed[-1].name) if listed else -1
    older: list[Entry] = []
    newer: list[Entry] = []
    for entry in _unlisted(model_dir, listed, or_damaged=lost):
        # A run that was killed between its two writes left a file that is newer than the list.
        is_newer = _step_of(entry.name) > newest and entry.time >= time_of_list
        (newer if is_newer else older).append(entry)
    return [*older, *listed, *newer]


def _entries_to_keep(model_dir: str, basename: str) -> list[Entry]:
    """What the next list begins with: the entries of the present one.

    If that is lost, nothing says which checkpoints were to be kept: all are, for good.
    """
    try:
        listed, _ = read_list(model_dir)
    except (OSError, ValueError):
        listed = []
    if listed:
        return listed
    found = [
        replace(entry, preserved=True) for entry in _unlisted(model_dir, [], basename=basename)
    ]
    if len(found) > 1:
        logger.warning(
            "The list of the checkpoints of %s is missing or damaged: the %d that are there are "
            "kept until you delete them",
            model_dir,
            len(found),
        )
    return found


def _unlisted(
    model_dir: str, listed: list[Entry], *, basename: str | None = None, or_damaged: bool = False
) -> list[Entry]:
    """All checkpoints that are not listed, by step, each with the time of its last change.

    Files of other programs have such names too: ours are recognised by the first part of the name,
    or else by their first bytes.

    Args:
        model_dir: The folder.
        listed: What its list names.
        basename: Another first part of ours.
        or_damaged: Whether a file that has no whole head counts, because it may be ours.
    """
    known = {entry.name for entry in listed}
    basenames = {DEFAULT_BASENAME, basename, *(_basename_of(name) for name in known)}
    entries = []
    for name in sorted(set(_names_in(model_dir)) - known, key=_step_of):
        path = os.path.join(model_dir, name)
        try:
            time_of_change = os.lstat(path).st_mtime
        except OSError:
            continue  # deleted just now by a training run
        if _basename_of(name) in basenames or _is_ours(path, or_damaged):
            entries.append(Entry(name, time_of_change))
    return entries


def _names_in(model_dir: str) -> list[str]:
    """The names that checkpoints of ours can have."""
    try:
        names = os.listdir(model_dir or ".")
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in names if _can_be_listed(_basename_of(name) or "")]


def _is_ours(path: str, or_damaged: bool = False) -> bool:
    try:
        with open_regular(path) as file:
            return wrote(file, path)
    except (OSError, DamagedCheckpointError):
        return or_damaged


def _basename_of(name: str) -> str | None:
    match = _NAME.fullmatch(name)
    return None if match is None else match["basename"]


def _step_of(name: str) -> int:
    match = _NAME.fullmatch(name)
    return -1 if match is None else int(match["step"])
