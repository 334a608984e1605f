"""Ray: datasets whose blocks live in the object stores of its nodes."""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.distribute._shard import Place, Raised, Shard, columns_without, load
from centroids.distribute._workers import Clock, ShardLost, Workers
from centroids.rows import is_sparse_type

logger = logging.getLogger(__name__)

_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Ray:
    """Where Ray Datasets are clustered: `RunConfig(train_distribute=Ray(...))`.

    Without it, the initialised Ray is used, with one worker on each node that holds blocks.

    Args:
        num_workers: How many workers share the blocks; None: one on each node with blocks.
        cpus_per_worker: How many CPUs a worker reserves, and how many threads it has. None reserves
            none, and takes as many threads as its node has CPUs.
        timeout: How many seconds a worker may take for its part of a step.
    """

    num_workers: int | None = None
    cpus_per_worker: int | None = None
    timeout: float = 600.0

    def key_of(self, collection: Any) -> Any:
        """Equal for one dataset."""
        return id(collection)

    def check_not_left(self, collection: Any, known: Sequence[Workers]) -> None:
        """A dataset has one Ray, that of this process."""

    def map_lazily(
        self,
        collection: Any,
        function: Callable[[Any, Place], Any],
        name: str,
        skipped: str | None,
    ) -> Any:
        """A Dataset with one column."""
        return _in_order(collection).map_batches(
            _column_of, batch_format="numpy", fn_args=(function, name, skipped), batch_size=None
        )

    def start(self, collection: Any, convert: Callable[[Any], Any]) -> Workers:
        """Puts the blocks of a dataset into shards; see Dask."""
        self._wait_for_a_cpu(collection)
        return RayWorkers(self, _in_order(collection).materialize(), convert)

    def _wait_for_a_cpu(self, collection: Any) -> None:
        """Without a free one Ray would wait for ever, as for CPUs that workers of ours reserve."""
        import ray

        if type(collection).__name__ == "MaterializedDataset":
            return
        clock = Clock(self.timeout)
        while ray.available_resources().get("CPU", 0) < 1:
            clock.check(
                "Ray has no free CPU to read a Dataset with: none became free (workers keep those "
                "that they reserve, see cpus_per_worker, while their points are in use)"
            )
            time.sleep(_POLL_SECONDS / 4)


def _in_order(dataset: Any) -> Any:
    """The dataset, which gives its rows in their order: else those of quick tasks come first."""
    dataset.context.execution_options.preserve_order = True
    return dataset


class RayWorkers(Workers):
    """One shard on each node, in an actor that Ray starts again when it dies."""

    def __init__(self, settings: Ray, dataset: Any, convert: Callable[[Any], Any]) -> None:
        self._settings, self._dataset, self._convert = settings, dataset, convert
        self._blocks = [
            ref for bundle in dataset.iter_internal_ref_bundles() for ref in bundle.block_refs
        ]
        names = dataset.schema().names if self._blocks else []
        self.names = tuple(names) if len(names) > 1 else None
        self.shards, self._actors = {}, {}
        for place, (node, numbers) in enumerate(self._place()):
            self.shards[place] = tuple(numbers)
            self._actors[place] = self._start(node, numbers)
        self.learn()

    def ask(self, shard: Any, call: bytes, more: bytes) -> Any:
        """Calls the actor."""
        return self._actors[shard].run.remote(call, more)

    def answer(self, shard: Any, asked: Any) -> bytes:
        """Waits for the actor within the limit; Ray restarts it if its process has died."""
        import ray

        clock = Clock(self._settings.timeout)
        while True:
            try:
                return bytes(ray.get(asked, timeout=_POLL_SECONDS))
            except ray.exceptions.GetTimeoutError:
                clock.check(
                    f"worker {shard} has not finished its part of a step (is there a node for it, "
                    "with free CPUs? see `ray status`; Ray(timeout=...) allows more time)"
                )
            except (ray.exceptions.ObjectLostError, ray.exceptions.RayActorError) as error:
                raise ShardLost(f"{shard} ({error})") from error

    def restore(self, lost: Sequence[Any]) -> None:
        """Starts the actors again, wherever there is room."""
        for shard in lost:
            self._actors[shard] = self._start(None, self.shards[shard])

    def _place(self) -> list[tuple[str | None, list[int]]]:
        """The partitions of each worker, with its node: they stay where they are."""
        import ray

        found = ray.experimental.get_object_locations(self._blocks)
        by_node: dict[str | None, list[int]] = {}
        for number, ref in enumerate(self._blocks):
            nodes = found.get(ref, {}).get("node_ids") or [None]
            by_node.setdefault(nodes[0], []).append(number)
        per_node = -(-(self._settings.num_workers or len(by_node)) // max(len(by_node), 1))
        return [
            (node, part.tolist())
            for node, numbers in by_node.items()
            for part in np.array_split(np.array(numbers), min(per_node, len(numbers)))
        ]

    def _start(self, node: str | None, numbers: Sequence[int]) -> Any:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        cpus = self._settings.cpus_per_worker
        options: dict[str, Any] = {"num_cpus": cpus or 0, "max_restarts": -1}
        if node is not None:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=True)
        actor = ray.remote(RayShard).options(max_task_retries=-1, **options)
        blocks = [self._blocks[number] for number in numbers]
        return actor.remote(self._convert, cpus, list(numbers), blocks)


