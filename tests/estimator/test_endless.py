"""Calls that would never end say so, once; inputs that end, and streams, say nothing."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import centroids
from centroids import KMeansClustering, RunConfig, SessionRunHook
from tests.estimator.online_mean import model_fn

POINTS = np.array([[0.0, 0.0], [0.0, 2.0], [9.0, 0.0], [9.0, 2.0]], np.float32)
SILENT = RunConfig(log_step_count_steps=None, save_summary_steps=None)
LINE = "input_fn returned the same batch of 4 rows again"
Calls = Callable[[], Any]


@pytest.fixture
def kmeans(tmp_path: Path) -> KMeansClustering:
    model = KMeansClustering(2, tmp_path, POINTS[[0, 3]], config=SILENT)
    return model.train(lambda: POINTS, steps=1)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The log lines that speak of an endless call."""
    assert all(
        record.levelno == logging.WARNING for record in caplog.records if LINE in record.message
    )
    return [record.message for record in caplog.records if "returned the same" in record.message]


class Interrupted(Exception):
    """Ends a call that would not end."""


def interrupted_after(num_calls: int, value: Any) -> Calls:
    """An input function that gives a value for so many calls, then fails."""
    calls = itertools.count(1)

    def input_fn() -> Any:
        if next(calls) > num_calls:
            raise Interrupted
        return value() if callable(value) else value

    return input_fn


SAME = {
    "an array": POINTS,
    "a copy of it": lambda: POINTS.copy(),
    "lists": POINTS.tolist(),
    "columns": {"a": POINTS[:, 0], "b": POINTS[:, 1]},
    "sparse rows": scipy.sparse.csr_array(POINTS),
    "with labels": (POINTS, np.arange(4)),
}


@pytest.mark.parametrize("value", SAME.values(), ids=SAME)
def test_predictions_that_never_end(
    value: Any, kmeans: KMeansClustering, caplog: pytest.LogCaptureFixture
) -> None:
    for method in (kmeans.predict, kmeans.transform, kmeans.predict_cluster_index):
        caplog.clear()
        with pytest.raises(Interrupted):
            list(method(interrupted_after(9, value)))
        (line,) = lines(caplog)
        assert line.startswith(LINE)
        assert "return centroids.inputs.limit_epochs(x, num_epochs=1) from input_fn" in line


def test_an_evaluation_that_never_ends(
    kmeans: KMeansClustering, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Interrupted):
        kmeans.evaluate(interrupted_after(9, POINTS))
    (line,) = lines(caplog)
    assert "this evaluation never ends; pass steps=1" in line


@pytest.mark.parametrize("hooks", [None, [centroids.LoggingTensorHook(["loss"], 1)]])
def test_a_run_that_never_ends(
    hooks: Any, kmeans: KMeansClustering, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Interrupted):
        kmeans.train(interrupted_after(9, POINTS), hooks=hooks)
    (line,) = lines(caplog)
    assert "pass steps= or max_steps= to train" in line
    assert kmeans.get_variable_value("global_step") == 1


class StopSoon(SessionRunHook):
    """What a user may write."""

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Stops after the third step."""
        if run_context.session.global_step >= 3:
            run_context.request_stop()


def test_calls_that_end_say_nothing(
    kmeans: KMeansClustering, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def again() -> Any:
        return POINTS

    kmeans.train(again, steps=2)
    kmeans.train(again, max_steps=9)
    kmeans.train(again, hooks=[centroids.StopAtStepHook(num_steps=3)])
    kmeans.train(again, hooks=[StopSoon()])
    kmeans.train(lambda: centroids.inputs.limit_epochs(POINTS, 3))
    kmeans.train(lambda: itertools.repeat(POINTS, 5))
    kmeans.evaluate(again, steps=5)
    kmeans.score(again)
    assert len(list(zip(POINTS, kmeans.predict_cluster_index(again), strict=False))) == 4
    assert len(list(itertools.islice(kmeans.transform(again), 4))) == 4
    list(kmeans.predict(lambda: centroids.inputs.limit_epochs(POINTS, 3)))
    full = KMeansClustering(
        2, tmp_path / "full", POINTS[[0, 3]], use_mini_batch=False, relative_tolerance=1e-3
    )
    full.train(again)
    assert not lines(caplog)


def readings(batches: Any) -> Calls:
    """An input function that is called for each batch, and raises StopIteration at the end."""
    stream = iter(batches)
    return lambda: next(stream)


def test_streams_say_nothing(kmeans: KMeansClustering, caplog: pytest.LogCaptureFixture) -> None:
    random = np.random.default_rng(0)
    buffer = np.zeros((4, 2), np.float32)

    def filled_anew() -> Any:
        for _ in range(5):
            buffer[:] = random.normal(size=(4, 2))
            yield buffer

    at_rest = [np.full((1, 2), 3.5) for _ in range(50)]
    all_zero = [np.zeros((8, 2)) for _ in range(50)]
    drifting = [POINTS + step / 100 for step in range(5)]
    returning = [POINTS, POINTS + 1] * 5
    for batches in (filled_anew(), at_rest, all_zero, drifting, returning):
        list(kmeans.predict(readings(batches)))
    kmeans.train(readings(drifting))
    assert not lines(caplog)


def test_one_reading_that_comes_for_ever(
    kmeans: KMeansClustering, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Interrupted):
        list(kmeans.predict(interrupted_after(500, lambda: np.full((1, 2), 3.5))))
    assert len(lines(caplog)) == 1


class AtTheEnd(SessionRunHook):
    """What a model may bring along: it looks at the result."""

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Notes where the training starts."""
        self.first = session.global_step


@pytest.mark.parametrize(("hook", "told"), [(AtTheEnd(), 1), (StopSoon(), 0)])
def test_hooks_of_the_model_count_if_they_take_part_in_steps(
    hook: SessionRunHook, told: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def with_hook(features: Any, mode: str) -> Any:
        return model_fn(features, mode)._replace(training_hooks=[hook])

    estimator = centroids.Estimator(with_hook, tmp_path)
    if told:
        with pytest.raises(Interrupted):
            estimator.train(interrupted_after(9, POINTS))
    else:
        estimator.train(interrupted_after(9, POINTS))
    assert len(lines(caplog)) == told
