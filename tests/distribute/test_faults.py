"""Workers that die, data that is bad, clusters that are empty: the same bits, or a plain error."""

from __future__ import annotations

import io
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import centroids
from centroids import viewers
from centroids.distribute import Dask, Part, shard
from centroids.inputs import numpy_input_fn
from centroids.inputs.convert import convert_features
from tests.distribute.test_dask import array, assert_equal, train

pytest.importorskip("dask.array")
pytestmark = pytest.mark.timeout(120)


def kill_once(part: Part, marker: str) -> int:
    """Kills its worker the first time that it is called."""
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return int(part.points[:, 0].astype(np.int64).sum())
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def test_a_worker_that_dies_within_a_call(
    client: Any, points: NDArray[Any], split: tuple[int, ...], tmp_path: Path
) -> None:
    sharded = shard(array(points, split), convert_features)
    total = sharded.fold(kill_once, str(tmp_path / "killed"))
    assert total == points[:, 0].astype(np.int64).sum()


class Kill(centroids.SessionRunHook):
    """Kills a worker a moment after a step has begun."""

    def __init__(self, client: Any, step: int) -> None:
        self._client, self._step = client, step

    def before_run(self, run_context: Any) -> None:
        if run_context.session.global_step == self._step:
            pids = self._client.run(os.getpid)
            pid = sorted(pids.values())[0]
            threading.Timer(0.002, os.kill, (pid, signal.SIGKILL)).start()


@pytest.mark.parametrize("step", [0, 2])
def test_a_worker_killed_in_mid_iteration_changes_no_bit(
    client: Any, points: NDArray[Any], step: int
) -> None:
    alone = train(points, steps=40)
    kmeans = centroids.KMeansClustering(
        7, initial_clusters=np.eye(7, 4) * 1000 + 1000, use_mini_batch=False
    )
    spread = array(points, (250, 250, 250, 250))
    kmeans.train(lambda: spread, steps=40, hooks=[Kill(client, step)])
    assert_equal(alone, kmeans)


def test_a_worker_killed_among_mini_batches_changes_no_bit(
    client: Any, points: NDArray[Any]
) -> None:
    def fit(x: Any, *hooks: Any) -> centroids.KMeansClustering:
        kmeans = centroids.KMeansClustering(7, initial_clusters="kmeans_plus_plus", random_seed=2)
        input_fn = numpy_input_fn(x, batch_size=90, num_epochs=None, shuffle=True)
        return kmeans.train(input_fn, steps=30, hooks=hooks)

    spread = array(points, (250, 0, 500, 250))
    assert_equal(fit(points), fit(spread, Kill(client, 3)))


def test_scattered_data_cannot_be_made_again(client: Any, points: NDArray[Any]) -> None:
    import dask
    import dask.array

    addresses = sorted(client.nthreads())
    halves = [
        client.scatter(half, workers=[address], hash=False)
        for half, address in zip(np.split(points, 2), addresses, strict=True)
    ]
    spread = dask.array.concatenate(
        [dask.array.from_delayed(dask.delayed(half), (500, 4), points.dtype) for half in halves]
    )
    assert_equal(train(points), train(spread))
    kmeans = centroids.KMeansClustering(
        7, initial_clusters=np.eye(7, 4) * 1000 + 1000, use_mini_batch=False
    )
    with pytest.raises(RuntimeError, match=r"partition \d was lost with its worker.*scattered"):
        kmeans.train(lambda: spread, steps=400, hooks=[Kill(client, 2)])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_worker_at_all() -> None:
    import dask.array
    import distributed

    # Its scheduler leaves a socket to the garbage collector.
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        kmeans = centroids.KMeansClustering(
            2, config=centroids.RunConfig(train_distribute=Dask(client, no_worker_timeout=0.5))
        )
        with pytest.raises(TimeoutError, match=r"has no worker: none came within 0\.5 seconds"):
            kmeans.train(lambda: dask.array.ones((10, 2)), steps=1)


def test_a_client_that_is_not_the_current_one(
    client: Any, cluster: Any, points: NDArray[Any]
) -> None:
    """Its shards are its own: the current client may be one of another cluster, or end."""
    import distributed

    config = centroids.RunConfig(train_distribute=Dask(client, timeout=5))
    with distributed.Client(cluster) as current:
        assert distributed.default_client() is current
        assert_equal(train(points), train(array(points, (500, 500)), config=config))
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as other,
        distributed.Client(other),
    ):
        assert_equal(train(points), train(array(points, (400, 600)), config=config))


