"""Sheets of Excel and OpenDocument workbooks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from centroids.inputs.tables._query_table import only_part
from centroids.inputs.tables.table import Table, one_line, skip_rows
from centroids.packages import import_package

_LARGE_BYTES = 16 << 20

logger = logging.getLogger(__name__)


class SheetTable(Table):
    """The rows of a sheet, whose first row holds the names of the columns.

    A sheet has at most 2^20 rows, and is read as a whole.

    Args:
        file: The workbook.
        part: The name of the sheet; None: the only one.
    """

    def __init__(self, file: Path, part: str | None) -> None:
        self._file = file
        names = self._workbook().sheet_names
        self._sheet = part or only_part(file, "sheets", names)
        self.name = str(file) if len(names) == 1 else f"{file}#{self._sheet}"
        if self._sheet not in names:
            raise ValueError(f"{file} has no sheet {part!r}; it has {', '.join(map(repr, names))}")
        num_bytes = file.stat().st_size
        if num_bytes > _LARGE_BYTES:
            logger.warning(
                "%s: a sheet is read as a whole, and takes several times the %d MB of the file in "
                "memory; as Parquet or CSV it would be read piece by piece",
                file,
                num_bytes >> 20,
            )
        batch = self._batch = self._load()
        identity = {"bytes": num_bytes, "sheet": self._sheet}
        super().__init__(self.name, batch.schema, batch.num_rows, identity)

    def _workbook(self) -> Any:
        fastexcel = import_package("fastexcel", f"reading {self._file}", "centroids[tables]")
        try:
            if isinstance(self._file, Path):
                return fastexcel.read_excel(str(self._file))
            return fastexcel.read_excel(self._file.read_bytes())
        except fastexcel.FastExcelError as error:
            cause = one_line(str(error).partition("\nContext:")[0])  # how it came there is ours
            raise ValueError(f"{self._file} is not a workbook: {cause}") from error

    def _load(self) -> Any:
        fastexcel = import_package("fastexcel", f"reading {self._file}", "centroids[tables]")
        try:
            # All rows decide about the type of a column.
            sheet = self._workbook().load_sheet(self._sheet, schema_sample_rows=None)
            return sheet.to_arrow()
        except fastexcel.FastExcelError as error:
            raise ValueError(f"{self.name} cannot be read: {one_line(error)}") from error

    def place(self, row: int) -> str:
        """A row as the program that shows the sheet counts them."""
        return f"row {row + 2} of the sheet"

    def _read(self, columns: list[str], first_row: int) -> Iterator[Any]:
        yield from skip_rows([self._batch.select(columns)], first_row)
