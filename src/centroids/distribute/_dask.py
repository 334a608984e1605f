"""Dask: arrays and data frames whose partitions live on the workers of a client.

Over 400 lines: workers, actors and partitions know each other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from centroids.distribute._dask_calls import Calls, DaskShard
from centroids.distribute._parquet import ParquetFolder, RowGroup, frame_of
from centroids.distribute._shard import Place, columns_without, load
from centroids.distribute._workers import Clock, LocalWorkers, ShardLost, Workers

logger = logging.getLogger(__name__)

_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Dask:
    """Where dask collections are clustered: `RunConfig(train_distribute=Dask(client))`.

    Without it, the current client is used, as by dask itself. If there is none, this process
    computes the collection once and keeps it.

    Args:
        client: A `distributed.Client`; None takes the current one.
        timeout: How many seconds a worker may take for its part of a step, or for a partition.
        no_worker_timeout: How many seconds to wait when there is no worker at all.
    """

    client: Any = None
    timeout: float = 600.0
    no_worker_timeout: float = 60.0

    def key_of(self, collection: Any) -> Any:
        """Equal for collections of the same points on the same client."""
        from dask.base import tokenize

        return id(self.client or _current_client()), tokenize(collection)

    def check_not_left(self, collection: Any, known: Sequence[Workers]) -> None:
        """Refuses to begin elsewhere with a collection whose client was closed in mid-run.

        One that each step makes anew may be another one by its token: that is worth a warning.
        """
        if self.client is not None or _current_client() is not None:
            return
        token = self.key_of(collection)[1]
        left = [workers for workers in known if isinstance(workers, DaskWorkers)]
        for workers in left:
            if workers.token == token:
                workers.check_open()
        if any(workers.is_closed for workers in left):
            logger.warning(
                "The dask client is closed: from now on, this process computes the collection and "
                "clusters it. If that is too much for it, stop, make a client, and train again."
            )

    def map_lazily(
        self,
        collection: Any,
        function: Callable[[Any, Place], Any],
        name: str,
        skipped: str | None,
    ) -> Any:
        """A dask array of a dask array, a series or a data frame of anything else."""
        if isinstance(collection, ParquetFolder):
            return collection.map_lazily(function, name, skipped)
        if not hasattr(collection, "chunks"):
            names = columns_without(skipped, _names_of(collection))
            meta = _frame_of(collection._meta, function, name, names)
            return collection.map_partitions(_frame_of, function, name, names, meta=meta)
        collection = _with_whole_rows(collection)
        result = function(np.empty((0, collection.shape[1]), collection.dtype), Place(0, 0))
        shape: dict[str, Any] = {"drop_axis": 1}
        if result.ndim > 1:
            shape = {"chunks": (collection.chunks[0], result.shape[1:])}
        return collection.map_blocks(_array_of, function, dtype=result.dtype, meta=result, **shape)

    def start(self, collection: Any, convert: Callable[[Any], Any]) -> Workers:
        """Puts a collection into shards on the workers.

        Args:
            collection: A dask array, data frame or series, or a ParquetFolder.
            convert: Makes points of a block of the collection.
        """
        client = self.client or _current_client()
        if isinstance(collection, ParquetFolder):
            names: tuple[str, ...] | None = collection.names()
            blocks: list[Any] = collection.row_groups(convert)
        else:
            names, blocks = _names_of(collection), _blocks_of(collection)
        if client is not None:
            workers = DaskWorkers(self, client, blocks, convert, names)
            workers.token = self.key_of(collection)[1]
            return workers
        if isinstance(collection, ParquetFolder):
            return LocalWorkers(blocks, names)
        import dask

        logger.info("There is no dask client: this process computes the collection and keeps it.")
        loads = [dask.delayed(load)(block, number, convert) for number, block in enumerate(blocks)]
        return LocalWorkers(dask.compute(*loads), names)


class DaskWorkers(Workers):
    """One shard on each worker, in an actor, with the partitions that dask has put there.

    Only the shards hold partitions. When a worker dies, its partitions are computed again on other
    workers, by their recipes, and become shards there.

    Attributes:
        token: Dask's name of the collection.
    """

    token: str = ""

    def __init__(
        self,
        settings: Dask,
        client: Any,
        blocks: Sequence[Any],
        convert: Callable[[Any], Any],
        names: tuple[str, ...] | None,
    ) -> None:
        import dask

        self.names = names
        self._settings, self._client = settings, client
        self._check_workers()
        self.streamed = any(isinstance(block, RowGroup) for block in blocks)
        delayed = [
            dask.delayed(load, pure=True)(block, number, convert)
            for number, block in enumerate(blocks)
        ]
        # Kept to compute lost partitions again. What is streamed goes to the shards as it is.
        self._recipes: list[Any] = list(blocks) if self.streamed else delayed
        self.shards = {}
        self._actors: dict[Any, Any] = {}  # by shard, as futures of dask, which keep them
        self._calls = Calls(client)
        self._make_shards(range(len(blocks)))
        self.learn()

    def ask(self, shard: Any, call: bytes, more: bytes) -> Any:
        """Calls the actor; None if it is known to be gone."""
        actor = self._actors[shard]
        if actor.status != "finished":
            return None
        return self._calls.begin(shard[0], actor.key, "run", call, more)

    def answer(self, shard: Any, asked: Any) -> bytes:
        """Waits for the actor as long as its worker is there, within the limit."""
        address = shard[0]
        clock = Clock(self._settings.timeout)
        while asked is not None:
            try:
                return bytes(asked.result(timeout=_POLL_SECONDS)["result"])
            except TimeoutError:
                if asked.done() or address not in self._workers():
                    break
                clock.check(
                    f"the worker {address} has not finished its part of a step (is it stopped, or "
                    "short of memory? see its log; Dask(client, timeout=...) allows more time)"
                )
            except Exception as error:  # what functions raise comes as a value
                logger.debug("%s: %r", address, error)
                break
        raise ShardLost(address)

    def restore(self, lost: Sequence[Any]) -> None:
        """Waits until the scheduler notices, then makes shards of what it computes again."""
        clock = Clock(self._settings.no_worker_timeout)
        while any(address in self._workers() for address, _ in lost):
            # Not gone, but unreachable: it may be the network, or the worker is about to go.
            clock.check(f"the workers {[address for address, _ in lost]} neither answer nor end")
            time.sleep(_POLL_SECONDS / 4)
        numbers = [number for shard in lost for number in self.shards.pop(shard)]
        for shard in lost:
            del self._actors[shard]
        self._make_shards(sorted(numbers))

    def _make_shards(self, numbers: Sequence[int]) -> None:
        """Makes a shard on each worker from the partitions that are there."""
        missing = list(numbers)
        while missing:
            recipes = [self._recipes[number] for number in missing]
            made = recipes if self.streamed else self._client.compute(recipes)
            made = dict(zip(missing, made, strict=True))
            self._wait_for(made)
            places = self._place(made)
            self._calls.connect(places)
            starting = {
                address: self._client.submit(
                    DaskShard,
                    mine,
                    [made[number] for number in mine],
                    # A worker that is a thread of this process has no threads of its own.
                    0 if address.startswith("inproc") else slots,
                    actor=True,
                    pure=False,
                    workers=[address],
                    allow_other_workers=False,
                )
                for address, (slots, mine) in places.items()
            }
            for address, future in starting.items():
                mine = places[address][1]
                if self._is_made(address, future):
                    shard = (address, tuple(mine))
                    self.shards[shard], self._actors[shard] = tuple(mine), future
                    missing = [number for number in missing if number not in mine]

    def _is_made(self, address: str, future: Any) -> bool:
        """Waits for an actor; False if its worker went away."""
        clock = Clock(self._settings.timeout)
        while True:
            try:
                future.result(timeout=_POLL_SECONDS)
                return True
            except TimeoutError:
                if address not in self._workers():
                    future.cancel()
                    return False
                clock.check(f"the worker {address} has not started its shard")
            except ModuleNotFoundError as error:
                raise RuntimeError(
                    f"the worker {address} cannot import {error.name}: install centroids, in the "
                    "version of this process, on all workers"
                ) from error
            except Exception as error:
                if address in self._workers():
                    raise
                logger.debug("%s: %r", address, error)
                return False

    def _place(self, made: Mapping[int, Any]) -> dict[str, tuple[int, list[int]]]:
        """For each worker its slots and the partitions it holds; each partition has one place."""
        slots = self._workers()
        if self.streamed:
            return _dealt(list(made), slots)
        holders = self._client.who_has(list(made.values()))
        places: dict[str, tuple[int, list[int]]] = {}
        for number, future in made.items():
            there = [a for a in holders.get(future.key, ()) if a in slots]
            if there:  # else it was lost this moment, and is waited for again
                least = min(there, key=lambda a: (len(places.get(a, (0, []))[1]), a))
                places.setdefault(least, (slots[least], []))[1].append(number)
        return places

    def _wait_for(self, made: Mapping[int, Any]) -> None:
        """Waits until partitions are computed; the time limit starts over with each.

        What is streamed needs a worker, no more.
        """
        import distributed

        if self.streamed:
            self._check_workers()
            return
        clock, without = Clock(self._settings.timeout), Clock(self._settings.no_worker_timeout)
        waiting = dict(made)
        while waiting:
            try:
                distributed.wait(list(waiting.values()), timeout=_POLL_SECONDS)
            except TimeoutError:
                pass
            except Exception as error:  # cancelled: see below
                logger.debug("%r", error)
            before = len(waiting)
            for number, future in list(waiting.items()):
                if future.status == "finished":
                    del waiting[number]
                elif future.status in ("error", "cancelled"):
                    _raise_for(number, future)
            if len(waiting) < before:
                clock.restart()
            if self._workers():
                without.restart()
            without.check("there are no workers: none came back")
            clock.check(
                f"partition {min(waiting, default=0)} was not computed (see the dashboard of dask, "
                f"{self._client.dashboard_link}; Dask(client, timeout=...) allows more time)"
            )

    def _check_workers(self) -> None:
        """Waits for the first worker."""
        clock, task = Clock(self._settings.no_worker_timeout), None
        while not self._workers():
            # A cluster that adapts starts workers when there is something to do.
            task = task or self._client.submit(int, pure=False)
            clock.check(f"the scheduler {self._client.scheduler.address} has no worker: none came")
            time.sleep(_POLL_SECONDS / 4)

    @property
    def is_closed(self) -> bool:
        """Whether the client was closed."""
        return self._client.status in ("closing", "closed")

    def check_open(self) -> None:
        """Raises RuntimeError if the client was closed."""
        if self.is_closed:
            raise RuntimeError(
                "the dask client is closed; make a new one, and train again: training continues "
                "from the last checkpoint"
            )

    def _workers(self) -> dict[str, int]:
        """The slots of the workers, by address."""
        self.check_open()
        try:
            return dict(self._client.nthreads())
        except OSError as error:
            raise RuntimeError(
                f"the dask scheduler cannot be reached ({error}); start a cluster, and train "
                "again: training continues from the last checkpoint"
            ) from error


def _array_of(block: Any, function: Callable[[Any, Place], Any], block_info: Any) -> Any:
    """What a function gives for a block of an array."""
    number, (first, _) = block_info[0]["chunk-location"][0], block_info[0]["array-location"][0]
    known = not (number and np.isnan(first))  # chunks may have unknown sizes
    return function(block, Place(number, int(first) if known else None))


def _frame_of(
    block: Any,
    function: Callable[[Any, Place], Any],
    name: str,
    names: tuple[str, ...] | None,
    partition_info: Any = None,
) -> Any:
    """What a function gives for a partition of a data frame or series, with its index."""
    number = (partition_info or {}).get("number")
    # One without rows has no types that mean anything.
    rows = block if len(block) else block.astype(np.float64)
    values = function(rows, Place(number, 0 if number == 0 else None, names))
    return frame_of(values, block.index, name)


def _current_client() -> Any:
    try:
        import distributed
    except ImportError:
        return None
    try:
        return distributed.default_client()
    except ValueError:
        return None


def _raise_for(number: int, future: Any) -> None:
    """Raises what a partition failed with."""
    if future.status == "error":
        error = future.exception()
        if type(error).__name__ != "FutureCancelledError":
            error.add_note(f"raised by a worker, while it made partition {number}")
            raise error
    raise RuntimeError(
        f"partition {number} was lost with its worker, and dask cannot make it again: "
        "data that was scattered has no recipe. Read it on the workers (dask.dataframe."
        "read_parquet, dask.array.from_array, dask.delayed), and training continues from its last "
        "checkpoint"
    )


def _dealt(numbers: Sequence[int], slots: Mapping[str, int]) -> dict[str, tuple[int, list[int]]]:
    """Partitions that may be anywhere, dealt out by the slots of the workers."""
    addresses = [address for address in sorted(slots) for _ in range(slots[address])]
    places: dict[str, tuple[int, list[int]]] = {}
    for at, number in enumerate(numbers):
        address = addresses[at % len(addresses)]
        places.setdefault(address, (slots[address], []))[1].append(number)
    return places


def _blocks_of(collection: Any) -> list[Any]:
    """One Delayed of dask for each partition, in the order of their rows."""
    if hasattr(collection, "npartitions") and not hasattr(collection, "chunks"):
        return list(collection.to_delayed())
    if collection.ndim not in (1, 2):
        raise ValueError(
            f"points must have the shape [n, d] or [n], got a dask array of {collection.ndim} axes"
        )
    return list(_with_whole_rows(collection).to_delayed().ravel())


def _with_whole_rows(array: Any) -> Any:
    """A dask array [n, d] or [n] as [n, d], each row of it in one chunk."""
    if array.ndim == 1:
        return array[:, None]
    return array.rechunk({1: -1}) if array.numblocks[1] > 1 else array


def _names_of(collection: Any) -> tuple[str, ...] | None:
    names = getattr(collection, "columns", None)
    if names is None or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)
