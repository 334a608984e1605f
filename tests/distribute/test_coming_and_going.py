"""Workers that join or leave between steps, as those of clusters that adapt: the same bits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import centroids
from centroids.distribute import Dask, ParquetFolder
from centroids.inputs import numpy_input_fn
from tests.distribute.test_dask import array, assert_equal, train

pytest.importorskip("dask.array")
pytestmark = [
    pytest.mark.timeout(120),
    # Schedulers leave a socket to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def own() -> Iterator[Any]:
    """A cluster of two workers of this test's own, and its client."""
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


class At(centroids.SessionRunHook):
    """Does something before steps."""

    def __init__(self, actions: Mapping[int, Callable[[], Any]]) -> None:
        self._actions = actions

    def before_run(self, run_context: Any) -> None:
        self._actions.get(run_context.session.global_step, lambda: None)()


def fit(points: Any, client: Any, actions: Mapping[int, Any], **limits: Any) -> Any:
    config = centroids.RunConfig(train_distribute=Dask(client, **limits))
    initial = np.eye(7, 4) * 1000 + 1000
    kmeans = centroids.KMeansClustering(
        7, initial_clusters=initial, use_mini_batch=False, config=config
    )
    return kmeans.train(lambda: points, steps=12, hooks=[At(actions)])


def wait_for(client: Any, count: int) -> None:
    while len(client.nthreads()) != count:
        time.sleep(0.02)


def test_workers_join_and_leave(own: Any, points: NDArray[Any]) -> None:
    def scale(count: int) -> None:
        own.cluster.scale(count)
        wait_for(own, count)

    actions = {2: lambda: scale(3), 5: lambda: scale(1), 8: lambda: scale(2)}
    assert_equal(train(points, steps=12), fit(array(points, (250,) * 4), own, actions))


@pytest.mark.parametrize("mini_batches", [False, True])
def test_resuming_on_another_number_of_workers(
    own: Any, points: NDArray[Any], tmp_path: Path, mini_batches: bool
) -> None:
    def go_on(x: Any, steps: int, folder: Path) -> centroids.KMeansClustering:
        kmeans = centroids.KMeansClustering(
            7, folder, initial_clusters="kmeans_rejection", use_mini_batch=mini_batches
        )
        batches = numpy_input_fn(x, batch_size=150, num_epochs=None, shuffle=True)
        return kmeans.train(batches if mini_batches else lambda: x, max_steps=steps)

    for workers, steps, split in ((2, 2, (1000,)), (1, 5, (1, 0, 999)), (3, 9, (400, 200, 400))):
        own.cluster.scale(workers)
        wait_for(own, workers)
        found = go_on(array(points, split), steps, tmp_path / "many")
    assert_equal(go_on(points, 9, tmp_path / "alone"), found)


def test_a_worker_is_retired(own: Any, points: NDArray[Any]) -> None:
    def retire() -> None:
        own.retire_workers([min(own.nthreads())], close_workers=True)

    assert_equal(train(points, steps=12), fit(array(points, (250,) * 4), own, {4: retire}))


def test_a_cluster_that_adapts_starts_with_no_worker(points: NDArray[Any], tmp_path: Path) -> None:
    import distributed
    import pandas

    pandas.DataFrame(points).rename(columns=str).to_parquet(tmp_path / "points.parquet")
    alone = train(points, steps=12)
    with (
        distributed.LocalCluster(
            n_workers=0, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        cluster.adapt(minimum=0, maximum=1, interval="50ms")
        assert_equal(alone, fit(ParquetFolder(tmp_path), client, {}))
        assert_equal(alone, fit(array(points, (500, 500)), client, {}))


def test_all_workers_of_a_streamed_folder_go(
    own: Any, points: NDArray[Any], tmp_path: Path
) -> None:
    import pandas

    pandas.DataFrame(points).rename(columns=str).to_parquet(tmp_path / "points.parquet")

    def scale_to_nothing() -> None:
        own.cluster.scale(0)
        wait_for(own, 0)

    with pytest.raises(TimeoutError, match=r"has no worker: none came within 0\.5 seconds"):
        fit(ParquetFolder(tmp_path), own, {3: scale_to_nothing}, no_worker_timeout=0.5)


def test_workers_that_only_the_scheduler_can_reach(
    cluster: Any, points: NDArray[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """As behind a gateway: the same bits, by way of the scheduler."""
    import distributed

    alone = train(points, steps=12)
    with distributed.Client(cluster, direct_to_workers=False, set_as_default=False) as client:
        assert_equal(alone, fit(array(points, (500, 500)), client, {}))
    with distributed.Client(cluster, set_as_default=False) as client:
        reach = client.rpc.connect

        async def connect(address: str, *arguments: Any, **named: Any) -> Any:
            if address in workers:
                raise OSError("no route to host")
            return await reach(address, *arguments, **named)

        workers = set(client.nthreads())
        client.rpc.connect = connect
        with caplog.at_level("DEBUG", "centroids.distribute"):
            assert_equal(alone, fit(array(points, (400, 600)), client, {}))
        assert "is called through the scheduler: OSError('no route to host')" in caplog.text
