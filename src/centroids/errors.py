"""Errors that know what they are about. Each face words them in its own terms.

The library names arguments (`header=False`), the command line options (`--no-header`). So messages
hold arguments as such, and errors hold the file, the row and the like as attributes: nobody has to
find them in the text.

Over 400 lines: errors of all rooms, each with what it knows.
"""

from __future__ import annotations

import copy
import copyreg
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

_MOST_SHOWN = 20


@dataclass(frozen=True)
class Argument:
    """An argument in a message; as text, what it is called in Python.

    Attributes:
        name: Its name.
        value: What to pass; `...` names the argument alone.
        of: The function that takes it, if it is not the one that raises.

    >>> print(Argument("header", False), Argument("columns", ["a", "b"]), Argument("seed"))
    header=False columns=['a', 'b'] seed
    """

    name: str
    value: Any = ...
    of: str | None = None

    def __str__(self) -> str:
        of = f" to {self.of}" if self.of else ""
        if self.value is ...:
            return f"{self.name}{of}"
        if not isinstance(self.value, list):
            return f"{self.name}={self.value!r}{of}"
        return f"{self.name}=[{list_names(self.value) or '...'}]{of}"


Part: TypeAlias = "str | Argument | Message"
Word: TypeAlias = Callable[[Argument], str]


class Message:
    """Text with arguments in it.

    >>> message = Message("if it is a row, say ", Argument("header", False))
    >>> print(message)
    if it is a row, say header=False
    >>> message.say(lambda argument: f"--no-{argument.name}")
    'if it is a row, say --no-header'
    """

    def __init__(self, *parts: Part) -> None:
        self._parts = parts

    def say(self, word: Word) -> str:
        """The text, with what `word` calls the arguments."""
        return "".join(
            part.say(word)
            if isinstance(part, Message)
            else word(part)
            if isinstance(part, Argument)
            else part
            for part in self._parts
        )

    def __str__(self) -> str:
        return self.say(str)


class IdAdvice(Message):
    """Advice to name a column of ids, for commands that take one; in Python it is empty.

    >>> advice = IdAdvice("name")
    >>> str(advice), advice.say(lambda argument: f"--id-column {argument.value}")
    ('', ', or say --id-column name')
    """

    def __init__(self, column: str | int) -> None:
        super().__init__(", or say ", Argument("id_column", column))

    def say(self, word: Word) -> str:
        """The advice, with what `word` calls the argument."""
        return "" if word is str else super().say(word)


class SignalName(str):
    """The name of a signal in a log record; a face may know which other signal has caused it."""

    __slots__ = ()


class Worded:
    """What each face words, mixed into one of Python's exception classes.

    Attributes:
        problem: What is wrong.
        remedy: What to do about it, or what there is instead; may be empty.

    Args:
        problem: The parts of that message.
        remedy: See the attributes.
    """

    def __init__(self, *problem: Part, remedy: Part = "") -> None:
        self.problem, self.remedy = Message(*problem), Message(remedy)
        super().__init__(self.say(str))  # type: ignore[call-arg]

    def say(self, word: Word) -> str:
        """The whole message, with what `word` calls the arguments."""
        return "; ".join(filter(None, (self.problem.say(word), self.remedy.say(word))))

    def __reduce__(self) -> tuple[Any, ...]:
        # From a process to another with its attributes; the class may take other arguments.
        return copyreg.__newobj__, (type(self), str(self)), vars(self)  # type: ignore[attr-defined]


class WordedError(Worded, ValueError):
    """A value that is not allowed."""


class WordedTypeError(Worded, TypeError):
    """Something of a type that is not allowed."""


class WordedText(str):
    """A text with arguments in it, where only a str will do: what an OSError says of a file.

    Attributes:
        message: The same, which each face words.

    >>> error = OSError(13, WordedText(Argument("model_dir"), " cannot be written"), "m")
    >>> print(error)
    [Errno 13] model_dir cannot be written: 'm'
    >>> error.strerror.message.say(lambda argument: argument.name.upper())
    'MODEL_DIR cannot be written'
    """

    message: Message

    def __new__(cls, *parts: Part) -> Self:
        """Takes the parts of the message."""
        message = Message(*parts)
        text = super().__new__(cls, str(message))
        text.message = message
        return text


class NotAFolderError(Worded, NotADirectoryError):
    """What should be a folder is a file."""


