"""Reading ahead in a background thread."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class ReadAhead(Generic[T]):
    """Takes items from an iterator in a thread, before they are asked for.

    At most `depth` items are read ahead. An exception of the iterator is raised where its item
    would have been: the same object with its traceback. The thread ends with the items, or with
    `close`, which waits for the item being read.

    Args:
        items: The iterator; only the thread uses it until `close` returns.
        depth: How many items may wait.
    """

    def __init__(self, items: Iterator[T], depth: int = 2) -> None:
        self._items = items
        self._depth = depth
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._ended = self._closing = False
        self._error: BaseException | None = None
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._read, name="centroids-read-ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        """The items themselves."""
        return self

    def __next__(self) -> T:
        """The next item; waits until it is there."""
        if os.getpid() != self._process:
            raise RuntimeError(
                "this input is read by a thread of the process that forked this one; open the "
                "input again in the child"
            )
        with self._changed:
            while not self._waiting and not self._ended:
                self._changed.wait()
            if self._waiting:
                item = self._waiting.popleft()
                self._changed.notify_all()
                return item
        self._thread.join()
        error, self._error = self._error, None
        if error is None:
            raise StopIteration
        try:
            raise error
        finally:
            del error  # its traceback holds this frame: a cycle would keep batches alive

    def close(self, timeout: float | None = None) -> bool:
        """Ends the thread and forgets what was read ahead.

        Args:
            timeout: For how many seconds to wait for the item being read; None: for ever.

        Returns:
            Whether the thread has ended. In a forked child it has not: it is the parent's.
        """
        if os.getpid() != self._process:
            return False
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        self._waiting.clear()
        self._error = None
        return not self._thread.is_alive()

    def _read(self) -> None:
        try:
            while self._wait_for_room():
                item = next(self._items)
                with self._changed:
                    self._waiting.append(item)
                    self._changed.notify_all()
                del item
        except StopIteration:
            pass
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _wait_for_room(self) -> bool:
        with self._changed:
            while len(self._waiting) >= self._depth and not self._closing:
                self._changed.wait()
            return not self._closing
