"""A cluster of two workers for all tests of a session, and points that are partitioned."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Two worker processes, one thread each, which come back when they are killed."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    """The current client of a test, with both workers there."""
    import distributed

    with distributed.Client(cluster) as client:
        client.wait_for_workers(2, timeout=60)
        yield client


@pytest.fixture(scope="session")
def points() -> NDArray[np.float32]:
    """1,000 points around ten places, far from the origin, with a few outliers."""
    random = np.random.default_rng(5)
    centers = random.normal(scale=30, size=(10, 4))
    points = centers[random.integers(10, size=1000)] + random.normal(size=(1000, 4)) + 1e3
    points[::97] *= 1e6
    return points.astype(np.float32)


# The partitions of these points: as they are, even, and uneven with empty ones.
SPLITS = {
    "1": (1000,),
    "2": (500, 500),
    "9": (1, 250, 0, 333, 16, 100, 200, 0, 100),
}


@pytest.fixture(params=SPLITS)
def split(request: pytest.FixtureRequest) -> tuple[int, ...]:
    return SPLITS[request.param]
