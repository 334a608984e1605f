"""Packages that only some need, imported where they are used."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def import_package(module: str, what: str, source: str, called: str | None = None) -> Any:
    """Imports a module, or raises an ImportError that says what to install.

    Args:
        module: The module.
        what: What needs it.
        source: What pip is to install.
        called: What the message calls it; None: by its name.

    >>> import_package("tarfile_of_tomorrow", "unpacking", "tomorrow")
    Traceback (most recent call last):
    ImportError: unpacking needs tarfile_of_tomorrow; install it with: pip install 'tomorrow'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{what} needs {called or module}; install it with: pip install '{source}'"
        ) from error


def if_imported(module: str, name: str) -> Any:
    """What a module calls `name`; None if it is not imported, or another thread is still at it.

    >>> if_imported("module_of_tomorrow", "name") is None
    True
    """
    # A module is in the list before all of its names are there.
    return getattr(sys.modules.get(module), name, None)
