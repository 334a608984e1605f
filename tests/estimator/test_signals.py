"""Ctrl-C and SIGTERM: the step ends, a checkpoint is saved, the hooks end, then the signal acts."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from centroids import SessionRunHook
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


def test_a_handler_of_the_caller_acts_after_the_checkpoint(tmp_path: Path) -> None:
    steps: list[int] = []
    estimator = Estimator(model_fn, tmp_path)

    def handler(number: int, frame: Any) -> None:
        steps.append(int(estimator.get_variable_value("global_step")))

    before = signal.signal(signal.SIGTERM, handler)
    try:
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


def test_an_error_is_not_hidden_by_a_signal(tmp_path: Path) -> None:
    class Fail(SessionRunHook):
        def end(self, session: Any) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Estimator(model_fn, tmp_path).train(batches, hooks=[Kill(signal.SIGINT), Fail()])
