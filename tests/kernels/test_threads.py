"""The thread pool: counts from the environment, forks, several callers at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
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


def large_batch() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(40_000, 20)).astype(np.float32), random.normal(size=(50, 20)).astype(
        np.float32
    )


def test_the_environment_chooses_the_number_of_threads() -> None:
    code = "from centroids import kernels; print(kernels.num_threads())"
    assert run_python(code, CENTROIDS_NUM_THREADS="5") == "5"
    assert int(run_python(code, CENTROIDS_NUM_THREADS="nonsense")) >= 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinity")
def test_the_affinity_of_the_process_bounds_the_threads() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from centroids import kernels; print(kernels.default_num_threads())"
    )
    environment = {k: v for k, v in os.environ.items() if k != "CENTROIDS_NUM_THREADS"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "1"


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_computes_the_same_and_does_not_hang() -> None:
    points, centers = large_batch()
    kernels.set_num_threads(3)
    expected = kernels.assign(points, centers, update=True)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            got = kernels.assign(points, centers, update=True)
            same = got.sums is not None and expected.sums is not None
            status = 0 if same and np.array_equal(got.sums, expected.sums) else 2
        finally:
            os._exit(status)
    waiter = threading.Timer(30, os.kill, (child, 9))
    waiter.start()
    _, status = os.waitpid(child, 0)
    waiter.cancel()
    kernels.set_num_threads(0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_many_python_threads_get_the_same_bits() -> None:
    points, centers = large_batch()
    kernels.set_num_threads(2)
    expected = kernels.assign(points, centers, update=True)
    results: list[kernels.Assignment] = []

    def work() -> None:
        for _ in range(5):
            results.append(kernels.assign(points, centers, update=True))

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    kernels.set_num_threads(0)
    assert len(results) == 30
    for result in results:
        np.testing.assert_array_equal(result.sums, expected.sums)
        assert result.inertia == expected.inertia
