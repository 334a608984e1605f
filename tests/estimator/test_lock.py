"""One run at a time in a model folder."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import (
    CheckpointSaverHook,
    CheckpointSaverListener,
    KMeansClustering,
    ModelDirBusyError,
    ModelDirLostError,
    ProfilerHook,
    RunConfig,
    SessionRunHook,
    StepCounterHook,
    SummarySaverHook,
    files,
    platform,
)
from centroids.estimator import Estimator, load_latest
from centroids.platform import _windows
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
    """Does something in the middle of a run."""

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
    assert f"in use by another run (process {os.getpid()} on" in second[0].stderr


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


def test_a_run_that_failed_lets_go(tmp_path: Path) -> None:
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


EVERY_STEP = RunConfig(save_checkpoints_steps=1, save_summary_steps=1)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("at_each_step", [True, False], ids=["saves often", "saves at the end"])
def test_a_forked_child_that_goes_on_writes_nothing(tmp_path: Path, at_each_step: bool) -> None:
    ends: list[int] = []
    seen: list[Any] = []

    def fork_and_look() -> None:
        before = contents(tmp_path)
        child = os.fork()
        if child != 0:
            ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            seen.extend([before, contents(tmp_path)])

    parent, code = os.getpid(), 1
    estimator = Estimator(model_fn, tmp_path, EVERY_STEP if at_each_step else None)
    try:
        estimator.train(batches, hooks=[During(fork_and_look)])
    except ModelDirLostError as error:
        code = 5 if f"it belongs to process {parent}, which forked this one" in str(error) else 6
    finally:
        if os.getpid() != parent:
            os._exit(code)
    assert ends == [5] and seen[0] == seen[1]
    assert int(estimator.get_variable_value("global_step")) == 5
    assert not list(tmp_path.glob("*.lock"))


@pytest.mark.parametrize("at_each_step", [True, False], ids=["saves often", "saves at the end"])
@pytest.mark.parametrize("how", ["removed", "renamed", "made anew"])
def test_a_run_without_its_folder_ends_and_writes_nothing(
    tmp_path: Path, how: str, at_each_step: bool
) -> None:
    folder = tmp_path / "model"

    def lose() -> None:
        if how == "renamed":
            folder.rename(tmp_path / "other")
        else:
            shutil.rmtree(folder)
        if how == "made anew":
            folder.mkdir()

    estimator = Estimator(model_fn, folder, EVERY_STEP if at_each_step else None)
    with pytest.raises(ModelDirLostError, match=r"no longer belongs.*training\.lock is gone"):
        estimator.train(batches, hooks=[During(lose)])
    assert not folder.exists() if how != "made anew" else not list(folder.iterdir())
    estimator.train(batches)
    assert int(estimator.get_variable_value("global_step")) == 5


def test_a_run_that_lost_its_folder_leaves_it_to_the_second(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", HOLDER, str(folder)]
    holders: list[Any] = []

    def hand_over() -> None:
        shutil.rmtree(folder)
        holders.append(subprocess.Popen(command, stdout=subprocess.PIPE, env=environment))
        assert holders[0].stdout.readline() == b"training\n"

    with pytest.raises(ModelDirLostError, match="gone or is no longer the same file"):
        Estimator(model_fn, folder).train(batches, hooks=[During(hand_over)])
    with holders[0] as holder:
        try:
            third = Estimator(model_fn, folder)
            with pytest.raises(ModelDirBusyError, match=f"process {holder.pid} on"):
                third.train(batches)
            latest = load_latest(str(folder))
            assert latest is not None and latest.global_step == 0
        finally:
            holder.kill()


def test_a_relative_folder_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    estimator = Estimator(model_fn, "model", EVERY_STEP)
    assert estimator.model_dir == str(tmp_path / "model")
    leave = During(lambda: os.chdir(tmp_path / "elsewhere"))
    estimator.train(batches, hooks=[leave]).train(batches)
    assert int(estimator.get_variable_value("global_step")) == 10
    assert not list((tmp_path / "elsewhere").iterdir())


def _link(lock: Path, other: Path) -> None:
    lock.symlink_to(other)


def _hard_link(lock: Path, other: Path) -> None:
    lock.hardlink_to(other)


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (_link, "a link"),
        (_hard_link, "not a lock of a training run"),
        (lambda lock, other: lock.symlink_to(other.with_name("missing")), "a link"),
        (lambda lock, other: lock.symlink_to(lock), "a link"),
        (lambda lock, other: lock.symlink_to("/dev/zero"), "a link"),
        (lambda lock, other: os.mkfifo(lock), "not a regular file"),
        (lambda lock, other: lock.mkdir(), "not a regular file"),
    ],
    ids=["link", "hard link", "dangling", "loop", "device", "pipe", "folder"],
)
def test_a_lock_that_is_not_ours_is_refused_and_not_touched(
    tmp_path: Path, make: Any, kind: str
) -> None:
    other, folder = tmp_path / "thesis.txt", tmp_path / "model"
    other.write_text("years of work")
    folder.mkdir()
    make(folder / "training.lock", other)
    with pytest.raises(OSError, match=f"locks model_dir is {kind}.*move it away"):
        Estimator(model_fn, folder).train(batches)
    assert other.read_text() == "years of work"
    assert sorted(os.listdir(tmp_path)) == ["model", "thesis.txt"]
    assert os.listdir(folder) == ["training.lock"]


@pytest.mark.parametrize("saves", [1, None], ids=["saved before", "never saves"])
def test_a_folder_lost_at_the_very_end_is_not_made_anew(tmp_path: Path, saves: int | None) -> None:
    folder = tmp_path / "model"
    points = np.arange(8.0).reshape(4, 2)
    config = RunConfig(save_checkpoints_steps=saves, save_checkpoints_secs=None)
    model = KMeansClustering(2, str(folder), config=config)
    with pytest.raises(ModelDirLostError):
        model.train(lambda: points, max_steps=2, hooks=[During(lambda: shutil.rmtree(folder))])
    assert not folder.exists()


class AtTheEnd(SessionRunHook, CheckpointSaverListener):
    """Does something when the training has ended."""

    def __init__(self, action: Any) -> None:
        self.action = action

    def begin(self) -> None:
        """As both have it."""

    def end(self, *arguments: Any) -> None:
        self.action()


@pytest.mark.parametrize("kind", ["hooks", "saving_listeners"])
def test_a_folder_lost_in_an_end_is_told_and_not_made_anew(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "model"
    lose = AtTheEnd(lambda: shutil.rmtree(folder))
    model = KMeansClustering(2, str(folder))
    arguments: Any = {kind: [lose]}
    with pytest.raises(ModelDirLostError):
        model.train(lambda: np.arange(8.0).reshape(4, 2), max_steps=2, **arguments)
    assert not folder.exists()


def test_the_last_hook_may_lose_the_folder_too(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with pytest.raises(ModelDirLostError):
        Estimator(model_fn, folder).train(batches, hooks=[AtTheEnd(lambda: shutil.rmtree(folder))])
    assert not folder.exists()


def test_no_event_file_is_opened_in_a_lost_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    config = RunConfig(save_summary_steps=None, log_step_count_steps=None)
    summaries = SummarySaverHook(save_steps=1, output_dir=str(folder))
    hooks = [During(lambda: shutil.rmtree(folder)), _FromStep(3, summaries)]
    with pytest.raises(ModelDirLostError):
        Estimator(model_fn, folder, config).train(batches, hooks=hooks)
    assert not folder.exists()


class _FromStep(SessionRunHook):
    """Another hook, whose steps begin late."""

    def __init__(self, step: int, hook: Any) -> None:
        self.step, self.hook = step, hook
        self.begin, self.after_create_session = hook.begin, hook.after_create_session

    def before_run(self, run_context: Any) -> Any:
        if run_context.session.global_step + 1 < self.step:
            return None
        return self.hook.before_run(run_context)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        if run_context.session.global_step >= self.step:
            self.hook.after_run(run_context, run_values)


def test_relative_folders_of_hooks_stay_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    hooks = [
        During(lambda: os.chdir(elsewhere)),
        CheckpointSaverHook("saved", save_steps=1),
        SummarySaverHook(save_steps=4, output_dir="events"),
        StepCounterHook(every_n_steps=4, output_dir="rates"),
        ProfilerHook(save_steps=3, output_dir="traces"),
    ]
    Estimator(model_fn, tmp_path / "model").train(batches, hooks=hooks)
    assert not list(elsewhere.iterdir())
    assert load_latest(str(tmp_path / "saved")) is not None
    for folder in ("events", "rates", "traces"):
        assert list((tmp_path / folder).iterdir())


def test_a_system_without_locks_or_syncs_of_folders_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As Windows; tests/packaging/test_platforms.py has more of it."""
    for name in platform.__all__:
        monkeypatch.setattr(platform, name, getattr(_windows, name))
    monkeypatch.setattr(files, "_refused_devices", set())
    Estimator(model_fn, tmp_path).train(batches)
    told = [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.WARNING]
    assert len(told) == 2
    assert "cannot be locked (the system has no locks): train one model at a time" in told[0]
    assert "cannot sync folders (no folder can be opened): after a power failure" in told[1]