class TextColumnsError(WordedTypeError):
    """Columns of a table do not hold numbers.

    Attributes:
        columns: Their names.
        numbers: See the arguments.
        ids: Columns of numbers that look like ids, which the advice leaves out.

    Args:
        table: What messages call the table.
        types: The columns, each with its type.
        numbers: The columns of numbers, to choose instead.
        ids: See the attributes.

    >>> print(TextColumnsError("t.parquet", {"name": "string"}, ["age"], ["id"]))
    t.parquet['name'] must hold numbers or lists of numbers, got string; choose other columns with \
columns=['age'] ('id' looks like an id)
    """

    def __init__(
        self,
        table: object,
        types: Mapping[str, object],
        numbers: Sequence[str],
        ids: Sequence[str] = (),
    ) -> None:
        self.columns, self.numbers, self.ids = list(types), list(numbers), list(ids)
        if len(types) == 1:
            [(name, kind)] = types.items()
            problem = f"{table}[{name!r}] must hold numbers or lists of numbers, got {kind}"
        else:
            told = [f"[{name!r}] ({kind})" for name, kind in list(types.items())[:_MOST_SHOWN]]
            more = ["..."][: len(types) > _MOST_SHOWN]
            problem = f"{table}{', '.join([*told, *more])} must hold numbers or lists of numbers"
        advice = choose_columns_advice(numbers, ids) if numbers else "it has no columns of numbers"
        super().__init__(problem, remedy=advice)


def choose_columns_advice(numbers: Sequence[str | int], ids: Sequence[str | int] = ()) -> Message:
    """Advice to choose other columns.

    Args:
        numbers: Those to choose; empty: they are not known.
        ids: Those that look like ids, which are not among them.
    """
    looks = "looks like an id" if len(ids) == 1 else "look like ids"
    told = f" ({list_names(ids)} {looks})" if ids else ""
    return Message("choose other columns with ", Argument("columns", [*numbers]), told)


class ArgumentError(WordedError):
    """An argument has a value that is not allowed.

    Attributes:
        argument: Its name.
        allowed: What it must be.
        or_none: Whether it may also be None.
        given: The value.

    >>> print(ArgumentError("batch_size", "an integer of at least 1", 0))
    batch_size must be an integer of at least 1; got 0
    """

    def __init__(
        self, argument: str, allowed: str, given: object, *, or_none: bool = False
    ) -> None:
        self.argument, self.allowed, self.or_none, self.given = argument, allowed, or_none, given
        super().__init__(
            Argument(argument), f" must be {allowed}{', or None' * or_none}; got {given!r}"
        )


class BadRowError(WordedError):
    """A row of a batch that cannot be used.

    A kernel knows the row in the batch; in the file that the batch was read from it is elsewhere.
    Whatever knows where it came from adds that.

    Attributes:
        batch: The number of the batch, from 0.
        row: The row in it.
        column: The column; None if it is the whole row.
        place: Where the row came from, as users know it; None if that is not known.
        can_be_dropped: Whether it helps to leave such rows out.
        is_missing: Whether the column has no value there.

    >>> error = BadRowError("got nan", "remove such rows", batch=2, row=0, column=1)
    >>> print(error)
    got nan in batch 2, row 0, column 1; remove such rows
    >>> print(error.at("points.csv, line 7"))
    got nan in points.csv, line 7; remove such rows
    """

    def __init__(
        self,
        problem: Part,
        remedy: Part,
        *,
        batch: int,
        row: int,
        column: int | None = None,
        place: str | None = None,
        can_be_dropped: bool = True,
        is_missing: bool = False,
    ) -> None:
        self.batch, self.row, self.column, self.place = batch, row, column, place
        self.can_be_dropped, self.is_missing = can_be_dropped, is_missing
        self._what, self._is_final = problem, place is not None
        super().__init__(
            problem, f" in {place or f'batch {batch}, {self.in_batch()}'}", remedy=remedy
        )

    def in_batch(self) -> str:
        """The row and the column in the batch."""
        return f"row {self.row}" + ("" if self.column is None else f", column {self.column}")

    def at(self, place: str | None) -> BadRowError:
        """The error with the place where its row came from."""
        return BadRowError(
            self._what,
            self.remedy,
            batch=self.batch,
            row=self.row,
            column=self.column,
            place=place,
            can_be_dropped=self.can_be_dropped,
            is_missing=self.is_missing,
        )

    def at_origin(self, origin: Callable[[int, int | None], str] | None) -> BadRowError:
        """The error to show: with the place that `origin` says of row and column, if it is known.

        It then has its place for good: an input around this one knows no better one.
        """
        if self._is_final:
            return self
        error = self.at(None if origin is None else origin(self.row, self.column))
        error._is_final = True
        return error


