"""What the environment chooses: the number of threads and the instruction set."""

from __future__ import annotations

import os
import subprocess
import sys

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
    assert int(run_python(code, CENTROIDS_NUM_THREADS="nonsense")) >= 1


def test_the_environment_forces_an_instruction_set() -> None:
    code = "from centroids import kernels; print(kernels.instruction_set())"
    for level in kernels.supported_instruction_sets():
        assert run_python(code, CENTROIDS_ISA=level) == level


def test_an_unknown_instruction_set_is_an_error_not_a_crash() -> None:
    code = (
        "from centroids import kernels\n"
        "try: kernels.instruction_set()\n"
        "except ValueError as error: print(error)"
    )
    assert "unknown instruction set 'sse9'" in run_python(code, CENTROIDS_ISA="sse9")
