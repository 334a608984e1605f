"""Opens a table, by what its source is."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from centroids.inputs.arguments import check_file
from centroids.inputs.tables._arrow_file import ArrowTable
from centroids.inputs.tables.location import find_location
from centroids.inputs.tables.parquet_table import ParquetTable
from centroids.inputs.tables.table import Table
from centroids.inputs.text._text_format import TextFormat
from centroids.inputs.text.csv_table import CsvTable

_PARQUET = (".parquet", ".pq")
_ARROW = (".arrow", ".arrows", ".feather", ".ipc")
_TEXT = (".csv", ".tsv", ".txt")
_ANY_TEXT = TextFormat()


def open_table(source: str | os.PathLike[str] | Table, text: TextFormat = _ANY_TEXT) -> Table:
    """Opens a table: a file, a folder or a pattern of files.

    Args:
        source: Where it is.
        text: How it is written, if it is text.

    Raises:
        ImportError: If the package for it is not installed.
        OSError: If it cannot be read; FileNotFoundError if it is not there.
        ValueError: If it is not a table; it says what it is, in one line.
    """
    if isinstance(source, Table):
        return source
    location = find_location(source)
    ending = location.suffix.lower()
    if location.is_dir() or (glob.has_magic(str(location)) and not location.exists()):
        return _open_many(location)
    check_file(location)
    if ending in _PARQUET:
        return ParquetTable(str(location), [location])
    if ending in _ARROW:
        return ArrowTable(location)
    if ending in _TEXT:
        return CsvTable(location, text)
    raise ValueError(f"{location} is not a table that can be read")


def _open_many(location: Path) -> Table:
    files = find_files(location)
    return ParquetTable(str(location), files, location if location.is_dir() else None)


def find_files(location: Path) -> list[Path]:
    """The files of a folder or a pattern, sorted by name; hidden ones are left out."""
    if location.is_dir():
        found = [path for path in location.rglob("*") if path.is_file()]
    else:
        found = [Path(name) for name in glob.glob(str(location), recursive=True)]
    return sorted(path for path in found if not path.name.startswith((".", "_")))
