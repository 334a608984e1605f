"""What the environment chooses: the number of threads and the instruction set."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from centroids import kernels


def run_python(code: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return result.stdout.strip()


def test_the_environment_chooses_the_number_of_threads() -> None:
    code = "from centroids import kernels; print(kernels.num_threads())"
    assert run_python(code, CENTROIDS_NUM_THREADS="5") == "5"
    assert int(run_python(code, CENTROIDS_NUM_THREADS="")) >= 1
    assert run_python(code, CENTROIDS_NUM_THREADS="", OMP_NUM_THREADS="1,2") == "1"


WHEN_IT_IS_SAID = """
import os, tempfile
import numpy as np
import centroids  # says nothing: who computes nothing needs no number of threads
from centroids import kernels

def said(call):
    try: call()
    except ValueError as error: return str(error)

points = np.eye(2)
folder = os.path.join(tempfile.mkdtemp(), "model")
kmeans = centroids.KMeansClustering(2, folder)
errors = {
    said(kernels.num_threads),
    said(lambda: kernels.assign(points, points)),
    said(lambda: kmeans.train(lambda: points, steps=1)),
}
assert not os.path.exists(folder)
centroids.set_num_threads(1)
kmeans.train(lambda: points, steps=1)
centroids.set_num_threads(0)
errors.add(said(lambda: kmeans.score(lambda: points)))
print(errors)
"""


@pytest.mark.parametrize(
    "text", ["abc", "0", "-2", "1e3", "2.0", " ", " 2", "2 ", "4,2", "+3", "5000", "9" * 30]
)
def test_a_wrong_number_of_threads_is_an_error_where_it_is_needed(text: str) -> None:
    message = (
        "the environment variable CENTROIDS_NUM_THREADS must be an integer from 1 to 4096, got "
        f"'{text}'"
    )
    assert run_python(WHEN_IT_IS_SAID, CENTROIDS_NUM_THREADS=text) == str({message})


def test_a_run_on_an_unknown_instruction_set_writes_nothing() -> None:
    code = (
        "import os, tempfile, centroids\n"
        "folder = os.path.join(tempfile.mkdtemp(), 'model')\n"
        "try: centroids.KMeansClustering(1, folder).train(lambda: [[1.0]], steps=1)\n"
        "except ValueError as error: print(error, os.path.exists(folder))"
    )
    assert "unknown instruction set 'sse9'" in run_python(code, CENTROIDS_ISA="sse9")
    assert run_python(code, CENTROIDS_ISA="sse9").endswith("False")


@pytest.mark.parametrize("text", ["4,2", "abc", "", "0"])
def test_what_openmp_is_told_is_not_an_error(text: str) -> None:
    # Other libraries read it too, each in its own way.
    code = "from centroids import kernels; print(kernels.num_threads())"
    assert int(run_python(code, OMP_NUM_THREADS=text, CENTROIDS_NUM_THREADS="")) >= 1


def test_the_environment_forces_an_instruction_set() -> None:
    code = "from centroids import kernels; print(kernels.instruction_set())"
    for level in kernels.supported_instruction_sets():
        assert run_python(code, CENTROIDS_ISA=level) == level


def test_an_instruction_set_is_named_once() -> None:
    names = kernels.supported_instruction_sets()
    assert len(set(names)) == len(names)
    assert names[0] == kernels.instruction_set() or os.environ.get("CENTROIDS_ISA")


def test_an_unknown_instruction_set_is_an_error_not_a_crash() -> None:
    code = (
        "from centroids import kernels\n"
        "try: kernels.instruction_set()\n"
        "except ValueError as error: print(error)"
    )
    assert run_python(code, CENTROIDS_ISA="sse9") == (
        "the environment variable CENTROIDS_ISA: unknown instruction set 'sse9'; supported: "
        f"{', '.join(kernels.supported_instruction_sets())}"
    )
