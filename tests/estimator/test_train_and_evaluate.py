"""train_and_evaluate and its exporters, against what TensorFlow 1.4.1 did with the same calls."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids import (
    EvalSpec,
    Exporter,
    FinalExporter,
    KMeansClustering,
    LatestExporter,
    RunConfig,
    SessionRunHook,
    TrainSpec,
    train_and_evaluate,
)

POINTS = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
receive = centroids.export.build_raw_serving_input_receiver_fn({"x": POINTS})
Calls = list[tuple[str, int, bool, str]]


def numpy_fn(num_epochs: int | None = 1) -> Any:
    """Ten batches of four points in each epoch."""
    return centroids.inputs.numpy_input_fn(
        POINTS, batch_size=4, num_epochs=num_epochs, shuffle=False
    )


class Noting(Exporter):
    """Writes nothing, and notes when it was called."""

    name = "noting"

    def __init__(self) -> None:
        self.calls: Calls = []

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str,
        eval_result: Mapping[str, Any],
        is_the_final_export: bool,
    ) -> None:
        """Notes the call."""
        path = os.path.relpath(export_path, estimator.model_dir)
        checkpoint = os.path.basename(checkpoint_path).removesuffix(".safetensors")
        step = int(eval_result["global_step"])
        self.calls.append((checkpoint, step, is_the_final_export, path))


def model(folder: Path, **config: Any) -> KMeansClustering:
    quiet = RunConfig(log_step_count_steps=None, save_summary_steps=None, **config)
    return KMeansClustering(3, folder, POINTS[:3].copy(), config=quiet)


def test_it_trains_and_evaluates_by_turns_until_max_steps(tmp_path: Path) -> None:
    # TensorFlow's steps are 11, 22 and 25: it counts the one that finds the input at its end.
    noting, kmeans = Noting(), model(tmp_path)
    values, exports = train_and_evaluate(
        kmeans,
        TrainSpec(numpy_fn(), max_steps=25),
        EvalSpec(
            numpy_fn(),
            steps=2,
            name="e",
            throttle_secs=600,
            start_delay_secs=60,
            exporters=[
                noting,
                LatestExporter("latest", receive, exports_to_keep=2),
                FinalExporter("final", receive),
            ],
        ),
    )
    path = os.path.join("export", "noting")
    assert noting.calls == [
        ("model.ckpt-10", 10, False, path),
        ("model.ckpt-20", 20, False, path),
        ("model.ckpt-25", 25, True, path),
    ]
    assert values["global_step"] == 25 and values["num_examples"] == 8
    latest, final = tmp_path / "export" / "latest", tmp_path / "export" / "final"
    assert len(os.listdir(latest)) == 2 and len(os.listdir(final)) == 1
    assert exports[0] is None
    assert exports[1:] == [str(latest / max(os.listdir(latest))), str(final / os.listdir(final)[0])]
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.is_dir()) == [
        "eval_e",
        "export",
    ]
    # All its steps are done: it is evaluated and exported once more.
    noting.calls.clear()
    again = EvalSpec(numpy_fn(), steps=2, exporters=noting)
    assert train_and_evaluate(kmeans, TrainSpec(numpy_fn(), max_steps=25), again)[1] == [None]
    assert noting.calls == [("model.ckpt-25", 25, True, path)]


class Slow(SessionRunHook):
    """A step takes a while."""

    def before_run(self, run_context: Any) -> None:
        """Waits."""
        time.sleep(0.005)


def test_throttle_secs_ends_a_turn_and_no_batch_is_lost(tmp_path: Path) -> None:
    noting, kmeans = Noting(), model(tmp_path / "turns")
    spec = TrainSpec(numpy_fn(None), max_steps=30, hooks=[Slow()])
    every = EvalSpec(numpy_fn(), steps=1, exporters=noting, throttle_secs=0.02)
    train_and_evaluate(kmeans, spec, every)
    steps = [step for _, step, _, _ in noting.calls]
    assert len(steps) >= 3 and steps == sorted(set(steps)) and steps[-1] == 30
    assert [final for _, _, final, _ in noting.calls] == [False] * (len(steps) - 1) + [True]
    at_once = model(tmp_path / "at_once").train(numpy_fn(None), max_steps=30)
    assert (kmeans.cluster_centers() == at_once.cluster_centers()).all()


def test_throttle_secs_of_0_evaluates_after_each_checkpoint(tmp_path: Path) -> None:
    # TensorFlow 1.4 refuses it; 1.15 gives these steps.
    noting = Noting()
    train_and_evaluate(
        model(tmp_path, save_checkpoints_steps=5),
        TrainSpec(numpy_fn(None), max_steps=12),
        EvalSpec(numpy_fn(), steps=1, exporters=noting, throttle_secs=0),
    )
    assert [step for _, step, _, _ in noting.calls] == [5, 10, 12]


def test_a_tolerance_ends_it(tmp_path: Path) -> None:
    noting = Noting()
    kmeans = KMeansClustering(
        3, tmp_path, POINTS[:3].copy(), use_mini_batch=False, relative_tolerance=1e-3
    )
    exporters = [noting, FinalExporter("final", receive)]
    values, exports = train_and_evaluate(
        kmeans,
        TrainSpec(lambda: POINTS, max_steps=10_000),
        EvalSpec(lambda: POINTS, steps=1, exporters=exporters),
    )
    assert 1 < values["global_step"] < 100 and len(noting.calls) == 1
    assert exports[1] is not None and os.path.isdir(exports[1])


class Enough(Exception):
    """Ends what would go on forever."""


@pytest.mark.parametrize(("input_fn", "seconds"), [(numpy_fn(), 600), (lambda: POINTS, 0.02)])
def test_without_max_steps_it_goes_on_for_ever_and_says_so(
    input_fn: Any, seconds: float, tmp_path: Path, caplog: Any
) -> None:
    class StopAtThird(Noting):
        def export(self, *args: Any, **kwargs: Any) -> None:
            super().export(*args, **kwargs)
            if len(self.calls) == 3:
                raise Enough

    noting = StopAtThird()
    with pytest.raises(Enough):
        train_and_evaluate(
            model(tmp_path),
            TrainSpec(input_fn),
            EvalSpec(numpy_fn(), exporters=noting, throttle_secs=seconds),
        )
    assert len(noting.calls) == 3
    if seconds == 600:
        assert [step for _, step, _, _ in noting.calls] == [10, 20, 30]
    assert caplog.text.count("train_and_evaluate never ends, as in r1.4") == 1


def test_no_step_or_no_checkpoint_is_an_error(tmp_path: Path) -> None:
    once = EvalSpec(numpy_fn())
    trained = model(tmp_path / "trained").train(numpy_fn())
    with pytest.raises(RuntimeError, match="no new checkpoint after training"):
        train_and_evaluate(trained, TrainSpec(lambda: iter([]), max_steps=20), once)
    never = model(tmp_path / "never", save_checkpoints_steps=None, save_checkpoints_secs=None)
    with pytest.raises(RuntimeError, match="the RunConfig saves no checkpoints"):
        train_and_evaluate(never, TrainSpec(numpy_fn(), max_steps=5), once)


def test_only_the_oldest_exports_go(tmp_path: Path) -> None:
    kmeans = model(tmp_path / "model").train(numpy_fn())
    base = tmp_path / "base"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("mine", "123", "01000000003", "1000000000", "1000000001", "1000000002"):
        (base / name).mkdir(parents=True)
        (base / name / "saved_model.pb").write_text("x")
    (base / "1000000009").symlink_to(elsewhere)
    (base / "1000000008").write_text("a file")
    exporter = LatestExporter("l", receive, exports_to_keep=2)
    written = exporter.export(kmeans, str(base), str(kmeans.latest_checkpoint()), {}, False)
    assert written is not None
    assert set(os.listdir(base)) == {
        "mine",
        "123",
        "01000000003",
        "1000000002",
        "1000000008",
        "1000000009",
        os.path.basename(written),
    }
    keeps_all = LatestExporter("l", receive, exports_to_keep=None)
    for _ in range(3):
        keeps_all.export(kmeans, str(base), str(kmeans.latest_checkpoint()), {}, False)
    assert len(os.listdir(base)) == 10


class Nameless(Noting):
    """An exporter without a name."""

    name = ""


def test_specs_are_replaced_as_the_named_tuples_of_r14() -> None:
    assert TrainSpec(numpy_fn(), 3)._replace(max_steps=4).max_steps == 4
    assert EvalSpec(numpy_fn(), exporters=Noting())._replace(steps=None).steps is None


BAD = [
    (lambda: TrainSpec(3), TypeError, "input_fn must be a function"),
    (lambda: TrainSpec(numpy_fn(), max_steps=0), ValueError, "Must specify max_steps > 0"),
    (lambda: TrainSpec(numpy_fn(), hooks=["x"]), TypeError, "All hooks must be SessionRunHook"),
    (lambda: EvalSpec(numpy_fn(), steps=0), ValueError, "Must specify steps > 0"),
    (lambda: EvalSpec(numpy_fn(), name=3), TypeError, "`name` must be string"),
    (lambda: EvalSpec(numpy_fn(), throttle_secs=-1), ValueError, "throttle_secs >= 0, given: -1"),
    (lambda: EvalSpec(numpy_fn(), start_delay_secs=-1), ValueError, "start_delay_secs >= 0"),
    (lambda: EvalSpec(numpy_fn(), exporters="x"), TypeError, "`exporters` must be an Exporter"),
    (lambda: EvalSpec(numpy_fn(), exporters=3), TypeError, "`exporters` must be an Exporter"),
    (lambda: EvalSpec(numpy_fn(), exporters=Nameless()), ValueError, r"not empty, got \[''\]"),
    (lambda: EvalSpec(numpy_fn(), exporters=[Noting(), Noting()]), ValueError, "different names"),
    (lambda: LatestExporter("a", receive, exports_to_keep=0), ValueError, "exports_to_keep must"),
    (lambda: FinalExporter("a", None), ValueError, "serving_input_receiver_fn must be defined"),
    (lambda: train_and_evaluate(3, TrainSpec(len), EvalSpec(len)), TypeError, "estimator must"),
]


@pytest.mark.parametrize(("call", "kind", "message"), BAD)
def test_bad_arguments(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("link", ["export", "export/e"])
def test_exporters_do_not_write_or_delete_through_links(tmp_path: Path, link: str) -> None:
    folder, outside = tmp_path / "model", tmp_path / "outside"
    old = outside / ("e/1500000000" if link == "export" else "1500000000")
    old.mkdir(parents=True)
    (old / "saved_model.pb").write_bytes(b"of another model")
    (folder / link).parent.mkdir(parents=True)
    (folder / link).symlink_to(outside)
    exporter = LatestExporter("e", receive, exports_to_keep=1)
    with pytest.raises(OSError, match="exporter 'e' would write through this symbolic link"):
        train_and_evaluate(
            model(folder),
            TrainSpec(numpy_fn(None), max_steps=4),
            EvalSpec(numpy_fn(), exporters=exporter, start_delay_secs=0, throttle_secs=0),
        )
    assert [path for path in outside.rglob("*") if path.is_file()] == [old / "saved_model.pb"]
    assert not list(folder.glob("*.safetensors"))


@pytest.mark.parametrize("name", ["saved_model.pb", "saved_model.pbtxt"])
def test_only_exports_are_old_exports(tmp_path: Path, name: str) -> None:
    kmeans = model(tmp_path / "model").train(numpy_fn())
    base = tmp_path / "base"
    for folder, file in (("1500000000", "notes.txt"), ("1500000001", name)):
        (base / folder).mkdir(parents=True)
        (base / folder / file).write_text("old")
    path = kmeans.latest_checkpoint()
    assert path is not None
    exporter = LatestExporter("e", receive, exports_to_keep=1)
    written = exporter.export(kmeans, str(base), path, {}, False)
    assert written is not None
    assert {one.name for one in base.iterdir()} == {"1500000000", os.path.basename(written)}
