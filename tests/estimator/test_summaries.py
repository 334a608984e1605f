"""Event files: what TensorBoard reads of them, also after crashes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids.estimator import (
    Batch,
    Estimator,
    EstimatorSpec,
    EventWriter,
    RunConfig,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
    StepCounterHook,
    SummarySaverHook,
)
from centroids.estimator.hooks._event_files import NUM_BUCKETS, histogram
from tests.estimator.online_mean import batches, deviations, loss, model_fn
from tests.tensorboard_reader import accumulate, curve, histograms

EVERY_STEP = RunConfig(save_summary_steps=1, log_step_count_steps=1, save_checkpoints_steps=4)


class Crash(SessionRunHook):
    """Raises after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Raises."""
        if run_context.session.global_step == self.step:
            raise RuntimeError("crash")


def event_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if "tfevents" in path.name)


def test_scalars_and_histograms_of_a_spec(tmp_path: Path) -> None:
    config = RunConfig(save_summary_steps=3, log_step_count_steps=None)
    Estimator(model_fn, tmp_path, config).train(lambda: batches(5))
    read = accumulate(tmp_path)
    # The last step is there although it was not due.
    assert curve(read, "rows") == [(1, 3), (4, 3), (5, 3)]
    seen: list[Any] = []
    expected = {}
    for step, batch in enumerate(batches(5), 1):
        mean = np.mean(seen, axis=0) if seen else np.zeros(2)
        seen.extend(batch)
        expected[step] = batch - mean
    assert curve(read, "loss") == [
        (step, pytest.approx((expected[step] ** 2).sum())) for step in (1, 4, 5)
    ]
    written = histograms(read, "deviations")
    assert list(written) == [1, 4, 5]
    for step, buckets in written.items():
        assert buckets.shape == (NUM_BUCKETS, 3) and buckets[:, 2].sum() == 6
        assert buckets[0, 0] == pytest.approx(expected[step].min())
        assert buckets[-1, 1] == pytest.approx(expected[step].max())


@pytest.mark.parametrize(
    "values",
    [
        [7.0],
        [3, 3, 3],
        [1.0, np.nextafter(1.0, 2.0)],
        [0, 2**60],
        np.random.default_rng(0).poisson(5, size=(40, 50)),
        np.random.default_rng(1).normal(size=1000).astype(np.float32),
    ],
)
def test_a_histogram_counts_every_value_once(values: Any) -> None:
    flat = np.asarray(values, np.float64).ravel()
    buckets = histogram("sizes", values)
    left, right, counts = buckets.T
    assert buckets.shape == (NUM_BUCKETS, 3) and counts.sum() == flat.size
    assert left[0] == flat.min() and right[-1] == flat.max()
    assert (left[1:] == right[:-1]).all() and (left <= right).all()
    for low, high, count in buckets[:-1]:
        assert count == ((flat >= low) & (flat < high)).sum()


def test_a_histogram_of_a_million_values_is_a_small_event(tmp_path: Path) -> None:
    with EventWriter(str(tmp_path)) as writer:
        writer.add_histograms({"sizes": np.random.default_rng(0).poisson(9, 10**6)}, 1)
    (path,) = event_files(tmp_path)
    assert path.stat().st_size < 1000
    assert histograms(accumulate(tmp_path), "sizes")[1][:, 2].sum() == 10**6


def test_a_histogram_of_nothing_has_no_bucket() -> None:
    assert histogram("sizes", []).shape == (0, 3)


def test_a_histogram_of_values_that_are_not_finite_is_refused(tmp_path: Path) -> None:
    with EventWriter(str(tmp_path)) as writer, pytest.raises(ValueError, match="'sizes' must have"):
        writer.add_histograms({"sizes": [1.0, np.nan]}, 1)
    assert not event_files(tmp_path)


def test_summaries_are_evaluated_only_when_they_are_due(tmp_path: Path) -> None:
    evaluated: list[int] = []

    def note(batch: Batch) -> Any:
        evaluated.append(batch.index)
        return batch.get(deviations)

    def noting_model_fn(features: Any, mode: str) -> EstimatorSpec:
        base = model_fn(features, mode)
        values = {name: getattr(base, name) for name in base.__dataclass_fields__}
        return EstimatorSpec(**(values | {"histograms": {"noted": note}}))

    quiet = RunConfig(save_summary_steps=None, log_step_count_steps=None)
    Estimator(noting_model_fn, tmp_path / "quiet", quiet, {"rate": 1}).train(lambda: batches(7))
    assert evaluated == [] and not event_files(tmp_path / "quiet")
    config = RunConfig(save_summary_steps=3)
    Estimator(noting_model_fn, tmp_path / "some", config).train(lambda: batches(7))
    assert evaluated == [0, 3, 6]


def test_further_scalars_need_no_spec(tmp_path: Path) -> None:
    dropped = iter([2, 5, 9])
    hook = SummarySaverHook(
        2, output_dir=str(tmp_path / "own"), scalars={"dropped_rows": lambda: next(dropped)}
    )
    Estimator(model_fn, tmp_path).train(lambda: batches(4), hooks=[hook])
    read = accumulate(tmp_path / "own")
    assert curve(read, "dropped_rows") == [(1, 2), (3, 5), (4, 9)]
    assert len(curve(read, "rows")) == 3


def test_an_evaluation_may_have_summaries(tmp_path: Path) -> None:
    config = RunConfig(save_summary_steps=1, save_checkpoints_steps=1)
    estimator = Estimator(model_fn, tmp_path, config).train(lambda: batches(3))
    hook = SummarySaverHook(1, output_dir=str(tmp_path), summary_op={"evaluated": "rows"})
    estimator.evaluate(
        lambda: batches(1, num_rows=8), hooks=[hook], checkpoint_path=tmp_path / "model.ckpt-1"
    )
    # It belongs to the step of the checkpoint, and takes no step of the training away.
    read = accumulate(tmp_path)
    assert curve(read, "evaluated") == [(1, 8)] and curve(read, "rows") == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("crash_at", [1, 3, 4, 6, 9])
def test_steps_that_were_done_twice_show_once(tmp_path: Path, crash_at: int) -> None:
    data = batches(10)
    whole = Estimator(model_fn, tmp_path / "whole", EVERY_STEP).train(lambda: data)
    model_dir = tmp_path / "crashed"
    with pytest.raises(RuntimeError, match="crash"):
        Estimator(model_fn, model_dir, EVERY_STEP).train(lambda: data, hooks=[Crash(crash_at)])
    assert curve(accumulate(model_dir), "loss")[-1][0] == crash_at
    resumed = Estimator(model_fn, model_dir, EVERY_STEP)
    done = crash_at // 4 * 4
    resumed.train(lambda: data[done:], max_steps=10)
    for tag in ("loss", "rows"):
        expected = curve(accumulate(whole.model_dir), tag)
        assert [step for step, _ in expected] == list(range(1, 11))
        assert curve(accumulate(model_dir), tag) == expected
    for tag in ("global_step/sec", "rows/sec"):
        assert [step for step, _ in curve(accumulate(model_dir), tag)] == list(range(1, 11))
    assert list(histograms(accumulate(model_dir), "deviations")) == list(range(1, 11))


def test_many_short_trainings_are_one_curve(tmp_path: Path) -> None:
    # More than ten within a second: names of files must still sort by their age.
    for _ in range(12):
        Estimator(model_fn, tmp_path, EVERY_STEP).train(lambda: batches(1))
    assert len(event_files(tmp_path)) == 12
    assert [step for step, _ in curve(accumulate(tmp_path), "loss")] == list(range(1, 13))


def test_the_hooks_of_a_run_share_the_file_of_a_folder(tmp_path: Path) -> None:
    config = RunConfig(save_summary_steps=None, log_step_count_steps=4)
    hooks = [
        SummarySaverHook(1, output_dir=str(tmp_path), summary_op={"own": "loss"}),
        StepCounterHook(2, output_dir=str(tmp_path / "." / "")),
    ]
    estimator = Estimator(model_fn, tmp_path, config)
    for _ in range(2):
        estimator.train(lambda: batches(6), hooks=hooks)
    assert len(event_files(tmp_path)) == 2
    read = accumulate(tmp_path)
    assert [step for step, _ in curve(read, "own")] == list(range(1, 13))
    assert {2, 4, 6, 8, 10, 12} == {step for step, _ in curve(read, "rows/sec")}


def test_a_torn_file_shows_all_its_whole_records(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    ends = []
    with EventWriter(str(tmp_path / "whole"), first_step=1) as writer:
        for step in range(1, 5):
            writer.add_scalars({"loss": step / 2}, step)
            (path,) = event_files(tmp_path / "whole")
            ends.append(path.stat().st_size)
    data = path.read_bytes()
    torn = tmp_path / "torn" / path.name
    torn.parent.mkdir()
    for length in range(len(data) + 1):
        torn.write_bytes(data[:length])
        steps = [event.step for event in EventFileLoader(str(torn)).Load() if event.summary.value]
        assert steps == list(range(1, 1 + sum(end <= length for end in ends))), length


def test_training_goes_on_after_a_torn_file(tmp_path: Path) -> None:
    Estimator(model_fn, tmp_path, EVERY_STEP).train(lambda: batches(4))
    (path,) = event_files(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    Estimator(model_fn, tmp_path, EVERY_STEP).train(lambda: batches(4))
    read = accumulate(tmp_path)
    assert [step for step, _ in curve(read, "loss")] == list(range(1, 9))
    assert list(histograms(read, "deviations")) == [1, 2, 3, 5, 6, 7, 8]


def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    hook = SummarySaverHook(1, output_dir=str(tmp_path / "file" / "events"))
    with pytest.raises(OSError, match="file"):
        Estimator(model_fn, tmp_path / "model").train(lambda: batches(2), hooks=[hook])


FULL_DISK = """
import resource, sys
from centroids.estimator import EventWriter
writer = EventWriter(sys.argv[1])
for step in range(1, 4):
    writer.add_scalars({"loss": step}, step)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
