"""Writing files that are whole or not there, and opening files that may be anything."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import secrets
import stat
from collections.abc import Iterator
from io import BufferedReader
from typing import IO, BinaryIO

from centroids import platform

logger = logging.getLogger(__name__)

# Earlier versions wrote the numbers of process and thread.
_TOKEN = r"\.(?:[0-9a-f]{16}|\d+-\d+)\.temporary"
# What systems answer that cannot sync folders, such as some network and FUSE file systems.
_CANNOT_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_refused_devices: set[int] = set()


def absolute(path: str | os.PathLike[str]) -> str:
    """A path that stays the same when the program changes its working directory."""
    return os.path.join(os.getcwd(), path) if not os.path.isabs(path) else os.fspath(path)


def find_link(base: str, path: str) -> str | None:
    """The first symbolic link on the way from a folder to a path below it, or None.

    >>> find_link("model", "model/eval") is None
    True
    """
    place = base
    for part in os.path.relpath(path, base).split(os.sep):
        place = os.path.join(place, part)
        if os.path.islink(place):
            return place
    return None


def open_regular(path: str | os.PathLike[str], *, follow_links: bool = False) -> BufferedReader:
    """Opens a file to read its bytes: a regular one, which neither blocks nor has no end.

    Args:
        path: The file.
        follow_links: Whether it may be a symbolic link. In folders that programs write, a link was
            made by somebody else, and may lead anywhere.

    Raises:
        OSError: If it cannot be opened, or is a link, a pipe or a device; it names the file.
    """
    name = os.fspath(path)

    def opener(opened: str, flags: int) -> int:
        return platform.open_descriptor(opened, flags, follow_link=follow_links)

    if not follow_links and os.path.islink(name):
        raise OSError(errno.ELOOP, "is a symbolic link, which is not followed here", name)
    check_regular(name)
    file = open(name, "rb", opener=opener)  # noqa: SIM115, the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # it was exchanged just now
        file.close()
        check_regular(name)
        raise OSError(errno.EINVAL, "is not a regular file", name)
    return file


def check_regular(path: str | os.PathLike[str]) -> None:
    """Checks that a path leads to a regular file, without opening it.

    Raises:
        FileNotFoundError: If there is nothing.
        IsADirectoryError: If it is a folder.
        OSError: If it is a pipe, a device or a loop of links.
    """
    name = os.fspath(path)
    mode = os.stat(name).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "expected a file, got a folder", name)
    if stat.S_ISFIFO(mode):
        raise OSError(
            errno.EINVAL, "expected a file, got a pipe; write its bytes to a file first", name
        )
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "expected a file, got a device or a socket", name)


def read_regular(
    path: str | os.PathLike[str], most_bytes: int, *, follow_links: bool = False
) -> bytes:
    """The bytes of a file that should be small; see `open_regular`.

    Raises:
        OSError: If it cannot be read, or has more than `most_bytes`.
    """
    with open_regular(path, follow_links=follow_links) as file:
        return read_at_most(file, most_bytes)


def read_at_most(file: BinaryIO, most_bytes: int) -> bytes:
    """The bytes of an open file that should be small.

    Raises:
        OSError: If it cannot be read, or has more than `most_bytes`.
    """
    size = os.fstat(file.fileno()).st_size
    if size <= most_bytes:
        data = file.read(most_bytes + 1)
        if len(data) <= most_bytes:
            return data
    raise OSError(
        errno.EFBIG, f"should have at most {most_bytes} bytes, but has {size}", str(file.name)
    )


def write_atomically(path: str, data: bytes) -> None:
    """Makes `path` hold `data`: after a crash at any instant it holds the old or the new bytes.

    They are written under a temporary name beside it (which ends in `.temporary` and stays behind
    only if the process is killed), synced and renamed. If `path` is a symbolic link, the link is
    replaced, not what it leads to.

    Raises:
        OSError: If the folder cannot be written; `path` is then as it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(os.path.join(folder, "list"), b"one")
    ...     os.listdir(folder)
    ['list']
    """
    with atomic_file(path) as file:
        file.write(data)


@contextlib.contextmanager
def atomic_file(path: str) -> Iterator[IO[bytes]]:
    """Opens a file that takes the place of `path` at the end of the block; see `write_atomically`.

    If the block ends by an exception, `path` stays as it was.

    Raises:
        OSError: If the folder cannot be written.
    """
    with contextlib.ExitStack() as until_renamed:
        temporary, file = _create(path, until_renamed)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            file.close()
            put_in_place(temporary, path)
        except BaseException as error:
            # A full disk does not say what it has no room for.
            if isinstance(error, OSError) and error.errno is not None and error.filename is None:
                error.filename = path
            with contextlib.suppress(OSError):  # what cannot be written would fail again
                file.close()
            if os.path.lexists(temporary):
                os.remove(temporary)
            raise
    sync_folder(os.path.dirname(path) or ".")  # the rename itself lives there


def put_in_place(temporary: str, path: str) -> None:
    """Gives a file that is whole its name, which reaches the disk when its folder is synced.

    Raises:
        OSError: If that fails; it names `path`, because nobody knows the temporary name.
    """
    try:
        os.replace(temporary, path)
    except OSError as error:
        if error.filename != temporary:
            raise
        raise type(error)(error.errno, error.strerror, path) from error


def put_aside(path: str, name: str) -> str:
    """Renames a file to a free name: `name`, or `name` followed by -2, -3 and so on.

    Returns:
        The new path.

    Raises:
        OSError: If it cannot be renamed.
    """
    aside, number = name, 1
    while os.path.lexists(aside):
        number += 1
        aside = f"{name}-{number}"
    os.rename(path, aside)
    return aside


def _create(path: str, stack: contextlib.ExitStack) -> tuple[str, IO[bytes]]:
    """Opens a temporary file beside `path`: a new one, so it is nobody else's and no link."""
    while True:
        # Two processes or threads may write the same file: each has a name of its own.
        temporary = f"{path}.{secrets.token_hex(8)}.temporary"
        try:
            file = stack.enter_context(open(temporary, "xb"))  # noqa: SIM115, the stack closes it
        except OSError as error:
            error.filename = path
            raise
        if stack.enter_context(holding(temporary, file.fileno())):
            return temporary, file


