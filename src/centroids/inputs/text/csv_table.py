"""A text file as a table: all of its columns, also those that do not hold numbers."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from centroids.errors import BadLineError
from centroids.inputs.arguments import check_file
from centroids.inputs.arrow import import_arrow
from centroids.inputs.tables.table import Table, skip_rows
from centroids.inputs.text._csv_arrow import parse_lines
from centroids.inputs.text._csv_fields import MISSING_FIELDS, split_fields
from centroids.inputs.text._text_bytes import open_bytes
from centroids.inputs.text._text_format import TextFormat
from centroids.inputs.text.csv_layout import (
    decode_line,
    detect_layout,
    read_first_lines,
    read_line,
)

_CHUNK_BYTES = 4 << 20


class CsvTable(Table):
    """The rows of a text file; a blank field, `NA` and the like are missing numbers.

    A column is of numbers if the first rows have numbers in it, or nothing. Every other one is of
    strings.
    """

    def __init__(self, file: Path, text: TextFormat) -> None:
        self._file = check_file(file)
        self._layout = layout = detect_layout(read_first_lines(file, text))
        arrow = import_arrow(what="reading a text file as a table")
        self.has_names = layout.names is not None
        names = [
            name or str(number)
            for number, name in enumerate(layout.names or [""] * layout.num_fields)
        ]
        number = getattr(arrow, layout.text.element_type.name)()
        kinds = [
            number if self._holds_numbers(column) else arrow.string()
            for column in range(layout.num_fields)
        ]
        super().__init__(str(file), arrow.schema(list(zip(names, kinds, strict=True))))

    def as_written(self, columns: Sequence[str]) -> Table:
        """The table with these columns as strings."""
        return self._as_type(import_arrow().string(), columns)

    def as_numbers(self, columns: Sequence[str]) -> Table:
        """The table with these columns as numbers; reading refuses what is none by its line."""
        number = getattr(import_arrow(), self._layout.text.element_type.name)()
        return self._as_type(number, columns)

    def _as_type(self, kind: Any, columns: Sequence[str]) -> Table:
        arrow, table = import_arrow(), copy.copy(self)
        table.schema = arrow.schema(
            [
                arrow.field(each.name, kind if each.name in columns else each.type)
                for each in self.schema
            ]
        )
        return table

    def _holds_numbers(self, column: int) -> bool:
        fields = [row[column] for row in self._layout.sample]
        known = [field for field in fields if field not in MISSING_FIELDS]
        return all(map(self._layout.text.is_number, known)) and bool(known or not fields)

    def _read(self, columns: list[str], first_row: int) -> Iterator[Any]:
        yield from skip_rows(self._read_all(columns), first_row)

    def _read_all(self, columns: list[str]) -> Iterator[Any]:
        line = self._layout.first_line
        places = [self.schema.names.index(name) for name in columns]
        schema = import_arrow().schema([self.schema.field(name) for name in columns])
        with open_bytes(self._file, self._layout.text.encoding) as handle:
            handle.seek(self._layout.first_byte)
            while lines := _read_lines(handle, self._file, line):
                batch = parse_lines(lines, self._layout, schema, places)
                if batch is None:
                    texts = [decode_line(text) for text in io.BytesIO(lines)]
                    batch = self._parse(texts, line, schema, places)
                yield batch
                line += lines.count(b"\n")

    def _parse(self, texts: list[str], first_line: int, schema: Any, columns: list[int]) -> Any:
        arrow = import_arrow()
        values: list[list[Any]] = [[] for _ in columns]
        for line, text in enumerate(texts, first_line):
            if not self._layout.is_row(text):
                continue
            fields = self._fields(text, line)
            for column, into in zip(columns, values, strict=True):
                into.append(self._value(fields[column], column, line))
        return arrow.record_batch(
            [arrow.array(each, field.type) for each, field in zip(values, schema, strict=True)],
            schema=schema,
        )

    def _fields(self, text: str, line: int) -> list[str]:
        try:
            fields = split_fields(text, self._layout.delimiter)
        except ValueError as error:
            raise BadLineError(self._file, line, f": {error}") from error
        if len(fields) != self._layout.num_fields:
            problem = f": {len(fields)} fields, but the first line has {self._layout.num_fields}"
            raise BadLineError(self._file, line, problem)
        return fields

    def _value(self, field: str, column: int, line: int) -> float | str | None:
        if not _is_number(self.schema.field(column).type):
            return field
        if field in MISSING_FIELDS:
            return None
        try:
            return self._layout.text.number(field)
        except ValueError as error:
            name = self._layout.describe(column)
            problem = f", column {name}: {field!r} is not a number"
            raise BadLineError(self._file, line, problem, column=name) from error


def _is_number(kind: Any) -> bool:
    return bool(import_arrow("pyarrow.types").is_floating(kind))


def _read_lines(handle: IO[bytes], file: Path, first_line: int) -> bytes:
    """Whole lines of a few MiB; nothing at the end of the file."""
    lines = handle.read(_CHUNK_BYTES)
    if not lines or lines.endswith(b"\n"):
        return lines
    return lines + read_line(handle, file, first_line + lines.count(b"\n"))
