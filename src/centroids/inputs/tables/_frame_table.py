"""Tables in memory, or in the memory of another library."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from centroids.inputs.arrow import import_arrow, table_of_stream
from centroids.inputs.tables.table import Table, skip_rows
from centroids.packages import if_imported

_BATCH_ROWS, _DATASET_ROWS, _PIECE_BYTES = 1 << 13, 1 << 10, 4 << 20


class FrameTable(Table):
    """A data frame of pandas or polars, or an Arrow table."""

    def __init__(self, frame: Any) -> None:
        self._table = _with_categories_as_text(table_of_stream(frame), frame)
        name = f"the {type(frame).__module__.partition('.')[0]} {type(frame).__name__}"
        super().__init__(name, self._table.schema, self._table.num_rows)

    def _read(self, columns: list[str], first_row: int) -> Iterator[Any]:
        yield from self._table.select(columns).slice(first_row).to_batches()


def _with_categories_as_text(table: Any, frame: Any) -> Any:
    """A table whose columns that pandas calls categories are names, even those of numbers."""
    dtypes = getattr(frame, "dtypes", ())
    for number, dtype in enumerate(dtypes):
        if getattr(dtype, "name", None) == "category":
            field = table.schema.field(number)
            table = table.set_column(number, field.name, table.column(number).cast("string"))
    return table


class DatasetTable(Table):
    """A Dataset or an IterableDataset of Hugging Face, read from its files piece by piece."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset.with_format("arrow")
        num_rows = len(dataset) if hasattr(dataset, "__len__") else None
        features = dataset.features
        schema = None if features is None else features.arrow_schema
        if schema is None:
            first = next(iter(self._pieces()), None)
            schema = import_arrow().schema([]) if first is None else first.schema
        super().__init__("the Hugging Face dataset", schema, num_rows)

    def _pieces(self, first_row: int = 0) -> Iterator[Any]:
        if hasattr(self._dataset, "__len__"):
            for start in range(first_row, len(self._dataset), _BATCH_ROWS):
                stop = min(start + _BATCH_ROWS, len(self._dataset))
                yield self._dataset[start:stop]
            return
        rest = self._dataset.skip(first_row) if first_row else self._dataset
        yield from rest.iter(batch_size=_BATCH_ROWS)

    def _read(self, columns: list[str], first_row: int) -> Iterator[Any]:
        for table in self._pieces(first_row):
            yield from table.select(columns).to_batches()


class BatchesTable(Table):
    """Arrays [n] or [n, d] in batches that can be gone through again, in one and the same order.

    Args:
        name: What messages call it.
        batches: Begins them anew.
        num_rows: Of all of them; None: not known.
    """

    has_names = False

    def __init__(
        self, name: str, batches: Callable[[], Iterable[Any]], num_rows: int | None
    ) -> None:
        self._batches = batches
        first = next(iter(self._read([""], 0)), None)
        arrow = import_arrow(what=f"reading {name}")
        schema = arrow.schema([("", arrow.float32())]) if first is None else first.schema
        super().__init__(name, schema, num_rows)

    def _read(self, columns: list[str], first_row: int) -> Iterator[Any]:
        del columns
        yield from skip_rows(map(_batch_of_array, self._batches()), first_row)


def table_of_object(value: Any) -> Table:
    """What an object of another library is as a table.

    Raises:
        TypeError: If it is none.
        ValueError: If it is a DataLoader whose order is another one in each pass.
    """
    module = type(value).__module__.partition(".")[0]
    if module == "datasets" and hasattr(value, "with_format"):
        return DatasetTable(value)
    if hasattr(value, "collect_batches"):  # a LazyFrame of polars, which reads piece by piece
        return _LazyTable(value)
    if hasattr(value, "__arrow_c_stream__"):
        return FrameTable(value)
    if hasattr(value, "sampler") and hasattr(value, "dataset"):
        return _table_of_loader("the DataLoader", value)
    if is_torch_dataset(value):
        return _table_of_dataset(value)
    if hasattr(value, "__array__") or hasattr(value, "__dlpack__"):
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        step = max(_PIECE_BYTES // max(array[:1].nbytes, 1), 1)

        def pieces() -> Iterator[Any]:
            return (array[start : start + step] for start in range(0, len(array), step))

        return BatchesTable(f"the {type(value).__name__}", pieces, len(array))
    raise TypeError(
        "source must be a path, an address, a query in SQL, a table, an array, a Hugging Face "
        "dataset, or a Dataset or DataLoader of torch; got "
        f"{type(value).__module__}.{type(value).__name__}"
    )


def is_lazy(value: Any) -> bool:
    """Whether an object of another library gives its rows piece by piece."""
    is_dataset = type(value).__module__.startswith("datasets.") and hasattr(value, "with_format")
    is_loader = hasattr(value, "sampler") and hasattr(value, "dataset")
    return is_dataset or is_loader or hasattr(value, "collect_batches") or is_torch_dataset(value)


class _LazyTable(Table):
    """A LazyFrame of polars, which is computed anew for each pass."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        schema = frame.limit(0).collect().to_arrow().schema
        super().__init__("the polars LazyFrame", schema)

    def _read(self, columns: list[str], first_row: int) -> Iterator[Any]:
        batches = self._frame.select(columns).collect_batches(maintain_order=True)
        tables = (batch.to_arrow() for batch in batches)
        yield from skip_rows((each for table in tables for each in table.to_batches()), first_row)


def is_torch_dataset(value: Any) -> bool:
    """Whether a value is a Dataset of torch, whose rows a DataLoader puts together."""
    kind = if_imported("torch.utils.data", "Dataset")
    return kind is not None and isinstance(value, kind)


def _table_of_dataset(dataset: Any) -> Table:
    loader = sys.modules["torch.utils.data"].DataLoader(dataset, batch_size=_DATASET_ROWS)
    return _table_of_loader(f"the {type(dataset).__name__}", loader)


def _table_of_loader(name: str, loader: Any) -> Table:
    order = type(loader.sampler).__name__
    if order == "_InfiniteConstantSampler":  # of an IterableDataset, which has an order of its own
        return BatchesTable(name, lambda: map(_features, loader), None)
    if order != "SequentialSampler":
        raise ValueError(
            "the DataLoader shuffles, so each pass has another order and a position means nothing: "
            "make it with shuffle=False and say shuffle=True here, or give it to train as an input "
            "function, lambda: loader"
        )
    # It may leave out rows that do not fill a batch.
    num_rows = None if getattr(loader, "drop_last", False) else len(loader.dataset)
    return BatchesTable(name, lambda: map(_features, loader), num_rows)


def _features(batch: Any) -> Any:
    return batch[0] if isinstance(batch, (tuple, list)) else batch


def _batch_of_array(value: Any) -> Any:
    arrow = import_arrow()
    rows = np.ascontiguousarray(value)
    values = arrow.array(rows.reshape(-1))
    if rows.ndim > 1:
        values = arrow.FixedSizeListArray.from_arrays(values, int(np.prod(rows.shape[1:])))
    return arrow.record_batch([values], names=[""])
