"""Checkpoints: round trip, damage, retention, atomic writes.

Over 400 lines: the promises of one class, Saver, and of what it reads.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from centroids import KMeansClustering
from centroids.checkpoints import checkpoint
from centroids.checkpoints import folder as checkpoint_folder
from centroids.estimator import (
    Checkpoint,
    DamagedCheckpointError,
    Estimator,
    NewerCheckpointError,
    RunConfig,
    Saver,
    latest_checkpoint,
    load_latest,
    read_checkpoint,
)
from tests.crash.compare import content_of
from tests.estimator.online_mean import batches, model_fn

DTYPES = ["float16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool", ">f8", ">i4"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


def state(step: int, value: float = 0.0) -> Checkpoint:
    return Checkpoint({"global_step": np.array(step, np.int64), "x": np.full(3, value)})


def save_all(folder: Path | str, steps: Any, **config: Any) -> Saver:
    saver = Saver(str(folder), "model.ckpt", **config)
    for step in steps:
        saver.save(state(step, float(step)))
    return saver


@settings(max_examples=60, deadline=None)
@given(
    values=st.dictionaries(
        st.text(min_size=1, max_size=6).filter(lambda t: t not in ("global_step", "__metadata__")),
        st.sampled_from(DTYPES).flatmap(
            lambda dtype: arrays.arrays(
                dtype, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
            )
        ),
        max_size=4,
    ),
    step=st.integers(0, 2**62),
    identity=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    position=st.none() | st.dictionaries(st.text(max_size=5), JSON, max_size=3),
    params=JSON,
)
def test_round_trip(values: Any, step: int, identity: Any, position: Any, params: Any) -> None:
    variables = {**values, "global_step": np.array(step, np.int64)}
    given_state = Checkpoint(variables, identity, params, position)
    data = checkpoint.serialize(given_state)
    assert data == checkpoint.serialize(given_state)
    back = checkpoint.deserialize(data, "here")
    assert back.global_step == step and back.identity == identity and back.path == "here"
    assert back.input_position == position and back.params == params
    assert set(back.variables) == set(variables)
    for name, value in variables.items():
        restored = back.variables[name]
        assert restored.shape == value.shape and restored.flags.writeable
        assert restored.dtype == value.dtype.newbyteorder("=")
        assert restored.tobytes() == value.astype(restored.dtype).tobytes()


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_damage_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    folder = tmp_path_factory.mktemp("damage")
    save_all(folder, [1, 2])
    path = folder / "model.ckpt-2.safetensors"
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), "cut"):
        content = content[: data.draw(st.integers(0, len(content) - 1), "length")]
    else:
        position = data.draw(st.integers(0, len(content) - 1), "position")
        content[position] ^= data.draw(st.integers(1, 255), "bits")
    saved = content_of(path.read_bytes())
    path.write_bytes(content)
    assume(content_of(bytes(content)) != saved)  # a space, or the checksum of the bytes itself
    found = load_latest(str(folder))
    assert found is not None and found.global_step == 1
    with pytest.raises(DamagedCheckpointError, match="ckpt-2"):
        read_checkpoint(path)


def written_anew(data: bytes) -> Iterator[bytes]:
    """The content of a checkpoint file, as other programs may write it."""
    size = int.from_bytes(data[:8], "little")
    header, arrays = json.loads(data[8 : 8 + size]), data[8 + size :]
    for changed in (data[8 : 8 + size] + b" ", json.dumps(header, indent=1).encode()):
        yield len(changed).to_bytes(8, "little") + changed + arrays
    del header["__metadata__"]["format"]
    yield save(load(data), header["__metadata__"])


def test_what_counts_is_the_content(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_all(tmp_path, [1, 2])
    path = tmp_path / "model.ckpt-2.safetensors"
    data = path.read_bytes()
    for anew in written_anew(data):
        assert anew != data
        path.write_bytes(anew)
        found = load_latest(str(tmp_path))
        assert found is not None and found.global_step == 2 and caplog.text == ""
        assert found.variables["x"].tolist() == [2.0] * 3
        # One bit of a value, one letter of a name, one type, one word of JSON.
        flipped = anew[:-1] + bytes([anew[-1] ^ 1])
        for other in (
            flipped,
            anew.replace(b'"x"', b'"y"'),
            anew.replace(b'"F64"', b'"I64"'),
            anew.replace(b"identity", b"identitY"),
        ):
            assert other != anew
            path.write_bytes(other)
            assert latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-1.safetensors")
        caplog.clear()


def test_a_newer_format_that_was_written_anew_is_not_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT_VERSION", 3)
        data = checkpoint.serialize(state(1))
    for anew in written_anew(data):
        with pytest.raises(NewerCheckpointError):
            checkpoint.deserialize(anew, "file")


def test_the_first_format_would_call_it_newer() -> None:
    """What it looks at: a checksum that comes first, of all bytes with zeros in its place."""
    data = checkpoint.serialize(state(1))
    size = int.from_bytes(data[:8], "little")
    metadata = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["centroids"])
    seal = metadata["sha256"].encode()
    assert data[8:].startswith(b'{"__metadata__":{"centroids":"{\\"sha256\\": \\"' + seal)
    unsealed = data.replace(seal, b"0" * 64, 1)
    assert hashlib.sha256(unsealed).hexdigest().encode() == seal
    assert metadata["format_version"] > 1


def test_equal_arrays_are_stored_once(tmp_path: Path) -> None:
    centers = np.random.default_rng(0).normal(size=(100, 20))
    one_bit = centers.copy()
    one_bit[0, 0] = np.nextafter(one_bit[0, 0], 9)
    arrays = {"a": centers, "b": centers.copy(), "c": one_bit, "d": centers.astype(np.float32)}
    data = checkpoint.serialize(Checkpoint({**arrays, "global_step": np.array(1)}))
    assert data == checkpoint.serialize(
        Checkpoint({**arrays, "b": centers, "global_step": np.array(1)})
    )
    assert len(data) < 2.5 * centers.nbytes + 4000
    back = checkpoint.deserialize(data, "file").variables
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype and back[name].tobytes() == array.tobytes()
    back["a"][0] = 7  # a model may change its arrays in place
    np.testing.assert_array_equal(back["b"], centers)


def test_a_small_file_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {f"slot_{number:02}": np.zeros(1000) for number in range(40)}
    whole = Checkpoint({**variables, "global_step": np.array(1)})
    data = checkpoint.serialize(whole)
    assert 3 * 8000 < len(data) < 4 * 8000  # each array that is stored stands for 16 others
    assert checkpoint.deserialize(data, "file").variables.keys() == whole.variables.keys()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_MOST_REPEATS", 1000)
        hostile = checkpoint.serialize(whole)
    with pytest.raises(DamagedCheckpointError, match="stands for more than 16 others"):
        checkpoint.deserialize(hostile, "file")


@pytest.mark.parametrize("steps", [1, 3])
def test_centers_are_stored_once_outside_of_the_multi_step_mode(tmp_path: Path, steps: int) -> None:
    points = np.random.default_rng(0).normal(size=(400, 64)).astype(np.float32)
    model = KMeansClustering(200, str(tmp_path), mini_batch_steps_per_iteration=steps)
    model.train(lambda: points, steps=2)
    size = os.path.getsize(tmp_path / "model.ckpt-2.safetensors")
    stored = (size - 200 * 8) / (200 * 64 * 4)
    assert stored == pytest.approx(1 if steps == 1 else 2, abs=0.1)
    clusters, updated = model.get_variable_value(["clusters", "clusters_updated"])
    assert np.array_equal(clusters, updated) == (steps == 1)


def test_equal_bytes_in_every_process() -> None:
    code = (
        "import hashlib, numpy as np; from centroids.checkpoints import checkpoint;"
        "v = {'b': np.zeros(3), 'a': np.ones(2), 'global_step': np.array(4)};"
        "state = checkpoint.Checkpoint(v, {'k': 'v', 'l': 'w'}, {'x': 1, 'y': 2});"
        "data = checkpoint.serialize(state);"
        "print(hashlib.sha256(data).hexdigest())"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path}
    digests = {
        subprocess.check_output(
            [sys.executable, "-c", code], env={**environment, "PYTHONHASHSEED": str(seed)}
        )
        for seed in range(3)
    }
    assert len(digests) == 1


def test_damaged_newest_is_skipped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    estimator = Estimator(model_fn, tmp_path, RunConfig(save_checkpoints_steps=1)).train(batches)
    newest = tmp_path / "model.ckpt-5.safetensors"
    newest.write_bytes(newest.read_bytes()[:40])
    assert estimator.latest_checkpoint() == str(tmp_path / "model.ckpt-4.safetensors")
    assert f"Skipping the damaged checkpoint {newest}" in caplog.text
    (tmp_path / "model.ckpt-4.safetensors").unlink()
    assert int(estimator.get_variable_value("global_step")) == 3
    # Training goes on from there, and its files take the place of the damaged ones.
    estimator.train(lambda: batches(2))
    caplog.clear()
    assert int(estimator.get_variable_value("global_step")) == 5
    assert caplog.text == ""


def test_all_damaged_is_an_error_and_nothing_is_overwritten(tmp_path: Path) -> None:
    estimator = Estimator(model_fn, tmp_path).train(batches)
    for path in tmp_path.glob("*.safetensors"):
        path.write_bytes(b"junk")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    with pytest.raises(DamagedCheckpointError, match=r"none of the 2 checkpoints.*ckpt-5"):
        estimator.train(batches)
    with pytest.raises(ValueError, match="none of the 2"):
        estimator.latest_checkpoint()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_without_or_with_a_broken_list_the_files_count(tmp_path: Path) -> None:
    save_all(tmp_path, [2, 10, 9])
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-9.safetensors")
    (tmp_path / "checkpoint").write_bytes(b"\xff\x00 rubbish")
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-10.safetensors")
    (tmp_path / "checkpoint").unlink()
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-10.safetensors")
    saver = save_all(tmp_path, [11])
    listed = (tmp_path / "checkpoint").read_text()
    assert saver.directory == str(tmp_path)
    assert [f"model.ckpt-{step}." in listed for step in (2, 9, 10, 11)] == [True] * 4


def test_list_is_readable(tmp_path: Path) -> None:
    save_all(tmp_path, [1, 2])
    lines = (tmp_path / "checkpoint").read_text().splitlines()
    assert lines[0].startswith('model_checkpoint_path: "model.ckpt-2.safetensors"  # list sha256=')
    assert lines[1].startswith('all_model_checkpoint_paths: "model.ckpt-1.safetensors"  # time=')


@pytest.mark.parametrize(
    ("keep", "left"), [(2, [4, 5]), (1, [5]), (None, [1, 2, 3, 4, 5]), (0, [1, 2, 3, 4, 5])]
)
def test_keep_checkpoint_max(tmp_path: Path, keep: int | None, left: list[int]) -> None:
    save_all(tmp_path, [1, 2, 3, 4, 5], keep_checkpoint_max=keep)
    assert {p.name for p in tmp_path.glob("*.safetensors")} == {
        f"model.ckpt-{step}.safetensors" for step in left
    }


def test_retention_goes_on_in_a_new_process(tmp_path: Path) -> None:
    save_all(tmp_path, [1, 2, 3], keep_checkpoint_max=3)
    save_all(tmp_path, [4, 5], keep_checkpoint_max=3)
    names = sorted(p.name for p in tmp_path.glob("*.safetensors"))
    assert names == [f"model.ckpt-{step}.safetensors" for step in (3, 4, 5)]


def test_keep_checkpoint_every_n_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    config: Any = dict(keep_checkpoint_max=1, keep_checkpoint_every_n_hours=1)
    saver = Saver(str(tmp_path), "model.ckpt", **config)
    for step in range(1, 8):
        now[0] += 1500
        saver.save(state(step))
    # Saved at 2500, 4000, ... 11500 s: the first after 4600, 8200 and 11800 s are kept for good.
    names = sorted(p.name for p in tmp_path.glob("*.safetensors"))
    assert names == [f"model.ckpt-{step}.safetensors" for step in (3, 5, 7)]
    again = Saver(str(tmp_path), "model.ckpt", **config)
    again.save(state(8))
    assert (tmp_path / "model.ckpt-3.safetensors").exists()
    assert not (tmp_path / "model.ckpt-7.safetensors").exists()


@pytest.mark.parametrize("fail_at", range(6))
def test_a_crash_at_any_call_leaves_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_at: int
) -> None:
    saver = save_all(tmp_path, [1, 2], keep_checkpoint_max=2)
    calls = [0]

    def failing(function: Any) -> Any:
        def wrapped(*arguments: Any) -> Any:
            calls[0] += 1
            if calls[0] > fail_at:
                raise OSError("the disk is gone")
            return function(*arguments)

        return wrapped

    with monkeypatch.context() as patch:
        for name in ("fsync", "replace"):
            patch.setattr(os, name, failing(getattr(os, name)))
        with pytest.raises(OSError, match="the disk is gone"):
            saver.save(state(3, 3.0))
    found = load_latest(str(tmp_path))
    assert found is not None and found.global_step == (2 if fail_at < 2 else 3)
    np.testing.assert_array_equal(found.variables["x"], np.full(3, float(found.global_step)))
    assert not list(tmp_path.glob("*.temporary"))


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match=r"No space left on device: '.*model\.ckpt-0\.safetensors'"):
        Estimator(model_fn, tmp_path).train(batches)
    assert not list(tmp_path.glob("*.temporary"))


def test_order_of_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saver = save_all(tmp_path, [1], keep_checkpoint_max=1)
    calls: list[str] = []
    for name in ("fsync", "replace", "remove"):
        real = getattr(os, name)

        def noted(*arguments: Any, name: str = name, real: Any = real) -> Any:
            calls.append(name)
            return real(*arguments)

        monkeypatch.setattr(os, name, noted)
    saver.save(state(2))
    assert calls == ["fsync", "replace", "fsync", "remove", "fsync", "replace", "fsync"]


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    names = ("model.ckpt-7.safetensors.12-3.temporary", "checkpoint.12-3.temporary")
    for name in names:
        (tmp_path / name).write_bytes(b"half")
    other = tmp_path / "notes.temporary"
    other.write_text("mine")
    save_all(tmp_path, [1])
    assert other.exists() and not any((tmp_path / name).exists() for name in names)


def test_a_checkpoint_newer_than_the_list_counts(tmp_path: Path) -> None:
    """A run that is killed between its two writes has saved what it had."""
    save_all(tmp_path, [1, 2])
    listed = (tmp_path / "checkpoint").read_bytes()
    save_all(tmp_path, [3])
    (tmp_path / "checkpoint").write_bytes(listed)
    os.utime(tmp_path / "checkpoint", (1, 1))
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-3.safetensors")
    # Who goes back to an earlier list, or writes one by hand without checksums, is obeyed.
    os.utime(tmp_path / "checkpoint")
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-2.safetensors")
    names = ("model_checkpoint_path", "all_model_checkpoint_paths")
    by_hand = "".join(f'{name}: "model.ckpt-1.safetensors"\n' for name in names)
    (tmp_path / "checkpoint").write_text(by_hand)
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-1.safetensors")


def test_damage_is_noticed_without_the_list(tmp_path: Path) -> None:
    save_all(tmp_path, [1, 2])
    (tmp_path / "checkpoint").unlink()
    newest = tmp_path / "model.ckpt-2.safetensors"
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    with pytest.raises(DamagedCheckpointError, match="differs from the checksums that it carries"):
        read_checkpoint(newest)
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-1.safetensors")


def test_a_file_that_a_run_deletes_meanwhile_is_not_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    saver = save_all(tmp_path, [1], keep_checkpoint_max=1)
    steps = iter([2, 3])
    read = checkpoint_folder._read

    def after_the_next_save(path: str, *rest: Any) -> Checkpoint:
        for step in steps:
            saver.save(state(step))
            break
        return read(path, *rest)

    monkeypatch.setattr(checkpoint_folder, "_read", after_the_next_save)
    found = load_latest(str(tmp_path))
    assert found is not None and found.global_step == 3 and caplog.text == ""


def test_unsavable_variable_names_the_types(tmp_path: Path) -> None:
    saver = Saver(str(tmp_path), "model.ckpt")
    with pytest.raises(TypeError, match=r"a variable cannot be saved .*x: <U1"):
        saver.save(Checkpoint({"global_step": np.array(1), "x": np.array(["a"])}))
    assert list(tmp_path.iterdir()) == []


def test_foreign_safetensors_file(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "model.ckpt-1.safetensors"
    save_file({"a": np.zeros(2)}, path)
    with pytest.raises(DamagedCheckpointError, match="is not a whole checkpoint"):
        read_checkpoint(path)


def test_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 3)
    data = checkpoint.serialize(state(1))
    monkeypatch.undo()
    # It is whole: who took it for damage would go on from an older one and write over it.
    with pytest.raises(NewerCheckpointError, match=r"format version 3.*reads formats up to 2"):
        checkpoint.deserialize(data, "file")


def test_relative_model_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    estimator = Estimator(model_fn, "here").train(batches)
    assert estimator.latest_checkpoint() == str(tmp_path / "here" / "model.ckpt-5.safetensors")
    saved = read_checkpoint("here/model.ckpt-5")
    assert saved.identity == {"model": "online mean"}
    monkeypatch.chdir(tmp_path / "here")
    assert read_checkpoint("model.ckpt-5").global_step == 5


def test_nothing_is_logged_as_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    Estimator(model_fn, tmp_path).train(batches).train(batches)
    assert caplog.text == ""


def test_hugging_face_reads_a_checkpoint(tmp_path: Path) -> None:
    from safetensors import safe_open

    for count in range(1, 12):  # all alignments of what comes before the arrays
        arrays = {f"v{'x' * count}": np.arange(count, dtype=np.int8), "global_step": np.array(3)}
        saved = Checkpoint(arrays, identity={"model": 'a "quoted" \u00e9'})
        data = checkpoint.serialize(saved)
        assert data == checkpoint.serialize(saved)
        file = tmp_path / "model.safetensors"
        file.write_bytes(data)
        with safe_open(file, "np") as opened:
            assert opened.metadata()["format"] == "pt"
            assert set(opened.metadata()) == {"format", "centroids"}
            np.testing.assert_array_equal(opened.get_tensor(f"v{'x' * count}"), np.arange(count))
        assert int.from_bytes(data[:8], "little") % 8 == 0
        assert checkpoint.deserialize(data, str(file)).identity == saved.identity
