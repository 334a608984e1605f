"""Steps that no hook has to see are made together, and nobody can tell."""

from __future__ import annotations

import logging
import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids import KMeansClustering, clustering, kernels
from centroids.estimator import (
    RunConfig,
    SessionRunArgs,
    SessionRunHook,
    StepCounterHook,
)
from centroids.inputs import numpy_input_fn
from tests.tensorboard_reader import accumulate, curve

POINTS = np.random.default_rng(5).standard_normal((700, 6)).astype(np.float32)
CENTERS = POINTS[:9].copy()


class Watcher(SessionRunHook):
    """Any hook of a user: it sees each step."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def before_run(self, run_context: Any) -> SessionRunArgs:
        return SessionRunArgs("loss")

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.losses.append(run_values.results)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many steps each call into the extension makes."""
    made: list[int] = []
    once = kernels.mini_batch_steps

    def steps(batches: Any, centers: Any, counts: Any) -> Any:
        found = once(batches, centers, counts)
        made.append(len(found[2]))
        return found

    monkeypatch.setattr("centroids.clustering._update.mini_batch_steps", steps)
    return made


def model(folder: Path, **arguments: Any) -> KMeansClustering:
    return KMeansClustering(len(CENTERS), str(folder), **{"initial_clusters": CENTERS, **arguments})


def bits(kmeans: KMeansClustering) -> dict[str, bytes]:
    return {
        name: np.asarray(kmeans.get_variable_value(name)).tobytes()
        for name in kmeans.get_variable_names()
    }


INPUTS: dict[str, Callable[[], Any]] = {
    "in order": lambda: numpy_input_fn(POINTS, batch_size=32, num_epochs=None, shuffle=False),
    "shuffled": lambda: numpy_input_fn(POINTS, batch_size=32, num_epochs=None, shuffle=True),
    "bytes": lambda: numpy_input_fn(
        (POINTS * 20).astype(np.int8), batch_size=32, num_epochs=None, shuffle=False
    ),
    "wide": lambda: numpy_input_fn(
        POINTS.astype(np.float64), batch_size=32, num_epochs=None, shuffle=False
    ),
    "columns": lambda: numpy_input_fn(
        {"a": POINTS[:, :2], "b": POINTS[:, 2:]}, batch_size=32, num_epochs=None, shuffle=False
    ),
}


@pytest.mark.parametrize("source", INPUTS)
def test_quiet_steps_leave_the_bits_of_single_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    made = counted(monkeypatch)
    quiet = model(tmp_path / "quiet").train(INPUTS[source](), steps=60)
    assert sum(made) > 40
    del made[:]
    watched = model(tmp_path / "watched").train(INPUTS[source](), hooks=[Watcher()], steps=60)
    assert made == []
    assert bits(quiet) == bits(watched)


