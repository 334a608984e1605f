"""From what users pass as a batch to NumPy arrays, compressed sparse rows, or dicts of them.

Other libraries are recognised by the methods of their types and never imported.
"""

from __future__ import annotations

import array
from collections.abc import Callable, Iterable, Mapping
from numbers import Number
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from centroids import distribute
from centroids.inputs._frames import (
    array_of_data_frame,
    array_of_series,
    check_number_types,
    describe,
)
from centroids.inputs._sparse import csr_of_coordinates, csr_of_scipy, csr_of_torch
from centroids.inputs.arrow import (
    array_of_column,
    columns_of_table,
    matrix_of_table,
    table_of_stream,
)
from centroids.inputs.batch import TableColumn
from centroids.kernels.float_mode import in_usual_float_mode
from centroids.rows import Rows, is_sparse_type

Columns: TypeAlias = Rows | dict[str, Rows]

_Converter: TypeAlias = Callable[[Any, str], Rows]

_CONVERTERS: dict[type, _Converter | None] = {}

_NOT_NUMBERS = "OSUT"  # objects, bytes, strings of fixed and of variable width


def convert_batch(raw: Any, where: Any = None) -> tuple[Columns, Any]:
    """Splits a batch into features and labels, both converted.

    Args:
        raw: Features, or (features, labels) as a tuple; a list of one or two arrays, as a torch
            DataLoader makes, is treated the same way. Features are what `convert_features` takes.
        where: The engine that takes collections; None: the current one of the collection's kind.

    Returns:
        The features and the labels (None if there are none).

    Raises:
        TypeError: If it is neither.
        ValueError: If a shape is wrong.
    """
    if type(raw) is np.ndarray:
        return convert_features(raw), None
    if where is not None and distribute.is_collection(type(raw)):
        return _in_shards(raw, where=where), None
    if not is_pair(raw):
        return convert_features(raw), None
    if where is not None and distribute.is_collection(type(raw[0])):
        return _in_shards(raw[0], where=where), None
    if len(raw) not in (1, 2):
        raise TypeError(
            f"a batch must be features or (features, labels), got a {type(raw).__name__} of "
            f"{len(raw)} items"
        )
    features = convert_features(raw[0])
    if distribute.is_sharded(features):  # nothing that runs on workers takes labels
        return features, None
    return features, convert_labels(raw[1]) if len(raw) == 2 else None


def convert_features(value: Any, name: str = "features") -> Columns:
    """Converts the features of a batch; arrays are neither copied nor changed.

    Args:
        value: [n] or [n, ...]: a NumPy array, nested lists of numbers, an array.array or
            memoryview, a pandas, polars or pyarrow table (its columns in their order), a torch or
            eager TensorFlow tensor, a SparseTensorValue, a scipy sparse container, anything with
            `__array__`, `__dlpack__` or `__arrow_c_stream__`; or a dict of such.
        name: What error messages call it.

    Returns:
        A NumPy array, compressed sparse rows, or a dict of them.

    Raises:
        TypeError: If it holds no numbers; of a table it names the column.
        ValueError: If a shape is wrong.

    >>> convert_features([[1, 2], [3, 4]]).shape
    (2, 2)
    >>> convert_features({"height": [1.8, 1.7]})["height"].tolist()
    [1.8, 1.7]
    """
    if not _is_dict(value):
        return _convert_numbers(value, name)
    if not value:
        raise ValueError(f"{name} is an empty dict: there is no column in it")
    columns: dict[str, Rows] = {}
    for key, column in value.items():
        if not isinstance(key, str):
            raise TypeError(f"the keys of {name} must be strings, got {key!r}")
        place = f"{name}[{key!r}]"
        if distribute.is_collection(type(column)):
            raise TypeError(
                f"{place} is a {type(column).__module__}.{type(column).__name__}: return one "
                "collection that has all columns, not a dict of them"
            )
        columns[key] = _convert_numbers(column, place)
    return columns


def convert_labels(value: Any, name: str = "labels") -> Any:
    """Converts labels as features are, but of any type (strings too); None stays None."""
    if value is None:
        return None
    if _is_dict(value):
        return {key: convert_labels(part, f"{name}[{key!r}]") for key, part in value.items()}
    return _convert_rows(value, name)


def with_table(raw: Any) -> Any:
    """A batch whose features are a table if they were a stream of Arrow, which is read once."""
    features = raw[0] if is_pair(raw) else raw
    if _converter_of(type(features)) is not _rows_of_stream:
        return raw
    table = table_of_stream(features)
    return (table, *raw[1:]) if is_pair(raw) else table


