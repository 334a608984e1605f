"""predict --resume: what was written before an interruption counts, and only for the same work.

Over 400 lines: one table of interruptions serves all the cases.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering, SessionRunHook
from centroids.cli import inference, main, unfinished
from tests.crash import predictions
from tests.crash.predictions import POINTS

PARTIAL, JOURNAL = ".centroids-partial", ".centroids-journal"
BATCH, ROWS = 300, 1000  # 4 batches


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    predictions.write_files(folder)
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a model, points in four formats; batches are small."""
    place = tmp_path / "here"
    shutil.copytree(written, place)  # which keeps the times of change
    monkeypatch.chdir(place)
    monkeypatch.setattr(inference, "_BATCH_SIZE", BATCH)
    monkeypatch.setattr(unfinished, "_SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(unfinished, "_SAVING_SHARE", float("inf"))
    return place


@pytest.fixture
def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs `centroids predict model ...` and returns what it told on standard error."""

    def run(*words: str, code: int = 0, error: BaseException | None = None, at: int = 1) -> str:
        words = ("predict", "model", *words)
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["centroids", *words])
            if error is not None:
                patched.setattr(inference, "ProgressBarHook", _raising(error, at))
            with pytest.raises(SystemExit) as ended:
                main()
        told = capsys.readouterr().err
        assert (ended.value.code or 0) == code, told
        return told

    return run


def _raising(error: BaseException, at: int) -> type[SessionRunHook]:
    class Raising(SessionRunHook):
        def __init__(self, **unused: Any) -> None:
            self._left = at

        def after_run(self, run_context: Any, run_values: Any) -> None:
            self._left -= 1
            if self._left < 0:
                raise error

    return Raising


def test_ctrl_c_says_how_to_go_on(folder: Path, run: Callable[..., str]) -> None:
    told = run("points.csv", "-o", "a b.npy", code=130, error=KeyboardInterrupt(), at=2)
    assert told == (
        f"Stopped; a b.npy{PARTIAL} holds 600 rows.\n"
        "Continue with: centroids predict model points.csv -o 'a b.npy' --resume\n"
    )
    assert not Path("a b.npy").exists()
    told = run("points.csv", "-o", "a b.npy", "--resume")
    assert told == "Continuing after 600 rows.\nWrote 1,000 rows to a b.npy\n"
    labels = np.load("a b.npy")
    np.testing.assert_array_equal(labels, predictions.expected_distances(folder).argmin(axis=1))
    assert not list(folder.glob("*centroids-*"))


@pytest.mark.parametrize("points", POINTS)
@pytest.mark.parametrize("output", ["out.npy", "out.csv"])
@pytest.mark.parametrize("options", [[], ["--distances"]])
def test_the_file_is_that_of_an_uninterrupted_prediction(
    folder: Path, run: Callable[..., str], points: str, output: str, options: list[str]
) -> None:
    command = [points, "-o", output, *options]
    run(*command)
    whole = Path(output).read_bytes()
    Path(output).unlink()
    for rows in (300, 600, 900):  # each process writes a batch
        told = run(*command, "--resume", code=1, error=OSError(errno.EIO, "broken"), at=1)
        assert f"Stopped; {output}{PARTIAL} holds {rows} rows.\n" in told
        assert told.endswith("centroids: broken\n") and not Path(output).exists()
    assert run(*command, "--resume").startswith("Continuing after 900 rows.\n")
    assert Path(output).read_bytes() == whole
    assert not list(folder.glob("out.*centroids*"))
    expected = predictions.expected_distances(folder)
    found = np.load(output) if output == "out.npy" else np.loadtxt(output, delimiter=",")
    if options:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)
    else:
        np.testing.assert_array_equal(found, expected.argmin(axis=1))


@pytest.mark.parametrize("output", ["out.npy", "out.csv"])
def test_nothing_is_left_to_predict(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    command = ["points.tfrecord", "-o", output]
    run(*command)
    whole = Path(output).read_bytes()
    Path(output).unlink()
    replace = os.replace

    def fail(source: str, target: str) -> None:
        if source.endswith(PARTIAL):
            raise OSError(errno.EIO, "broken", source, None, target)
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        told = run(*command, code=1)
    assert f"{output}: broken" in told and "holds 1,000 rows" in told
    assert "Continuing after 1,000 rows" in run(*command, "--resume")
    assert Path(output).read_bytes() == whole


def test_a_full_disk(folder: Path, run: Callable[..., str]) -> None:
    command = ["points.npy", "--distances", "-o", "out.npy"]
    run(*command)
    whole = Path("out.npy").read_bytes()
    Path("out.npy").unlink()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) // 2, hard))
    try:
        told = run(*command, code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "holds 300 rows" in told and "centroids: --output out.npy: File too large\n" in told
    assert "Continuing after 300 rows" in run(*command, "--resume")
    assert Path("out.npy").read_bytes() == whole


def test_what_was_begun_within_the_first_second_is_kept_too(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "_SECONDS_BETWEEN_SAVES", 60.0)
    told = run("points.npy", "-o", "out.npy", code=130, error=KeyboardInterrupt(), at=3)
    assert "holds 900 rows" in told
    assert "Continuing after 900 rows" in run("points.npy", "-o", "out.npy", "--resume")


def test_before_the_first_batch_nothing_is_kept(folder: Path, run: Callable[..., str]) -> None:
    assert not run("points.npy", "-o", "out.npy", code=130, error=KeyboardInterrupt(), at=0)
    assert not list(folder.glob("out*"))


def test_ctrl_c_before_the_model_is_there_loses_nothing(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(SessionRunHook):
        def __init__(self, **unused: Any) -> None: ...

        def begin(self) -> None:
            raise KeyboardInterrupt

    command = ["points.npy", "-o", "out.npy"]
    run(*command, code=130, error=KeyboardInterrupt(), at=2)
    kept = [Path(f"out.npy{ending}").read_bytes() for ending in (PARTIAL, JOURNAL)]
    with monkeypatch.context() as patched:
        patched.setattr(inference, "ProgressBarHook", Interrupted)
        told = run(*command, "--resume", code=130)
    assert told == (
        "Continuing after 600 rows.\n"
        f"Stopped; out.npy{PARTIAL} holds 600 rows.\n"
        "Continue with: centroids predict model points.npy -o out.npy --resume\n"
    )
    assert [Path(f"out.npy{ending}").read_bytes() for ending in (PARTIAL, JOURNAL)] == kept


def test_where_there_is_nothing_it_begins(folder: Path, run: Callable[..., str]) -> None:
    assert run("points.npy", "-o", "out.npy", "--resume") == "Wrote 1,000 rows to out.npy\n"
    assert run("points.npy", "-o", "out.npy", "--resume") == "Wrote 1,000 rows to out.npy\n"
    assert "give --output" in run("points.npy", "--resume", code=2)


def test_bad_points_leave_nothing(folder: Path, run: Callable[..., str]) -> None:
    bad = predictions.points().astype(np.float64)
    bad[700, 1] = 1e200  # whose squared distance overflows
    np.save("points.npy", bad)
    assert "points.npy, row 700" in run("points.npy", "-o", "out.npy", code=2)
    assert not list(folder.glob("out*"))


@pytest.fixture
def begun(folder: Path, run: Callable[..., str]) -> bytes:
    """out.npy was interrupted after 600 rows; returns what it is to be."""
    command = ["points.csv", "-o", "out.npy", "--columns", "a,b,c"]
    run(*command)
    whole = Path("out.npy").read_bytes()
    Path("out.npy").unlink()
    run(*command, code=130, error=KeyboardInterrupt(), at=2)
    return whole


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("out*")}


def _train_more(folder: Path) -> None:
    model = KMeansClustering(5, "model")
    model.train(lambda: [predictions.points()], steps=1)


def _train_other(folder: Path) -> None:
    shutil.rmtree("model")
    first = predictions.points()[10:15]
    model = KMeansClustering(5, "model", initial_clusters=first)
    model.train(lambda: iter([predictions.points()] * 2))


def _append_row(folder: Path) -> None:
    with Path("points.csv").open("a") as file:
        file.write("1,2,3\n")


def _touch(folder: Path) -> None:
    os.utime("points.csv", ns=(1, 1_600_000_000_000_000_123))


@pytest.mark.parametrize(
    ("change", "words", "told"),
    [
        (_train_more, [], "the step of the model was 2, now it is 3"),
        (_train_other, [], "its checksum was '"),
        (_append_row, [], "the size of the input in bytes was "),
        (_touch, [], "now it is '2020-09-13 12:26:40.000000123 UTC'"),
        (
            None,
            ["--columns", "b,a,c"],
            "was ['a', 'b', 'c'], now it is ['b', 'a', 'c']",
        ),
        (None, ["--distances"], "what is written was 'cluster_index as .npy', now it is "),
        (None, ["--dtype", "float32"], "'dtype': 'float32'"),
    ],
)
def test_other_work_is_refused(
    begun: bytes,
    folder: Path,
    run: Callable[..., str],
    change: Callable[[Path], None] | None,
    words: list[str],
    told: str,
) -> None:
    kept = _contents(folder)
    saved = [folder / "kept model", folder / "kept.csv"]
    shutil.copytree("model", saved[0])
    shutil.copy2("points.csv", saved[1])
    if change is not None:
        change(folder)
    refused = run("points.csv", "-o", "out.npy", "--columns", "a,b,c", *words, "--resume", code=2)
    assert told in refused and "leave --resume out to start over" in refused
    assert _contents(folder) == kept
    # With what it was begun with, it goes on; another path makes no difference.
    shutil.rmtree("model")
    shutil.move(saved[0], "model")
    shutil.move(saved[1], "moved.csv")
    told = run("moved.csv", "-o", "out.npy", "--columns", "a,b,c", "--resume")
    assert "Continuing after 600 rows" in told and Path("out.npy").read_bytes() == begun


@pytest.mark.parametrize("what", ["version", "batches"])
def test_another_version_or_size_of_batches_is_refused(
    begun: bytes, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    if what == "version":
        monkeypatch.setitem(inference_versions(), "the version of centroids", "99.0")
    else:
        monkeypatch.setattr(inference, "_BATCH_SIZE", 100)
    told = run("points.csv", "-o", "out.npy", "--columns", "a,b,c", "--resume", code=2)
    assert ("now it is '99.0'" if what == "version" else "was 300, now it is 100") in told


def inference_versions() -> dict[str, Any]:
    from centroids.cli import predictions as written

    return written._VERSIONS


def test_without_the_option_it_begins_anew_and_says_so(
    begun: bytes, folder: Path, run: Callable[..., str]
) -> None:
    assert run("points.csv", "-o", "out.npy") == (
        f"Starting over: out.npy{PARTIAL} held 600 rows of an interrupted prediction, which "
        "--resume continues with.\nWrote 1,000 rows to out.npy\n"
    )
    assert list(_contents(folder)) == ["out.npy"] and Path("out.npy").read_bytes() == begun


def _damages() -> Iterator[tuple[str, Callable[[bytearray], Any]]]:
    generator = random.Random(0)
    for _ in range(25):
        place, bit = generator.random(), 1 << generator.randrange(8)

        def flip(data: bytearray, place: float = place, bit: int = bit) -> None:
            data[int(place * len(data))] ^= bit

        yield JOURNAL, flip
    yield JOURNAL, bytearray.clear
    yield JOURNAL, lambda data: data.__setitem__(slice(len(data) // 2, None), b"")
    yield JOURNAL, lambda data: data.__setitem__(slice(None), b"[" * 100_000)
    yield JOURNAL, lambda data: data.__setitem__(slice(None), b'{"sha256": "", "content": 3}')
    yield PARTIAL, lambda data: data.__setitem__(200, data[200] ^ 1)
    yield PARTIAL, lambda data: data.__delitem__(slice(-1, None))


def test_damage_never_gives_wrong_labels(
    begun: bytes, folder: Path, run: Callable[..., str]
) -> None:
    kept = _contents(folder)
    for ending, damage in _damages():
        for name, content in kept.items():
            Path(name).write_bytes(content)
        data = bytearray(kept[f"out.npy{ending}"])
        damage(data)
        Path(f"out.npy{ending}").write_bytes(data)
        told = run("points.csv", "-o", "out.npy", "--columns", "a,b,c", "--resume")
        # White space may change in an object of JSON and mean nothing.
        anew = f"Starting over: out.npy{ending} is damaged.\n" in told
        assert anew or "Continuing after 600 rows.\n" in told
        assert list(_contents(folder)) == ["out.npy"] and Path("out.npy").read_bytes() == begun
        Path("out.npy").unlink()


def test_a_journal_of_a_newer_version_is_refused(
    begun: bytes, folder: Path, run: Callable[..., str]
) -> None:
    text = json.loads(Path(f"out.npy{JOURNAL}").read_text())
    text["content"] = {"format": 2, "other": "things"}
    Path(f"out.npy{JOURNAL}").write_text(json.dumps(text))
    kept = _contents(folder)
    assert "newer version" in run("points.csv", "-o", "out.npy", "--resume", code=2)
    assert _contents(folder) == kept
    run("points.csv", "-o", "out.npy", "--columns", "a,b,c")
    assert Path("out.npy").read_bytes() == begun


def test_bytes_behind_the_journal_are_cut_off(begun: bytes, run: Callable[..., str]) -> None:
    with Path(f"out.npy{PARTIAL}").open("ab") as file:
        file.write(b"\xff" * 100_000)
    run("points.csv", "-o", "out.npy", "--columns", "a,b,c", "--resume")
    assert Path("out.npy").read_bytes() == begun


@pytest.mark.parametrize("options", [[], ["--resume"]])
@pytest.mark.parametrize("ending", [PARTIAL, JOURNAL])
@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "folder"])
def test_nothing_is_written_through_links(
    begun: bytes, folder: Path, run: Callable[..., str], options: list[str], ending: str, kind: str
) -> None:
    precious, place = Path("precious"), Path(f"out.npy{ending}")
    precious.write_text("mine")
    place.unlink()
    if kind == "link":
        place.symlink_to(precious)
    elif kind == "hard link":
        place.hardlink_to(precious)
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.mkdir()
    command = ["points.csv", "-o", "out.npy", "--columns", "a,b,c", *options]
    if ending == PARTIAL or kind != "hard link":
        assert "out.npy" in run(*command, code=2)
        assert place.is_symlink() or place.exists()
    else:  # it reads as a damaged journal, whose name is removed
        run(*command)
        assert Path("out.npy").read_bytes() == begun and not place.exists()
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("options", [[], ["--resume"]])
def test_a_rival_is_noticed(
    begun: bytes, folder: Path, run: Callable[..., str], options: list[str]
) -> None:
    kept = _contents(folder)
    with Path(f"out.npy{PARTIAL}").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        told = run("points.csv", "-o", "out.npy", *options, code=1)
    assert told == "centroids: --output out.npy: another process is writing it\n"
    assert _contents(folder) == kept


def test_a_journal_that_cannot_be_written_is_told_of_once(
    folder: Path, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: str, data: bytes) -> None:
        raise PermissionError(errno.EACCES, "forbidden", path)

    monkeypatch.setattr(unfinished, "write_atomically", fail)
    assert run("points.npy", "-o", "out.npy") == (
        f"centroids: out.npy{JOURNAL} cannot be written: forbidden\nWrote 1,000 rows to out.npy\n"
    )
    told = run("points.npy", "-o", "again.npy", code=130, error=KeyboardInterrupt(), at=2)
    assert "Continue with" not in told and not list(folder.glob("again*"))


def test_journals_are_rare(
    folder: Path, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "_SECONDS_BETWEEN_SAVES", 1.0)
    monkeypatch.setattr(unfinished, "_SAVING_SHARE", 0.03)
    monkeypatch.setattr(inference, "_BATCH_SIZE", 1)
    saved: list[float] = []
    now = [0.0]
    monkeypatch.setattr(unfinished, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def slow(path: str, data: bytes) -> None:
        saved.append(now[0])
        now[0] += 0.6  # of a slow disk

    append = unfinished.UnfinishedFile.append

    def append_slowly(*arguments: Any) -> None:
        now[0] += 0.1
        append(*arguments)

    monkeypatch.setattr(unfinished, "write_atomically", slow)
    monkeypatch.setattr(unfinished.UnfinishedFile, "append", append_slowly)
    run("points.npy", "-o", "out.npy")
    assert np.diff([0.0, *saved]) == pytest.approx([1.0, *[20.6] * (len(saved) - 1)], abs=0.15)
    assert len(saved) == 5
