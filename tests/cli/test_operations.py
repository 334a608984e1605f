"""What all commands have: JSON, values from a file and the environment, a log, threads.

Over 400 lines: each promise about all commands is tested over one table of commands.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids.cli import app
from tests.cli.run_here import run_here as run
from tests.pseudo_terminal import read_terminal

POINTS = np.random.default_rng(0).normal(size=(300, 2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "points.npy", POINTS)
    run(tmp_path, "train", "points.npy", "model", "-k", "3")
    return tmp_path


def as_json(folder: Path, *command: str, code: int = 0) -> Any:
    done = run(folder, *command, "--json", code=code)
    (line,) = done.stdout.splitlines()
    return json.loads(line)


KEYS = {
    "train": "model_dir mode num_clusters distance_metric seconds steps global_step loss "
    "mean_distance ended_by num_empty_clusters",
    "predict": "output num_rows num_empty key",
    "evaluate": "num_points total_weight global_step distance_metric mean_distance "
    "sum_of_distances",
    "choose-k": "num_clusters reason candidates knee num_points num_sampled total_weight",
    "inspect": "model_dir num_clusters dimensions dtype distance_metric global_step mode columns "
    "weight_column id_column centers cluster_sizes",
    "report": "output num_points",
    "verify": "good files",
    "export": "output format global_step use_with",
}
COMMANDS = {
    "train": ["points.npy", "model"],
    "predict": ["model", "points.npy", "-o", "labels.npy"],
    "evaluate": ["model", "points.npy"],
    "choose-k": ["points.npy", "-k", "2-3"],
    "inspect": ["model"],
    "report": ["model", "points.npy"],
    "verify": ["model"],
    "export": ["model", "centers.csv"],
}


@pytest.mark.parametrize("command", KEYS)
def test_every_command_answers_in_json(folder: Path, command: str) -> None:
    assert list(as_json(folder, command, *COMMANDS[command])) == KEYS[command].split()


def test_the_numbers_are_those_of_the_points(folder: Path) -> None:
    centers = np.load(run_export(folder))
    squares = ((POINTS[:, None] - centers) ** 2).sum(axis=2)
    found = as_json(folder, "evaluate", "model", "points.npy")
    assert found["mean_distance"] == pytest.approx(squares.min(axis=1).mean())
    shown = as_json(folder, "inspect", "model", "--points", "points.npy")
    assert shown["cluster_sizes"] == np.bincount(squares.argmin(axis=1)).tolist()


def run_export(folder: Path) -> Path:
    run(folder, "export", "model", "centers.npy")
    return folder / "centers.npy"


def test_a_command_without_an_answer_gives_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    from centroids.cli import verification

    def verify(model_dir: Path) -> bool:
        print("well")
        return True

    monkeypatch.setattr(verification, "verify", verify)
    assert as_json(Path.cwd(), "verify", "model") == {"text": ["well"]}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["evaluate", "model", "absent.npy"], "absent.npy: No such file or directory"),
        (
            ["evaluate", "model", "points.npy", "--foo"],
            "--foo is not an option of centroids evaluate; see ",
        ),
        (["predict", "model", "points.npy"], "--json prints an object on standard output"),
        (["train", "points.npy", "new", "-k", "x"], "-k must be an integer, got 'x'"),
    ],
)
def test_errors_are_json_too(folder: Path, command: list[str], message: str) -> None:
    done = run(folder, *command, "--json", code=2)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    told = json.loads(line)
    assert told["message"].startswith(message)
    assert (told["level"], told["exit_code"]) == ("error", 2)
    assert not (folder / "new").exists()


def test_warnings_and_notes_are_lines_of_json(folder: Path) -> None:
    bad = POINTS.copy()
    bad[3] = np.nan
    np.save(folder / "bad.npy", bad)
    options = ["--bad-rows", "drop", "--log-format", "json", "-o", "labels.npy"]
    done = run(folder, "evaluate", "model", "bad.npy", *options[:4])
    *_, warning = map(json.loads, done.stderr.splitlines())
    assert warning["level"] == "warning" and "Dropped 1 of 300 rows" in warning["message"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", warning["time"])
    assert "mean distance" in done.stdout  # which stays for people
    done = run(folder, "predict", "model", "points.npy", *options[2:])
    assert json.loads(done.stderr)["message"] == "Wrote 300 rows to labels.npy"


def test_precedence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.toml").write_text(
        "num-threads = 1\n[train]\nmax-steps = 20\nrelative_tolerance = 0\nfull-batch = true\n"
    )
    given = ["train", "points.npy", "model", "--relative-tolerance", "0"]

    def settings() -> dict[str, Any]:
        found: dict[str, Any] = json.loads((folder / "model" / "settings.json").read_text())
        return found

    run(folder, *given[:3], "--config", "a.toml")
    assert settings()["ends_at_step"] == 20 and settings()["relative_tolerance"] == 0
    monkeypatch.setenv("CENTROIDS_TRAIN_MAX_STEPS", "30")
    monkeypatch.setenv("CENTROIDS_CONFIG", "a.toml")
    run(folder, *given[:3])
    assert settings()["ends_at_step"] == 30
    run(folder, *given[:3], "--max-steps", "40")
    assert settings()["ends_at_step"] == 40


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nsetps = 3\n", "c.toml: [train] 'setps' is not an option; did you mean steps?"),
        ("[tran]\nsteps = 3\n", "c.toml: [tran] is not a command; there are choose-k, "),
        ("steps = 3\n", "c.toml: 'steps' is not an option of all commands (json, log-every, "),
        ("[train]\nsteps = 2.5\n", "c.toml: [train] steps must be an integer, got 2.5"),
        ("[train]\nsteps = true\n", "c.toml: [train] steps must be an integer, got true"),
        ("[train]\nquiet = 1\n", "c.toml: [train] quiet must be true or false, got 1"),
        ("[train\n", "--config c.toml is not TOML: "),
        ("[predict]\nsteps = 3\n", "c.toml: [predict] 'steps' is not an option"),
        (None, "--config c.toml: No such file or directory"),
    ],
)
def test_what_a_file_may_not_hold(folder: Path, text: str | None, message: str) -> None:
    if text is not None:
        (folder / "c.toml").write_text(text)
    told = run(folder, "train", "points.npy", "new", "-k", "3", "--config", "c.toml", code=2)
    assert told.stderr.startswith(f"centroids: {message}") and told.stderr.count("\n") == 1
    assert told.stdout == "" and not (folder / "new").exists()


def test_a_byte_order_mark_is_not_content(folder: Path) -> None:
    (folder / "c.toml").write_bytes(b"\xef\xbb\xbfjson = true\n")
    told = run(folder, "evaluate", "model", "points.npy", "--config", "c.toml").stdout
    assert json.loads(told)["num_points"] == 300


@pytest.mark.parametrize("second", ["mini-batch = true", "full_batch = false"])
def test_a_file_says_an_option_once(folder: Path, second: str) -> None:
    (folder / "c.toml").write_text(f"[train]\nfull-batch = true\n{second}\n")
    told = run(folder, "train", "points.npy", "model", "--config", "c.toml", code=2).stderr
    assert "are the same option: leave one out" in told


@pytest.mark.parametrize(
    ("text", "variables", "options", "in_json"),
    [
        ("json = true", {}, ["--foo"], True),
        ("json = true\n[evaluate]\nfoo = 1", {}, [], False),  # it is not a file that holds
        ("log-format = 'json'", {}, ["--foo"], True),
        ("json = true", {}, ["--foo", "--log-format", "text"], False),
        ("", {"CENTROIDS_JSON": "0"}, ["--foo"], False),
        ("", {"CENTROIDS_EVALUATE_JSON": "yes"}, ["--foo"], True),
        ("", {"CENTROIDS_JSON": "1", "CENTROIDS_EVALUATE_JSON": "0"}, ["--foo"], False),
        ("", {}, ["--log-format", "json", "--foo"], True),
    ],
)
def test_mistakes_in_options_are_told_as_is_asked(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    variables: dict[str, str],
    options: list[str],
    in_json: bool,
) -> None:
    (folder / "c.toml").write_text(text)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    given = ["evaluate", "model", "points.npy", "--config", "c.toml", *options]
    assert run(folder, *given, code=2).stderr.startswith("{") is in_json


def test_a_command_that_is_unknown_is_told_in_json(folder: Path) -> None:
    told = json.loads(run(folder, "evalute", "--json", code=2).stderr)
    assert told["message"].startswith("'evalute' is not a command; did you mean evaluate?")


def test_the_variable_of_a_command_goes_before_that_of_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "c.toml").write_text("json = true\n")
    monkeypatch.setenv("CENTROIDS_CONFIG", "absent.toml")
    monkeypatch.setenv("CENTROIDS_EVALUATE_CONFIG", "c.toml")
    assert run(folder, "evaluate", "model", "points.npy").stdout.startswith("{")
    monkeypatch.setenv("CENTROIDS_EVALUATE_JSON", "0")
    assert run(folder, "evaluate", "model", "points.npy").stdout.startswith("points")


def test_seconds_between_lines_are_a_number(folder: Path) -> None:
    told = run(folder, "evaluate", "model", "points.npy", "--log-every", "nan", code=2).stderr
    assert "--log-every must be more than 0 seconds, got nan" in told


def test_a_range_without_end_is_refused(folder: Path) -> None:
    told = run(folder, "choose-k", "points.npy", "-k", "2-99999999999", code=2).stderr
    assert "--num-clusters must be at most 10,000 numbers, got '2-99999999999'" in told


def test_words_of_a_file_are_those_of_options(folder: Path) -> None:
    (folder / "p.csv").write_text("a,b,c\n" + "".join(f"{i},{i % 7},{i % 3}\n" for i in range(50)))
    (folder / "c.toml").write_text(
        '[train]\nnum-clusters = 2\ncolumns = ["a", "c"]\nmini-batch = true\nno-shuffle = true\n'
    )
    run(folder, "train", "p.csv", "m", "--config", "c.toml")
    kept = json.loads((folder / "m" / "settings.json").read_text())
    assert kept["columns"] == ["a", "c"]
    assert kept["use_mini_batch"] is True and kept["shuffle"] is False


def test_a_variable_that_is_not_an_option_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CENTROIDS_TRAIN_SETPS", "3")
    told = run(folder, "train", "points.npy", "model", code=2).stderr
    assert "CENTROIDS_TRAIN_SETPS is not an option of centroids train; did you mean" in told
    run(folder, "inspect", "model")  # it is none of this command's
    monkeypatch.delenv("CENTROIDS_TRAIN_SETPS")
    monkeypatch.setenv("CENTROIDS_TRAIN_STEPS", "many")
    told = run(folder, "train", "points.npy", "model", code=2).stderr
    assert told.startswith("centroids: CENTROIDS_TRAIN_STEPS must be an integer, got 'many'")


def test_options_of_the_application_have_no_variables(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CENTROIDS_VERSION", "1")
    assert "3 clusters" in run(folder, "inspect", "model").stdout


def test_threads_change_no_bit(folder: Path) -> None:
    for count in ("1", "2"):
        options = ["-k", "5", "--num-threads", count]
        run(folder, "train", "points.npy", f"m{count}", *options)
        run(folder, "export", f"m{count}", f"{count}.npy")
    assert (folder / "1.npy").read_bytes() == (folder / "2.npy").read_bytes()
    told = run(folder, "inspect", "model", "--num-threads", "0", code=2).stderr
    assert told == "centroids: --num-threads must be from 1 to 4096, got 0\n"


def test_verbose_shows_what_happens_inside(folder: Path) -> None:
    assert run(folder, "train", "points.npy", "model").stderr == ""
    told = run(folder, "train", "points.npy", "model", "--verbose").stderr
    assert re.search(r"centroids: \d\d:\d\d:\d\d Saving checkpoints for \d+ into", told)
    assert run(folder, "train", "points.npy", "model").stderr == ""


SLOW = """
import sys, time
from centroids.cli import main
from centroids.kmeans.model import KMeansModel
before = KMeansModel._initialize
def slow(*arguments):
    time.sleep(0.6)
    return before(*arguments)