def column_names(raw: Any) -> tuple[str, ...] | None:
    """The names of the columns of a batch, in the order in which they are joined to a matrix.

    A dict is joined in the order of its sorted keys; a table keeps its own.

    Args:
        raw: A batch that `convert_batch` takes.

    Returns:
        None if it has no names.

    >>> column_names({"width": [1.0], "height": [2.0]})
    ('height', 'width')
    """
    features = raw[0] if is_pair(raw) else raw
    if _is_dict(features):
        return tuple(sorted(features))
    converter = _converter_of(type(features))
    if distribute.is_sharded(features):
        return features.names
    if converter is matrix_of_table:
        names = features.column_names
    elif converter is array_of_data_frame:
        names = features.columns
    else:
        return None
    return tuple(names) if all(isinstance(name, str) for name in names) else None


def table_columns(raw: Any) -> list[TableColumn] | None:
    """What the columns of a table become in the matrix of it.

    Args:
        raw: A batch that `convert_batch` takes.

    Returns:
        None if its features are not a table, or one whose columns have no names.
    """
    table = raw[0] if is_pair(raw) else raw
    if _is_dict(table) or (names := column_names(table)) is None:
        return None
    converter = _converter_of(type(table))
    if converter is matrix_of_table:
        return columns_of_table(table)
    if converter is not array_of_data_frame:
        return None
    types = [array_of_series(table[name][:1], name).dtype for name in names]
    return [TableColumn(name, 1, dtype) for name, dtype in zip(names, types, strict=True)]


def length_of_vector(value: Any) -> int | None:
    """The number of elements of a batch [n] without labels, not yet converted; else None."""
    if (
        isinstance(value, tuple)
        and len(value) in (1, 2)
        and all(part is None for part in value[1:])
    ):
        value = value[0]
    if isinstance(value, (list, tuple)):
        return len(value) if value and all(map(_is_scalar, value)) else None
    if isinstance(value, Mapping) or not hasattr(value, "shape"):
        return None
    shape = tuple(value.shape)
    return int(shape[0]) if len(shape) == 1 else None


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (Number, np.generic)) or getattr(value, "shape", None) == ()


def is_one_batch(value: Any) -> bool:
    """Whether `value` is one batch, as opposed to a stream of them.

    A list is one batch if it holds numbers or rows of them (lists, tuples, arrays [d]); a list of
    matrices, dicts or pairs is a stream.
    """
    if isinstance(value, (Mapping, tuple)):
        return True
    if isinstance(value, list):
        return not value or not _is_batch_in_list(value[0])
    return _converter_of(type(value)) is not None or not isinstance(value, Iterable)


def _is_batch_in_list(item: Any) -> bool:
    if isinstance(item, Mapping) or is_sparse_type(type(item)):
        return True
    if isinstance(item, (list, tuple)):
        return bool(item) and np.ndim(item[0]) > 0
    return len(getattr(item, "shape", ())) > 1


def _is_dict(value: Any) -> bool:
    # One of scipy's sparse containers is a dict too.
    return isinstance(value, Mapping) and not is_sparse_type(type(value))


def is_pair(raw: Any) -> bool:
    """Whether a batch is features and labels in a tuple, or in a list as torch makes it."""
    if isinstance(raw, tuple):
        return _converter_of(type(raw)) is not csr_of_coordinates
    if not isinstance(raw, list) or not raw:
        return False
    # A list may also be rows: of these, only torch's own lists hold tensors of one dimension.
    first = raw[0]
    return _is_batch_in_list(first) or (len(raw) <= 2 and hasattr(type(first), "detach"))


def _convert_numbers(value: Any, name: str) -> Rows:
    if _converter_of(type(value)) in (array_of_data_frame, array_of_series):
        check_number_types(value, name)
    return _check_numbers(_convert_rows(value, name), name)


def _convert_rows(value: Any, name: str) -> Rows:
    """Rows of any element type, with at least one dimension."""
    if type(value) is np.ndarray:
        rows: Rows = value
    else:
        converter = _converter_of(type(value))
        if converter is None:
            raise TypeError(
                f"{name} must be an array, a sparse matrix, a table, a tensor, a list of numbers "
                f"or a dict of these; got {describe(value)}"
            )
        if converter is _array_of_any:  # nothing is computed, and `__array__` may be anyone's
            rows = converter(value, name)
        else:
            rows = _convert_by(converter, value, name)
    if rows.ndim == 0:
        raise ValueError(
            f"{name} must have the shape [n, d] or [n], got the single value {value!r}; a batch of "
            "one point is [point]"
        )
    return rows


