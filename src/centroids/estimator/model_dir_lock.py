"""One training at a time in a model folder."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # Windows has other locks; there a folder is not guarded
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

LOCK_FILE = "training.lock"
_BUSY = (errno.EACCES, errno.EAGAIN)

_descriptors: set[int] = set()


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
    descriptor = _open_locked(path, model_dir)
    try:
        yield
    finally:
        # A forked child that comes here has closed it already.
        if descriptor in _descriptors:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
            _close(descriptor)


def _open_locked(path: str, model_dir: str) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        _descriptors.add(descriptor)
        try:
            _lock(descriptor, model_dir)
            # The training that held it may have deleted it after we opened it.
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            _close(descriptor)
            raise
        _close(descriptor)


def _close(descriptor: int) -> None:
    _descriptors.remove(descriptor)
    os.close(descriptor)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _lock(descriptor: int, model_dir: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _BUSY:
            logger.warning("%s cannot be locked (%s): train one model at a time", model_dir, error)
            return
        holder = os.pread(descriptor, 4096, 0).decode(errors="replace").strip() or "just started"
        raise ModelDirBusyError(
            errno.EBUSY,
            f"model_dir is in use by another training ({holder}); wait for it, end it, or choose "
            "another model_dir",
            model_dir,
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)


def _let_go_in_child() -> None:
    """A worker that a training forks must not hold the folder when the training is dead."""
    for descriptor in _descriptors:
        os.close(descriptor)
    _descriptors.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)
