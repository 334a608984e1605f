"""centroids verify: each file of a model folder is found whole or damaged, and none is changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from centroids import KMeansClustering, RunConfig
from centroids.checkpoints import checkpoint, verification
from centroids.checkpoints._listing import Entry
from centroids.cli.settings import Settings, write_settings
from centroids.cli.verification import verify
from centroids.estimator import (
    Condition,
    Estimator,
    Saver,
    verify_model_dir,
)
from centroids.inputs import numpy_input_fn
from tests.crash.compare import content_of
from tests.estimator.online_mean import batches, model_fn

POINTS = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
OF_TENSORFLOW = Path(__file__).parents[1] / "export" / "data" / "mini_batch"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "model"
    model = KMeansClustering(3, str(folder), config=RunConfig(save_checkpoints_steps=2))
    input_fn = numpy_input_fn(POINTS, batch_size=10, num_epochs=2, shuffle=True, seed=1)
    model.train(input_fn, steps=5)
    (folder / "columns.json").write_text('{"columns": ["a", "b"]}')
    model.evaluate(input_fn)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "model"))


def bad(folder: Path) -> dict[str, str]:
    return {one.name: one.condition for one in verify_model_dir(str(folder)) if not one.is_good}


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_a_whole_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(OF_TENSORFLOW, folder, dirs_exist_ok=True, ignore=lambda *_: ["checkpoint"])
    before = contents(folder)
    assert verify(folder)
    told = capsys.readouterr().out
    assert contents(folder) == before
    for line in (
        "whole     checkpoint ",
        "step 5, 7 variables, in pass 2 over its numpy input",
        "of TensorFlow, ",
        "whole     columns.json ",
        "All 9 files are good.",
    ):
        assert line in told
    assert told.count("tfevents") == 2


def test_one_bit_in_any_file_is_found(folder: Path) -> None:
    shutil.copytree(OF_TENSORFLOW, folder, dirs_exist_ok=True, ignore=lambda *_: ["checkpoint"])
    random = np.random.default_rng(5)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path.suffix in (".npz", ".tsv", ".json", ".pbtxt"):
            continue  # no checksums
        content = path.read_bytes()
        for place in random.integers(len(content), size=8):
            changed = bytearray(content)
            changed[place] ^= 1 << random.integers(8)
            if path.suffix == ".safetensors" and content_of(bytes(changed)) == content_of(content):
                continue  # of the checksum of the bytes itself; what was saved is there
            path.write_bytes(changed)
            name = str(path.relative_to(folder))
            if "data-00000" in name:
                name = name.split(".data")[0] + ".index"
            found = verify_model_dir(str(folder))
            assert [one.name for one in found if one.condition is not Condition.WHOLE] == [name]
        path.write_bytes(content)


def test_what_is_missing_or_cut_off(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "model.ckpt-2.safetensors").unlink()
    assert bad(folder) == {"model.ckpt-2.safetensors": "missing"}
    # A killed training leaves a part of a record: TensorBoard shows those before it.
    (events,) = folder.glob("events*")
    events.write_bytes(events.read_bytes()[:-5])
    conditions = {one.name: one.condition for one in verify_model_dir(str(folder))}
    assert conditions[events.name] == "cut off"
    assert not verify(folder)
    assert "1 of 8 files are not: model.ckpt-2" in capsys.readouterr().out
    (folder / "model.ckpt-4.safetensors").write_bytes(b"")
    (folder / "columns.json").write_text("[")
    (folder / "checkpoint").unlink()
    (folder / "checkpoint").symlink_to("elsewhere")
    assert not verify(folder)
    told = capsys.readouterr().out
    assert "The newest whole checkpoint is that of step 5." in told
    assert told.count("damaged  ") == 3


def test_a_run_killed_between_its_two_writes_is_not_damage(folder: Path) -> None:
    listed = (folder / "checkpoint").read_bytes()
    model = KMeansClustering(
        3, str(folder), config=RunConfig(save_checkpoints_steps=1, keep_checkpoint_max=1)
    )
    model.train(numpy_input_fn(POINTS, num_epochs=1, shuffle=False), steps=1, restart_input=True)
    (folder / "checkpoint").write_bytes(listed)
    os.utime(folder / "checkpoint", (1, 1))
    assert [path.name for path in folder.glob("*.safetensors")] == ["model.ckpt-6.safetensors"]
    assert bad(folder) == {}


def test_a_checkpoint_that_a_run_deletes_meanwhile_is_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver = Saver(str(tmp_path), "model.ckpt", keep_checkpoint_max=1)
    saver.save(checkpoint.Checkpoint({"global_step": np.array(1)}))
    read, steps = verification.read_entry, iter([2, 3])

    def after_the_next_save(model_dir: str, entry: Entry) -> checkpoint.Checkpoint:
        for step in steps:
            saver.save(checkpoint.Checkpoint({"global_step": np.array(step)}))
            break
        return read(model_dir, entry)

    monkeypatch.setattr(verification, "read_entry", after_the_next_save)
    found = verify_model_dir(str(tmp_path))
    assert [(one.name, one.step) for one in found] == [
        ("checkpoint", None),
        ("model.ckpt-3.safetensors", 3),
    ]
    assert all(one.condition is Condition.WHOLE for one in found)


def test_newer_formats_and_other_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Estimator(model_fn, tmp_path / "other").train(batches)
    assert verify(tmp_path / "other")
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 9)
    Estimator(model_fn, tmp_path / "newer").train(batches)
    monkeypatch.undo()
    assert not verify(tmp_path / "newer")
    assert "A newer version of centroids can read" in capsys.readouterr().out


def test_values_that_no_model_has_are_found(folder: Path) -> None:
    whole = checkpoint.deserialize((folder / "model.ckpt-5.safetensors").read_bytes(), "")
    for name, value in (
        ("clusters", np.full((3, 2), np.nan)),
        ("clusters", np.zeros(3)),
        ("clusters", np.zeros((4, 2))),
        ("cluster_counts", np.zeros(2, np.int64)),
    ):
        changed = checkpoint.Checkpoint({**whole.variables, name: value}, dict(whole.identity))
        (folder / "model.ckpt-5.safetensors").write_bytes(checkpoint.serialize(changed))
        assert not verify(folder), (name, value)
        assert bad(folder) == {}  # it is whole, but no model of ours
    for parts in (
        {"random_state": {"bit_generator": "MT1"}},
        {"input_position": {"source": "numpy", "epoch": -1}},
        {"input_position": {"source": "numpy", "epoch": "first"}},
    ):
        changed = checkpoint.Checkpoint(whole.variables, **parts)
        (folder / "model.ckpt-5.safetensors").write_bytes(checkpoint.serialize(changed))
        assert bad(folder) == {"model.ckpt-5.safetensors": "damaged"}


def test_exit_codes(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "model.ckpt-1.safetensors").write_bytes(b"x")
    for place, code in ((folder, 0), ("damaged", 1), ("empty", 2), ("nowhere", 2)):
        command = [sys.executable, "-m", "centroids", "verify", str(place)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == code and "Traceback" not in done.stderr, done.stderr


def test_settings_are_verified(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_settings(folder, Settings(use_mini_batch=True, columns=("x", "y")))
    assert verify(folder)
    told = capsys.readouterr().out
    assert "whole     settings.json " in told and "x,y" in told and "columns.json" not in told
    (folder / "settings.json").write_text('{"version": 99}')
    assert not verify(folder)
    assert "newer" in capsys.readouterr().out
    (folder / "settings.json").write_text("{")
    assert not verify(folder)
    assert "damaged   settings.json" in capsys.readouterr().out


def test_one_file_and_columns_are_told_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "settings.json").write_text('{"version": 1, "columns": ["age", "income"]}')
    assert verify(tmp_path)
    assert capsys.readouterr().out == (
        "whole     settings.json  columns age,income\nThis file is good.\n"
    )


def test_an_evaluation_with_a_slash_in_its_name_is_verified(folder: Path) -> None:
    KMeansClustering(3, str(folder)).evaluate(
        numpy_input_fn(POINTS, batch_size=10, num_epochs=1, shuffle=False), name="a/b"
    )
    (events,) = (folder / "eval_a" / "b").iterdir()
    data = bytearray(events.read_bytes())
    data[30] ^= 1
    events.write_bytes(data)
    assert bad(folder) == {str(events.relative_to(folder)): "damaged"}
