"""Where a command writes its file."""

from __future__ import annotations

import os
from pathlib import Path

from centroids.inputs.tables.opening import find_files, is_folder, is_pattern


def check_output(output: Path) -> None:
    """Raises a ValueError if --output cannot be written, before a long file is read in vain."""
    if output.is_dir() or not os.access(output.parent, os.W_OK):
        what = "is a folder" if output.is_dir() else f"{output.parent} is not a folder to write in"
        raise ValueError(f"--output {output}: {what}")


def check_not_input(output: Path, points: Path) -> None:
    """Raises a ValueError if --output would take the place of the points, or lie among them."""
    if not isinstance(points, Path):
        return  # a query, or at an address
    if is_folder(points) and points.resolve() in output.resolve().parents:
        raise ValueError(f"--output {output} would be among the points: choose another folder")
    files = find_files(points) if is_pattern(points) else [points]
    if output.exists() and any(file.exists() and output.samefile(file) for file in files):
        raise ValueError(f"--output {output} has the points themselves: choose another name")
