"""Hooks that write scalars for other programs, and stopping by a validation set."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids.estimator import Estimator, RunConfig
from tests.estimator.online_mean import batches, model_fn
from tests.estimator.test_summaries import Crash
from tests.tensorboard_reader import accumulate, curve


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def expected_losses(num_batches: int) -> list[float]:
    seen: list[Any] = []
    losses = []
    for batch in batches(num_batches):
        mean = np.mean(seen, axis=0) if seen else np.zeros(2)
        losses.append(float(((batch - mean) ** 2).sum()))
        seen.extend(batch)
    return losses


def test_a_csv_file_has_a_row_for_each_step(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    hook = centroids.CSVLoggerHook(path)
    Estimator(model_fn, tmp_path / "m").train(lambda: batches(5), hooks=[hook])
    rows = read_rows(path)
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5]
    assert [float(row["loss"]) for row in rows] == pytest.approx(expected_losses(5))
    assert [float(row["rows"]) for row in rows] == [3] * 5


@pytest.mark.parametrize("crash_at", [1, 3, 4, 6, 9])
def test_steps_that_were_done_twice_have_one_row(tmp_path: Path, crash_at: int) -> None:
    path, data = tmp_path / "log.csv", batches(10)
    config = RunConfig(save_checkpoints_steps=4)
    hook = centroids.CSVLoggerHook(path, every_n_steps=1)
    with pytest.raises(RuntimeError, match="crash"):
        Estimator(model_fn, tmp_path / "m", config).train(
            lambda: data, hooks=[hook, Crash(crash_at)]
        )
    assert len(read_rows(path)) == crash_at
    path.write_bytes(path.read_bytes()[:-3])  # the last row is cut off
    Estimator(model_fn, tmp_path / "m", config).train(
        lambda: data[crash_at // 4 * 4 :], hooks=[hook], max_steps=10
    )
    rows = read_rows(path)
    # A row that was cut off is lost only if its step is not repeated.
    lost = {crash_at} if crash_at % 4 == 0 else set()
    assert [int(row["step"]) for row in rows] == sorted(set(range(1, 11)) - lost)


def test_other_columns_are_refused_before_anything_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,accuracy\n1,2\n")
    hook = centroids.CSVLoggerHook(path)
    with pytest.raises(ValueError, match="has the columns step, accuracy, but those of this run"):
        Estimator(model_fn, tmp_path / "m").train(lambda: batches(5), hooks=[hook])
    assert path.read_text() == "step,accuracy\n1,2\n"


def test_the_last_step_is_written_however_often_others_are(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    hook = centroids.CSVLoggerHook(path, every_n_steps=3, scalars=["loss"])
    Estimator(model_fn, tmp_path / "m").train(lambda: batches(7), hooks=[hook])
    assert [int(row["step"]) for row in read_rows(path)] == [3, 6, 7]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of what the package is made of
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("store", ["sqlite:///{}/runs.db"])
def test_mlflow_keeps_runs_in_a_file(tmp_path: Path, store: str, fails: bool) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = store.format(tmp_path)
    hook = centroids.MLflowLoggerHook(uri, "words")
    estimator = Estimator(model_fn, tmp_path / "m", params={"rate": 2})
    hooks = [hook, *([Crash(3)] if fails else [])]
    if fails:
        with pytest.raises(RuntimeError, match="crash"):
            estimator.train(lambda: batches(3), hooks=hooks)
    else:
        estimator.train(lambda: batches(3), hooks=hooks)
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("words").experiment_id])
    assert run.info.status == ("FAILED" if fails else "FINISHED")
    assert run.data.params == {"rate": "2.0"} and run.info.run_name == "m"
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [metric.step for metric in history] == [1, 2, 3]
    assert [metric.value for metric in history] == pytest.approx(expected_losses(3))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_run_of_mlflow_that_is_continued_has_no_step_twice(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path}/runs.db"
    client = mlflow.MlflowClient(uri)
    run_id = client.create_run(client.create_experiment("words")).info.run_id
    config = RunConfig(save_checkpoints_steps=4)
    estimator = Estimator(model_fn, tmp_path / "m", config=config)
    hooks = [centroids.MLflowLoggerHook(uri, run_id=run_id), Crash(6)]
    with pytest.raises(RuntimeError, match="crash"):
        estimator.train(lambda: batches(10), hooks=hooks)
    done = int(estimator.get_variable_value("global_step"))
    assert done < 6  # so that steps are repeated
    estimator.train(lambda: batches(10)[done:], hooks=hooks[:1])
    history = client.get_metric_history(run_id, "loss")
    assert sorted(metric.step for metric in history) == [*range(1, 11)]
    assert client.get_run(run_id).info.status == "RUNNING"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_wandb_keeps_runs_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    hook = centroids.WandbLoggerHook(project="words", dir=str(tmp_path))
    estimator = Estimator(model_fn, tmp_path / "m", params={"rate": 2})
    estimator.train(lambda: batches(3), hooks=[hook])
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    until = time.monotonic() + 60
    while b"loss" not in file.read_bytes():  # a process of wandb's own writes, which nobody awaits
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("hook", [centroids.WandbLoggerHook, centroids.MLflowLoggerHook])
def test_what_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: Any
) -> None:
    for name in ("wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"this hook needs (wandb|mlflow): pip install"):
        Estimator(model_fn, tmp_path / "m").train(lambda: batches(3), hooks=[hook()])


# Points whose validation loss has its lowest value in the middle of the training.
def make_kmeans(folder: Path) -> centroids.KMeansClustering:
    config = RunConfig(save_checkpoints_steps=3)
    return centroids.KMeansClustering(
        12, model_dir=str(folder), use_mini_batch=False, config=config, random_seed=3
    )


POINTS, HELD_OUT = np.random.default_rng(5).normal(size=(2, 150, 2))


def validation(kmeans: Any, patience: int | None = 2, **arguments: Any) -> Any:
    return centroids.ValidationHook(kmeans, lambda: HELD_OUT, patience, steps=1, **arguments)


def mean_distance(centers: np.ndarray) -> float:
    squares = ((HELD_OUT[:, None] - centers[None]) ** 2).sum(axis=2)
    return float(squares.min(axis=1).mean())


class Centers(centroids.SessionRunHook):
    def __init__(self) -> None:
        self.values: list[float] = []

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.values.append(mean_distance(run_context.session.run("clusters")))


def stop_of(values: list[float], patience: int) -> tuple[int, int]:
    """The last step and the best one, by hand."""
    best, best_step, worse = np.inf, 0, 0
    for step, value in enumerate(values, 1):
        if value < best:
            best, best_step, worse = value, step, 0
        else:
            worse += 1
        if worse >= patience:
            return step, best_step
    raise AssertionError("it would not stop")


def test_training_stops_when_others_no_longer_gain(tmp_path: Path) -> None:
    free = make_kmeans(tmp_path / "free")
    centers = Centers()
    free.train(lambda: POINTS, hooks=[centers], steps=40)
    kmeans = make_kmeans(tmp_path / "m")
    hook = validation(kmeans, metric="mean_distance")
    kmeans.train(lambda: POINTS, hooks=[hook], steps=40)
    last, best = stop_of(centers.values, 2)
    assert hook.stopped and hook.best_step == best
    assert int(kmeans.get_variable_value("global_step")) == last < 40
    assert hook.best_value == pytest.approx(centers.values[best - 1])
    read = accumulate(tmp_path / "m" / "eval_validation")
    assert curve(read, "loss/mean_distance") == [
        (step, pytest.approx(value, rel=1e-6))
        for step, value in enumerate(centers.values[:last], 1)
    ]


def test_it_only_measures_without_patience(tmp_path: Path) -> None:
    kmeans = make_kmeans(tmp_path)
    hook = validation(kmeans, None, every_n_steps=4)
    kmeans.train(lambda: POINTS, hooks=[hook], steps=20)
    assert not hook.stopped and hook.num_evaluations == 5


CHILD = """
import os, signal, sys
from pathlib import Path
from tests.estimator.test_loggers import *
class Kill(centroids.SessionRunHook):
    def after_run(self, run_context, run_values):
        if run_context.session.global_step == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
