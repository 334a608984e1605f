"""Files that are whole or not there."""

from __future__ import annotations

import os
import re
import threading

_TEMPORARY = re.compile(r".+\.\d+-\d+\.temporary")


def write_atomically(path: str, data: bytes) -> None:
    """Makes `path` hold `data`: after a crash at any instant it holds the old or the new bytes.

    They are written under a temporary name beside it (which ends in `.temporary` and stays behind
    only if the process is killed), synced and renamed.

    Raises:
        OSError: If the folder cannot be written; `path` is then as it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(os.path.join(folder, "list"), b"one")
    ...     os.listdir(folder)
    ['list']
    """
    # Two processes or threads may write the same file: each has a temporary name of its own.
    temporary = f"{path}.{os.getpid()}-{threading.get_ident()}.temporary"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        # A full disk does not say what it has no room for.
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = path
        if os.path.exists(temporary):
            os.remove(temporary)
        raise
    # The rename itself lives in the folder, which has to reach the disk too.
    sync_folder(os.path.dirname(path) or ".")


def remove_leftovers(folder: str) -> None:
    """Removes what `write_atomically` left in a folder when its process was killed.

    Nobody else may write there meanwhile. The folder need not exist.
    """
    try:
        names = os.listdir(folder or ".")
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in filter(_TEMPORARY.fullmatch, names):
        os.remove(os.path.join(folder, name))


def sync_folder(path: str) -> None:
    """Makes the names in a folder reach the disk."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
