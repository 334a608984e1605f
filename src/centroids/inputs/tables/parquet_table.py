"""Parquet files, one or many with equal columns, by row groups."""

from __future__ import annotations

import contextlib
import re
import urllib.parse
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from centroids.inputs.arrow import import_arrow
from centroids.inputs.tables.table import Table, one_line, skip_rows

# Of a column, and of all columns that are read together.
_LEAST_BUFFER_BYTES, _MOST_BUFFER_BYTES, _BUFFERS_BYTES = 64 << 10, 1 << 20, 16 << 20
_BATCH_ROWS = 1 << 15
_PARTITION = re.compile(r"([^/=]+)=([^/]*)")
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


class ParquetTable(Table):
    """The rows of Parquet files, one after the other.

    Attributes:
        group_rows: The number of rows of each row group, over all files.

    Args:
        name: What messages call it.
        files: The files.
        root: The folder whose subfolders' names `key=value` are columns; None: there are none.
    """

    def __init__(self, name: str, files: Sequence[Path], root: Path | None = None) -> None:
        self._files = list(files)
        self._groups: list[tuple[int, int]] = []
        self.group_rows: list[int] = []
        schemas, num_bytes = [], 0
        for number, file in enumerate(self._files):
            with open_parquet(file) as parquet:
                schemas.append(parquet.schema_arrow)
                metadata = parquet.metadata
                for group in range(metadata.num_row_groups):
                    self._groups.append((number, group))
                    self.group_rows.append(int(metadata.row_group(group).num_rows))
            num_bytes += file.stat().st_size
        self._partitions = _partitions_of([] if root is None else self._files, root)
        schema = _common_schema(self._files, schemas)
        for field, _ in self._partitions:
            schema = schema.append(field)
        # Another order of the row groups has other bytes too.
        identity = {"bytes": num_bytes}
        if len(self._files) > 1:
            identity["files"] = len(self._files)
        super().__init__(name, schema, sum(self.group_rows), identity)

    def read_group(self, group: int, columns: list[str], num_rows: int) -> Generator[Any]:
        """The rows of a row group in record batches of at most so many rows."""
        arrow = import_arrow()
        count = 0
        number, part = self._groups[group]
        fixed = {field.name: (field, values[number]) for field, values in self._partitions}
        stored = [name for name in columns if name not in fixed]
        schema = arrow.schema([self.schema.field(name) for name in columns])
        with open_parquet(self._files[number], num_columns=len(stored)) as parquet:
            for batch in parquet.iter_batches(num_rows, row_groups=[part], columns=stored):
                if not batch.num_rows:
                    continue
                count += batch.num_rows
                arrays = [
                    arrow.repeat(arrow.scalar(fixed[name][1], fixed[name][0].type), batch.num_rows)
                    if name in fixed
                    else batch.column(name).cast(schema.field(name).type)
                    for name in columns
                ]
                yield arrow.record_batch(arrays, schema=schema)
        if count != self.group_rows[group]:
            raise ValueError(
                f"{self._files[number]} is damaged: row group {part} has {count} rows, but the "
                f"footer says {self.group_rows[group]}"
            )

    def _read(self, columns: list[str], first_row: int) -> Iterator[Any]:
        for group, num_rows in enumerate(self.group_rows):
            if first_row >= num_rows:
                first_row -= num_rows
                continue
            yield from skip_rows(self.read_group(group, columns, _BATCH_ROWS), first_row)
            first_row = 0


@contextlib.contextmanager
def open_parquet(file: Path, *, num_columns: int | None = None) -> Iterator[Any]:
    """A file opened by Arrow, whose errors are replaced by ones that name the file.

    Args:
        file: The file.
        num_columns: How many columns are read together: fewer have larger buffers. None: many.
    """
    share = _BUFFERS_BYTES // max(num_columns or _BUFFERS_BYTES, 1)
    buffer_bytes = min(max(share, _LEAST_BUFFER_BYTES), _MOST_BUFFER_BYTES)
    arrow, parquet = import_arrow(), import_arrow("pyarrow.parquet")
    try:
        with contextlib.ExitStack() as stack:
            is_local = isinstance(file, Path)
            # A buffer keeps Arrow from loading whole column chunks.
            yield stack.enter_context(
                parquet.ParquetFile(
                    file if is_local else stack.enter_context(file.open("rb")),
                    buffer_size=buffer_bytes,
                    pre_buffer=False,
                    page_checksum_verification=True,  # where the writer has put checksums
                )
            )
    except arrow.ArrowException as error:
        message = f"{file} is not a Parquet file or damaged: {one_line(error)}"
        raise ValueError(message) from error
    except OSError as error:
        if error.filename is None:  # Arrow's own: the system's errors have a name
            raise OSError(f"{file} is damaged: {one_line(error)}") from error
        raise


def _common_schema(files: Sequence[Path], schemas: Sequence[Any]) -> Any:
    """The columns that all files have, in types that hold theirs."""
    arrow = import_arrow()
    first = schemas[0]
    if len(schemas) == 1:
        return first
    for file, schema in zip(files, schemas, strict=True):
        if different := set(first.names) ^ set(schema.names):
            raise ValueError(
                f"{file} and {files[0]} have different columns: only one of them has "
                f"{', '.join(map(repr, sorted(different)))}"
            )
    try:
        common = arrow.unify_schemas(schemas, promote_options="permissive")
    except arrow.ArrowException as error:
        message = f"{files[0].parent} has files of different types: {one_line(error)}"
        raise ValueError(message) from error
    return arrow.schema([common.field(name) for name in first.names], first.metadata)


def _partitions_of(
    files: Sequence[Path], root: Path | None
) -> list[tuple[Any, list[str | int | None]]]:
    """The columns that are names of folders, each with its value in each of the files."""
    arrow = import_arrow()
    found = [_pairs(file, root) for file in files]
    for file, pairs in zip(files, found, strict=True):
        if pairs.keys() != found[0].keys():
            raise ValueError(
                f"{file} and {files[0]} are partitioned differently: by {sorted(pairs)} and by "
                f"{sorted(found[0])}"
            )
    partitions = []
    for name in found[0] if found else ():
        words = [pairs[name] for pairs in found]
        if all(word is None or re.fullmatch(r"-?\d{1,18}", word) for word in words):
            numbers: list[str | int | None] = [
                None if word is None else int(word) for word in words
            ]
            partitions.append((arrow.field(name, arrow.int64()), numbers))
        else:
            partitions.append((arrow.field(name, arrow.string()), [*words]))
    return partitions


def _pairs(file: Path, root: Path | None) -> dict[str, str | None]:
    parts = file.parts[len(root.parts) if root is not None else 0 : -1]
    pairs = filter(None, map(_PARTITION.fullmatch, parts))
    words = {pair[1]: urllib.parse.unquote(pair[2]) for pair in pairs}
    return {key: None if word == _NULL_PARTITION else word for key, word in words.items()}
