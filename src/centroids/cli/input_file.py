"""Which file a run read: a run that stopped in the middle of it continues with no other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from centroids.checkpoints.checkpoint import UNKNOWN_POSITION
from centroids.estimator import Checkpoint
from centroids.files import open_regular

_BLOCK_BYTES = 1 << 18
_MOST_BLOCKS = 64


@dataclass(frozen=True)
class InputFile:
    """A file of points, by what it holds: a copy is the same, whatever its name and its times.

    Attributes:
        after_step: The step of the model at which a training run began to read it.
        num_bytes: Its size.
        digest: Of all its bytes, or, above 16 MiB, of 64 blocks spread evenly from the first to the
            last.
    """

    after_step: int
    num_bytes: int
    digest: str

    def is_same_file(self, other: InputFile) -> bool:
        """Whether both are of the same bytes."""
        return (self.num_bytes, self.digest) == (other.num_bytes, other.digest)


def identify_file(path: Path, after_step: int) -> InputFile:
    """Looks at a file that is to be read from a step of the model on.

    Raises:
        OSError: If it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    with open_regular(path, follow_links=True) as file:
        num_bytes = file.seek(0, 2)
        last = max(num_bytes - _BLOCK_BYTES, 0)
        count = min(-(-num_bytes // _BLOCK_BYTES), _MOST_BLOCKS)
        for block in range(count):
            file.seek(last * block // max(count - 1, 1))
            digest.update(file.read(_BLOCK_BYTES))
    return InputFile(after_step, num_bytes, digest.hexdigest())


def file_of_step(known: Sequence[InputFile] | None, step: int) -> InputFile | None:
    """Which file was being read when training came to a step; None if that is not known.

    Settings are written before the first checkpoint of a training run: until then, the latest
    checkpoint is of the training before it.

    >>> first, second = InputFile(0, 9, "a"), InputFile(40, 9, "b")
    >>> file_of_step([second, first], 40) == first
    True
    """
    return next((file for file in known or () if file.after_step < step), None)


def with_file(known: Sequence[InputFile] | None, new: InputFile) -> tuple[InputFile, ...]:
    """What a model keeps: the file it is to be trained with, then the one before.

    Args:
        known: What it has kept so far.
        new: The file of the training that begins.
    """
    before = [file for file in known or () if file.after_step < new.after_step]
    if before and before[0].is_same_file(new):
        return tuple(before[:2])
    return (new, *before[:1])


def check_same_file(
    path: Path,
    file: InputFile,
    known: Sequence[InputFile] | None,
    trained: Checkpoint,
    input_fn: Callable[[], Any],
) -> None:
    """Raises a ValueError where a training run would begin in the middle of another file.

    What the position itself shows (another shape, other columns) is left to the training, and
    so is a model that does not keep its file.

    Args:
        path: The file.
        file: What it holds.
        known: What the model keeps.
        trained: The checkpoint from which the training continues.
        input_fn: Makes the input of the training.
    """
    before, position = file_of_step(known, trained.global_step), trained.input_position
    if before is None or before.is_same_file(file) or position in (None, UNKNOWN_POSITION):
        return
    source = input_fn()
    try:
        source.restore(dict(position or {}))
        if trained.finished and next(iter(source), None) is None:
            return  # the other one was read to its very end: this one starts from its beginning
    except ValueError:
        return
    raise ValueError(
        f"the last run stopped in the middle of another file than {path}, or of one that has "
        "changed since: continue with the file as it was, or begin this one at its beginning with "
        "--restart-input"
    )


def passes_before(trained: Checkpoint, input_fn: Callable[[], Any]) -> int:
    """How many passes over an input an interrupted run had made; 0 if there was no such run."""
    position = trained.input_position
    if trained.finished or position is None or type(position.get("epoch")) is not int:
        return 0
    try:
        input_fn().restore(dict(position))
    except ValueError:  # the training says why
        return 0
    return int(position["epoch"])