class RayShard:
    """A shard that makes its points when it is first asked, so that errors arrive as answers."""

    def __init__(
        self,
        convert: Callable[[Any], Any],
        cpus: int | None,
        numbers: Sequence[int],
        blocks: Sequence[Any],
    ) -> None:
        # References: what an actor is made of must be there when Ray makes it again.
        self._arguments = (convert, cpus, numbers, blocks)
        self._shard: Shard | None = None

    def run(self, call: bytes, more: bytes) -> bytes:
        """See Shard."""
        import ray

        if self._shard is None:
            convert, cpus, numbers, blocks = self._arguments
            try:
                points = [
                    load(_columns_of(block), number, convert)
                    for number, block in zip(numbers, ray.get(list(blocks)), strict=True)
                ]
            except ray.exceptions.ObjectLostError as error:
                return pickle.dumps(Raised(_lost(error)))
            except Exception as error:
                return pickle.dumps(Raised(error))
            self._shard = Shard(numbers, points, cpus or _cpus_of_node())
        return self._shard.run(call, more)


def _lost(error: Exception) -> RuntimeError:
    return RuntimeError(
        "blocks were lost with their node, and Ray cannot make them again (what ray.put or "
        "ray.data.from_numpy stored has no recipe): read them on the workers, as "
        "ray.data.read_parquet does, and training continues from its last checkpoint "
        f"({type(error).__name__})"
    )


def _columns_of(block: Any) -> Any:
    """The rows of a block, [n, d] or [n], or a table of several columns."""
    from ray.data.block import BlockAccessor

    accessor = BlockAccessor.for_block(block)
    return _rows_of(accessor.to_numpy(accessor.column_names()))


def _rows_of(columns: dict[str, NDArray[Any]]) -> Any:
    """The array of a single column, or a table of several, which are vectors or matrices."""
    for name, values in columns.items():
        if values.dtype == object and len(values) and is_sparse_type(type(values[0])):
            raise TypeError(
                f"the column {name!r} holds sparse matrices, which Ray keeps as objects, row by "
                "row: make a dask array whose partitions are scipy's compressed sparse rows"
            )
    if len(columns) == 1:
        return next(iter(columns.values()))
    import pyarrow as pa

    def column(values: NDArray[Any]) -> Any:
        if values.ndim == 1:
            return pa.array(values)
        rows = pa.array(np.ascontiguousarray(values).ravel())
        return pa.FixedSizeListArray.from_arrays(rows, values.shape[1])

    return pa.table({name: column(values) for name, values in columns.items()})


def _column_of(
    columns: dict[str, NDArray[Any]],
    function: Callable[[Any, Place], Any],
    name: str,
    skipped: str | None,
) -> dict[str, Any]:
    one_each = len(columns) > 1 and all(values.ndim == 1 for values in columns.values())
    names = columns_without(skipped, tuple(columns)) if one_each else None
    return {name: function(_rows_of(columns), Place(None, None, names))}


def _cpus_of_node() -> int:
    import ray

    here = ray.get_runtime_context().get_node_id()
    return next(
        (int(node["Resources"].get("CPU", 1)) for node in ray.nodes() if node["NodeID"] == here), 1
    )
