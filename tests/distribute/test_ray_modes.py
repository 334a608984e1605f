"""Every mode on Ray: the bits of one process, with even, uneven and empty blocks. Slow."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from numpy.typing import NDArray

import centroids
from centroids.distribute import Part, Ray, shard
from centroids.inputs import limit_epochs, numpy_input_fn
from centroids.inputs.convert import convert_features
from tests.distribute.conftest import SPLITS
from tests.distribute.test_dask import assert_equal

pytest.importorskip("ray.data")

from tests.distribute.test_ray import TWO, dataset, ray_cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of Ray, which has many
]

__all__ = ["ray_cluster"]  # a fixture of all tests here


def full(x: Any, **arguments: Any) -> centroids.KMeansClustering:
    kmeans = centroids.KMeansClustering(7, random_seed=3, use_mini_batch=False, **arguments)
    return kmeans.train(lambda: x, steps=3)


def mini(x: Any, **arguments: Any) -> centroids.KMeansClustering:
    input_fn = numpy_input_fn(x, batch_size=150, num_epochs=2, shuffle=True)
    kmeans = centroids.KMeansClustering(7, random_seed=3, **arguments)
    return kmeans.train(input_fn, steps=5).train(input_fn)


METHODS = ["random", "kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection"]
FAR = -1e9 * np.ones((3, 4))
MODES: dict[str, Callable[..., centroids.KMeansClustering]] = {
    **{f"full, {method}": functools.partial(full, initial_clusters=method) for method in METHODS},
    **{f"mini, {method}": functools.partial(mini, initial_clusters=method) for method in METHODS},
    "cosine": functools.partial(
        full, initial_clusters="kmeans_plus_plus", distance_metric="cosine"
    ),
    "restarts": functools.partial(full, initial_clusters="random", num_restarts=3),
    "relocation": functools.partial(
        full, initial_clusters=np.concatenate([np.eye(4), FAR]), empty_clusters="relocate"
    ),
    "reassignment": functools.partial(
        mini, initial_clusters=np.concatenate([np.eye(4), FAR]), reassignment_ratio=0.3
    ),
    "iterations of mini-batches": functools.partial(
        mini, initial_clusters="random", mini_batch_steps_per_iteration=3
    ),
}


@pytest.fixture(scope="module", params=SPLITS)
def spread(
    ray_cluster: None, points: NDArray[Any], request: pytest.FixtureRequest
) -> Iterator[Any]:
    """A dataset whose shards stay on two workers for all tests."""
    spread = dataset(points, SPLITS[request.param])
    kept = shard(spread, convert_features, TWO.train_distribute)
    yield spread
    del kept


@pytest.mark.parametrize("mode", MODES)
def test_modes_of_training(spread: Any, points: NDArray[Any], mode: str) -> None:
    assert_equal(MODES[mode](points), MODES[mode](spread, config=TWO))


def test_evaluation_and_predictions(spread: Any, points: NDArray[Any]) -> None:
    alone = full(points, initial_clusters="random")
    many = full(spread, initial_clusters="random", config=TWO)
    assert many.score(lambda: spread) == alone.score(lambda: points)
    assert many.evaluate(lambda: spread, steps=1) == alone.evaluate(lambda: points, steps=1)
    assert many.evaluate(lambda: limit_epochs(spread)) == alone.evaluate(lambda: points, steps=1)
    rows = [list(model.predict_cluster_index(lambda p=p: limit_epochs(p)))
            for model, p in ((alone, points), (many, spread))]  # fmt: skip
    assert rows[0] == rows[1]


def test_resuming_on_another_number_of_workers(
    ray_cluster: None, points: NDArray[Any], tmp_path: Path
) -> None:
    def fit(x: Any, steps: int, folder: Path, **workers: Any) -> centroids.KMeansClustering:
        config = centroids.RunConfig(train_distribute=Ray(**workers)) if workers else None
        kmeans = centroids.KMeansClustering(7, folder, initial_clusters="random", config=config)
        input_fn = numpy_input_fn(x, batch_size=150, num_epochs=None, shuffle=True)
        return kmeans.train(input_fn, max_steps=steps)

    expected = fit(points, 9, tmp_path / "alone")
    fit(dataset(points, (1000,)), 3, tmp_path / "many", num_workers=1)
    fit(dataset(points, SPLITS["9"]), 6, tmp_path / "many", num_workers=3)
    found = fit(dataset(points, (400, 600)), 9, tmp_path / "many", num_workers=2)
    assert_equal(expected, found)


def threads_of(part: Part) -> list[int]:
    from centroids import kernels

    return [kernels.num_threads()]


def test_a_worker_has_as_many_threads_as_it_reserves_or_its_node_has(
    ray_cluster: None, points: NDArray[Any]
) -> None:
    spread = dataset(points, (500, 500))
    for reserved, threads in ((1, 1), (None, 3)):
        workers = Ray(num_workers=1, cpus_per_worker=reserved)
        assert set(shard(spread, convert_features, workers).fold(threads_of)) == {threads}


def test_a_dataset_that_no_cpu_can_read_is_waited_for_within_a_limit(
    ray_cluster: None, points: NDArray[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray
    import ray.data

    config = centroids.RunConfig(train_distribute=Ray(timeout=1))
    lazy = ray.data.range(1000).map_batches(lambda batch: {"x": points[batch["id"]]})
    monkeypatch.setattr(ray, "available_resources", lambda: {"memory": 1e9})
    with pytest.raises(TimeoutError, match=r"no free CPU to read a Dataset with.* 1 seconds"):
        full(lazy, initial_clusters="random", config=config)


def test_a_collection_of_predictions_reads_nothing_until_it_is_taken(
    ray_cluster: None, points: NDArray[Any], tmp_path: Path
) -> None:
    import ray.data

    def read(batch: Any) -> Any:
        (tmp_path / "read").touch()
        return {"x": points[batch["id"]]}

    spread = ray.data.range(1000).map_batches(read)
    lazily = full(points, initial_clusters="random").predict_cluster_index(lambda: spread)
    collection = lazily.collection
    assert isinstance(collection, ray.data.Dataset)
    assert not (tmp_path / "read").exists()
    assert collection.count() == 1000
    assert (tmp_path / "read").exists()


def test_blocks_that_differ_are_named(ray_cluster: None, points: NDArray[Any]) -> None:
    import ray.data

    def mixed(*blocks: NDArray[Any]) -> Any:
        return ray.data.from_numpy(list(blocks))

    wide = points[500:].astype(np.float64)
    with pytest.raises(ValueError, match=r"partition 1 has 4 columns of float64"):
        full(mixed(points[:500], wide), initial_clusters="random")
    with pytest.raises(ValueError, match=r"partition 1 has 3 columns of float32"):
        full(mixed(points[:500], points[500:, :3]), initial_clusters="random")
    with pytest.raises(ValueError, match=r"0 points: all of its partitions are empty"):
        full(mixed(points[:0]), initial_clusters="random")
    rows = scipy.sparse.random_array((30, 6), density=0.3, format="csr", rng=1)
    sparse = ray.data.from_items([{"x": rows[[at]]} for at in range(30)])
    with pytest.raises(TypeError, match=r"column 'x' holds sparse matrices.*make a dask array"):
        full(sparse, initial_clusters="random")
