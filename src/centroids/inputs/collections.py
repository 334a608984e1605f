"""Collections of an engine, such as dask arrays, as inputs and as outputs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from centroids import distribute
from centroids.inputs.convert import convert_features, is_pair, table_columns
from centroids.inputs.weights import WeightColumn
from centroids.rows import with_weights


def map_collection(
    returned: Any,
    function: Callable[[Any, Any], Any],
    name: str,
    weights: WeightColumn | None = None,
) -> Any:
    """What a function gives for each block of a collection, as a lazy one of the same kind.

    Args:
        returned: What an input function returned: a collection, or a tuple that begins with one.
        function: Makes an array [m, ...] of a block of m rows, on a worker; see
            `distribute.map_lazily`.
        name: What a column [m] is called where columns have names.
        weights: A column that the function does not count; None: there is none.

    Raises:
        TypeError: If it is not a collection.
    """
    collection = returned[0] if isinstance(returned, tuple) and returned else returned
    if not distribute.is_collection(type(collection)):
        raise TypeError(
            "there is a collection of predictions only where input_fn returns a collection (a dask "
            f"array or data frame, a Ray Dataset), but it returned {type(collection).__name__}; "
            "iterate over the predictions instead"
        )
    skipped = None if weights is None else weights.name
    return distribute.map_lazily(collection, function, name, skipped)


def watch_shards(watcher: Callable[[int, int], None]) -> Callable[[], None]:
    """Tells a function how many shards have done their part of a step, and out of how many.

    Returns:
        What ends that.
    """
    distribute.watchers.append(watcher)
    return lambda: distribute.watchers.remove(watcher)


def in_weighted_shards(raw: Any, where: Any, weights: WeightColumn) -> Any:
    """A batch whose features are in shards, with their weights, if they were a collection.

    Args:
        raw: A batch that `convert_batch` takes.
        where: The engine that takes collections; None: the current one of the collection's kind.
        weights: The column that holds the weights.
    """
    features = raw[0] if is_pair(raw) else raw
    if not distribute.is_collection(type(features)):
        return raw
    convert = functools.partial(convert_weighted, weights)
    sharded = distribute.shard(features, convert, where, weight_column=weights)
    sharded.workers.names = weights.without(sharded.workers.names)
    return sharded


def convert_weighted(weights: WeightColumn, value: Any) -> Any:
    """Converts a part of a collection, on a worker; WeightedPoints, or rows of weights ignored."""
    split = weights.split(convert_features(value), table_columns(value))
    if split.weights is not None:
        weights.check(split.weights)
    return with_weights(split.features, split.weights)