def test_a_closed_client(cluster: Any, points: NDArray[Any]) -> None:
    import distributed

    client = distributed.Client(cluster, set_as_default=False)
    client.close()
    config = centroids.RunConfig(train_distribute=Dask(client))
    with pytest.raises(RuntimeError, match="the dask client is closed; make a new one"):
        train(array(points, (500, 500)), config=config)


def test_the_current_client_is_closed_between_two_steps(cluster: Any, points: NDArray[Any]) -> None:
    """Training does not go on in this process, which may be too small for the points."""
    import distributed

    class Close(centroids.SessionRunHook):
        def after_run(self, run_context: Any, run_values: Any) -> None:
            client.close()

    client = distributed.Client(cluster)
    kmeans = centroids.KMeansClustering(2, initial_clusters=points[:2], use_mini_batch=False)
    spread = array(points, (500, 500))
    with pytest.raises(RuntimeError, match="the dask client is closed; make a new one"):
        kmeans.train(lambda: spread, steps=3, hooks=[Close()])


def test_a_collection_that_is_another_one_in_each_step_goes_on_here_with_a_warning(
    cluster: Any, points: NDArray[Any], caplog: pytest.LogCaptureFixture
) -> None:
    import distributed

    class Close(centroids.SessionRunHook):
        def after_run(self, run_context: Any, run_values: Any) -> None:
            client.close()

    client = distributed.Client(cluster)
    kmeans = centroids.KMeansClustering(2, initial_clusters=points[:2], use_mini_batch=False)
    splits = iter([(500, 500), (400, 600), (999, 1)])
    kmeans.train(lambda: array(points, next(splits)), steps=3, hooks=[Close()])
    assert caplog.text.count("The dask client is closed: from now on, this process") >= 1
    alone = centroids.KMeansClustering(2, initial_clusters=points[:2], use_mini_batch=False)
    assert_equal(alone.train(lambda: points, steps=3), kmeans)


def test_what_is_not_a_collection_is_named(points: NDArray[Any]) -> None:
    import dask
    import dask.dataframe
    import pandas

    with pytest.raises(TypeError, match=r"returned a Delayed.*from_delayed"):
        train(dask.delayed(points))
    frame = dask.dataframe.from_pandas(pandas.DataFrame(points), npartitions=2)
    with pytest.raises(TypeError, match=r"got a dask\..*\.DataFrame; numpy_input_fn takes it"):
        centroids.inputs.pandas_input_fn(frame, shuffle=False)


def sleep(part: Part) -> int:
    time.sleep(4)
    return 0


def test_a_worker_that_does_not_answer(client: Any, points: NDArray[Any]) -> None:
    sharded = shard(array(points, (1000,)), convert_features, Dask(client, timeout=1))
    with pytest.raises(TimeoutError, match="has not finished its part of a step"):
        sharded.fold(sleep)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_bad_value_is_named_by_its_place(client: Any, points: NDArray[Any], value: float) -> None:
    points = points.copy()
    points[623, 3] = points[900, 0] = value
    with pytest.raises(
        ValueError,
        match=f"got {value} in partition 1, row 123 \\(row 623 of all\\), column 3; remove",
    ):
        train(array(points, (500, 400, 100)))


def test_partitions_that_differ_are_named(client: Any) -> None:
    import dask
    import dask.array as da

    def spread(*blocks: NDArray[Any]) -> Any:
        parts = [da.from_delayed(dask.delayed(b), (np.nan, 2), np.float32) for b in blocks]
        return da.concatenate(parts, allow_unknown_chunksizes=True)

    ones = np.ones((3, 2), np.float32)
    with pytest.raises(
        ValueError,
        match="partition 0 has 2 columns of float32, and partition 2 has 2 columns of float64",
    ):
        train(spread(ones, ones, ones.astype(np.float64)))
    with pytest.raises(ValueError, match="partition 1 has 3 columns of float32"):
        train(spread(ones, np.ones((3, 3), np.float32)))
    with pytest.raises(TypeError, match="partition 1: features must hold numbers"):
        train(spread(ones, np.array([["a", "b"]])))
    with pytest.raises(ValueError, match="0 points: all of its partitions are empty"):
        train(spread(ones[:0], ones[:0]))
    assert spread(ones, ones[:0].astype(object), ones).shape[0] != 6  # unknown to dask
    mixed = spread(ones, ones[:0].astype(object), ones)
    assert train(mixed, steps=1, initial_clusters=[[0.0, 0.0]]).score(lambda: mixed) == 0


