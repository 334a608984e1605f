"""Which files of a model folder are whole, and which are damaged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

import numpy as np

from centroids.checkpoints._listing import Entry, read_list
from centroids.checkpoints.checkpoint import UNKNOWN_POSITION, Checkpoint, restore_random_state
from centroids.checkpoints.folder import find_entries, read_entry
from centroids.checkpoints.names import STATE_FILE, NewerCheckpointError
from centroids.checkpoints.tensorflow import (
    list_tensorflow_checkpoints,
    open_tensorflow_checkpoint,
)
from centroids.crc32c import (
    RECORD_FOOTER_BYTES,
    RECORD_HEADER_BYTES,
    is_record,
    record_length,
)
from centroids.files import open_regular

_EVENTS = ".tfevents."
_MAX_RACES = 100


class Condition(StrEnum):
    """What a file is like."""

    WHOLE = "whole"
    CUT_OFF = "cut off"  # as a killed process leaves what it only ever appends to
    DAMAGED = "damaged"
    MISSING = "missing"
    NEWER = "newer"


@dataclass(frozen=True)
class Verdict:
    """What was found out about one file.

    Attributes:
        name: Its path in the folder.
        condition: What it is like.
        detail: What it holds, or what is wrong with it.
        step: The step of a whole checkpoint.
    """

    name: str
    condition: Condition
    detail: str
    step: int | None = None

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong: it is whole, or only lacks what was being written."""
        return self.condition in (Condition.WHOLE, Condition.CUT_OFF)


def verify_model_dir(
    model_dir: str, check: Callable[[Checkpoint], None] | None = None
) -> list[Verdict]:
    """Reads all of a model folder: the list, each checkpoint, what TensorFlow wrote, event files.

    Nothing is changed, and a training run may continue meanwhile.

    Args:
        model_dir: The folder.
        check: Called with each whole checkpoint; raises a ValueError if it is of no use.

    Returns:
        A verdict on each file, checkpoints from the oldest to the latest; none if the folder holds
        nothing of a model.

    Raises:
        FileNotFoundError: If there is no folder.
        NotADirectoryError: If it is a file.
        OSError: If it cannot be read.

    >>> import tempfile
    >>> import numpy as np
    >>> from centroids.estimator import Saver
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Saver(folder, "model.ckpt").save(
    ...         Checkpoint({"global_step": np.array(3)})
    ...     )
    ...     [(verdict.name, str(verdict.condition)) for verdict in verify_model_dir(folder)]
    [('checkpoint', 'whole'), ('model.ckpt-3.safetensors', 'whole')]
    """
    os.listdir(model_dir)  # raises an error for anything but a folder
    return [
        *_verify_checkpoints(model_dir, check),
        *_verify_tensorflow(model_dir),
        *_verify_events(model_dir),
    ]


def _verify_checkpoints(
    model_dir: str, check: Callable[[Checkpoint], None] | None
) -> list[Verdict]:
    for _ in range(_MAX_RACES):
        entries = find_entries(model_dir, warn=False)
        verdicts = [_verify_checkpoint(model_dir, entry, check) for entry in entries]
        if entries == find_entries(model_dir, warn=False):
            break  # else a training run has deleted some of them meanwhile
    try:
        listed = {entry.name for entry in read_list(model_dir)[0]}
    except (OSError, ValueError) as error:
        return [Verdict(STATE_FILE, Condition.DAMAGED, str(error)), *verdicts]
    if not listed:
        return verdicts
    if verdicts and verdicts[-1].name not in listed and verdicts[-1].is_good:
        # A process that was killed between its two writes has deleted what the next list lacks.
        verdicts = [one for one in verdicts if one.condition is not Condition.MISSING]
    return [Verdict(STATE_FILE, Condition.WHOLE, f"names {len(listed)} checkpoints"), *verdicts]


