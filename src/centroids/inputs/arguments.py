"""Checks of the arguments that the input functions share."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from centroids.checks import check_integer
from centroids.files import check_regular


def check_num_epochs(value: object) -> int | None:
    """None (forever) or an integer of at least 1; else a ValueError."""
    if value is None:
        return None
    return check_integer("num_epochs", value, 1, " or None, which repeats forever")


def check_file(path: str | os.PathLike[str]) -> Path:
    """The path of a file that can be opened.

    Raises:
        FileNotFoundError: If there is nothing at `path`.
        IsADirectoryError: If it is a folder.
        PermissionError: If it may not be read.
        OSError: If it is a pipe or a device: a file is read several times, and from any place.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        return _check_remote(path)
    file = Path(path)
    check_regular(file)
    with file.open("rb"):
        return file


def _check_remote(file: Path) -> Path:
    """As `check_file`, for what is like a path to a remote file."""
    try:
        with file.open("rb"):
            return file
    except Exception as error:  # of the libraries for protocols, which have no common kind
        # A server that does not answer is "not found" to fsspec too: what it caught says more.
        reason = error.__cause__ if isinstance(error, FileNotFoundError) else error
        if isinstance(error, FileNotFoundError) and not isinstance(reason, OSError):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file)) from error
        raise ConnectionError(
            f"{file} cannot be read: {type(reason).__name__}: {reason}"
        ) from error
