"""Programs that end while trainings and kernels run: the exit code is theirs, and none hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.concurrency.work import DEADLINE

COMPUTE = """
import os, sys, threading, time
import numpy as np
import centroids
from centroids import kernels

kernels.set_num_threads(3)
points = np.random.default_rng(0).normal(size=(60_000, 20)).astype(np.float32)
inside = threading.Event()

def compute():
    while True:
        inside.set()
        kernels.assign(points, points[:300], update=True)

def in_a_thread(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    inside.wait()
    time.sleep(0.01)
    return thread
"""

TRAIN = (
    COMPUTE
    + """
def batches():
    while True:
        inside.set()
        time.sleep(0.002)  # slow enough to be read ahead by a thread
        yield points

def train():
    centroids.KMeansClustering(300, sys.argv[1], initial_clusters=points[:300]).train(batches)
"""
)

TRAIN_ASYNCHRONOUSLY = (
    COMPUTE
    + """
writing, sync = threading.Event(), os.fsync

def never(descriptor):
    if not inside.is_set():  # before the first step
        return sync(descriptor)
    writing.set()
    time.sleep(600)

class Inside(centroids.SessionRunHook):
    def after_run(self, run_context, run_values):
        inside.set()
        if run_context.session.global_step == 2:
            writing.wait()

os.fsync = never

def train():
    config = centroids.RunConfig(save_checkpoints_steps=1, asynchronous_checkpoints=True)
    model = centroids.KMeansClustering(
        300, sys.argv[1], initial_clusters=points[:300], config=config
    )
    model.train(lambda: points, hooks=[Inside()])

def when_it_is_written():
    in_a_thread(train)
    writing.wait()
"""
)

PROGRAMS = {
    "a kernel in a daemon thread": (COMPUTE + "in_a_thread(compute)", 0),
    "kernels in many daemon threads": (COMPUTE + "[in_a_thread(compute) for _ in range(5)]", 0),
    "a run in a daemon thread": (TRAIN + "in_a_thread(train)", 0),
    "a checkpoint in the background": (TRAIN_ASYNCHRONOUSLY + "when_it_is_written()", 0),
    "sys.exit while one is written": (
        TRAIN_ASYNCHRONOUSLY + "when_it_is_written(); sys.exit(6)",
        6,
    ),
    "sys.exit": (TRAIN + "in_a_thread(train); sys.exit(5)", 5),
    "an exception": (TRAIN + "in_a_thread(train); raise SystemExit('told')", 1),
    "os._exit": (TRAIN + "in_a_thread(train); os._exit(7)", 7),
    "sys.exit in a thread": (COMPUTE + "in_a_thread(lambda: (inside.set(), sys.exit(3)))", 0),
    "a fork that exits": (
        COMPUTE
        + """
in_a_thread(compute)
child = os.fork()
if child == 0:
    kernels.assign(points, points[:300])
    sys.exit(4)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""",
        4,
    ),
    "a kernel at exit": (
        COMPUTE
        + """
import atexit
atexit.register(lambda: kernels.assign(points, points[:300]))
in_a_thread(compute)
""",
        0,
    ),
    "a thread that is waited for": (
        COMPUTE
        + """
def later():
    time.sleep(0.05)
    kernels.assign(points, points[:300])
    os.write(1, b"computed")
threading.Thread(target=later).start()
""",
        0,
    ),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_ends_with_its_own_code(tmp_path: Path, name: str) -> None:
    program, code = PROGRAMS[name]
    result = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, str(tmp_path)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert result.returncode == code, result.stderr
    assert result.stderr.strip() == ("told" if name == "an exception" else "")
    assert result.stdout == ("computed" if name == "a thread that is waited for" else "")


def test_every_kernel_gives_up_the_gil_in_the_way_that_survives_the_end() -> None:
    bindings = Path(__file__).parents[2] / "native" / "api" / "bindings.cpp"
    assert "gil_scoped_release" not in bindings.read_text()  # aborts a process that ends
