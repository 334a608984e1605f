"""Damage to files, and what a reader may do about it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import strategies as st

from centroids.checkpoints.checkpoint import DamagedCheckpointError
from centroids.errors import Worded

T = TypeVar("T")

# These types and no subclass: a UnicodeDecodeError or one of Arrow's names no file.
ALLOWED = (ValueError, TypeError, OSError, FileNotFoundError, DamagedCheckpointError)
SLOW = int(os.environ.get("CENTROIDS_FUZZ_EXAMPLES", "20000"))

_MOST_BYTES = 1 << 16


def read_or_refuse(read: Callable[[], T], file: Path) -> T | None:
    """What `read` returns; or None if it raises an error of ours that names the file.

    Any other exception, and any warning, fails the test.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return read()
        except Exception as error:
            if type(error) not in ALLOWED and not isinstance(error, Worded):
                raise
            assert file.name in str(error), f"the message names no file: {error}"
            return None


@st.composite
def damaged(draw: Any, whole: st.SearchStrategy[bytes], most: int = 4) -> bytes:
    """The bytes of a whole file after one to `most` changes."""
    data = draw(whole)
    for _ in range(draw(st.integers(1, most))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 64)))
        change = draw(st.sampled_from(["flip", "cut", "remove", "insert", "repeat", "digits"]))
        if change == "flip" and start < len(data):
            flipped = bytes([data[start] ^ (1 << draw(st.integers(0, 7)))])
            data = data[:start] + flipped + data[start + 1 :]
        elif change == "cut":
            data = data[:start]
        elif change == "remove":
            data = data[:start] + data[stop:]
        elif change == "insert":
            data = data[:start] + draw(st.binary(min_size=1, max_size=16)) + data[start:]
        elif change == "repeat":
            data = data[:start] + data[start:stop] * draw(st.integers(2, 5)) + data[stop:]
        elif change == "digits":
            data = data[:start] + draw(_NUMBERS) + data[stop:]
    return data[:_MOST_BYTES]


_NUMBERS = st.sampled_from(
    [b"0", b"-1", b"1000000000000000", b"9" * 30, b"1e400", b"nan", b"-inf", b"\xff" * 8, b"\0" * 8]
)
