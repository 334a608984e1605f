"""evaluate and predict: values, files, hooks, errors."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering
from centroids.estimator import (
    Estimator,
    EstimatorSpec,
    FinalOpsHook,
    ModeKeys,
    RunConfig,
    Sum,
    read_checkpoint,
)
from tests.estimator.online_mean import Recorder, batches, model_fn, read_events


@pytest.fixture
def trained(tmp_path: Path) -> Estimator:
    config = RunConfig(save_checkpoints_steps=2, keep_checkpoint_max=None)
    return Estimator(model_fn, tmp_path, config).train(batches)


def files(folder: str) -> dict[str, bytes]:
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found


def test_evaluate_values(trained: Estimator) -> None:
    before = files(trained.model_dir)
    mean = trained.get_variable_value("mean")
    data = [np.ones((3, 2)), np.zeros((1, 2))]
    losses = [float(((x - mean) ** 2).sum()) for x in data]
    values = trained.evaluate(lambda: data)
    assert values == {
        "rows": 4,
        "mean_square": pytest.approx(sum(losses) / 4),
        "loss": pytest.approx(sum(losses) / 2),
        "global_step": 5,
    }
    assert type(values["global_step"]) is int and type(values["loss"]) is float
    after = files(trained.model_dir)
    new = [name for name in after if name not in before]
    assert len(new) == 1 and new[0].startswith("eval" + os.sep + "events.out.tfevents")
    assert {name: after[name] for name in before} == before
    scalars = read_events(os.path.join(trained.model_dir, "eval"))
    assert {tag: step for tag, step, _ in scalars} == {"rows": 5, "mean_square": 5, "loss": 5}


def test_evaluate_name_steps_and_checkpoint(trained: Estimator) -> None:
    values = trained.evaluate(batches, steps=2, name="other")
    assert values["rows"] == 6
    assert read_events(os.path.join(trained.model_dir, "eval_other"))
    for path in ("model.ckpt-2", "model.ckpt-2.safetensors"):
        values = trained.evaluate(batches, steps=1, checkpoint_path=Path(trained.model_dir) / path)
        assert values["global_step"] == 2


def test_one_step_pulls_one_batch(trained: Estimator) -> None:
    pulled = []

    def input_fn() -> Any:
        pulled.append(1)
        return np.ones((2, 2))

    trained.evaluate(input_fn, steps=1)
    assert len(pulled) == 1


def test_evaluation_hooks_and_final_values(trained: Estimator) -> None:
    final = FinalOpsHook({"rows": "rows", "step": "global_step", "mean": "mean"})
    recorder = Recorder([], fetches=["loss", "rows"])
    trained.evaluate(batches, hooks=[final, recorder])
    # The summary `rows` of the model is the fetch here, as names of functions come first.
    assert final.final_ops_values["step"] == 5
    np.testing.assert_array_equal(
        final.final_ops_values["mean"], trained.get_variable_value("mean")
    )
    assert len(recorder.results) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps > 0, given: 0"),
        ({"steps": 2.0}, r"steps must be an integer > 0 or None, not 2\.0"),
        ({"name": "a/../b"}, r"no empty part, '\.' or '\.\.' between slashes, not 'a/\.\./b'"),
        ({"name": "a//b"}, "between slashes, not 'a//b'"),
        ({"name": 3}, "name must be a string or None.*not 3"),
        ({"checkpoint_path": ""}, "checkpoint_path is empty"),
        ({"checkpoint_path": "/nowhere/model.ckpt-3"}, r"/nowhere/model.ckpt-3.safetensors is no"),
    ],
)
def test_bad_arguments_of_evaluate(trained: Estimator, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trained.evaluate(batches, **arguments)


def test_empty_input_cannot_be_evaluated(trained: Estimator) -> None:
    with pytest.raises(ValueError, match="nothing to evaluate"):
        trained.evaluate(lambda: iter([]))


def test_without_a_checkpoint(tmp_path: Path) -> None:
    estimator = Estimator(model_fn, tmp_path / "none")
    message = f"Could not find trained model in model_dir: {tmp_path / 'none'}"
    with pytest.raises(ValueError, match=message):
        estimator.evaluate(batches)
    with pytest.raises(ValueError, match=message):
        estimator.predict(batches)
    with pytest.raises(ValueError, match=message):
        estimator.get_variable_names()
    with pytest.raises(ValueError, match=message):
        estimator.get_variable_value("mean")
    assert estimator.latest_checkpoint() is None
    assert not (tmp_path / "none").exists()


def test_unknown_variable(trained: Estimator) -> None:
    with pytest.raises(ValueError, match="no variable is named 'men'; there are count, global_st"):
        trained.get_variable_value("men")


@pytest.mark.parametrize("name", [3, None, b"mean"])
def test_a_name_that_is_none(trained: Estimator, name: Any) -> None:
    with pytest.raises(TypeError, match=f"name must be a string or a list of .* got {name!r}"):
        trained.get_variable_value(name)


def test_evaluate_where_nothing_can_be_written(
    trained: Estimator, caplog: pytest.LogCaptureFixture
) -> None:
    # A file in the place of the folder: tests that run as root are not stopped by permissions.
    Path(trained.model_dir, "eval").write_text("in the way")
    assert trained.evaluate(batches)["rows"] == 15
    assert "Cannot write the evaluation" in caplog.text


def test_predict_is_a_generator_of_examples(trained: Estimator) -> None:
    mean = trained.get_variable_value("mean")
    x = np.concatenate(batches())
    before = files(trained.model_dir)
    predictions = trained.predict(batches)
    assert isinstance(predictions, Generator)
    examples = list(predictions)
    assert len(examples) == 15 and set(examples[0]) == {"deviation", "length"}
    np.testing.assert_allclose([e["deviation"] for e in examples], x - mean)
    assert files(trained.model_dir) == before


def test_predict_keys_evaluate_nothing_else(tmp_path: Path) -> None:
    ran: list[str] = []

    def model(features: Any, mode: str) -> EstimatorSpec:
        def logged(name: str) -> Any:
            def function(batch: Any) -> Any:
                ran.append(name)
                return batch.features

            return function

        return EstimatorSpec(mode, {"a": logged("a"), "b": logged("b")}, lambda b: 0.0, len_of)

    def len_of(batch: Any) -> None:
        pass

    estimator = Estimator(model, tmp_path).train(lambda: batches(1))
    assert ran == []
    assert [set(e) for e in estimator.predict(lambda: batches(1), predict_keys=["b"])] == [
        {"b"}
    ] * 3
    assert ran == ["b"]
    with pytest.raises(
        ValueError, match=r"at least one output from \['a', 'b'\], provided \['c'\]"
    ):
        next(estimator.predict(batches, predict_keys=["c"]))
    with pytest.raises(ValueError, match=r"predict_keys must be a list of names or None, not \[\]"):
        estimator.predict(batches, predict_keys=[])


def test_whole_batches(trained: Estimator) -> None:
    whole = list(trained.predict(batches, predict_keys="length", yield_single_examples=False))
    assert [batch["length"].shape for batch in whole] == [(3,)] * 5


def unnamed(features: Any, mode: str) -> EstimatorSpec:
    return EstimatorSpec(mode, lambda b: b.features[:, 0], lambda b: 0.0, lambda b: None)


def test_predictions_without_names(tmp_path: Path) -> None:
    estimator = Estimator(unnamed, tmp_path).train(lambda: batches(1))
    values = list(estimator.predict(batches))
    assert values == np.concatenate(batches())[:, 0].tolist()
    with pytest.raises(ValueError, match="not valid in case of non-dict predictions"):
        next(estimator.predict(batches, predict_keys=["a"]))


def test_batch_lengths_must_agree(tmp_path: Path) -> None:
    def model(features: Any, mode: str) -> EstimatorSpec:
        predictions = {"rows": lambda b: b.features, "two": lambda b: np.zeros(2)}
        if features.shape[1] == 1:
            predictions = {"scalar": lambda b: np.float64(3)}
        return EstimatorSpec(mode, predictions, lambda b: 0.0, lambda b: None)

    estimator = Estimator(model, tmp_path).train(lambda: batches(1))
    with pytest.raises(ValueError, match=r"should be same.*rows: 3, two: 2"):
        next(estimator.predict(batches))
    with pytest.raises(ValueError, match="'scalar' is a single value"):
        next(estimator.predict(lambda: [np.zeros((2, 1))]))
    whole = next(iter(estimator.predict(batches, yield_single_examples=False)))
    assert len(whole["rows"]) == 3 and len(whole["two"]) == 2


def test_predict_with_an_older_checkpoint_and_hooks(trained: Estimator) -> None:
    path = os.path.join(trained.model_dir, "model.ckpt-2")
    mean = read_checkpoint(path).variables["mean"]
    recorder = Recorder([], fetches="global_step")
    predictions = list(trained.predict(batches, hooks=[recorder], checkpoint_path=path))
    np.testing.assert_allclose(predictions[0]["deviation"], batches()[0][0] - mean)
    assert recorder.results == [2] * 5


def test_predict_uses_the_checkpoint_of_its_call(trained: Estimator) -> None:
    mean = trained.get_variable_value("mean")
    predictions = trained.predict(batches)
    trained.train(lambda: [np.full((1, 2), 1e6)])
    np.testing.assert_allclose(next(predictions)["deviation"], batches()[0][0] - mean)


def test_closing_the_generator_closes_the_input(trained: Estimator) -> None:
    closed = []

    def input_fn() -> Any:
        try:
            yield from batches()
        finally:
            closed.append(True)

    predictions = trained.predict(input_fn)
    next(predictions)
    predictions.close()
    assert closed == [True]


@pytest.mark.parametrize("key", [None, "cluster_index"])
def test_row_by_row_a_generator_closes_and_throws(key: str | None, tmp_path: Path) -> None:
    points = np.array([[0.0], [9.0]])
    model = KMeansClustering(2, tmp_path, initial_clusters=points).train(lambda: points, steps=1)
    closed = []

    def input_fn() -> Any:
        try:
            yield from [points] * 3
        finally:
            closed.append(True)

    predict = model.predict if key is None else model.predict_cluster_index
    predictions = predict(input_fn)
    next(predictions)
    predictions.close()
    assert closed == [True] and list(predictions) == []
    predictions = predict(input_fn)
    assert predictions.send(None) is not None
    with pytest.raises(LookupError, match="enough"):
        predictions.throw(LookupError("enough"))
    assert closed == [True, True] and list(predictions) == []


def test_empty_input_predicts_nothing(trained: Estimator) -> None:
    assert list(trained.predict(lambda: iter([]))) == []


def test_another_model_is_refused(trained: Estimator, tmp_path: Path) -> None:
    def other(features: Any, mode: str, params: Any) -> EstimatorSpec:
        base = model_fn(features, mode)
        values = {name: getattr(base, name) for name in base.__dataclass_fields__}
        return EstimatorSpec(**(values | params))

    def use(**params: Any) -> None:
        estimator = Estimator(other, tmp_path, params=params)
        with pytest.raises(ValueError, match=message):
            next(estimator.predict(batches))
        with pytest.raises(ValueError, match=message):
            estimator.evaluate(batches)
        before = files(str(tmp_path))
        with pytest.raises(ValueError, match=message):
            estimator.train(batches)
        assert files(str(tmp_path)) == before

    message = "model is 'online mean' there and 'median' here"
    use(identity={"model": "median"})
    message = "model is 'online mean' there and not set here"
    use(identity={})
    message = "it has the variables count, mean, but the model has mean;"
    use(variables={"mean": np.zeros(2)})
    message = r"mean has the shape \(2,\) there and \(3,\) here"
    use(variables={"mean": np.zeros(3), "count": np.array(0)})

    def refuse(variables: Any) -> None:
        raise ValueError(f"a nicer message about {sorted(variables)}")

    message = r"a nicer message about \['count', 'mean'\]"
    use(variables={"mean": np.zeros(3), "count": np.array(0)}, check_variables=refuse)


def test_dtype_of_the_checkpoint_wins(trained: Estimator, tmp_path: Path) -> None:
    def single(features: Any, mode: str) -> EstimatorSpec:
        base = model_fn(features, mode)
        values = {name: getattr(base, name) for name in base.__dataclass_fields__}
        variables = {"mean": np.zeros(2, np.float32), "count": np.array(0)}
        return EstimatorSpec(**(values | {"variables": variables}))

    Estimator(single, tmp_path).train(batches)
    assert trained.get_variable_value("mean").dtype == np.float64


def test_metric_state_does_not_leak_between_calls(tmp_path: Path) -> None:
    shared = Sum(lambda batch: len(batch.features))

    def model(features: Any, mode: str) -> EstimatorSpec:
        return EstimatorSpec(
            mode, loss=lambda b: 1.0, train_op=lambda b: None, eval_metric_ops={"n": shared}
        )

    estimator = Estimator(model, tmp_path).train(lambda: batches(1))
    assert estimator.evaluate(batches)["n"] == estimator.evaluate(batches)["n"] == 15


def test_mode_of_the_spec_must_be_the_called_one(tmp_path: Path) -> None:
    def model(features: Any, mode: str) -> EstimatorSpec:
        return EstimatorSpec(ModeKeys.EVAL, loss=lambda b: 1.0)

    with pytest.raises(ValueError, match="spec for mode 'eval' when called for 'train'"):
        Estimator(model, tmp_path).train(batches)
    with pytest.raises(ValueError, match="should return an EstimatorSpec, not None"):
        nothing: Any = lambda features: None  # noqa: E731
        Estimator(nothing, tmp_path).train(batches)
