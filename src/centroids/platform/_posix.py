"""Linux and macOS."""

from __future__ import annotations

import fcntl
import os
import resource
import sys
from collections.abc import Callable

LOCKS = True  # whether there are any; a file system may still have none
RENAMES_OPEN_FILES = True


def try_to_lock(descriptor: int) -> None:
    """Locks an open file or folder until its last descriptor is closed; may be called again.

    The locks are those of flock. (One of fcntl is dropped when its process closes any descriptor
    of the file, as a backup of the folder by a hook does.)

    Raises:
        BlockingIOError: If another process or descriptor has it.
        OSError: If the file system has no locks.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def open_descriptor(path: str, flags: int, mode: int = 0o666, *, follow_link: bool = False) -> int:
    """As `os.open`, but waits for nobody: a named pipe without a writer is opened, too.

    Args:
        path: The file.
        flags: As for `os.open`.
        mode: As for `os.open`.
        follow_link: Whether the last part of the path may be a symbolic link.

    Raises:
        OSError: If it cannot be opened; the error number is ELOOP (EMLINK on some systems) if it
            is a link that must not be followed.
    """
    flags |= os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_link else os.O_NOFOLLOW)
    return os.open(path, flags, mode)


def sync_folder(path: str) -> None:
    """Makes the names in a folder reach the disk.

    Raises:
        PermissionError: If it may be written but not read.
        OSError: If the file system cannot do so, or the disk fails.
    """
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def after_fork_in_child(function: Callable[[], None]) -> None:
    """Has a function called in each process that this one forks."""
    os.register_at_fork(after_in_child=function)


def resident_bytes() -> int | None:
    """The memory that this process has now; None where that cannot be told (macOS)."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def peak_bytes() -> int | None:
    """The most memory that this process has had; None where that cannot be told."""
    most = int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return most if sys.platform == "darwin" else most * 1024
