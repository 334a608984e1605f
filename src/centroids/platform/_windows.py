"""Windows, and what else has no fcntl: less is promised there, and docs/installation.md says what.

An open file can neither be renamed nor removed, so nothing keeps one open to hold it: without
locks, what killed processes left stays, and nothing guards a folder.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

LOCKS = False
RENAMES_OPEN_FILES = False


def try_to_lock(descriptor: int) -> None:
    """Always raises: see above.

    Raises:
        OSError: Always.
    """
    raise OSError(errno.ENOLCK, "the system has no locks")


def open_descriptor(path: str, flags: int, mode: int = 0o666, *, follow_link: bool = False) -> int:
    """As `os.open`; see `_posix`. Who puts a link there between two calls is not noticed.

    Raises:
        OSError: If it cannot be opened, or is a link that must not be followed.
    """
    if not follow_link and os.path.islink(path):
        raise OSError(errno.ELOOP, "is a symbolic link", path)
    # Otherwise line ends would be translated.
    return os.open(path, flags | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0), mode)


def sync_folder(path: str) -> None:
    """Always raises: folders cannot be opened.

    Raises:
        OSError: Always.
    """
    raise OSError(errno.ENOTSUP, "no folder can be opened", path)


def after_fork_in_child(function: Callable[[], None]) -> None:
    """Does nothing: processes do not fork."""


def resident_bytes() -> int | None:
    """The memory that this process has now: not told."""
    return None


def peak_bytes() -> int | None:
    """The most memory that this process has had: not told."""
    return None
