"""Ctrl-C and SIGTERM: the step ends, a checkpoint is saved, the hooks end, then the signal acts.

Over 400 lines: the instants at which a signal may come.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from centroids import CheckpointSaverListener, SessionRunHook, TrainingInterruptedError
from centroids.estimator import Estimator, load_latest
from tests.estimator.online_mean import Recorder, batches, model_fn


class Kill(SessionRunHook):
    """Sends signals to the own process within step `at`."""

    def __init__(self, *numbers: signal.Signals, at: int = 2) -> None:
        self.numbers, self.at, self.after = numbers, at, False

    def after_run(self, run_context: Any, run_values: Any) -> None:
        if run_context.session.global_step == self.at:
            for number in self.numbers:
                signal.raise_signal(number)
            self.after = True


ENDS = [(signal.SIGINT, KeyboardInterrupt, None), (signal.SIGTERM, SystemExit, 143)]


@pytest.mark.parametrize(("number", "kind", "code"), ENDS)
def test_the_step_ends_and_is_saved(
    tmp_path: Path, number: signal.Signals, kind: type[BaseException], code: int | None
) -> None:
    handlers = [signal.getsignal(each) for each, _, _ in ENDS]
    calls: list[str] = []
    kill = Kill(number)
    estimator = Estimator(model_fn, tmp_path)
    with pytest.raises(kind) as raised:
        estimator.train(lambda: iter(batches()), hooks=[kill, Recorder(calls)])
    assert kill.after and calls[-2:] == ["after_run", "end"]
    assert getattr(raised.value, "code", None) == code
    checkpoint = load_latest(str(tmp_path))
    assert checkpoint is not None and checkpoint.global_step == 2 and not checkpoint.finished
    assert [signal.getsignal(each) for each, _, _ in ENDS] == handlers


def test_the_second_one_acts_at_once(tmp_path: Path) -> None:
    kill = Kill(signal.SIGINT, signal.SIGINT)
    calls: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        Estimator(model_fn, tmp_path).train(batches, hooks=[kill, Recorder(calls)])
    assert not kill.after and "end" not in calls
    checkpoint = load_latest(str(tmp_path))
    assert checkpoint is not None and checkpoint.global_step == 0


def test_before_there_is_anything_to_save_it_acts_at_once(tmp_path: Path) -> None:
    def input_fn() -> Any:
        signal.raise_signal(signal.SIGTERM)
        return batches()

    with pytest.raises(SystemExit):
        Estimator(model_fn, tmp_path).train(input_fn)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("thread", [False, True], ids=["read here", "read ahead"])
def test_waiting_for_input_ends_at_once(tmp_path: Path, thread: bool) -> None:
    never, trained, waited = threading.Event(), threading.Event(), []

    class Tell(SessionRunHook):
        def after_run(self, run_context: Any, run_values: Any) -> None:
            if run_context.session.global_step == 4:
                trained.set()

    def interrupt() -> None:
        trained.wait(30)
        time.sleep(0.1)  # for the session to come back for the next batch
        os.kill(os.getpid(), signal.SIGINT)

    def input_fn() -> Iterator[Any]:
        for batch in batches(4):
            time.sleep(0.005 if thread else 0)  # slow sources are read in a thread
            yield batch
        threading.Thread(target=interrupt).start()
        never.wait(30)
        waited.append(True)
        yield batches(1)[0]

    estimator = Estimator(model_fn, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        estimator.train(input_fn, hooks=[Tell()])
    assert not waited
    never.set()
    assert int(estimator.get_variable_value("global_step")) == 4


def test_a_signal_that_comes_again_while_reading_ends_is_not_lost(tmp_path: Path) -> None:
    def input_fn() -> Iterator[Any]:
        yield from batches(4)
        try:
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("reading goes on")
        finally:
            signal.raise_signal(signal.SIGINT)  # acts at once, where reading is cut short already

    estimator = Estimator(model_fn, tmp_path)
    with pytest.raises(KeyboardInterrupt) as error:
        estimator.train(input_fn)
    assert not isinstance(error.value, TrainingInterruptedError)
    assert int(estimator.get_variable_value("global_step")) == 4


def test_a_handler_of_the_caller_acts_after_the_checkpoint(tmp_path: Path) -> None:
    steps: list[int] = []
    estimator = Estimator(model_fn, tmp_path)

    def handler(number: int, frame: Any) -> None:
        steps.append(int(estimator.get_variable_value("global_step")))

    before = signal.signal(signal.SIGTERM, handler)
    try:
        # Its handler does not end the program: that the training is cut short must be seen.
        with pytest.raises(
            TrainingInterruptedError, match="interrupted by SIGTERM; call train again"
        ):
            estimator.train(batches, hooks=[Kill(signal.SIGTERM)])
        assert steps == [2]
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_ignored_signals_stay_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        estimator = Estimator(model_fn, tmp_path).train(batches, hooks=[Kill(signal.SIGINT)])
        assert int(estimator.get_variable_value("global_step")) == 5
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_leave_handlers_alone(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[Any] = []

    class Look(SessionRunHook):
        def after_run(self, run_context: Any, run_values: Any) -> None:
            seen.append(signal.getsignal(signal.SIGINT))

    estimator = Estimator(model_fn, tmp_path)
    thread = threading.Thread(target=lambda: estimator.train(batches, hooks=[Look()]))
    thread.start()
    thread.join()
    assert seen == [before] * 5


class Fail(SessionRunHook):
    """Raises at a place of a run."""

    def __init__(self, place: str) -> None:
        self.place = place

    def after_run(self, run_context: Any, run_values: Any) -> None:
        if self.place == "after_run" and run_context.session.global_step == 2:
            raise ZeroDivisionError

    def end(self, session: Any) -> None:
        if self.place == "end":
            raise ZeroDivisionError


class FullDisk(CheckpointSaverListener):
    def before_save(self, session: Any, global_step_value: int) -> None:
        if global_step_value == 2:
            raise OSError(errno.ENOSPC, "no room")


@pytest.mark.parametrize(("number", "kind", "code"), ENDS)
@pytest.mark.parametrize("place", ["after_run", "end", "disk"])
def test_a_signal_is_not_lost_where_something_fails(
    tmp_path: Path,
    place: str,
    number: signal.Signals,
    kind: type[BaseException],
    code: int | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    handlers = [signal.getsignal(each) for each, _, _ in ENDS]
    listeners = [FullDisk()] if place == "disk" else []
    estimator = Estimator(model_fn, tmp_path)
    with pytest.raises(kind) as raised:
        estimator.train(batches, [Kill(number), Fail(place)], saving_listeners=listeners)
    assert getattr(raised.value, "code", None) == code
    # Nor is the error.
    assert isinstance(raised.value.__context__, OSError if place == "disk" else ZeroDivisionError)
    assert f"failed while {number.name} waited" in caplog.text and "Traceback" in caplog.text
    assert [signal.getsignal(each) for each, _, _ in ENDS] == handlers
    estimator.train(batches)


def test_a_program_that_tries_again_is_ended_by_a_signal(tmp_path: Path) -> None:
    estimator, tries = Estimator(model_fn, tmp_path), 0
    with pytest.raises(SystemExit):
        while True:
            tries += 1
            try:
                estimator.train(batches, [Kill(signal.SIGTERM)], saving_listeners=[FullDisk()])
            except OSError:
                continue
    assert tries == 1


@contextmanager
def handler_of(number: signal.Signals, handler: Any) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("place", ["after_run", "end"])
def test_a_handler_of_the_caller_acts_where_something_fails(tmp_path: Path, place: str) -> None:
    calls: list[int] = []
    with (
        handler_of(signal.SIGTERM, lambda number, frame: calls.append(number)),
        pytest.raises(ZeroDivisionError),
    ):
        Estimator(model_fn, tmp_path).train(batches, [Kill(signal.SIGTERM), Fail(place)])
    assert calls == [signal.SIGTERM]


@pytest.mark.parametrize("last", [{"max_steps": 2}, {}], ids=["last step", "end of the input"])
def test_a_complete_training_returns_where_the_handler_does(
    tmp_path: Path, last: dict[str, int]
) -> None:
    calls: list[int] = []
    at = 2 if last else 0  # 0: as the input ends

    def input_fn() -> Iterator[Any]:
        yield from batches(2)
        if at == 0:
            signal.raise_signal(signal.SIGTERM)

    estimator = Estimator(model_fn, tmp_path)
    with handler_of(signal.SIGTERM, lambda number, frame: calls.append(number)):
        if last:
            estimator.train(input_fn, [Kill(signal.SIGTERM, at=at)], **last)
        else:
            # Whether it was the end of the input cannot be known: reading stops at once.
            with pytest.raises(TrainingInterruptedError):
                estimator.train(input_fn)
    assert calls == [signal.SIGTERM]
    checkpoint = load_latest(str(tmp_path))
    assert checkpoint is not None
    assert (checkpoint.global_step, checkpoint.finished) == (2, bool(last))


@pytest.mark.parametrize("place", ["input_fn", "the first batch", "begin", "after_create_session"])
def test_a_handler_that_returns_before_the_first_step_ends_the_training(
    tmp_path: Path, place: str
) -> None:
    calls: list[int] = []

    def send(here: str) -> None:
        if place == here:
            signal.raise_signal(signal.SIGTERM)

    class Hook(SessionRunHook):
        def begin(self) -> None:
            send("begin")

        def after_create_session(self, session: Any, coord: Any) -> None:
            send("after_create_session")

    def input_fn() -> Any:
        send("input_fn")

        def generate() -> Iterator[Any]:
            send("the first batch")
            yield from batches()

        return generate()

    estimator = Estimator(model_fn, tmp_path)
    with handler_of(signal.SIGTERM, lambda number, frame: calls.append(number)):
        with pytest.raises(TrainingInterruptedError):
            estimator.train(input_fn, hooks=[Hook()])
        assert calls == [signal.SIGTERM]
        place = ""
        estimator.train(input_fn)
    assert int(estimator.get_variable_value("global_step")) == 5


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("together", [True, False], ids=["in one step", "one waits for input"])
def test_of_two_signals_both_act(tmp_path: Path, first: signal.Signals, together: bool) -> None:
    other = {signal.SIGINT: signal.SIGTERM, signal.SIGTERM: signal.SIGINT}[first]
    calls: list[int] = []

    def input_fn() -> Iterator[Any]:
        yield from batches(3)
        signal.raise_signal(first)
        raise AssertionError("reading goes on")

    class Second(SessionRunHook):
        def end(self, session: Any) -> None:
            signal.raise_signal(other)

    hooks = [Kill(first, other)] if together else [Second()]
    with pytest.raises(SystemExit) as raised:
        Estimator(model_fn, tmp_path).train(input_fn, hooks=hooks)
    assert raised.value.code == 143 and isinstance(raised.value.__context__, KeyboardInterrupt)
    with (
        handler_of(signal.SIGINT, lambda number, frame: calls.append(number)),
        pytest.raises(SystemExit),
    ):
        Estimator(model_fn, tmp_path).train(input_fn, hooks=hooks, restart_input=True)
    assert calls == [signal.SIGINT]


def test_asyncio_hears_of_the_signal_and_of_the_training(tmp_path: Path) -> None:
    heard: list[str] = []
    estimator = Estimator(model_fn, tmp_path)

    async def main() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        try:
            estimator.train(batches, hooks=[Kill(signal.SIGTERM)])
        except TrainingInterruptedError:
            heard.append("training")
        await asyncio.wait_for(stop.wait(), 30)
        heard.append("loop")
        loop.remove_signal_handler(signal.SIGTERM)

    asyncio.run(main())
    assert heard == ["training", "loop"]
    assert int(estimator.get_variable_value("global_step")) == 2


def test_a_run_within_a_hook_ends_both(tmp_path: Path) -> None:
    inner = Estimator(model_fn, tmp_path / "inner")

    class Inner(SessionRunHook):
        def after_run(self, run_context: Any, run_values: Any) -> None:
            if run_context.session.global_step == 3:
                inner.train(batches, hooks=[Kill(signal.SIGINT)])

    outer = Estimator(model_fn, tmp_path / "outer")
    with pytest.raises(KeyboardInterrupt):
        outer.train(batches, hooks=[Inner()])
    assert int(inner.get_variable_value("global_step")) == 2
    assert int(outer.get_variable_value("global_step")) == 3


def test_a_storm_of_signals_raises_once_and_leaves_nothing(tmp_path: Path) -> None:
    handlers = [signal.getsignal(each) for each, _, _ in ENDS]
    estimator = Estimator(model_fn, tmp_path)

    class Storm(SessionRunHook):
        def after_run(self, run_context: Any, run_values: Any) -> None:
            for _ in range(100):
                try:
                    signal.raise_signal(signal.SIGINT)
                finally:
                    for _ in range(100):
                        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as raised:
        estimator.train(batches, hooks=[Storm()])
    assert raised.value.__context__ is None
    assert [signal.getsignal(each) for each, _, _ in ENDS] == handlers
    estimator.train(batches)
    assert int(estimator.get_variable_value("global_step")) == 5


def test_a_signal_in_a_step_does_not_wait_for_what_is_read_ahead(tmp_path: Path) -> None:
    never, blocked, waited = threading.Event(), threading.Event(), []

    def input_fn() -> Iterator[Any]:
        for batch in batches(4):
            time.sleep(0.005)  # slow sources are read in a thread
            yield batch
        blocked.set()
        waited.append(never.wait(60))
        yield batches(1)[0]

    class Wait(SessionRunHook):
        def after_run(self, run_context: Any, run_values: Any) -> None:
            if run_context.session.global_step == 3:
                blocked.wait(60)
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Estimator(model_fn, tmp_path).train(input_fn, hooks=[Wait()])
    assert not waited
    never.set()
    checkpoint = load_latest(str(tmp_path))
    assert checkpoint is not None and checkpoint.global_step == 3
