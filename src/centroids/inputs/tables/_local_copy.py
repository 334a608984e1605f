"""Copies on this machine of files elsewhere, for libraries that open nothing but a path."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

from centroids.progress import Activity

_PIECE_BYTES = 4 << 20


class LocalCopy:
    """A copy of a file elsewhere, which goes when nobody uses it any more.

    Attributes:
        path: The copy.

    Args:
        file: The file.

    Raises:
        ConnectionError: If the file cannot be read to its end.
        OSError: If the copy cannot be written.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        folder = tempfile.mkdtemp(prefix="centroids-")
        self._end = weakref.finalize(self, _remove, folder, os.getpid())
        self.path = Path(folder) / f"copy{file.suffix}"
        try:
            _copy(file, self.path)
        except BaseException:
            self._end()
            raise

    def say(self, text: str) -> str:
        """What a library says of the copy, about the file."""
        return text.replace(str(self.path), str(self._file))

    def __reduce__(self) -> Any:
        """Another process makes a copy of its own."""
        return local_copy, (self._file,)


def local_copy(file: Path) -> LocalCopy:
    """A copy of a file elsewhere: the one that there is, if the file has not changed since."""
    system: Any = file
    return _copy_of(file, repr(system.fs.info(system.path)))


@functools.lru_cache(maxsize=2)
def _copy_of(file: Path, version: str) -> LocalCopy:
    del version
    return LocalCopy(file)


def _copy(file: Path, into: Path) -> None:
    done = 0
    with (
        into.open("xb") as written,
        Activity(f"fetching {file.name}", file.stat().st_size or None, "bytes") as shown,
        file.open("rb") as read,
    ):
        while True:
            try:
                piece = read.read(_PIECE_BYTES)
            except Exception as error:  # of the libraries for protocols, which have no common kind
                raise ConnectionError(
                    errno.ECONNABORTED, f"its bytes stopped after {done:,}: {error}", str(file)
                ) from error
            if not piece:
                return
            written.write(piece)
            done += len(piece)
            shown.update(done)


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:  # not that of a parent
        shutil.rmtree(folder, ignore_errors=True)
