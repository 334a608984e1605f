"""Checkpoints that a thread writes: no step waits for the disk, and nothing else differs.

Over 400 lines: its writers that stop and fail serve all the cases.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids.files
from centroids import (
    CheckpointSaverHook,
    CheckpointSaverListener,
    EvalSpec,
    KMeansClustering,
    ModelDirBusyError,
    ModelDirLostError,
    RunConfig,
    SessionRunHook,
    TrainSpec,
    train_and_evaluate,
)
from centroids.estimator import (
    Checkpoint,
    Estimator,
    EstimatorSpec,
    load_latest,
    read_checkpoint,
)
from centroids.inputs import numpy_input_fn
from tests.estimator.online_mean import batches, model_fn

SECONDS = 30


# Of each checkpoint: the file, its folder, the list, and the folder again.
SYNCS = 4


class Disk:
    """A disk that writes nothing for the background thread until it is let.

    The checkpoint before the first step is written at once.

    Attributes:
        error: What the syncs raise that are let, after those before the first step.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._begun = -SYNCS
        self._lets = threading.Semaphore(SYNCS)
        self._sync = os.fsync

    def let(self, writes: int = 99) -> None:
        """Lets some checkpoints be written."""
        self._lets.release(SYNCS * writes)

    def wait_for(self, write: int) -> None:
        """Waits until a write has begun: the first, the second, ... after the first step."""
        wait_until(lambda: self._begun > SYNCS * (write - 1))

    def fsync(self, descriptor: int) -> None:
        """Takes the place of that of the system."""
        if threading.current_thread().name == "centroids-writer":
            self._begun += 1
            assert self._lets.acquire(timeout=SECONDS)
            if self.error is not None and self._begun > 0:
                raise self.error
        self._sync(descriptor)