KMeansModel._initialize = slow
sys.argv[0] = "centroids"
main()
"""


def environment() -> dict[str, str]:
    paths = os.pathsep.join(filter(None, sys.path))
    return {**os.environ, "PYTHONPATH": paths, "TERM": "xterm", "COLUMNS": "200"}


def test_lines_come_without_a_terminal(folder: Path) -> None:
    command = [sys.executable, "-c", SLOW, "train", "points.npy", "slow", "-k", "3"]
    command += ["--log-every", "0.2"]
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=True
    )
    assert re.search(
        r"^centroids: [\d:]+ choosing initial centers: 0:00:0\d", done.stderr, re.MULTILINE
    ), done.stderr
    if sys.platform == "linux":
        assert re.search(r"memory \d+ MB \(at most \d+ MB\)", done.stderr)
    command[-1] = "0.2"
    command[5] = "again"
    done = subprocess.run(
        [*command, "--json"], cwd=folder, env=environment(), capture_output=True, text=True
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    found = [line for line in lines if line.get("doing") == "choosing initial centers"]
    assert found and found[0]["event"] == "progress" and found[0]["unit"] == "steps"
    assert json.loads(done.stdout)["steps"] > 0
    quiet = subprocess.run(
        [*command[:4], "points.npy", "quiet", *command[6:], "--quiet"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert quiet.stderr == quiet.stdout == ""


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo terminals")
def test_a_terminal_has_a_line_that_is_drawn_over(folder: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    code = SLOW.replace("time.sleep(0.6)", "time.sleep(2.6)")
    command = [sys.executable, "-c", code, "train", "points.npy", "slow", "-k", "3"]
    child = subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=theirs, text=True
    )
    os.close(theirs)
    shown = read_terminal(ours)
    out, _ = child.communicate(timeout=60)
    text = shown.decode()
    assert "choosing initial centers" in text and "\x1b[2K" in text and "centroids: " not in text
    assert out.startswith("Trained ") and "\x1b" not in out


def test_validation_ends_training(folder: Path) -> None:
    np.save(folder / "others.npy", np.random.default_rng(9).normal(size=(200, 2)))
    options = ["-k", "20", "--validation", "others.npy", "--patience", "2"]
    options += ["--relative-tolerance", "0"]
    found = as_json(folder, "train", "points.npy", "m", *options)
    assert found["ended_by"] == "validation" and found["validation"]["metric"] == "mean_distance"
    assert found["validation"]["num_evaluations"] == found["steps"]
    assert found["validation"]["best_step"] == found["steps"] - 2
    told = run(folder, "train", "points.npy", "m2", *options).stdout
    assert "Stopped by --validation: its mean distance no longer falls." in told
    assert re.search(r"Validation: the lowest mean distance was 0\.\d+, after step \d+, the", told)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--validation", "absent.npy"], "absent.npy: No such file or directory"),
        (["--validation", "wide.npy"], "--validation: the points of wide.npy have 3 columns"),
        (["--patience", "3"], "--patience is for --validation POINTS"),
        (["--validate-every", "3"], "--validate-every is for --validation POINTS"),
        (["--validation", "points.npy", "--patience", "0"], "--patience must be at least 1"),
    ],
)
def test_what_validation_cannot_be(folder: Path, options: list[str], message: str) -> None:
    np.save(folder / "wide.npy", np.zeros((5, 3)))
    told = run(folder, "train", "points.npy", "new", "-k", "3", *options, code=2).stderr
    assert told.startswith(f"centroids: {message}") and not (folder / "new").exists()


def test_options_are_common_to_all_commands() -> None:
    import typer

    for name, command in typer.main.get_command(app.app).commands.items():
        names = {word for param in command.params for word in param.opts}
        assert names >= {"--json", "--config", "--log-format", "--verbose", "--num-threads"}, name


def test_the_rows_of_parquet_are_known(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    from centroids.cli.points_file import PointsFile

    parquet.write_table(arrow.table({"a": POINTS[:, 0], "b": POINTS[:, 1]}), folder / "p.parquet")
    assert PointsFile(folder / "p.parquet").num_rows() == 300
    run(folder, "train", "p.parquet", "m", "-k", "3")
    from centroids.cli import inference

    given: list[Any] = []
    hook = inference.ProgressBarHook

    def make(*arguments: Any, **options: Any) -> Any:
        given.append(options["num_rows"])
        return hook(*arguments, **options)

    monkeypatch.setattr(inference, "ProgressBarHook", make)
    run(folder, "predict", "m", "p.parquet", "-o", "l.npy")
    run(folder, "evaluate", "m", "p.parquet")
    assert given == [300, 300]


def test_an_interrupted_run_goes_on_whatever_the_file_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shlex
    import signal

    from centroids.cli import training

    (folder / "c.toml").write_text("[train]\nfresh = true\nsteps = 6\nrelative-tolerance = 0\n")
    begin = training.Outcome.after_run

    def interrupt(outcome: Any, *arguments: Any) -> None:
        begin(outcome, *arguments)
        if outcome.steps == 2:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(training.Outcome, "after_run", interrupt)
        options = ["points.npy", "model", "--config", "c.toml", "--seed", "5"]
        told = run(folder, "train", *options, code=130).stderr
    again = told.splitlines()[-1].removeprefix("Continue with: ")
    assert again.startswith("CENTROIDS_TRAIN_FRESH=0 centroids train points.npy model --config")
    words = shlex.split(again)
    monkeypatch.setenv(*words[0].split("=", 1))
    assert "Continuing the model in model (2 steps" in run(folder, *words[2:]).stdout
    assert as_json(folder, "inspect", "model")["global_step"] == 6


def test_a_query_is_a_validation_set(folder: Path) -> None:
    pytest.importorskip("duckdb")
    others = np.random.default_rng(9).normal(size=(200, 2))
    np.savetxt(folder / "others.csv", others, delimiter=",", header="a,b", comments="")
    options = ["-k", "20", "--patience", "2", "--validation"]
    by_file = as_json(folder, "train", "points.npy", "m", *options, "others.csv")
    query = "SELECT a, b FROM 'others.csv'"
    by_query = as_json(folder, "train", "points.npy", "m2", *options, query)
    assert by_query["validation"] == by_file["validation"]
    config = f'[train]\nvalidation = "{query}"\n'
    (folder / "c.toml").write_text(config)
    by_config = as_json(folder, "train", "points.npy", "m3", *options[:4], "--config", "c.toml")
    assert by_config["validation"] == by_file["validation"]


@pytest.mark.parametrize("bad", ["nan", "inf", "x", ""])
def test_a_bad_row_of_the_validation_set_is_found_before_there_is_a_model(
    folder: Path, bad: str
) -> None:
    rows = "1,2\n" * 300
    (folder / "bad.csv").write_text(f"a,b\n{rows}1,{bad}\n{rows}")
    (folder / "empty.csv").write_text("a,b\n1,\n,2\n3,\n")
    (folder / "good.csv").write_text("a,b\n1,2\n3,4\n5,7\n")
    before = set(folder.iterdir())
    options = ["-k", "3", "--mini-batch", "--validation"]
    told = run(folder, "train", "points.npy", "new", *options, "bad.csv", code=2).stderr
    assert told.startswith("centroids: ") and "bad.csv, line 302, column 'b'" in told, told
    assert len(told.splitlines()) == 1 and "--bad-rows drop" in told
    assert ("--missing mean" in told) == (bad in ("nan", "")), told
    told = run(
        folder, "train", "good.csv", "new", *options, "empty.csv", "--missing", "drop", code=2
    ).stderr
    assert told.splitlines()[-1] == (
        "centroids: all 3 rows of the input have missing values; the first one is "
        "empty.csv, line 2, column 'b'"
    )
    assert set(folder.iterdir()) == before
    run(folder, "train", "points.npy", "new", *options, "bad.csv", "--bad-rows", "drop")


@pytest.mark.parametrize(
    ("first", "options"),
    [("1,", ["--missing", "mean"]), ("1,", ["--missing", "drop"]), ("1,x", ["--bad-rows", "drop"])],
)
@pytest.mark.parametrize("more", [["--validation", "b.csv"], ["--initial-clusters", "c.csv"]])
def test_the_first_row_may_be_one_that_is_left_out_or_filled(
    folder: Path, first: str, options: list[str], more: list[str]
) -> None:
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text(f"a,b\n{first}\n" + "1,2\n3,5\n" * 3)
    (folder / "c.csv").write_text("a,b\n1,2\n3,5\n")
    found = as_json(folder, "train", "a.csv", "m", "-k", "2", *options, *more)
    assert found["steps"] > 0
