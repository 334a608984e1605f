"""One training at a time in a model folder."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from centroids import ModelDirBusyError, SessionRunHook
from centroids.estimator import Estimator
from tests.estimator.online_mean import batches, model_fn

HOLDER = """
import sys, time
import numpy as np
from centroids.estimator import Estimator
from tests.estimator.online_mean import batches, model_fn

def input_fn():
    yield from batches(2)
    print("training", flush=True)
    time.sleep(600)
    yield batches(1)[0]

Estimator(model_fn, sys.argv[1]).train(input_fn)
"""


class During(SessionRunHook):
    """Does something in the middle of a training."""

    def __init__(self, action: Any) -> None:
        self.action = action

    def after_run(self, run_context: Any, run_values: Any) -> None:
        if run_context.session.global_step == 2:
            self.action()


def test_a_second_process_is_refused_until_the_first_dies(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"training\n"
        estimator = Estimator(model_fn, tmp_path)
        with pytest.raises(ModelDirBusyError, match=rf"in use.*process {holder.pid} on") as raised:
            estimator.train(batches)
        assert raised.value.filename == str(tmp_path)
        # Reading needs no lock.
        assert estimator.evaluate(batches)["global_step"] == 0
        holder.send_signal(signal.SIGKILL)
    estimator.train(batches)
    assert int(estimator.get_variable_value("global_step")) == 5
    assert not list(tmp_path.glob("*.lock"))


def test_a_copy_of_the_folder_does_not_drop_the_lock(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    code = "import sys; from tests.estimator.test_lock import *; "
    code += "Estimator(model_fn, sys.argv[1]).train(batches)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    second: list[Any] = []

    def copy_and_try() -> None:
        shutil.copytree(folder, tmp_path / "backup")
        command = [sys.executable, "-c", code, str(folder)]
        second.append(subprocess.run(command, capture_output=True, text=True, env=environment))

    Estimator(model_fn, folder).train(batches, hooks=[During(copy_and_try)])
    assert second[0].returncode == 1
    assert f"in use by another training (process {os.getpid()} on" in second[0].stderr


def test_a_second_thread_is_refused(tmp_path: Path) -> None:
    found: list[BaseException] = []

    def second() -> None:
        try:
            Estimator(model_fn, str(tmp_path) + "/.").train(batches)
        except OSError as error:
            found.append(error)

    def in_a_thread() -> None:
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()

    estimator = Estimator(model_fn, tmp_path).train(batches, hooks=[During(in_a_thread)])
    assert [type(error) for error in found] == [ModelDirBusyError]
    assert f"another thread of this process, {os.getpid()}" in str(found[0])
    assert int(estimator.get_variable_value("global_step")) == 5


def test_trainings_of_several_folders_and_after_each_other(tmp_path: Path) -> None:
    other = Estimator(model_fn, tmp_path / "other")
    estimator = Estimator(model_fn, tmp_path / "one")
    estimator.train(batches, hooks=[During(lambda: other.train(batches))]).train(batches)
    assert int(other.get_variable_value("global_step")) == 5
    assert int(estimator.get_variable_value("global_step")) == 10


def test_a_training_that_failed_lets_go(tmp_path: Path) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    estimator = Estimator(model_fn, tmp_path)
    with pytest.raises(ZeroDivisionError):
        estimator.train(batches, hooks=[During(fail)])
    estimator.train(batches)
    assert not list(tmp_path.glob("*.lock"))


def _train_and_die(folder: str, worker: Any) -> None:
    def fork_and_die() -> None:
        if os.fork() == 0:
            worker.wait(60)  # outlives the training, as a worker of a data loader may
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)

    Estimator(model_fn, folder).train(batches, hooks=[During(fork_and_die)])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_worker_does_not_hold_the_folder_of_a_dead_training(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    end = context.Event()
    training = context.Process(target=_train_and_die, args=(str(tmp_path), end))
    training.start()
    training.join()
    assert training.exitcode == -signal.SIGKILL
    try:
        Estimator(model_fn, tmp_path).train(batches)
    finally:
        end.set()
