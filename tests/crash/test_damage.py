"""Damaged files: the newest whole checkpoint is used, and a warning names what was skipped."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centroids import KMeansClustering, RunConfig
from centroids.estimator import DamagedCheckpointError, load_latest
from centroids.inputs import numpy_input_fn
from tests.crash.compare import content_of, differences

LIST = "checkpoint"
STEPS = (2, 4, 6)
POINTS = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
FILES = (*(f"model.ckpt-{step}.safetensors" for step in STEPS), LIST)


def model(model_dir: Path) -> KMeansClustering:
    config = RunConfig(save_checkpoints_steps=2, keep_checkpoint_max=3, save_summary_steps=None)
    return KMeansClustering(3, str(model_dir), config=config)


input_fn = numpy_input_fn(POINTS, batch_size=10, num_epochs=3, shuffle=True, seed=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a trained model, by name."""
    folder = tmp_path_factory.mktemp("trained")
    # The list of checkpoints has the time: without it, equal seeds damage equal bytes.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: 1.7e9)
        model(folder).train(input_fn, max_steps=6)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(FILES) <= set(files)
    return files


def write(folder: Path, files: dict[str, bytes | None]) -> None:
    """Makes a folder hold these files, but for those that are None."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        if content is not None:
            (folder / name).write_bytes(content)


def damages(content: bytes) -> st.SearchStrategy[bytes | None]:
    """What may become of a file: cut, bits flipped, zeros as after a power failure, gone."""
    places = st.integers(0, len(content) - 1)
    return st.one_of(
        st.none(),
        st.just(b""),
        places.map(lambda length: content[:length]),
        st.tuples(places, st.integers(1, 255)).map(lambda flip: flipped(content, *flip)),
        places.map(lambda start: content[:start] + bytes(len(content) - start)),
        st.binary(min_size=1, max_size=40).map(lambda rest: content + rest),
        st.binary(max_size=200),
    )


def flipped(content: bytes, place: int, bits: int) -> bytes:
    return content[:place] + bytes([content[place] ^ bits]) + content[place + 1 :]


def newest_whole(trained: dict[str, bytes], files: dict[str, bytes | None]) -> int | None:
    """Whole is what holds what was saved, also where a change of its header says the same."""
    contents = [(content_of(files[name]), content_of(trained[name])) for name in FILES[:-1]]
    whole = [step for step, (a, b) in zip(STEPS, contents, strict=True) if a == b]
    return max(whole, default=None)


@settings(max_examples=150)
@given(data=st.data())
def test_the_newest_whole_checkpoint_is_used(
    tmp_path: Path,
    trained: dict[str, bytes],
    caplog: pytest.LogCaptureFixture,
    data: st.DataObject,
) -> None:
    files: dict[str, bytes | None] = dict(trained)
    for name in sorted(data.draw(st.sets(st.sampled_from(FILES), min_size=1), "damaged")):
        files[name] = data.draw(damages(trained[name]), name)
    folder = tmp_path / "model"
    write(folder, files)
    expected = newest_whole(trained, files)
    caplog.clear()
    if expected is None:
        try:
            assert load_latest(str(folder)) is None
        except DamagedCheckpointError as error:
            assert str(folder) in str(error)
        else:
            # Only where nothing is left that tells of a checkpoint.
            assert all(files[name] is None for name in FILES[:-1])
            assert files[LIST] != trained[LIST]
        return
    found = load_latest(str(folder))
    assert found is not None and found.global_step == expected
    for name in FILES:
        content = files[name]
        skipped = name == LIST or int(name.split("-")[1].split(".")[0]) > expected
        if skipped and content is not None and content != trained[name]:
            assert str(folder / name) in caplog.text, f"no warning names {name}"
    for step, name in zip(STEPS, FILES, strict=False):
        if step > expected and files[name] is None and files[LIST] == trained[LIST]:
            assert str(folder / name) in caplog.text, f"no warning names {name}, which is missing"


def test_every_byte_counts(
    tmp_path: Path, trained: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """One bit is flipped in each byte of the newest checkpoint, then in each of the list."""
    folder, newest = tmp_path / "model", FILES[2]
    write(folder, dict(trained))
    whole, unnoticed = content_of(trained[newest]), list[int]()
    for name, expected in ((newest, 4), (LIST, 6)):
        content = trained[name]
        for place in range(len(content)):
            (folder / name).write_bytes(flipped(content, place, 1 << place % 8))
            caplog.clear()
            found = load_latest(str(folder))
            assert found is not None
            if name == newest and content_of((folder / name).read_bytes()) == whole:
                # Most of a digit of the checksum of the bytes, or a space: what was saved is there.
                assert found.global_step == 6
                unnoticed.append(place)
                continue
            assert found.global_step == expected, (name, place)
            assert str(folder / name) in caplog.text, (name, place)
        (folder / name).write_bytes(content)
    # The 64 digits of the checksum of the bytes, and `pt`, which readers of safetensors ask for.
    header = int.from_bytes(trained[newest][:8], "little")
    assert len(unnoticed) <= 64 + len('"format":"pt"') and max(unnoticed) < 8 + header


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "gone", "a folder"])
def test_training_goes_on_from_what_is_whole(
    tmp_path: Path, trained: dict[str, bytes], name: str, damage: str
) -> None:
    whole, damaged = tmp_path / "whole", tmp_path / "damaged"
    model(whole).train(input_fn)
    content = trained[name]
    changed = {"empty": b"", "cut": content[:50], "flipped": flipped(content, 20, 4)}.get(damage)
    write(damaged, trained | {name: changed})
    if damage == "a folder":
        (damaged / name).mkdir()
    if damage == "a folder" and name in FILES[2:]:
        # What is in the way cannot be written over: an error, and the rest stays usable.
        with pytest.raises(OSError):
            model(damaged).train(input_fn)
        (damaged / name).rmdir()
    model(damaged).train(input_fn)
    left, right = load_latest(str(damaged)), load_latest(str(whole))
    assert left is not None and right is not None
    assert differences(left, right) == []


def test_if_none_is_whole_nothing_is_written_over(
    tmp_path: Path, trained: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    files = {name: content[: len(content) // 2] for name, content in trained.items()}
    write(tmp_path / "model", files | {LIST: trained[LIST]})
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    estimator = model(tmp_path / "model")
    for use in (
        lambda: estimator.train(input_fn),
        lambda: estimator.evaluate(input_fn),
        lambda: list(estimator.predict(input_fn)),
        lambda: estimator.get_variable_value("clusters"),
    ):
        with pytest.raises(DamagedCheckpointError, match=r"none of the 3 checkpoints.*ckpt-6"):
            use()
    after = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    assert {name: after[name] for name in before} == before


def test_inference_uses_what_is_whole(
    tmp_path: Path, trained: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "model"
    write(folder, trained | {FILES[2]: trained[FILES[2]][:-1]})
    caplog.set_level(logging.WARNING)
    assert model(folder).evaluate(input_fn)["global_step"] == 4
    assert len(list(model(folder).predict_cluster_index(input_fn))) == 120
    assert str(folder / FILES[2]) in caplog.text