try:
    for step in range(4, 100):
        writer.add_scalars({"loss": step}, step)
except OSError as error:
    print(step, type(error).__name__)
try:
    writer.close()
except OSError as error:
    print("closed")
writer.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of file sizes")
def test_a_full_disk_is_an_os_error_and_keeps_the_records_before(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    output = subprocess.check_output(command, env=environment, text=True).split()
    failed = int(output[0])
    assert output[1:] == ["OSError", "closed"] and 3 < failed < 99
    assert curve(accumulate(tmp_path), "loss") == [(step, step) for step in range(1, failed)]


@pytest.mark.parametrize(
    ("function", "error"),
    [(1.5, TypeError), ("loss", TypeError)],
)
def test_histograms_of_a_spec_are_functions(function: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"histograms\['h'\] must be a function"):
        EstimatorSpec("eval", loss=loss, histograms={"h": function})


@pytest.mark.parametrize("other", ["summaries", "variables"])
def test_a_histogram_shares_its_name_with_nothing(other: str) -> None:
    entry: Callable[[Batch], Any] | np.ndarray = np.zeros(1) if other == "variables" else loss
    with pytest.raises(ValueError, match="'h' names a histogram and also a"):
        EstimatorSpec("eval", loss=loss, histograms={"h": loss}, **{other: {"h": entry}})
