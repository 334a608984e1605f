"""EstimatorSpec, Batch, TensorSpec and the metrics."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from centroids.estimator import (
    Batch,
    Estimator,
    EstimatorSpec,
    Mean,
    Metric,
    ModeKeys,
    Ratio,
    Sum,
    TensorSpec,
    describe,
)
from tests.estimator.online_mean import batches, model_fn


def function(batch: Batch) -> Any:
    return batch.features


def test_mode_keys() -> None:
    assert (ModeKeys.TRAIN, ModeKeys.EVAL, ModeKeys.PREDICT) == ("train", "eval", "infer")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"mode": "fit"}, ValueError, "mode must be one of 'train', 'eval', 'infer', not 'fit'"),
        ({"mode": "train", "train_op": function}, ValueError, "Missing loss"),
        ({"mode": "train", "loss": function}, ValueError, "Missing train_op"),
        ({"mode": "eval"}, ValueError, "Missing loss"),
        ({"mode": "infer", "loss": function}, ValueError, "Missing predictions"),
        ({"mode": "infer", "predictions": {}}, ValueError, "predictions is an empty dict"),
        ({"mode": "infer", "predictions": {"a": 1}}, TypeError, r"predictions\['a'\] must be a"),
        ({"mode": "infer", "predictions": 3}, TypeError, "predictions must be a function, not 3"),
        ({"mode": "eval", "loss": 0.5}, TypeError, "loss must be a function, not 0.5"),
        (
            {"mode": "eval", "loss": function, "eval_metric_ops": {"loss": Sum(function)}},
            ValueError,
            "eval_metric_ops has an entry 'loss', which every evaluation gives already",
        ),
        (
            {"mode": "eval", "loss": function, "eval_metric_ops": {"m": function}},
            TypeError,
            r"eval_metric_ops\['m'\] must have the methods reset, update and result",
        ),
        (
            {"mode": "eval", "loss": function, "evaluation_hooks": ["h"]},
            TypeError,
            r"evaluation_hooks\[0\] is 'h'",
        ),
        (
            {"mode": "eval", "loss": function, "variables": {"global_step": np.array(0)}},
            ValueError,
            "'global_step' names a variable and also the number of steps",
        ),
        (
            {"mode": "infer", "predictions": {"x": function}, "summaries": {"x": function}},
            ValueError,
            "'x' names a summary and also a prediction",
        ),
        (
            {"mode": "infer", "predictions": {3: function}},
            TypeError,
            "name of a prediction must be a string, not 3",
        ),
    ],
)
def test_validation(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        EstimatorSpec(**arguments)


def test_describe() -> None:
    sparse = scipy.sparse.csr_array(np.eye(3, dtype=np.float32))
    described = describe({"dense": np.zeros((2, 5), np.int16), "sparse": sparse, "flat": [1.0]})
    assert described == {
        "dense": TensorSpec(np.dtype(np.int16), (None, 5)),
        "sparse": TensorSpec(np.dtype(np.float32), (None, 3), sparse=True),
        "flat": TensorSpec(np.dtype(np.float64), (None,)),
    }
    assert describe(None) is None and describe(np.float64(2)).shape == ()


def test_batch_get_shares_bound_methods_and_keeps_errors() -> None:
    class Model:
        calls = 0

        def value(self, batch: Batch) -> int:
            self.calls += 1
            return self.calls

    model = Model()
    batch = Batch(None, None, 0, {})
    assert [batch.get(model.value), batch.get(model.value)] == [1, 1]
    assert batch.get(lambda b: None) is None

    def fails(batch: Batch) -> None:
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside") as caught:
        batch.get(fails)
    assert caught.value.__context__ is None


def test_metrics() -> None:
    def rows(batch: Batch) -> int:
        return len(batch.features)

    def total(batch: Batch) -> Any:
        return batch.features.sum()

    metrics: list[Metric] = [Sum(total), Mean(total), Ratio(total, rows)]
    for _ in range(2):
        for metric in metrics:
            metric.reset()
            for values in (np.array([1, 2], np.float32), np.array([6], np.float32)):
                metric.update(Batch(values, None, 0, {}))
        assert [metric.result() for metric in metrics] == [9.0, 4.5, 3.0]
        assert all(type(metric.result()) is float for metric in metrics)
    for metric in metrics:
        metric.reset()
    assert metrics[0].result() == 0
    assert math.isnan(metrics[1].result()) and math.isnan(metrics[2].result())


def test_metrics_of_arrays() -> None:
    metric = Mean(lambda batch: batch.features.sum(axis=0))
    for rows in (np.ones((2, 2)), np.full((1, 2), 4.0)):
        metric.update(Batch(rows, None, 0, {}))
    assert metric.result().tolist() == [3.0, 3.0]


def test_float32_sums_do_not_lose_digits() -> None:
    metric = Sum(lambda batch: batch.features)
    metric.update(Batch(np.float32(2**24), None, 0, {}))
    for _ in range(4):
        metric.update(Batch(np.float32(1), None, 0, {}))
    assert metric.result() == 2**24 + 4


def test_a_spec_is_replaced_as_the_named_tuple_of_r14(tmp_path: Path) -> None:
    def with_rows(features: Any, mode: str) -> EstimatorSpec:
        spec = model_fn(features, mode)
        return spec._replace(predictions={"row": lambda batch: batch.features})

    estimator = Estimator(with_rows, tmp_path).train(batches)
    assert set(next(estimator.predict(batches))) == {"row"}
    with pytest.raises(TypeError, match="unheard_of"):
        model_fn(None, "train")._replace(unheard_of=1)
