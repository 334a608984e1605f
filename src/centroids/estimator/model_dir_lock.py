"""One training at a time in a model folder."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import threading
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # Windows has other locks; there a folder is not guarded
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

LOCK_FILE = "training.lock"
_BUSY = (errno.EACCES, errno.EAGAIN)

# Locks of POSIX belong to a process and are not inherited by its forks: a worker cannot hold the
# folder of a dead training. Threads of one process exclude each other by this table of the open
# lock files, by device and number; a second descriptor, once closed, would drop the lock.
_held: dict[tuple[int, int], int] = {}
_guard = threading.Lock()


class ModelDirBusyError(OSError):
    """Another training holds the model folder."""


@contextlib.contextmanager
def lock_model_dir(model_dir: str) -> Iterator[None]:
    """Holds a model folder for a training; the system lets go of it when the process dies.

    Raises:
        ModelDirBusyError: If another process or thread holds it; the message names the process.
        OSError: If the folder cannot be written.
    """
    if fcntl is None:
        yield
        return
    path = os.path.join(model_dir, LOCK_FILE)
    with _guard:
        key = _lock(path, model_dir)
    try:
        yield
    finally:
        with _guard:
            # A forked child that comes here holds nothing.
            if key in _held:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(path)
                os.close(_held.pop(key))


def _lock(path: str, model_dir: str) -> tuple[int, int]:
    while True:
        if _key_of(path) in _held:
            raise _busy(model_dir, f"another thread of this process, {os.getpid()}")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _lock_file(descriptor, model_dir)
            key = _key_of(descriptor)
            # The training that held it may have deleted it after we opened it.
            if key is not None and key == _key_of(path):
                _held[key] = descriptor
                return key
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock_file(descriptor: int, model_dir: str) -> None:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _BUSY:
            logger.warning("%s cannot be locked (%s): train one model at a time", model_dir, error)
            return
        holder = os.pread(descriptor, 4096, 0).decode(errors="replace").strip()
        raise _busy(model_dir, holder or "just started") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)


def _busy(model_dir: str, holder: str) -> ModelDirBusyError:
    return ModelDirBusyError(
        errno.EBUSY,
        f"model_dir is in use by another training ({holder}); wait for it, end it, or choose "
        "another model_dir",
        model_dir,
    )


def _key_of(file: str | int) -> tuple[int, int] | None:
    try:
        status = os.stat(file)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _forget_in_child() -> None:
    global _guard
    _guard = threading.Lock()  # another thread of the parent may have held the old one
    for descriptor in _held.values():
        os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
