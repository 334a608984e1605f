"""What a program writes to a pseudo terminal."""

from __future__ import annotations

import os
import time


def read_terminal(ours: int, seconds: float = 60) -> bytes:
    """What comes until the other side is closed, or time is up; closes this side."""
    written = b""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        written += part
    os.close(ours)
    return written
