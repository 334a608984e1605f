"""Mini-batches of many rows on workers: the rows of one process, and no list of all in this one."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest

import centroids
from centroids.inputs import numpy_input_fn
from tests.distribute.test_dask import assert_equal

da: Any = pytest.importorskip("dask.array")
pytestmark = pytest.mark.timeout(120)

ROWS = (1 << 20) + 11


def spread(points: Any) -> Any:
    return da.from_array(points, chunks=((300_000, 0, 700_000, ROWS - 1_000_000), (1,)))


def test_batches_equal_those_of_an_array(client: Any) -> None:
    points = np.random.default_rng(0).integers(-99, 99, size=(ROWS, 1)).astype(np.int16)

    def fit(x: Any) -> centroids.KMeansClustering:
        input_fn = numpy_input_fn(x, batch_size=500, num_epochs=1, shuffle=True, seed=3)
        initial = [[-50.0], [0.0], [50.0]]
        return centroids.KMeansClustering(3, initial_clusters=initial).train(input_fn, steps=4)

    assert_equal(fit(points), fit(spread(points)))


def test_a_batch_takes_memory_for_its_own_rows(client: Any) -> None:
    points = spread(np.zeros((ROWS, 1), np.int16))
    for shuffle in (False, True):
        source = numpy_input_fn(points, batch_size=500, num_epochs=1, shuffle=shuffle)()
        batches = (batch.features for batch in source.batches())
        next(batches).fold(_count)  # what is made once
        tracemalloc.start()
        found = [batch.fold(_count) for batch in itertools.islice(batches, 3)]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found == [500, 500, 500] and peak < ROWS


def _count(part: Any) -> int:
    return int(part.points.shape[0])


def test_rows_by_number_as_of_an_array(client: Any) -> None:
    from centroids.distribute import shard
    from centroids.inputs.convert import convert_features

    rows = np.arange(20.0).reshape(10, 2)
    sharded = shard(da.from_array(rows, chunks=((3, 0, 7), (2,))), convert_features)
    index: Any
    for index in (
        slice(2, None, 3),
        slice(None, None, -2),
        [9, 0, -1, 0],
        np.array([3, 3], np.uint8),
        rows[:, 0] > 5,
        [],
    ):
        np.testing.assert_array_equal(sharded[index].gather(), rows[index])
        some = sharded[index][:1]
        np.testing.assert_array_equal(some.gather(), rows[index][:1])
    for outside in ([10], [0, -11]):
        with pytest.raises(IndexError, match=r"rows must be from -10 to 9"):
            sharded[outside]
