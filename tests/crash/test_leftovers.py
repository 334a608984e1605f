"""Leftovers of those who were killed, and file systems that cannot do all."""

from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import (
    files,
)
from centroids.export import build_raw_serving_input_receiver_fn
from centroids.export.array_files import write_npz
from tests.crash.hostile import POINTS, names, step_of, train


def test_a_run_leaves_what_others_are_writing(tmp_path: Path) -> None:
    """An export into model_dir goes on while a run begins there."""
    real, begun = os.fsync, list[Any]()

    def fsync(descriptor: int) -> None:
        if not begun:
            begun.append(names(tmp_path))
            train(tmp_path)
        real(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        files.write_atomically(str(tmp_path / "model.ckpt-8.safetensors"), b"exported")
    assert len(begun[0]) == 1
    assert (tmp_path / "model.ckpt-8.safetensors").read_bytes() == b"exported"


def test_an_export_next_to_a_run_is_whole(tmp_path: Path) -> None:
    model = train(tmp_path)
    real, begun = os.fsync, list[Any]()

    def fsync(descriptor: int) -> None:
        if not begun:
            begun.append(True)
            train(tmp_path)
        real(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        write_npz(tmp_path / "centers.npz", model.cluster_centers(), np.ones(2, int), "", 1)
    assert begun and (tmp_path / "centers.npz").exists()


def test_what_killed_exports_left_is_removed(tmp_path: Path) -> None:
    model, base = train(tmp_path / "model"), tmp_path / "exports"
    left = base / f"temp-{'3' * 32}"
    (left / "assets.extra").mkdir(parents=True)
    (left / "saved_model.pb").write_bytes(b"half")
    (base / "temp-of-mine").mkdir()
    held = base / f"temp-{'4' * 32}"
    held.mkdir()
    with files.holding(str(held)):
        receiver = build_raw_serving_input_receiver_fn({"x": POINTS})
        folder = model.export_savedmodel(base, receiver)
    assert names(base) == {os.path.basename(folder), "temp-of-mine", held.name}


def test_a_clock_set_back_gives_no_lower_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, now = train(tmp_path / "model"), [1.7e9]
    monkeypatch.setattr(time, "time", lambda: now[0])
    receiver = build_raw_serving_input_receiver_fn({"x": POINTS})
    exported = []
    for now[0] in (1.7e9, 1.6e9, 1.5e9, 1.8e9):
        exported.append(int(Path(model.export_savedmodel(tmp_path / "e", receiver)).name))
    assert exported == [1700000000, 1700000001, 1700000002, 1800000000]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_sync_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(files, "_refused_devices", set())
    train(tmp_path / "model", 3)
    assert step_of(tmp_path / "model") == 3
    assert caplog.text.count("cannot sync folders") == 1


def test_a_disk_that_fails_to_sync_a_folder_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    (tmp_path / "model").mkdir()
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output error"):
        train(tmp_path / "model")


def test_the_name_of_a_new_folder_reaches_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, real = [], os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    train(tmp_path / "a" / "b")
    assert {tmp_path.stat().st_ino, (tmp_path / "a").stat().st_ino} <= set(synced)
