"""train: steps, checkpoints around them, initialisation, and its errors."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids.estimator import (
    CheckpointSaverHook,
    CheckpointSaverListener,
    Estimator,
    EstimatorSpec,
    ModeKeys,
    NanLossDuringTrainingError,
    RunConfig,
    SessionRunHook,
    TensorSpec,
    load_latest,
)
from centroids.inputs.errors import OutOfRangeError
from tests.estimator.online_mean import (
    Recorder,
    batches,
    first_rows_model_fn,
    loss,
    model_fn,
    read_events,
    update,
)


def saved_steps(model_dir: Path | str) -> list[int]:
    names = [re.fullmatch(r"model\.ckpt-(\d+)\.safetensors", n) for n in os.listdir(model_dir)]
    return sorted(int(match[1]) for match in names if match)


def test_mean_of_all_batches(tmp_path: Path) -> None:
    estimator = Estimator(model_fn, tmp_path)
    assert estimator.train(batches) is estimator
    np.testing.assert_allclose(
        estimator.get_variable_value("mean"), np.concatenate(batches()).mean(axis=0)
    )
    assert estimator.get_variable_names() == ["count", "global_step", "mean"]
    assert int(estimator.get_variable_value("global_step")) == 5
    count, step = estimator.get_variable_value(["count", "global_step"])
    assert (int(count), int(step)) == (15, 5)


def test_steps_are_incremental_and_max_steps_is_absolute(tmp_path: Path) -> None:
    estimator = Estimator(model_fn, tmp_path)
    data = batches(1)[0]
    estimator.train(lambda: data, steps=3).train(lambda: data, steps=np.int64(2))
    assert int(estimator.get_variable_value("global_step")) == 5
    estimator.train(lambda: data, max_steps=7)
    assert int(estimator.get_variable_value("global_step")) == 7

    def never() -> Any:
        raise AssertionError("the input function was called")

    assert estimator.train(never, max_steps=7) is estimator
    assert estimator.train(never, max_steps=6) is estimator


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    all_batches = batches(6)
    once = Estimator(model_fn, tmp_path / "once").train(lambda: all_batches)
    twice = Estimator(model_fn, tmp_path / "twice").train(lambda: all_batches[:2])
    twice = Estimator(model_fn, tmp_path / "twice").train(lambda: all_batches[2:])
    for name in once.get_variable_names():
        a, b = once.get_variable_value(name), twice.get_variable_value(name)
        assert a.tobytes() == b.tobytes() and a.dtype == b.dtype


def test_checkpoints_at_start_every_steps_and_end(tmp_path: Path) -> None:
    config = RunConfig(save_checkpoints_steps=2, keep_checkpoint_max=None)
    estimator = Estimator(model_fn, tmp_path, config).train(batches)
    assert saved_steps(tmp_path) == [0, 2, 4, 5]
    estimator.train(batches)
    assert saved_steps(tmp_path) == [0, 2, 4, 5, 7, 9, 10]
    assert estimator.latest_checkpoint() == str(tmp_path / "model.ckpt-10.safetensors")


def test_default_saves_first_and_last(tmp_path: Path) -> None:
    Estimator(model_fn, tmp_path).train(batches)
    assert saved_steps(tmp_path) == [0, 5]


@pytest.mark.parametrize("off", [None, 0])
def test_checkpoints_disabled(tmp_path: Path, off: int | None) -> None:
    config = RunConfig(save_checkpoints_steps=off, save_checkpoints_secs=None)
    estimator = Estimator(model_fn, tmp_path, config).train(batches)
    assert saved_steps(tmp_path) == [] and estimator.latest_checkpoint() is None
    with pytest.raises(ValueError, match="There should be a CheckpointSaverHook"):
        estimator.train(batches, saving_listeners=[CheckpointSaverListener()])


def test_own_saver_replaces_the_default(tmp_path: Path) -> None:
    hook = CheckpointSaverHook(str(tmp_path), save_steps=3)
    Estimator(model_fn, tmp_path).train(batches, hooks=[hook])
    assert saved_steps(tmp_path) == [0, 3, 5]


class Listener(CheckpointSaverListener):
    """Notes its calls, and stops at a step."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.calls: list[tuple[str, int | None]] = []
        self.stop_at = stop_at

    def begin(self) -> None:
        self.calls.append(("begin", None))

    def before_save(self, session: Any, global_step_value: int) -> None:
        assert session.run("global_step") == global_step_value
        self.calls.append(("before", global_step_value))

    def after_save(self, session: Any, global_step_value: int) -> bool:
        self.calls.append(("after", global_step_value))
        return global_step_value == self.stop_at

    def end(self, session: Any, global_step_value: int) -> None:
        self.calls.append(("end", global_step_value))


