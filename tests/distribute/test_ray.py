"""Points in Ray Datasets: equal to the bit to those of one process. Slow, as Ray starts slowly."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import centroids
from centroids.distribute import Part, Ray, ShardedPoints, shard
from centroids.inputs.convert import convert_features
from tests.distribute.test_dask import assert_equal, train
from tests.distribute.test_faults import kill_once

pytest.importorskip("ray.data")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of Ray, which has many
]


@pytest.fixture(scope="module", autouse=True)
def ray_cluster() -> Iterator[None]:
    import ray

    paths = [str(Path(__file__).parents[2]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    ray.init(
        num_cpus=3,
        include_dashboard=False,
        object_store_memory=200 << 20,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, paths))}},
    )
    yield
    ray.shutdown()


def dataset(points: NDArray[Any], split: tuple[int, ...]) -> Any:
    import ray.data

    return ray.data.from_numpy(np.split(points, np.cumsum(split)[:-1]))


TWO = centroids.RunConfig(train_distribute=Ray(num_workers=2, cpus_per_worker=1))


@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
@pytest.mark.parametrize("config", [None, TWO])
def test_full_batches(
    points: NDArray[Any], split: tuple[int, ...], metric: str, config: Any
) -> None:
    spread = train(dataset(points, split), distance_metric=metric, config=config)
    assert_equal(train(points, distance_metric=metric), spread)


def test_predictions_as_a_lazy_collection(points: NDArray[Any]) -> None:
    import ray.data

    kmeans, spread = train(points), dataset(points, (300, 700))
    index = kmeans.predict_cluster_index(lambda: spread).collection
    assert isinstance(index, ray.data.Dataset)
    found = [row["cluster_index"] for row in index.take_all()]
    once = lambda: centroids.inputs.limit_epochs(points)  # noqa: E731
    assert found == list(kmeans.predict_cluster_index(once))
    distances = kmeans.transform(lambda: spread).collection.take_batch(10)["all_distances"]
    assert distances.shape == (10, 7)


def test_rows_keep_their_order_whichever_block_is_ready_first(points: NDArray[Any]) -> None:
    first = points[0].copy()

    def slow_at_the_beginning(batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        if np.array_equal(batch["data"][0], first):
            time.sleep(3)
        return batch

    spread = dataset(points, (200, 300, 500)).map_batches(slow_at_the_beginning, batch_size=None)
    config = centroids.RunConfig(train_distribute=Ray(num_workers=1))
    # Rows that are drawn have numbers, so these centers depend on the order.
    drawn = {"initial_clusters": "random", "random_seed": 3}
    assert_equal(train(points, 1, **drawn), train(spread, 1, config=config, **drawn))
    kmeans = train(points)
    index = kmeans.predict_cluster_index(lambda: spread).collection
    found = [row["cluster_index"] for row in index.take_all()]
    assert found == list(
        kmeans.predict_cluster_index(lambda: centroids.inputs.limit_epochs(points))
    )


def test_tables_keep_the_names_of_their_columns(points: NDArray[Any]) -> None:
    import pandas
    import ray.data

    frame = pandas.DataFrame(points, columns=list("dbca"))
    spread = ray.data.from_pandas([frame[:400], frame[400:]])
    kmeans = train(spread)
    assert_equal(kmeans, train(frame))
    with pytest.raises(ValueError, match="the columns"):
        kmeans.train(lambda: frame[list("abcd")], steps=1)


def test_a_bad_value_is_named_by_its_place(points: NDArray[Any]) -> None:
    points = points.copy()
    points[623, 3] = np.nan
    with pytest.raises(
        ValueError, match=r"nan in partition 1, row 123 \(row 623 of all\), column 3"
    ):
        train(dataset(points, (500, 500)))


def test_a_worker_that_dies_within_a_call(points: NDArray[Any], tmp_path: Path) -> None:
    sharded = shard(dataset(points, (500, 500)), convert_features, TWO.train_distribute)
    total = sharded.fold(kill_once, str(tmp_path / "killed"))
    assert total == points[:, 0].astype(np.int64).sum()
    assert (tmp_path / "killed").exists()


def kill_always(part: Part) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def wait(part: Part) -> int:
    time.sleep(8)
    return 0


@pytest.mark.parametrize("function", [kill_always, wait])
def test_a_worker_that_never_answers_is_waited_for_within_a_limit(
    points: NDArray[Any], function: Any
) -> None:
    workers = shard(dataset(points, (500, 500)), convert_features, TWO.train_distribute).workers
    workers._settings = Ray(timeout=3)  # of a step: processes may start slowly
    with pytest.raises(TimeoutError, match=r"has not finished its part of a step.* 3 seconds"):
        ShardedPoints(workers).fold(function)


def pid_of(shard: Any, wants: Any) -> int:
    return os.getpid()


class Kill(centroids.SessionRunHook):
    def before_run(self, run_context: Any) -> None:
        if run_context.session.global_step == 2:
            workers = run_context.session._batch.features.workers
            pid = min(workers.run(pid_of, (), {0: 0, 1: 1}))
            threading.Timer(0.002, os.kill, (pid, signal.SIGKILL)).start()


def test_a_worker_killed_in_mid_iteration_changes_no_bit(points: NDArray[Any]) -> None:
    kmeans = centroids.KMeansClustering(
        7, initial_clusters=np.eye(7, 4) * 1000 + 1000, use_mini_batch=False, config=TWO
    )
    spread = dataset(points, (500, 500))
    assert_equal(train(points, 40), kmeans.train(lambda: spread, steps=40, hooks=[Kill()]))