@in_usual_float_mode
def _convert_by(converter: _Converter, value: Any, name: str) -> Rows:
    return converter(value, name)


def _check_numbers(rows: Rows, name: str) -> Rows:
    kind = rows.dtype.kind
    if kind in "fiub":
        return rows
    if rows.dtype.type is np.void:
        raise TypeError(
            f"{name} must hold numbers, got an array with the fields {rows.dtype.names}; return a "
            "dict of its fields instead"
        )
    if kind in _NOT_NUMBERS:
        first = cast("Any", rows).flat[0] if rows.size else None
        raise TypeError(
            f"{name} must hold numbers, got elements of type {rows.dtype} such as "
            f"{describe(first)}; convert them to numbers or leave them out"
        )
    return rows


def _converter_of(kind: type) -> _Converter | None:
    """How values of a type become rows; None if they cannot. Cached: it runs for each batch."""
    try:
        return _CONVERTERS[kind]
    except KeyError:
        return _CONVERTERS.setdefault(kind, _find_converter(kind))


def _find_converter(kind: type) -> _Converter | None:
    if issubclass(kind, np.ma.MaskedArray):
        return _array_of_masked
    if issubclass(kind, distribute.ShardedPoints):
        return _as_it_is
    if distribute.is_collection(kind):
        return _in_shards
    if issubclass(kind, (np.ndarray, np.generic, memoryview, array.array)):
        return _array_of_any
    if issubclass(kind, (str, bytes, bytearray)):
        return None
    if is_sparse_type(kind):
        return csr_of_scipy
    if all(hasattr(kind, part) for part in ("indices", "values", "dense_shape")):
        return csr_of_coordinates
    if issubclass(kind, (list, tuple)):
        return _array_of_list
    if issubclass(kind, (bool, int, float, complex, range)):
        return _array_of_any
    if hasattr(kind, "detach"):
        return _rows_of_torch
    if hasattr(kind, "column_names") and hasattr(kind, "column"):
        return matrix_of_table
    if hasattr(kind, "to_numpy") and hasattr(kind, "columns"):
        return array_of_data_frame
    if hasattr(kind, "to_numpy") and hasattr(kind, "dtype"):
        return array_of_series
    if hasattr(kind, "__arrow_c_stream__") and not hasattr(kind, "__next__"):
        return _rows_of_stream  # first: it says more of types than `__array__`
    if hasattr(kind, "__array__"):
        return _array_of_any
    return _array_of_dlpack if hasattr(kind, "__dlpack__") else None


def _array_of_any(value: Any, name: str) -> NDArray[Any]:
    del name
    return np.asarray(value)


def _as_it_is(value: Any, name: str) -> Any:
    del name
    return value


def _in_shards(value: Any, name: str = "", where: Any = None) -> Any:
    del name
    return distribute.shard(value, convert_features, where)


def _array_of_masked(value: Any, name: str) -> NDArray[Any]:
    if np.ma.is_masked(value):
        raise ValueError(
            f"{name} is an array with {int(np.ma.getmaskarray(value).sum())} masked elements; "
            "replace them with .filled(...) or leave their rows out"
        )
    return np.asarray(value)


def _array_of_dlpack(value: Any, name: str) -> NDArray[Any]:
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError) as error:
        raise TypeError(
            f"{name} cannot be read by DLPack ({error}); return an array of numbers in the memory "
            "of this process"
        ) from error


def _rows_of_stream(value: Any, name: str) -> Rows:
    table = table_of_stream(value)
    is_table = hasattr(table, "column_names")
    return matrix_of_table(table, name) if is_table else array_of_column(table, name)


def _array_of_list(value: Any, name: str) -> NDArray[Any]:
    if value and hasattr(type(value[0]), "detach"):  # tensors, which may require grad
        value = [_rows_of_torch(row, name) for row in value]
    try:
        return np.asarray(value)
    except ValueError:
        lengths = [np.size(row) for row in value]
        for row, length in enumerate(lengths):
            if length != lengths[0]:
                raise ValueError(
                    f"the rows of {name} must have equal lengths: row 0 has {lengths[0]} elements, "
                    f"row {row} has {length}"
                ) from None
        raise


def _rows_of_torch(value: Any, name: str) -> Rows:
    tensor = value.detach().cpu()
    if "sparse" in str(getattr(tensor, "layout", "")):
        return csr_of_torch(tensor, name)
    if str(tensor.dtype).startswith(("torch.bfloat16", "torch.float8")):
        tensor = tensor.float()  # torch cannot hand them to NumPy; widening is exact
    return np.asarray(tensor.resolve_conj().resolve_neg().numpy())
