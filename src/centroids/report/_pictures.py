"""Points that are pictures, as small PNG files inside the page."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.checks import as_integer
from centroids.errors import ArgumentError

_MOST_PIXELS = 48  # of a side: all pictures of a page together have less than 5 MB
_GREY, _COLORS = 0, 2


def check_shape(shape: Any, width: int) -> tuple[int, ...]:
    """The shape of the pictures that rows are.

    Args:
        shape: The height and the width, and 3 for rows of red, green and blue.
        width: How many numbers a row has.

    Raises:
        ValueError: If it is another shape, or rows do not have as many numbers.
    """
    sides = tuple(as_integer(side) or 0 for side in shape)
    if len(sides) not in (2, 3) or min(sides) < 1 or sides[2:] not in ((), (3,)):
        raise ArgumentError("picture_shape", "(height, width) or (height, width, 3)", shape)
    if int(np.prod(sides)) != width:
        many = f"pictures of {int(np.prod(sides)):,} numbers, as rows have {width:,}"
        raise ArgumentError("picture_shape", many, shape)
    return sides


def png_of(pixels: NDArray[np.float64], low: float, high: float) -> str:
    """A picture as the address of an image, with its data.

    Args:
        pixels: [height, width] or [height, width, 3].
        low: What is black.
        high: What is white.
    """
    tall, wide = (np.linspace(0, side - 1, min(side, _MOST_PIXELS)) for side in pixels.shape[:2])
    small = pixels[tall.round().astype(int)][:, wide.round().astype(int)]
    scaled = (small - low) / ((high - low) or 1)
    levels = np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
    height, width = levels.shape[:2]
    kind = _COLORS if levels.ndim == 3 else _GREY
    # Each line begins with the number of its filter: none.
    lines = np.pad(levels.reshape(height, -1), ((0, 0), (1, 0)))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
