"""Folders of exported models: named by the time, whole or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any

from centroids.errors import Argument, NotAFolderError, WordedText
from centroids.files import abandoned, holding, make_folders, sync_folder

EXTRA_ASSETS = "assets.extra"
_TEMPORARY = re.compile(r"temp-[0-9a-f]{32}")
# The numbers that TF Serving reads have 63 bits.
_NUMBER = re.compile(r"[0-9]{1,18}")


def check_assets(assets_extra: Any) -> dict[str, str]:
    """Returns source files by where they go in the exported folder.

    Args:
        assets_extra: A dict from places below the folder `assets.extra` to source files, or None.

    Raises:
        ValueError: If a place is not one, lies outside the folder, or is taken twice.
        OSError: If a source cannot be read.
    """
    if assets_extra is None:
        return {}
    if not isinstance(assets_extra, Mapping):
        raise ValueError(
            f"assets_extra must be a dict from destination to source path, got {assets_extra!r}"
        )
    checked: dict[str, str] = {}
    for destination, source in assets_extra.items():
        place = os.path.join(EXTRA_ASSETS, _check_destination(destination))
        if place in checked:
            raise ValueError(f"assets_extra has two files for {place!r}")
        try:
            path = os.fsdecode(source)
        except TypeError:
            raise ValueError(
                f"assets_extra[{destination!r}] must be a path, got {source!r}"
            ) from None
        if os.path.exists(path) and not os.path.isfile(path):
            message = f"assets_extra[{destination!r}] is not a regular file"
            raise OSError(errno.EINVAL, message, path)
        with open(path, "rb"):
            checked[place] = path
    return checked


def check_export_dir(export_dir_base: Any) -> str:
    """Returns the folder for exports as a string; it need not exist.

    Raises:
        ValueError: If it is not a path.
        NotADirectoryError: If it is a file.
    """
    try:
        folder = os.fsdecode(export_dir_base)
    except TypeError:
        raise ValueError(f"export_dir_base must be a path, got {export_dir_base!r}") from None
    if not folder:
        raise ValueError("export_dir_base is empty; name a folder, '.' for the current one")
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise NotAFolderError(
            Argument("export_dir_base"), f" must be a folder, but it is a file: {folder}"
        )
    return folder


def write_export_folder(base: str, files: Mapping[str, bytes], copies: Mapping[str, str]) -> str:
    """Writes files to a new folder, whose name is the time in seconds.

    They are written and synced under another name in the base folder, which is then renamed: a
    folder with a number for a name is whole. If that second or a later one is taken, for example
    after the clock was set back, the name is the number after the highest: so TF Serving, which
    serves the highest number, serves the newest. What killed exports left there is removed.

    Args:
        base: The folder to create it in; created when needed.
        files: The bytes of files by their place in the new folder.
        copies: Source files by the place of their copies.

    Returns:
        The path of the new folder.

    Raises:
        OSError: If something cannot be read or written. Then nothing stays in the base folder, nor
            the folder itself if it is new.
    """
    final = None
    with _temporary_folder(base) as temporary:
        try:
            for place, data in files.items():
                with _create(os.path.join(temporary, place)) as file:
                    file.write(data)
                    _sync(file)
            for place, source in copies.items():
                with open(source, "rb") as origin, _create(os.path.join(temporary, place)) as file:
                    shutil.copyfileobj(origin, file)
                    _sync(file)
            for folder, _, _ in os.walk(temporary, topdown=False):
                sync_folder(folder)
            final = _rename_to_time(temporary, base)
            sync_folder(base)
        except BaseException as error:
            # Nobody knows the temporary name, and a full disk does not say what it had no room for.
            if isinstance(error, OSError) and _is_below(error.filename, temporary):
                error.filename = base
            if final is not None:
                # A failed export does not count: readers must not find it, not even in part.
                with contextlib.suppress(OSError):
                    os.rename(final, temporary)
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    return final


def _is_below(name: object, folder: str) -> bool:
    """Whether a file that an error names is in a folder; so is one without a name."""
    return name is None or (isinstance(name, str) and name.startswith(folder))


@contextlib.contextmanager
def _temporary_folder(base: str) -> Iterator[str]:
    """A new folder in `base`, known as in use until it has its own name."""
    with _made(base):
        while True:
            temporary = os.path.join(base, f"temp-{secrets.token_hex(16)}")
            try:
                os.mkdir(temporary)
            except OSError as error:
                raise _cannot_write(base, error) from error
            with contextlib.ExitStack() as stack:
                if stack.enter_context(holding(temporary)):
                    yield temporary
                    return


@contextlib.contextmanager
def _made(base: str) -> Iterator[None]:
    """Makes a folder and those above it; they go again, if the block raises and they are empty."""
    new, place = [], base.rstrip(os.sep)
    while place and not os.path.lexists(place):
        new.append(place)
        place = os.path.dirname(place)
    try:
        try:
            make_folders(base)
            _remove_abandoned(base)
        except OSError as error:
            raise _cannot_write(base, error) from error
        yield
    except BaseException:
        for folder in new:
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        raise


def _cannot_write(base: str, error: OSError) -> OSError:
    told = WordedText(Argument("export_dir_base"), f" cannot be written ({error.strerror})")
    return type(error)(error.errno, told, base)


def _remove_abandoned(base: str) -> None:
    """Removes the folders of exports whose process was killed: nobody holds them any more."""
    for name in filter(_TEMPORARY.fullmatch, os.listdir(base)):
        path = os.path.join(base, name)
        with contextlib.suppress(OSError), abandoned(path):
            shutil.rmtree(path, ignore_errors=True)


def _rename_to_time(temporary: str, base: str) -> str:
    """Gives a folder the time as its name, or the number after the highest; returns its path."""
    numbers = [int(name) for name in os.listdir(base) if _NUMBER.fullmatch(name)]
    second = max([int(time.time()), *(number + 1 for number in numbers)])
    while True:
        path = os.path.join(base, str(second))
        second += 1
        if os.path.lexists(path):
            continue
        try:
            os.rename(temporary, path)
        except OSError:
            # Another export may have taken the name in this instant: its folder is not empty.
            if not os.path.lexists(path):
                raise
        else:
            return path


def _create(path: str) -> IO[bytes]:
    make_folders(os.path.dirname(path))
    return open(path, "xb")


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _check_destination(destination: Any) -> str:
    """Returns a destination without detours.

    Raises:
        ValueError: If it is not a relative path of a file, or leads out of the folder.
    """
    if not isinstance(destination, str) or not destination or "\0" in destination:
        raise ValueError(f"assets_extra must name destinations by strings, got {destination!r}")
    inside = not os.path.isabs(destination) and ".." not in destination.split(os.sep)
    if not inside or destination.endswith(os.sep) or os.path.normpath(destination) == ".":
        raise ValueError(
            f"assets_extra has the destination {destination!r}, which must be the path of a file "
            f"inside {EXTRA_ASSETS}: relative, without '..'"
        )
    return os.path.normpath(destination)
