"""Checks of the arguments that the input functions share."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, cast

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


class _NoPartsError(Exception):
    """A server sends a file as a whole only."""


def _check_sends_parts(file: Path) -> None:
    # Told here: a small file could be read, and a large one only up to where its window ends.
    with cast("Any", file).open("rb", cache_type="none") as handle:
        if (handle.size or 0) > 1:
            try:
                handle.seek(1)
                handle.read(1)
            except ValueError as error:
                raise _NoPartsError from error


def _check_remote(file: Path) -> Path:
    """As `check_file`, for what is like a path to a remote file."""
    try:
        with file.open("rb"):
            pass
        if getattr(file, "protocol", "") in ("http", "https"):
            _check_sends_parts(file)
        return file
    except _NoPartsError as error:
        raise ConnectionError(
            f"{file} cannot be read: its server does not send parts of a file; download it first"
        ) from error
    except Exception as error:  # of the libraries for protocols, which have no common kind
        # A server that does not answer is "not found" to fsspec too: what it caught says more.
        reason = error.__cause__ if isinstance(error, FileNotFoundError) else error
        if isinstance(error, FileNotFoundError) and not isinstance(reason, OSError):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file)) from error
        raise ConnectionError(
            f"{file} cannot be read: {type(reason).__name__}: {reason}"
        ) from error
