"""A wrong string is an error of the type checker, before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import centroids

RIGHT = """
from centroids import KMeansClustering
from centroids.inputs import TextFormat, csv_input_fn
from centroids.kernels import set_instruction_set

KMeansClustering(2, initial_clusters="kmeans_plus_plus", distance_metric="cosine")
TextFormat(decimal=",", thousands=".")
csv_input_fn("a.csv", 2, bad_rows="drop", thousands=" ")
set_instruction_set("avx2")
set_instruction_set("")
"""
WRONG = """
KMeansClustering(2, initial_clusters="kmeans++")
KMeansClustering(2, distance_metric="euclidean")
TextFormat(decimal=";")
TextFormat(thousands="x")
csv_input_fn("a.csv", 2, bad_rows="skip")
csv_input_fn("a.csv", 2, decimal="comma")
set_instruction_set("sse")
"""


@pytest.mark.slow
def test_wrong_strings_are_errors_of_the_type_checker(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(RIGHT + WRONG)
    # mypy finds what is installed by itself, and refuses to be told.
    place = Path(centroids.__file__).parents[1]
    path = {} if place.name == "site-packages" else {"MYPYPATH": str(place)}
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "", "--cache-dir", tmp_path, program],
        cwd=tmp_path,
        env=path,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in run.stdout.splitlines() if "program.py:" in line]
    first = RIGHT.count("\n") + 2
    found = [int(line.split(":")[1]) for line in errors if ": error:" in line]
    assert found == list(range(first, first + 7)), run.stdout + run.stderr
