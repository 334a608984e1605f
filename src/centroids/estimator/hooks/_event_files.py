"""Event files, the format that TensorBoard reads."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from centroids.crc32c import as_record
from centroids.kernels.float_mode import in_usual_float_mode
from centroids.tensorflow_protos import Message, new_message
from centroids.tensorflow_types import type_number

# Two writers of one process may open files in one folder at the same instant.
_file_numbers = itertools.count()

NUM_BUCKETS = 30
_SESSION_START = 1  # of SessionLog.SessionStatus
LARGEST_SIMPLE_VALUE = float(np.finfo(np.float32).max)


class EventWriter:
    """Writes summaries into one event file, which the first one creates.

    A file is only ever appended to. If a crash or a full disk tears a record, TensorBoard reads the
    file up to it.

    Args:
        directory: Where the file goes; created when needed.
        first_step: The step that a training run begins with, written at the head of the file:
            TensorBoard then drops what earlier files of the folder have for it and for later steps.
            A run that was killed after its last checkpoint takes those steps again.
        check: Called before the file is created; raises an exception if it must not be.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory, EventWriter(directory) as writer:
    ...     writer.add_scalars({"loss": 3.5}, step=1)
    ...     [name.split(".")[2] for name in os.listdir(directory)]
    ['tfevents']
    """

    def __init__(
        self,
        directory: str,
        first_step: int | None = None,
        check: Callable[[], object] | None = None,
    ) -> None:
        self.directory = directory
        self._first_step = first_step
        self._check = check
        self._file: IO[bytes] | None = None

    @in_usual_float_mode
    def add_scalars(self, values: Mapping[str, Any], step: int) -> None:
        """Writes one scalar per tag and flushes, so that a live TensorBoard sees them.

        Args:
            values: Scalars (or arrays of one element) by tag.
            step: The global step that they belong to.

        Raises:
            ValueError: If a value is not a single number.
            OSError: If the file cannot be written.
        """
        event = self._new_event(step)
        for tag, value in values.items():
            if np.size(value) != 1:
                raise ValueError(
                    f"the summary {tag!r} must be a single number, not of shape {np.shape(value)}"
                )
            number = float(np.asarray(value).reshape(()))
            if np.isfinite(number) and abs(number) > LARGEST_SIMPLE_VALUE:
                # The usual form of a scalar is a float32, in which this would be infinite.
                _add_tensor(event.summary, tag, "scalars").double_val.append(number)
            else:
                event.summary.value.add(tag=tag, simple_value=number)
        self._write(event)

    @in_usual_float_mode
    def add_histograms(self, values: Mapping[str, Any], step: int) -> None:
        """Writes one histogram per tag, of 30 buckets between its lowest and highest value.

        Args:
            values: Arrays of numbers by tag; their shapes do not matter.
            step: The global step that they belong to.

        Raises:
            ValueError: If a value is not finite.
            OSError: If the file cannot be written.
        """
        event = self._new_event(step)
        for tag, value in values.items():
            buckets = histogram(tag, value)
            tensor = _add_tensor(event.summary, tag, "histograms")
            for size in buckets.shape:
                tensor.tensor_shape.dim.add(size=size)
            tensor.tensor_content = buckets.astype("<f8").tobytes()
        self._write(event)

    def add_plugin_data(self, tag: str, plugin_name: str, content: bytes, step: int) -> None:
        """Writes a summary that has no value, only data for a plugin of TensorBoard.

        Args:
            tag: The tag that the plugin looks for.
            plugin_name: The name of the plugin.
            content: What the plugin reads.
            step: The global step that it belongs to.

        Raises:
            OSError: If the file cannot be written.
        """
        event = self._new_event(step)
        plugin_data = event.summary.value.add(tag=tag).metadata.plugin_data
        plugin_data.plugin_name = plugin_name
        plugin_data.content = content
        self._write(event)

    def close(self) -> None:
        """Closes the file. The next summary opens another one."""
        file, self._file = self._file, None
        if file is not None:
            with self._naming():
                file.close()

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _new_event(self, step: int) -> Message:
        return new_message("Event", wall_time=time.time(), step=step)

    @contextlib.contextmanager
    def _naming(self) -> Iterator[None]:
        """A full disk does not say what it has no room for."""
        try:
            yield
        except OSError as error:
            if error.errno is not None and error.filename is None:
                error.filename = self.directory
            raise

    def _write(self, event: Message) -> None:
        with self._naming():
            self._append(event)

    def _append(self, event: Message) -> None:
        file = self._file
        if file is None:
            file = self._open()
        elif self._process != os.getpid():
            raise RuntimeError(
                "this event file is written by the process that forked this one; a run cannot "
                "continue in the child"
            )
        file.write(as_record(event.SerializeToString()))
        file.flush()

    def _open(self) -> IO[bytes]:
        if self._check is not None:
            self._check()
        self._process = os.getpid()
        os.makedirs(self.directory, exist_ok=True)
        # Readers take the files of a folder in the order of their names.
        seconds, nanoseconds = divmod(time.time_ns(), 10**9)
        name = (
            f"events.out.tfevents.{seconds:010d}.{nanoseconds:09d}.{socket.gethostname()}"
            f".{os.getpid()}.{next(_file_numbers)}"
        )
        # The file stays open over many steps; `close` ends it.
        self._file = file = open(os.path.join(self.directory, name), "xb")  # noqa: SIM115
        head = self._new_event(0)
        head.file_version = "brain.Event:2"
        file.write(as_record(head.SerializeToString()))
        if self._first_step is not None:
            start = self._new_event(self._first_step)
            start.session_log.status = _SESSION_START
            file.write(as_record(start.SerializeToString()))
        return file


def _add_tensor(summary: Message, tag: str, plugin: str) -> Message:
    """Adds a value for a plugin, and returns its tensor of float64."""
    value = summary.value.add(tag=tag)
    value.metadata.plugin_data.plugin_name = plugin
    value.tensor.dtype = type_number(np.dtype(np.float64))
    return value.tensor


def histogram(tag: str, values: Any) -> NDArray[np.float64]:
    """Counts values in buckets of equal width, as the histogram plugin of TensorBoard has them.

    Args:
        tag: The name of the summary, for errors.
        values: An array of numbers of any shape.

    Returns:
        [30, 3]: left edge, right edge and count of each bucket. Values at an inner edge belong to
        the bucket on its right; equal values are all in the last bucket. [0, 3] without values.

    Raises:
        ValueError: If a value is not finite.

    >>> histogram("sizes", [1, 4, 4])[[0, -1]].round(1).tolist()
    [[1.0, 1.1, 1.0], [3.9, 4.0, 2.0]]
    """
    flat = np.asarray(values, np.float64).ravel()
    if not flat.size:
        return np.empty((0, 3))
    low, high = flat.min(), flat.max()
    if not np.isfinite(high - low):
        raise ValueError(
            f"the summary {tag!r} must have finite values for a histogram, but they reach from "
            f"{low} to {high}"
        )
    edges = np.linspace(low, high, NUM_BUCKETS + 1)
    # By search and not by division: the width of a bucket may round to nothing.
    buckets = np.searchsorted(edges[1:-1], flat, side="right")
    counts = np.bincount(buckets, minlength=NUM_BUCKETS)
    return np.stack([edges[:-1], edges[1:], counts], axis=1)
