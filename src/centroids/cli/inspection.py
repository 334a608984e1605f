"""centroids inspect: a model in numbers, bars and examples."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from centroids.cli.answer import answer
from centroids.cli.inference import (
    describe_preparation,
    missing_of,
    model_of,
    preparation_of_model,
    read_model,
)
from centroids.cli.numbers import show_number
from centroids.cli.points import describe_columns, find_points
from centroids.cli.points_file import PointsFile
from centroids.cli.row_texts import column_of_ids, texts_of
from centroids.cli.settings import Settings, read_settings
from centroids.cli.survey import Survey, survey
from centroids.cli.text_options import GivenText
from centroids.cli.words import Words
from centroids.estimator import Checkpoint
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.missing import treatment_of
from centroids.inputs.tables.opening import is_text_file
from centroids.kmeans.variables import CLUSTERS, COUNTS, UPDATE_IN_STEPS, centers_in_units
from centroids.text_table import text_table

_BAR_WIDTH = 40
_NUM_BARS = 10
_MAX_COLUMNS = 20
_FEW_CLUSTERS = 20
_MAX_SHOWN_DIMENSIONS = 8


@dataclass(frozen=True)
class Request:
    """What is to be shown of a model.

    Attributes:
        model_dir: Its folder.
        points: A file of points to show the clusters by; None for none.
        columns: The columns to take of it; None for those of the model.
        bad_rows: What to do with rows of it that are not numbers.
        text: How it is written, if it is text.
        words: A file of names for them; None for the numbers of the rows.
        words_column: Its column; None for the first of text.
        num_clusters: How many clusters to show by example.
        num_nearest: How many points of each.
        variables: Whether to show what the checkpoint holds.
    """

    model_dir: Path
    points: Path | None
    columns: list[str] | None
    bad_rows: BadRows
    text: GivenText
    words: Path | None
    words_column: str | None
    num_clusters: int
    num_nearest: int
    variables: bool


def inspect(request: Request) -> None:
    """Prints the state of a model and, given points, its largest clusters by example."""
    if request.words is not None and request.points is None:
        raise ValueError("--words names the rows of --points: give both")
    if request.words_column is not None and request.words is None:
        raise ValueError("--words-column chooses a column of --words: give both")
    # Output that goes to a file is not cut at the width of a terminal.
    # Names are shown as they are: "[/b]" is a word, not markup.
    width = None if sys.stdout.isatty() else 120
    terminal = Console(highlight=False, markup=False, emoji=False, width=width)
    # A failure in the middle must not leave half an output.
    with terminal.capture() as shown:
        _show(request, terminal)
    sys.stdout.write(shown.get())


def _show(request: Request, console: Console) -> None:
    checkpoint = read_model(request.model_dir)
    words = None if request.words is None else Words(request.words, request.words_column)
    kept = read_settings(request.model_dir, checkpoint)
    _show_state(console, request.model_dir, checkpoint, kept)
    if request.points is None:
        _show_centers(console, checkpoint, kept)
        _show_sizes_of_training(console, checkpoint, kept)
    else:
        _show_clusters(console, checkpoint, request, request.points, words, kept)
    if request.variables:
        _show_variables(console, checkpoint)


def _show_clusters(
    console: Console,
    checkpoint: Checkpoint,
    request: Request,
    points: Path,
    words: Words | None,
    kept: Settings,
) -> None:
    file = find_points(points, request.columns, request.text, request.model_dir, kept)
    file = dataclasses.replace(file, missing=treatment_of(missing_of(checkpoint, kept)))
    model = model_of(checkpoint, request.model_dir)
    centers = checkpoint.variables[CLUSTERS]
    preparation = preparation_of_model(checkpoint)
    found = survey(model, centers, file, request.num_nearest, request.bad_rows, preparation)
    num_points = int(found.sizes.sum())
    answer(
        {
            "num_points": num_points,
            "sum_of_distances": found.total,
            "mean_distance": found.total / num_points,
        }
    )
    if words is not None and words.count != found.num_rows:
        raise ValueError(
            f"{request.words} has {words.count:,} names, {points} has {found.num_rows:,} points"
            f"{_hint_for_words(request, words.count - found.num_rows)}"
        )
    _show_sizes(console, found.sizes, f"points of {points.name}")
    console.print(
        f"score: {show_number(found.total)}, the sum of {model.params['distance_metric']} "
        f"distances; {show_number(found.total / num_points)} per point\n"
    )
    chosen = _spread(found.sizes, request.num_clusters)
    rows = {int(row) for cluster in chosen for row in found.nearest[cluster] if row >= 0}
    names = _names(file, kept, request, rows) if words is None else words.read(rows)
    shown = ((cluster, [row for row in found.nearest[cluster] if row >= 0]) for cluster in chosen)
    answer(
        {
            "clusters": [
                {
                    "cluster": cluster,
                    "size": found.sizes[cluster],
                    "nearest": [
                        {"row": row, "name": names.get(int(row))} for row in rows_of_cluster
                    ],
                }
                for cluster, rows_of_cluster in shown
            ]
        }
    )
    _show_examples(console, found, chosen, names)


def _names(file: PointsFile, kept: Settings, request: Request, rows: set[int]) -> dict[int, str]:
    """The ids of rows, if the model knows a column of them and the file has it."""
    ids = column_of_ids(file, kept)
    if ids is None:
        return {}
    return {row: name for row, (name,) in texts_of(file, [ids], rows, request.bad_rows).items()}


def _hint_for_words(request: Request, num_more: int) -> str:
    """What may be wrong with a text file that has this many more names than there are points."""
    assert request.words is not None
    if num_more == 1 and is_text_file(request.words):
        return (
            "; each line of a text file is a name: take out the first one, if it is a heading. "
            "For a column of a table give a .parquet file"
        )
    return ""


def _show_state(console: Console, model_dir: Path, checkpoint: Checkpoint, kept: Settings) -> None:
    centers = checkpoint.variables[CLUSTERS]
    modes = {None: "", False: " in full batches", True: " in mini-batches"}
    answer(
        {
            "model_dir": str(model_dir),
            "num_clusters": len(centers),
            "dimensions": centers.shape[1],
            "dtype": str(centers.dtype),
            "distance_metric": checkpoint.identity["distance_metric"],
            "global_step": checkpoint.global_step,
            "mode": {None: None, False: "full-batch", True: "mini-batch"}[kept.use_mini_batch],
            "columns": kept.columns,
            "weight_column": kept.weight_column,
            "id_column": kept.id_column,
        }
    )
    console.print(str(model_dir), style="bold")
    console.print(
        f"{_count(len(centers), 'cluster')} of {_count(centers.shape[1], 'dimension')}, "
        f"{centers.dtype}, "
        f"{checkpoint.identity['distance_metric']}; trained for "
        f"{_count(checkpoint.global_step, 'step')}{modes[kept.use_mini_batch]}"
    )
    if kept.columns is not None:
        more = len(kept.columns) - _MAX_COLUMNS
        shown = describe_columns([*map(_in_one_line, kept.columns[:_MAX_COLUMNS])])
        console.print(f"columns: {shown}{f' and {more:,} more' if more > 0 else ''}")
    if kept.id_column is not None:
        console.print(f"ids: {kept.id_column}")
    if kept.weight_column is not None:
        console.print(f"weights: {kept.weight_column}")
    if preparation := describe_preparation(checkpoint):
        console.print(f"points: {preparation}")
    console.print()


def _show_centers(console: Console, checkpoint: Checkpoint, kept: Settings) -> None:
    """The centers of a small model, by the names of its columns."""
    centers = centers_in_units(checkpoint.variables)
    if len(centers) > _FEW_CLUSTERS or centers.shape[1] > _MAX_SHOWN_DIMENSIONS:
        return
    answer({"centers": centers})
    columns = kept.columns if kept.columns is not None else checkpoint.column_names
    if columns is None or len(columns) != centers.shape[1]:
        columns = tuple(range(centers.shape[1]))
    rows = [["center", *map(_in_one_line, columns)]]
    for cluster, center in enumerate(centers):
        rows.append([str(cluster), *map(show_number, center.tolist())])
    console.print(text_table(rows, console.width))
    console.print()


def _in_one_line(column: str | int) -> str:
    """The name of a column, which may have line breaks."""
    return " ".join(str(column).split())


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _show_variables(console: Console, checkpoint: Checkpoint) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("variable", "type", "shape"):
        table.add_column(heading, overflow="fold")
    answer(
        {
            "variables": {
                name: {"dtype": str(value.dtype), "shape": value.shape}
                for name, value in checkpoint.variables.items()
            }
        }
    )
    for name, value in sorted(checkpoint.variables.items()):
        table.add_row(name, str(value.dtype), str(list(value.shape)))
    console.print()
    console.print(table)


def _show_sizes_of_training(console: Console, checkpoint: Checkpoint, kept: Settings) -> None:
    """How many points the clusters have had, as far as the model knows."""
    counts = checkpoint.variables[COUNTS]
    if kept.use_mini_batch is False:
        _show_sizes(console, counts, "points of the last step")
    elif (kept.mini_batch_steps_per_iteration or 1) == 1:
        # The initial center counts as one point in an update, but it is not one.
        _show_sizes(console, np.maximum(counts - 1, 0), "points seen")
    elif not checkpoint.variables[UPDATE_IN_STEPS]:
        _show_sizes(console, counts, "points of the last iteration")
    console.print("Clusters by example: --points POINTS, with --words FILE for names")


def _show_sizes(console: Console, sizes: NDArray[Any], what: str) -> None:
    answer({"cluster_sizes": sizes})
    by = "" if np.issubdtype(sizes.dtype, np.integer) else "weights of "
    console.print(
        f"cluster sizes ({by}{what}): {_size(sizes.min())} to {_size(sizes.max())}, median "
        f"{_size(np.median(sizes).astype(sizes.dtype))}; {int((sizes == 0).sum()):,} of "
        f"{len(sizes):,} are empty"
    )
    if len(sizes) <= _FEW_CLUSTERS:
        for cluster, size in enumerate(sizes):
            head = f"{f'cluster {cluster}':>12}  {_size(size):>12}  "
            bar = "█" * round(_room(console, head) * size / max(sizes.max(), 1))
            console.print(f"{head}{bar}".rstrip())
        console.print()
        return
    counts, edges = np.histogram(sizes, bins=min(_NUM_BARS, max(len(np.unique(sizes)), 1)))
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        head = f"{low:>12,.0f} to {high:>10,.0f}  "
        bar = "█" * round(_room(console, f"{head} {count:,}") * count / counts.max())
        console.print(f"{head}{bar} {count:,}")
    console.print()


def _room(console: Console, beside: str) -> int:
    """How long a bar may be beside a text."""
    return max(min(_BAR_WIDTH, console.width - len(beside)), 0)


def _size(size: Any) -> str:
    """A number of points, or the sum of their weights."""
    return f"{size:,}" if np.issubdtype(size.dtype, np.integer) else show_number(float(size))


def _spread(sizes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Clusters that have points, evenly spread from the largest to the smallest."""
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] > 0]
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return np.asarray(order[np.unique(places)])


def _show_examples(
    console: Console, found: Survey, chosen: NDArray[np.int64], names: dict[int, str]
) -> None:
    """Clusters by those of their points that are nearest to the center."""
    table = Table(box=None, pad_edge=False)
    table.add_column("cluster", justify="right")
    table.add_column("size", justify="right")
    table.add_column("nearest to its center", overflow="fold")
    for cluster in chosen:
        rows = [int(row) for row in found.nearest[cluster] if row >= 0]
        shown = [names.get(row, f"row {row:,}") for row in rows]
        table.add_row(str(cluster), f"{found.sizes[cluster]:,}", "  ".join(shown))
    console.print(table)
