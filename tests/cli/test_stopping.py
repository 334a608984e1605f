"""Ctrl-C, SIGTERM and SIGHUP in the middle of any command: one line, and nothing stays."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import viewers
from centroids.cli import inference
from centroids.cli.unfinished import UnfinishedFile
from centroids.estimator import load_latest
from centroids.estimator._session import Session
from centroids.kmeans.model import KMeansModel
from tests.cli.run_here import run_here as run

pytest.importorskip("pyarrow")
pytest.importorskip("PIL")
pytest.importorskip("matplotlib")

POINTS = np.random.default_rng(0).normal(size=(60, 3))

# Commands that write a file, which is synced before it has its name.
WRITING = {
    "predict": ["predict", "model", "points.npy", "-o", "out.parquet"],
    "quantize": ["quantize", "picture.png", "-k", "2", "-o", "out.png"],
    "choose-k": ["choose-k", "points.npy", "-k", "2-3", "--plot", "out.svg"],
    "report": ["report", "model", "points.npy", "-o", "out.html", "--no-umap"],
    **{
        f"export {ending}": ["export", "model", f"out{ending}"]
        for ending in ("", ".onnx", ".npz", ".npy", ".csv", ".parquet")
    },
}
# Commands that only read, here after a look at a file, and write text.
READING = {
    "predict to standard output": ["predict", "model", "points.npy"],
    "evaluate": ["evaluate", "model", "points.npy"],
    "score": ["score", "model", "points.npy"],
    "inspect": ["inspect", "model"],
    "verify": ["verify", "model"],
}
ENDS = [(signal.SIGINT, 130, "Stopped."), (signal.SIGTERM, 143, "Stopped by SIGTERM.")]
if sys.platform != "win32":  # where a terminal that is closed sends nothing
    ENDS.append((signal.SIGHUP, 129, "Stopped by SIGHUP."))
NAMES = [number.name for number, _, _ in ENDS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image

    folder = tmp_path_factory.mktemp("stopped")
    np.save(folder / "points.npy", POINTS)
    Image.fromarray((POINTS[:48].reshape(8, 18) * 50 % 255).astype(np.uint8)).save(
        folder / "picture.png"
    )
    run(folder, "train", "points.npy", "model", "-k", "3", "--quiet")
    # Files of others that look as ours do stay, and so does what stood there before.
    for name in ("out.html", "out.png", "out.csv", "out.svg.temporary", "other.temporary"):
        (folder / name).write_text("old")
    return folder


def everything(folder: Path) -> dict[str, bytes | None]:
    """All files below a folder."""
    return {str(file): file.read_bytes() if file.is_file() else None for file in folder.rglob("*")}


def signalling(number: int, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **more: Any) -> Any:
        signal.raise_signal(number)
        return function(*arguments, **more)

    return call


@pytest.mark.parametrize(("number", "code", "line"), ENDS, ids=NAMES)
@pytest.mark.parametrize(
    ("call", "command"),
    [
        *[pytest.param("fsync", words, id=name) for name, words in WRITING.items()],
        *[pytest.param("stat", words, id=name) for name, words in READING.items()],
    ],
)
def test_a_signal_in_the_middle_of_a_command(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    command: list[str],
    number: int,
    code: int,
    line: str,
) -> None:
    if "out.onnx" in command:
        pytest.importorskip("onnx")
    monkeypatch.setattr(viewers, "SHOW_AFTER_SECONDS", 60.0)  # no progress on a busy machine
    before, handlers = everything(folder), handlers_now()
    for options in ([], ["--log-format", "json"]):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, signalling(number, getattr(os, call)))
            done = run(folder, *command, *options, code=code)
        told = json.loads(done.stderr)["message"] if options else done.stderr.removesuffix("\n")
        assert told in (line, "Stopped; nothing was written.") and "\n" not in told
        assert everything(folder) == before and not done.stdout
    assert handlers_now() == handlers


def handlers_now() -> list[Any]:
    return [signal.getsignal(number) for number, _, _ in ENDS]


def test_what_can_be_continued_is_kept_by_sigterm_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "_BATCH_SIZE", 20)
    np.save(tmp_path / "points.npy", POINTS)
    run(tmp_path, "train", "points.npy", "model", "-k", "3", "--quiet")
    run(tmp_path, "predict", "model", "points.npy", "-o", "whole.npy")
    command = ["predict", "model", "points.npy", "-o", "out.npy"]
    append, written = UnfinishedFile.append, 0

    def stop(self: UnfinishedFile, *arguments: Any) -> None:
        nonlocal written
        written += 1
        if written == 3:
            signal.raise_signal(signal.SIGTERM)
        append(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(UnfinishedFile, "append", stop)
        told = run(tmp_path, *command, code=143).stderr
    assert told == (
        "Stopped; out.npy.centroids-partial holds 40 rows.\n"
        "Continue with: centroids predict model points.npy -o out.npy --resume\n"
    )
    run(tmp_path, *command, "--resume")
    assert (tmp_path / "out.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert not list(tmp_path.glob("out.npy.*"))


def test_the_old_model_gets_its_name_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(everything(folder))
    stopped = signalling(signal.SIGTERM, KMeansModel._initialize)
    monkeypatch.setattr(KMeansModel, "_initialize", stopped)
    told = run(folder, "train", "points.npy", "model", "--fresh", code=143).stderr
    assert "Stopped before the first step; nothing was saved." in told
    assert "The old model is in model again." in told
    assert set(everything(folder)) == before


@pytest.mark.parametrize(("number", "code"), [end[:2] for end in ENDS], ids=NAMES)
def test_training_names_the_signal_that_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    np.save(tmp_path / "points.npy", POINTS)
    monkeypatch.setattr(Session, "step", signalling(number, Session.step))
    told = run(tmp_path, "train", "points.npy", "model", "-k", "3", "-v", code=code).stderr
    assert f"Training stopped by {number.name}." in told and "Stopped; model holds step 1" in told


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_process_that_is_told_twice_cleans_up_in_peace(folder: Path) -> None:
    before = set(everything(folder))
    program = (
        "import os, sys, time\n"
        "from centroids import files, viewers\n"
        "viewers.SHOW_AFTER_SECONDS = 60.0\n"
        "from centroids.cli import main\n"
        "def wait(*unused):\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
        "remove = os.remove\n"
        "def slowly(path):\n"
        "    print('removing', flush=True)\n"
        "    time.sleep(0.2)\n"
        "    remove(path)\n"
        "files.put_in_place = wait\n"
        "os.remove = slowly\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "export", "model", "out.csv"]
    paths = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in ("writing\n", "removing\n"):
            assert process.stdout.readline() == line
            time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (143, "Stopped by SIGTERM.\n")
    assert set(everything(folder)) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "code", "line"), ENDS, ids=NAMES)
@pytest.mark.parametrize("command", ["choose-k", "train"])
def test_a_query_that_is_running(
    tmp_path: Path, command: str, number: int, code: int, line: str
) -> None:
    pytest.importorskip("duckdb")
    hours = "SELECT sum(a.range) AS x FROM range(3000000) a, range(3000000) b GROUP BY a.range % 9"
    words = {"choose-k": ["choose-k", hours], "train": ["train", hours, "model", "-k", "3"]}

    def send() -> None:
        while signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            time.sleep(0.05)  # nobody would catch it yet
        time.sleep(0.5)
        if signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
            os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()
    done = run(tmp_path, *words[command], code=code)
    assert (done.stdout, done.stderr) == ("", f"{line}\n")
    assert not list(tmp_path.iterdir())


# With a terminal of its own, which this test closes.
IN_A_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from centroids.cli import main
sys.argv[0] = "centroids"
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_training_whose_terminal_is_closed_is_saved(tmp_path: Path, options: list[str]) -> None:
    import pty

    np.save(tmp_path / "points.npy", POINTS)
    words = ["train", "points.npy", "model", "-k", "3", "--mini-batch", "--batch-size", "10"]
    command = [sys.executable, "-c", IN_A_TERMINAL, *words, "--epochs", "1000000", *options]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*command, "--log-every", "0.01"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as child:
        os.close(theirs)
        while not list((tmp_path / "model").glob("model.ckpt-*")):
            assert child.poll() is None
            time.sleep(0.05)
        time.sleep(0.3)
        os.close(ours)
        assert child.wait(60) == 129
    checkpoint = load_latest(str(tmp_path / "model"))
    assert checkpoint is not None and checkpoint.global_step > 0 and not checkpoint.finished
    assert not (tmp_path / "model" / "training.lock").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_command_below_nohup_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        monkeypatch.setattr(os, "stat", signalling(signal.SIGHUP, os.stat))
        assert "mean distance" in run(folder, "evaluate", "model", "points.npy").stdout
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(sys.platform != "linux", reason="there is no device that is full")
@pytest.mark.parametrize("options", [["--verbose"], ["--verbose", "--log-format", "json"]])
def test_work_goes_on_where_its_log_cannot_be_written(folder: Path, options: list[str]) -> None:
    code = "import sys; from centroids.cli import main; sys.argv[0] = 'centroids'; main()"
    words = ["train", "points.npy", "full", "-k", "3", *options]
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=subprocess.PIPE,
            stderr=full,
            check=True,
        )
    assert done.stdout.startswith(b"Trained ")
    shutil.rmtree(folder / "full")
