"""RunConfig, and how an Estimator finds and checks its folder."""

from __future__ import annotations

import dataclasses
import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from centroids.estimator import Estimator, RunConfig
from tests.estimator.online_mean import batches, model_fn


def test_fields_and_defaults() -> None:
    config = RunConfig()
    assert dataclasses.asdict(config) == {
        "model_dir": None,
        "tf_random_seed": None,
        "save_summary_steps": 100,
        "save_checkpoints_steps": None,
        "save_checkpoints_secs": 600,
        "asynchronous_checkpoints": False,
        "train_distribute": None,  # the one that r1.4 does not have
        "session_config": None,
        "keep_checkpoint_max": 5,
        "keep_checkpoint_every_n_hours": 10000,
        "log_step_count_steps": 100,
    }
    assert config.is_chief and config.task_id == 0 and config.task_type == "worker"
    assert config.num_ps_replicas == 0 and config.num_worker_replicas == 1
    assert config.master == "" and config.evaluation_master == ""


def test_save_checkpoints_steps_and_secs() -> None:
    assert RunConfig(save_checkpoints_steps=3).save_checkpoints_secs is None
    both = RunConfig(save_checkpoints_steps=None, save_checkpoints_secs=None)
    assert both.save_checkpoints_steps is None and both.save_checkpoints_secs is None
    assert RunConfig(save_checkpoints_secs=2.5).save_checkpoints_secs == 2.5
    with pytest.raises(ValueError, match="cannot be both set, but they are 3 and 4"):
        RunConfig(save_checkpoints_steps=3, save_checkpoints_secs=4)


def test_replace() -> None:
    config = RunConfig(model_dir="a", save_checkpoints_steps=3)
    other = config.replace(save_checkpoints_secs=7, keep_checkpoint_max=None)
    assert other.save_checkpoints_steps is None and other.save_checkpoints_secs == 7
    assert other.model_dir == "a" and other.keep_checkpoint_max is None
    assert config.save_checkpoints_steps == 3
    assert other.replace(save_checkpoints_steps=1).save_checkpoints_secs is None
    with pytest.raises(ValueError, match="Replacing is_chief, master is not supported; RunConfig"):
        config.replace(master="x", is_chief=False)
    with pytest.raises(ValueError, match="cannot be both set"):
        config.replace(save_checkpoints_steps=1, save_checkpoints_secs=1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("save_summary_steps", -1, "integer of at least 0, or None; got -1"),
        ("save_checkpoints_steps", 1.5, "integer of at least 0, or None; got 1.5"),
        ("save_checkpoints_secs", -2, "number of at least 0, or None; got -2"),
        ("save_checkpoints_secs", "10", "number of at least 0, or None; got '10'"),
        ("keep_checkpoint_max", -1, "integer of at least 0"),
        ("keep_checkpoint_max", True, "integer of at least 0, or None; got True"),
        ("keep_checkpoint_every_n_hours", 0, "> 0 or None, not 0"),
        ("log_step_count_steps", 0, "integer of at least 1"),
        ("tf_random_seed", "a", "an integer, or None; got 'a'"),
        ("model_dir", "", "non-empty path or None, not ''"),
        ("model_dir", 3, "non-empty path or None, not 3"),
    ],
)
def test_bad_values_are_named(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be.*{message}"):
        RunConfig(**{name: value})


def test_model_dir_of_either_place(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert Estimator(model_fn, folder).model_dir == folder
    assert Estimator(model_fn, tmp_path).config.model_dir == folder
    assert Estimator(model_fn, config=RunConfig(model_dir=folder)).model_dir == folder
    assert Estimator(model_fn, tmp_path, RunConfig(model_dir=folder)).model_dir == folder
    with pytest.raises(ValueError, match="different values: 'a' and 'b'"):
        Estimator(model_fn, "a", RunConfig(model_dir="b"))
    with pytest.raises(ValueError, match=r"an instance of RunConfig, received \{\}"):
        Estimator(model_fn, config={})


def test_temporary_folder_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    estimator = Estimator(model_fn)
    assert f"Using temporary folder as model directory: {estimator.model_dir}" in caplog.text
    assert os.path.isdir(estimator.model_dir)


def test_model_dir_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(NotADirectoryError, match="model_dir must be a folder, but it is a file"):
        Estimator(model_fn, file)
    with pytest.raises(NotADirectoryError, match=f"but {file} is a file: {file / 'below'}"):
        Estimator(model_fn, file / "below")
    late = Estimator(model_fn, tmp_path / "late")
    (tmp_path / "late").write_text("mine")
    with pytest.raises(NotADirectoryError, match="it is a file"):
        late.train(batches)
    assert file.read_text() == "mine" and (tmp_path / "late").read_text() == "mine"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_folder_without_write_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="model_dir cannot be written"):
        Estimator(model_fn, tmp_path).train(batches)


def test_unwritable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As the test above for those who run as root: the system refuses, whoever asks.
    estimator = Estimator(model_fn, tmp_path).train(batches)
    before = sorted(os.listdir(tmp_path))

    def refuse(*arguments: Any, **keywords: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)

    def never() -> Any:
        raise AssertionError("the input function was called")

    with pytest.raises(PermissionError, match=r"model_dir cannot be written \(Permission denied\)"):
        estimator.train(never)
    assert sorted(os.listdir(tmp_path)) == before
    assert estimator.evaluate(batches)["rows"] == 15


def test_model_fn_arguments(tmp_path: Path) -> None:
    def unknown(features: Any, rate: float) -> Any:
        return None

    def defaulted(features: Any, mode: str, rate: float = 2.0) -> Any:
        assert rate == 2.0
        return model_fn(features, mode)

    with pytest.raises(ValueError, match="not expected args: rate; it may take features, labels"):
        Estimator(unknown, tmp_path)
    with pytest.raises(ValueError, match="must include features argument"):
        Estimator(lambda mode: None, tmp_path)
    with pytest.raises(TypeError, match="model_fn must be a function, not None"):
        Estimator(None, tmp_path)
    Estimator(defaulted, tmp_path).train(batches)
    Estimator(lambda **given: model_fn(given["features"], given["mode"]), tmp_path).train(batches)


def test_params_are_copied(tmp_path: Path) -> None:
    params = {"list": [1]}
    estimator = Estimator(model_fn, tmp_path, params=params)
    params["list"].append(2)
    estimator.params["list"].append(3)
    assert estimator.params == {"list": [1]}
    assert Estimator(model_fn, tmp_path).params == {}
