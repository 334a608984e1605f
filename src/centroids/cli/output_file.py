"""Where a command writes its file: what is refused before a long input is read in vain."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from centroids.checkpoints.folder import find_entries
from centroids.errors import WordedText
from centroids.inputs.tables.opening import find_files, is_folder, is_pattern

_EXPORTS = "export"  # in a model folder: where Estimators put what they export, as in TensorFlow


def check_output(
    output: Path,
    name: str = "--output",
    *,
    points: Path | None = None,
    model_dir: Path | None = None,
) -> None:
    """Raises a ValueError if a command cannot or must not write a file.

    Args:
        output: The file.
        name: What the command line calls it.
        points: What is read, which it must not replace, nor lie among; None: there is nothing.
        model_dir: The model that is read; None: there is none.
    """
    with naming(output, name):
        _check(output, name)
    if isinstance(points, Path):
        _check_not_input(output, points, name)
    check_not_in_model(output, name, model_dir)


def _check(output: Path, name: str) -> None:
    """Raises a ValueError if no file can be written there."""
    folder = output.parent
    if output.is_dir():
        what = "is a folder: give the name of a file"
    elif output.exists() and (not output.is_file() or _is_for_devices(folder)):
        what = "is a device or a pipe: give the name of a file"
    elif not folder.exists():
        what = f"there is no folder {folder}"
    elif not folder.is_dir():
        what = f"{folder} is a file, not a folder"
    elif not os.access(folder, os.W_OK | os.X_OK):
        what = f"the folder {folder} cannot be written"
    else:
        return
    raise ValueError(f"{name} {output}: {what}")


def check_folder(output: Path, name: str) -> None:
    """Raises a ValueError if a folder cannot be made, or written, because of what is there."""
    there = next(path for path in (output, *output.parents) if os.path.lexists(path))
    if there.is_dir():
        return
    if there == output:
        raise ValueError(f"{name} must be a folder, but it is a file: {output}")
    raise ValueError(f"{name} {output}: {there} is a file, not a folder")


def _is_for_devices(folder: Path) -> bool:
    """Whether a folder holds names such as stdout, which may lead to a file just now."""
    place = _real(folder)
    return place == Path("/dev") or place.is_relative_to("/proc")


def _check_not_input(output: Path, points: Path, name: str) -> None:
    if is_among(output, points):
        raise ValueError(f"{name} {output} would be among the points: choose another folder")
    files = find_files(points) if is_pattern(points) else [points]
    if output.exists() and any(file.exists() and output.samefile(file) for file in files):
        raise ValueError(f"{name} {output} has the points themselves: choose another name")


def is_among(path: Path, points: Path) -> bool:
    """Whether a path is in the folder that holds the points, or is that folder."""
    if not isinstance(points, Path) or not is_folder(points):  # a query, or at an address
        return False
    place = _real(path)
    return _real(points) in (place, *place.parents)


def check_not_in_model(output: Path, name: str, model_dir: Path | None = None) -> None:
    """Raises a ValueError if an output would be among the files of a model.

    Args:
        output: A file or a folder.
        name: What the command line calls it.
        model_dir: The model that is read, whose folders are its own too; None: there is none.
    """
    place = _real(output)
    folders = [place, place.parent]
    if model_dir is not None:
        own = _real(model_dir)
        if own in place.parents and place.relative_to(own).parts[0] != _EXPORTS:
            folders.append(own)
    for folder in folders:
        if folder.is_dir() and find_entries(str(folder), warn=False):
            raise ValueError(
                f"{name} {output} would be among the files of the model in {_shown(folder)}: "
                "choose another folder"
            )


def check_new_model(folder: Path, name: str) -> None:
    """Raises a ValueError if a new model would be among the files of another one."""
    beside = _real(folder).parent
    if find_entries(str(beside), warn=False) and not find_entries(str(folder), warn=False):
        raise ValueError(
            f"{name} {folder} would be among the files of the model in {_shown(beside)}: choose "
            "another folder"
        )


def _real(path: Path) -> Path:
    """A path without links; one that leads in a circle stays, and cannot be opened."""
    return Path(os.path.realpath(path))


def _shown(folder: Path) -> str:
    """A folder, from here on if it is below."""
    relative = os.path.relpath(folder)
    return str(folder) if relative.startswith(os.pardir) else relative


@contextlib.contextmanager
def naming(output: Path, name: str = "--output") -> Iterator[None]:
    """Around what writes a file: what the system says of it names the option, too."""
    try:
        yield
    except OSError as error:
        names_output = error.filename is not None and os.fspath(error.filename) == str(output)
        if names_output and not isinstance(error.strerror, WordedText):  # which names it already
            error.filename = f"{name} {output}"
        raise
