"""Folders of Parquet files that are too large for the memory of the workers: read in each step."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from centroids import kernels
from centroids.distribute._shard import PartitionInfo, checked, info_of
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


@dataclass(frozen=True)
class RowGroup:
    """A partition that is read when it is called."""

    file: str
    number: int
    columns: Sequence[str] | None
    convert: Callable[[Any], Any]

    def __call__(self) -> kernels.Points | WeightedPoints:
        """The points."""
        return checked(self.convert(self._read(self.number)))

    def info(self) -> PartitionInfo:
        """What is known about it without reading it."""
        import pyarrow.parquet as pq

        rows = pq.read_metadata(self.file).row_group(self.number).num_rows
        return replace(info_of(checked(self.convert(self._read(None)))), rows=rows)

    def _read(self, number: int | None) -> Any:
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.file) as file:
            columns = list(self.columns or file.schema_arrow.names)
            if number is None:
                return file.schema_arrow.empty_table().select(columns)
            return file.read_row_group(number, columns=columns).select(columns)
