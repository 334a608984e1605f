"""Shuffled batches of more rows than an order is kept of: any of them, without memory for all."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest

from centroids.inputs import numpy_input_fn

ROWS = (1 << 20) + 11


@pytest.fixture(scope="module")
def numbers() -> Any:
    return np.arange(ROWS, dtype=np.float64)[:, None]


def source_of(numbers: Any, batch_size: int = 100_000, seed: int = 5) -> Any:
    return numpy_input_fn(numbers, batch_size=batch_size, num_epochs=2, shuffle=True, seed=seed)()


def test_each_epoch_has_each_row_once_in_an_order_of_its_own(numbers: Any) -> None:
    rows = np.concatenate([batch.features[:, 0] for batch in source_of(numbers).batches()])
    epochs = rows.reshape(2, ROWS)
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), numbers[:, 0])
    other = next(source_of(numbers, seed=6).batches()).features[:, 0]
    assert (epochs[0] == epochs[1]).mean() < 1e-3 and (epochs[0, : len(other)] == other).sum() < 9
    # Neighbours are far apart, and each stretch has rows of everywhere.
    assert abs(np.corrcoef(epochs[0, :-1], epochs[0, 1:])[0, 1]) < 0.01
    for stretch in np.array_split(epochs[0], 16):
        counts, _ = np.histogram(stretch, bins=16, range=(0, ROWS))
        assert np.abs(counts / counts.mean() - 1).max() < 0.1


@pytest.mark.parametrize("batch_size", [1, 1000, 40_000])
def test_a_position_goes_on_with_the_next_row(numbers: Any, batch_size: int) -> None:
    read = list(itertools.islice(source_of(numbers, batch_size).batches(), 6))
    again = source_of(numbers, batch_size)
    again.restore(read[2].position)
    for one, other in zip(read[3:], again.batches(), strict=False):
        np.testing.assert_array_equal(one.features, other.features)
        assert one.position == other.position


def test_a_position_of_an_earlier_version_goes_on_in_its_order(numbers: Any) -> None:
    position = next(source_of(numbers).batches()).position
    assert position.pop("order") == "keyed"
    source = source_of(numbers)
    source.restore(position)
    batches = list(source.batches())
    rows = np.concatenate([batch.features[:, 0] for batch in batches])
    orders = [np.random.default_rng([5, epoch]).permutation(ROWS) for epoch in (0, 1)]
    np.testing.assert_array_equal(rows, np.concatenate([orders[0][100_000:], orders[1]]))
    assert "order" not in batches[0].position


def test_no_memory_for_all_rows_is_taken(numbers: Any) -> None:
    batches = source_of(numbers, 1000).batches()
    tracemalloc.start()
    for _ in range(50):
        next(batches)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < ROWS * 8 / 3
