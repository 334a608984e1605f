"""Exact resume: an interrupted training that goes on comes to the bits of an uninterrupted one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from centroids import KMeansClustering, RunConfig, SessionRunHook
from centroids.estimator import Estimator, EstimatorSpec, load_latest
from centroids.inputs import (
    csv_input_fn,
    limit_epochs,
    npy_input_fn,
    numpy_input_fn,
    tfrecord_input_fn,
)
from tests.estimator.online_mean import batches, model_fn
from tests.inputs.tfrecord_writer import write_rows

POINTS = np.random.default_rng(3).normal(size=(90, 4)).astype(np.float32)
EVERY_STEP = RunConfig(save_checkpoints_steps=1)


class Interruption(Exception):
    """Ends a run as an accident would."""


class Interrupt(SessionRunHook):
    """Raises after the step `at`, when its checkpoint has been saved or not."""

    def __init__(self, at: int) -> None:
        self.at = at

    def after_run(self, run_context: Any, run_values: Any) -> None:
        if run_context.session.global_step == self.at:
            raise Interruption


def sources(folder: Path) -> dict[str, Callable[[], Any]]:
    np.save(folder / "points.npy", POINTS)
    np.savetxt(folder / "points.csv", POINTS, delimiter=",", fmt="%.9g")
    records = write_rows(folder / "points.tfrecord", POINTS.tolist(), "GZIP")
    sparse = scipy.sparse.csr_array(np.where(POINTS > 0, POINTS, 0))
    return {
        "array": lambda: POINTS,
        "limit_epochs": lambda: limit_epochs(POINTS, 12),
        "in order": numpy_input_fn(POINTS, batch_size=16, num_epochs=3, shuffle=False),
        "shuffled": numpy_input_fn(POINTS, batch_size=16, num_epochs=3, shuffle=True, seed=5),
        "dict": numpy_input_fn(
            {"a": POINTS[:, :1], "b": POINTS[:, 1:]}, batch_size=16, num_epochs=3, shuffle=True
        ),
        "sparse": numpy_input_fn(sparse, batch_size=16, num_epochs=3, shuffle=True),
        "npy": npy_input_fn(folder / "points.npy", 16, 3, shuffle=True),
        "csv": csv_input_fn(folder / "points.csv", 16, 3),
        "tfrecord": tfrecord_input_fn(records, 16, 3, shuffle=True),
    }


SOURCES = [
    "array",
    "limit_epochs",
    "in order",
    "shuffled",
    "dict",
    "sparse",
    "npy",
    "csv",
    "tfrecord",
]
MODES: dict[str, dict[str, Any]] = {
    "full": {"use_mini_batch": False, "initial_clusters": POINTS[:5]},
    "mini": {"kmeans_plus_plus_num_retries": -1},
    "multi": {"mini_batch_steps_per_iteration": 4, "distance_metric": "cosine"},
    "many batches to start": {"num_clusters": 40, "mini_batch_steps_per_iteration": 3},
    "tolerance": {"relative_tolerance": 0.05},
    "restarts": {"num_restarts": 3, "use_mini_batch": False},
    "restarts of mini-batches": {"num_restarts": 3, "num_clusters": 20},
    "relocating": {
        "use_mini_batch": False,
        "empty_clusters": "relocate",
        "initial_clusters": np.concatenate([POINTS[:5], POINTS[:7] + 100]),
    },
    "reassigning": {"reassignment_ratio": 0.5, "num_clusters": 12},
}


def make(folder: Path, mode: str, config: RunConfig = EVERY_STEP) -> KMeansClustering:
    arguments = {"num_clusters": 5, "random_seed": 7} | MODES[mode]
    return KMeansClustering(**arguments, model_dir=str(folder), config=config)


def state(model: KMeansClustering) -> dict[str, bytes]:
    return {name: model.get_variable_value(name).tobytes() for name in model.get_variable_names()}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("source", SOURCES)
def test_interrupted_training_comes_to_the_same_bits(
    tmp_path: Path, source: str, mode: str
) -> None:
    input_fn = sources(tmp_path)[source]
    whole = make(tmp_path / "whole", mode).train(input_fn, max_steps=10)
    last = int(whole.get_variable_value("global_step"))
    model = make(tmp_path / "parts", mode, RunConfig(save_checkpoints_steps=2))
    for at in (1, 2, 5):
        if at < last:
            with pytest.raises(Interruption):
                # A new object each time, as a new process has.
                make(tmp_path / "parts", mode, model.config).train(
                    input_fn, hooks=[Interrupt(at)], max_steps=10
                )
    model.train(input_fn, max_steps=10)
    assert state(model) == state(whole)


@pytest.mark.parametrize("mode", MODES)
def test_steps_are_cut_anywhere(tmp_path: Path, mode: str) -> None:
    input_fn = sources(tmp_path)["shuffled"]
    whole = make(tmp_path / "whole", mode).train(input_fn, steps=9)
    last = int(whole.get_variable_value("global_step"))
    parts = make(tmp_path / "parts", mode)
    for steps in (1, 3, 5):
        if parts.latest_checkpoint() is None or int(parts.get_variable_value("global_step")) < last:
            parts.train(input_fn, steps=steps)
    assert state(parts) == state(whole)


def test_an_input_that_ended_starts_over(tmp_path: Path) -> None:
    input_fn = numpy_input_fn(POINTS, batch_size=16, shuffle=False)  # 6 batches
    model = make(tmp_path, "mini")
    model.train(input_fn).train(input_fn)
    assert int(model.get_variable_value("global_step")) == 12
    # Another input may follow it: nothing is left of the first.
    model.train(numpy_input_fn(POINTS[:32], batch_size=16, shuffle=False))
    assert int(model.get_variable_value("global_step")) == 14


def test_steps_that_end_with_the_input_start_it_over(tmp_path: Path) -> None:
    input_fn = numpy_input_fn(POINTS, batch_size=45, shuffle=False)
    model = make(tmp_path, "mini")
    for _ in range(3):
        model.train(input_fn, steps=2)
    assert int(model.get_variable_value("global_step")) == 6


def test_an_interruption_after_the_last_batch_trains_nothing_twice(tmp_path: Path) -> None:
    input_fn = numpy_input_fn(POINTS, batch_size=45, shuffle=False)
    model = make(tmp_path, "mini")
    with pytest.raises(Interruption):
        model.train(input_fn, hooks=[Interrupt(2)])
    model.train(input_fn)
    assert int(model.get_variable_value("global_step")) == 2
    model.train(input_fn)
    assert int(model.get_variable_value("global_step")) == 4


def test_an_interruption_before_the_first_step_changes_nothing(tmp_path: Path) -> None:
    class Fail(SessionRunHook):
        def before_run(self, run_context: Any) -> None:
            raise Interruption

    input_fn = numpy_input_fn(POINTS, batch_size=45, shuffle=False)
    model = make(tmp_path, "mini").train(input_fn, steps=2)
    # The input is at its end: this call begins a new pass, and so does the one after it.
    with pytest.raises(Interruption):
        model.train(input_fn, hooks=[Fail()])
    model.train(input_fn)
    assert int(model.get_variable_value("global_step")) == 4


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (numpy_input_fn(POINTS[:80], batch_size=16, shuffle=False), r"shape was \[90, 4\], now"),
        (numpy_input_fn(POINTS, batch_size=16, shuffle=True), "shuffle was False, now it is True"),
        (lambda: iter([POINTS]), "in the middle of another input"),
        (lambda: POINTS, "in the middle of another input"),
    ],
    ids=["length", "order", "generator", "array"],
)
def test_a_changed_input_is_refused_or_restarted(
    tmp_path: Path, changed: Callable[[], Any], message: str
) -> None:
    model = make(tmp_path, "mini")
    model.train(numpy_input_fn(POINTS, batch_size=16, shuffle=False), steps=2)
    with pytest.raises(ValueError, match=f"{message}.*restart_input=True"):
        model.train(changed, steps=1)
    assert int(model.get_variable_value("global_step")) == 2
    model.train(changed, steps=1, restart_input=True)
    assert int(model.get_variable_value("global_step")) == 3


def test_restart_input_begins_at_the_beginning(tmp_path: Path) -> None:
    input_fn = numpy_input_fn(POINTS, batch_size=45, shuffle=False)
    model = make(tmp_path, "mini").train(input_fn, steps=1)
    model.train(input_fn, steps=1, restart_input=True)
    checkpoint = load_latest(str(tmp_path))
    assert checkpoint is not None and checkpoint.input_position is not None
    assert checkpoint.input_position["offset"] == 45


def test_an_input_without_positions_says_that_it_starts_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    estimator = Estimator(model_fn, tmp_path)
    estimator.train(lambda: iter(batches()), steps=2)
    assert caplog.text == ""
    estimator.train(lambda: iter(batches()))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "cannot tell its position" in record.message
    # It came to its end, so the next one misses nothing.
    caplog.clear()
    estimator.train(lambda: iter(batches()))
    assert caplog.text == ""


def test_the_random_generator_goes_on(tmp_path: Path) -> None:
    def noisy(features: Any, mode: str) -> EstimatorSpec:
        def update(batch: Any) -> None:
            batch.variables["sum"] = batch.variables["sum"] + batch.random.normal()

        return EstimatorSpec(
            mode,
            loss=lambda batch: 0.0,
            train_op=update,
            variables={"sum": np.array(0.0)},
            random_seed=11,
        )

    whole = Estimator(noisy, tmp_path / "whole").train(batches, steps=5)
    random = np.random.default_rng(11)
    expected = 0.0
    for _ in range(5):  # from Python 3.12 on `sum` rounds once, at the end
        expected += random.normal()
    assert whole.get_variable_value("sum") == expected
    parts = Estimator(noisy, tmp_path / "parts")
    for steps in (2, 1, 2):
        parts.train(lambda: np.zeros((2, 2)), steps=steps)
    assert parts.get_variable_value("sum") == whole.get_variable_value("sum")


@pytest.mark.parametrize("place", ["input_fn", "source", "hook", "begin", "end", "initial"])
def test_an_exception_says_where_it_happened(tmp_path: Path, place: str) -> None:
    error = ZeroDivisionError("mine")

    def input_fn() -> Iterator[Any]:
        if place == "input_fn":
            raise error
        return source()

    def source() -> Iterator[Any]:
        yield POINTS
        if place == "source":
            raise error
        yield POINTS

    class Failing(SessionRunHook):
        def begin(self) -> None:
            if place == "begin":
                raise error

        def after_run(self, run_context: Any, run_values: Any) -> None:
            if place == "hook":
                raise error

        def end(self, session: Any) -> None:
            if place == "end":
                raise error

    def initial(points: Any, k: int) -> Any:
        if place == "initial":
            raise error
        return points[:k]

    model = KMeansClustering(5, model_dir=str(tmp_path), initial_clusters=initial)
    with pytest.raises(ZeroDivisionError) as raised:
        model.train(input_fn, hooks=[Failing()])
    assert raised.value is error and len(error.__notes__) == 1
    expected = {
        "source": "after global step 1",
        "hook": "after global step 1",
        "end": "after global step 2",
    }
    assert expected.get(place, "before the first step") in error.__notes__[0]


def test_max_steps_that_are_reached_train_nothing(tmp_path: Path) -> None:
    model = make(tmp_path, "full").train(lambda: POINTS, max_steps=3)
    model.train(lambda: POINTS, max_steps=3)
    assert int(model.get_variable_value("global_step")) == 3


class CountsInItsDict:
    """A source of the user's that counts in the dict that it hands out, with NumPy's integers."""

    def __init__(self) -> None:
        self.place: dict[str, Any] = {"next": {"row": np.int64(0)}, "passes": (np.int32(0),)}

    def __iter__(self) -> Iterator[Any]:
        while self.place["next"]["row"] < len(POINTS):
            time.sleep(0.002)  # slow sources are read ahead by a thread
            start = self.place["next"]["row"]
            self.place["next"]["row"] = start + 5
            yield POINTS[start : start + 5]

    def position(self) -> dict[str, Any]:
        return self.place

    def restore(self, position: dict[str, Any]) -> None:
        self.place = position


@pytest.mark.parametrize("stops", [[3], [1, 2, 3, 4, 5, 6, 7, 8], [9, 15]], ids=str)
def test_no_row_is_lost_where_a_source_counts_in_the_dict_it_gave(
    tmp_path: Path, stops: list[int]
) -> None:
    estimator = Estimator(model_fn, tmp_path)
    for stop in [*stops, 18]:
        estimator.train(CountsInItsDict, max_steps=stop)
    assert int(estimator.get_variable_value("count")) == len(POINTS)
    mean = POINTS.astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(estimator.get_variable_value("mean"), mean, rtol=1e-12, atol=1e-14)


def test_a_source_may_count_in_the_dict_it_was_restored_with(tmp_path: Path) -> None:
    estimator = Estimator(model_fn, tmp_path).train(CountsInItsDict, max_steps=4)
    saved = load_latest(str(tmp_path))
    assert saved is not None and saved.input_position == {"next": {"row": 20}, "passes": [0]}

    class Fail(SessionRunHook):
        def before_run(self, run_context: Any) -> None:
            time.sleep(0.05)  # the reader has gone on meanwhile
            raise Interruption

    with pytest.raises(Interruption):
        estimator.train(CountsInItsDict, hooks=[Fail()])
    again = load_latest(str(tmp_path))
    assert again is not None and again.input_position == saved.input_position


@pytest.mark.parametrize(
    ("position", "message"),
    [
        ({"at": {"rows": {1, 2}}}, r"position\['at'\]\['rows'\] must be what JSON can hold.*set"),
        ({"at": {3: 1}}, r"keys of position\['at'\] must be strings, got 3"),
        ([1], r"position\(\) of a source must return a dict or None, got list"),
    ],
    ids=str,
)
def test_a_position_that_cannot_be_saved_is_refused(
    tmp_path: Path, position: Any, message: str
) -> None:
    class Source(CountsInItsDict):
        def position(self) -> Any:
            return position

    with pytest.raises(TypeError, match=message):
        Estimator(model_fn, tmp_path).train(Source)
