"""centroids choose-k."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from centroids.cli.answer import answer
from centroids.cli.errors import without_log_of
from centroids.cli.numbers import show_number
from centroids.cli.points import find_points
from centroids.cli.points_file import PointsFile, as_matrix
from centroids.cli.sampling import draw_sample, weighted_sample
from centroids.cli.settings import Settings
from centroids.cli.text_options import GivenText
from centroids.cli.training_plan import choose_column, choose_weights
from centroids.clustering import Preparation, fit_preparation, sum_columns_of_batches
from centroids.files import atomic_file
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.missing import MissingValues, treatment_of
from centroids.packages import import_package
from centroids.quality import NumClusters, choose_num_clusters
from centroids.rows import split_weights
from centroids.text_table import terminal_width

_SAMPLE_ROWS = 1 << 14
_PLOTS = (".png", ".svg", ".pdf")
_MOST_NUMBERS = 10_000
_RANGE = re.compile(r"(\d+)-(\d+)(?:/(\d+))?")


def choose_k(
    path: Path,
    num_clusters: str,
    *,
    cosine: bool,
    seed: int,
    columns: list[str] | None,
    weight_column: str | None,
    id_column: str | None,
    missing: MissingValues,
    standardize: bool,
    bad_rows: BadRows,
    text: GivenText,
    plot: Path | None,
) -> None:
    """Prints what several numbers of clusters come to, and which one is recommended."""
    numbers = parse_numbers(num_clusters)
    if plot is not None and plot.suffix.lower() not in _PLOTS:
        raise ValueError(
            f"--plot must be a {', '.join(_PLOTS[:-1])} or {_PLOTS[-1]} file, got {plot}"
        )
    if plot is not None:
        import_package("matplotlib", "--plot", "centroids[plot]")
    weights = choose_weights(weight_column, Settings())
    ids = choose_column(id_column, None)
    file = find_points(path, columns, text, None, weight_column=weights, id_column=ids)
    file = dataclasses.replace(file, missing=treatment_of(missing))
    sample = draw_sample(file, _SAMPLE_ROWS, np.random.default_rng([seed, 0]), bad_rows)
    if numbers[-1] >= sample.num_rows:
        raise ValueError(
            f"{path} has {sample.num_rows:,} points: --num-clusters must be fewer than that"
        )
    fits = sample.num_rows <= _SAMPLE_ROWS
    drawn = weighted_sample(sample.points) if file.weighted else sample.points
    points, own = file.read(bad_rows) if fits else split_weights(drawn)
    preparation = None
    if standardize or missing == "mean":
        every = [(points, own)] if fits else map(split_weights, file.batches(bad_rows))
        preparation = _fit(every, file, standardize=standardize)
        points = preparation.prepare(as_matrix(np.asarray(points)))
    found = choose_num_clusters(
        points,
        numbers,
        weights=own,
        cosine=cosine,
        seed=seed,
        sample_rows=_SAMPLE_ROWS,
        batches=None if fits else lambda: _pairs(file, bad_rows, preparation),
    )
    if plot is not None:
        _write_plot(found, plot)
    answer(found.to_dict())
    typer.echo(_describe(found, path))


def _fit(
    batches: Iterable[tuple[Any, NDArray[np.float64] | None]],
    file: PointsFile,
    *,
    standardize: bool,
) -> Preparation:
    """The preparation that a model would have which is trained on these points."""
    # Rows that are left out are reported when they are read for the measures.
    with without_log_of("centroids.inputs.bad_rows"):
        total = sum_columns_of_batches(
            (number, as_matrix(points), weights) for number, (points, weights) in enumerate(batches)
        )
    assert total is not None
    return fit_preparation(
        total, standardize=standardize, fills=file.missing == "keep", names=file.column_names()
    )


def _pairs(file: PointsFile, bad_rows: BadRows, preparation: Preparation | None) -> Iterator[Any]:
    """The points in batches, prepared, with their weights if there are such."""
    for batch in file.batches(bad_rows):
        points, weights = split_weights(batch)
        if preparation is not None:
            points = preparation.prepare(as_matrix(np.asarray(points)))
        yield points if weights is None else (points, weights)


def parse_numbers(text: str) -> list[int]:
    """The numbers that "2-10", "10-100/10" or "4,8,16" stand for, in rising order.

    >>> parse_numbers("2-5"), parse_numbers("10-50/20"), parse_numbers("4,8,16")
    ([2, 3, 4, 5], [10, 30, 50], [4, 8, 16])
    """
    numbers: set[int] = set()
    for part in text.split(","):
        matched = _RANGE.fullmatch(part.strip())
        if matched:
            low, high, step = (int(group or 1) for group in matched.groups())
            if high - low >= _MOST_NUMBERS * max(step, 1):
                raise ValueError(
                    f"--num-clusters must be at most {_MOST_NUMBERS:,} numbers, got {text!r}: take "
                    "larger steps, such as 10-100/10"
                )
            numbers |= set(range(low, high + 1, max(step, 1)))
        elif part.strip().isdecimal():
            numbers.add(int(part))
        else:
            numbers.clear()
            break
    if not numbers or min(numbers) < 2:
        raise ValueError(
            "--num-clusters must be numbers of at least 2, such as 2-20, 10-100/10 (in steps of "
            f"10) or 4,8,16, got {text!r}"
        )
    return sorted(numbers)


def _describe(found: NumClusters, path: Path) -> str:
    sampled = (
        ""
        if found.num_sampled == found.num_points
        else (f" (clustered: a random sample of {found.num_sampled:,})")
    )
    weight = found.total_weight
    told = "" if weight is None else f", their weight {show_number(weight)}"
    return (
        f"{path}: {found.num_points:,} points{told}{sampled}\n\n{found.in_lines(terminal_width())}"
    )


def _write_plot(found: NumClusters, path: Path) -> None:
    try:
        figure = found.plot()
    except ImportError as error:
        raise ValueError(f"--plot: {error}") from error
    with atomic_file(str(path)) as file:
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=150)
