"""How the labels of rows are written: as numbers alone, or as a table with columns of the input."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from centroids import KMeansClustering
from centroids.inputs.arrow import import_arrow
from centroids.inputs.batch import Mask, Origin
from centroids.inputs.tables.table import Table
from centroids.kmeans.variables import NO_CLUSTER

CLUSTER, DISTANCE, OF_ALL = "cluster", "cluster_distance", "distance"
SECOND_CLUSTER, SECOND_DISTANCE = "second_cluster", "second_cluster_distance"


@dataclass(frozen=True)
class Answers:
    """What a model says of some rows.

    Attributes:
        values: The predictions by their names.
        good: Which rows it can label; None: all.
        beside: The columns that go with them, as a RecordBatch; None: there are none.
        origin: Says where a row came from; None: that is not known.
    """

    values: dict[str, NDArray[Any]]
    good: Mask | None
    beside: Any
    origin: Origin | None = None

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.values.values())))

    @property
    def num_empty(self) -> int:
        """How many rows have no label."""
        return 0 if self.good is None else int((~self.good).sum())

    def first_empty(self) -> str | None:
        """Where the first row without a label came from; None if that is not known."""
        if self.good is None or self.origin is None:
            return None
        return self.origin(int(np.argmin(self.good)), None)

    def get(self, key: str, nothing: Any) -> NDArray[Any]:
        """A prediction, with `nothing` for the rows without a label."""
        value = self.values[key]
        if self.good is not None:
            value = value.copy()
            value[~self.good] = nothing
        return value


class Form(Protocol):
    """How labels are written."""

    keys: list[str]

    def describe(self) -> str:
        """What is written, for the journal."""

    def array(self, answers: Answers) -> NDArray[Any]:
        """As an array, for .npy."""

    def text(self, answers: Answers) -> str:
        """As lines, for .csv."""

    def heading(self) -> str:
        """The line before them."""


class NumbersAlone:
    """One prediction, as numbers without names.

    Args:
        key: Its name.
    """

    def __init__(self, key: str) -> None:
        self.keys = [key]
        self._nothing = NO_CLUSTER if key == KMeansClustering.CLUSTER_INDEX else np.nan

    def describe(self) -> str:
        """What is written, for the journal."""
        return self.keys[0]

    def array(self, answers: Answers) -> NDArray[Any]:
        """[n, ...]; a row without a label is -1, or NaN."""
        return answers.get(self.keys[0], self._nothing)

    def text(self, answers: Answers) -> str:
        """Lines of numbers; those of a row without a label are empty."""
        values = self.array(answers)
        width = 1 if values.ndim == 1 else values.shape[1]
        # All digits, so that the text holds the same number.
        is_single = values.dtype == np.float32
        how = "%d" if values.dtype.kind in "iu" else "%.9g" if is_single else "%.17g"
        how = ",".join([how] * width) + "\n"
        # Not numpy.savetxt, which keeps all text in memory until the garbage collector runs.
        lines = [how % tuple(row) for row in values.reshape(-1, width).tolist()]
        if not answers.num_empty:
            return "".join(lines)
        assert answers.good is not None
        # An empty line is no row to most readers.
        empty = '""\n' if width == 1 else "," * (width - 1) + "\n"
        return "".join(
            line if good else empty for line, good in zip(lines, answers.good, strict=True)
        )

    def heading(self) -> str:
        """There is none."""
        return ""


class NamedColumns:
    """A table: columns of the input, the label, and what is asked for besides.

    Args:
        table: The input.
        beside: Its columns that are written.
        num_clusters: If the distances to that many centers are written in place of the label;
            None: they are not.
        distance: Whether the distance to the nearest center is, too.
        second_best: Whether the second nearest cluster is, and its distance.

    Raises:
        ValueError: If a column of the input has a name that is needed.
    """

    def __init__(
        self,
        table: Table,
        beside: Sequence[str],
        *,
        num_clusters: int | None = None,
        distance: bool = False,
        second_best: bool = False,
    ) -> None:
        arrow = import_arrow(what="writing labels with other columns")
        self._distance, self._second, self._all = distance, second_best, num_clusters is not None
        self.keys = [] if self._all else [KMeansClustering.CLUSTER_INDEX]
        if distance or second_best or self._all:
            self.keys.append(KMeansClustering.ALL_DISTANCES)
        self.fields = [table.schema.field(name) for name in beside]
        if num_clusters is None:
            self.fields.append(arrow.field(CLUSTER, arrow.int32()))
        for cluster in range(num_clusters or 0):
            self.fields.append(arrow.field(f"{OF_ALL}_{cluster}", arrow.float64()))
        if distance:
            self.fields.append(arrow.field(DISTANCE, arrow.float64()))
        if second_best:
            self.fields.append(arrow.field(SECOND_CLUSTER, arrow.int32()))
            self.fields.append(arrow.field(SECOND_DISTANCE, arrow.float64()))
        self.schema = arrow.schema(self.fields)
        taken = [name for name in beside if self.schema.names.count(name) > 1]
        if taken:
            raise ValueError(
                f"{table.name} has a column {taken[0]!r}, but a column of that name is to be "
                "written: rename it, or write only the ids with --id-column"
            )

    def describe(self) -> str:
        """What is written, for the journal."""
        return ", ".join(f"{field.name} {field.type}" for field in self.fields)

    def batch(self, answers: Answers) -> Any:
        """A RecordBatch; a row without a label has nulls."""
        arrow = import_arrow()
        bad = None if answers.good is None else ~answers.good
        columns = list(answers.beside.columns) if answers.beside is not None else []
        distances = answers.values.get(KMeansClustering.ALL_DISTANCES)
        if distances is not None:
            distances = distances.astype(np.float64)
        if self._all:
            assert distances is not None
            columns += [arrow.array(column, mask=bad) for column in distances.T.copy()]
        else:
            columns += self._nearest(answers.values[KMeansClustering.CLUSTER_INDEX], distances, bad)
        return arrow.record_batch(columns, schema=self.schema)

    def _nearest(
        self, index: NDArray[Any], distances: NDArray[np.float64] | None, bad: Mask | None
    ) -> list[Any]:
        """The label, and what is asked for besides, as arrays of Arrow."""
        arrow = import_arrow()
        columns = [arrow.array(index, arrow.int32(), mask=bad)]
        if distances is None:
            return columns
        rows = np.arange(len(index))
        if self._distance:
            columns.append(arrow.array(distances[rows, index], mask=bad))
        if self._second:
            distances[rows, index] = np.inf
            second = distances.argmin(axis=1).astype(np.int32)
            alone = np.full(len(index), distances.shape[1] == 1)
            none = alone if bad is None else alone | bad
            columns.append(arrow.array(second, mask=none))
            columns.append(arrow.array(distances[rows, second], mask=none))
        return columns

    def array(self, answers: Answers) -> NDArray[Any]:
        """[n], a structured array; a label that is missing is -1, a number NaN.

        Raises:
            ValueError: If a column does not hold numbers.
        """
        batch, types = self.batch(answers), import_arrow("pyarrow.types")
        parts = []
        for field, column in zip(self.fields, batch.columns, strict=True):
            if not (types.is_integer(field.type) or types.is_floating(field.type)):
                raise ValueError(
                    f"a .npy file holds numbers, and column {field.name!r} is of type "
                    f"{field.type}: write a .csv or a .parquet file"
                )
            is_cluster = field.name in (CLUSTER, SECOND_CLUSTER)
            column = column.fill_null(NO_CLUSTER) if is_cluster else column
            parts.append((field.name, column.to_numpy(zero_copy_only=False)))
        layout = [(name, part.dtype if part.dtype.kind in "iuf" else "f8") for name, part in parts]
        found = np.empty(batch.num_rows, layout)
        for name, part in parts:
            found[name] = part
        return found

    def text(self, answers: Answers) -> str:
        """Lines of CSV; what is missing is empty."""
        arrow_csv, file = import_arrow("pyarrow.csv"), io.BytesIO()
        options = arrow_csv.WriteOptions(include_header=False, quoting_style="needed")
        arrow_csv.write_csv(self.batch(answers), file, options)
        return file.getvalue().decode()

    def heading(self) -> str:
        """The names of the columns."""
        file = io.StringIO()
        csv.writer(file, lineterminator="\n").writerow([field.name for field in self.fields])
        return file.getvalue()
