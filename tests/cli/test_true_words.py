"""What a command says is true of what it was given, and is said once."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering
from centroids.cli import predictions
from centroids.cli.answer_forms import Answers, NamedColumns, NumbersAlone
from tests.cli.run_here import run_here as run

POINTS = np.random.default_rng(0).normal(size=(60, 3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [f"r{number}," + ",".join(map(str, row)) for number, row in enumerate(POINTS.tolist())]
    (tmp_path / "t.csv").write_text("\n".join(["id,a,b,c", *rows, ""]))
    run(tmp_path, "train", "t.csv", "model", "-k", "3", "--id-column", "id", "--quiet")
    return tmp_path


@pytest.mark.parametrize(
    ("variable", "value"), [("CENTROIDS_NUM_THREADS", "-1"), ("CENTROIDS_ISA", "best")]
)
def test_a_wrong_environment_is_no_damage(
    folder: Path, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import sys; from centroids.cli import main; sys.argv[0] = 'centroids'; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "verify", "model"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), variable: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"centroids: the environment variable {variable}")


@pytest.mark.parametrize("word", ["--json", "--config", "-v", "--columns"])
def test_an_option_before_its_command_is_told_its_place(folder: Path, word: str) -> None:
    told = run(folder, word, "train", "t.csv", "new", code=2).stderr
    assert f"{word} is an option of commands: write it behind one, as in centroids train" in told


def test_an_empty_name_of_a_file_is_no_folder(folder: Path) -> None:
    done = run(folder, "inspect", "model", "--config", "", code=2)
    assert done.stderr == "centroids: --config is empty\n"


def test_ids_are_not_among_the_points(folder: Path) -> None:
    (folder / "n.csv").write_text("id,a\n7,1\n5,2\n6,9\n")
    train = ("train", "n.csv", "numbers", "-k", "2")
    told = run(folder, *train, "--columns", "a,id", "--id-column", "id", code=2).stderr
    assert "--columns takes 'id', which names the rows (--id-column): leave it out of one" in told
    run(folder, *train)
    told = run(folder, *train, "--id-column", "id", code=2).stderr
    assert "the points of the model in numbers have that column: leave --id-column out" in told
    run(folder, *train, "--id-column", "id", "--fresh", "--columns", "a")
    # A range and all columns leave the ids out, or take them.
    run(folder, "train", "n.csv", "all", "-k", "2", "--id-column", "id")
    told = run(
        folder, "train", "n.csv", "r", "-k", "2", "--columns", "id:a", "--id-column", "id", code=2
    ).stderr
    assert "--columns takes 'id'" in told


@pytest.mark.parametrize(
    ("before", "word", "does"),
    [([], "--standardize", "does not"), (["--standardize"], "--no-standardize", "does")],
)
def test_a_model_does_not_change_what_it_does_to_points(
    folder: Path, before: list[str], word: str, does: str
) -> None:
    run(folder, "train", "t.csv", "other", "-k", "3", "--id-column", "id", *before)
    told = run(folder, "train", "t.csv", "other", word, code=2).stderr
    assert f"{word} is given, but the model in other {does} standardize its columns" in told


def test_sparse_points_have_no_names_to_look_for(folder: Path) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    datasets.dump_svmlight_file(POINTS, np.zeros(len(POINTS)), str(folder / "t.svm"))
    labels = run(folder, "predict", "model", "t.svm").stdout
    assert labels == run(folder, "predict", "model", "t.csv").stdout
    (folder / "bad.svm").write_text("0 1:2\n0 1\n")
    told = run(folder, "predict", "model", "bad.svm", code=2).stderr
    assert "bad.svm, line 2 is not a label and pairs such as 3:0.5, which SVMLight has" in told


def damage(folder: Path, pattern: str) -> None:
    for file in (folder / "model").glob(pattern):
        data = bytearray(file.read_bytes())
        data[-5] ^= 1
        file.write_bytes(data)


@pytest.mark.parametrize("options", [[], ["--verbose"]])
def test_a_model_without_a_whole_checkpoint_is_told_in_one_line(
    folder: Path, options: list[str]
) -> None:
    damage(folder, "model.ckpt-*")
    (line,) = run(folder, "inspect", "model", *options, code=2).stderr.splitlines()
    assert "none of the 2 checkpoints of model is whole; the newest is model.ckpt-" in line
    assert ", which differs from the checksums that it carries" in line


def test_a_checkpoint_that_is_skipped_is_told_once(folder: Path) -> None:
    damage(folder, "model.ckpt-[1-9]*")
    (line,) = run(folder, "predict", "model", "t.csv").stderr.splitlines()
    assert line.startswith("centroids: Skipping the damaged checkpoint model/model.ckpt-")
    assert line.count("model.ckpt-") == 1


def test_verbose_says_which_model_and_how_fast(folder: Path) -> None:
    told = run(folder, "predict", "model", "t.csv", "-o", "l.npy", "-v").stderr
    assert "Read the model of step" in told and "predicting: " in told and " 60 rows, " in told
    told = run(folder, "predict", "model", "t.csv", "-o", "l.npy").stderr
    assert told == "Wrote 60 rows to l.npy\n"


# A command of its own, beside ours, in a process whose root logger nobody has touched.
ANOTHER_COMMAND = """
import atexit, logging, sys, threading, time
import typer
from centroids.cli.app import app, main

