"""Writing predictions into a file, which another process can continue with."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shlex
import sys
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from centroids import KMeansClustering, SessionRunHook, __version__
from centroids.cli.answer_forms import Answers, Form, NamedColumns
from centroids.cli.answered_rows import AnsweredRows
from centroids.cli.input_file import files_of, num_bytes_of
from centroids.cli.log import log
from centroids.cli.stopping import exit_code_of_stop
from centroids.cli.unfinished import (
    DamagedJournalError,
    OtherWorkError,
    Progress,
    UnfinishedFile,
    Work,
    check_same,
)
from centroids.errors import message_of
from centroids.files import atomic_file
from centroids.inputs import TextFormat
from centroids.inputs.arrow import import_arrow
from centroids.inputs.batch import Position

ENDINGS = (".npy", ".csv", ".parquet")


@dataclass(frozen=True)
class Prediction:
    """What is to be predicted.

    Attributes:
        model: The model.
        form: Which predictions of it are written, and how.
        input_fn: Gives a new source of the points.
        input: What must be equal for the file of points to be the same; see `describe_input`.
        hooks: Called around each batch.
    """

    model: KMeansClustering
    form: Form
    input_fn: Callable[[], AnsweredRows]
    input: Work
    hooks: list[SessionRunHook]

    def run(
        self, *more_hooks: SessionRunHook, position: Position | None = None
    ) -> Generator[Answers]:
        """The answers for each batch, in the order of the input.

        Args:
            more_hooks: Called around each batch, too.
            position: The place of the input to begin after; None: at its beginning.
        """
        rows = self._rows_after(position)
        predictions = self.model.predict(
            lambda: rows,
            predict_keys=self.form.keys,
            hooks=[*self.hooks, *more_hooks],
            yield_single_examples=False,
        )
        with contextlib.closing(predictions):
            for batch in predictions:
                log.let_out()
                yield Answers(batch, *rows.waiting.popleft())

    def _rows_after(self, position: Position | None) -> AnsweredRows:
        rows = self.input_fn()
        if position is not None:
            try:
                rows.restore(position)
            except ValueError as error:
                remedy = ". Leave --resume out to start over"
                raise OtherWorkError(message_of(error), remedy) from error
        return rows


@dataclass
class Written:
    """What was written.

    Attributes:
        rows: The rows.
        empty: Those of them without a label, of this process.
        first_empty: Where the first of these came from; None if that is not known.
    """

    rows: int = 0
    empty: int = 0
    first_empty: str | None = None

    def add(self, answers: Answers) -> None:
        """Counts the rows of a batch."""
        if answers.num_empty and not self.empty:
            self.first_empty = answers.first_empty()
        self.rows += answers.num_rows
        self.empty += answers.num_empty


def describe_input(
    points: Path, columns: Iterable[str | int] | None, text: TextFormat, batch_size: int
) -> Work:
    """What must be equal for a file of points to be the same, wherever it lies.

    Args:
        points: The file.
        columns: Those that are taken; None: all.
        text: How it is written, if it is text.
        batch_size: The rows that are read at once.

    Raises:
        OSError: If the file is not there.
    """
    times = [file.stat().st_mtime_ns for file in files_of(points) if isinstance(file, Path)]
    seconds, rest = divmod(max(times, default=0), 1_000_000_000)
    changed = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09} UTC"
    return {
        "the size of the input in bytes": num_bytes_of(points),
        "its time of change": changed if times else str(points),
        "the columns": None if columns is None else list(columns),
        "the format of text": asdict(text),
        "the rows of a batch": batch_size,
    }


def print_predictions(prediction: Prediction) -> Written:
    """Writes predictions to standard output, as text."""
    written, heading = Written(), prediction.form.heading()
    with contextlib.closing(prediction.run()) as batches:
        for answers in batches:
            sys.stdout.write(heading + prediction.form.text(answers))
            heading = ""  # not before there is a row: the input may be refused
            written.add(answers)
    sys.stdout.write(heading)
    return written


def write_predictions(prediction: Prediction, output: Path, *, resume: bool) -> Written:
    """Writes predictions into a .npy, .csv or .parquet file, whole or not at all.

    If the process is killed or the disk is full, what was written stays beside it.

    Args:
        prediction: What to write.
        output: The file.
        resume: Continue with what an earlier process wrote, if there is anything; not for .parquet.

    Returns:
        How much was written.

    Raises:
        ValueError: If what is there belongs to another prediction.
        OSError: If the file cannot be written, or another process writes it.
        typer.Exit: After Ctrl-C or SIGTERM.
    """
    ending = output.suffix.lower()
    if ending == ".parquet":
        return _write_parquet(prediction, output)
    what = f"{prediction.form.describe()} as {ending}"
    work = {"what is written": what, **prediction.input, **_VERSIONS}
    with UnfinishedFile(output) as file:
        begun = _go_on(file, work) if resume else None
        if not resume:
            _begin(file)
        writer = _Writer(file, work, ending, _Watch(begun, file.partial), prediction.form)
        try:
            writer.write(prediction)
        except OtherWorkError:  # what is there is of use for another call
            raise
        except KeyboardInterrupt:
            writer.keep()
            raise typer.Exit(exit_code_of_stop()) from None
        except (TypeError, ValueError):  # the points, which must change
            if begun is None:
                file.discard()
            raise
        except BaseException:
            writer.keep()
            raise
        written = writer.written
        return Written(file.progress.rows, written.empty, written.first_empty)


def _write_parquet(prediction: Prediction, output: Path) -> Written:
    """The footer of a Parquet file comes last: there is nothing to continue with."""
    form, written = prediction.form, Written()
    if not isinstance(form, NamedColumns):
        raise ValueError("--distances writes numbers without names: choose a .npy or .csv file")
    parquet = import_arrow("pyarrow.parquet", "writing Parquet files")
    try:
        with (
            atomic_file(str(output)) as file,
            parquet.ParquetWriter(file, form.schema) as writer,
            contextlib.closing(prediction.run()) as batches,  # and the thread that reads ahead
        ):
            for answers in batches:
                writer.write_batch(form.batch(answers))
                written.add(answers)
    except KeyboardInterrupt:
        typer.echo("Stopped; nothing was written.", err=True)
        raise typer.Exit(exit_code_of_stop()) from None
    return written


def _begin(file: UnfinishedFile) -> None:
    try:
        journal = file.read_journal()
    except (DamagedJournalError, OtherWorkError):
        journal = None
    if journal is not None:
        typer.echo(
            f"Starting over: {file.partial} held {journal.progress.rows:,} rows of an interrupted "
            "prediction, which --resume continues with.",
            err=True,
        )
    file.begin()


def _go_on(file: UnfinishedFile, work: Work) -> Work | None:
    """Continues with a file if possible; returns the work that it was begun for."""
    try:
        journal = file.read_journal()
        if journal is None:
            file.begin()
            return None
        check_same(journal.work, work, file.partial)
        file.go_on(journal.progress)
    except DamagedJournalError as error:
        typer.echo(f"Starting over: {error}.", err=True)
        file.begin()
        return None
    typer.echo(f"Continuing after {journal.progress.rows:,} rows.", err=True)
    return journal.work


class _Watch(SessionRunHook):
    """Knows the model that predicts, and where the input stands after the batch predicted last.

    Args:
        expected: The work whose model it must be; None: any.
        partial: The partial file of that, for messages.
    """

    position: Position | None = None

    def __init__(self, expected: Work | None, partial: str) -> None:
        self._expected, self._partial = expected, partial
        self._model: Work | None = None

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Compares the model before anything is predicted."""
        del coord
        self._session = session
        if self._expected is not None:
            check_same(self._expected, self.model(), self._partial)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Remembers the position."""
        self.position = run_context.session.input_position

    def model(self) -> Work:
        """Which model it is. Its checksum takes a while: it is computed when first asked for."""
        if self._model is None:
            digest = hashlib.sha256(repr(sorted(self._session.spec.identity.items())).encode())
            for name, value in sorted(self._session.variables.items()):
                array = np.ascontiguousarray(value)
                digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
                digest.update(array.data)
            self._model = {
                "the step of the model": self._session.global_step,
                "its checksum": digest.hexdigest(),
            }
        return self._model


class _Writer:
    """Writes the rows of a prediction into an unfinished file."""

    def __init__(
        self, file: UnfinishedFile, work: Work, ending: str, watch: _Watch, form: Form
    ) -> None:
        self._file, self._work, self._watch, self._form = file, work, watch, form
        self._is_text = ending == ".csv"
        self.written = Written()

    def write(self, prediction: Prediction) -> None:
        """Writes all that is missing, and puts the file in its place."""
        file, watch = self._file, self._watch
        with contextlib.closing(prediction.run(watch, position=file.progress.position)) as batches:
            for answers in batches:
                batch = self._form.array(answers) if not self._is_text else None
                self._check_layout(self._layout_of(answers, batch))
                file.append(self._encode(answers, batch), answers.num_rows, watch.position)
                self.written.add(answers)
                file.save_now_and_then(self._describe)
        file.finish(self._header(file.progress))

    def keep(self) -> None:
        """Saves what was written before something went wrong, and says how to continue."""
        file = self._file
        # Without new rows what is saved holds, and there may be no model yet to describe.
        if file.progress.rows and file.progress != file.saved and not file.is_in_place():
            with contextlib.suppress(OSError):  # then what was saved before counts
                file.save(self._describe())
        if file.saved is None or file.is_in_place():
            file.discard()
            return
        again = [word for word in sys.argv[1:] if word != "--resume"]
        typer.echo(f"Stopped; {file.partial} holds {file.saved.rows:,} rows.", err=True)
        typer.echo(f"Continue with: {shlex.join(['centroids', *again, '--resume'])}", err=True)

    def _describe(self) -> Work:
        return {**self._work, **self._watch.model()}

    def _layout_of(self, answers: Answers, batch: NDArray[Any] | None) -> dict[str, Any]:
        if batch is None and isinstance(self._form, NamedColumns):
            return {"columns": self._form.describe()}
        array = self._form.array(answers) if batch is None else batch
        named = array.dtype.names is not None
        dtype = [list(part) for part in array.dtype.descr] if named else array.dtype.str
        return {"dtype": dtype, "shape": list(array.shape[1:])}

    def _check_layout(self, layout: dict[str, Any]) -> None:
        if self._file.progress.layout is None:
            header = self._header(Progress(layout=layout))
            self._file.lay_out(layout, len(header))
        elif self._file.progress.layout != layout:
            raise OtherWorkError(
                f"{self._file.partial} has rows {self._file.progress.layout}, not {layout}"
            )

    def _encode(self, answers: Answers, batch: NDArray[Any] | None) -> bytes | memoryview:
        if batch is None:
            return self._form.text(answers).encode()
        return np.ascontiguousarray(batch).view(np.uint8).data

    def _header(self, progress: Progress) -> bytes:
        """What stands before the rows; it has one length for all numbers of rows."""
        if self._is_text:
            return self._form.heading().encode()
        layout = progress.layout or {"dtype": np.dtype(np.int32).str, "shape": []}
        header = io.BytesIO()
        # NumPy leaves room for the number of rows to grow in.
        np.lib.format.write_array_header_1_0(
            header,
            {
                "descr": _descr(layout["dtype"]),
                "fortran_order": False,
                "shape": (progress.rows, *layout["shape"]),
            },
        )
        if progress.rows and header.tell() != progress.first_byte:
            raise OSError(
                f"cannot write {progress.rows} rows as .npy: the header has no room; use .csv"
            )
        return header.getvalue()


def _descr(dtype: Any) -> Any:
    return dtype if isinstance(dtype, str) else [tuple(part) for part in dtype]


_VERSIONS = {"the version of centroids": __version__, "that of NumPy": np.__version__}
