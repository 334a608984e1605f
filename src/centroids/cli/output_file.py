"""Where a command writes its file."""

from __future__ import annotations

import os
from pathlib import Path


def check_output(output: Path) -> None:
    """Raises a ValueError if --output cannot be written, before a long file is read in vain."""
    if output.is_dir() or not os.access(output.parent, os.W_OK):
        what = "is a folder" if output.is_dir() else f"{output.parent} is not a folder to write in"
        raise ValueError(f"--output {output}: {what}")
