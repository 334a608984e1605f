"""Records that are tf.train.Example messages to a matrix, without TensorFlow.

Example   features = 1: Features
Features  feature = 1: a map, entries of key = 1 (a string) and value = 2: Feature
Feature   bytes_list = 1, float_list = 2 or int64_list = 3, each with value = 1, packed or not

Only TensorFlow has the classes of these messages: TensorBoard, which has others, lacks them.
Records of one shape are read as one matrix anyway, without an object for each.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.protobuf import DamagedMessageError, as_message, read_fields, read_varint

_BYTES, _FLOATS, _INTEGERS = _KINDS = (1, 2, 3)
_MAX_TEMPLATES = 16


@dataclass(frozen=True)
class Column:
    """A feature that is taken.

    Attributes:
        name: Its name.
        width: How many values it has in each record.
    """

    name: str
    width: int


def parse_example(record: bytes, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """The features of a record by name: float32, int64, or objects for bytes.

    Args:
        record: The record.
        names: Of the features to parse; None: all.

    Raises:
        ValueError: If the record is not a tf.train.Example.
    """
    features: dict[str, bytes] = {}
    for number, message in read_fields(record):
        for field, entry in read_fields(as_message(message)) if number == 1 else ():
            if field == 1:
                name, value = b"", b""
                for part, content in read_fields(as_message(entry)):
                    if part == 1:
                        name = as_message(content)
                    elif part == 2:
                        value += as_message(content)  # messages one after the other are one
                features[name.decode("utf-8", "backslashreplace")] = value
    return {
        name: _parse_feature(value)
        for name, value in features.items()
        if names is None or name in names
    }


class ExampleParser:
    """Makes matrices of records.

    Records that differ only in their numbers are parsed all at once, by the places that the numbers
    have in one of them.

    Args:
        columns: What to take, in this order.
        dtype: Of the matrix.
    """

    def __init__(self, columns: Sequence[Column], dtype: np.dtype[Any]) -> None:
        self._columns, self.dtype = list(columns), dtype
        self._names = {column.name for column in columns}
        self.width = sum(column.width for column in columns)
        self._templates: dict[int, list[_Template]] = {}

    def parse(self, records: Sequence[bytes]) -> tuple[NDArray[Any], list[int]]:
        """The rows of records, and the numbers of those that are not rows, which have zeros."""
        matrix = np.zeros((len(records), self.width), self.dtype)
        by_length: dict[int, list[int]] = {}
        for index, record in enumerate(records):
            by_length.setdefault(len(record), []).append(index)
        bad: list[int] = []
        for length, numbers in by_length.items():
            indices = np.array(numbers)
            joined = b"".join(records[index] for index in numbers)
            every = np.frombuffer(joined, np.uint8).reshape(len(numbers), length)
            for template in self._templates.get(length, []):
                indices, every = template.take(matrix, indices, every)
            while len(indices):
                first, data = int(indices[0]), records[int(indices[0])]
                try:
                    matrix[first] = self.row_of(data)
                except ValueError:
                    bad.append(first)
                else:
                    self._learn(data)
                indices, every = indices[1:], every[1:]
                templates = self._templates.get(length, [])
                if templates:
                    indices, every = templates[-1].take(matrix, indices, every)
        return matrix, sorted(bad)

    def row_of(self, record: bytes) -> NDArray[Any]:
        """The row of a record.

        Raises:
            ValueError: If it is not a row; it names the feature.
        """
        features = parse_example(record, self._names)
        parts = []
        for column in self._columns:
            values = features.get(column.name)
            if values is None:
                raise ValueError(f"it has no feature {column.name!r}")
            if values.dtype == object:
                raise ValueError(f"the feature {column.name!r} holds bytes, not numbers")
            if len(values) != column.width:
                raise ValueError(
                    f"the feature {column.name!r} has {len(values)} values, in the first record it "
                    f"has {column.width}"
                )
            parts.append(values)
        return np.concatenate(parts) if parts else np.empty(0, self.dtype)

    def name_of(self, column: int) -> str:
        """A column of the matrix as messages name it."""
        for feature in self._columns:
            if column < feature.width:
                break
            column -= feature.width
        return f"{feature.name!r}" if feature.width == 1 else f"{column} of {feature.name!r}"

    def _learn(self, record: bytes) -> None:
        """Remembers where the numbers of a record are, if they can be taken from there."""
        known = self._templates.setdefault(len(record), [])
        if len(known) < _MAX_TEMPLATES:
            with contextlib.suppress(DamagedMessageError):  # in a part that is not taken
                template = _make_template(record, self._columns)
                if template is not None:
                    known.append(template)


@dataclass(frozen=True)
class _Template:
    """Where the numbers of records of one length are.

    Attributes:
        fixed: [length], the bytes of a record.
        is_fixed: [length], which of them all such records have in common.
        begins: Where the floats of each column begin.
        columns: The columns.
    """

    fixed: NDArray[np.uint8]
    is_fixed: NDArray[np.bool_]
    begins: list[int]
    columns: list[Column]

    def take(
        self, matrix: NDArray[Any], indices: NDArray[Any], records: NDArray[np.uint8]
    ) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Fills the rows of those records that are alike; returns the others."""
        alike = (records[:, self.is_fixed] == self.fixed[self.is_fixed]).all(axis=1)
        if not alike.any():
            return indices, records
        rows, place = records[alike], 0
        for begin, column in zip(self.begins, self.columns, strict=True):
            values = np.ascontiguousarray(rows[:, begin : begin + 4 * column.width]).view("<f4")
            matrix[indices[alike], place : place + column.width] = values
            place += column.width
        return indices[~alike], records[~alike]


