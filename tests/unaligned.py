"""Arrays that do not begin where their elements may."""

from __future__ import annotations

from typing import Any

import numpy as np


def unaligned(array: Any) -> Any:
    """A copy that begins a byte too late."""
    memory = np.zeros(array.nbytes + 1, np.uint8)
    moved = memory[1:].view(array.dtype).reshape(array.shape)
    moved[:] = array
    return moved
