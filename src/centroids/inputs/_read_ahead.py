"""Reading ahead in a background thread."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator, Iterator
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from centroids.inputs.errors import ReadingInterrupted

T = TypeVar("T")

# What a thread is called that still reads when nobody waits for it any more.
LEFT_BEHIND = "centroids-left-behind"

# How long to wait for an item where reading was interrupted.
INTERRUPTED_SECONDS = 1.0

# How often to look whether a silent thread is still there.
_LOOK_SECONDS = 0.5


class ReadAhead(Generic[T]):
    """Takes items from an iterator in a thread, before they are asked for.

    At most `depth` items are read ahead. An exception of the iterator is raised where its item
    would have been: the same object with its traceback. The thread ends with the items, with
    `close`, which waits for the item being read, or when nobody refers to this object any more.

    An exception such as KeyboardInterrupt may hit any line here, so nothing here waits with a lock
    that Python code must release (a Condition, Thread.join): the two queues are in C.

    Args:
        items: The iterator; from `start` on only the thread uses it, until `close` returns True.
        depth: How many items may wait.
    """

    def __init__(self, items: Iterator[T], depth: int = 2) -> None:
        self._shared: _Shared[T] = _Shared(items)
        for _ in range(depth):
            self._shared.tickets.put(None)
        self._ended = False
        self._process = os.getpid()
        # It has no reference to this object, which may thus be collected while it waits.
        self._thread = threading.Thread(
            target=self._shared.read, name="centroids-read-ahead", daemon=True
        )

    def start(self) -> None:
        """Starts the thread.

        Raises:
            RuntimeError: If the system has no room for another one.
        """
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
        if self._ended:
            raise StopIteration
        answer = self._wait(None)
        if not isinstance(answer, _End):
            self._shared.tickets.put(None)
            return answer
        self._ended = True
        self._thread.join()
        error = answer.error
        del answer
        if error is None:
            raise StopIteration
        try:
            raise error
        finally:
            del error  # its traceback holds this frame: a cycle would keep batches alive

    def close(self, timeout: float | None = None) -> bool:
        """Ends the thread and forgets what was read ahead; continues after an interrupt within it.

        Args:
            timeout: How many seconds to wait for the item being read; None: forever.

        Returns:
            Whether the thread has ended. In a forked child it has not: it is the parent's.
        """
        if os.getpid() != self._process:
            return False
        self._shared.end()
        if self._thread.ident is None:
            return True  # it never ran, or will see that there is nothing to do
        end = None if timeout is None else time.monotonic() + timeout
        while not self._ended:
            try:
                self._ended = isinstance(self._wait(end), _End)
            except TimeoutError:
                self._thread.name = LEFT_BEHIND
                return False
        self._thread.join()
        return True

    def __del__(self) -> None:
        if "_shared" in self.__dict__:  # an interrupt may hit the constructor too
            self._shared.end()

    def _wait(self, end: float | None) -> T | _End:
        """What the thread has read next.

        Raises:
            TimeoutError: If nothing has come until the time `end`.
        """
        while True:
            left = _LOOK_SECONDS if end is None else min(end - time.monotonic(), _LOOK_SECONDS)
            alive = self._thread.is_alive()
            try:
                return self._shared.answers.get(timeout=max(left, 0))
            except Empty:
                if not alive:  # it had no memory left even to say so
                    return _End(MemoryError("the thread that reads the input has died"))
                if end is not None and time.monotonic() >= end:
                    raise TimeoutError from None


def all_but_first_ahead(items: Generator[T], first: int) -> Generator[T]:
    """The items, of which all but the first are read in a thread, while the others are worked on.

    Args:
        items: The iterator.
        first: How many are read where they are asked for: few items need no thread.
    """
    ahead: ReadAhead[T] | None = None
    timeout = None
    try:
        for _ in range(first):
            try:
                item = next(items)
            except StopIteration:
                return
            yield item
            del item
        ahead = ReadAhead(items, depth=1)
        try:
            ahead.start()
        except RuntimeError:  # no room for another thread: they are read here
            ahead = None
        yield from items if ahead is None else ahead
    except (KeyboardInterrupt, ReadingInterrupted):  # the program is to end
        timeout = INTERRUPTED_SECONDS
        raise
    finally:
        if ahead is None or ahead.close(timeout):  # else it is still read by a thread
            items.close()


class _End:
    """The last answer of the thread: what the iterator raised, or None at its end."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Shared(Generic[T]):
    """What the thread and its owner share. A ticket lets the thread read one more item."""

    def __init__(self, items: Iterator[T]) -> None:
        self.tickets: SimpleQueue[None] = SimpleQueue()
        self.answers: SimpleQueue[T | _End] = SimpleQueue()
        self.ending = False
        self._items: Iterator[T] | None = items

    def end(self) -> None:
        """Lets the thread end after the item that it reads."""
        self.ending = True
        self.tickets.put(None)

    def read(self) -> None:
        """The life of the thread."""
        items, self._items = self._items, None
        assert items is not None
        error: BaseException | None = None
        try:
            while self.tickets.get() is None and not self.ending:
                self.answers.put(next(items))
        except StopIteration:
            pass
        except BaseException as raised:
            error = raised
        finally:
            del items
            self.answers.put(_End(error))
            del error
