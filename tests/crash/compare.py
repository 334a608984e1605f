"""What is compared between an interrupted training and the uninterrupted one."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from centroids.estimator import Checkpoint, load_latest

_FOR_TENSORBOARD = re.compile(r"tfevents|projector_config\.pbtxt$|\.tsv$")
_CHECKPOINT = re.compile(r"model\.ckpt-\d+\.safetensors")


class CrashFailure(Exception):
    """What was promised and is not so."""


def load(model_dir: Path) -> Checkpoint:
    """Loads the newest checkpoint; there must be one."""
    checkpoint = load_latest(str(model_dir))
    if checkpoint is None:
        raise CrashFailure(f"{model_dir} has no checkpoint")
    return checkpoint


def load_quietly(model_dir: Path) -> Checkpoint | None:
    """Loads the newest checkpoint where nothing may be damaged: there must be no warning."""
    warnings: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warnings.append(record.getMessage())

    logger, handler = logging.getLogger("centroids"), Handler()
    logger.addHandler(handler)
    try:
        checkpoint = load_latest(str(model_dir))
    finally:
        logger.removeHandler(handler)
    if warnings:
        raise CrashFailure(f"files are damaged: {warnings}")
    return checkpoint


def names_of_checkpoints(model_dir: Path) -> list[str]:
    """The paths of all files but those for TensorBoard."""
    files = [path.relative_to(model_dir) for path in model_dir.rglob("*") if path.is_file()]
    return sorted(str(path) for path in files if not _FOR_TENSORBOARD.search(path.name))


def check_names_of_some(names: list[str], expected: list[str], keep: int) -> None:
    """Checks the files of a run that was interrupted, or whose checkpoints are asynchronous.

    Which of them are written depends on the signals and on the disk, but for the last.

    Args:
        names: Those of its files.
        expected: Those of a run that waited for the disk.
        keep: How many checkpoints are kept.

    Raises:
        CrashFailure: If there are more checkpoints than are kept, if the last one is missing, or
            other files are missing or too many.
    """
    ours, theirs = (set(filter(_CHECKPOINT.fullmatch, those)) for those in (names, expected))
    last = max(theirs, key=lambda name: (len(name), name))
    if len(ours) > keep or last not in ours or set(names) - ours != set(expected) - theirs:
        raise CrashFailure(f"the files are {names}, and those of another run {expected}")


def content_of(data: bytes | None) -> object:
    """What a checkpoint file holds, by the library of safetensors; None if it cannot read it.

    The checksum of its bytes is left out, and so is where and how things stand in it.
    """
    if data is None:
        return None
    try:
        arrays = load_safetensors(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata = json.loads(header["__metadata__"]["centroids"])
        del metadata["sha256"]
    except (SafetensorError, LookupError, TypeError, ValueError):
        return None
    bits = {name: (str(a.dtype), a.shape, a.tobytes()) for name, a in arrays.items()}
    return metadata, bits


def differences(left: Checkpoint, right: Checkpoint) -> list[str]:
    """What differs between two checkpoints: the names of variables (to the bit) and other parts."""
    names = {*left.variables, *right.variables}
    different = [name for name in sorted(names) if _bits(left, name) != _bits(right, name)]
    for entry in dataclasses.fields(Checkpoint):
        if entry.name in ("variables", "path", "stamp"):
            continue
        if getattr(left, entry.name) != getattr(right, entry.name):
            different.append(entry.name)
    return different


def _bits(checkpoint: Checkpoint, name: str) -> object:
    value = checkpoint.variables.get(name)
    return None if value is None else (value.dtype.str, value.shape, value.tobytes())
