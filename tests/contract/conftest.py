"""One contract, many models: every mode, metric, layout, type and instruction set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import centroids
from centroids import kernels
from tests.oracle import Oracle

NUM_CLUSTERS = 7
BATCH_SIZE = 60
NUM_POINTS = 240


@dataclass(frozen=True)
class Case:
    """A variant of the model and of its points."""

    mode: str  # "full", "mini" or "multi"
    metric: str
    sparse: bool
    dtype: Any
    level: str

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments that make the mode."""
        return {
            "distance_metric": self.metric,
            "use_mini_batch": self.mode != "full",
            "mini_batch_steps_per_iteration": 3 if self.mode == "multi" else 1,
        }

    @property
    def tolerance(self) -> float:
        """Relative, for values that many steps have gone through."""
        return 2e-5 if self.dtype == np.float32 else 1e-9

    def layout(self, points: np.ndarray) -> Any:
        """Points in the case's layout."""
        return scipy.sparse.csr_array(points) if self.sparse else points

    def oracle(self, centers: np.ndarray) -> Oracle:
        """An oracle of the same mode."""
        steps = 3 if self.mode == "multi" else 1
        return Oracle(centers, self.metric, self.mode != "full", steps)


CASES = [
    Case(*parts)
    for parts in product(
        ("full", "mini", "multi"),
        ("squared_euclidean", "cosine"),
        (False, True),
        (np.float32, np.float64),
        kernels.supported_instruction_sets(),
    )
]


def describe(case: Case) -> str:
    layout = "sparse" if case.sparse else "dense"
    return f"{case.mode}-{case.metric}-{layout}-{np.dtype(case.dtype).name}-{case.level}"


@pytest.fixture(params=CASES, ids=describe)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    chosen: Case = request.param
    kernels.set_instruction_set(chosen.level)
    yield chosen
    kernels.set_instruction_set("")


@pytest.fixture
def points(case: Case) -> np.ndarray:
    """[240, 12], half of it zeros, in groups that are neither clean nor hopeless."""
    random = np.random.default_rng(5)
    groups = random.normal(size=(NUM_CLUSTERS, 12)) * 3
    values = groups[random.integers(0, NUM_CLUSTERS, NUM_POINTS)] + random.normal(
        size=(NUM_POINTS, 12)
    )
    return np.where(random.random(values.shape) < 0.5, values, 0).astype(case.dtype)


@pytest.fixture
def batches(case: Case, points: np.ndarray) -> list[np.ndarray]:
    """What one pass over the input consists of: everything at once for full batches."""
    size = NUM_POINTS if case.mode == "full" else BATCH_SIZE
    return [points[at : at + size] for at in range(0, NUM_POINTS, size)]


@pytest.fixture
def input_fn(case: Case, batches: list[np.ndarray]) -> Callable[[], Iterator[Any]]:
    """Ten passes over the input."""
    return lambda: (case.layout(batch) for _ in range(10) for batch in batches)


@pytest.fixture
def once(case: Case, points: np.ndarray) -> Callable[[], Iterator[Any]]:
    """One pass, in batches of 100, 100 and 40."""
    return lambda: (case.layout(points[at : at + 100]) for at in range(0, NUM_POINTS, 100))


@pytest.fixture
def model(case: Case, points: np.ndarray, tmp_path: Path) -> centroids.KMeansClustering:
    """An untrained model with the first points as initial centers."""
    return centroids.KMeansClustering(
        NUM_CLUSTERS,
        model_dir=str(tmp_path / "model"),
        initial_clusters=points[:NUM_CLUSTERS].copy(),
        **case.arguments,
    )
