"""The trainings that are killed: every mode of the model, over every source of `inputs`."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from centroids import KMeansClustering, RunConfig
from centroids.inputs import (
    csv_input_fn,
    limit_epochs,
    npy_input_fn,
    numpy_input_fn,
    parquet_input_fn,
)
from tests.crash.forked import run_forked

NUM_CLUSTERS = 12
_ROWS, _COLUMNS = 150, 4
# Smaller than NUM_CLUSTERS: random initialisation takes several batches.
_SMALL, _LARGE = 7, 25


@dataclass(frozen=True)
class Case:
    """One run, as its name and numbers say it; see MODELS and INPUTS.

    Attributes:
        model: A name of MODELS.
        input: A name of INPUTS.
        max_steps: Where to stop; None goes to the end of the input.
        save_steps: Steps between two checkpoints.
        keep: How many checkpoints are kept.
        asynchronous: Whether a thread writes the checkpoints.
    """

    model: str
    input: str
    max_steps: int | None
    save_steps: int
    keep: int
    asynchronous: bool = False

    def __str__(self) -> str:
        """The case as Python code."""
        return f"Case(**{asdict(self)})"

    def estimator(self, model_dir: Path) -> KMeansClustering:
        """A new estimator that saves often and writes the loss of every step."""
        config = RunConfig(
            save_checkpoints_steps=self.save_steps,
            keep_checkpoint_max=self.keep,
            save_summary_steps=1,
            log_step_count_steps=None,
            asynchronous_checkpoints=self.asynchronous,
        )
        return KMeansClustering(
            NUM_CLUSTERS, str(model_dir), random_seed=3, config=config, **MODELS[self.model]
        )

    def batch(self) -> Any:
        """All points, with their weights where the model has them."""
        return _weighted() if self.input in _WEIGHTED else points()

    def train(self, model_dir: Path, data: Path, **arguments: Any) -> KMeansClustering:
        """Trains, or goes on with it, as a user's script would that is started again."""
        input_fn = INPUTS[self.input](data)
        with _slow_disk() if self.asynchronous else contextlib.nullcontext():
            return self.estimator(model_dir).train(input_fn, max_steps=self.max_steps, **arguments)


@contextlib.contextmanager
def _slow_disk() -> Iterator[None]:
    """Lets syncs take their time, so that steps go on while a checkpoint is written."""
    sync = os.fsync

    def slow_sync(fd: Any) -> None:
        time.sleep(0.002)
        sync(fd)

    os.fsync = slow_sync
    try:
        yield
    finally:
        os.fsync = sync


def draw_case(generator: random.Random) -> Case:
    """Draws a case that can be trained."""
    while True:
        model, source = generator.choice(list(MODELS)), generator.choice(list(INPUTS))
        if _fits(model, source):
            break
    # A constant input and a tolerance that is never reached need a last step.
    endless = source in _ENDLESS and model != "relative tolerance"
    return Case(
        model=model,
        input=source,
        max_steps=generator.randint(8, 30) if endless or generator.random() < 0.5 else None,
        save_steps=generator.choice([1, 1, 2, 3]),
        keep=generator.choice([1, 2, 5]),
        asynchronous=generator.random() < 0.3,
    )


def _fits(model: str, source: str) -> bool:
    if ("weight_column" in MODELS[model]) != (source in _WEIGHTED):
        return False
    # All centers come from the first batch.
    from_one_batch = model == "k-means++" or not MODELS[model].get("use_mini_batch", True)
    return not (from_one_batch and source in _SMALL_BATCHES)


def prepare(folder: Path) -> Path:
    """Writes the files that the inputs read, and imports all that a run imports.

    Returns:
        The folder of the files.
    """
    data = folder / "data"
    data.mkdir()
    outcome = run_forked(lambda: _write_files(data))  # pyarrow has threads, which forks must not
    assert outcome.code == 0, outcome.output
    Case("mini-batch", "csv", 2, 1, 1).train(folder / "warm", data)
    return data


def _write_files(folder: Path) -> None:
    np.save(folder / "points.npy", points())
    np.savetxt(folder / "points.csv", points(), delimiter=",")
    if "parquet" in INPUTS:
        import pyarrow as pa
        from pyarrow import parquet

        table = pa.table({f"c{column}": points()[:, column] for column in range(_COLUMNS)})
        parquet.write_table(table, folder / "points.parquet", row_group_size=40)


@functools.cache
def points() -> np.ndarray:
    """[150, 4] float32: what all inputs give."""
    generator = np.random.default_rng(11)
    middles = generator.normal(size=(8, _COLUMNS)) * 4
    return (
        middles[generator.integers(8, size=_ROWS)] + generator.normal(size=(_ROWS, _COLUMNS))
    ).astype(np.float32)