class BadLineError(WordedError):
    """A line of a text file that is not a row of numbers.

    Attributes:
        file: The file.
        line: The number of the line, from 1.
        column: The column that is not a number, by its name, or else its number from 0; None:
            several columns, or the whole line.
        can_be_dropped: Whether it helps to leave such lines out, and loses no numbers.
        has_digits: Whether a field has digits in it, which are lost where the line is left out.
        is_missing: Whether the column has no value there.
        is_text: Whether the column has no numbers at all.
        ids: Columns that look like ids, which the advice leaves out.
        in_file: The message without the name of the file.
    """

    def __init__(
        self,
        file: object,
        line: int,
        problem: str,
        remedy: Part = "",
        *,
        column: str | None = None,
        can_be_dropped: bool = True,
        has_digits: bool = False,
        is_missing: bool = False,
        is_text: bool = False,
        ids: Sequence[str | int] = (),
    ) -> None:
        self.file, self.line, self.column = str(file), line, column
        self.can_be_dropped, self.has_digits = can_be_dropped, has_digits
        self.is_missing, self.is_text, self.ids = is_missing, is_text, list(ids)
        what = f"line {line}{problem}"
        self.in_file = Message(what, "; ", remedy) if remedy else Message(what)
        super().__init__(f"{file}, {what}", remedy=remedy)


class MissingColumnError(WordedError):
    """A file lacks a column.

    Attributes:
        file: The file.
        column: The name or the number that was asked for.
    """

    def __init__(
        self, file: object, column: object, available: Sequence[str | int], hint: Part = ""
    ) -> None:
        self.file, self.column = str(file), column
        super().__init__(
            f"{file} has no column {column!r}",
            remedy=Message(f"it has the columns {list_names(available)}", hint),
        )


class EmptyColumnError(WordedError):
    """Columns have no value in any row that counts, so that they have no mean.

    Attributes:
        columns: Their numbers.
        num_columns: How many columns there are.
        names: What all of them are called, by names or numbers; None: not known.

    >>> print(EmptyColumnError([1], 3, ["a", "b", "c"]))
    column 'b' has no value in any row that counts, so it has no mean; leave it out
    >>> print(EmptyColumnError([1], 3).in_file("t.csv", ["a", "b", "c"]))
    t.csv: column 'b' has no value in any row that counts, so it has no mean; choose other \
columns with columns=['a', 'c']
    """

    def __init__(
        self,
        columns: Sequence[int],
        num_columns: int,
        names: Sequence[str | int] | None = None,
        file: object = None,
    ) -> None:
        self.columns, self.num_columns = list(columns), num_columns
        self.names = None if names is None or len(names) != num_columns else list(names)
        words: list[str | int] = [*(self.names or range(num_columns))]
        others = [word for column, word in enumerate(words) if column not in self.columns]
        several = len(self.columns) > 1
        told = list_names([words[column] for column in self.columns])
        super().__init__(
            "" if file is None else f"{file}: ",
            f"columns {told} have" if several else f"column {told} has",
            " no value in any row that counts, so ",
            "they have no means" if several else "it has no mean",
            remedy=f"leave {'them' if several else 'it'} out"
            if file is None
            else Message("choose other columns with ", Argument("columns", others)),
        )

    def in_file(self, file: object, names: Sequence[str | int] | None) -> EmptyColumnError:
        """The same error about the columns of a file, whose names may be known there alone."""
        return EmptyColumnError(self.columns, self.num_columns, self.names or names, file)


class WidthError(WordedError):
    """Points have another number of columns than the centers."""


class NoPointsError(WordedError):
    """The input has no points, but some are needed."""


def message_of(error: Exception) -> Message:
    """What an error says, as a part of another message: arguments in it remain arguments."""
    if isinstance(error, Worded):
        return Message(error.problem, "; " if str(error.remedy) else "", error.remedy)
    return Message(str(error))


def at_place(place: str, error: TypeError | ValueError) -> TypeError | ValueError:
    """The same error with the place in front of its message.

    >>> print(at_place("batch 2", ArgumentError("batch_size", "an integer of at least 1", 0)))
    batch 2: batch_size must be an integer of at least 1; got 0
    """
    if not isinstance(error, Worded):
        return (TypeError if isinstance(error, TypeError) else ValueError)(f"{place}: {error}")
    located = copy.copy(error)
    located.problem = Message(f"{place}: ", error.problem)
    located.args = (located.say(str),)
    return located


def list_names(names: Sequence[str | int]) -> str:
    """Names as messages list them: the first of them, if they are many."""
    return ", ".join([*map(repr, names[:_MOST_SHOWN]), *["..."][: len(names) > _MOST_SHOWN]])
