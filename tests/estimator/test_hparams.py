"""Parameters of models, as the HPARAMS tab of TensorBoard reads them."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from centroids.estimator import (
    Estimator,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from tests.estimator.online_mean import batches, model_fn
from tests.estimator.test_summaries import Crash, event_files
from tests.tensorboard_reader import accumulate, curve, sessions


def test_models_under_one_folder_compare(tmp_path: Path) -> None:
    for name, rate in (("a", 1), ("b", 2.5)):
        params = {"rate": rate, "kind": "mean", "fast": rate > 1, "none": None, "array": np.ones(2)}
        estimator = Estimator(model_fn, tmp_path / name, params=params)
        estimator.train(lambda: batches(5)).evaluate(lambda: batches(2))
    found = sessions(tmp_path)
    assert sorted(found) == ["a", "b"]
    for name, rate in (("a", 1.0), ("b", 2.5)):
        parameters, metrics, state = found[name]
        assert parameters == {"rate": rate, "kind": "mean", "fast": rate > 1}
        assert state == "STATUS_SUCCESS"
        # The last value of every curve, whether or not its step was due.
        steps = curve(accumulate(tmp_path / name), "loss")
        assert [step for step, _ in steps] == [1, 5]
        assert metrics["loss"] == steps[-1][1]
        assert metrics["rows"] == 3 and metrics["eval/rows"] == 6


def test_a_run_that_failed_has_not_ended(tmp_path: Path) -> None:
    estimator = Estimator(model_fn, tmp_path / "a", params={"rate": 1})
    with pytest.raises(RuntimeError, match="crash"):
        estimator.train(lambda: batches(5), hooks=[Crash(2)])
    assert sessions(tmp_path)["a"][2] == "STATUS_UNKNOWN"
    estimator.train(lambda: batches(5))
    parameters, _, state = sessions(tmp_path)["a"]
    assert parameters == {"rate": 1} and state == "STATUS_SUCCESS"


def test_a_run_that_was_interrupted_has_not_ended(tmp_path: Path) -> None:
    class Interrupt(SessionRunHook):
        def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
            if run_context.session.global_step == 3:
                signal.raise_signal(signal.SIGINT)

    estimator = Estimator(model_fn, tmp_path / "a", params={"rate": 1})
    with pytest.raises(KeyboardInterrupt):
        estimator.train(lambda: batches(5), hooks=[Interrupt()])
    assert sessions(tmp_path)["a"][2] == "STATUS_UNKNOWN"
    estimator.train(lambda: batches(5))
    assert sessions(tmp_path)["a"][2] == "STATUS_SUCCESS"
    # The interrupted training ends with its last step, and the next goes on from there.
    steps = [step for step, _ in curve(accumulate(tmp_path / "a"), "loss")]
    assert steps == [1, 3, 4, int(estimator.get_variable_value("global_step"))]


def test_names_and_values_that_tensorboard_cannot_hold(tmp_path: Path) -> None:
    params = {"nan": np.nan, "infinite": np.float32(np.inf), 3: np.int8(-4), "on": np.bool_(True)}
    Estimator(model_fn, tmp_path / "a", params=params).train(batches)
    assert sessions(tmp_path)["a"][0] == {"nan": "nan", "infinite": "inf", "3": -4, "on": True}


@pytest.mark.parametrize("params", [None, {}, {"array": np.ones(2)}, ["rate"]])
def test_a_model_without_such_parameters_is_in_no_table(tmp_path: Path, params: object) -> None:
    Estimator(model_fn, tmp_path / "a", params=params).train(batches)
    assert event_files(tmp_path / "a") and sessions(tmp_path) == {}