def test_all_workers_go(points: NDArray[Any]) -> None:
    """Without a nanny nobody starts them again: a limit and an error, no hang."""
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=0, dashboard_address=":0", silence_logs=50, processes=True
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        cluster.scale(1)
        client.wait_for_workers(1, timeout=60)

        class Close(centroids.SessionRunHook):
            def before_run(self, run_context: Any) -> None:
                if run_context.session.global_step == 2:
                    cluster.scale(0)
                    client.retire_workers(close_workers=True, remove=True)
                    for address in client.nthreads():
                        client.retire_workers([address], close_workers=True)

        config = centroids.RunConfig(train_distribute=Dask(client, no_worker_timeout=1))
        kmeans = centroids.KMeansClustering(
            7,
            initial_clusters=np.eye(7, 4) * 1000 + 1000,
            use_mini_batch=False,
            config=config,
        )
        spread = array(points, (500, 500))
        with pytest.raises((TimeoutError, RuntimeError), match=r"no worker|lost with its worker"):
            kmeans.train(lambda: spread, steps=400, hooks=[Close()])


DRIVER = """
import os, signal, sys
import numpy as np, dask.array, distributed, centroids
class Die(centroids.SessionRunHook):
    def after_run(self, context, values):
        if context.session.global_step == 3:
            os.kill(os.getpid(), signal.SIGKILL)
if __name__ == "__main__":
    points = np.load(sys.argv[1])
    client = distributed.Client(sys.argv[3])
    spread = dask.array.from_array(points, chunks=(300, 4))
    kmeans = centroids.KMeansClustering(
        7, sys.argv[2], initial_clusters=np.eye(7, 4) * 1000 + 1000, use_mini_batch=False,
        config=centroids.RunConfig(save_checkpoints_steps=2),
    )
    kmeans.train(lambda: spread, steps=6, hooks=[Die()])
"""


def test_a_killed_driver_goes_on_from_its_checkpoint(
    client: Any, points: NDArray[Any], tmp_path: Path
) -> None:
    np.save(tmp_path / "points.npy", points)
    (tmp_path / "driver.py").write_text(DRIVER)
    arguments = [tmp_path / "points.npy", tmp_path / "model", client.scheduler.address]
    done = subprocess.run(
        [sys.executable, tmp_path / "driver.py", *map(str, arguments)], timeout=100, check=False
    )
    assert done.returncode == -signal.SIGKILL
    kmeans = centroids.KMeansClustering(
        7, tmp_path / "model", initial_clusters=np.eye(7, 4) * 1000 + 1000, use_mini_batch=False
    )
    spread = array(points, (1, 999))
    assert_equal(train(points, steps=6), kmeans.train(lambda: spread, max_steps=6))


def test_a_worker_killed_while_centers_are_chosen(client: Any, points: NDArray[Any]) -> None:
    def fit(x: Any) -> centroids.KMeansClustering:
        kmeans = centroids.KMeansClustering(
            60, initial_clusters="kmeans_plus_plus", use_mini_batch=False
        )
        return kmeans.train(lambda: x, steps=2)

    expected = fit(points)
    spread = array(points, (250, 250, 250, 250))
    pid = sorted(client.run(os.getpid).values())[1]
    threading.Timer(0.35, os.kill, (pid, signal.SIGKILL)).start()
    assert_equal(expected, fit(spread))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_progress_bar_counts_shards(
    client: Any, points: NDArray[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    hook = centroids.ProgressBarHook(2, show_after_secs=0.0)
    hook._REFRESH_SECONDS = 0.0
    monkeypatch.setattr(viewers.TerminalViewer, "every_seconds", 0.0)
    spread = array(points, (500, 500))
    kmeans = centroids.KMeansClustering(
        7, initial_clusters=np.eye(7, 4) * 1000 + 1000, use_mini_batch=False
    )
    kmeans.train(lambda: spread, steps=2, hooks=[hook])
    assert re.search(r"shards 1 of \d", shown.getvalue()) and "loss" in shown.getvalue()


def test_the_debug_log_tells_bytes_and_times(
    client: Any, points: NDArray[Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "centroids.distribute"):
        train(array(points, (500, 500)), steps=1)
    assert re.search(
        r"fold on \d shards: [\d,]+ bytes sent, [\d,]+ received, [\d.]+ ms", caplog.text
    )
