"""Arrow IPC files and streams, of which Feather is one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from centroids.inputs.arrow import import_arrow
from centroids.inputs.tables.table import Table, skip_rows

_MAGIC = b"ARROW1"


class ArrowTable(Table):
    """The rows of an Arrow file; see `open_table`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with file.open("rb") as handle:
            self._is_stream = handle.read(len(_MAGIC)) != _MAGIC
        self.name = str(file)
        with self.errors(), self._open() as reader:
            schema, num_rows = reader.schema, None
            if not self._is_stream:
                num_rows = sum(
                    reader.get_batch(number).num_rows for number in range(reader.num_record_batches)
                )
        super().__init__(str(file), schema, num_rows, {"bytes": file.stat().st_size})

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        arrow, ipc = import_arrow(), import_arrow("pyarrow.ipc")
        # Read, not mapped: if somebody cuts a mapped file off meanwhile, the process dies.
        opened = arrow.OSFile(str(self._file)) if isinstance(self._file, Path) else None
        with contextlib.ExitStack() as stack:
            handle = stack.enter_context(opened or self._file.open("rb"))
            open_ipc = ipc.open_stream if self._is_stream else ipc.open_file
            yield stack.enter_context(open_ipc(handle))

    def _read(self, columns: list[str], first_row: int) -> Iterator[Any]:
        with self._open() as reader:
            if self._is_stream:
                batches = iter(reader)
            else:
                batches = map(reader.get_batch, range(reader.num_record_batches))
            for batch in skip_rows(batches, first_row):
                yield batch.select(columns)