def _make_template(record: bytes, columns: list[Column]) -> _Template | None:
    """None if a column is not a packed list of floats in one piece, or stands there twice."""
    begins: dict[str, int] = {}
    is_fixed = np.ones(len(record), np.bool_)
    taken = {column.name for column in columns}
    for name, kind, pieces in _find_lists(record):
        for begin, end in pieces:
            is_fixed[begin:end] = False  # what is not taken may be anything
        if name in taken:
            if name in begins or kind != _FLOATS or len(pieces) != 1:
                return None
            begins[name] = pieces[0][0]
    places = [begins[column.name] for column in columns]
    return _Template(np.frombuffer(record, np.uint8), is_fixed, places, columns)


def _find_lists(record: bytes) -> Iterator[tuple[str, int, list[tuple[int, int]]]]:
    """Name and kind of each list of a record, and where its pieces begin and end."""
    for features in _find_messages(record, (0, len(record)), 1):
        for entry in _find_messages(record, features, 1):
            names = _find_messages(record, entry, 1)
            name = record[slice(*names[-1])] if names else b""
            for value in _find_messages(record, entry, 2):
                for kind in _KINDS:
                    for values in _find_messages(record, value, kind):
                        pieces = _find_messages(record, values, 1)
                        yield name.decode("utf-8", "backslashreplace"), kind, pieces


def _find_messages(data: bytes, piece: tuple[int, int], number: int) -> list[tuple[int, int]]:
    """Where the messages of a number begin and end, in a piece of a record that was parsed."""
    begin, end = piece
    places = []
    while begin < end:
        tag, begin = read_varint(data, begin)
        match tag & 7:
            case 0:
                _, begin = read_varint(data, begin)
            case 2:
                size, begin = read_varint(data, begin)
                if tag >> 3 == number:
                    places.append((begin, begin + size))
                begin += size
            case kind:
                begin += 8 if kind == 1 else 4
    return places


def _parse_feature(message: bytes) -> NDArray[Any]:
    kind, content = _FLOATS, b""
    for number, part in read_fields(message):
        if number in _KINDS:  # of which there is one: the last, in any number of parts
            content = content + as_message(part) if number == kind else as_message(part)
            kind = number
    fields = [value for number, value in read_fields(content) if number == 1]
    if kind == _BYTES:
        values = np.empty(len(fields), object)
        values[:] = fields
        return values
    return _floats_of(fields) if kind == _FLOATS else _integers_of(fields)


def _floats_of(fields: list[int | bytes]) -> NDArray[np.float32]:
    parts = [field if isinstance(field, bytes) else _float_of(field) for field in fields]
    if any(len(part) % 4 for part in parts):
        raise ValueError("a list of floats has a wrong number of bytes")
    data = b"".join(parts)
    return np.frombuffer(data, "<f4").astype(np.float32, copy=False)


def _float_of(number: int) -> bytes:
    if number >= 1 << 32:
        raise ValueError("a float has a wrong number of bytes")
    return number.to_bytes(4, "little")


def _integers_of(fields: list[int | bytes]) -> NDArray[np.int64]:
    numbers: list[int] = []
    for field in fields:
        if isinstance(field, int):
            numbers.append(field)
            continue
        position = 0
        while position < len(field):
            number, position = read_varint(field, position)
            numbers.append(number)
    return np.array(numbers, np.uint64).view(np.int64)
