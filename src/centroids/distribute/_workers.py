"""The workers of an engine: ask all shards, wait with a limit, and rebuild what was lost."""

from __future__ import annotations

import abc
import logging
import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from centroids.distribute._shard import PartitionInfo, Raised, Shard, describe

logger = logging.getLogger(__name__)

# What makes one worker die may make the next one die, too.
_MOST_LOSSES = 5

Watcher = Callable[[int, int], None]
watchers: list[Watcher] = []
"""Called with the shards that have answered and all shards, while a step waits for them."""


class ShardLost(Exception):
    """The worker of a shard is gone. What it held can be rebuilt; each engine raises it."""


class Workers(abc.ABC):
    """The partitions of one collection, in shards on the workers of an engine.

    An engine makes `shards`, `ask`, `answer` and `restore`; the rest is the same for all.

    Attributes:
        shards: The numbers of the partitions of each shard, by what the engine calls it.
        partitions: What is known about each partition, in their order.
        names: The names of the columns, or None.
        streamed: Whether partitions are read again in each call.
    """

    shards: dict[Any, tuple[int, ...]]
    partitions: list[PartitionInfo]
    names: tuple[str, ...] | None = None
    streamed: bool = False

    @abc.abstractmethod
    def ask(self, shard: Any, call: bytes, more: bytes) -> Any:
        """Lets a shard run a call, without waiting; returns what `answer` takes."""

    @abc.abstractmethod
    def answer(self, shard: Any, asked: Any) -> bytes:
        """Waits for an answer, within the limit of the engine.

        Raises:
            ShardLost: If the worker is gone.
            TimeoutError: If it has not answered for too long.
        """

    @abc.abstractmethod
    def restore(self, lost: Sequence[Any]) -> None:
        """Rebuilds the partitions of lost shards in other shards.

        Raises:
            RuntimeError: If that is impossible; it says why.
        """

    def learn(self) -> None:
        """Finds out what the partitions are like, once the shards are there."""
        import centroids

        found: dict[int, PartitionInfo] = {}
        every = {number: number for of_shard in self.shards.values() for number in of_shard}
        for version, infos in self.run(describe, (), every):
            if version != centroids.__version__:
                raise RuntimeError(
                    f"a worker has centroids {version}, but this process has "
                    f"{centroids.__version__}: install one version everywhere"
                )
            found |= infos
        self.partitions = [found[number] for number in sorted(found)]

    def run(
        self,
        function: Callable[..., Any],
        arguments: Sequence[Any],
        wants: Mapping[int, Any],
    ) -> Iterator[Any]:
        """Calls `function(shard, *arguments, wants)` on shards, until every want is answered.

        Args:
            function: A function at the top of a module: it travels by its name.
            arguments: What it gets on all shards.
            wants: What is wanted of each partition in question, by its number. A shard gets the
                list for its partitions.

        Yields:
            An answer of each shard, in no order.

        Raises:
            Exception: What the function raised.
            TimeoutError: If a worker does not answer.
            RuntimeError: If workers keep getting lost, or data cannot be rebuilt.
        """
        call = pickle.dumps((function, tuple(arguments)), protocol=pickle.HIGHEST_PROTOCOL)
        missing, losses, log = dict(wants), 0, _Traffic(function)
        while missing:
            asked = {}
            for shard, numbers in self.shards.items():
                mine = {number: missing[number] for number in numbers if number in missing}
                if mine:
                    own = pickle.dumps(list(mine.values()), protocol=pickle.HIGHEST_PROTOCOL)
                    asked[shard] = (self.ask(shard, call, own), list(mine))
                    log.sent(len(call) + len(own))
            lost = []
            for done, (shard, (question, answered)) in enumerate(asked.items()):
                try:
                    raw = self.answer(shard, question)
                except ShardLost as error:
                    logger.warning("A worker was lost: %s. Its partitions are rebuilt.", error)
                    lost.append(shard)
                    continue
                log.received(len(raw))
                _tell(done + 1, len(asked))
                answer = pickle.loads(raw)
                if isinstance(answer, Raised):
                    raise answer.error
                yield answer
                for number in answered:
                    del missing[number]
            if lost:
                losses += 1
                if losses > _MOST_LOSSES:
                    raise RuntimeError(
                        f"workers were lost {losses} times in one step; look into their logs (they "
                        "may run out of memory: use more or larger workers)"
                    )
                self.restore(lost)
        log.write(len(self.shards))


class LocalWorkers(Workers):
    """The only worker without an engine: this process.

    Args:
        partitions: The points of each.
    """

    def __init__(self, partitions: Sequence[Any], names: tuple[str, ...] | None = None) -> None:
        numbers = range(len(partitions))
        self.names = names
        self.streamed = any(map(callable, partitions))
        self.shards = {0: tuple(numbers)}
        self._shard = Shard(numbers, partitions)
        self.learn()

    def ask(self, shard: Any, call: bytes, more: bytes) -> Any:
        """Answers at once."""
        return self._shard.run(call, more)

    def answer(self, shard: Any, asked: Any) -> bytes:
        """The answer itself."""
        return bytes(asked)

    def restore(self, lost: Sequence[Any]) -> None:
        """Nothing can be lost."""


class Clock:
    """The limit of a wait; the time starts over with each sign of life.

    Args:
        seconds: The limit.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.restart()

    def restart(self) -> None:
        """Something has happened."""
        self._started = time.monotonic()

    def check(self, what: str) -> None:
        """Raises a TimeoutError that says what was waited for, if nothing happened for too long."""
        if time.monotonic() - self._started > self._seconds:
            raise TimeoutError(f"{what} within {self._seconds:g} seconds")


def _tell(done: int, of: int) -> None:
    for watcher in list(watchers):
        watcher(done, of)


class _Traffic:
    """Says in the debug log what a call has moved, and how long it took."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = getattr(function, "__name__", repr(function))
        self._started = time.perf_counter()
        self._sent = self._received = 0

    def sent(self, count: int) -> None:
        self._sent += count

    def received(self, count: int) -> None:
        self._received += count

    def write(self, shards: int) -> None:
        logger.debug(
            "%s on %d shards: %s bytes sent, %s received, %.1f ms",
            self._name,
            shards,
            f"{self._sent:,}",
            f"{self._received:,}",
            1e3 * (time.perf_counter() - self._started),
        )
