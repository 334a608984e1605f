"""Points that live on the workers of an existing engine: Dask or Ray.

One seam: an engine puts a collection into shards and lets functions run there (`Workers`);
`ShardedPoints` is the batch that the rest of the package sees.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from centroids.distribute._dask import Dask
from centroids.distribute._parquet import ParquetFolder
from centroids.distribute._ray import Ray
from centroids.distribute._shard import Part, Place
from centroids.distribute._sharded_points import ShardedPoints
from centroids.distribute._workers import Workers, watchers

if TYPE_CHECKING:
    from typing_extensions import TypeIs

__all__ = [
    "Dask",
    "ParquetFolder",
    "Part",
    "Place",
    "Ray",
    "ShardedPoints",
    "is_collection",
    "is_sharded",
    "map_lazily",
    "shard",
    "watchers",
]

_ENGINES: dict[str, Callable[[], Any]] = {"dask": Dask, "ray": Ray}
_COLLECTIONS: dict[str | None, tuple[str, ...]] = {
    "dask": ("Array", "DataFrame", "Series"),
    "ray": ("Dataset", "MaterializedDataset"),
}

# One batch object is kept while someone uses it, so that a step does not move points.
_known: weakref.WeakValueDictionary[Any, Workers] = weakref.WeakValueDictionary()


def is_sharded(points: object) -> TypeIs[ShardedPoints]:
    """Whether points are a ShardedPoints."""
    return isinstance(points, ShardedPoints)


def is_collection(kind: type) -> bool:
    """Whether a type is one of an engine's collections, by its name: nothing is imported."""
    return issubclass(kind, ParquetFolder) or any(
        base.__name__ in _COLLECTIONS.get(_engine_of(base), ()) for base in kind.__mro__
    )


def shard(
    collection: Any,
    convert: Callable[[Any], Any],
    engine: Any = None,
    *,
    weight_column: Any = None,
) -> ShardedPoints:
    """A collection as a batch, whose points are in shards on workers.

    Args:
        collection: What `is_collection` knows.
        convert: Makes [n, d] points of one of its blocks, on a worker; or WeightedPoints.
        engine: Where the shards go; None takes the current client of the collection's engine.
        weight_column: Where `convert` finds the weights, of any type that has a hash: another one
            makes other points of the same collection. None: there are none.

    Raises:
        RuntimeError: If the points are in use on a client that has been closed since.
    """
    engine = engine or _engine_for(collection)
    key = (engine, engine.key_of(collection), weight_column)
    workers = _known.get(key)
    if workers is None:
        engine.check_not_left(collection, list(_known.values()))
        _known[key] = workers = engine.start(collection, convert)
    return ShardedPoints(workers)


def map_lazily(
    collection: Any,
    function: Callable[[Any, Place], Any],
    name: str = "prediction",
    skipped: str | None = None,
) -> Any:
    """A collection of what a function gives for each block of another one; nothing is computed.

    Args:
        collection: What `is_collection` knows.
        function: Makes an array [m] or [m, k] of a block of m rows. It gets what says where a row
            of the block is, as far as a block can know.
        name: What a column [m] is called where columns have names.
        skipped: A column that the function does not count.
    """
    return _engine_for(collection).map_lazily(collection, function, name, skipped)


def _engine_for(collection: Any) -> Any:
    if isinstance(collection, ParquetFolder):
        return Dask()
    return _ENGINES[next(name for base in type(collection).__mro__ if (name := _engine_of(base)))]()


def _engine_of(kind: type) -> str | None:
    root = kind.__module__.partition(".")[0]
    return root if root in _ENGINES else "dask" if root == "dask_expr" else None
