"""Any class may tell of its batches what the sources of the package tell."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering
from centroids.inputs import Batch, BatchSource, csv_input_fn, open_stream

ROWS = np.arange(12.0).reshape(6, 2)


class Table:
    """Rows of a table, two a batch, of which every third is bad."""

    def __init__(self) -> None:
        self._start = 0

    def __iter__(self) -> Iterator[Any]:
        return (batch.features[batch.keep] for batch in self.batches())

    def position(self) -> dict[str, Any]:
        return {"row": self._start}

    def restore(self, position: dict[str, Any]) -> None:
        self._start = position["row"]

    def batches(self) -> Generator[Batch]:
        for first in range(self._start, 6, 2):
            numbers = np.arange(first, first + 2)
            self._start = first + 2
            yield Batch(
                ROWS[numbers],
                epoch=0,
                position=self.position(),
                keep=numbers % 3 != 1,
                origin=lambda row, column, first=first: f"table, row {first + row}",
                names=("a", "b"),
            )


def test_a_class_of_others_is_served_as_ours_are() -> None:
    assert isinstance(Table(), BatchSource)
    with open_stream(Table) as stream:
        batches = list(stream)
    assert [batch.features.tolist() for batch in batches] == [
        [[0, 1]],
        [[4, 5], [6, 7]],
        [[10, 11]],
    ]
    assert [batch.num_dropped_rows for batch in batches] == [1, 0, 1]
    assert [batch.names for batch in batches] == [("a", "b"), None, None]
    assert batches[2].origin is not None and batches[2].origin(0, None) == "table, row 5"
    with open_stream(Table, position=batches[0].position) as stream:
        assert next(stream).features.tolist() == [[4, 5], [6, 7]]


def test_bad_rows_of_a_class_of_others_take_their_labels_along() -> None:
    labels = [np.array([0, 1]), np.array([2, 3]), np.array([4, 5])]
    with open_stream(lambda: (Table(), iter(labels))) as stream:
        assert [batch.labels.tolist() for batch in stream] == [[0], [2, 3], [5]]


def test_a_bad_row_is_named_as_its_source_names_it() -> None:
    class Infinite(Table):
        def batches(self) -> Generator[Batch]:
            for batch in super().batches():
                batch.features = np.where(batch.features == 10, np.inf, batch.features)
                yield batch

    with pytest.raises(ValueError, match="table, row 5"):
        KMeansClustering(1, use_mini_batch=True).train(Infinite)


def test_a_stream_is_looked_into_without_a_batch_less(tmp_path: Any) -> None:
    file = tmp_path / "points.csv"
    file.write_text("1,2\n3,4\n5,6\n")
    with open_stream(csv_input_fn(file, batch_size=1)) as stream:
        assert stream.peek() is stream.peek()
        ahead = stream.look_ahead()
        assert [next(ahead).features.tolist() for _ in range(2)] == [[[1, 2]], [[3, 4]]]
        assert [batch.features.tolist() for batch in stream] == [[[1, 2]], [[3, 4]], [[5, 6]]]
        assert stream.peek() is None
