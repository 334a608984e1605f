"""How a command ends if it cannot do what it was asked: one sentence and an exit code.

The library names arguments (`header=True`); here they become options (`--header`), in errors and in
warnings alike.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from centroids.cli.config import places_named_in
from centroids.cli.log import log
from centroids.errors import (
    Argument,
    ArgumentError,
    BadLineError,
    BadRowError,
    NoPointsError,
    TextColumnsError,
    WidthError,
    Worded,
    WordedText,
)

_MISTAKE = 2  # a wrong argument, a path that cannot be, a library that is missing, or bad data
_FAILURE = 1  # a disk that is full or fails, or anything unforeseen
_UNFIT_PATHS = (errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.EMLINK, errno.EINVAL)

# Arguments of the library that have another name here.
_RENAMED = {
    "every_n_steps": "--validate-every",
    "export_dir_base": "OUTPUT",
    "input_fn": "POINTS",
    "loss_tolerance": "--relative-tolerance",
    "model_dir": "MODEL_DIR",
    "num_colors": "--num-clusters",
    "num_epochs": "--epochs",
    "picture_shape": "--pictures",
    "random_seed": "--seed",
}
_MODES = {True: "--mini-batch", False: "--full-batch"}
NOTHING = "none"  # as the mark that groups digits


def end_with(error: Exception) -> NoReturn:
    """Prints an error to standard error and ends the process."""
    # A missing library is something to install, as a missing file is one to name rightly.
    is_mistake = isinstance(error, (ValueError, TypeError, ImportError)) or _is_wrong_path(error)
    code = _MISTAKE if is_mistake else _FAILURE
    if isinstance(error, BrokenPipeError):  # the reader of our output has seen enough
        sys.stderr.close()
    else:
        told = _sentence(error)
        if "\n" in told.strip():  # of a library that we did not foresee
            from centroids.inputs.tables.table import one_line

            told = one_line(told)
        log.write_error(f"{told}{places_named_in(told)}", code)
    sys.exit(code)


def option(argument: Argument) -> str:
    """An argument of the library as the command line takes it.

    >>> option(Argument("header", False)), option(Argument("batch_size"))
    ('--no-header', '--batch-size')
    >>> option(Argument("columns", ["age", "net income"]))
    "--columns 'age,net income'"
    """
    value = argument.value
    if argument.name == "use_mini_batch":
        return _MODES[value is not False]
    name = _RENAMED.get(argument.name, "--" + argument.name.replace("_", "-"))
    if value is ... or value is True:
        return name
    if value is False:
        return name.replace("--", "--no-", 1)
    if isinstance(value, list):
        words = _join(value)
        return f"{name} {shlex.quote(words)}" if words else name
    return f"{name} {shlex.quote(NOTHING if value is None else str(value))}"


def _join(columns: list[str | int]) -> str:
    """A list of columns as --columns takes it; empty if --columns cannot say it."""
    words = [str(column) for column in columns]
    if any("," in word or word != word.strip() for word in words):
        return ""
    return ",".join(words)


@contextmanager
def without_log_of(module: str) -> Iterator[None]:
    """Hides what a module logs, because the command says it itself."""
    logger = logging.getLogger(module)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


@contextmanager
def silenced(quiet: bool) -> Iterator[None]:
    """Silences standard output, for a command that only reports progress there."""
    with contextlib.ExitStack() as stack:
        if quiet:
            nothing = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(nothing))
        yield


@contextmanager
def suggesting_options(
    points: Path,
    *,
    can_drop: bool,
    can_empty: bool = False,
    prepares: bool = False,
    has_ids: bool = False,
) -> Iterator[None]:
    """Around what reads points: errors suggest options, where the library suggests arguments.

    Args:
        points: The file that is read.
        can_drop: Whether the command has --bad-rows drop, and it is not given yet.
        can_empty: Whether it has --bad-rows empty, and it is not given yet.
        prepares: Whether it has --missing drop and mean, and neither is given yet.
        has_ids: Whether it has --id-column for a column that is not one of the points, and it is
            not given yet.
    """
    log.advises_ids = has_ids
    try:
        yield
    except (TypeError, ValueError) as error:
        told = _advise(error, points, can_drop, can_empty)
        if has_ids and (advice := _advise_ids(error)) is not None:
            told = f"{told or _sentence(error)}; {advice}"
        if prepares and isinstance(error, (BadRowError, BadLineError)) and error.is_missing:
            told = (
                f"{told or error.say(option)}; of rows with missing values --missing drop leaves "
                "out all, and --missing mean fills them"
            )
        if told is None:
            raise
        raise (TypeError if isinstance(error, TypeError) else ValueError)(told) from error
    finally:
        log.advises_ids = False


def _advise_ids(error: Exception) -> str | None:
    """How to name the column of the ids, if there may be one."""
    if not isinstance(error, (BadLineError, TextColumnsError)):
        return None
    if error.ids:
        return f"name the rows with {option(Argument('id_column', error.ids[0]))}"
    if isinstance(error, BadLineError) and not error.is_text:
        return None
    if isinstance(error, TextColumnsError) and not error.numbers:
        return None
    several = len(error.columns) > 1 if isinstance(error, TextColumnsError) else not error.column
    return f"if {'one of them' if several else 'it'} names the rows, say so with --id-column"


def _advise(error: Exception, points: Path, can_drop: bool, can_empty: bool) -> str | None:
    """What a command adds to an error that it knows more about; None if nothing."""
    from centroids.inputs.errors import NoPositionError

    if isinstance(error, NoPointsError):
        return f"{points} has no rows"
    if isinstance(error, NoPositionError):
        return (
            f"the last run stopped within the mini-batches of {points}: continue with the "
            "options that it had, or start the file at its beginning with --restart-input"
        )
    if isinstance(error, WidthError):
        more = "" if points.suffix.lower() == ".npy" else "; choose columns with --columns"
        return f"{points}: {error.say(option)}{more}"
    if not isinstance(error, (BadRowError, BadLineError)):
        return None
    if isinstance(error, BadRowError) and error.place is None and error.batch == 0:
        # A file that is read at once, or mapped, is one batch: its rows are those of the batch.
        error = error.at(f"{points}, {error.in_batch()}")
    told = error.say(option)
    # Of a column of text there would be no line left.
    if isinstance(error, BadLineError) and error.is_text:
        return told
    before = ", or" if str(error.remedy) else "; correct it, or"
    if can_drop and error.can_be_dropped:
        them = "them" if isinstance(error, BadRowError) else "such lines"
        return f"{told}{before} leave {them} out with --bad-rows drop"
    if can_empty and isinstance(error, BadLineError) and (error.can_be_dropped or error.has_digits):
        return f"{told}{before} give such lines an empty label with --bad-rows empty"
    return told


def _is_wrong_path(error: Exception) -> bool:
    """Whether a path leads nowhere, or where nothing may be read or written."""
    if isinstance(error, BrokenPipeError):
        return False
    kinds = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
    # A server that cannot be reached is an address that leads nowhere.
    return isinstance(error, (*kinds, ConnectionError)) or (
        isinstance(error, OSError) and error.errno in _UNFIT_PATHS
    )


def _sentence(error: Exception) -> str:
    if isinstance(error, ArgumentError):
        # An option that is left out is None; one can say so.
        none = f", or {NOTHING}" if error.argument == "thousands" else ""
        name = option(Argument(error.argument))
        return f"{name} must be {error.allowed}{none}; got {error.given!r}"
    if isinstance(error, Worded):
        return error.say(option)
    if isinstance(error, OSError) and error.strerror:
        told = error.strerror
        told = told.message.say(option) if isinstance(told, WordedText) else told
        return f"{error.filename}: {told}" if error.filename else told
    if isinstance(error, (ValueError, TypeError, OSError, ImportError)) and str(error):
        return str(error)
    # Errors that we did not foresee may have no text, or one that says little without the type.
    return f"{type(error).__name__}: {error} (centroids --debug shows more)"
