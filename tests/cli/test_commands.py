"""The command line as a user meets it: real files, and processes of their own where it matters.

Over 400 lines: every command has its few cases here, in one order.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import centroids
from centroids.cli import app, inference
from centroids.cli.inference import open_model
from tests.cli.run_here import Done, run_here

POINTS = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the same points in three formats, and names for them."""
    np.save(tmp_path / "points.npy", POINTS)
    np.savetxt(tmp_path / "points.csv", POINTS, delimiter=",", header="a,b,c,d", comments="")
    import pyarrow
    import pyarrow.parquet

    columns = {name: POINTS[:, i] for i, name in enumerate("abcd")}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "points.parquet")
    (tmp_path / "words.txt").write_text("\n".join(f"word{i}" for i in range(500)))
    return tmp_path


def run(folder: Path, *arguments: str, code: int = 0) -> Done:
    done = run_here(folder, *arguments, code=code)
    assert "Traceback" not in done.stderr
    return done


def run_apart(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """As a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "centroids", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("points", ["points.npy", "points.csv", "points.parquet"])
def test_from_a_file_to_labels(folder: Path, points: str) -> None:
    trained = run_apart(folder, "train", points, "model", "-k", "5")
    assert "full-batch steps" in trained.stdout and "model is in model" in trained.stdout
    run(folder, "predict", "model", points, "--output", "labels.npy")
    labels = np.load(folder / "labels.npy")
    assert labels.shape == (500,) and set(labels) == set(range(5))
    printed = run_apart(folder, "predict", "model", points).stdout.split()
    assert [int(label) for label in printed] == labels.tolist()
    run(folder, "predict", "model", points, "--distances", "-o", "distances.csv")
    distances = np.loadtxt(folder / "distances.csv", delimiter=",")
    np.testing.assert_array_equal(distances.argmin(axis=1), labels)
    run(folder, "predict", "model", points, "--distances", "-o", "distances.npy")
    np.testing.assert_allclose(np.load(folder / "distances.npy"), distances, rtol=1e-6)
    evaluated = run(folder, "evaluate", "model", points).stdout
    assert "points            500" in evaluated
    assert not list(folder.glob("*.temporary"))


def test_mini_batches_follow_the_options(folder: Path) -> None:
    options = ["--mini-batch", "--batch-size", "100", "--epochs", "2"]
    options += ["--distance-metric", "cosine"]
    done = run(folder, "train", "points.npy", "model", "-k", "3", *options)
    assert "Trained 10 mini-batch steps" in done.stdout
    state = run(folder, "inspect", "model", "--variables").stdout
    assert "3 clusters of 4 dimensions, float32, cosine; trained for 10 steps" in state
    assert "cluster_counts" in state


def test_training_goes_on_and_says_so(folder: Path) -> None:
    run(folder, "train", "points.npy", "model", "-k", "3", "--max-steps", "2")
    again = run(folder, "train", "points.npy", "model", "-k", "3", "--max-steps", "4").stdout
    assert (
        "Continuing the model in model (2 steps so far)" in again
        and "Trained 2 full-batch" in again
    )
    enough = run(folder, "train", "points.npy", "model", "-k", "3", "--max-steps", "4").stdout
    assert enough == (
        "The model is already at step 4, that of --max-steps; nothing to train. --steps N trains N "
        "more.\n"
    )
    past = run(folder, "train", "points.npy", "model", "--max-steps", "3").stdout
    assert "The model is already at step 4, past --max-steps 3; nothing to train." in past


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_training_says_how_to_go_on(
    folder: Path, number: signal.Signals, code: int
) -> None:
    options = ["--mini-batch", "--batch-size", "5", "--epochs", "400"]  # 40,000 steps
    command = ["train", "points.npy", "model", "-k", "3", *options]
    run(folder, "train", "points.npy", "whole", "-k", "3", *options)
    with subprocess.Popen(
        [sys.executable, "-m", "centroids", *command],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    ) as training:
        while not (folder / "model" / "checkpoint").exists():
            assert training.poll() is None
            time.sleep(0.01)
        time.sleep(0.1)
        training.send_signal(number)
        _, told = training.communicate(timeout=60)
    assert training.returncode == code
    stopped = open_model(folder / "model").get_variable_value("global_step")
    assert f"Stopped; model holds step {stopped:,}.\n" in told
    assert f"Continue with: centroids {' '.join(command)}\n" in told
    assert stopped < 40_000
    run(folder, *command)
    whole, parts = open_model(folder / "whole"), open_model(folder / "model")
    for name in whole.get_variable_names():
        np.testing.assert_array_equal(
            parts.get_variable_value(name), whole.get_variable_value(name)
        )


@pytest.mark.parametrize("mode", ["--full-batch", "--mini-batch"])
@pytest.mark.parametrize("points", ["points.npy", "points.csv"])
def test_bad_rows_are_named_or_left_out(folder: Path, points: str, mode: str) -> None:
    bad = POINTS.copy()
    bad[[3, 77], 1] = np.nan
    np.save(folder / "points.npy", bad)
    np.savetxt(folder / "points.csv", bad, delimiter=",")
    command = ["train", points, "model", "-k", "3", mode]
    refused = run(folder, *command, code=2).stderr
    place = "line 4" if points == "points.csv" else "row 3"
    assert f"got nan in {points}, {place}, column 1; " in refused
    assert "--bad-rows drop" in refused
    told = run(folder, *command, "--bad-rows", "drop").stderr
    assert "Dropped 2 of 500 rows" in told
    evaluated = run(folder, "evaluate", "model", points, "--bad-rows", "drop").stdout
    assert "points            498" in evaluated
    assert "--bad-rows drop" in run(folder, "evaluate", "model", points, code=2).stderr
    labelled = run(folder, "predict", "model", points)
    assert "2 of 500 rows have no label" in labelled.stderr
    assert [row for row, line in enumerate(labelled.stdout.split()) if line == '""'] == [3, 77]


def test_lines_that_are_not_rows_are_named_or_left_out(folder: Path) -> None:
    (folder / "lines.csv").write_text("a,b\n1,2\n3,six\n5,6\n7\n")
    told = run(folder, "train", "lines.csv", "model", "-k", "2", code=2).stderr
    assert told == (
        "centroids: lines.csv, line 3, column 'b': 'six' is not a number; correct it, or "
        "choose other columns with --columns, or leave such lines out with --bad-rows drop\n"
    )
    told = run(folder, "train", "lines.csv", "model", "-k", "2", "--columns", "a", code=2).stderr
    assert "line 5: 1 field," in told and told.endswith("out with --bad-rows drop\n")
    run(folder, "train", "lines.csv", "model", "-k", "2", "--bad-rows", "drop")


def test_a_file_without_rows_is_told_by_its_name(folder: Path) -> None:
    run(folder, "train", "points.npy", "model", "-k", "3")
    np.save(folder / "empty.npy", POINTS[:0])
    (folder / "empty.csv").write_text("a,b,c,d\n")
    for name in ("empty.npy", "empty.csv"):
        told = run(folder, "evaluate", "model", name, code=2).stderr
        assert told == f"centroids: {name} has no rows\n"
        told = run(folder, "train", name, "new", "-k", "3", "--mini-batch", code=2).stderr
        assert told.endswith(f"centroids: {name} has no rows\n")


@pytest.mark.parametrize("mode", ["--full-batch", "--mini-batch"])
def test_an_array_that_is_not_a_matrix_of_real_numbers_creates_nothing(
    folder: Path, mode: str
) -> None:
    np.save(folder / "cube.npy", np.zeros((9, 2, 3)))
    np.save(folder / "complex.npy", POINTS.astype(np.complex64))
    messages = {
        "cube.npy": "cube.npy must have the shape [n, d] with d at least 1, or [n]; each point has",
        "complex.npy": "complex.npy must hold real numbers, got elements of type complex64",
    }
    run(folder, "train", "points.npy", "model", "-k", "3")
    for name, message in messages.items():
        told = run(folder, "train", name, "new", "-k", "3", mode, code=2).stderr
        assert told.startswith(f"centroids: {message}") and len(told.splitlines()) == 1
        assert not (folder / "new").exists()
        for command in ("predict", "evaluate"):
            assert message in run(folder, command, "model", name, code=2).stderr


def test_another_file_is_refused_or_begun(folder: Path) -> None:
    np.save(folder / "more.npy", POINTS[:300])
    options = ["-k", "3", "--batch-size", "100", "--steps", "2"]
    run(folder, "train", "points.npy", "model", *options)
    refused = run(folder, "train", "more.npy", "model", *options, code=2)
    assert "shape was [500, 4], now it is [300, 4]" in refused.stderr
    assert refused.stderr.endswith("at its beginning, pass --restart-input\n")
    run(folder, "train", "more.npy", "model", *options, "--restart-input")


def test_a_trained_model_needs_no_options(folder: Path) -> None:
    run(folder, "train", "points.npy", "model", "-k", "3", "--distance-metric", "cosine")
    before = int(np.asarray(open_model(folder / "model").get_variable_value("global_step")))
    again = run(folder, "train", "points.npy", "model", "--steps", "1").stdout
    assert "Trained 1 full-batch step in" in again
    model = open_model(folder / "model")
    assert model.params["distance_metric"] == "cosine"
    assert model.get_variable_value("global_step") == before + 1


def test_options_of_mini_batches_are_never_ignored(folder: Path) -> None:
    done = run(folder, "train", "points.npy", "model", "-k", "3", "--batch-size", "100")
    assert "Trained 25 mini-batch steps" in done.stdout  # 5 epochs of 5 batches
    both = ["--full-batch", "--epochs", "2"]
    refused = run(folder, "train", "points.npy", "other", "-k", "3", *both, code=2)
    assert "--epochs is for mini-batches" in refused.stderr


def test_names_are_shown_as_they_are(folder: Path) -> None:
    names = ["[/b]", "[bold]", ":smile:", "next\x85line", "a\u2028b"] * 100
    (folder / "words.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    run(folder, "train", "points.npy", "[b]", "-k", "3")
    options = ["--points", "points.npy", "--words", "words.txt", "--nearest", "40"]
    shown = run(folder, "inspect", "[b]", *options).stdout
    assert shown.startswith("[b]\n")
    assert "[/b]" in shown and "[bold]" in shown and ":smile:" in shown


def test_inspect_shows_the_nearest_by_name(folder: Path) -> None:
    run(folder, "train", "points.npy", "model", "-k", "3")
    options = ["--points", "points.npy", "--words", "words.txt", "--nearest", "2"]
    shown = run(folder, "inspect", "model", *options).stdout
    run(folder, "predict", "model", "points.npy", "--distances", "-o", "distances.npy")
    nearest = np.load(folder / "distances.npy").argmin(axis=0)
    for row in nearest:
        assert f"word{row}" in shown
    assert "score:" in shown


def test_initial_centers_come_from_a_file_and_columns_are_chosen(folder: Path) -> None:
    np.save(folder / "centers.npy", POINTS[:3, :2])
    options = ["--initial-clusters", "centers.npy", "--columns", "a,b"]
    run(folder, "train", "points.csv", "model", *options)
    assert "3 clusters of 2 dimensions" in run(folder, "inspect", "model").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "absent.npy", "model", "-k", "3"], 2, "centroids: absent.npy: No such file"),
        (["train", "words.txt", "model", "-k", "3"], 2, "words.txt"),
        (["train", "points.npy", "model"], 2, "--num-clusters is needed"),
        (
            ["train", "points.npy", "model", "-k", "3", "--max-steps", "0"],
            2,
            "--max-steps must be at",
        ),
        (["train", "points.npy", "model", "-k", "0"], 2, "--num-clusters must be at least 1"),
        (
            ["train", "points.npy", "model", "-k", "501"],
            2,
            "--num-clusters is 501, but points.npy has only 500 points",
        ),
        (["train", "points.npy", "words.txt", "-k", "3"], 2, "words.txt"),
        (["train", "points.npy", "model", "-k", "3", "--initial-clusters", "x"], 2, "got 'x'"),
        (
            ["train", "points.npy", "model", "--initial-clusters", "void.npy"],
            2,
            "void.npy is not a .npy file",
        ),
        (
            ["train", "points.npy", "model", "--initial-clusters", "points.json"],
            2,
            ".svm or .tfrecord; got 'points.json'",
        ),
        (["train", "points.npy", "model", "-k", "3", "--epochs", "0"], 2, "--epochs must be at"),
        (["train", "points.npy", "model", "-k", "3", "--steps", "0"], 2, "--steps must be at"),
        (
            ["train", "points.npy", "model", "-k", "3", "--relative-tolerance", "nan"],
            2,
            "--relative-tolerance must be at least 0 and finite, got nan",
        ),
        (
            ["train", *["points.npy", "model", "-k", "3", "--steps", "1", "--max-steps", "2"]],
            2,
            "leave one out",
        ),
        (["train", "norows.npy", "model", "-k", "3"], 2, "centroids: norows.npy has no rows"),
        (["train", "norows.csv", "model", "-k", "3"], 2, "centroids: norows.csv has no rows"),
        (["train", "norows.parquet", "model", "-k", "3"], 2, "norows.parquet has no rows"),
        (
            ["train", "words.parquet", "model", "-k", "3"],
            2,
            "words.parquet['a'] must hold",
        ),
        (["predict", "absent", "points.npy"], 2, "absent holds no trained model"),
        (["inspect", "absent"], 2, "absent holds no trained model"),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    folder: Path, arguments: list[str], code: int, message: str
) -> None:
    (folder / "void.npy").touch()
    np.save(folder / "norows.npy", POINTS[:0])
    (folder / "norows.csv").write_text("a,b\n")
    import pyarrow
    import pyarrow.parquet

    words = pyarrow.table({"a": ["of"]})
    pyarrow.parquet.write_table(words, folder / "words.parquet")
    nothing = pyarrow.table({"a": pyarrow.array([], pyarrow.float32())})
    pyarrow.parquet.write_table(nothing, folder / "norows.parquet")
    done = run(folder, *arguments, code=code)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (folder / "model" / "checkpoint").exists()


def test_a_wrong_output_or_width_leaves_no_file(folder: Path) -> None:
    run(folder, "train", "points.npy", "model", "-k", "3")
    done = run(folder, "predict", "model", "points.npy", "-o", "labels.xlsx", code=2)
    assert "a .npy, .csv or .parquet file or -, got labels.xlsx" in done.stderr
    np.save(folder / "wide.npy", np.zeros((5, 9)))
    done = run(folder, "predict", "model", "wide.npy", "-o", "labels.npy", code=2)
    assert "9 columns" in done.stderr and "4 columns" in done.stderr
    assert not list(folder.glob("labels*"))
    done = run(folder, "predict", "model", "points.npy", "-o", "absent/labels.npy", code=2)
    assert done.stderr == "centroids: --output absent/labels.npy: there is no folder absent\n"
    long = "l" * 250 + ".npy"  # which leaves no room for the name of a temporary file
    done = run(folder, "predict", "model", "points.npy", "-o", long, code=2)
    assert done.stderr == f"centroids: --output {long}: File name too long\n"
    # Nothing is written through a link that somebody has put beside the output.
    (folder / "precious").write_text("mine")
    (folder / "labels.npy.temporary").symlink_to("precious")
    run(folder, "predict", "model", "points.npy", "-o", "labels.npy")
    assert (folder / "precious").read_text() == "mine"


def test_more_than_a_sentence_is_shown_on_request(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "centroids", "--debug", "inspect", "absent"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2 and "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("centroids: absent holds no trained model")


@pytest.mark.parametrize(
    "command", [["--debug", "inspect", "absent"], ["inspect", "absent", "--debug"]]
)
def test_the_place_of_debug_changes_nothing(folder: Path, command: list[str]) -> None:
    told = run_here(folder, *command, code=2).stderr
    assert told.startswith("Traceback") and "ValueError: absent holds no trained model" in told


def test_another_model_than_there_is_is_refused(folder: Path) -> None:
    run(folder, "train", "points.npy", "model", "-k", "3")
    for option, value, has in (
        ("--num-clusters", "4", "3"),
        ("--distance-metric", "cosine", "squared_euclidean"),
    ):
        done = run(folder, "train", "points.npy", "model", option, value, code=2)
        assert done.stdout == "" and done.stderr == (
            f"centroids: {option} is {value}, but the model in model has {has}: leave it out, or "
            "make a new model with --fresh or in another folder\n"
        )
    wide = run(folder, "train", "points.csv", "model", "--columns", "a,b", code=2)
    assert wide.stdout == "" and "points have 2 columns" in wide.stderr


def test_ctrl_c_ends_any_command_with_a_word(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(folder, "train", "points.npy", "model", "-k", "3")

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for function in ("predict", "evaluate"):
        monkeypatch.setattr(inference, function, interrupt)
        assert run(folder, function, "model", "points.npy", code=130).stderr == "Stopped.\n"


def test_an_unforeseen_error_is_one_sentence_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**unused: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(app, "app", fail)
    monkeypatch.setattr(sys, "argv", ["centroids", "inspect", "model"])
    with pytest.raises(SystemExit) as stopped:
        app.main()
    assert stopped.value.code == 1
    assert capsys.readouterr().err == (
        "centroids: RuntimeError: odd (centroids --debug shows more)\n"
    )


def test_the_version_is_told(folder: Path) -> None:
    assert run_apart(folder, "--version").stdout == f"centroids {centroids.__version__}\n"


def test_help_teaches(folder: Path) -> None:
    assert "centroids train points.npy" in run(folder, "--help").stdout
    for command in ("train", "predict", "evaluate", "inspect"):
        assert f"centroids {command} " in run(folder, command, "--help").stdout


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "points.npy", "model"],
        ["evaluate", "points.npy", "model"],
        ["inspect", "points.npy"],
        ["export", "points.npy", "centers.csv"],
        ["verify", "points.npy"],
    ],
)
def test_arguments_the_wrong_way_round_are_told(folder: Path, command: list[str]) -> None:
    told = run(folder, *command, code=2).stderr
    assert told == "centroids: points.npy is a file of points; the model folder comes first\n"


def test_a_model_folder_before_the_points_is_told(folder: Path) -> None:
    run(folder, "train", "points.npy", "model", "-k", "3")
    told = run(folder, "train", "model", "points.npy", "-k", "3", code=2).stderr
    assert told == (
        "centroids: points.npy is a file, and model a folder: the points come first, then the "
        "folder of the model\n"
    )
    told = run(folder, "predict", "words.txt.gz", "points.npy", code=2).stderr
    assert "words.txt.gz holds no trained model" in told
    (folder / "words.gz").touch()
    told = run(folder, "inspect", "words.gz", code=2).stderr
    assert told == "centroids: words.gz is a file; the folder of a trained model is needed\n"


def test_a_quiet_training_says_nothing_but_what_is_wrong(folder: Path) -> None:
    done = run(folder, "train", "points.npy", "model", "-k", "3", "--quiet")
    assert (done.stdout, done.stderr) == ("", "")
    done = run(folder, "train", "points.npy", "model", "--fresh", "-q")
    assert (done.stdout, done.stderr) == ("", "")
    done = run(folder, "predict", "model", "points.npy", "-o", "labels.npy", "-q")
    assert (done.stdout, done.stderr) == ("", "")
    assert np.load(folder / "labels.npy").shape == (500,)
    bad = POINTS.copy()
    bad[7, 1] = np.nan
    np.save(folder / "bad.npy", bad)
    assert "got nan in bad.npy" in run(folder, "train", "bad.npy", "model", "-q", code=2).stderr
    warned = run(folder, "train", "bad.npy", "model", "-q", "--bad-rows", "drop")
    assert warned.stdout == "" and "Dropped 1 of 500 rows" in warned.stderr
