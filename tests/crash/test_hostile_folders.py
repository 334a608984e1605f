"""Model folders in which others have put things: none of them is lost, nothing leads outside."""

from __future__ import annotations

import errno
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from centroids import (
    CheckpointSaverHook,
    KMeansClustering,
    NewerCheckpointError,
    ProfilerHook,
    files,
)
from centroids.checkpoints import checkpoint
from centroids.checkpoints.tensorflow import (
    find_tensorflow_checkpoint,
)
from centroids.estimator import Saver, load_latest, read_checkpoint
from centroids.export import build_raw_serving_input_receiver_fn
from centroids.inputs import limit_epochs
from tests.crash.hostile import POINTS, names, state, step_of, train

# What is not ours is not deleted, and does not stop a run


def test_files_of_other_programs_stay(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also such as are newer than our list and have higher numbers."""
    foreign = ("my-embeddings-20240101.safetensors", "lfs-pointer-7.safetensors")

    def put() -> None:
        save_file({"embedding": np.ones(3, np.float32)}, tmp_path / foreign[0])
        (tmp_path / foreign[1]).write_text("version https://git-lfs.github.com/spec/v1\n")

    put()
    (tmp_path / "table.12-34.temporary").write_text("mine")
    train(tmp_path, 2, keep_checkpoint_max=1)
    put()
    train(tmp_path, 3, keep_checkpoint_max=1)
    assert {*foreign, "table.12-34.temporary"} <= names(tmp_path)
    assert [name for name in names(tmp_path) if "ckpt" in name] == ["model.ckpt-5.safetensors"]
    assert step_of(tmp_path) == 5
    assert not [entry for entry in caplog.records if entry.levelno > logging.INFO]


def test_a_list_that_names_a_file_of_another_program_does_not_delete_it(tmp_path: Path) -> None:
    """As lists of versions did that took such files for ours."""
    save_file({"embedding": np.ones(3, np.float32)}, tmp_path / "my-embeddings-3.safetensors")
    (tmp_path / "lfs-pointer-7.safetensors").write_text("version https://git-lfs.github.com\n")
    Saver(str(tmp_path), "older").save(state(1))
    lines = ['model_checkpoint_path: "older-1.safetensors"']
    for name in ("my-embeddings-3", "lfs-pointer-7", "older-1"):
        lines.append(f'all_model_checkpoint_paths: "{name}.safetensors"  # time=1.000')
    (tmp_path / "checkpoint").write_text("\n".join([*lines, ""]))
    Saver(str(tmp_path), "model.ckpt", keep_checkpoint_max=1).save(state(2))
    assert names(tmp_path) == {
        "checkpoint",
        "lfs-pointer-7.safetensors",
        "model.ckpt-2.safetensors",
        "my-embeddings-3.safetensors",
    }


def test_leftovers_of_every_file_are_removed(tmp_path: Path) -> None:
    train(tmp_path / "model")
    left = [
        tmp_path / "model" / "model.ckpt-1.safetensors",
        tmp_path / "model" / "checkpoint",
        tmp_path / "model" / "projector_config.pbtxt",
        tmp_path / "model" / "projector" / "clusters.tsv",
    ]
    paths = [Path(f"{path}.{'a1' * 8}.temporary") for path in left]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    (tmp_path / "model" / "projector_config.pbtxt").unlink(missing_ok=True)
    train(tmp_path / "model", save_summary_steps=1)
    assert not any(path.exists() for path in paths)


@pytest.mark.parametrize("damage", ["flipped", "gone", "empty"])
def test_without_its_list_a_folder_keeps_all_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    config: Any = dict(keep_checkpoint_max=2, keep_checkpoint_every_n_hours=1)
    saver = Saver(str(tmp_path), "model.ckpt", **config)
    for step in range(1, 8):
        now[0] += 1500
        saver.save(state(step))
    kept = names(tmp_path) - {"checkpoint"}
    assert len(kept) == 4
    listed = tmp_path / "checkpoint"
    content = bytearray(listed.read_bytes())
    content[150] ^= 1
    if damage == "gone":
        listed.unlink()
    else:
        listed.write_bytes(b"" if damage == "empty" else content)
    again = Saver(str(tmp_path), "model.ckpt", **config)
    for step in range(8, 12):
        again.save(state(step))
    assert kept <= names(tmp_path)
    assert "the 4 that are there are kept until you delete them" in caplog.text
    # The new ones rotate as ever, and who looks for the reason finds the damaged list.
    assert {name for name in names(tmp_path) - kept if "ckpt" in name} == {
        f"model.ckpt-{step}.safetensors" for step in (10, 11)
    }
    assert (damage == "flipped") == (tmp_path / "checkpoint.damaged").exists() or damage == "empty"
    # The next training still knows.
    train_on = Saver(str(tmp_path), "model.ckpt", **config)
    train_on.save(state(12))
    assert kept <= names(tmp_path)


def test_a_damaged_list_that_cannot_be_put_aside_is_replaced(tmp_path: Path) -> None:
    train(tmp_path)
    (tmp_path / "checkpoint").write_bytes(b"torn")
    (tmp_path / "checkpoint.damaged").mkdir()
    train(tmp_path)
    assert (tmp_path / "checkpoint").read_bytes().startswith(b"model_checkpoint_path")
    assert step_of(tmp_path) == 2


def test_a_list_of_tensorflow_that_cannot_be_put_aside_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(source: str, target: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), source, None, target)

    content = b'model_checkpoint_path: "model.ckpt-7"\n'
    (tmp_path / "checkpoint").write_bytes(content)
    monkeypatch.setattr(files.os, "rename", rename)
    with pytest.raises(OSError, match=r"checkpoint\.tensorflow"):
        Saver(str(tmp_path), "model.ckpt").save(state(8))
    assert (tmp_path / "checkpoint").read_bytes() == content


@pytest.mark.parametrize(
    ("ending", "content"),
    [("damaged", "notes on %d\n"), ("tensorflow", 'model_checkpoint_path: "model.ckpt-%d"\n')],
)
def test_what_is_put_aside_overwrites_nothing(tmp_path: Path, ending: str, content: str) -> None:
    (tmp_path / f"checkpoint.{ending}").write_text("mine")
    for number in (1, 2):
        (tmp_path / "checkpoint").write_text(content % number)
        Saver(str(tmp_path), "model.ckpt").save(state(number))
    assert (tmp_path / f"checkpoint.{ending}").read_text() == "mine"
    assert (tmp_path / f"checkpoint.{ending}-2").read_text() == content % 1
    assert (tmp_path / f"checkpoint.{ending}-3").read_text() == content % 2


def test_of_lists_of_tensorflow_put_aside_the_last_counts(tmp_path: Path) -> None:
    for number, name in ((3, ""), (5, "-2"), (4, "-10")):
        text = f'model_checkpoint_path: "model.ckpt-{number}"\n'
        (tmp_path / f"checkpoint.tensorflow{name}").write_text(text)
        (tmp_path / f"model.ckpt-{number}.index").write_bytes(b"")
    assert find_tensorflow_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-4")


def test_files_of_another_program_with_our_names_do_not_end_a_run(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text("some notes of mine\n")
    (tmp_path / "other-5.safetensors").write_bytes(b"xx")
    train(tmp_path, 2)
    assert step_of(tmp_path) == 2
    assert (tmp_path / "checkpoint.damaged").read_text() == "some notes of mine\n"
    assert (tmp_path / "other-5.safetensors").read_bytes() == b"xx"


def test_a_folder_in_the_place_of_the_list_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(IsADirectoryError, match=r"must be a file called 'checkpoint'.*move it"):
        train(tmp_path)
    assert names(tmp_path) == {"checkpoint"}


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "list").mkdir()
    with pytest.raises(IsADirectoryError) as raised:
        files.write_atomically(str(tmp_path / "list"), b"new")
    assert raised.value.filename == str(tmp_path / "list")
    assert "temporary" not in str(raised.value)


def test_checkpoints_of_another_name_are_known_by_their_bytes(tmp_path: Path) -> None:
    Saver(str(tmp_path), "mine").save(state(3))
    (tmp_path / "checkpoint").unlink()
    assert step_of(tmp_path) == 3
    # With a damaged list one cannot know whose a torn file is: it stops a run.
    (tmp_path / "mine-3.safetensors").write_bytes(b"")
    (tmp_path / "checkpoint").write_bytes(b"model_check")
    with pytest.raises(ValueError, match="none of the 1 checkpoints"):
        load_latest(str(tmp_path))


def test_names_and_times_that_no_list_can_hold(tmp_path: Path) -> None:
    """They are not ours, though a copy of one of ours may have them."""
    Saver(str(tmp_path), "model.ckpt").save(state(4))
    (tmp_path / "checkpoint").unlink()
    whole = (tmp_path / "model.ckpt-4.safetensors").read_bytes()
    odd = {os.fsdecode(b"caf\xe9-9.safetensors"), 'a"b-9.safetensors', "a\nb-9.safetensors"}
    for name in odd:
        (tmp_path / name).write_bytes(whole)
    (tmp_path / "copy-3.safetensors").write_bytes(whole)
    os.utime(tmp_path / "copy-3.safetensors", (-5, -5))
    for step in (5, 6):
        Saver(str(tmp_path), "model.ckpt", keep_checkpoint_max=1).save(state(step))
    assert names(tmp_path) == {
        *odd,
        "checkpoint",
        "copy-3.safetensors",
        "model.ckpt-4.safetensors",
        "model.ckpt-6.safetensors",
    }
    assert step_of(tmp_path) == 6


# Nothing is opened through links, and nothing is written outside


def test_links_in_a_folder_are_not_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, outside = tmp_path / "model", tmp_path / "outside"
    train(folder, 3)
    outside.mkdir()
    precious = {}
    for name in (
        "checkpoint",
        "model.ckpt-3.safetensors",
        "projector_config.pbtxt",
        "timeline-4.json",
        "checkpoint.damaged",
        "checkpoint.tensorflow",
    ):
        source, target = folder / name, outside / name
        target.write_bytes(source.read_bytes() if source.exists() else b"precious")
        source.unlink(missing_ok=True)
        source.symlink_to(target)
        precious[name] = target.read_bytes()
    for name in ("eval", "projector"):
        if (folder / name).exists():
            (folder / name).rename(folder / f"{name}.old")
        (outside / name).mkdir()
        (folder / name).symlink_to(outside / name)
    assert step_of(folder) == 2
    assert "model.ckpt-3.safetensors: " in caplog.text and "symbolic link" in caplog.text
    model = train(folder, 2)
    model.train(
        lambda: limit_epochs(POINTS, num_epochs=None),
        steps=1,
        hooks=[ProfilerHook(save_steps=1, output_dir=str(folder))],
    )
    model.evaluate(lambda: limit_epochs(POINTS, num_epochs=1))
    assert step_of(folder) == 5
    left = {path.name: path.read_bytes() for path in outside.iterdir() if path.is_file()}
    assert left == precious
    assert not any((outside / "eval").iterdir()) and not any((outside / "projector").iterdir())


def test_a_link_in_the_name_of_an_evaluation_is_not_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, outside = train(tmp_path / "model"), tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "model" / "eval_a").symlink_to(outside)
    model.evaluate(lambda: limit_epochs(POINTS, num_epochs=1), name="a/b")
    assert not names(outside)
    assert "eval_a" in caplog.text and "symbolic link" in caplog.text


def test_a_linked_temporary_name_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    monkeypatch.setattr(files.secrets, "token_hex", lambda size: "0" * 16)
    (tmp_path / f"list.{'0' * 16}.temporary").symlink_to(target)
    with pytest.raises(FileExistsError):
        files.write_atomically(str(tmp_path / "list"), b"new")
    assert target.read_text() == "mine"


def test_a_model_folder_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    train(tmp_path / "link")
    assert step_of(tmp_path / "real") == 1
    # A caller may also name a checkpoint by a link.
    (tmp_path / "best.safetensors").symlink_to("real/model.ckpt-1.safetensors")
    assert read_checkpoint(tmp_path / "best").global_step == 1


# Newer formats


def test_a_folder_of_a_newer_version_is_refused_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT_VERSION", checkpoint.FORMAT_VERSION + 1)
        train(tmp_path, 3)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    model = KMeansClustering(2, str(tmp_path))
    for use in (
        lambda: train(tmp_path),
        lambda: model.evaluate(lambda: POINTS, steps=1),
        lambda: list(model.predict(lambda: limit_epochs(POINTS))),
        model.cluster_centers,
        model.latest_checkpoint,
        lambda: read_checkpoint(tmp_path / "model.ckpt-3"),
    ):
        with pytest.raises(NewerCheckpointError, match=r"ckpt-3.*format version 3.*newer version"):
            use()
    assert before == {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}


def test_a_newer_format_may_have_other_parts(tmp_path: Path) -> None:
    """Only what the head of checkpoint.py says must stay as it is."""
    head = {"sha256": "0" * 64, "format_version": 7, "global_step": "in base 36: zz"}
    header = json.dumps({"__metadata__": {"centroids": json.dumps(head)}}, separators=(",", ":"))
    data = len(header).to_bytes(8, "little") + header.encode()
    data = data.replace(b"0" * 64, checkpoint.checksum(data).encode(), 1)
    (tmp_path / "model.ckpt-3.safetensors").write_bytes(data)
    with pytest.raises(NewerCheckpointError, match="format version 7"):
        load_latest(str(tmp_path))
    # Where the version itself is damaged, the checksum tells.
    (tmp_path / "model.ckpt-3.safetensors").write_bytes(data.replace(b": 7", b": 9"))
    with pytest.raises(ValueError, match="none of the 1 checkpoints"):
        load_latest(str(tmp_path))


# Names


@pytest.mark.parametrize("name", ['a"b', "a\nb", "a/b", "", "a\0b", "a\x85b", "\ud800", 3])
def test_names_that_a_list_cannot_hold_are_refused(tmp_path: Path, name: Any) -> None:
    with pytest.raises(ValueError, match="checkpoint_basename must be a name of printable"):
        CheckpointSaverHook(str(tmp_path), save_steps=1, checkpoint_basename=name)
    with pytest.raises(ValueError, match="checkpoint_basename"):
        Saver(str(tmp_path), name)


@pytest.mark.parametrize("name", ["it's", "größe (2)", "a-5", "x.safetensors"])
def test_other_names_are_taken(tmp_path: Path, name: str) -> None:
    saver = Saver(str(tmp_path), name, keep_checkpoint_max=1)
    for step in (1, 2):
        saver.save(state(step))
    assert names(tmp_path) == {"checkpoint", f"{name}-2.safetensors"}
    assert step_of(tmp_path) == 2


@pytest.mark.parametrize("base", ['quo"ted', "two\nlines", "it's"])
def test_exports_go_to_folders_of_any_name(tmp_path: Path, base: str) -> None:
    model = train(tmp_path / "model")
    receiver = build_raw_serving_input_receiver_fn({"x": POINTS})
    for _ in range(2):
        model.export_savedmodel(tmp_path / base, receiver, assets_extra={base: __file__})
    found = list((tmp_path / base).iterdir())
    assert len(found) == 2 and all((one / "assets.extra" / base).is_file() for one in found)