def test_listeners(tmp_path: Path) -> None:
    config = RunConfig(save_checkpoints_steps=2)
    estimator = Estimator(model_fn, tmp_path, config)
    listener = Listener()
    estimator.train(lambda: batches(3), saving_listeners=[listener])
    assert listener.calls == [
        ("begin", None),
        ("before", 0),
        ("after", 0),
        ("before", 2),
        ("after", 2),
        ("before", 3),
        ("after", 3),
        ("end", 3),
    ]
    estimator.train(batches, saving_listeners=[Listener(stop_at=5)])
    assert int(estimator.get_variable_value("global_step")) == 5


def test_listeners_of_one_call_are_not_kept_by_the_hook(tmp_path: Path) -> None:
    hook = CheckpointSaverHook(str(tmp_path), save_steps=100)
    estimator = Estimator(model_fn, tmp_path)
    first, second = Listener(), Listener()
    estimator.train(batches, hooks=[hook], saving_listeners=[first])
    num_calls = len(first.calls)
    estimator.train(batches, hooks=[hook], saving_listeners=[second])
    assert len(first.calls) == num_calls and second.calls


def test_initialisation_loses_no_row(tmp_path: Path) -> None:
    data = batches(4, num_rows=1)
    estimator = Estimator(first_rows_model_fn, tmp_path)
    seen = Recorder([], fetches={"step": "global_step", "rows": "rows"})
    estimator.train(lambda: data, hooks=[seen])
    assert int(estimator.get_variable_value("count")) == 4
    assert [result["step"] for result in seen.results] == [1, 2, 3, 4]
    start = load_latest_at(tmp_path, 0)
    np.testing.assert_allclose(start["mean"], np.concatenate(data).mean(axis=0))


def load_latest_at(model_dir: Path, step: int) -> Any:
    from centroids.estimator import read_checkpoint

    return read_checkpoint(model_dir / f"model.ckpt-{step}").variables


def test_input_too_short_to_initialise_saves_nothing(tmp_path: Path) -> None:
    calls: list[str] = []
    with pytest.raises(ValueError, match="4 rows are needed to start, but the input has 3"):
        Estimator(first_rows_model_fn, tmp_path).train(lambda: batches(1), hooks=[Recorder(calls)])
    assert os.listdir(tmp_path) == [] and calls == ["begin"]


def test_input_position_of_the_last_trained_batch_is_saved(tmp_path: Path) -> None:
    class Positioned:
        """A source that knows which batch it has given last."""

        last: int | None = None

        def __iter__(self) -> Any:
            for self.last, batch in enumerate(batches(6)):
                yield batch

        def position(self) -> dict[str, Any] | None:
            return None if self.last is None else {"batch": self.last}

        def restore(self, position: dict[str, Any]) -> None:
            raise AssertionError("there is no checkpoint to go on from")

    Estimator(first_rows_model_fn, tmp_path).train(Positioned, steps=1)
    checkpoint = load_latest(str(tmp_path))
    # Two batches were pulled to initialise, but one was trained.
    assert checkpoint is not None and checkpoint.input_position == {"batch": 0}


def test_end_of_input_by_exception(tmp_path: Path) -> None:
    data = iter(batches(3))

    def input_fn() -> Any:
        try:
            return next(data)
        except StopIteration:
            raise OutOfRangeError("end") from None

    estimator = Estimator(model_fn, tmp_path).train(input_fn, steps=10)
    assert int(estimator.get_variable_value("global_step")) == 3


def test_empty_input_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Estimator(model_fn, tmp_path).train(lambda: iter([]))
    assert "no batch" in caplog.text
    estimator = Estimator(model_fn, tmp_path / "two").train(batches)
    estimator.train(lambda: iter([]))
    assert int(estimator.get_variable_value("count")) == 15


def test_error_in_the_source_surfaces_and_spares_checkpoints(tmp_path: Path) -> None:
    def input_fn() -> Any:
        yield from batches(2)
        raise ZeroDivisionError("in the source")

    estimator = Estimator(model_fn, tmp_path)
    calls: list[str] = []
    with pytest.raises(ZeroDivisionError, match="in the source"):
        estimator.train(input_fn, hooks=[Recorder(calls)])
    assert saved_steps(tmp_path) == [0] and calls[-1] == "before_run"
    assert estimator.train(batches) is estimator


def test_nan_loss(tmp_path: Path) -> None:
    data = batches(2)
    data[1][0, 0] = np.nan
    config = RunConfig(save_checkpoints_steps=1)
    with pytest.raises(NanLossDuringTrainingError, match=r"NaN loss.*step 2"):
        Estimator(model_fn, tmp_path, config).train(lambda: data)
    # The diverged model did not become a checkpoint.
    assert saved_steps(tmp_path) == [0, 1]


def test_summaries(tmp_path: Path) -> None:
    config = RunConfig(save_summary_steps=2, log_step_count_steps=2)
    Estimator(model_fn, tmp_path, config).train(batches)
    scalars = read_events(str(tmp_path))
    assert [(tag, step) for tag, step, _ in scalars if tag == "rows"] == [
        ("rows", 1),
        ("rows", 3),
        ("rows", 5),
    ]
    first_loss = next(value for tag, step, value in scalars if tag == "loss")
    assert first_loss == pytest.approx(float((batches()[0] ** 2).sum()))
    rates = [value for tag, step, value in scalars if tag == "global_step/sec"]
    assert len(rates) == 2 and min(rates) > 0


