"""The list of the checkpoints of a model folder: the text file `checkpoint`.

    model_checkpoint_path: "model.ckpt-20.safetensors"  # list sha256=...
    all_model_checkpoint_paths: "model.ckpt-10.safetensors"  # time=...
    all_model_checkpoint_paths: "model.ckpt-20.safetensors"  # time=...

which is the layout of r1.4 with comments. The checksum of the list is that of its bytes with zeros
in its own place.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from dataclasses import dataclass

from centroids.checkpoints.names import (
    DAMAGED_STATE_FILE,
    STATE_FILE,
    SUFFIX,
    TENSORFLOW_STATE_FILE,
)
from centroids.errors import Argument, WordedText
from centroids.files import open_regular, put_aside, read_at_most

_FIRST_LINE = re.compile(
    rb'model_checkpoint_path: "[^"/\0\n]+"(?: *# list sha256=(?P<sha256>[0-9a-f]{64}))? *(?:\n|$)'
)
_FIRST_LINE_OF_TENSORFLOW = re.compile(
    rb'model_checkpoint_path: "(?![^\n]*\.safetensors")[^\n]*"[ \t\r]*(?:\n|$)'
)
# Only names of ours count: what is listed is deleted one day.
_STATE_LINE = re.compile(
    r'all_model_checkpoint_paths: "(?P<name>[^"/\0]+-\d{1,18}\.safetensors)"(?:\s*#\s*'
    r"time=(?P<time>\d{1,15}(?:\.\d{1,9})?)(?P<preserved> preserved)?)?\s*"
)
# Half a million names. A list that is torn may have any size.
_MAX_BYTES = 1 << 26


_FIRST_WORDS = b'model_checkpoint_path: "'


class ForeignListError(ValueError):
    """A file that is called `checkpoint` has nothing of a list: another program wrote it."""


@dataclass(frozen=True)
class Entry:
    """One line of the list: a file, and when it was saved. `preserved` files are never deleted."""

    name: str
    time: float
    preserved: bool = False

    def line(self) -> str:
        """The line, without its end."""
        preserved = " preserved" if self.preserved else ""
        seconds = max(self.time, 0.0)  # a clock or a file may say anything
        return f'all_model_checkpoint_paths: "{self.name}"  # time={seconds:.3f}{preserved}'


def list_of(entries: list[Entry]) -> bytes:
    """The bytes of the list of entries, the latest last; there must be one."""
    first = f'model_checkpoint_path: "{entries[-1].name}"  # list sha256={"0" * 64}'
    data = "\n".join([first, *(entry.line() for entry in entries), ""]).encode()
    seal = _FIRST_LINE.match(data)
    assert seal is not None
    return data.replace(seal["sha256"], hashlib.sha256(data).hexdigest().encode(), 1)


def read_list(model_dir: str) -> tuple[list[Entry], float]:
    """The entries of the list and when it was written; no entries if there is no list of ours.

    Raises:
        OSError: If it cannot be read.
        ForeignListError: If nothing shows that it is a list at all; a ValueError too.
        ValueError: If it is torn or altered. A list without a checksum comes from another writer.
    """
    path = os.path.join(model_dir, STATE_FILE)
    try:
        with open_regular(path) as file:
            data = read_at_most(file, _MAX_BYTES)
            written = os.fstat(file.fileno()).st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return [], 0.0
    if _FIRST_LINE_OF_TENSORFLOW.match(data):
        return [], 0.0
    first = _FIRST_LINE.match(data)
    if first is None:
        kind = ValueError if _may_be_ours(data) else ForeignListError
        raise kind("it does not begin with model_checkpoint_path")
    if first["sha256"] is not None:
        unsealed = data.replace(first["sha256"], b"0" * 64, 1)
        if first["sha256"] != hashlib.sha256(unsealed).hexdigest().encode():
            raise ValueError(
                "it differs from the checksum in its first line (if you edited the file by hand, "
                "remove that checksum)"
            )
    entries = []
    for line in data[first.end() :].decode(errors="replace").splitlines():
        match = _STATE_LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"it has the line {line!r}")
        saved = float(match["time"] or 0)
        preserved = match["preserved"] is not None
        entries.append(Entry(match["name"], saved, preserved))
    return entries, written


def _may_be_ours(data: bytes) -> bool:
    """Whether this may have been a list: it is cut off, in parts zeros, or has words of one."""
    return (
        b"\0" in data
        or _FIRST_WORDS.startswith(data)
        or any(word in data for word in (b"checkpoint_path", SUFFIX.encode()))
    )


def check_list(model_dir: str) -> None:
    """Checks that a list can be written.

    Raises:
        IsADirectoryError: If a folder has its name.
    """
    path = os.path.join(model_dir, STATE_FILE)
    if os.path.isdir(path) and not os.path.islink(path):
        raise IsADirectoryError(
            errno.EISDIR,
            WordedText(
                f"the list of checkpoints must be a file called {STATE_FILE!r}, but that is a "
                "folder; move it away, or choose another ",
                Argument("model_dir"),
            ),
            path,
        )


def set_aside(model_dir: str) -> None:
    """Renames a list that we must not replace: one that TensorFlow wrote, or a damaged one.

    Raises:
        OSError: If that of TensorFlow cannot be renamed.
    """
    path = os.path.join(model_dir, STATE_FILE)
    if _is_of_tensorflow(path):
        put_aside(path, os.path.join(model_dir, TENSORFLOW_STATE_FILE))
        return
    try:
        read_list(model_dir)
    except (OSError, ValueError):
        if not os.path.isdir(path):
            with contextlib.suppress(OSError):  # it would only have been interesting
                put_aside(path, os.path.join(model_dir, DAMAGED_STATE_FILE))


def _is_of_tensorflow(path: str) -> bool:
    try:
        with open_regular(path) as file:
            return _FIRST_LINE_OF_TENSORFLOW.match(file.read(1 << 16)) is not None
    except OSError:
        return False
