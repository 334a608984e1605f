"""Files of any size, without an end, in circles: they are passed over, or an error."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from centroids.checkpoints.tensorflow import (
    open_tensorflow_checkpoint,
)
from centroids.cli.points import read_columns
from tests.crash.hostile import step_of, train

TIB = 1 << 40


def of_a_tebibyte(path: Path) -> None:
    with open(path, "ab") as file:
        try:
            file.truncate(TIB)
        except OSError:
            pytest.skip("the file system has no sparse files of this size")


def endless(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def circle(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(path)


def pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


ODD = [of_a_tebibyte, endless, circle, pipe]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["model.ckpt-3.safetensors", "checkpoint", "other-9.safetensors"])
@pytest.mark.parametrize("put", ODD)
def test_odd_files_are_passed_over(
    tmp_path: Path, put: Callable[[Path], None], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    train(tmp_path, 3)
    put(tmp_path / name)
    assert step_of(tmp_path) == (2 if "ckpt" in name else 3)
    assert (str(tmp_path / name) in caplog.text) == ("other" not in name)
    train(tmp_path, 1)
    assert step_of(tmp_path) == (3 if "ckpt" in name else 4)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("put", [of_a_tebibyte, pipe])
def test_an_index_of_tensorflow_of_any_size_is_damaged(
    tmp_path: Path, put: Callable[[Path], None]
) -> None:
    put(tmp_path / "model.ckpt-7.index")
    with pytest.raises(ValueError, match=r"model\.ckpt-7"):
        open_tensorflow_checkpoint(tmp_path / "model.ckpt-7")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("put", ODD)
def test_odd_lists_of_tensorflow_are_passed_over(
    tmp_path: Path, put: Callable[[Path], None]
) -> None:
    put(tmp_path / "checkpoint.tensorflow")
    train(tmp_path)
    assert step_of(tmp_path) == 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize("put", [*ODD, lambda path: path.write_bytes(b"\xff\xfe caf\xe9")])
def test_an_odd_projector_file_does_not_end_a_run(
    tmp_path: Path, put: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "projector_config.pbtxt")
    before = os.lstat(tmp_path / "projector_config.pbtxt")
    train(tmp_path, save_summary_steps=100)
    assert step_of(tmp_path) == 1
    assert "The projector will not show clusters" in caplog.text
    after = os.lstat(tmp_path / "projector_config.pbtxt")
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def _a_projector_file(folder: Path) -> None:
    (folder / "projector").write_text("mine")


def _a_projector_pipe(folder: Path) -> None:
    os.mkfifo(folder / "projector")


def _a_folder_of_the_name_of_the_table(folder: Path) -> None:
    (folder / "projector" / "clusters.tsv").mkdir(parents=True)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "put", [_a_projector_file, _a_projector_pipe, _a_folder_of_the_name_of_the_table]
)
def test_an_odd_projector_does_not_end_a_run(
    tmp_path: Path, put: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path)
    for _ in range(2):
        train(tmp_path, save_summary_steps=100)
    assert step_of(tmp_path) == 2
    assert "The projector will not show clusters" in caplog.text
    assert not (tmp_path / "projector_config.pbtxt").exists()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("put", ODD)
@pytest.mark.parametrize("name", ["columns.json", "settings.json"])
def test_odd_settings_are_an_error(tmp_path: Path, put: Callable[[Path], None], name: str) -> None:
    put(tmp_path / name)
    with pytest.raises(OSError, match=name.replace(".", r"\.")):
        read_columns(tmp_path)
