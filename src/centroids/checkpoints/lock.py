"""One run at a time trains in a model folder."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import stat
import threading
import time
import weakref
from collections.abc import Callable
from io import FileIO
from typing import Self

from centroids import platform
from centroids.errors import Argument, WordedText

logger = logging.getLogger(__name__)

LOCK_FILE = "training.lock"
_BUSY = (errno.EACCES, errno.EAGAIN)
# What it begins with. It may be empty: its run died early, or the disk was full.
_BEGINNINGS = (b"", b"process ")

# A forked worker has a share in the locks until its handler below has run: a process that comes
# just then, after the run died, waits that long.
_INSTANT_SECONDS = 0.2

# By device and number of their files. The values are weak: a lock that nobody refers to any more
# releases its folder, because an interrupt can hit anywhere.
_held: weakref.WeakValueDictionary[tuple[int, int], ModelDirLock] = weakref.WeakValueDictionary()
_guard = threading.RLock()  # a lock that is collected may come while this thread has it


class ModelDirBusyError(OSError):
    """Another run holds the model folder."""


class ModelDirLostError(OSError):
    """The model folder no longer belongs to the run: it was removed, or taken by another."""


def lock_model_dir(model_dir: str) -> ModelDirLock:
    """Holds a model folder for a training run, as a context manager.

    The system lets go of it when the process dies.

    Raises:
        ModelDirBusyError: If another process or thread holds it; the message names the process.
        OSError: If the folder cannot be written, or its lock is a link or not a file of ours.
    """
    return ModelDirLock(model_dir)


class ModelDirLock:
    """The lock of a folder, held between entering and leaving; see `lock_model_dir`.

    Args:
        model_dir: The folder, which exists.
    """

    def __init__(self, model_dir: str) -> None:
        self._file: FileIO | None = None
        self._model_dir = model_dir
        self._path = os.path.join(model_dir, LOCK_FILE)
        self._process = os.getpid()
        self._key: tuple[int, int] | None = None
        self._ends_of_writing: list[Callable[[], object]] = []

    def __enter__(self) -> Self:
        if not platform.LOCKS:
            _warn_unlocked(self._model_dir, "the system has no locks")
        else:
            self._wait_and_lock()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def __del__(self) -> None:
        if "_key" in self.__dict__:  # an interrupt may hit the constructor too
            self.release()

    def check_process(self) -> None:
        """Makes sure that this is the process that holds the lock, not a fork of it.

        Raises:
            ModelDirLostError: If it is not.
        """
        if os.getpid() != self._process:
            raise self._lost(
                f"it belongs to process {self._process}, which forked this one during the run"
            )

    def check(self) -> None:
        """Makes sure that the folder still belongs to this run, before it is written.

        Raises:
            ModelDirLostError: If it does not.
        """
        self.check_process()
        if not platform.LOCKS:
            return
        if self._file is None or self._file.closed or self._key != _key_of(self._path):
            raise self._lost(
                f"its {LOCK_FILE} is gone or is no longer the same file (was the folder removed, "
                "renamed or replaced?)"
            )
        try:
            platform.try_to_lock(self._file.fileno())  # some servers forget locks
        except OSError as error:
            if error.errno in _BUSY:
                raise self._lost("another run has locked it") from None

    def before_release(self, end_writing: Callable[[], object]) -> None:
        """Registers what waits until something else has stopped writing into the folder.

        Args:
            end_writing: Called by each `release`.
        """
        self._ends_of_writing.append(end_writing)

    def release(self) -> None:
        """Lets go of the folder; may be called again, also after an interrupt within it."""
        file = self._file
        if file is None:
            return
        for end_writing in self._ends_of_writing:
            end_writing()
        # Not that of the run that has the folder now, nor in a child of the holder.
        own = not file.closed and self._process == os.getpid() and self._key is not None
        if own and self._key == _key_of(self._path):
            with contextlib.suppress(OSError):
                os.remove(self._path)
        file.close()

    def forget(self) -> None:
        """Closes the file and leaves the lock to the parent of this process."""
        if self._file is not None:
            self._file.close()

    @property
    def is_held(self) -> bool:
        """Whether it is locked now."""
        return self._file is not None and not self._file.closed

    def _wait_and_lock(self) -> None:
        refuse_after = time.monotonic() + _INSTANT_SECONDS
        while True:
            try:
                with _guard:
                    return self._lock()
            except ModelDirBusyError:
                if time.monotonic() > refuse_after:
                    raise
            time.sleep(_INSTANT_SECONDS / 20)

    def _lock(self) -> None:
        while True:
            holder = _held.get(_key_of(self._path) or (0, 0))
            if holder is not None and holder.is_held:
                raise _busy(self._model_dir, f"another thread of this process, {os.getpid()}")
            try:
                self._file = FileIO(self._path, "r+", opener=_open)
                self._lock_file(self._file)
                key = _key_of(self._file.fileno())
                # The run that held it may have deleted it after we opened it.
                if key is not None and key == _key_of(self._path):
                    _held[key] = self
                    self._key = key
                    return
            except BaseException:
                if self._file is not None:
                    self._file.close()
                raise
            self._file.close()

    def _lock_file(self, file: FileIO) -> None:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise _not_ours(self._path, "not a regular file")
        content = os.pread(file.fileno(), 4096, 0)
        if content[:8] not in _BEGINNINGS:
            raise _not_ours(self._path, "not a lock of a training run")
        try:
            platform.try_to_lock(file.fileno())
        except OSError as error:
            if error.errno not in _BUSY:
                return _warn_unlocked(self._model_dir, error)
            holder = content.decode(errors="replace").strip()
            raise _busy(self._model_dir, holder or "just started") from None
        file.truncate(0)
        os.pwrite(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def _lost(self, reason: str) -> ModelDirLostError:
        return ModelDirLostError(
            errno.ESTALE,
            WordedText(
                Argument("model_dir"),
                f" no longer belongs to this run: {reason}; nothing more is written",
            ),
            self._model_dir,
        )


def _warn_unlocked(model_dir: str, reason: object) -> None:
    logger.warning("%s cannot be locked (%s): train one model at a time", model_dir, reason)


def _open(path: str, flags: int) -> int:
    """Opens a lock file, creating it if needed; a link is not followed to another file."""
    try:
        return platform.open_descriptor(path, flags | os.O_CREAT)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR):
            kind = "a link" if os.path.islink(path) else "not a regular file"
            raise _not_ours(path, kind) from None
        raise


def _not_ours(path: str, kind: str) -> OSError:
    return OSError(
        errno.EINVAL,
        WordedText(
            "the file that locks ",
            Argument("model_dir"),
            f" is {kind}, so training would write to a file that is not its own; find out what it "
            "is, move it away, or choose another ",
            Argument("model_dir"),
        ),
        path,
    )


def _busy(model_dir: str, holder: str) -> ModelDirBusyError:
    return ModelDirBusyError(
        errno.EBUSY,
        WordedText(
            Argument("model_dir"),
            f" is in use by another run ({holder}); wait for it, end it, or choose another ",
            Argument("model_dir"),
        ),
        model_dir,
    )


def _key_of(file: str | int) -> tuple[int, int] | None:
    try:
        status = os.fstat(file) if isinstance(file, int) else os.lstat(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def _forget_in_child() -> None:
    global _guard
    _guard = threading.RLock()  # another thread of the parent may have held the old one
    for lock in list(_held.values()):
        lock.forget()


platform.after_fork_in_child(_forget_in_child)
