"""Calls of the actors of dask, with as little in between as a network allows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from centroids.distribute._shard import Shard

logger = logging.getLogger(__name__)

_CONNECT_SECONDS = 2.0


class DaskShard:
    """A shard in an actor of dask; see Shard.

    It has a thread of its own. Dask looks a hundred times a second into those that it runs calls
    in, for its dashboard, and that takes a few percent of a core.
    """

    def __init__(self, numbers: Sequence[int], partitions: Sequence[Any], threads: int) -> None:
        self._shard = Shard(numbers, partitions, threads)
        self._thread = ThreadPoolExecutor(1, "centroids")

    async def run(self, call: bytes, more: bytes) -> bytes:
        """See Shard."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._shard.run, call, more)


class Calls:
    """Calls actors on the workers of a client, directly where the network allows it.

    Actors of dask themselves send everything through the scheduler, over a new connection for each
    call, unless the whole client is `Client(direct_to_workers=True)`.

    Args:
        client: A `distributed.Client`.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._workers: dict[str, Any] = {}

    def connect(self, addresses: Iterable[str]) -> None:
        """Finds out which of these workers can be reached from here."""
        new = [address for address in addresses if address not in self._workers]
        self._workers |= {address: _ThroughScheduler(self._client, address) for address in new}
        if self._client.direct_to_workers is False:
            return
        direct = [self._client.rpc(address) for address in new]
        trials = [self._run(asyncio.wait_for(to.identity(), _CONNECT_SECONDS)) for to in direct]
        for address, worker, trial in zip(new, direct, trials, strict=True):
            try:
                trial.result()
            except Exception as error:
                logger.debug("%s is called through the scheduler: %r", address, error)
            else:
                self._workers[address] = worker

    def begin(self, address: str, actor: str, method: str, *arguments: bytes) -> Future[Any]:
        """Calls a method of an actor without waiting; the future is of dask's answer, a dict."""
        from distributed.protocol import to_serialize

        given = [to_serialize(argument) for argument in arguments]
        worker = self._workers[address]
        return self._run(worker.actor_execute(actor=actor, function=method, args=given, kwargs={}))

    def _run(self, answer: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Runs a coroutine in the thread of the client."""
        return asyncio.run_coroutine_threadsafe(answer, self._client.loop.asyncio_loop)


class _ThroughScheduler:
    """A worker that only the scheduler can reach."""

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address

    async def actor_execute(self, **message: Any) -> Any:
        return await self._client.scheduler.proxy(
            worker=self._address, msg={"op": "actor_execute", **message}
        )
