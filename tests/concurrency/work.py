"""What the processes of these tests do, and how they are started: each has a deadline."""

from __future__ import annotations

import hashlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import centroids
from centroids import kernels

DEADLINE = 200.0  # of what hangs: less than pytest's own limit, more than any machine needs


def points(seed: int = 0) -> np.ndarray:
    """[20_000, 12] float32: enough work for the kernels to wake threads."""
    return np.random.default_rng(seed).normal(size=(20_000, 12)).astype(np.float32)


def train(
    model_dir: str | Path, seed: int = 0, hooks: list[Any] | None = None
) -> centroids.KMeansClustering:
    """Trains a model of its own for 4 steps of 5,000 points."""
    config = centroids.RunConfig(save_summary_steps=1000, log_step_count_steps=None)
    model = centroids.KMeansClustering(
        40, model_dir=str(model_dir), initial_clusters="kmeans_plus_plus", config=config
    )
    input_fn = centroids.inputs.numpy_input_fn(points(seed), batch_size=5000, shuffle=False)
    return model.train(input_fn, hooks=hooks)


def digest_of_training(model_dir: str | Path, seed: int = 0) -> str:
    """Trains a model; equal digests are equal bits of its centers and labels."""
    model = train(model_dir, seed)
    once = centroids.inputs.numpy_input_fn(points(seed), batch_size=7000, shuffle=False)
    labels = np.array(list(model.predict_cluster_index(once)))
    return _digest(model.cluster_centers(), labels)


def digest_of_assignment(seed: int = 0) -> str:
    """Assigns points with the kernels; equal digests are equal bits."""
    x = points(seed)
    result = kernels.assign(x, x[:50], update=True)
    assert result.sums is not None
    return _digest(result.cluster_index, result.sums, np.array(result.inertia))


def _digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def in_forked_child(function: Callable[[], str]) -> str:
    """Calls a function in a child made by a bare fork, and returns its text.

    Raises:
        AssertionError: If the child has not ended in time, or has failed.
    """
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read_end)
            os.write(write_end, function().encode())
            status = 0
        finally:
            os._exit(status)
    os.close(write_end)
    try:
        ready, _, _ = select.select([read_end], [], [], DEADLINE)
        text = os.read(read_end, 4096).decode() if ready else "no answer in time"
    finally:
        os.close(read_end)
        if not ready:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, text
    return text


def in_new_python(code: str, **environment: str | None) -> str:
    """Runs code in a new interpreter and returns what it prints.

    Args:
        code: The program.
        environment: Variables to set; None removes one.
    """
    variables: dict[str, str | None] = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment}
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={name: value for name, value in variables.items() if value is not None},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()
