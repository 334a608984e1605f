"""Shuffled batches hold the rows that their order names, whatever lies how in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from centroids.inputs import numpy_input_fn, open_stream
from tests.unaligned import unaligned

WIDE = np.arange(240.0).reshape(40, 6)


@pytest.mark.parametrize(
    "rows",
    [
        WIDE,
        np.asfortranarray(WIDE),
        WIDE[::2],
        WIDE[:, ::-2],
        WIDE.reshape(40, 2, 3),
        WIDE[:, 0].copy(),
        WIDE.astype(">f4"),
        np.broadcast_to(WIDE[3], (40, 6)),
        unaligned(WIDE),
    ],
)
def test_every_row_comes_once_beside_its_label(rows: Any) -> None:
    numbers = np.arange(len(rows))
    input_fn = numpy_input_fn(rows, y=numbers, batch_size=7, shuffle=True, seed=3)
    with open_stream(input_fn) as stream:
        batches = list(stream)
    order = np.concatenate([batch.labels for batch in batches])
    assert sorted(order.tolist()) == numbers.tolist() and order.tolist() != numbers.tolist()
    for batch in batches:
        features: Any = batch.features
        assert features.tolist() == [rows[number].tolist() for number in batch.labels]
        assert not np.shares_memory(features, rows)
