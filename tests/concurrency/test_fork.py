"""Children made by a bare fork, at the worst moments: they compute the same, and never hang."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids import kernels
from tests.concurrency import work

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    # Python 3.12 warns of every fork of a process with threads: that is what is tested here.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    """A pool of several threads, on any machine."""
    kernels.set_num_threads(3)
    yield
    kernels.set_num_threads(0)


def test_a_child_trains_after_the_parent_has(tmp_path: Path) -> None:
    expected = work.digest_of_training(tmp_path / "parent")
    assert work.in_forked_child(lambda: work.digest_of_training(tmp_path / "child")) == expected
    assert work.digest_of_training(tmp_path / "parent again") == expected


def test_a_grandchild_computes_too() -> None:
    expected = work.digest_of_assignment()

    def child() -> str:
        # With and without a pool of the child's own.
        before = work.in_forked_child(work.digest_of_assignment)
        own = work.digest_of_assignment()
        after = work.in_forked_child(work.digest_of_assignment)
        return str([before, own, after] == [expected] * 3)

    assert work.in_forked_child(child) == "True"


def test_fork_while_a_thread_is_inside_a_kernel() -> None:
    x = np.random.default_rng(0).normal(size=(60_000, 40)).astype(np.float32)
    expected = work.digest_of_assignment()
    stop = threading.Event()
    calls = []

    def compute() -> None:
        while not stop.is_set():
            kernels.assign(x, x[:200], update=True, search="panels")
            calls.append(1)

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        for _ in range(10):
            time.sleep(0.01)  # the thread goes on inside, without the GIL
            assert work.in_forked_child(work.digest_of_assignment) == expected
    finally:
        stop.set()
        thread.join(work.DEADLINE)
    assert not thread.is_alive() and calls


def test_threads_of_a_child_share_its_new_pool() -> None:
    expected = work.digest_of_assignment()

    def child() -> str:
        found: list[str] = []
        threads = [
            threading.Thread(target=lambda: found.append(work.digest_of_assignment()))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(work.DEADLINE)
        return str(found == [expected] * 4)

    assert work.in_forked_child(child) == "True"


class ForkingHook(centroids.SessionRunHook):
    """Forks in the middle of a run; the child trains a model of its own."""

    def __init__(self, model_dir: Path) -> None:
        self.model_dir, self.found = model_dir, ""

    def after_run(
        self,
        run_context: centroids.SessionRunContext,
        run_values: centroids.SessionRunValues,
    ) -> None:
        if run_context.session.run("global_step") == 2:
            child = self.model_dir / "child"
            self.found = work.in_forked_child(lambda: work.digest_of_training(child))


def test_a_hook_may_fork(tmp_path: Path) -> None:
    expected = work.digest_of_training(tmp_path / "alone")
    alone = work.train(tmp_path / "without").cluster_centers()
    hook = ForkingHook(tmp_path)
    model = work.train(tmp_path / "with", hooks=[hook])
    assert hook.found == expected
    np.testing.assert_array_equal(model.cluster_centers(), alone)


class LeavingHook(centroids.SessionRunHook):
    """Forks; the child leaves the training by an exception or goes on, as does the parent."""

    def __init__(self, leave: bool) -> None:
        self.leave, self.child = leave, 0

    def after_run(
        self,
        run_context: centroids.SessionRunContext,
        run_values: centroids.SessionRunValues,
    ) -> None:
        if run_context.session.run("global_step") == 3:
            self.child = os.fork()
            if self.child == 0 and self.leave:
                raise RuntimeError("the child is done")


@pytest.mark.parametrize(
    "slow_source, leave", [(False, True), (False, False), (True, True), (True, False)], ids=str
)
def test_a_child_can_leave_the_training_that_it_was_forked_in(
    tmp_path: Path, slow_source: bool, leave: bool
) -> None:
    x = work.points()

    def batches() -> Iterator[np.ndarray]:
        for at in range(0, len(x), 2000):
            time.sleep(0.003 if slow_source else 0)  # slow sources are read by a thread
            yield x[at : at + 2000]

    hook = LeavingHook(leave)
    parent = os.getpid()
    model = centroids.KMeansClustering(5, model_dir=str(tmp_path / "with"))
    status = 1
    try:
        model.train(batches, hooks=[hook])
        status = 0
    except (RuntimeError, centroids.ModelDirLostError) as error:
        status = 3 if leave == (type(error) is RuntimeError) else 4
    finally:
        if os.getpid() != parent:
            os._exit(status)
    # A child that goes on is told so: the folder and the thread that reads are the parent's.
    assert exit_code_in_time(hook.child) == 3
    alone = centroids.KMeansClustering(5, model_dir=str(tmp_path / "without")).train(batches)
    np.testing.assert_array_equal(model.cluster_centers(), alone.cluster_centers())
    assert model.get_variable_value("global_step") == 10


def exit_code_in_time(child: int) -> int:
    """Waits for a child; one that hangs is killed and gives -9."""
    killer = threading.Timer(work.DEADLINE, os.kill, (child, signal.SIGKILL))
    killer.start()
    _, status = os.waitpid(child, 0)
    killer.cancel()
    return os.waitstatus_to_exitcode(status)


def tell_and_sleep(started: Any) -> None:
    started.set()
    time.sleep(work.DEADLINE)


class WorkerHook(centroids.SessionRunHook):
    """Starts a worker process during a run and ends it as multiprocessing does."""

    exit_code: int | None = None

    def after_run(
        self,
        run_context: centroids.SessionRunContext,
        run_values: centroids.SessionRunValues,
    ) -> None:
        if run_context.session.run("global_step") == 2:
            context = multiprocessing.get_context("fork")
            started = context.Event()
            worker = context.Process(target=tell_and_sleep, args=(started,), daemon=True)
            worker.start()
            # Before, Python itself would lose the signal: a child clears what is pending.
            started.wait(work.DEADLINE)
            worker.terminate()
            worker.join(work.DEADLINE / 2)
            self.exit_code = worker.exitcode
            worker.kill()


def test_a_worker_forked_during_a_run_can_be_terminated(tmp_path: Path) -> None:
    # The training's own answer to SIGTERM is not for its children.
    hook = WorkerHook()
    work.train(tmp_path, hooks=[hook])
    assert hook.exit_code == -signal.SIGTERM


class SignalledAndForking(LeavingHook):
    """Forks in a step that a signal waits for."""

    def after_run(
        self,
        run_context: centroids.SessionRunContext,
        run_values: centroids.SessionRunValues,
    ) -> None:
        if run_context.session.run("global_step") == 3:
            signal.raise_signal(signal.SIGTERM)
        super().after_run(run_context, run_values)


def test_a_signal_to_the_training_does_not_end_its_child(tmp_path: Path) -> None:
    hook, parent, status = SignalledAndForking(leave=True), os.getpid(), 1
    try:
        with pytest.raises(SystemExit) as raised:
            work.train(tmp_path, hooks=[hook])
    except RuntimeError:
        status = 3
    finally:
        if os.getpid() != parent:
            os._exit(status)
    assert exit_code_in_time(hook.child) == 3
    assert raised.value.code == 143
