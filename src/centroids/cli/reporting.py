"""centroids report."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from centroids.cli.answer import answer
from centroids.cli.inference import (
    describe_preparation,
    missing_of,
    model_of,
    preparation_of_model,
    read_model,
)
from centroids.cli.input_file import num_bytes_of
from centroids.cli.output_file import check_output, naming
from centroids.cli.points import describe_columns, find_points
from centroids.cli.points_file import PointsFile, as_matrix
from centroids.cli.row_texts import column_of_ids, texts_of
from centroids.cli.sampling import draw_sample, weighted_sample
from centroids.cli.settings import Settings, read_settings
from centroids.cli.survey import Read, labelled_batches
from centroids.cli.text_options import GivenText
from centroids.cli.thumbnails import thumbnails_of
from centroids.cli.training_plan import choose_weights
from centroids.cli.words import Words
from centroids.estimator import Checkpoint
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.missing import treatment_of
from centroids.inputs.tables.opening import open_table
from centroids.inputs.tables.table import check_columns
from centroids.kmeans.variables import CLUSTERS
from centroids.progress import Activity
from centroids.report import (
    Findings,
    Tally,
    check_shape,
    describe_model,
    has_umap,
    read_loss_curve,
    rows_shown,
    write_page,
)

_SAMPLE_ROWS = 1 << 12


@dataclass(frozen=True)
class Request:
    """What is to be reported, and where.

    Attributes:
        model_dir: The folder of the model.
        points: The file of points.
        output: The page to write.
        columns: The columns to take of the points; None for those of the model.
        weight_column: The column of their weights; "none" for none, None for that of the model.
        bad_rows: What to do with rows that are not numbers.
        text: How the file is written, if it is text.
        words: A file of names for the points; None for the numbers of the rows.
        words_column: Its column; None for the first of text.
        show: Columns of the points' file that go with members, whatever they hold; None: none but
            that of the ids.
        pictures: The shape of the pictures that points are, such as 28x28 or 32x32x3.
        umap: Whether UMAP draws another map; None: if it is installed.
    """

    model_dir: Path
    points: Path
    output: Path
    columns: list[str] | None
    weight_column: str | None
    bad_rows: BadRows
    text: GivenText
    words: Path | None
    words_column: str | None
    show: list[str] | None
    pictures: str | None
    umap: bool | None


def report(request: Request) -> None:
    """Writes a page about a model and points: one pass over them, and a sample."""
    if request.words_column is not None and request.words is None:
        raise ValueError("--words-column chooses a column of --words: give both")
    _check_output(request)
    if request.umap and not has_umap():
        raise ValueError("--umap needs the package umap-learn: pip install umap-learn")
    checkpoint = read_model(request.model_dir)
    words = None if request.words is None else Words(request.words, request.words_column)
    kept = read_settings(request.model_dir, checkpoint)
    weights = choose_weights(request.weight_column, kept)
    file = find_points(
        request.points,
        request.columns,
        request.text,
        request.model_dir,
        kept,
        weight_column=weights,
    )
    show = _shown_columns(request, file, kept)
    model, centers = model_of(checkpoint, request.model_dir), checkpoint.variables[CLUSTERS]
    shape = None if request.pictures is None else _picture_shape(request.pictures, centers.shape[1])
    cosine = model.params["distance_metric"] == model.COSINE_DISTANCE
    preparation = preparation_of_model(checkpoint)
    file = dataclasses.replace(file, missing=treatment_of(missing_of(checkpoint, kept)))
    tally = Tally(centers, cosine=cosine, weighted=file.weighted, preparation=preparation)
    read = Read()
    for rows, numbers, index, own in labelled_batches(model, file, request.bad_rows, read):
        tally.add(as_matrix(rows), numbers, index, own)
    _check_counts(request, tally.num_points, read.count, words)
    sample, sample_weights = _sample(file, request.bad_rows)
    names = file.column_names() or [f"column {place}" for place in range(centers.shape[1])]
    found = Findings(
        title=request.points.name,
        tally=tally,
        centers=centers,
        cosine=cosine,
        sample=sample,
        columns=[name or f"column {place}" for place, name in enumerate(names)],
        losses=read_loss_curve(str(request.model_dir)),
        settings=_settings(request, checkpoint, kept, weights, model.params["distance_metric"]),
        names={} if words is None else words.read(rows_shown(tally)),
        details=texts_of(file, show, rows_shown(tally), request.bad_rows) if show else {},
        detail_columns=show,
        weights=sample_weights,
        picture_shape=shape,
        umap=has_umap() if request.umap is None else request.umap,
        preparation=preparation,
    )
    found = _with_thumbnails(found, request.points)
    with Activity("drawing the page"), naming(request.output):
        write_page(found, request.output)
    typer.echo(f"Wrote {request.output}; open it in a browser")
    answer({"output": str(request.output), "num_points": tally.num_points})


def _with_thumbnails(found: Findings, points: Path) -> Findings:
    """With the pictures that members name, if the page has tables of members."""
    if found.picture_shape is not None:
        return found
    rows = [
        int(row)
        for members in (found.tally.nearest, found.tally.farthest)
        for row in members.numbers[found.detailed()].ravel()
    ]
    texts = [text for row in rows for text in found.details.get(row, ())]
    folder = points.parent if isinstance(points, Path) else Path()
    return dataclasses.replace(found, thumbnails=thumbnails_of(texts, folder))


def _check_counts(request: Request, num_points: int, num_rows: int, words: Words | None) -> None:
    """Raises a ValueError if there is no point, or another number of names."""
    if not num_points:
        what = "points of a weight above 0" if num_rows else "rows"
        raise ValueError(f"{request.points} has no {what}")
    if words is not None and words.count != num_rows:
        raise ValueError(
            f"{request.words} has {words.count:,} names, {request.points} has {num_rows:,} points"
        )


def _shown_columns(request: Request, file: PointsFile, kept: Settings) -> list[str]:
    """Those of --show, after that of the ids, if the model knows one and the file has it."""
    show = request.show or []
    if show:
        if not file.has_columns:
            raise ValueError(f"--show is for files with named columns; {file.path} has none")
        check_columns(open_table(file.path, file.text), show)
    ids = column_of_ids(file, kept)
    return show if ids is None or ids in show else [ids, *show]


def _sample(file: PointsFile, bad_rows: BadRows) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
    """Points that count, drawn at random, and their weights if there are such."""
    drawn = draw_sample(file, _SAMPLE_ROWS, np.random.default_rng(0), bad_rows).points
    if not file.weighted:
        return drawn, None
    sample = weighted_sample(drawn)
    sample = sample[sample.weights > 0]
    return np.asarray(sample.points), sample.weights


def _picture_shape(text: str, width: int) -> tuple[int, ...]:
    """What --pictures says, such as 28x28."""
    if not re.fullmatch(r"\d+x\d+(x3)?", text):
        raise ValueError(
            "--pictures must be a height and a width in pixels, such as 28x28, or 32x32x3 for "
            f"colors, got {text!r}"
        )
    sides = tuple(map(int, text.split("x")))
    try:
        return check_shape(sides, width)
    except ValueError as error:
        raise ValueError(
            f"--pictures {text} is for rows of {math.prod(sides):,} numbers, but the model has "
            f"{width:,} columns"
        ) from error


def _check_output(request: Request) -> None:
    """Raises a ValueError before a long file is read in vain."""
    if request.output.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--output must be an .html file, got {request.output}")
    check_output(request.output, points=request.points, model_dir=request.model_dir)


def _settings(
    request: Request, checkpoint: Checkpoint, kept: Settings, weights: str | None, metric: str
) -> dict[str, str]:
    """The model, its training and the points, as far as they are known."""
    mode = {True: "mini-batches", False: "full batches", None: None}[kept.use_mini_batch]
    columns = checkpoint.column_names if kept.columns is None else kept.columns
    num_bytes = num_bytes_of(request.points)
    known = {
        "points": request.points,
        "size of the files": f"{num_bytes:,} bytes" if num_bytes else None,
        "bad rows": "left out" if request.bad_rows == "drop" else None,
        "model": request.model_dir,
        "checkpoint": None if checkpoint.path is None else Path(checkpoint.path).name,
        "distance metric": metric,
        "clusters": f"{len(checkpoint.variables[CLUSTERS]):,}",
        "columns": None if columns is None else describe_columns(columns),
        "preparation of points": describe_preparation(checkpoint) or None,
        "weights": weights,
        "weights in training": None if kept.weight_column == weights else kept.weight_column,
        "steps of training": f"{checkpoint.global_step:,}",
        "trained in": mode,
        "points of a mini-batch": kept.batch_size if kept.use_mini_batch else None,
        "relative tolerance": kept.relative_tolerance,
        "seed": kept.seed,
    }
    return describe_model({name: str(value) for name, value in known.items() if value is not None})
