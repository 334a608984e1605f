"""The order of hook calls, and every shipped hook.

Over 400 lines: each hook has its few cases here, with one model.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids.estimator import (
    CheckpointSaverHook,
    Coordinator,
    Estimator,
    EstimatorSpec,
    EventWriter,
    FinalOpsHook,
    GlobalStepWaiterHook,
    LoggingTensorHook,
    NanLossDuringTrainingError,
    NanTensorHook,
    ProfilerHook,
    ProgressBarHook,
    RunConfig,
    SecondOrStepTimer,
    SessionRunHook,
    StepCounterHook,
    StopAtStepHook,
    SummarySaverHook,
)
from centroids.inputs.errors import OutOfRangeError
from tests.estimator.online_mean import Recorder, batches, loss, model_fn, read_events


@pytest.fixture
def estimator(tmp_path: Path) -> Estimator:
    return Estimator(model_fn, tmp_path)


def test_order_of_calls(estimator: Estimator) -> None:
    calls: list[str] = []
    hooks = [Recorder(calls, " 1"), Recorder(calls, " 2")]
    estimator.train(lambda: batches(2), hooks=hooks)
    step = ["before_run 1", "before_run 2", "after_run 1", "after_run 2"]
    assert calls == [
        "begin 1",
        "begin 2",
        "after_create_session 1",
        "after_create_session 2",
        *step,
        *step,
        "before_run 1",  # the step that finds the end of the input
        "before_run 2",
        "end 1",
        "end 2",
    ]


def test_stop_request_runs_the_rest_of_the_step_and_the_end(estimator: Estimator) -> None:
    class Stop(SessionRunHook):
        def after_run(self, run_context: Any, run_values: Any) -> None:
            run_context.request_stop()

    calls: list[str] = []
    estimator.train(batches, hooks=[Stop(), Recorder(calls)])
    assert calls == ["begin", "after_create_session", "before_run", "after_run", "end"]


@pytest.mark.parametrize("method", ["before_run", "after_run"])
@pytest.mark.parametrize(
    ("error", "ends"),
    [(KeyError, False), (OutOfRangeError, True), (StopIteration, True), (KeyboardInterrupt, False)],
)
def test_end_is_skipped_after_an_exception(
    estimator: Estimator, method: str, error: type[BaseException], ends: bool
) -> None:
    released: list[int] = []

    class Raises(SessionRunHook):
        def after_create_session(self, session: Any, coord: Coordinator) -> None:
            coord.on_close(lambda: released.append(1))

        def before_run(self, run_context: Any) -> None:
            if method == "before_run":
                raise error("from the hook")

        def after_run(self, run_context: Any, run_values: Any) -> None:
            if method == "after_run":
                raise error("from the hook")

    calls: list[str] = []
    hooks = [Raises(), Recorder(calls)]
    if ends:
        estimator.train(batches, hooks=hooks)
    else:
        with pytest.raises(error, match="from the hook"):
            estimator.train(batches, hooks=hooks)
    assert ("end" in calls) == ends and released == [1]


def test_fetches_see_loss_before_and_variables_after_the_update(estimator: Estimator) -> None:
    fetches = {"loss": "loss", "nested": ["global_step", {"mean": "mean"}], "length": "length"}
    recorder = Recorder([], fetches=fetches)
    data = batches(2)
    estimator.train(lambda: data, hooks=[recorder])
    first, second = recorder.results
    assert first["loss"] == pytest.approx((data[0] ** 2).sum())
    np.testing.assert_allclose(first["length"], (data[0] ** 2).sum(axis=1))
    step, variables = first["nested"]
    assert step == 1
    np.testing.assert_allclose(variables["mean"], data[0].mean(axis=0))
    assert second["loss"] == pytest.approx(((data[1] - data[0].mean(axis=0)) ** 2).sum())


def test_functions_run_at_most_once_per_batch(tmp_path: Path) -> None:
    counts = {"prediction": 0, "unused": 0}

    def model(features: Any, mode: str) -> EstimatorSpec:
        def count(name: str) -> Any:
            def function(batch: Any) -> Any:
                counts[name] += 1
                return batch.features

            return function

        predictions = {"prediction": count("prediction"), "unused": count("unused")}
        return EstimatorSpec(mode, predictions, lambda b: 0.0, lambda b: None)

    hooks = [Recorder([], fetches="prediction"), Recorder([], fetches=["prediction"])]
    Estimator(model, tmp_path).train(batches, hooks=hooks)
    assert counts == {"prediction": 5, "unused": 0}


def test_session_run_outside_of_a_step(estimator: Estimator) -> None:
    seen: dict[str, Any] = {}

    class Reads(SessionRunHook):
        def after_create_session(self, session: Any, coord: Any) -> None:
            seen["start"] = session.run({"step": "global_step", "count": "count"})
            with pytest.raises(ValueError, match="cannot fetch 'loss' before the first batch"):
                session.run("loss")

        def after_run(self, run_context: Any, run_values: Any) -> None:
            assert run_values.results is None
            copy = run_context.session.run("mean")
            copy[:] = 1e9

        def end(self, session: Any) -> None:
            seen["end"] = session.run(["loss", "count"])

    estimator.train(batches, hooks=[Reads()])
    assert seen["start"] == {"step": 0, "count": 0}
    assert seen["end"][1] == 15 and seen["end"][0] > 0
    assert np.abs(estimator.get_variable_value("mean")).max() < 10


def test_hooks_of_the_spec(tmp_path: Path) -> None:
    calls: list[str] = []

    def model(features: Any, mode: str) -> EstimatorSpec:
        names = ("training_chief_hooks", "training_hooks", "evaluation_hooks", "prediction_hooks")
        hooks: Any = {name: [Recorder(calls, " " + name)] for name in names}
        return EstimatorSpec(
            mode,
            lambda b: b.features,
            loss,
            lambda b: None,
            variables={"mean": np.zeros(2)},
            **hooks,
        )

    estimator = Estimator(model, tmp_path).train(batches, hooks=[Recorder(calls, " own")])
    assert [c for c in calls if c.startswith("begin")] == [
        "begin training_chief_hooks",
        "begin own",
        "begin training_hooks",
    ]
    calls.clear()
    estimator.evaluate(batches)
    assert {c.split()[1] for c in calls} == {"evaluation_hooks"}
    calls.clear()
    list(estimator.predict(batches))
    assert {c.split()[1] for c in calls} == {"prediction_hooks"}


def test_coordinator_releases_all_even_after_an_error() -> None:
    coord = Coordinator()
    released: list[int] = []
    coord.on_close(lambda: released.append(1))
    coord.on_close(lambda: 1 / 0)
    coord.on_close(lambda: released.append(2))
    with pytest.raises(ZeroDivisionError):
        coord.close()
    assert released == [2, 1]


def test_timer_by_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    timer = SecondOrStepTimer(every_secs=2)
    assert timer.last_triggered_step() is None and timer.should_trigger_for_step(5)
    assert timer.update_last_triggered_step(5) == (None, None)
    now[0] += 1.9
    assert not timer.should_trigger_for_step(6)
    now[0] += 0.2
    assert timer.should_trigger_for_step(6) and not timer.should_trigger_for_step(5)
    seconds, steps = timer.update_last_triggered_step(8)
    assert seconds == pytest.approx(2.1) and steps == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SecondOrStepTimer(), "None seconds and None steps"),
        (lambda: SecondOrStepTimer(1, 2), "1 seconds and 2 steps"),
        (lambda: SecondOrStepTimer(every_steps=0), "must be > 0: 0"),
        (lambda: StopAtStepHook(), "exactly one of num_steps and last_step"),
        (lambda: StopAtStepHook(1, 2), "num_steps=1 and last_step=2"),
        (lambda: LoggingTensorHook(["loss"]), "at_end, or exactly one of"),
        (lambda: LoggingTensorHook(["loss"], 1, 2), "every_n_iter=1 and every_n_secs=2"),
        (lambda: LoggingTensorHook(["loss"], 0), "invalid every_n_iter=0"),
        (lambda: StepCounterHook(1, 2), "every_n_steps=1 and every_n_secs=2"),
        (lambda: CheckpointSaverHook("d"), "exactly one of save_secs and save_steps"),
        (lambda: CheckpointSaverHook("d", 1, 2), "save_secs=1 and save_steps=2"),
        (lambda: SummarySaverHook(output_dir="d"), "exactly one of save_steps and save_secs"),
        (lambda: SummarySaverHook(1), "one of output_dir and summary_writer"),
        (lambda: ProfilerHook(), "exactly one of save_steps and save_secs"),
    ],
)
def test_bad_arguments_of_hooks(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_stop_at_step_hook(estimator: Estimator) -> None:
    def step() -> int:
        return int(estimator.get_variable_value("global_step"))

    hook = StopAtStepHook(num_steps=2)
    estimator.train(batches, hooks=[hook])
    assert step() == 2
    estimator.train(batches, hooks=[hook])
    assert step() == 4
    estimator.train(batches, hooks=[StopAtStepHook(last_step=5)])
    assert step() == 5
    estimator.train(batches, hooks=[StopAtStepHook(last_step=5)])
    assert step() == 5


def test_logging_tensor_hook(estimator: Estimator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="centroids.estimator.hooks._basic")
    every_two = LoggingTensorHook({"s": "global_step", "n": "count"}, every_n_iter=2)
    at_end = LoggingTensorHook(["count"], at_end=True)
    own = LoggingTensorHook(["loss"], every_n_secs=1e6, formatter=lambda v: f"only {len(v)}")
    estimator.train(batches, hooks=[every_two, at_end, own])
    messages = [m.split(" (")[0] for m in caplog.messages]
    assert [m for m in messages if m.startswith("s =")] == [
        "s = 1, n = 3",
        "s = 3, n = 9",
        "s = 5, n = 15",
    ]
    assert messages.count("count = 15") == 1 and messages.count("only 1") == 1
    assert any(m.startswith("loss = ") and m.endswith("step = 1") for m in messages)


def test_step_counter_hook(estimator: Estimator, tmp_path: Path) -> None:
    folder = str(tmp_path / "counter")
    estimator.train(batches, hooks=[StepCounterHook(2, output_dir=folder)])
    events = read_events(folder)
    assert [(tag, step) for tag, step, _ in events] == [
        ("global_step/sec", 2),
        ("rows/sec", 2),
        ("global_step/sec", 4),
        ("rows/sec", 4),
    ]
    rates = [value for _, _, value in events]
    assert rates[1] / rates[0] == pytest.approx(rates[3] / rates[2])
    assert rates[1] / rates[0] == pytest.approx(3)  # rows in a batch


def test_nan_tensor_hook(tmp_path: Path) -> None:
    def model(features: Any, mode: str) -> EstimatorSpec:
        return EstimatorSpec(mode, {"x": lambda b: b.features}, lambda b: 0.0, lambda b: None)

    data = batches(3)
    data[1][2, 1] = np.nan
    with pytest.raises(NanLossDuringTrainingError, match="NaN loss during training: x"):
        Estimator(model, tmp_path / "a").train(lambda: data, hooks=[NanTensorHook("x")])
    estimator = Estimator(model, tmp_path / "b")
    estimator.train(lambda: data, hooks=[NanTensorHook("x", fail_on_nan_loss=False)])
    assert int(estimator.get_variable_value("global_step")) == 2


def test_final_ops_hook(estimator: Estimator) -> None:
    hook = FinalOpsHook(["global_step", "count"])
    assert hook.final_ops_values is None
    estimator.train(batches, hooks=[hook, FinalOpsHook(None)])
    assert hook.final_ops_values == [5, 15]


def test_global_step_waiter_hook(estimator: Estimator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GlobalStepWaiterHook, "_POLL_SECONDS", 0.001)
    timers = []

    class Counts(SessionRunHook):
        def after_create_session(self, session: Any, coord: Any) -> None:
            later = threading.Timer(
                0.02, lambda: session.variables.update(global_step=np.array(40))
            )
            timers.append(later)
            later.start()

    recorder = Recorder([], fetches="global_step")
    hooks = [Counts(), GlobalStepWaiterHook(40), GlobalStepWaiterHook(0), recorder]
    estimator.train(lambda: batches(2), hooks=hooks)
    timers[0].join()
    assert recorder.results == [41, 42]


def test_global_step_waiter_hook_does_not_wait_for_nothing(
    estimator: Estimator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Those of a parallel test run are threads that could count.
    monkeypatch.setattr(threading, "enumerate", lambda: [threading.current_thread()])
    hook = GlobalStepWaiterHook(5)
    with pytest.raises(RuntimeError, match=r"Hook\(5\) would wait forever: the global step is 0"):
        estimator.train(lambda: batches(2), hooks=[hook])
    estimator.train(batches, steps=5).train(batches, hooks=[hook], steps=1)  # it is reached


def test_summary_saver_hook(estimator: Estimator, tmp_path: Path) -> None:
    folder = str(tmp_path / "own")
    with EventWriter(str(tmp_path / "writer")) as writer:
        hooks = [
            SummarySaverHook(2, output_dir=folder, summary_op={"n": "count"}),
            SummarySaverHook(save_secs=1e6, summary_writer=writer, summary_op="rows"),
        ]
        estimator.train(batches, hooks=hooks)
    assert read_events(folder) == [("n", 1, 3.0), ("n", 3, 9.0), ("n", 5, 15.0)]
    assert read_events(str(tmp_path / "writer")) == [("rows", 1, 3.0), ("rows", 5, 3.0)]
    hook = SummarySaverHook(1, output_dir=folder, summary_op="mean")
    with pytest.raises(ValueError, match=r"summary 'mean' must be a single number.*\(2,\)"):
        estimator.train(batches, hooks=[hook])


def test_profiler_hook(estimator: Estimator, tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    estimator.train(batches, hooks=[ProfilerHook(save_steps=3, output_dir=str(folder))])
    assert sorted(os.listdir(folder)) == ["timeline-1.json", "timeline-4.json"]
    events = json.loads((folder / "timeline-4.json").read_text())["traceEvents"]
    assert any(event["name"] == "tests.estimator.online_mean.update" for event in events)
    depth = 0
    for event in events:
        depth += 1 if event["ph"] == "B" else -1
        assert depth >= 0
    assert sys.getprofile() is None


def test_profiler_hook_lets_go_after_an_error(estimator: Estimator, tmp_path: Path) -> None:
    def input_fn() -> Any:
        yield batches()[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        estimator.train(input_fn, hooks=[ProfilerHook(save_steps=1, output_dir=str(tmp_path))])
    assert sys.getprofile() is None


class Terminal(io.StringIO):
    """Looks like a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("show_after", [0.0, 60.0])
@pytest.mark.parametrize("terminal", [True, False])
def test_progress_bar(
    estimator: Estimator, monkeypatch: pytest.MonkeyPatch, show_after: float, terminal: bool
) -> None:
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    hook = ProgressBarHook(5, description="working", show_after_secs=show_after)
    estimator.train(batches, hooks=[hook])
    shown = terminal and show_after == 0
    assert ("working" in stream.getvalue()) == shown
    assert ("5 of 5 steps" in stream.getvalue()) == shown
    assert ("loss" in stream.getvalue()) == shown


def test_progress_bar_is_closed_after_an_error(
    estimator: Estimator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    hook = ProgressBarHook(show_after_secs=0.0, value=None)

    def input_fn() -> Any:
        yield batches()[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        estimator.train(input_fn, hooks=[hook])
    assert not any("progress" in thread.name for thread in threading.enumerate())


def test_no_default_hook_is_needed(tmp_path: Path) -> None:
    config = RunConfig(
        save_checkpoints_steps=None,
        save_checkpoints_secs=None,
        save_summary_steps=None,
        log_step_count_steps=None,
    )
    Estimator(model_fn, tmp_path, config).train(batches)
    assert os.listdir(tmp_path) == []
