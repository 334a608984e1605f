"""What systems differ in, behind one interface: locks, links, folders on the disk, forks, memory.

A file for each kind of system has the same names; `native/platform/` is the same for the native
code. Nothing else in the package asks which system it runs on.
"""

from __future__ import annotations

try:
    from centroids.platform._posix import (
        LOCKS,
        RENAMES_OPEN_FILES,
        after_fork_in_child,
        open_descriptor,
        peak_bytes,
        resident_bytes,
        sync_folder,
        try_to_lock,
    )
except ImportError:  # there is no module fcntl
    from centroids.platform._windows import (
        LOCKS,
        RENAMES_OPEN_FILES,
        after_fork_in_child,
        open_descriptor,
        peak_bytes,
        resident_bytes,
        sync_folder,
        try_to_lock,
    )

__all__ = [
    "LOCKS",
    "RENAMES_OPEN_FILES",
    "after_fork_in_child",
    "open_descriptor",
    "peak_bytes",
    "resident_bytes",
    "sync_folder",
    "try_to_lock",
]