kmeans = make_kmeans(Path(sys.argv[1]))
kmeans.train(lambda: POINTS, hooks=[validation(kmeans), Kill()], steps=40)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("ahead", [1, 2])
def test_what_it_waits_for_survives_a_kill(tmp_path: Path, ahead: int) -> None:
    whole = make_kmeans(tmp_path / "whole")
    hook = validation(whole)
    whole.train(lambda: POINTS, hooks=[hook], steps=40)
    last = int(whole.get_variable_value("global_step"))
    folder = tmp_path / "killed"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", CHILD, str(folder), str(last - ahead)]
    done = subprocess.run(command, env=environment, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL
    again = make_kmeans(folder)
    resumed = validation(again)
    again.train(lambda: POINTS, hooks=[resumed], max_steps=40)
    assert int(again.get_variable_value("global_step")) == last
    assert (resumed.best_step, resumed.best_value) == (hook.best_step, hook.best_value)
    assert resumed.num_evaluations == hook.num_evaluations
    np.testing.assert_array_equal(again.cluster_centers(), whole.cluster_centers())


TORN = """
import os, signal, sys
from pathlib import Path
from centroids.estimator.hooks import _event_files
from tests.estimator.test_loggers import *

write = _event_files.EventWriter._write
def die(self, event):
    if "eval_" not in self.directory or event.step < int(sys.argv[2]):
        return write(self, event)
    if sys.argv[3] == "after":  # of the whole record, and before its checkpoint
        write(self, event)
    else:
        record = _event_files.as_record(event.SerializeToString())
        self._file.write(record[: len(record) // 2])
        self._file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
_event_files.EventWriter._write = die
kmeans = make_kmeans(Path(sys.argv[1]))
kmeans.train(lambda: POINTS, hooks=[validation(kmeans)], steps=40)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("step", [2, 3, 5])
@pytest.mark.parametrize("instant", ["within", "after"])
def test_a_kill_while_it_writes_loses_and_doubles_no_value(
    tmp_path: Path, step: int, instant: str
) -> None:
    whole = make_kmeans(tmp_path / "whole")
    whole.train(lambda: POINTS, hooks=[validation(whole)], steps=40)
    folder = tmp_path / "killed"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", TORN, str(folder), str(step), instant]
    done = subprocess.run(command, env=environment, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL
    again = make_kmeans(folder)
    again.train(lambda: POINTS, hooks=[validation(again)], max_steps=40)
    curves = [
        curve(accumulate(path / "eval_validation"), "loss/mean_distance")
        for path in (tmp_path / "whole", folder)
    ]
    assert curves[0] == curves[1] and len(curves[0]) > 5


def test_a_call_that_has_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    kmeans = make_kmeans(tmp_path)
    hook = validation(kmeans)
    kmeans.train(lambda: POINTS, hooks=[hook], steps=40)
    kmeans.train(lambda: POINTS, hooks=[again := validation(kmeans)], steps=1)
    assert again.num_evaluations == 1 and not again.stopped


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patience": 0}, "patience must be an integer of at least 1|patience"),
        ({"every_n_steps": 0}, "every_n_steps"),
        ({"min_delta": -1.0}, "min_delta"),
        ({"metric": "accuracy"}, "metric must be a value of evaluate, .*; got 'accuracy'"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path: Path, arguments: Any, message: str) -> None:
    kmeans = make_kmeans(tmp_path)
    with pytest.raises(ValueError, match=message):
        kmeans.train(
            lambda: POINTS,
            hooks=[validation(kmeans, **arguments)],
            steps=2,
        )
