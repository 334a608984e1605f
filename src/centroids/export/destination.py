"""Where an exported file goes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_destination(path: str | os.PathLike[str]) -> str:
    """Returns the path of a file to write. If it exists, it will be replaced.

    Raises:
        ValueError: If it is empty.
        TypeError: If it is not a path.
        OSError: If it is a folder, or its folder does not exist; the message names it.
    """
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"path must be a str or a path, got {text!r}")
    if not text:
        raise ValueError("path must name a file, got ''")
    if os.path.isdir(text):
        raise IsADirectoryError(f"cannot write {text}: it is a folder; give the name of a file")
    folder = os.path.dirname(text) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"cannot write {text}: there is no folder {folder}")
    return text


def as_float32(centers: NDArray[Any], what: str) -> NDArray[np.float32]:
    """Centers as a format of single precision holds them.

    Args:
        centers: [k, d].
        what: What needs float32, for the error.

    Raises:
        ValueError: If a value overflows.
    """
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(centers, np.float32)
    if not np.isfinite(converted).all():
        raise ValueError(
            f"{what}, but the centers reach {np.abs(centers).max():.3g}; export them as npz instead"
        )
    return converted
