"""Whatever lies in a model folder: nothing outside it changes, and nothing of others in it."""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centroids import KMeansClustering, RunConfig
from centroids.cli.points import read_columns
from centroids.estimator import load_latest, verify_model_dir
from centroids.export import build_raw_serving_input_receiver_fn
from centroids.inputs import limit_epochs
from tests.fuzz.damage import SLOW

POINTS = np.arange(16, dtype=np.float32).reshape(8, 2)
# Names that programs of this package write or read in a folder, and such as only look like them.
OURS = [
    "checkpoint",
    "checkpoint.damaged",
    "checkpoint.tensorflow",
    "columns.json",
    "training.lock",
    "eval",
    "model.ckpt-0.safetensors",
    "model.ckpt-1.safetensors",
    "model.ckpt-7.safetensors",
    "projector",
    "projector_config.pbtxt",
    "settings.json",
]
OTHERS = [
    "checkpoint.txt",
    "embeddings-5.safetensors",
    "events.out.tfevents.1.others",
    "model.ckpt-7.index",
    "model.ckpt-7.data-00000-of-00001",
    "notes.12-3.temporary",
    "temp-" + "0" * 8,
]
KINDS = ["bytes", "text", "link", "dangling link", "circle", "folder", "pipe", "tebibyte", "zeros"]
THINGS = st.dictionaries(
    st.sampled_from([*OURS, *OTHERS]),
    st.tuples(st.sampled_from(KINDS), st.binary(max_size=60)),
    max_size=4,
)


def put(path: Path, kind: str, content: bytes, outside: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    target = outside / path.name
    target.write_bytes(b"precious " + content)
    if kind == "bytes":
        path.write_bytes(content)
    elif kind == "text":
        path.write_text('model_checkpoint_path: "model.ckpt-7"\n')
    elif kind == "link":
        path.symlink_to(target)
    elif kind == "dangling link":
        path.symlink_to(outside / "nothing" / path.name)
    elif kind == "circle":
        path.symlink_to(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "zeros":
        path.symlink_to("/dev/zero")
    else:
        with open(path, "wb") as file:
            file.truncate(1 << 40)


def state_of(path: Path) -> tuple[Any, ...]:
    status = os.lstat(path)
    return path.name, status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns


def check(folder: Path, things: dict[str, tuple[str, bytes]], trained: bool) -> None:
    for place in folder.iterdir():
        shutil.rmtree(place)
    model_dir, outside = folder / "model", folder / "outside"
    model_dir.mkdir()
    outside.mkdir()
    config = RunConfig(save_checkpoints_steps=1, keep_checkpoint_max=1, save_summary_steps=50)
    model = KMeansClustering(2, str(model_dir), config=config)

    def input_fn() -> Any:
        return limit_epochs(POINTS, num_epochs=1)

    if trained:
        model.train(input_fn)
    for name, (kind, content) in things.items():
        put(model_dir / name, kind, content, outside)
    before = {path: state_of(path) for path in outside.iterdir()}
    others = {model_dir / name: state_of(model_dir / name) for name in things if name in OTHERS}
    receiver = build_raw_serving_input_receiver_fn({"x": POINTS})
    for use in (
        lambda: load_latest(str(model_dir)),
        lambda: verify_model_dir(str(model_dir)),
        lambda: read_columns(model_dir),
        lambda: model.train(input_fn),
        lambda: model.evaluate(input_fn),
        lambda: list(model.predict(input_fn)),
        lambda: model.export_savedmodel(model_dir, receiver),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                use()
            except (ValueError, OSError) as error:
                assert str(error)
    assert {path: state_of(path) for path in outside.iterdir()} == before
    assert {path: state_of(path) for path in others} == others


@pytest.fixture(autouse=True)
def quiet() -> Any:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@settings(max_examples=40)
@given(things=THINGS, trained=st.booleans())
def test_any_folder(tmp_path: Path, things: dict[str, tuple[str, bytes]], trained: bool) -> None:
    check(tmp_path, things, trained)


@pytest.mark.slow
@settings(max_examples=SLOW // 10)
@given(things=THINGS, trained=st.booleans())
def test_many_folders(tmp_path: Path, things: dict[str, tuple[str, bytes]], trained: bool) -> None:
    check(tmp_path, things, trained)
