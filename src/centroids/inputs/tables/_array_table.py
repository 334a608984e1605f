"""Arrays as tables: .npz, folders of .npy, HDF5, Zarr; each array is a column."""

from __future__ import annotations

import abc
import contextlib
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.errors import Argument, Message, WordedError
from centroids.inputs.arrow import import_arrow
from centroids.inputs.npy import NpyFile, read_npy_header
from centroids.inputs.tables.table import Table, one_line
from centroids.packages import import_package

_PIECE_BYTES = 4 << 20
_NUMBERS = "biuf"


class ArrayTable(Table):
    """Arrays [n] or [n, d] of numbers; one of [n, d] is a column of vectors.

    Args:
        name: What messages call it.
        num_bytes: The size of the files.
    """

    def __init__(self, name: str, num_bytes: int) -> None:
        arrow = import_arrow(what=f"reading {name}")
        self.name = name
        with self._open() as arrays:
            usable = {key: array for key, array in arrays.items() if _is_usable(array)}
            if not usable:
                raise TypeError(f"{name} has no array [n, d] or [n] of numbers")
            self._shapes = {key: tuple(map(int, array.shape)) for key, array in usable.items()}
            fields = [_field(key, array) for key, array in usable.items()]
        lengths = {shape[0] for shape in self._shapes.values()}
        num_rows = lengths.pop() if len(lengths) == 1 else None
        super().__init__(name, arrow.schema(fields), num_rows, {"bytes": num_bytes})

    @abc.abstractmethod
    def _open(self) -> contextlib.AbstractContextManager[Mapping[str, Any]]:
        """The arrays by their names: what has a shape, a dtype and slices of rows."""

    def default_columns(self) -> list[str]:
        """All arrays, which must have the same number of rows."""
        self._check_lengths(list(self._shapes))
        return list(self._shapes)

    def _check_lengths(self, columns: list[str]) -> None:
        if len({self._shapes[name][0] for name in columns}) > 1:
            shapes = ", ".join(f"{name!r} {list(self._shapes[name])}" for name in columns[:20])
            raise WordedError(
                f"{self.name} has arrays of different lengths, {shapes}",
                remedy=Message("choose with ", Argument("columns", [columns[0]])),
            )

    def _read(self, columns: list[str], first_row: int) -> Iterator[Any]:
        arrow = import_arrow()
        self._check_lengths(columns)
        schema = arrow.schema([self.schema.field(name) for name in columns])
        with self._open() as arrays:
            chosen = [arrays[name] for name in columns]
            step = max(map(_step_of, chosen))
            for start in range(first_row, self._shapes[columns[0]][0], step):
                parts = [_to_arrow(array[start : start + step]) for array in chosen]
                yield arrow.record_batch(parts, schema=schema)


class NpyFolder(ArrayTable):
    """The rows of .npy files, one file after the other.

    Args:
        name: What messages call it.
        files: The files, of equal width.
    """

    has_names = False

    def __init__(self, name: str, files: Sequence[Path]) -> None:
        self._files = list(files)
        super().__init__(name, sum(file.stat().st_size for file in files))

    @contextlib.contextmanager
    def _open(self) -> Iterator[Mapping[str, Any]]:
        yield {"": _Joined(self._files, [NpyFile(file) for file in self._files])}


class _Joined:
    """Arrays in files as one."""

    def __init__(self, paths: Sequence[Path], arrays: Sequence[NpyFile]) -> None:
        first = arrays[0]
        for path, array in zip(paths, arrays, strict=True):
            if array.shape[1:] != first.shape[1:]:
                raise ValueError(
                    f"{path} has rows of the shape {list(array.shape[1:])}, but {paths[0]} of "
                    f"{list(first.shape[1:])}"
                )
        self._arrays = arrays
        self._ends = np.cumsum([len(array) for array in arrays])
        self.dtype = np.result_type(*(array.dtype for array in arrays))
        self.shape = (int(self._ends[-1]), *first.shape[1:])

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        parts = []
        start, stop = rows.start, min(rows.stop, self.shape[0])
        while start < stop:
            number = int(np.searchsorted(self._ends, start, side="right"))
            array, end = self._arrays[number], int(self._ends[number])
            first = start - (end - len(array))
            parts.append(array.read(first, first + min(end, stop) - start))
            start = min(end, stop)
        return np.concatenate(parts).astype(self.dtype, copy=False)


