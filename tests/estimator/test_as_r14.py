"""What programs for r1.4 do with RunConfig, evaluation and hooks, beyond its main road."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from centroids.estimator import (
    CheckpointSaverHook,
    CheckpointSaverListener,
    Estimator,
    EstimatorSpec,
    FinalOpsHook,
    ProfilerHook,
    RunConfig,
)
from tests.estimator.online_mean import batches, model_fn, read_events


class Settings(RunConfig):
    """As a program subclasses it: a constructor of its own, and an attribute."""

    def __init__(self, rate: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.rate = rate


@dataclasses.dataclass(frozen=True)
class Fields(RunConfig):
    """A subclass with a field."""

    rate: float = 0.5


@pytest.mark.parametrize("config", [Settings(0.25, save_checkpoints_steps=7), Fields(rate=0.25)])
def test_a_subclass_of_run_config_stays_one(config: Any, tmp_path: Path) -> None:
    changed = config.replace(save_checkpoints_secs=3, model_dir="x")
    assert type(changed) is type(config) and changed.rate == 0.25
    assert (changed.save_checkpoints_steps, changed.save_checkpoints_secs) == (None, 3)
    assert config.model_dir is None
    estimator = Estimator(model_fn, tmp_path, config)
    assert type(estimator.config) is type(config) and estimator.config.rate == 0.25
    assert estimator.config.model_dir == str(tmp_path)
    assert pickle.loads(pickle.dumps(config)).rate == 0.25
    with pytest.raises(ValueError, match="keep_checkpoint_max must be an integer of at least 0"):
        config.replace(keep_checkpoint_max=-1)


def test_a_field_of_a_subclass_is_replaced() -> None:
    assert Fields().replace(rate=2.0).rate == 2.0
    with pytest.raises(ValueError, match="Replacing rate is not supported"):
        Settings(1.0).replace(rate=2.0)


def test_no_checkpoint_is_kept_by_the_hour(tmp_path: Path) -> None:
    config = RunConfig(
        save_checkpoints_steps=1, keep_checkpoint_max=2, keep_checkpoint_every_n_hours=None
    )
    Estimator(model_fn, tmp_path, config).train(batches)
    names = sorted(name for name in os.listdir(tmp_path) if name.endswith(".safetensors"))
    assert names == ["model.ckpt-4.safetensors", "model.ckpt-5.safetensors"]


CLUSTER = {"chief": ["a:1"], "worker": ["b:1", "c:1"], "ps": ["d:1"]}

# Those of TensorFlow 1.4.1 and 1.15.5, which agree.
AS_TENSORFLOW = [
    ({}, ("worker", 0, True, "", 0, 1, {}, None)),
    ({"task": {"type": "worker", "index": 0}}, ("worker", 0, True, "", 0, 1, {}, None)),
    (
        {"cluster": {"master": ["h:2222"]}, "task": {"type": "master", "index": 0}},
        ("master", 0, True, "", 0, 1, {"master": ["h:2222"]}, None),
    ),
    (
        {"cluster": CLUSTER, "task": {"type": "worker", "index": 1}},
        ("worker", 1, False, "grpc://c:1", 1, 3, CLUSTER, None),
    ),
    (
        {"cluster": CLUSTER, "task": {"type": "evaluator", "index": 0}},
        ("evaluator", 0, False, "", 0, 0, {}, None),
    ),
    ({"service": {"a": 1}}, ("worker", 0, True, "", 0, 1, {}, {"a": 1})),
]


@pytest.mark.parametrize(("tf_config", "expected"), AS_TENSORFLOW)
def test_tf_config_is_read_as_tensorflow_does(
    tf_config: Any, expected: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps(tf_config))
    with caplog.at_level(logging.INFO):
        config = RunConfig().replace(model_dir="x")
    assert (
        config.task_type,
        config.task_id,
        config.is_chief,
        config.master,
        config.num_ps_replicas,
        config.num_worker_replicas,
        config.cluster_spec.as_dict(),
        config.service,
    ) == expected
    assert config.evaluation_master == "" and bool(config.cluster_spec) == bool(expected[6])
    assert "TF_CONFIG is set" in caplog.text


@pytest.mark.parametrize(
    ("tf_config", "kind", "message"),
    [
        ("nonsense", ValueError, "the environment variable TF_CONFIG is wrong: it is not JSON"),
        ("[1]", ValueError, "must be a dict"),
        ('{"task": {"type": "ps", "index": 0}}', ValueError, 'task type must be "worker"'),
        ('{"task": {"index": 1}}', ValueError, "task index must be 0"),
        ('{"cluster": {"chief": ["h:1"]}}', ValueError, "the task must have a type and an index"),
        ('{"cluster": {"worker": ["w:1"]}}', ValueError, 'must have one "chief" node'),
        ('{"cluster": {"chief": ["h:1"], "master": ["m:1"]}}', ValueError, "not both"),
        ('{"service": 3}', TypeError, '"service" is set in TF_CONFIG, it must be a dict, not 3'),
        (
            json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": 7}}),
            ValueError,
            "no task 7 of 'worker'",
        ),
        (
            json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": -1}}),
            ValueError,
            "a number that is not negative",
        ),
    ],
)
def test_a_wrong_tf_config_is_an_error(
    tf_config: str, kind: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", tf_config)
    with pytest.raises(kind, match=message):
        RunConfig()


@pytest.mark.parametrize("task", ["chief", "worker", "ps", "evaluator"])
def test_one_of_several_tasks_does_not_train(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = {"cluster": CLUSTER, "task": {"type": task, "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(value))
    estimator = Estimator(model_fn, tmp_path / "model")
    with pytest.raises(
        ValueError,
        match=f"TF_CONFIG makes this process task 0 of '{task}' in a.*start a Dask or Ray",
    ):
        estimator.train(batches)
    assert not (tmp_path / "model").exists()


def test_a_cluster_of_one_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"cluster": {"chief": ["h:1"]}, "task": {"type": "chief", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(value))
    estimator = Estimator(model_fn, tmp_path).train(batches)
    assert estimator.get_variable_value("global_step") == 5


class Nested:
    """A metric whose result is not a number."""

    def __init__(self, result: Any) -> None:
        self._result = result

    def reset(self) -> None:
        """Nothing to forget."""

    def update(self, batch: Any) -> None:
        """Nothing to add."""

    def result(self) -> Any:
        """The given result."""
        return self._result


def test_nested_metrics_are_returned_and_numbers_are_written(tmp_path: Path) -> None:
    results = {
        "by_class": {"a": 0.5, "b": [1, 2]},
        "ragged": [[1.0], [1.0, 2.0]],
        "pair": (1.0, {"n": 3}),
        "text": "fine",
        "nothing": None,
        "one": [2.5],
    }

    def model(features: Any, mode: str) -> EstimatorSpec:
        metrics = {name: Nested(result) for name, result in results.items()}
        return dataclasses.replace(model_fn(features, mode), eval_metric_ops=metrics)

    estimator = Estimator(model, tmp_path).train(batches)
    values = estimator.evaluate(batches, name="a/b")
    assert {name: values[name] for name in results} == results
    folder = estimator.eval_dir("a/b")
    assert folder == str(tmp_path / "eval_a" / "b")
    assert {tag for tag, _, _ in read_events(folder)} == {"loss", "one"}


def test_the_folder_of_evaluations(tmp_path: Path) -> None:
    estimator = Estimator(model_fn, tmp_path)
    assert estimator.eval_dir() == estimator.eval_dir("") == str(tmp_path / "eval")
    assert estimator.eval_dir("other") == str(tmp_path / "eval_other")
    with pytest.raises(ValueError, match="name must be a string or None"):
        estimator.eval_dir("a/../../b")


def test_arguments_of_hooks_have_the_order_of_r14(tmp_path: Path) -> None:
    saves = []

    class Listener(CheckpointSaverListener):
        def after_save(self, session: Any, global_step_value: int) -> None:
            saves.append(global_step_value)

    saver = CheckpointSaverHook(str(tmp_path), None, 2, None, "model.ckpt", None, [Listener()])
    final = FinalOpsHook("mean", final_ops_feed_dict=None)
    profiler = ProfilerHook(100, None, str(tmp_path), show_dataflow=False, show_memory=True)
    Estimator(model_fn, tmp_path).train(batches, hooks=[saver, final, profiler])
    assert saves == [0, 2, 4, 5] and final.final_ops_values.shape == (2,)
    with pytest.raises(ValueError, match="scaffold must be None, not 'graph'"):
        CheckpointSaverHook("d", 1, scaffold="graph")
    with pytest.raises(ValueError, match="final_ops_feed_dict must be None"):
        FinalOpsHook("mean", {"x": 1})