def _verify_checkpoint(
    model_dir: str, entry: Entry, check: Callable[[Checkpoint], None] | None
) -> Verdict:
    try:
        found = read_entry(model_dir, entry)
        restore_random_state(np.random.default_rng(), found)
        _check_position(found)
        if check is not None:
            check(found)
    except NewerCheckpointError as error:
        return Verdict(entry.name, Condition.NEWER, str(error))
    except FileNotFoundError:
        return Verdict(entry.name, Condition.MISSING, f"the list {STATE_FILE!r} names it")
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Verdict(entry.name, Condition.DAMAGED, told)
    kept = ", kept for good" if entry.preserved else ""
    detail = f"step {found.global_step:,}, {len(found.variables)} variables, {_place(found)}{kept}"
    return Verdict(entry.name, Condition.WHOLE, detail, found.global_step)


def _check_position(found: Checkpoint) -> None:
    """Checks what every source of ours would refuse; only the input can tell whether it fits."""
    position = found.input_position or {}
    epoch = position.get("epoch", 0)
    if isinstance(position.get("source"), str) and (type(epoch) is not int or epoch < 0):
        raise ValueError(f"its position has the epoch {epoch!r}")


def _place(found: Checkpoint) -> str:
    """Where the input is to continue, in words."""
    position = found.input_position
    if position is None:
        return "at the beginning of its input"
    if position == UNKNOWN_POSITION:
        return "within an input that has no position"
    source, epoch = position.get("source"), position.get("epoch")
    within = "" if not isinstance(source, str) else f" over its {source} input"
    return f"in pass {epoch + 1}{within}" if isinstance(epoch, int) else f"at a position{within}"


def _verify_tensorflow(model_dir: str) -> Iterator[Verdict]:
    for prefix in list_tensorflow_checkpoints(model_dir):
        name = os.path.basename(prefix) + ".index"
        try:
            found = open_tensorflow_checkpoint(prefix)
            readable = [
                variable
                for variable, described in found.variables.items()
                if not described.sliced and described.dtype is not None
            ]
            for variable in readable:
                found.read(variable)
        except (OSError, ValueError) as error:
            yield Verdict(name, Condition.DAMAGED, str(error))
        else:
            yield Verdict(name, Condition.WHOLE, f"of TensorFlow, {len(readable)} variables")


def _verify_events(model_dir: str) -> Iterator[Verdict]:
    """The event files of the folder and of the evaluations in it."""
    names = sorted(os.listdir(model_dir))
    paths = [os.path.join(model_dir, name) for name in names if _EVENTS in name]
    for name in filter(_is_evaluation, names):
        top = os.path.join(model_dir, name)
        if os.path.islink(top) or not os.path.isdir(top):
            continue
        # The name of an evaluation may have slashes.
        for folder, below, files in os.walk(top, onerror=_raise):
            below.sort()
            paths.extend(os.path.join(folder, file) for file in sorted(files) if _EVENTS in file)
    for path in paths:
        yield _verify_event_file(os.path.relpath(path, model_dir), path)


def _raise(error: OSError) -> None:
    raise error


def _is_evaluation(name: str) -> bool:
    return name == "eval" or name.startswith("eval_")


def _verify_event_file(name: str, path: str) -> Verdict:
    records = 0
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            while file.tell() < size:
                if not _check_record(file, size):
                    detail = f"{records:,} whole records, and a part of one"
                    return Verdict(name, Condition.CUT_OFF, detail)
                records += 1
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Verdict(name, Condition.DAMAGED, f"{told}, after {records:,} whole records")
    return Verdict(name, Condition.WHOLE, f"{records:,} records")


def _check_record(file: BinaryIO, size: int) -> bool:
    """Reads a record.

    Returns:
        False if the file ends within the record.

    Raises:
        ValueError: If a checksum differs.
    """
    header = file.read(RECORD_HEADER_BYTES)
    if len(header) < RECORD_HEADER_BYTES:
        return False
    length = record_length(header)
    if length is None:
        raise ValueError("the length of a record differs from its checksum")
    if file.tell() + length + RECORD_FOOTER_BYTES > size:
        return False
    if not is_record(file.read(length), file.read(RECORD_FOOTER_BYTES)):
        raise ValueError("a record differs from its checksum")
    return True
