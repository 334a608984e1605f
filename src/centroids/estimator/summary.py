"""Event files, the format that TensorBoard reads."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

# Two writers of one process may open files in one folder within the same second.
_file_numbers = itertools.count()


class EventWriter:
    """Writes scalars into one event file, which is created by the first of them.

    Args:
        directory: Where the file goes; created when needed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory, EventWriter(directory) as writer:
    ...     writer.add_scalars({"loss": 3.5}, step=1)
    ...     [name.split(".")[2] for name in os.listdir(directory)]
    ['tfevents']
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._records: Any = None
        self._event_type: Any = None

    def add_scalars(self, values: Mapping[str, Any], step: int) -> None:
        """Writes one scalar per tag and flushes, so that a live TensorBoard sees them.

        Args:
            values: Scalars (or arrays of one element) by tag.
            step: The global step that they belong to.

        Raises:
            ValueError: If a value is not a single number.
            OSError: If the file cannot be written.
        """
        if self._records is None:
            self._open()
        event = self._event_type(wall_time=time.time(), step=step)
        for tag, value in values.items():
            if np.size(value) != 1:
                raise ValueError(
                    f"the summary {tag!r} must be a single number, not of shape {np.shape(value)}"
                )
            event.summary.value.add(tag=tag, simple_value=float(np.asarray(value).reshape(())))
        self._records.write(event.SerializeToString())
        self._records.flush()

    def close(self) -> None:
        """Closes the file. The next scalar opens another one."""
        if self._records is not None:
            self._records.close()
            self._records = None

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(self) -> None:
        # Imported here: they take longer than the rest of the package together.
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import (
            RecordWriter,
        )

        os.makedirs(self.directory, exist_ok=True)
        name = (
            f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}"
            f".{os.getpid()}.{next(_file_numbers)}"
        )
        # The file stays open over many steps; `close` ends it.
        self._records = RecordWriter(open(os.path.join(self.directory, name), "wb"))  # noqa: SIM115
        self._event_type = Event
        version = Event(wall_time=time.time(), file_version="brain.Event:2")
        self._records.write(version.SerializeToString())