class NpzTable(ArrayTable):
    """The arrays of a .npz file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        super().__init__(str(file), file.stat().st_size)

    @contextlib.contextmanager
    def _open(self) -> Iterator[Mapping[str, Any]]:
        try:
            with self._file.open("rb") as handle, zipfile.ZipFile(handle) as members:
                names = [name for name in members.namelist() if name.endswith(".npy")]
                with contextlib.ExitStack() as stack:
                    yield {
                        name.removesuffix(".npy"): _Member(
                            f"{self.name}[{name.removesuffix('.npy')!r}]",
                            stack.enter_context(members.open(name)),
                        )
                        for name in names
                    }
        except zipfile.BadZipFile as error:
            raise ValueError(f"{self.name} is not a .npz file or damaged: {error}") from error


class _Member:
    """An array in a .npz file, read by rows from the beginning to the end."""

    def __init__(self, name: str, handle: Any) -> None:
        self._name, self._handle = name, handle
        self.shape, self._by_column, self.dtype = read_npy_header(name, handle)
        self._offset = handle.tell()
        self._whole: NDArray[Any] | None = None

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        stop = min(rows.stop, self.shape[0])
        if self._by_column and len(self.shape) > 1:  # its rows are all over the file
            if self._whole is None:
                flat = self._read(0, math.prod(self.shape))
                self._whole = flat.reshape(self.shape, order="F")
            return self._whole[rows.start : stop]
        width = math.prod(self.shape[1:])
        flat = self._read(rows.start * width, (stop - rows.start) * width)
        return flat.reshape(stop - rows.start, *self.shape[1:])

    def _read(self, start: int, count: int) -> NDArray[Any]:
        self._handle.seek(self._offset + start * self.dtype.itemsize)
        data = self._handle.read(count * self.dtype.itemsize)
        if len(data) < count * self.dtype.itemsize:
            raise ValueError(f"{self._name} is cut off")
        return np.frombuffer(data, self.dtype)


class Hdf5Table(ArrayTable):
    """The datasets of an HDF5 file, by their paths in it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        import_package("h5py", f"reading {file}", "centroids[arrays]")  # whose extra brings pyarrow
        super().__init__(str(file), file.stat().st_size)

    @contextlib.contextmanager
    def _open(self) -> Iterator[Mapping[str, Any]]:
        h5py = import_package("h5py", f"reading {self._file}", "centroids[arrays]")
        found: dict[str, Any] = {}

        def add(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                found[name] = item

        try:
            with self._file.open("rb") as handle, h5py.File(handle, "r") as file:
                file.visititems(add)
                yield found
        except OSError as error:
            if error.filename is not None:
                raise
            message = f"{self.name} is not an HDF5 file or damaged: {one_line(error)}"
            raise ValueError(message) from error


class ZarrTable(ArrayTable):
    """The arrays of a Zarr store."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with self._open() as arrays:
            self.has_names = list(arrays) != [""]
            num_bytes = sum(int(array.nbytes) for array in arrays.values())
        super().__init__(str(folder), num_bytes)

    @contextlib.contextmanager
    def _open(self) -> Iterator[Mapping[str, Any]]:
        zarr = import_package("zarr", f"reading {self._folder}", "centroids[arrays]")
        try:
            opened = zarr.open(str(self._folder), mode="r")
        except (FileNotFoundError, KeyError, ValueError) as error:
            raise ValueError(f"{self._folder} is not a Zarr store: {one_line(error)}") from error
        if isinstance(opened, zarr.Array):
            yield {"": opened}
        else:
            members = sorted(opened.members(max_depth=None))
            yield {name: item for name, item in members if isinstance(item, zarr.Array)}


def _is_usable(array: Any) -> bool:
    return len(array.shape) in (1, 2) and getattr(array.dtype, "kind", "O") in _NUMBERS


def _field(name: str, array: Any) -> Any:
    arrow = import_arrow()
    kind = arrow.from_numpy_dtype(np.dtype(array.dtype).newbyteorder("="))
    return arrow.field(name, kind if len(array.shape) == 1 else arrow.list_(kind, array.shape[1]))


def _step_of(array: Any) -> int:
    """The rows to read at a time: a few MiB, or a chunk of the file if that is more."""
    row_bytes = max(math.prod(array.shape[1:]) * array.dtype.itemsize, 1)
    chunk = (getattr(array, "chunks", None) or (1,))[0]
    return int(max(max(_PIECE_BYTES // row_bytes, 1) // chunk * chunk, chunk))


def _to_arrow(rows: NDArray[Any]) -> Any:
    arrow = import_arrow()
    rows = np.ascontiguousarray(rows).astype(rows.dtype.newbyteorder("="), copy=False)
    values = arrow.array(rows.reshape(-1))
    if rows.ndim == 1:
        return values
    return arrow.FixedSizeListArray.from_arrays(values, rows.shape[1])
