"""Folders of Parquet files that are too large for the memory of the workers: read in each step."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import kernels
from centroids.distribute._shard import PartitionInfo, Place, checked, columns_without, info_of
from centroids.rows import WeightedPoints


@dataclass(frozen=True)
class ParquetFolder:
    """Parquet files whose row groups the workers read again in each step, one after the other.

    An input function returns it where it would return a dask array: a worker needs memory for one
    row group only. If everything fits into memory, `dask.dataframe.read_parquet(path)` is faster,
    because it is read once.

    Args:
        path: A folder, or a pattern such as "points/*.parquet", that all workers can read. Files
            are in the order of their names.
        columns: Those to take, in this order; None takes all.

    Initial centers must be given, or chosen by a function.
    """

    path: str | os.PathLike[str]
    columns: Sequence[str] | None = None

    def files(self) -> list[str]:
        """The files.

        Raises:
            FileNotFoundError: If there are none.
        """
        path = os.fspath(self.path)
        pattern = os.path.join(path, "*.parquet") if os.path.isdir(path) else path
        files = sorted(glob.glob(pattern))
        if not files:
            raise FileNotFoundError(f"there is no Parquet file at {path!r}")
        return files

    def row_groups(self, convert: Callable[[Any], Any]) -> list[RowGroup]:
        """All row groups, in the order of their rows."""
        import pyarrow.parquet as pq

        return [
            RowGroup(file, number, self.columns, convert)
            for file in self.files()
            for number in range(pq.read_metadata(file).num_row_groups)
        ]

    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        import pyarrow.parquet as pq

        return tuple(self.columns or pq.read_schema(self.files()[0]).names)

    def map_lazily(
        self, function: Callable[[Any, Place], NDArray[Any]], name: str, skipped: str | None
    ) -> Any:
        """A series or data frame of dask, indexed by the numbers of the rows; see `Dask`."""
        import dask.dataframe

        groups = self.row_groups(lambda rows: rows)
        firsts = np.cumsum([0, *(group.num_rows() for group in groups)]).tolist()
        numbers = range(len(groups))
        names = columns_without(skipped, self.names())
        predict = _Predict(function, name, names)
        return dask.dataframe.from_map(
            predict, groups, numbers, firsts[:-1], meta=predict(groups[0], None, 0)
        )


@dataclass(frozen=True)
class RowGroup:
    """A partition that is read when it is called."""

    file: str
    number: int
    columns: Sequence[str] | None
    convert: Callable[[Any], Any]

    def __call__(self) -> kernels.Points | WeightedPoints:
        """The points."""
        return checked(self.convert(self.read(self.number)))

    def info(self) -> PartitionInfo:
        """What is known about it without reading it."""
        return replace(info_of(checked(self.convert(self.read(None)))), rows=self.num_rows())

    def num_rows(self) -> int:
        """How many rows it has."""
        import pyarrow.parquet as pq

        return int(pq.read_metadata(self.file).row_group(self.number).num_rows)

    def read(self, number: int | None) -> Any:
        """A row group of the file, as a table; None: one without rows."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.file) as file:
            columns = list(self.columns or file.schema_arrow.names)
            if number is None:
                return file.schema_arrow.empty_table().select(columns)
            return file.read_row_group(number, columns=columns).select(columns)


def frame_of(values: NDArray[Any], index: Any, name: str) -> Any:
    """A series of pandas of values [m], a data frame of values [m, k]."""
    import pandas

    if values.ndim == 1:
        return pandas.Series(values, index, name=name)
    return pandas.DataFrame(values, index)


@dataclass(frozen=True)
class _Predict:
    """What a function gives for the rows of a row group; its number None: for none of them."""

    function: Callable[[Any, Place], NDArray[Any]]
    name: str
    names: Sequence[str] | None

    def __call__(self, group: RowGroup, number: int | None, first: int) -> Any:
        import pandas

        rows = group.read(None if number is None else group.number)
        values = self.function(rows, Place(number, first, self.names))
        return frame_of(values, pandas.RangeIndex(first, first + len(values)), self.name)
