"""Clusters that are not two equal processes with nannies: threads, unequal workers, no nanny."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import centroids
from centroids.distribute import Part, shard
from centroids.inputs.convert import convert_features
from tests.distribute.test_dask import array, assert_equal, train

pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.timeout(120),
    # Schedulers and clients leave sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed"),
]


def threads_of(part: Part) -> dict[int, int]:
    from centroids import kernels

    return Counts({os.getpid(): kernels.num_threads()})


class Counts(dict[int, int]):
    def __add__(self, other: dict[int, int]) -> Counts:
        return Counts({**self, **other})


def test_workers_that_are_threads_of_this_process(points: NDArray[Any]) -> None:
    import distributed

    before = centroids.num_threads()
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster),
    ):
        spread = array(points, (1, 499, 0, 500))
        assert_equal(train(points), train(spread))
        kmeans = train(spread, initial_clusters="kmeans_plus_plus")
        assert_equal(train(points, initial_clusters="kmeans_plus_plus"), kmeans)
        assert kmeans.score(lambda: spread) == kmeans.score(lambda: points)
        index = kmeans.predict_cluster_index(lambda: spread).collection.compute()
        assert index.shape == (1000,)
    assert centroids.num_threads() == before  # that of this process is not theirs to choose


class Process:
    """A program of dask, until it is killed."""

    def __init__(self, program: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.dask_{program}", *arguments]
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def scheduler(port: int, *slots: int) -> Iterator[tuple[Process, list[Process]]]:
    """A scheduler and workers without a nanny, of so many threads each."""
    address = f"tcp://127.0.0.1:{port}"
    processes = [Process("scheduler", "--port", str(port), "--host", "127.0.0.1", "--no-dashboard")]
    for count in slots:
        options = ("--no-nanny", "--no-dashboard", "--nthreads", str(count))
        processes.append(Process("worker", address, *options))
    try:
        yield processes[0], processes[1:]
    finally:
        for process in processes:
            process.kill()


def wait_for(client: Any, count: int) -> None:
    until = time.monotonic() + 60
    while len(client.nthreads()) != count and time.monotonic() < until:
        time.sleep(0.05)


class At(centroids.SessionRunHook):
    def __init__(self, step: int, action: Any) -> None:
        self._step, self._action = step, action

    def before_run(self, run_context: Any) -> None:
        if run_context.session.global_step == self._step:
            self._action()


def fit(points: Any, steps: int, *hooks: Any) -> centroids.KMeansClustering:
    kmeans = centroids.KMeansClustering(
        7, initial_clusters=np.eye(7, 4) * 1000 + 1000, use_mini_batch=False
    )
    return kmeans.train(lambda: points, steps=steps, hooks=hooks)


def test_unequal_workers_without_a_nanny(points: NDArray[Any]) -> None:
    import distributed

    port = free_port()
    with (
        scheduler(port, 1, 2) as (_, workers),
        distributed.Client(f"tcp://127.0.0.1:{port}", timeout=60) as client,
    ):
        wait_for(client, 2)
        spread = array(points, (100,) * 10)
        threads = shard(spread, convert_features).fold(threads_of)
        assert sorted(threads.values()) == [1, 2]
        assert_equal(train(points, 12), fit(spread, 12, At(4, workers[0].kill)))
        assert len(client.nthreads()) == 1


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize("comes_back", [False, True])
def test_the_scheduler_dies(
    points: NDArray[Any], comes_back: bool, caplog: pytest.LogCaptureFixture
) -> None:
    import distributed

    caplog.set_level(logging.CRITICAL, "distributed")
    port = free_port()
    again: list[Process] = []

    with scheduler(port, 1) as (process, _):
        client = distributed.Client(f"tcp://127.0.0.1:{port}", timeout=60)
        wait_for(client, 1)

        def die() -> None:
            process.kill()
            if comes_back:
                options = ("--host", "127.0.0.1", "--no-dashboard")
                again.append(Process("scheduler", "--port", str(port), *options))

        started = time.monotonic()
        try:
            with pytest.raises((RuntimeError, TimeoutError)) as caught:
                config = centroids.RunConfig(
                    train_distribute=centroids.distribute.Dask(timeout=20, no_worker_timeout=5)
                )
                kmeans = centroids.KMeansClustering(
                    7,
                    initial_clusters=np.eye(7, 4) * 1000 + 1000,
                    use_mini_batch=False,
                    config=config,
                )
                hooks = [At(2, die)]
                kmeans.train(lambda: array(points, (500, 500)), steps=100_000, hooks=hooks)
            assert re.search("scheduler|closed|lost|worker", str(caught.value))
            assert time.monotonic() - started < 150  # dask itself tries for a while
        finally:
            for one in again:
                one.kill()
            client.close(timeout=1)


@pytest.mark.slow
def test_all_workers_are_started_again_between_steps(client: Any, points: NDArray[Any]) -> None:
    """`client.restart()` forgets all futures, too; the collection still has its recipe."""
    assert_equal(
        train(points, 12),
        fit(array(points, (500, 500)), 12, At(4, lambda: client.restart(timeout=90))),
    )
