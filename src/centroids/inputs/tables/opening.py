"""Opens a table, by what its source is."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from centroids.inputs._file_kinds import packed_kind
from centroids.inputs.arguments import check_file
from centroids.inputs.tables._array_table import Hdf5Table, NpyFolder, NpzTable, ZarrTable
from centroids.inputs.tables._arrow_file import ArrowTable
from centroids.inputs.tables._databases import DatabaseTable
from centroids.inputs.tables._excel import SheetTable
from centroids.inputs.tables._frame_table import is_lazy, table_of_object
from centroids.inputs.tables._joined_table import JoinedTable
from centroids.inputs.tables._query_table import QueryTable, json_lines, table_of_duckdb
from centroids.inputs.tables.location import Text, find_location, is_query, split_part
from centroids.inputs.tables.parquet_table import ParquetTable
from centroids.inputs.tables.table import Table
from centroids.inputs.text._text_format import TextFormat
from centroids.inputs.text.csv_table import CsvTable

_TEXT = re.compile(r".*\.(csv|tsv|txt)(\.(gz|bz2|xz|zst))?", re.IGNORECASE)
_JSON = re.compile(r".*\.(jsonl|ndjson)(\.(gz|zst))?", re.IGNORECASE)
_SPARSE = re.compile(r".*\.(svm|svmlight|libsvm)(\.(gz|bz2|xz|zst))?", re.IGNORECASE)
_PARQUET = (".parquet", ".pq")
_WEB = ("http", "https")
_IN_ZARR = re.compile(r"\.zarr(?:/|$)", re.IGNORECASE)
_ANY_TEXT = TextFormat()


def _npy(file: Path) -> Table:
    return NpyFolder(str(file), [file])


def _parquet(file: Path) -> Table:
    return ParquetTable(str(file), [file])


# By their endings: files as a whole, and those of which a part can be named after a #.
_FILES: Mapping[str, Callable[[Path], Table]] = {
    **dict.fromkeys(_PARQUET, _parquet),
    **dict.fromkeys((".arrow", ".arrows", ".feather", ".ipc"), ArrowTable),
    **dict.fromkeys((".h5", ".hdf5"), Hdf5Table),
    ".npy": _npy,
    ".npz": NpzTable,
}
_WITH_PARTS: Mapping[str, Callable[[Path, str | None], Table]] = {
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), SheetTable),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3"), DatabaseTable),
    ".duckdb": table_of_duckdb,
}
KINDS = (
    ".csv, .tsv, .txt, .jsonl, .parquet, .arrow, .feather, .xlsx, .db, .sqlite, .duckdb, .npy, "
    ".npz, .h5, .zarr, .svm or .tfrecord"
)


def open_table(
    source: Any, text: TextFormat = _ANY_TEXT, files: Sequence[Path] | None = None
) -> Table:
    """Opens a table.

    Args:
        source: A file, a folder of files, a pattern such as `points/*.csv`, the address of a remote
            file (`https://`, `s3://`) or of a database (`postgresql://`, with `#table` after it), a
            query in SQL, or an object: a data frame, an Arrow table, an array, a Hugging Face
            dataset, a torch DataLoader that does not shuffle.
        text: How it is written, if it is text.
        files: Those of a folder or a pattern, if they are known; None: they are looked for.

    Raises:
        ImportError: If the package for it is not installed; it says what to install.
        OSError: If it cannot be read; FileNotFoundError if it is not there.
        TypeError: If it is an object of another kind.
        ValueError: If it is not a table; it says what it is, in one line.
    """
    if isinstance(source, Table):
        return source
    if not isinstance(source, (str, os.PathLike, Text)) and not hasattr(source, "suffix"):
        return table_of_object(source)
    location, part = split_part(find_location(source))
    if isinstance(location, Text):
        if is_query(location.text):
            return QueryTable(location.name, location.text.rstrip().rstrip(";"))
        return DatabaseTable(location, part)
    return _open_files(location, part, text, files)


def _open_files(
    location: Path, part: str | None, text: TextFormat, files: Sequence[Path] | None = None
) -> Table:
    if is_folder(location) or is_pattern(location):
        return _open_many(location, text, files)
    ending = location.suffix.lower()
    check_file(location)
    if ending in _WITH_PARTS:
        return _WITH_PARTS[ending](location, part)
    if part is not None:
        raise ValueError(f"{location} has no parts to choose from, but #{part} names one")
    if is_text_file(location):
        return CsvTable(location, text)
    if _JSON.fullmatch(location.name):
        return json_lines(location)
    if ending in _FILES:
        return _FILES[ending](location)
    if _SPARSE.fullmatch(location.name):
        raise ValueError(f"{location} has sparse points, which are not a table with named columns")
    if (kind := packed_kind(location)) is not None:
        raise ValueError(f"{location} is {kind}")
    raise ValueError(
        f"the name of a file must end in {KINDS}; got {location}. Convert it, or rename it if it "
        "is one of these"
    )


def _open_many(location: Path, text: TextFormat, files: Sequence[Path] | None) -> Table:
    if is_zarr(location):
        return ZarrTable(location)
    files = files or _some_files(location)
    endings = {file.suffix.lower() for file in files}
    if len(endings) > 1:
        folder = location if is_folder(location) else location.parent
        kinds = ", ".join(ending or "no ending" for ending in sorted(endings))
        raise ValueError(
            f"{location} has files of several kinds, {kinds}: name those of one kind, as in "
            f"{folder}/*{min(endings - {''})}"
        )
    if is_parquet(files[0]):
        return parquet_of(location, files)
    if endings == {".npy"}:
        return NpyFolder(str(location), files)
    return JoinedTable(str(location), [_open_files(file, None, text) for file in files])


def is_folder(location: Path) -> bool:
    """Whether it is a folder; what cannot be asked, or has no folders, is none."""
    if isinstance(location, Path):
        return location.is_dir()
    if isinstance(location, Text):
        return False
    if location.protocol in _WEB:  # whose folders only a Zarr store makes use of
        return _IN_ZARR.search(location.path) is not None and bool(_marks_of_zarr(location))
    try:
        return bool(location.is_dir())
    except Exception:  # opening it as a file says why
        return False


def is_pattern(location: Path) -> bool:
    """Whether it is a pattern of files rather than one of them."""
    if isinstance(location, Text) or getattr(location, "protocol", "") in _WEB:
        return False  # there a question mark is not one
    return glob.has_magic(str(location)) and not location.exists()


def is_read_in_pieces(source: Any) -> bool:
    """Whether a source is read piece by piece, and is not an array or a frame in memory."""
    if isinstance(source, (str, os.PathLike, Text, Table)) or hasattr(source, "suffix"):
        return True
    return is_lazy(source)


def has_known_ending(file: Path) -> bool:
    """Whether a file is a table, by its name."""
    known = file.suffix.lower() in {*_FILES, *_WITH_PARTS}
    return known or is_text_file(file) or _JSON.fullmatch(file.name) is not None


def is_text_file(file: Path) -> bool:
    """Whether a file is read as text, by its name."""
    return _TEXT.fullmatch(file.name) is not None


def is_parquet(file: Path) -> bool:
    """Whether a file is Parquet, by its name."""
    return file.suffix.lower() in _PARQUET


def is_zarr(location: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return is_folder(location) and bool(_marks_of_zarr(location))


def _marks_of_zarr(location: Path) -> list[Path]:
    """The files by which a folder is a Zarr store."""
    marks = (location / mark for mark in ("zarr.json", ".zarray", ".zgroup"))
    return [mark for mark in marks if mark.exists()]


def parquet_of(location: Path, files: Sequence[Path] | None = None) -> ParquetTable:
    """The Parquet files that are a folder, a pattern or a file.

    Args:
        location: It.
        files: Those of a folder or a pattern, if they are known; None: they are looked for.
    """
    if is_folder(location):
        return ParquetTable(str(location), files or find_files(location), location)
    if is_pattern(location):
        files = files or _some_files(location)
        return ParquetTable(str(location), files, Path(location.anchor))
    return ParquetTable(str(location), [location])


def _some_files(location: Path) -> list[Path]:
    if not (files := find_files(location)):
        what = "an empty folder" if is_folder(location) else "a pattern that matches no file"
        raise ValueError(f"{location} is {what}")
    return files


def find_files(location: Path) -> list[Path]:
    """The files of a folder or a pattern, sorted by name; hidden ones are left out.

    A name that begins with `_` is hidden too: Spark writes `_SUCCESS`.
    """
    if getattr(location, "protocol", "") in _WEB:  # which need not list files
        return _marks_of_zarr(location)
    if is_folder(location):
        found = [path for path in location.rglob("*") if path.is_file()]
    elif not isinstance(location, Path):  # a remote one
        found = [
            find_location(f"{location.protocol}://{name}")
            for name in location.fs.glob(location.path)
        ]
    else:
        found = [Path(name) for name in glob.glob(str(location), recursive=True)]
    return sorted(path for path in found if not path.name.startswith((".", "_")))