def few_rows(inputs: Any, k: int) -> Any:
    """An initialisation of the user's: two rows of each batch."""
    rows = inputs.toarray() if sparse.issparse(inputs) else np.asarray(inputs)
    return rows[: min(2, k)]


class SlowSource:
    """A source of the user's, slow enough to be read ahead in a thread."""

    def __init__(self, batch_size: int) -> None:
        self._starts = range(0, _ROWS, batch_size)
        self._batch_size, self._next = batch_size, 0

    def __iter__(self) -> Iterator[Any]:
        for number in range(self._next, len(self._starts)):
            time.sleep(0.0015)
            self._next = number + 1
            yield points()[self._starts[number] :][: self._batch_size]

    def position(self) -> dict[str, Any]:
        return {"batch": self._next}

    def restore(self, position: dict[str, Any]) -> None:
        self._next = position["batch"]


def _arrays(**arguments: Any) -> Callable[[Path], Any]:
    return lambda data: numpy_input_fn(points(), **arguments)


def _columns(data: Path) -> Any:
    x = {"a": points()[:, :3], "b": points()[:, 3].astype(np.float64)}
    return numpy_input_fn(x, np.arange(_ROWS), _SMALL, num_epochs=2, shuffle=True, seed=4)


def _weighted() -> dict[str, Any]:
    return {"x": points(), "w": np.random.default_rng(2).exponential(size=_ROWS).round(1)}


def _sparse_rows(data: Path) -> Any:
    rows = sparse.csr_array(np.where(points() > 0, points(), 0))
    return numpy_input_fn(rows, batch_size=_LARGE, num_epochs=3, shuffle=True, seed=2)


def _memory_map(data: Path) -> Any:
    rows = np.load(data / "points.npy", mmap_mode="r")
    return numpy_input_fn(rows, batch_size=_LARGE, num_epochs=3, shuffle=True, seed=9)


MODELS: dict[str, dict[str, Any]] = {
    "full batch": {"use_mini_batch": False},
    "mini-batch": {},
    "multi-step": {"mini_batch_steps_per_iteration": 4},
    "multi-step cosine": {"mini_batch_steps_per_iteration": 3, "distance_metric": "cosine"},
    "cosine": {"distance_metric": "cosine"},
    "full batch cosine": {"use_mini_batch": False, "distance_metric": "cosine"},
    "relative tolerance": {"use_mini_batch": False, "relative_tolerance": 1e-7},
    "k-means++": {"initial_clusters": "kmeans_plus_plus"},
    "callable": {"initial_clusters": few_rows},
    "array": {"initial_clusters": np.eye(NUM_CLUSTERS, _COLUMNS)},
    "restarts": {"use_mini_batch": False, "num_restarts": 3},
    "relocating": {
        "use_mini_batch": False,
        "empty_clusters": "relocate",
        "initial_clusters": np.eye(NUM_CLUSTERS, _COLUMNS) * 100,
    },
    "reassigning": {"reassignment_ratio": 0.5},
    "weights": {"weight_column": "w", "reassignment_ratio": 0.2},
    "weights in full batches": {
        "weight_column": "w",
        "use_mini_batch": False,
        "num_restarts": 2,
        "empty_clusters": "relocate",
    },
}

INPUTS: dict[str, Callable[[Path], Callable[[], Any]]] = {
    "array": lambda data: points,
    "limit_epochs": lambda data: lambda: limit_epochs(points(), num_epochs=10),
    "in order": _arrays(batch_size=_SMALL, num_epochs=1, shuffle=False),
    "epochs": _arrays(batch_size=_LARGE, num_epochs=4, shuffle=False),
    "shuffled": _arrays(batch_size=_SMALL, num_epochs=2, shuffle=True, seed=5),
    "columns": _columns,
    "sparse": _sparse_rows,
    "memory map": _memory_map,
    "npy": lambda data: npy_input_fn(data / "points.npy", _SMALL, 2, shuffle=True, seed=1),
    "csv": lambda data: csv_input_fn(data / "points.csv", _LARGE, 3, shuffle=True, seed=6),
    "parquet": lambda data: parquet_input_fn(data / "points.parquet", _SMALL, 2, shuffle=True),
    "slow": lambda data: lambda: SlowSource(_SMALL),
    "weighted": lambda data: numpy_input_fn(_weighted(), None, _LARGE, 4, shuffle=True, seed=7),
    "weighted whole": lambda data: lambda: limit_epochs(_weighted(), num_epochs=10),
}
if importlib.util.find_spec("pyarrow") is None:
    del INPUTS["parquet"]
_WEIGHTED = {"weighted", "weighted whole"}
_ENDLESS = {"array"}
_SMALL_BATCHES = {"in order", "shuffled", "columns", "npy", "parquet", "slow"}
