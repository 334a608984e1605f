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
from centroids.inputs.arguments import check_file
from centroids.inputs.tables.location import Text, split_part
from centroids.inputs.tables.opening import find_files, is_folder, is_pattern

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
    if isinstance(path, Text):
        digest.update(path.text.encode())
    total = 0
    for each in files_of(path):
        is_local = isinstance(each, Path)
        with open_regular(each, follow_links=True) if is_local else each.open("rb") as file:
            num_bytes = file.seek(0, 2)
            last = max(num_bytes - _BLOCK_BYTES, 0)
            count = min(-(-num_bytes // _BLOCK_BYTES), _MOST_BLOCKS)
            for block in range(count):
                file.seek(last * block // max(count - 1, 1))
                digest.update(file.read(_BLOCK_BYTES))
        total += num_bytes
    return InputFile(after_step, total, digest.hexdigest())


def files_of(path: Path) -> list[Path]:
    """The files that are read; none for a query or a database."""
    if isinstance(path, Text):
        return []
    path = split_part(path)[0]
    return find_files(path) if is_folder(path) or is_pattern(path) else [path]


def num_bytes_of(path: Path) -> int:
    """The size of what is read; 0 for a query or a database, whose size is not known."""
    return sum(check_file(file).stat().st_size for file in files_of(path))


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
