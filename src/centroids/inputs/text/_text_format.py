"""How a text file of numbers is written: what the caller says about it, and its numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import DTypeLike

from centroids.checks import check_bool, check_integer
from centroids.errors import Argument, ArgumentError, Message, Part, WordedError

# Marks that people group digits with: none of them can be part of a plain number.
ThousandsMark: TypeAlias = Literal[",", ".", "'", "\u2019", "_", " ", "\u00a0", "\u202f"]
DecimalMark: TypeAlias = Literal[".", ","]
_THOUSANDS = get_args(ThousandsMark)
# A space also stands for no-break spaces: nobody sees the difference.
_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " "})
_BEGINS_AS_A_NUMBER = re.compile(r"[-+.,$€£¥~<>=(#\s]*\d")
_EUROPEAN = r"[-+]?\d{1,3}(?:\.\d{3})+,\d*"
_POINTS = re.compile(r"[-+]?\d{1,3}(?:\.\d{3}){2,}")
_DEFAULT_DTYPE = "float64"


@dataclass(frozen=True)
class TextFormat:
    """How a text file of numbers is written. What is None is detected in its first lines.

    Attributes:
        header: Whether the first line holds the names of the columns.
        delimiter: What separates the fields: one character. Detected: a tab, a semicolon, a comma,
            or else any white space.
        decimal: The decimal mark, "." or ",".
        thousands: What groups the digits of large numbers, such as "," in 1,234,567; None: nothing
            does. A space also stands for no-break spaces (U+00A0, U+202F).
        skip_lines: How many lines to skip at the beginning, whatever they hold.
        dtype: The floating-point type of the points; None: float64, which holds all the digits of
            whole numbers up to 2^53. float32 takes half the memory.
        encoding: How its characters are written, such as "cp1252"; None: as UTF-8, or as UTF-16 or
            UTF-32 if it begins with their byte order mark.

    Raises:
        ValueError: If one of them has a value that is not allowed; it names it.

    >>> TextFormat(thousands=",").number("1,234.5")
    1234.5
    """

    header: bool | None = None
    delimiter: str | None = None
    decimal: DecimalMark = "."
    thousands: ThousandsMark | None = None
    skip_lines: int = 0
    dtype: str | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        if self.header is not None:
            check_bool("header", self.header)
        if self.delimiter is not None and not _is_delimiter(self.delimiter):
            allowed = "a single character, but no quotation mark or line break"
            raise ArgumentError("delimiter", allowed, self.delimiter, or_none=True)
        if self.decimal not in (".", ","):
            raise ArgumentError("decimal", "'.' or ','", self.decimal)
        if self.thousands is not None and self.thousands not in _THOUSANDS:
            allowed = ", ".join(map(repr, _THOUSANDS[:5]))
            allowed = f"one of {allowed} or {_THOUSANDS[5]!r}"
            raise ArgumentError("thousands", allowed, self.thousands, or_none=True)
        if self.thousands == self.decimal:
            other = "," if self.decimal == "." else "."
            raise WordedError(
                Argument("decimal"),
                " and ",
                Argument("thousands"),
                f" must differ, both are {self.decimal!r}",
                remedy=Message("if that groups digits, say ", *_marks(other, self.decimal)),
            )
        check_integer("skip_lines", self.skip_lines, 0)
        if self.dtype is not None:
            object.__setattr__(self, "dtype", _name_of_dtype(self.dtype))
        if self.encoding is not None and not _is_encoding(self.encoding):
            allowed = "an encoding of text that Python knows, such as 'cp1252' or 'utf-16'"
            raise ArgumentError("encoding", allowed, self.encoding, or_none=True)

    @property
    def element_type(self) -> np.dtype[Any]:
        """The type of the points."""
        return np.dtype(self.dtype or _DEFAULT_DTYPE)

    @property
    def has_plain_numbers(self) -> bool:
        """Whether its numbers are written as in Python."""
        return self.decimal == "." and self.thousands is None

    def number(self, field: str) -> float:
        """The number that a field is.

        Digits are grouped by threes or not at all (the groups before the last may be of two, as in
        India): so a decimal comma that is called a thousands separator is not a number, not another
        one.

        Raises:
            ValueError: If it is not a number.
        """
        text = field.strip()
        if not self.has_plain_numbers:
            text = self._as_python(text)
        # Python's underscores and other scripts do not count.
        if "_" in text or not text.isascii():
            raise ValueError(f"{field!r} is not a number")
        return float(text)

    def is_number(self, field: str) -> bool:
        """Whether a field is a number."""
        try:
            self.number(field)
        except ValueError:
            return False
        return True

    def _as_python(self, text: str) -> str:
        if self.thousands == " ":
            text = text.translate(_SPACES)
        if self.thousands is not None and self.thousands in text:
            mark, point = re.escape(self.thousands), re.escape(self.decimal)
            grouped = rf"[-+]?\d{{1,3}}(?:{mark}\d{{2,3}})*{mark}\d{{3}}(?:{point}\d*)?(?:[eE].*)?"
            if re.fullmatch(grouped, text) is None:
                raise ValueError(f"{text!r} is not a number")
            text = text.replace(self.thousands, "")
        if self.decimal != ".":
            if "." in text:
                raise ValueError(f"{text!r} is not a number")
            text = text.replace(self.decimal, ".")
        return text


def find_remedy(field: str, text: TextFormat, could_be_names: bool, otherwise: Message) -> Message:
    """What to do about a field that is not a number: which arguments could make it one.

    Args:
        field: The field.
        text: How the file is written.
        could_be_names: Whether its line could also hold the names of the columns.
        otherwise: What helps if none could.

    >>> print(find_remedy("1,5", TextFormat(), False, Message("correct it")))
    if the comma is a decimal mark, say decimal=',' (and thousands='.' if points group digits)
    >>> print(find_remedy("Berlin", TextFormat(), False, Message("correct it")))
    correct it
    """
    remedies: list[tuple[Part, ...]] = []
    if text.decimal == "." and text.thousands is None and re.fullmatch(_EUROPEAN, field.strip()):
        remedies.append(("if the comma is a decimal mark, say ", *_marks(",", ".")))
    elif text.thousands is None:
        for mark in _THOUSANDS:
            # A point that groups digits comes below, with the decimal mark that goes with it.
            if mark != text.decimal and _is_grouped(field.strip(), mark):
                said = mark.translate(_SPACES)
                remedies.append((f"if {said!r} groups digits, say ", Argument("thousands", said)))
    if text.decimal == "." and _POINTS.fullmatch(field.strip()) and text.thousands is None:
        remedies.append(("if points group digits, say ", *_marks(",", ".")))
    if text.decimal == "." and re.fullmatch(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?", field.strip()):
        told: list[Part] = ["if the comma is a decimal mark, say ", Argument("decimal", ",")]
        if text.thousands is None:
            told += [" (and ", Argument("thousands", "."), " if points group digits)"]
        remedies.append(tuple(told))
    if could_be_names and not begins_as_a_number(field):
        remedies.append(
            ("if the line holds the names of the columns, say ", Argument("header", True))
        )
    if not remedies:
        return otherwise
    first, *more = remedies
    return Message(*first, *(part for each in more for part in ("; ", *each)))


def _marks(decimal: str, thousands: str) -> tuple[Part, ...]:
    return Argument("decimal", decimal), " ", Argument("thousands", thousands)


def begins_as_a_number(field: str) -> bool:
    """Whether a field that is not a number begins like one, as amounts of money and sizes do.

    >>> begins_as_a_number("$12"), begins_as_a_number("1kg"), begins_as_a_number("x1")
    (True, True, False)
    """
    return _BEGINS_AS_A_NUMBER.match(field) is not None


def _is_grouped(text: str, mark: str) -> bool:
    """Whether a number has digits that are grouped by a mark."""
    other = "." if mark == "," else ","
    each = re.escape(mark)
    pattern = rf"[-+]?\d{{1,3}}(?:{each}\d{{2,3}})*{each}\d{{3}}(?:[.,]\d*)?"
    return re.fullmatch(pattern, text) is not None and text.count(other) <= 1


def _is_delimiter(value: object) -> bool:
    return isinstance(value, str) and len(value) == 1 and value not in '"\r\n'


def _is_encoding(value: object) -> bool:
    try:
        return isinstance(value, str) and isinstance(b"a".decode(value, "replace"), str)
    except LookupError:  # also of codecs that are not for text
        return False


def _name_of_dtype(dtype: DTypeLike) -> str:
    element_type = np.dtype(dtype)
    if element_type.kind != "f":
        raise ValueError(f"dtype must be a floating-point type, got {element_type}")
    return element_type.name
