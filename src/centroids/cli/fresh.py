"""train --fresh: a new model in place of an old one, which is moved aside and never deleted."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import typer

from centroids.checkpoints.lock import LOCK_FILE, lock_model_dir
from centroids.estimator import load_latest
from centroids.files import sync_folder


@contextlib.contextmanager
def moved_aside(model_dir: Path) -> Iterator[Path]:
    """Frees the folder of a model for a new one; the old one stays beside it under another name.

    A folder is renamed in one step, with everything in it: whenever the process dies, the old
    model is whole under one of the two names. If the block raises before the new model is saved,
    the old one gets its name back.

    Yields:
        The new name of the old folder: MODEL_DIR.old-1, or with the next number.

    Raises:
        ModelDirBusyError: If a training run holds the folder.
        OSError: If it cannot be renamed.
    """
    folder = model_dir.resolve()  # a link stays one, and leads to the new model
    if folder == Path.cwd() or folder in Path.cwd().parents:
        raise ValueError(
            f"--fresh renames {model_dir}, but that is the folder you are in: change to another "
            "one first"
        )
    with lock_model_dir(str(folder)):
        old = _aside(folder, max(_numbers_beside(folder), default=0) + 1)
        folder.rename(old)
        with contextlib.suppress(FileNotFoundError):
            (old / LOCK_FILE).unlink()
    folder.mkdir()
    sync_folder(str(folder.parent))
    shown = old if model_dir.is_absolute() else os.path.relpath(old)
    typer.echo(f"The old model is now in {shown}; delete it when you no longer need it.")
    try:
        yield old
    except BaseException:
        if load_latest(str(folder)) is None and _remove_empty(folder):
            old.rename(folder)
            typer.echo(f"The old model is in {model_dir} again.", err=True)
        raise


def newest_aside(model_dir: Path) -> Path | None:
    """The newest of the folders that --fresh moved aside from here; None if there is none."""
    folder = model_dir.resolve()
    number = max(_numbers_beside(folder), default=0)
    return _aside(folder, number) if number else None


def _aside(folder: Path, number: int) -> Path:
    return folder.with_name(f"{folder.name}.old-{number}")


def _numbers_beside(folder: Path) -> list[int]:
    pattern = re.compile(re.escape(folder.name) + r"\.old-([1-9]\d{0,8})")
    try:
        names = os.listdir(folder.parent)
    except OSError:
        return []
    return [int(match[1]) for match in map(pattern.fullmatch, names) if match]


def _remove_empty(folder: Path) -> bool:
    """Removes a folder in which the run has left nothing; False if there is something."""
    try:
        folder.rmdir()
    except OSError:
        return False
    return True