def test_the_formula_of_each_step(tmp_path: Path) -> None:
    kmeans = model(tmp_path).train(
        numpy_input_fn(POINTS, batch_size=50, num_epochs=1, shuffle=False)
    )
    centers, counts = CENTERS.astype(np.float64), np.ones(len(CENTERS))
    for start in range(0, len(POINTS), 50):
        batch = POINTS[start : start + 50].astype(np.float64)
        nearest = ((batch[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
        for cluster in range(len(centers)):
            own = batch[nearest == cluster]
            sums = [math.fsum(column) for column in own.T] if len(own) else np.zeros(6)
            total = counts[cluster] + len(own)
            step = (sums - len(own) * centers[cluster]) / total
            centers[cluster] = (centers[cluster] + step).astype(np.float32)
            counts[cluster] = total
    assert kmeans.cluster_centers().tolist() == centers.tolist()
    assert kmeans.get_variable_value("cluster_counts").tolist() == counts.tolist()


def test_a_run_that_stops_anywhere_goes_on_there(tmp_path: Path) -> None:
    make = INPUTS["shuffled"]
    whole = model(tmp_path / "whole").train(make(), steps=50)
    for stop in (1, 2, 17, 18, 33):
        parts = model(tmp_path / f"parts{stop}")
        parts.train(make(), max_steps=stop).train(make(), max_steps=50)
        assert bits(parts) == bits(whole)


def test_checkpoints_and_curves_are_those_of_single_steps(tmp_path: Path) -> None:
    def run(name: str, hooks: list[SessionRunHook]) -> tuple[Any, Any, Any]:
        folder = tmp_path / name
        config = RunConfig(
            model_dir=str(folder),
            save_checkpoints_steps=7,
            save_summary_steps=5,
            log_step_count_steps=3,
            keep_checkpoint_max=0,
        )
        kmeans = model(folder, config=config).train(
            numpy_input_fn(POINTS, batch_size=20, num_epochs=2, shuffle=True), hooks=hooks
        )
        events = accumulate(folder)
        names = ["loss", "mean_distance"]
        tags = [tag for tag in events.Tags()["tensors"] if tag.rsplit("/")[-1] in names]
        assert len(tags) >= 1
        curves = {tag: curve(events, tag) for tag in tags}
        return bits(kmeans), sorted(p.name for p in folder.glob("*.safetensors")), curves

    watcher = Watcher()
    quiet, watched = run("quiet", []), run("watched", [watcher])
    assert quiet == watched
    assert len(watcher.losses) == 70
    for points in quiet[2].values():
        assert [step for step, _ in points] == [*range(1, 70, 5), 70]


def test_a_bad_row_is_found_at_its_step(tmp_path: Path) -> None:
    points = POINTS.copy()
    points[23 * 20 + 3, 4] = np.nan
    messages = []
    for name, hooks in (("quiet", []), ("watched", [Watcher()])):
        kmeans = model(tmp_path / name)
        with pytest.raises(ValueError, match="must be finite, got nan") as info:
            kmeans.train(
                numpy_input_fn(points, batch_size=20, num_epochs=1, shuffle=False), hooks=hooks
            )
        messages.append((str(info.value), info.value.__notes__))
    assert messages[0] == messages[1]
    assert "after global step 23, with 24 batches" in messages[0][1][0]


def test_an_input_that_fails_does_so_after_the_steps_before(tmp_path: Path) -> None:
    class Failing(centroids.inputs.numpy_input_fn(POINTS, shuffle=False)().__class__):
        def _read_epoch(self, epoch: int, place: Any) -> Any:
            for number, read in enumerate(super()._read_epoch(epoch, place)):
                if number == 11:
                    raise OSError("the disk is gone")
                yield read

    arguments = ("numpy", POINTS, None, 10, None, False, 0, False)
    with pytest.raises(OSError, match="the disk is gone") as info:
        model(tmp_path).train(lambda: Failing(*arguments))
    assert "after global step 11" in info.value.__notes__[0]


def test_updates_end_before_a_batch_that_is_refused() -> None:
    state = clustering.initial_state(CENTERS)
    batches = [POINTS[:40], POINTS[40:80], np.full((3, 6), np.inf, np.float32), POINTS[80:90]]
    after, losses = clustering.mini_batch_updates(state, batches)
    one = state
    for batch, loss in zip(batches[:2], losses, strict=True):
        found = kernels.assign(batch, one.centers, update=True)
        assert found.inertia == loss
        one = clustering.mini_batch_update(one, found)
    assert after.centers.tobytes() == one.centers.tobytes()
    assert after.counts.tolist() == one.counts.tolist()


def test_an_update_beyond_float64_is_refused_as_by_a_single_step(tmp_path: Path) -> None:
    points = np.array([[1e154, 1.0], [-1e154, 1.0]] * 60)
    kmeans = KMeansClustering(1, str(tmp_path), initial_clusters=np.zeros((1, 2)))
    with pytest.raises(ValueError, match="too large"):
        kmeans.train(numpy_input_fn(points, batch_size=40, num_epochs=1, shuffle=False))


@pytest.mark.parametrize(
    "arguments",
    [
        {"mini_batch_steps_per_iteration": 3},
        {"distance_metric": "cosine"},
        {"reassignment_ratio": 0.01},
        {"relative_tolerance": 1e-9},
        {"use_mini_batch": False},
    ],
)
def test_other_updates_have_their_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]
) -> None:
    made = counted(monkeypatch)
    model(tmp_path, **arguments).train(INPUTS["in order"](), steps=20)
    assert made == []


def test_an_input_that_may_change_its_batches_is_not_read_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, read = counted(monkeypatch), []

    def batches() -> Any:
        for start in range(0, 600, 20):
            read.append(start)
            yield POINTS[start : start + 20]

    model(tmp_path).train(batches, steps=20)
    assert made == []
    assert len(read) == 20


def test_a_subclass_of_a_hook_of_ours_sees_each_step(tmp_path: Path) -> None:
    class Counter(StepCounterHook):
        seen = 0

        def after_run(self, run_context: Any, run_values: Any) -> None:
            self.seen += 1

    counter = Counter()
    model(tmp_path).train(INPUTS["in order"](), hooks=[counter], steps=40)
    assert counter.seen == 40


def test_a_signal_ends_training_with_what_the_last_step_saw(tmp_path: Path) -> None:
    points = POINTS
    sent: list[int] = []

    class Signalling(numpy_input_fn(points, shuffle=False)().__class__):
        def _read_epoch(self, epoch: int, place: Any) -> Any:
            for number, read in enumerate(super()._read_epoch(epoch, place)):
                if epoch == 0 and number == 25 and not sent:
                    sent.append(number)
                    signal.raise_signal(signal.SIGINT)
                yield read

    make = lambda: Signalling("numpy", points, None, 10, None, False, 0, False)  # noqa: E731
    kmeans = model(tmp_path / "cut")
    with pytest.raises(KeyboardInterrupt):
        kmeans.train(make, max_steps=60)
    kmeans.train(make, max_steps=60)
    whole = model(tmp_path / "whole").train(
        numpy_input_fn(points, batch_size=10, num_epochs=None, shuffle=False), max_steps=60
    )
    assert bits(kmeans) == bits(whole)


def test_the_log_has_each_assignment_if_it_wants_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "centroids.kernels"):
        model(tmp_path).train(INPUTS["in order"](), steps=20)
    assert sum(text.startswith("assigned ") for text in caplog.messages) == 20
