"""Output that is written part by part, and can be continued after its process has died.

Beside `labels.npy` stand, until it is whole,

    labels.npy.centroids-partial    what has been written of it
    labels.npy.centroids-journal    JSON: of which work it is, how much of it counts, and where the
                                    input stood after that

The journal is replaced, whole or not at all, after the bytes that it vouches for have reached the
disk; a process that continues cuts off the bytes behind them. So it is never ahead of the partial
file, and an older one is as good as the newest. It is removed, and that has reached the disk,
before other work is written into the partial file. A process that writes holds a lock on the
partial file.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import logging
import os
import re
import stat
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeAlias

from centroids import platform
from centroids.errors import WordedError
from centroids.files import (
    holding,
    put_in_place,
    read_regular,
    remove_leftovers,
    sync_folder,
    write_atomically,
)
from centroids.inputs.batch import Position

logger = logging.getLogger(__name__)

# What somebody wants to have written: values of JSON by what messages call them.
Work: TypeAlias = Mapping[str, Any]

_PARTIAL, _JOURNAL = ".centroids-partial", ".centroids-journal"
_FORMAT = 1
_MAX_JOURNAL_BYTES = 1 << 26
_CHUNK_BYTES = 1 << 20
_SECONDS_BETWEEN_SAVES = 1.0
_SAVING_SHARE = 0.03  # of the time at most, where the disk is slow
_MANY = 100  # writers that end just now, one after another


class OtherWorkError(WordedError):
    """What is unfinished belongs to other work than what is wanted now."""


class DamagedJournalError(ValueError):
    """A journal, or the partial file that it is about, is not as it was written."""


@dataclass(frozen=True)
class Progress:
    """How far the output is.

    Attributes:
        rows: The rows that have been written.
        first_byte: Where they begin; the bytes before them are written at the end.
        num_bytes: Where they end.
        checksum: The CRC-32 of their bytes.
        layout: What one must know of the rows to write more of them.
        position: Where the input stood after them.
    """

    rows: int = 0
    first_byte: int = 0
    num_bytes: int = 0
    checksum: int = 0
    layout: Mapping[str, Any] | None = None
    position: Position | None = None


@dataclass(frozen=True)
class Journal:
    """What a journal says.

    Attributes:
        work: What is being written.
        progress: How far it is.
    """

    work: Work
    progress: Progress


class UnfinishedFile:
    """A file that is being written; a context manager that locks it.

    Attributes:
        partial: The path of the partial file.
        progress: How far it is.
        saved: How far it is according to the journal; None if there is none.

    Args:
        output: Where the file is to be when it is whole.

    Raises:
        OSError: If it cannot be written, if another process writes it, or if the partial file is a
            link or no file; it names `output` or what is in the way.
    """

    def __init__(self, output: Path) -> None:
        self.partial = f"{output}{_PARTIAL}"
        self.progress = Progress()
        self.saved: Progress | None = None
        self._output, self._journal = str(output), f"{output}{_JOURNAL}"
        self._folder = os.path.dirname(self._output) or "."
        self._seconds = 0.0
        self._saved_at = time.monotonic()
        self._told = False

    def __enter__(self) -> Self:
        """Opens and locks the partial file, which is made if there is none."""
        names = re.escape(os.path.basename(self._output))
        with contextlib.ExitStack() as stack:
            self._file = self._open(stack)
            remove_leftovers(self._folder, f"{names}(?:{re.escape(_JOURNAL)})?")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        """Closes it."""
        self._stack.close()

    def read_journal(self) -> Journal | None:
        """Reads the journal of an interrupted process; None if there is nothing to continue with.

        That is so, too, if the process died after it had put the file in its place.

        Raises:
            DamagedJournalError: If it is damaged.
            OtherWorkError: If it is of a newer version.
            OSError: If it cannot be read, or is a link or no file.
        """
        if os.fstat(self._file.fileno()).st_size == 0:
            return None
        try:
            data = read_regular(self._journal, _MAX_JOURNAL_BYTES)
        except FileNotFoundError:
            return None
        try:
            content, checksum = _parse(data)
            if content["format"] > _FORMAT:
                raise OtherWorkError(
                    f"{self._journal} was written by a newer version of centroids; continue with it"
                )
            if checksum != _checksum(content):
                raise ValueError
            return Journal(content["work"], Progress(**content["progress"]))
        except OtherWorkError:
            raise
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DamagedJournalError(f"{self._journal} is damaged") from None

    def begin(self) -> None:
        """Starts from the beginning; what is there is lost."""
        if os.path.lexists(self._journal):
            os.unlink(self._journal)
            sync_folder(self._folder)  # it must not come back, beside other bytes
        self._file.truncate(0)
        self.progress, self.saved = Progress(), None

    def go_on(self, progress: Progress) -> None:
        """Continues after the bytes that a journal vouches for.

        Raises:
            DamagedJournalError: If they are not there, or have changed.
        """
        self._file.seek(progress.first_byte)
        left, checksum = progress.num_bytes - progress.first_byte, 0
        while left > 0 and (data := self._file.read(min(left, _CHUNK_BYTES))):
            checksum = zlib.crc32(data, checksum)
            left -= len(data)
        if left or checksum != progress.checksum:
            raise DamagedJournalError(f"{self.partial} is damaged")
        self._file.truncate(progress.num_bytes)
        self.progress = self.saved = progress

    def lay_out(self, layout: Mapping[str, Any], first_byte: int) -> None:
        """Says what the rows look like, before the first of them.

        Args:
            layout: What one must know of the rows to write more of them.
            first_byte: Where they begin.
        """
        self.progress = Progress(first_byte=first_byte, num_bytes=first_byte, layout=layout)

    def append(self, data: bytes | memoryview, rows: int, position: Position | None) -> None:
        """Writes rows behind those that are there.

        Args:
            data: Their bytes.
            rows: How many they are.
            position: Where the input stands after them.
        """
        before = self.progress
        self._write(before.num_bytes, data)
        # At once, or not at all where an interrupt comes.
        self.progress = replace(
            before,
            rows=before.rows + rows,
            num_bytes=before.num_bytes + memoryview(data).nbytes,
            checksum=zlib.crc32(data, before.checksum),
            position=position,
        )

    def save_now_and_then(self, work: Callable[[], Work]) -> None:
        """Saves if the last save is long enough ago.

        Args:
            work: Says what is being written.
        """
        pause = max(_SECONDS_BETWEEN_SAVES, self._seconds / _SAVING_SHARE)
        if time.monotonic() - self._saved_at >= pause:
            self.save(work())

    def save(self, work: Work) -> None:
        """Syncs what was written to the disk, then the journal that vouches for it.

        A journal that cannot be written is logged, once: the output may still come to
        its end.

        Raises:
            OSError: If the partial file does not reach the disk.
        """
        started, progress = time.monotonic(), self.progress
        self._sync()
        content = {"format": _FORMAT, "work": dict(work), "progress": asdict(progress)}
        data = json.dumps({"sha256": _checksum(content), "content": content}, ensure_ascii=False)
        try:
            write_atomically(self._journal, f"{data}\n".encode())
        except OSError as error:
            if not self._told:
                logger.warning("%s cannot be written: %s", self._journal, error.strerror or error)
            self._told = True
        else:
            self.saved = progress
        self._saved_at = time.monotonic()
        self._seconds = self._saved_at - started

    def finish(self, header: bytes) -> None:
        """Puts the file, which is whole now, in its place.

        Args:
            header: The bytes before the rows.
        """
        self._write(0, header)
        self._sync()
        self._close_to_rename()
        put_in_place(self.partial, self._output)
        sync_folder(self._folder)
        # Who begins the same output at this instant may lose a journal, which is written again.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._journal)

    def is_in_place(self) -> bool:
        """Whether the file is finished: its partial name is gone."""
        if self._file.closed:
            return not os.path.lexists(self.partial)
        return not _is_at(self._file, self.partial)

    def discard(self) -> None:
        """Removes what was written of it, as far as possible."""
        names = [self._journal] if self.is_in_place() else [self._journal, self.partial]
        self._close_to_rename()
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(name)
        self.saved = None

    def _close_to_rename(self) -> None:
        if not platform.RENAMES_OPEN_FILES:
            self._file.close()

    def _open(self, stack: contextlib.ExitStack) -> io.FileIO:
        for _ in range(_MANY):
            file = stack.enter_context(io.FileIO(self.partial, "r+", opener=self._opener))
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "is not a regular file", self.partial)
            ours = stack.enter_context(holding(self.partial, file.fileno()))
            # Between its opening and its locking the writer before may have renamed it.
            if not _is_at(file, self.partial):
                stack.close()
                continue
            if not ours:
                break
            if status.st_nlink > 1:
                raise OSError(errno.EMLINK, "has other names, so it is not written", self.partial)
            return file
        raise OSError(errno.EBUSY, "another process is writing it", self._output)

    def _opener(self, name: str, flags: int) -> int:
        try:
            return platform.open_descriptor(name, flags | os.O_CREAT)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise OSError(
                    errno.ELOOP, "is a link, which is not written through", name
                ) from None
            error.filename = self._output
            raise

    def _write(self, at: int, data: bytes | memoryview) -> None:
        view = memoryview(data).cast("B")
        with self._naming_output():
            self._file.seek(at)
            while view:
                view = view[self._file.write(view) :]

    def _sync(self) -> None:
        with self._naming_output():
            os.fsync(self._file.fileno())

    @contextlib.contextmanager
    def _naming_output(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:  # a full disk does not say what it has no room for
            error.filename = self._output
            raise


def check_same(saved: Work, wanted: Work, partial: str) -> None:
    """Makes sure that the saved work is the one that is wanted.

    Args:
        saved: What is being written.
        wanted: What is wanted; only what it names is compared.
        partial: The partial file.

    Raises:
        OtherWorkError: If something differs; it names each with both values.
    """
    different = [
        f"{name} was {saved.get(name)!r}, now it is {value!r}"
        for name, value in wanted.items()
        if saved.get(name) != value
    ]
    if different:
        raise OtherWorkError(
            f"{partial} belongs to another prediction: {'; '.join(different)}. Continue with what "
            "it was begun with, or leave --resume out to start over"
        )


def _parse(data: bytes) -> tuple[dict[str, Any], str]:
    parsed = json.loads(data)
    return parsed["content"], parsed["sha256"]


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _is_at(file: io.FileIO, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    except FileNotFoundError:
        return False
