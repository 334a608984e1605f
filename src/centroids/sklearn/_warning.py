"""Warnings that name the line of the program, whichever method it calls."""

from __future__ import annotations

import sys
import warnings


def warn(message: str, category: type[Warning]) -> None:
    """Warns at the innermost frame that is neither of this package nor of scikit-learn's."""
    frame, level = sys._getframe(), 1
    while frame.f_back and _package(frame.f_globals) in ("centroids", "sklearn"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _package(names: dict[str, object]) -> str:
    return str(names.get("__name__", "")).partition(".")[0]