def test_model_fn_gets_what_it_names(tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    def full(features: Any, labels: Any, mode: str, params: Any, config: Any) -> EstimatorSpec:
        seen.update(features=features, labels=labels, mode=mode, params=params, config=config)
        return EstimatorSpec(
            mode,
            predictions=loss,
            loss=loss,
            train_op=update,
            variables={"mean": np.zeros(2), "count": np.array(0)},
        )

    estimator = Estimator(full, tmp_path, params={"rate": 2, "array": np.zeros(2)})
    x = np.zeros((4, 2), np.float32)
    estimator.train(lambda: [(x, np.zeros(4, np.int64))])
    assert seen["features"] == TensorSpec(np.dtype(np.float32), (None, 2))
    assert seen["labels"] == TensorSpec(np.dtype(np.int64), (None,))
    assert seen["mode"] == ModeKeys.TRAIN and seen["params"]["rate"] == 2
    assert seen["config"].model_dir == str(tmp_path)
    checkpoint = load_latest(str(tmp_path))
    assert checkpoint is not None and checkpoint.params == {"rate": 2, "array": None}
    list(estimator.predict(lambda: [(x, np.zeros(4))], yield_single_examples=False))
    assert seen["labels"] is None and seen["mode"] == ModeKeys.PREDICT
    bound = estimator.model_fn(
        TensorSpec(np.dtype(np.float32), (None, 2)), None, "eval", estimator.config
    )
    assert isinstance(bound, EstimatorSpec) and seen["params"]["rate"] == 2


def test_initial_values_of_the_spec_stay_as_they_are(tmp_path: Path) -> None:
    initial = np.zeros(2)

    def in_place(features: Any, mode: str) -> EstimatorSpec:
        def add(batch: Any) -> None:
            batch.variables["mean"] += 1

        return EstimatorSpec(mode, loss=lambda b: 0.0, train_op=add, variables={"mean": initial})

    estimator = Estimator(in_place, tmp_path).train(batches)
    assert initial.tolist() == [0, 0]
    assert estimator.get_variable_value("mean").tolist() == [5, 5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 1, "max_steps": 2}, "both steps and max_steps, but they are 1 and 2"),
        ({"steps": 0}, "steps > 0, given: 0"),
        ({"max_steps": -3}, "max_steps > 0, given: -3"),
        ({"steps": 1.5}, r"steps must be an integer > 0 or None, not 1\.5"),
        ({"max_steps": "7"}, "max_steps must be an integer > 0 or None, not '7'"),
        ({"steps": True}, "steps must be an integer > 0 or None, not True"),
    ],
)
def test_bad_steps(tmp_path: Path, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Estimator(model_fn, tmp_path).train(batches, **arguments)
    assert os.listdir(tmp_path) == []


def test_bad_hooks_and_listeners(tmp_path: Path) -> None:
    estimator = Estimator(model_fn, tmp_path)
    with pytest.raises(TypeError, match=r"hooks\[1\] is 'x'"):
        estimator.train(batches, hooks=[SessionRunHook(), "x"])
    with pytest.raises(TypeError, match="pass an object, not the class"):
        estimator.train(batches, hooks=[SessionRunHook])
    with pytest.raises(TypeError, match="hooks must be a list"):
        estimator.train(batches, hooks=SessionRunHook())
    with pytest.raises(TypeError, match=r"saving_listeners\[0\] is 3"):
        estimator.train(batches, saving_listeners=[3])
    with pytest.raises(TypeError, match="write `lambda: data`"):
        estimator.train(batches())


def test_hook_misuse(tmp_path: Path) -> None:
    estimator = Estimator(model_fn, tmp_path)
    with pytest.raises(ValueError, match="cannot fetch 'nonsense': the names here are count, dev"):
        estimator.train(batches, hooks=[Recorder([], fetches="nonsense")])
    with pytest.raises(ValueError, match="fetches must be names"):
        estimator.train(batches, hooks=[Recorder([], fetches=["loss", 3])])

    class Wrong(SessionRunHook):
        def before_run(self, run_context: Any) -> Any:
            return "loss"

    with pytest.raises(TypeError, match="must return SessionRunArgs or None, not 'loss'"):
        estimator.train(batches, hooks=[Wrong()])


@pytest.mark.parametrize("end", [StopIteration, OutOfRangeError])
def test_input_that_ends_at_once(tmp_path: Path, end: type[Exception]) -> None:
    def input_fn() -> Any:
        raise end

    estimator = Estimator(model_fn, tmp_path).train(input_fn)
    assert int(estimator.get_variable_value("global_step")) == 0
    with pytest.raises(ValueError, match="4 rows are needed to start, but the input has 0"):
        Estimator(first_rows_model_fn, tmp_path / "other").train(input_fn)
