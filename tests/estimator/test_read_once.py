"""What was read, with its checksum, is not read again; what has changed since is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from centroids import (
    EvalSpec,
    FinalExporter,
    KMeansClustering,
    LatestExporter,
    TrainSpec,
    export,
    train_and_evaluate,
)
from centroids.checkpoints import folder as checkpoint_folder
from centroids.estimator import load_latest
from centroids.inputs import limit_epochs

POINTS = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The paths of the checkpoint files whose bytes were read."""
    names: list[str] = []
    read = checkpoint_folder.read_bytes

    def noted(file: object, path: str) -> bytes:
        names.append(os.path.basename(path))
        return read(file, path)

    monkeypatch.setattr(checkpoint_folder, "read_bytes", noted)
    yield names


def model_in(folder: Path) -> KMeansClustering:
    return KMeansClustering(3, str(folder))


def test_each_call_reads_once(tmp_path: Path, reads: list[str]) -> None:
    model = model_in(tmp_path).train(lambda: POINTS, steps=2)
    assert reads == []
    for call in (
        lambda: model.train(lambda: POINTS, max_steps=3),
        lambda: model.evaluate(lambda: POINTS, steps=1),
        lambda: list(model.predict_cluster_index(lambda: limit_epochs(POINTS))),
        model.cluster_centers,
    ):
        reads.clear()
        call()
        assert len(reads) == 1
    reads.clear()
    warm = KMeansClustering(3, str(tmp_path / "warm"), warm_start_from=str(tmp_path))
    warm.train(lambda: POINTS, steps=1)
    assert len(reads) == 1


def test_what_is_handed_on_is_not_read_again(tmp_path: Path, reads: list[str]) -> None:
    model_in(tmp_path).train(lambda: POINTS, steps=2)
    latest = load_latest(str(tmp_path))
    assert latest is not None
    before = {name: value.copy() for name, value in latest.variables.items()}
    reads.clear()
    model = model_in(tmp_path)
    assert model.hand_on(latest).evaluate(lambda: POINTS, steps=1)["global_step"] == 2
    assert len(list(model.hand_on(latest).predict(lambda: limit_epochs(POINTS)))) == 40
    model.hand_on(latest).get_variable_value("clusters")[:] = 7  # a copy
    model.hand_on(latest).train(lambda: POINTS, max_steps=3)
    assert reads == []
    for name, value in before.items():
        np.testing.assert_array_equal(latest.variables[name], value)
    # It holds for one call, and only while it is what would be read.
    assert model.get_variable_value("global_step") == 3
    assert model.hand_on(latest).get_variable_value("global_step") == 3
    assert reads == ["model.ckpt-3.safetensors"] * 2


def test_a_file_that_has_changed_is_read(tmp_path: Path) -> None:
    model = model_in(tmp_path).train(lambda: POINTS, steps=2)
    latest = load_latest(str(tmp_path))
    path = tmp_path / "model.ckpt-2.safetensors"
    data = bytearray(path.read_bytes())
    status = path.stat()
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert model.hand_on(latest).get_variable_value("global_step") == 0  # the one before


def test_train_and_evaluate_reads_once_a_turn(tmp_path: Path, reads: list[str]) -> None:
    receive = export.build_raw_serving_input_receiver_fn({"points": POINTS})
    _, exports = train_and_evaluate(
        model_in(tmp_path),
        TrainSpec(lambda: POINTS, max_steps=3),
        EvalSpec(
            lambda: POINTS,
            steps=1,
            exporters=[FinalExporter("final", receive), LatestExporter("latest", receive)],
        ),
    )
    assert all(exports)
    assert reads == ["model.ckpt-3.safetensors"]
