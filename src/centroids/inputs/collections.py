"""Collections of an engine, such as dask arrays, as inputs and as outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from centroids import distribute


def map_collection(returned: Any, function: Callable[[Any], Any], name: str) -> Any:
    """What a function gives for each block of a collection, as a lazy one of the same kind.

    Args:
        returned: What an input function returned: a collection, or a tuple that begins with one.
        function: Makes an array [m, ...] of a block of m rows, on a worker.
        name: What a column [m] is called where columns have names.

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
    return distribute.map_lazily(collection, function, name)


def watch_shards(watcher: Callable[[int, int], None]) -> Callable[[], None]:
    """Tells a function how many shards have done their part of a step, and out of how many.

    Returns:
        What ends that.
    """
    distribute.watchers.append(watcher)
    return lambda: distribute.watchers.remove(watcher)
