"""A wrong value of any option of any command, from the command line, a variable and a file."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from centroids.cli.app import app
from tests.cli.run_here import run_here as run

pytest.importorskip("pyarrow")
pytest.importorskip("PIL")

POINTS = np.random.default_rng(0).normal(size=(40, 3))
COMMANDS = {
    "train": ["points.csv", "new", "-k", "2"],
    "predict": ["model", "points.csv", "-o", "out.csv"],
    "transform": ["model", "points.csv", "-o", "out.csv"],
    "evaluate": ["model", "points.csv"],
    "score": ["model", "points.csv"],
    "choose-k": ["points.csv", "-k", "2"],
    "inspect": ["model", "--points", "points.csv"],
    "report": ["model", "points.csv", "-o", "out.html"],
    "quantize": ["picture.png", "-o", "out.png"],
    "verify": ["model"],
    "export": ["model", "out.npz"],
    "import": ["model", "new"],
}
# What an option that takes a text may not be; one that is not here takes any.
TEXTS = {
    "columns": "nonesuch",
    "weight_column": "nonesuch",
    "id_column": "nonesuch",
    "show": "nonesuch",
    "delimiter": "ab",
    "decimal": "xy",
    "thousands": "xy",
    "encoding": "klingon",
    "validation": "nonesuch.csv",
    "points": "nonesuch.csv",
    "words": "nonesuch.txt",
    "words_column": "nonesuch",
    "initial_clusters": "nonesuch",
    "pictures": "nonesuch",
    "output": "nonesuch/out.html",
    "plot": "nonesuch/out.svg",
    "checkpoint": "nonesuch",
    "num_clusters": "nonesuch",
}
OF_ALL = ("json", "log_format", "log_every", "verbose", "num_threads")
ALLOWED = {
    "int": ("many", r"an integer( of at least [01])?"),
    "float": ("much", "a number"),
    "bool": ("maybe", "true or false"),
    "StrEnum": ("nonesuch", r"[a-z0-9_]+( or [a-z0-9_]+)+"),
}
BAD_WORDS = re.compile(r"Input should|Value error|Invalid value|Traceback|Error:|Usage:")


def options() -> Iterator[tuple[str, Any]]:
    commands = typer.main.get_command(app).commands
    for name, command in commands.items():
        for param in command.params:
            is_option = param.param_type_name == "option" and param.name not in ("help", "config")
            # Those of all commands are the same everywhere.
            if is_option and (param.name not in OF_ALL or name == "verify"):
                yield name, param


def kind_of(param: Any) -> str:
    """What an option takes, by its help page."""
    if getattr(param, "is_flag", False):
        return "bool"
    shown = vars(param).get("type_descriptor", None)
    if shown is not None:
        if shown.is_choice:
            return "StrEnum"
        kind = shown.annotation.__name__
    else:
        kind = {"integer": "int", "integer range": "int", "choice": "StrEnum"}.get(
            param.type.name, param.type.name
        )
    return kind if kind in ALLOWED else "str"


CASES = [
    pytest.param(command, param, id=f"{command} {param.name}")
    for command, param in options()
    if kind_of(param) in ALLOWED or param.name in TEXTS
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import pyarrow
    from PIL import Image
    from pyarrow import parquet

    folder = tmp_path_factory.mktemp("options")
    np.savetxt(folder / "points.csv", POINTS, delimiter=",", header="a,b,c", comments="")
    parquet.write_table(
        pyarrow.table({"word": list(map(str, range(40)))}), folder / "words.parquet"
    )
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / "picture.png")
    run(folder, "train", "points.csv", "model", "-k", "2", "--quiet")
    return folder


def without(words: list[str], param: Any) -> list[str]:
    """The arguments of a command without one of its options."""
    place = next((i for i, word in enumerate(words) if word in param.opts), len(words))
    return [*words[:place], *words[place + 2 :]]


def line_of(folder: Path, *words: str) -> str:
    before = sorted(folder.rglob("*"))
    done = run(folder, *words, code=2)
    assert sorted(folder.rglob("*")) == before and not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("centroids: ") and not BAD_WORDS.search(line), line
    return line.removeprefix("centroids: ")


@pytest.mark.parametrize(("command", "param"), CASES)
def test_a_wrong_value_is_named_with_its_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: str, param: Any
) -> None:
    flag = max(param.opts, key=len)
    kind = kind_of(param)
    value, allowed = ALLOWED.get(kind, (TEXTS.get(param.name, ""), ""))
    words = [command, *without(COMMANDS[command], param)]
    if param.name == "words_column":
        words += ["--words", "words.parquet"]
    variable = f"CENTROIDS_{command.upper().replace('-', '_')}_{param.name.upper()}"
    key = flag.removeprefix("--")
    config = folder.parent / "c.toml"
    config.write_text(f"[{command}]\n{key} = {json.dumps(value)}\n")

    lines = {}
    given = [f"{flag}={value}"] if kind == "bool" else [flag, value]
    lines[flag] = line_of(folder, *words, *given)
    with monkeypatch.context() as patch:
        patch.setenv(variable, value)
        lines[variable] = line_of(folder, *words)
    lines[f"{config}: [{command}] {key}"] = line_of(folder, *words, "--config", str(config))
    for name, line in lines.items():
        if kind == "bool" and name == flag:
            assert line == f"{flag} takes no value"
        elif kind in ALLOWED:
            told = rf"{re.escape(name)} must be {allowed}, got '{value}'"
            assert re.fullmatch(told, line), line
        else:
            assert value in line, line
            assert name in line or name == flag, line


def test_short_names_and_switches_are_named_as_they_were_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = ["train", "points.csv", "new"]
    assert line_of(folder, *train, "-kx") == "-k must be an integer, got 'x'"
    assert line_of(folder, *train, "--seed=x") == "--seed must be an integer, got 'x'"
    assert line_of(folder, *train, "--seed") == "--seed needs a value: an integer"
    assert line_of(folder, *train, "--columns") == "--columns needs a value"
    told = line_of(folder, *train, "--distance-metric", "cosin")
    assert told == (
        "--distance-metric must be squared_euclidean or cosine, got 'cosin'; did you mean cosine?"
    )
    told = line_of(folder, *train, "--distance-metrik", "cosine")
    assert told == (
        "--distance-metrik is not an option of centroids train; did you mean --distance-metric?"
    )
    told = line_of(folder, *train, "more", "-k", "2")
    assert told == "'more' is one too many: centroids train POINTS MODEL_DIR"
    assert line_of(folder, "train", "-k", "2") == (
        "POINTS is missing: centroids train POINTS MODEL_DIR"
    )
    told = line_of(folder, "trian", "points.csv")
    assert told == "'trian' is not a command; did you mean train?"
    told = line_of(folder, "xyz")
    assert told.startswith("'xyz' is not a command; there are choose-k, evaluate, ")
    told = line_of(folder, "--quiet", "train", "points.csv")
    assert told == (
        "--quiet is an option of commands: write it behind one, as in centroids train ..."
    )
    # What is wrong only beside others is said with its place, too.
    monkeypatch.setenv("CENTROIDS_TRAIN_BATCH_SIZE", "0")
    told = line_of(folder, *train, "-k", "2", "--mini-batch")
    assert told == (
        "--batch-size must be an integer of at least 1; got 0 "
        "(--batch-size comes from CENTROIDS_TRAIN_BATCH_SIZE)"
    )


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["train", "points.csv", "", "-k", "2"], "MODEL_DIR"),
        (["train", "", "new", "-k", "2"], "POINTS"),
        (["predict", "model", "points.csv", "-o", ""], "-o"),
        (["report", "model", "points.csv", "--output="], "--output"),
        (["train", "points.csv", "new", "-k", "2", "--validation", ""], "--validation"),
        (["export", "model", ""], "OUTPUT"),
    ],
)
def test_an_empty_path_is_not_the_current_folder(folder: Path, words: list[str], name: str) -> None:
    # As a shell gives it for a variable that is not set.
    assert line_of(folder, *words) == f"{name} is empty; . is the current folder"


def test_advice_about_a_column_of_words_does_not_lose_all_rows(folder: Path) -> None:
    words = folder / "words.csv"
    words.write_text("name,a\n" + "".join(f"n{row},{row % 4}\n" for row in range(9)))
    told = line_of(folder, "train", "words.csv", "new", "-k", "2")
    assert "'n0' is not a number" in told and "--id-column" in told and "--bad-rows" not in told


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CENTROIDS_TRIAN_NUM_CLUSTERS", "CENTROIDS_TRAIN_NUM_CLUSTERS"),
        ("CENTROIDS_TRAIN_NUM_CLUSTER", "CENTROIDS_TRAIN_NUM_CLUSTERS"),
        ("CENTROIDS_LOG_EVRY", "CENTROIDS_LOG_EVERY"),
        ("CENTROIDS_NUM_THREAD", "CENTROIDS_NUM_THREADS"),
        ("CENTROIDS_CONFG", "CENTROIDS_CONFIG"),
        ("CENTROIDS_PREDCT_OUTPUT", None),  # it is none of this command's
        ("CENTROIDS_HOME", None),  # it may be another program's
        ("CENTROIDS_VERSION", None),
    ],
)
def test_a_misspelt_variable_is_named_with_the_right_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, meant: str | None
) -> None:
    monkeypatch.setenv(name, "3")
    command = ["train", "points.csv", "model", "--steps", "1"]
    if meant is None:
        run(folder, *command)
        return
    told = line_of(folder, *command)
    assert name in told and told.endswith(f"; did you mean {meant}?")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[trian]\nsteps = 3\n", r"\[trian\] is not a command; .*; did you mean train\?"),
        ("log-formt = 'json'\n", "'log-formt' is not an option of all .*; did you mean log-format"),
        ("[train]\nnum-cluster = 3\n", "'num-cluster' is not an .*; did you mean num-clusters\\?"),
    ],
)
def test_a_misspelt_word_of_a_file_is_named_with_the_right_one(
    folder: Path, text: str, told: str
) -> None:
    config = folder.parent / "c.toml"
    config.write_text(text)
    assert re.search(told, line_of(folder, "verify", "model", "--config", str(config)))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("CENTROIDS_ISA", "unknown instruction set 'nonsense'; supported: .*scalar"),
        ("CENTROIDS_NUM_THREADS", "must be an integer from 1 to 4096, got 'nonsense'"),
    ],
)
def test_what_the_kernels_read_is_refused_in_one_line(folder: Path, name: str, told: str) -> None:
    paths = os.pathsep.join(filter(None, sys.path))
    for words in (["evaluate", "model", "points.csv"], ["choose-k", "points.csv", "-k", "2"]):
        done = subprocess.run(
            [sys.executable, "-m", "centroids", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": paths, name: "nonsense"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2 and not done.stdout
        assert re.fullmatch(f"centroids: the environment variable {name}:? {told}\n", done.stderr)