@app.command("noise")
def noise() -> None:
    try:
        1 / 0
    except ZeroDivisionError:
        logging.getLogger("of.another").warning("theirs", exc_info=True)
    raise ValueError("ours")

@app.command("hang")
def hang() -> None:
    from centroids.inputs.stream import LEFT_BEHIND
    atexit.register(print, "removed", flush=True)
    threading.Thread(target=time.sleep, args=(600,), name=LEFT_BEHIND).start()
    raise typer.Exit(130)

sys.argv[0] = "centroids"
main()
"""


def another(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ANOTHER_COMMAND, *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_what_other_libraries_log_is_for_debugging() -> None:
    done = another("noise")
    assert (done.returncode, done.stderr) == (2, "centroids: ours\n")
    assert "theirs" in another("--debug", "noise").stderr


def test_a_process_ends_although_a_thread_still_reads() -> None:
    done = another("hang")
    assert (done.returncode, done.stdout, done.stderr) == (130, "removed\n", "")


def test_reading_ends_before_a_command_that_is_stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    seen: list[str] = []
    real = predictions.Prediction.run

    def watched(self: Any, *hooks: Any, **options: Any) -> Iterator[Any]:
        try:
            yield from real(self, *hooks, **options)
        finally:
            seen.append("closed")

    def stop(self: Any, answers: Any) -> Any:
        raise KeyboardInterrupt

    def code() -> int:
        seen.append("ends")
        return 130

    monkeypatch.setattr(predictions.Prediction, "run", watched)
    monkeypatch.setattr(NamedColumns, "batch", stop)
    monkeypatch.setattr(predictions, "exit_code_of_stop", code)
    run(folder, "predict", "model", "t.csv", "-o", "l.parquet", code=130)
    assert seen == ["closed", "ends"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_text_has_all_digits_and_is_not_kept(dtype: type[np.generic]) -> None:
    key = KMeansClustering.ALL_DISTANCES
    values = (np.random.default_rng(1).normal(size=(400, 20)) * 1e3).astype(dtype)
    form, answers = NumbersAlone(key), Answers({key: values}, None, None)
    text = form.text(answers)
    again = np.array([line.split(",") for line in text.splitlines()]).astype(dtype)
    assert (again == values).all()
    gc.disable()  # which would hide that text is kept in circles
    try:
        tracemalloc.start()
        for _ in range(20):
            form.text(answers)
        assert tracemalloc.get_traced_memory()[0] < 5 * len(text)
    finally:
        tracemalloc.stop()
        gc.enable()
