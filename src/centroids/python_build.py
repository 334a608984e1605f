"""Which builds of Python the extension is for; read before anything is imported."""

from __future__ import annotations

import sys


def check_build_of_python() -> None:
    """Refuses the free-threaded build of Python: nothing here has been tested without its lock.

    Raises:
        ImportError: If this is one.
    """
    if "t" in getattr(sys, "abiflags", ""):
        raise ImportError(
            "centroids does not work with free-threaded Python, which this one is "
            f"({sys.version.split()[0]}t); install it for the usual build of Python"
        )
