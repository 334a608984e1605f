"""centroids inspect: a model in numbers, bars and examples."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from centroids import KMeansClustering, ProgressBarHook
from centroids.cli.inference import batch_size, model_of, read_model
from centroids.cli.points import (
    Columns,
    choose_columns,
    describe_columns,
    open_points,
    read_columns,
)
from centroids.estimator import Checkpoint
from centroids.inputs import TextFormat
from centroids.inputs.arrow import import_arrow
from centroids.kmeans_variables import CLUSTERS, COUNTS

_BAR_WIDTH = 40
_NUM_BARS = 10


def inspect(
    model_dir: Path,
    points: Path | None,
    words: Path | None,
    num_clusters: int,
    num_nearest: int,
    columns: list[str] | None,
    text: TextFormat,
) -> None:
    """Prints the state of a model and, given points, its largest clusters by example."""
    if words is not None and points is None:
        raise ValueError("--words names the rows of --points: give both")
    checkpoint = read_model(model_dir)
    model = model_of(checkpoint, model_dir)
    # Output that goes to a file is not cut at the width of a terminal.
    # Names are shown as they are: "[/b]" is a word, not markup.
    width = None if sys.stdout.isatty() else 120
    console = Console(highlight=False, markup=False, emoji=False, width=width)
    _show_state(console, model_dir, checkpoint)
    if points is None:
        _show_sizes(console, checkpoint.variables[COUNTS], "points seen")
        return
    names = None if words is None else read_words(words)
    chosen = choose_columns(points, columns, model_dir, text)
    index, distances, nearest = _survey(model, points, num_nearest, chosen, text)
    if names is not None and len(names) != len(index):
        raise ValueError(f"{words} has {len(names):,} names, {points} has {len(index):,} points")
    sizes = np.bincount(index, minlength=len(nearest))
    _show_sizes(console, sizes, f"points of {points.name}")
    console.print(
        f"score: {distances.sum():,.6g}, the sum of {model.params['distance_metric']} distances; "
        f"{distances.mean():.6g} a point\n"
    )
    _show_examples(console, sizes, nearest, names, num_clusters)


def read_words(path: Path) -> list[str]:
    """A name for each row: the lines of a text file, or the text column of a Parquet file."""
    if path.suffix.lower() != ".parquet":
        # Not splitlines(): it also breaks at characters that words have, such as U+0085.
        lines = path.read_text(encoding="utf-8").split("\n")
        return lines if lines[-1] else lines[:-1]
    types = import_arrow("pyarrow.types")
    table = import_arrow("pyarrow.parquet").read_table(path)
    for column in table.columns:
        if types.is_string(column.type) or types.is_large_string(column.type):
            return [str(value) for value in column.to_pylist()]
    raise ValueError(f"{path} has no column of text; its columns are {table.column_names}")


def _show_state(console: Console, model_dir: Path, checkpoint: Checkpoint) -> None:
    centers = checkpoint.variables[CLUSTERS]
    console.print(str(model_dir), style="bold")
    console.print(
        f"{len(centers):,} clusters of {centers.shape[1]:,} dimensions, {centers.dtype}, "
        f"{checkpoint.identity['distance_metric']}; trained for {checkpoint.global_step:,} steps"
    )
    columns = read_columns(model_dir)
    if columns is not None:
        console.print(f"columns: {describe_columns(columns)}")
    table = Table(box=None, pad_edge=False)
    for heading in ("variable", "type", "shape"):
        table.add_column(heading)
    for name, value in sorted(checkpoint.variables.items()):
        table.add_row(name, str(value.dtype), str(list(value.shape)))
    console.print(table)
    console.print()


def _show_sizes(console: Console, sizes: NDArray[Any], what: str) -> None:
    console.print(
        f"cluster sizes ({what}): {sizes.min():,} to {sizes.max():,}, median "
        f"{int(np.median(sizes)):,}; {int((sizes == 0).sum()):,} of {len(sizes):,} are empty"
    )
    counts, edges = np.histogram(sizes, bins=min(_NUM_BARS, max(len(np.unique(sizes)), 1)))
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        bar = "█" * round(_BAR_WIDTH * count / counts.max())
        console.print(f"{low:>12,.0f} to {high:>10,.0f}  {bar} {count:,}")
    console.print()


def _survey(
    model: KMeansClustering, points: Path, num_nearest: int, columns: Columns, text: TextFormat
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.int64]]:
    """The cluster and distance of each point, and the rows nearest to each center.

    Returns:
        [n] cluster indices, [n] distances, [num_clusters, num_nearest] rows; -1 where there are
        no more rows.
    """
    batches: Iterator[Any] = model.predict(
        open_points(points, batch_size(model, distances=True), columns=columns, text=text),
        hooks=[ProgressBarHook(description="comparing", value=None)],
        yield_single_examples=False,
    )
    index, distances = [], []
    k = model.params["num_clusters"]
    rows = np.full((k, num_nearest), -1, np.int64)
    best = np.full((k, num_nearest), np.inf)
    first = 0
    for batch in batches:
        every, chosen = batch[model.ALL_DISTANCES], batch[model.CLUSTER_INDEX]
        index.append(chosen)
        distances.append(every[np.arange(len(chosen)), chosen].astype(np.float64))
        # The few nearest of this batch compete with the few nearest so far.
        few = min(num_nearest, len(every))
        local = np.argpartition(every, few - 1, axis=0)[:few].T
        candidates = np.concatenate([best, np.take_along_axis(every.T, local, axis=1)], axis=1)
        candidate_rows = np.concatenate([rows, local + first], axis=1)
        order = np.argsort(candidates, axis=1, kind="stable")[:, :num_nearest]
        best = np.take_along_axis(candidates, order, axis=1)
        rows = np.take_along_axis(candidate_rows, order, axis=1)
        first += len(chosen)
    if not index:
        raise ValueError(f"{points} has no rows")
    return np.concatenate(index), np.concatenate(distances), rows


def _show_examples(
    console: Console,
    sizes: NDArray[Any],
    nearest: NDArray[np.int64],
    names: list[str] | None,
    num_clusters: int,
) -> None:
    """Clusters evenly spread from the largest to the smallest, by what is nearest to the center."""
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] > 0]
    places = np.linspace(0, len(order) - 1, min(num_clusters, len(order))).round().astype(int)
    table = Table(box=None, pad_edge=False)
    table.add_column("cluster", justify="right")
    table.add_column("size", justify="right")
    table.add_column("nearest to its center")
    for cluster in order[np.unique(places)]:
        rows = [int(row) for row in nearest[cluster] if row >= 0]
        shown = [f"row {row:,}" if names is None else names[row] for row in rows]
        table.add_row(str(cluster), f"{sizes[cluster]:,}", "  ".join(shown))
    console.print(table)