def wait_until(true: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    slow = Disk()
    monkeypatch.setattr(centroids.files.os, "fsync", slow.fsync)
    return slow


class At(SessionRunHook):
    """Does something after some steps of a run."""

    only_watches = True

    def __init__(self, actions: dict[int, Callable[[], object]]) -> None:
        self.actions = actions

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.actions.get(run_context.session.global_step, lambda: None)()


class Notes(CheckpointSaverListener):
    """Notes what listeners are told, and in which thread and at which step."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []
        self.threads: set[threading.Thread] = set()

    def before_save(self, session: Any, global_step_value: int) -> None:
        self._note("before", session, global_step_value)

    def after_save(self, session: Any, global_step_value: int) -> None:
        self._note("after", session, global_step_value)

    def _note(self, name: str, session: Any, step: int) -> None:
        self.calls.append((name, step, session.global_step))
        self.threads.add(threading.current_thread())


def estimator(model_dir: Path, steps: int = 1, **settings: Any) -> Estimator:
    config = RunConfig(
        save_checkpoints_steps=steps,
        keep_checkpoint_max=None,
        asynchronous_checkpoints=True,
        log_step_count_steps=None,
        save_summary_steps=None,
        **settings,
    )
    return Estimator(model_fn, model_dir, config)


def steps_in(model_dir: Path) -> list[int]:
    names = [path.stem for path in model_dir.glob("model.ckpt-*.safetensors")]
    return sorted(int(name.rpartition("-")[2]) for name in names)


def true_mean(steps: int) -> Any:
    return np.concatenate(batches(40)[:steps]).mean(axis=0)


def assert_nothing_is_left(model_dir: Path) -> None:
    assert not [t for t in threading.enumerate() if t.name.startswith("centroids-")]
    assert not list(model_dir.glob("*.temporary")) and not (model_dir / "training.lock").exists()


def test_no_step_waits_for_the_disk(tmp_path: Path, disk: Disk) -> None:
    notes = Notes()
    # Nothing is let until step 30 has been trained: a step that waited would never end.
    hooks = [At({1: lambda: disk.wait_for(1), 30: disk.let})]
    estimator(tmp_path).train(lambda: batches(40), hooks=hooks, saving_listeners=[notes])
    # The first that was due is written, one of those that came to wait for it, and the last.
    saved = steps_in(tmp_path)
    assert saved[:2] == [0, 1] and saved[-1] == 40 and saved[2] >= 30
    for step in saved:
        found = read_checkpoint(tmp_path / f"model.ckpt-{step}")
        assert found.global_step == step and int(found.variables["count"]) == 3 * step
        np.testing.assert_allclose(found.variables["mean"], true_mean(step) if step else 0)
    assert_nothing_is_left(tmp_path)


def test_listeners_are_told_when_it_is_on_the_disk(tmp_path: Path, disk: Disk) -> None:
    notes = Notes()
    hooks = [At({7: lambda: disk.let(1), 8: lambda: disk.wait_for(2), 10: disk.let})]
    estimator(tmp_path, 3).train(lambda: batches(11), hooks=hooks, saving_listeners=[notes])
    assert [call for call in notes.calls if call[0] == "before"] == [
        ("before", 0, 0),
        ("before", 3, 3),
        ("before", 6, 6),
        ("before", 9, 9),
        ("before", 11, 11),
    ]
    after = [call for call in notes.calls if call[0] == "after"]
    assert after[0] == ("after", 0, 0) and after[-1] == ("after", 11, 11)
    told = {step: at for _, step, at in after}
    assert told[3] == 9 and sorted(told) == steps_in(tmp_path)
    assert notes.threads == {threading.main_thread()}


def threads_of_writers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "centroids-writer"]


def test_a_listener_may_end_the_training(tmp_path: Path) -> None:
    class Stop(CheckpointSaverListener):
        def after_save(self, session: Any, global_step_value: int) -> bool:
            return global_step_value >= 4

    def endless() -> Iterator[Any]:
        while True:
            yield from batches(40)

    estimator(tmp_path, 2).train(endless, saving_listeners=[Stop()])
    checkpoint = load_latest(str(tmp_path))
    assert checkpoint is not None and checkpoint.finished and checkpoint.global_step >= 4


@pytest.mark.parametrize("steps", [1, 3, 10])
@pytest.mark.parametrize("mini_batch", [{}, {"mini_batch_steps_per_iteration": 3}])
def test_the_bits_are_those_of_synchronous_checkpoints(
    tmp_path: Path, steps: int, mini_batch: dict[str, Any]
) -> None:
    points = np.random.default_rng(3).normal(size=(200, 3)).astype(np.float32)
    input_fn = numpy_input_fn(points, batch_size=15, num_epochs=2, shuffle=True, seed=1)

    def train(name: str, asynchronous: bool, stops: list[int | None]) -> None:
        for stop in stops:
            config = RunConfig(
                save_checkpoints_steps=steps,
                keep_checkpoint_max=None,
                asynchronous_checkpoints=asynchronous,
            )
            folder = str(tmp_path / name)
            model = KMeansClustering(5, folder, random_seed=2, config=config, **mini_batch)
            model.train(input_fn, max_steps=stop)

    train("synchronous", False, [None])
    train("asynchronous", True, [None])
    train("in parts", True, [4, 5, 17, None])
    for name in ("asynchronous", "in parts"):
        assert steps_in(tmp_path / name)[-1] == steps_in(tmp_path / "synchronous")[-1]
        for step in set(steps_in(tmp_path / name)) & set(steps_in(tmp_path / "synchronous")):
            file = f"model.ckpt-{step}.safetensors"
            if name == "in parts" and step in (4, 5, 17):
                continue  # it says that its call ended there
            ours, theirs = (tmp_path / name / file), (tmp_path / "synchronous" / file)
            assert ours.read_bytes() == theirs.read_bytes()


def test_a_model_may_change_its_arrays_in_place(tmp_path: Path, disk: Disk) -> None:
    def in_place(features: Any, mode: str) -> EstimatorSpec:
        def update(batch: Any) -> None:
            batch.variables["sum"] += batch.features.sum()

        return EstimatorSpec(
            mode, loss=lambda batch: 0.0, train_op=update, variables={"sum": np.zeros(1000)}
        )

    config = RunConfig(
        save_checkpoints_steps=1, keep_checkpoint_max=None, asynchronous_checkpoints=True
    )
    ones = [np.ones((1, 1))] * 20
    hooks = [At({15: disk.let})]
    Estimator(in_place, tmp_path, config).train(lambda: ones, hooks=hooks)
    for step in steps_in(tmp_path):
        found = read_checkpoint(tmp_path / f"model.ckpt-{step}").variables["sum"]
        np.testing.assert_array_equal(found, np.full(1000, step))


def test_an_error_of_the_disk_is_raised_by_a_later_step(tmp_path: Path, disk: Disk) -> None:
    disk.error = full = OSError(errno.ENOSPC, "No space left on device")
    reached: list[int] = []
    actions = {5: disk.let, 6: lambda: wait_until(_no_writer), 7: lambda: reached.append(7)}
    with pytest.raises(OSError, match="No space left") as raised:
        estimator(tmp_path, 5).train(lambda: batches(40), hooks=[At(actions)])
    assert raised.value is full and not reached
    assert "model.ckpt-5" in str(full.filename)
    assert full.__notes__ == [
        "raised while the checkpoint of step 5 was written in background",
        "raised in mode 'train' after global step 7, with 7 batches of this call begun",
    ]
    assert steps_in(tmp_path) == [0]
    assert_nothing_is_left(tmp_path)


def test_an_error_at_the_end_is_raised_too_and_nothing_is_written_after_it(
    tmp_path: Path, disk: Disk
) -> None:
    disk.error = OSError(errno.EIO, "broken")
    hooks = [At({4: disk.let})]
    with pytest.raises(OSError, match="broken"):
        estimator(tmp_path, 2).train(lambda: batches(5), hooks=hooks)
    assert steps_in(tmp_path) == [0]
    assert_nothing_is_left(tmp_path)


def test_the_saver_of_a_hook_may_raise_anything(tmp_path: Path) -> None:
    class Saver:
        def save(self, checkpoint: Checkpoint) -> None:
            if checkpoint.global_step:
                raise KeyError("of the saver")

    saver: Any = Saver()
    hook = CheckpointSaverHook(str(tmp_path), save_steps=1, saver=saver)
    with pytest.raises(KeyError, match="of the saver"):
        estimator(tmp_path).train(lambda: batches(40), hooks=[hook])
    assert_nothing_is_left(tmp_path)


def test_after_an_error_of_a_hook_what_waits_is_written(tmp_path: Path, disk: Disk) -> None:
    def fail() -> None:
        disk.let()
        raise RuntimeError("of the hook")

    actions = {1: lambda: disk.wait_for(1), 10: fail}
    with pytest.raises(RuntimeError, match="of the hook"):
        estimator(tmp_path).train(lambda: batches(40), hooks=[At(actions)])
    assert steps_in(tmp_path) == [0, 1, 10]  # 10 was due, and would have been saved
    assert_nothing_is_left(tmp_path)
    assert int(estimator(tmp_path).train(lambda: batches(1)).get_variable_value("count")) == 33


def test_an_error_that_comes_second_is_in_the_log(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        disk.error = OSError(errno.ENOSPC, "No space left on device")
        disk.let()
        raise RuntimeError("of the hook")

    with caplog.at_level(logging.ERROR), pytest.raises(RuntimeError, match="of the hook"):
        estimator(tmp_path).train(lambda: batches(40), hooks=[At({3: fail})])
    assert "The checkpoint of step 1 was not written" in caplog.text
    assert "No space left" in caplog.text and steps_in(tmp_path) == [0]
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_waits_for_the_write_under_way_only(
    tmp_path: Path, disk: Disk, kind: type[BaseException]
) -> None:
    seen: list[bool] = []

    def interrupt() -> None:
        def look() -> None:
            try:
                estimator(tmp_path).train(lambda: batches(1))
            except ModelDirBusyError:
                seen.append(True)
            disk.let()

        threading.Thread(target=look).start()
        raise kind

    actions = {1: lambda: disk.wait_for(1), 10: interrupt}
    with pytest.raises(kind):
        estimator(tmp_path).train(lambda: batches(40), hooks=[At(actions)])
    assert seen == [True]  # the folder was held as long as it was written
    assert steps_in(tmp_path) == [0, 1]
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("remove", [shutil.rmtree, lambda path: os.rename(path, f"{path}-moved")])
def test_a_lost_folder_is_not_written(tmp_path: Path, disk: Disk, remove: Any) -> None:
    folder = tmp_path / "model"

    # The write of step 1 has begun; that of a later one waits, and begins without the folder.
    def lose() -> None:
        remove(folder)
        folder.mkdir()
        disk.let()

    actions = {1: lambda: disk.wait_for(1), 10: lose, 11: lambda: wait_until(_no_writer)}
    with pytest.raises(ModelDirLostError):
        estimator(folder).train(lambda: batches(40), hooks=[At(actions)])
    assert not list(folder.iterdir())
    assert not threads_of_writers()


def _no_writer() -> bool:
    return not threads_of_writers()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_hook_may_fork_while_a_checkpoint_is_written(tmp_path: Path, disk: Disk) -> None:
    children: list[int] = []
    parent = os.getpid()

    def fork() -> None:
        disk.wait_for(1)
        children.append(os.fork())
        if children[0]:
            disk.let()

    try:
        estimator(tmp_path, 2).train(lambda: batches(9), hooks=[At({3: fork})])
    except ModelDirLostError:
        if os.getpid() != parent:
            os._exit(5)
        raise
    finally:
        if os.getpid() != parent:
            os._exit(6)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 5
    assert steps_in(tmp_path)[-1] == 9
    assert_nothing_is_left(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_signal_is_obeyed_and_everything_is_saved(tmp_path: Path, disk: Disk) -> None:
    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        disk.let()

    with pytest.raises(KeyboardInterrupt):
        estimator(tmp_path, 2).train(lambda: batches(40), hooks=[At({5: interrupt})])
    assert steps_in(tmp_path)[-1] == 5
    assert_nothing_is_left(tmp_path)


def test_without_room_for_a_thread_it_is_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "centroids-writer":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    notes = Notes()
    estimator(tmp_path, 2).train(lambda: batches(5), saving_listeners=[notes])
    assert steps_in(tmp_path) == [0, 2, 4, 5]
    assert [step for name, step, _ in notes.calls if name == "after"] == [0, 2, 4, 5]


def test_one_hook_serves_several_trainings(tmp_path: Path) -> None:
    hook = CheckpointSaverHook(str(tmp_path), save_steps=3)
    model = estimator(tmp_path)
    for stop in (4, 8, 10):
        model.train(lambda: batches(40), hooks=[hook], max_steps=stop)
        assert steps_in(tmp_path)[-1] == stop
    assert int(model.get_variable_value("count")) == 30
    assert_nothing_is_left(tmp_path)


def test_old_checkpoints_are_deleted(tmp_path: Path) -> None:
    config = RunConfig(
        save_checkpoints_steps=1, keep_checkpoint_max=2, asynchronous_checkpoints=True
    )
    Estimator(model_fn, tmp_path, config).train(lambda: batches(40))
    assert len(steps_in(tmp_path)) == 2 and steps_in(tmp_path)[-1] == 40


def test_training_and_evaluation_by_turns(tmp_path: Path) -> None:
    train = TrainSpec(lambda: batches(40), max_steps=20)
    evaluation = EvalSpec(lambda: batches(2), steps=2, throttle_secs=0, start_delay_secs=0)
    values, _ = train_and_evaluate(estimator(tmp_path, 5), train, evaluation)
    assert values["global_step"] == 20
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("wrong", [1, None, "yes"])
def test_the_setting_is_true_or_false(wrong: Any) -> None:
    with pytest.raises(ValueError, match="asynchronous_checkpoints must be True or False; got"):
        RunConfig(asynchronous_checkpoints=wrong)
    with pytest.raises(TypeError):
        RunConfig(None, None, 100, None, None, None, 5, 1, 100, True)
    replaced = RunConfig().replace(asynchronous_checkpoints=True)
    assert replaced.asynchronous_checkpoints
