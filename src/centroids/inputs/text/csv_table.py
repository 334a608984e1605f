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
from centroids.inputs.tables.table import BAD_LINE, Table, skip_rows
from centroids.inputs.text._csv_arrow import parse_lines
from centroids.inputs.text._csv_fields import MISSING_FIELDS, split_fields
from centroids.inputs.text._csv_problems import Line, bad_field
from centroids.inputs.text._csv_quotes import bad_quotes
from centroids.inputs.text._text_bytes import bytes_taken, open_bytes
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
        self._num_bytes = file.stat().st_size
        self._layout = layout = detect_layout(read_first_lines(file, text))
        arrow = import_arrow(what="reading a text file as a table")
        self.has_names = layout.names is not None
        names = [
            name or str(number)
            for number, name in enumerate(layout.names or [""] * layout.num_fields)
        ]
        number = self._number = getattr(arrow, layout.text.element_type.name)()
        kinds = [
            number if self._holds_numbers(column) else arrow.string()
            for column in range(layout.num_fields)
        ]
        super().__init__(str(file), arrow.schema(list(zip(names, kinds, strict=True))))

    def as_written(self, columns: Sequence[str]) -> Table:
        """The table with these columns as strings."""
        return self._with_types(columns, import_arrow().string())

    def as_numbers(self, columns: Sequence[str]) -> Table:
        """The table with these columns as numbers: a word among them is an error of its line."""
        return self._with_types(columns, self._number)

    def place(self, row: int) -> str:
        """The line of a row: the lines before it are read once more."""
        line, rows = self._layout.first_line - 1, 0
        with open_bytes(self._file, self._layout.text.encoding) as handle:
            handle.seek(self._layout.first_byte)
            for text in handle:
                line += 1
                rows += self._layout.is_row(decode_line(text))
                if rows > row:
                    break
        return f"line {line}"

    def _with_types(self, columns: Sequence[str], kind: Any) -> Table:
        arrow, table = import_arrow(), copy.copy(self)
        fields = [
            arrow.field(each.name, kind if each.name in columns else each.type)
            for each in self.schema
        ]
        table.schema = arrow.schema(fields)
        return table

    def with_bad_lines(self) -> Table:
        """The table with lines that are not rows: what they lack, or is not a number, is null."""
        arrow, table = import_arrow(), copy.copy(self)
        table.schema = self.schema.append(arrow.field(BAD_LINE, arrow.bool_()))
        return table

    def _holds_numbers(self, column: int) -> bool:
        fields = [row[column] for row in self._layout.sample]
        known = [field for field in fields if field not in MISSING_FIELDS]
        return all(map(self._layout.text.is_number, known)) and bool(known or not fields)

    def _read(self, columns: list[str], first_row: int) -> Iterator[Any]:
        yield from skip_rows(self._read_all(columns), first_row)

    def _read_all(self, columns: list[str]) -> Iterator[Any]:
        line = self._layout.first_line
        marks = BAD_LINE in columns
        columns = [name for name in columns if name != BAD_LINE]
        places = [self.schema.names.index(name) for name in columns]
        schema = import_arrow().schema([self.schema.field(name) for name in columns])
        with open_bytes(self._file, self._layout.text.encoding) as handle:
            handle.seek(self._layout.first_byte)
            while lines := _read_lines(handle, self._file, line):
                self.share_read = bytes_taken(handle) / max(self._num_bytes, 1)
                batch, bad = parse_lines(lines, self._layout, schema, places), None
                if batch is None:
                    texts = [decode_line(text) for text in io.BytesIO(lines)]
                    batch, bad = self._parse(texts, line, schema, places, marks=marks)
                yield _marked(batch, bad) if marks else batch
                line += lines.count(b"\n")

    def _parse(
        self, texts: list[str], first_line: int, schema: Any, columns: list[int], *, marks: bool
    ) -> tuple[Any, list[bool]]:
        """The rows of lines, and which of them are none: errors unless they are marked."""
        arrow = import_arrow()
        values: list[list[Any]] = [[] for _ in columns]
        bad = []
        for line, text in enumerate(texts, first_line):
            if not self._layout.is_row(text):
                continue
            try:
                row = self._row(text, line, columns)
            except BadLineError:
                if not marks:
                    raise
                row = self._bad_row(text, columns)
                bad.append(True)
            else:
                bad.append(False)
            for value, into in zip(row, values, strict=True):
                into.append(value)
        arrays = [arrow.array(each, field.type) for each, field in zip(values, schema, strict=True)]
        return arrow.record_batch(arrays, schema=schema), bad

    def _row(self, text: str, number: int, columns: list[int]) -> list[float | str | None]:
        line = Line(self._file, number, text, self._fields(text, number))
        return [self._value(line, column) for column in columns]

    def _bad_row(self, text: str, columns: list[int]) -> list[float | str | None]:
        """What can be read of a line that is not a row."""
        try:
            fields = split_fields(text, self._layout.delimiter)
        except ValueError:
            fields = []
        row: list[float | str | None] = []
        for column in columns:
            field = fields[column] if column < len(fields) else None
            if field is not None and _is_number(self.schema.field(column).type):
                is_number = self._layout.text.is_number(field)
                row.append(self._layout.text.number(field) if is_number else None)
            else:
                row.append(field)
        return row

    def _fields(self, text: str, line: int) -> list[str]:
        try:
            fields = split_fields(text, self._layout.delimiter)
        except ValueError as error:
            raise bad_quotes(self._file, self._layout, line, text, str(error)) from error
        if len(fields) != self._layout.num_fields:
            problem = f": {len(fields)} fields, but the first line has {self._layout.num_fields}"
            raise BadLineError(self._file, line, problem)
        return fields

    def _value(self, line: Line, column: int) -> float | str | None:
        field = line.fields[column]
        if not _is_number(self.schema.field(column).type):
            return field
        if field in MISSING_FIELDS:
            return None
        try:
            return self._layout.text.number(field)
        except ValueError as error:
            every = range(self._layout.num_fields)
            taken = [each for each in every if _is_number(self.schema.field(each).type)]
            raise bad_field(line, self._layout, taken, column) from error


def _marked(batch: Any, bad: list[bool] | None) -> Any:
    """A record batch with the column that says which lines are not rows."""
    arrow = import_arrow()
    marks = arrow.repeat(arrow.scalar(False), batch.num_rows) if bad is None else arrow.array(bad)
    marks = marks.cast(arrow.bool_())  # of no rows there is no type
    return arrow.record_batch([*batch.columns, marks], names=[*batch.schema.names, BAD_LINE])


def _is_number(kind: Any) -> bool:
    return bool(import_arrow("pyarrow.types").is_floating(kind))


def _read_lines(handle: IO[bytes], file: Path, first_line: int) -> bytes:
    """Whole lines of a few MiB; nothing at the end of the file."""
    lines = handle.read(_CHUNK_BYTES)
    if not lines or lines.endswith(b"\n"):
        return lines
    return lines + read_line(handle, file, first_line + lines.count(b"\n"))