def replace_file(path: str, data: bytes) -> None:
    """As `write_atomically`, and removes what killed writes of the same file have left.

    Raises:
        OSError: If the folder cannot be written; `path` is then as it was.
    """
    folder, name = os.path.split(path)
    remove_leftovers(folder, re.escape(name))
    write_atomically(path, data)


def remove_leftovers(folder: str, names: str) -> None:
    """Removes what `write_atomically` left in a folder when its process was killed.

    What another process or thread is writing is locked and stays; without locks in the file system,
    everything stays.

    Args:
        folder: It need not exist.
        names: A regular expression of the names of the files that were to be written.
    """
    leftover = re.compile(f"(?:{names}){_TOKEN}")
    try:
        found = os.listdir(folder or ".")
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in filter(leftover.fullmatch, found):
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError), abandoned(path):
            os.remove(path)


@contextlib.contextmanager
def holding(path: str, descriptor: int | None = None) -> Iterator[bool]:
    """Marks a new file or folder as in use, until the end of the block or of the process.

    Args:
        path: Its path, which may change within the block.
        descriptor: That of the file, if it is open.

    Yields:
        Whether it is ours. False if another process took it for a leftover before it was marked;
        then make another.

    Raises:
        OSError: If it cannot be opened.
    """
    if not platform.RENAMES_OPEN_FILES:  # there `abandoned` finds nothing either
        yield True
        return
    try:
        held = os.open(path, os.O_RDONLY) if descriptor is None else os.dup(descriptor)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _try_to_lock(held) and os.path.lexists(path)
    finally:
        os.close(held)


def _try_to_lock(descriptor: int) -> bool:
    try:
        platform.try_to_lock(descriptor)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: there `abandoned` finds nothing either
        return True
    return True


@contextlib.contextmanager
def abandoned(path: str) -> Iterator[None]:
    """Holds a file or folder that was `holding` when its process was killed.

    Raises:
        OSError: If it is in use, a link or a special file, or one cannot tell.
    """
    descriptor = platform.open_descriptor(path, os.O_RDONLY)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise OSError(errno.EINVAL, "is a special file", path)
        platform.try_to_lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def make_folders(path: str) -> None:
    """Creates a folder and those above it; the new names reach the disk.

    Raises:
        OSError: If one cannot be created.
    """
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path.rstrip(os.sep)) or "."
    make_folders(parent)
    os.makedirs(path, exist_ok=True)
    sync_folder(parent)


def sync_folder(path: str) -> None:
    """Makes the names in a folder reach the disk.

    If the system or the file system cannot do so (Windows, some network disks), the log says so
    once: there a power failure, though not the crash of a process, may undo the last files.

    Raises:
        OSError: If the disk fails.
    """
    try:
        platform.sync_folder(path)
    except PermissionError as error:  # it may be written, but not read
        _tell_refused(path, error)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
        _tell_refused(path, error)


def _tell_refused(path: str, error: OSError) -> None:
    device = os.stat(path).st_dev
    if device not in _refused_devices:
        _refused_devices.add(device)
        logger.warning(
            "The file system of %s cannot sync folders (%s): after a power failure the newest "
            "files may be missing",
            path,
            error.strerror,
        )
