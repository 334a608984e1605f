"""predict, transform, evaluate and score: what a model says of points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from centroids.cli.errors import suggesting_options
from centroids.cli.options import (
    Append,
    BadRowsChoice,
    BadRowsOption,
    Columns,
    Distance,
    IdOfLabels,
    Input,
    Missing,
    MissingChoice,
    ModelDir,
    Output,
    Quiet,
    Resume,
    SecondBest,
    WeightColumn,
    split_columns,
)
from centroids.cli.options_of_labels import BadLabelsChoice, BadLabelsOption
from centroids.cli.text_options import GivenText, with_text_format

if TYPE_CHECKING:
    from centroids.cli.inference import Evaluation


@with_text_format
def predict(
    model_dir: ModelDir,
    points: Input,
    output: Output = Path("-"),
    distances: Annotated[
        bool, typer.Option("--distances", help="Write the distances to all centers instead.")
    ] = False,
    id_column: IdOfLabels = None,
    append: Append = False,
    distance: Distance = False,
    second_best: SecondBest = False,
    bad_rows: BadLabelsOption = BadLabelsChoice.RAISE,
    resume: Resume = False,
    columns: Columns = None,
    quiet: Quiet = False,
    *,
    text: GivenText,
) -> None:
    """Find the nearest cluster of each point.

    Writes the number of the nearest cluster for each point, in the order of the file: one number
    per line, or a NumPy array. Clusters are counted from 0. With --distances it writes the
    distances to all centers instead, squared under the squared Euclidean metric.

    With --id-column, --append, --distance or --second-best, and into a .parquet file, it writes a
    table, whose column of labels is called cluster. A row with a missing or infinite value gets an
    empty label (-1 in a .npy file), and the last line says how many there are. If the model was
    trained with --missing mean, rows with missing values get labels, too. A line of text that is
    not a row of numbers stops the command, unless --bad-rows empty gives it an empty label, too.

    If Ctrl-C, a kill or a full disk stops it, run the same command with --resume to continue.

    
    Examples:
      centroids predict model points.npy --output labels.npy
      centroids predict model points.csv > labels.txt
      centroids predict model people.csv --id-column id --output labels.parquet
      centroids predict model people.csv --append --distance -o labelled.csv
      centroids predict model points.npy --distances -o distances.csv
      centroids predict model huge.parquet -o labels.npy --resume
    """
    from centroids.cli import inference
    from centroids.cli.labelling import Request

    advice = suggesting_options(points, can_drop=False, can_empty=bad_rows is BadLabelsChoice.RAISE)
    with advice:
        inference.predict(
            Request(
                model_dir=model_dir,
                points=points,
                output=output,
                distances=distances,
                resume=resume,
                columns=split_columns(columns),
                text=text,
                id_column=id_column,
                append=append,
                distance=distance,
                second_best=second_best,
                empties=bad_rows is BadLabelsChoice.EMPTY,
                quiet=quiet,
            )
        )


@with_text_format
def evaluate(
    model_dir: ModelDir,
    points: Input,
    columns: Columns = None,
    weight_column: WeightColumn = None,
    bad_rows: BadRowsOption = BadRowsChoice.RAISE,
    missing: Missing = None,
    *,
    text: GivenText,
) -> None:
    """Measure how well a model fits points.

    Prints the mean and the sum of the distances from the points to their nearest centers, squared
    under the squared Euclidean metric. Of two models with the same metric and the same number of
    clusters, the one with the lower mean fits these points better. With weights each distance
    counts by the weight of its point.

    
    Example:
      centroids evaluate model held_out.npy
    """
    with suggesting_options(points, can_drop=bad_rows is BadRowsChoice.RAISE):
        _evaluated(model_dir, points, columns, weight_column, bad_rows, missing, text).show()


@with_text_format
def score(
    model_dir: ModelDir,
    points: Input,
    columns: Columns = None,
    weight_column: WeightColumn = None,
    bad_rows: BadRowsOption = BadRowsChoice.RAISE,
    missing: Missing = None,
    *,
    text: GivenText,
) -> None:
    """Print the sum of the distances of points to their nearest centers.

    Prints one number, for scripts. Distances are squared under the squared Euclidean metric. Lower
    is better. With weights each distance counts by the weight of its point. The command evaluate
    prints more.

    
    Example:
      centroids score model held_out.npy
    """
    with suggesting_options(points, can_drop=bad_rows is BadRowsChoice.RAISE):
        _evaluated(model_dir, points, columns, weight_column, bad_rows, missing, text).show_score()


@with_text_format
def transform(
    model_dir: ModelDir,
    points: Input,
    output: Output = Path("-"),
    id_column: IdOfLabels = None,
    append: Append = False,
    bad_rows: BadLabelsOption = BadLabelsChoice.RAISE,
    resume: Resume = False,
    columns: Columns = None,
    quiet: Quiet = False,
    *,
    text: GivenText,
) -> None:
    """Write the distances of each point to all centers.

    Does the same as `centroids predict --distances`: it writes a row of distances for each point,
    in the order of the file, squared under the squared Euclidean metric. With --id-column or
    --append, and in a .parquet file, they are columns with names: distance_0, distance_1 and so on.
    A row with a missing or infinite value gets empty distances. If the model was trained with
    --missing mean, rows with missing values get distances, too.

    
    Examples:
      centroids transform model points.npy --output distances.npy
      centroids transform model people.csv --id-column id -o distances.parquet
    """
    from centroids.cli import inference
    from centroids.cli.labelling import Request

    advice = suggesting_options(points, can_drop=False, can_empty=bad_rows is BadLabelsChoice.RAISE)
    with advice:
        inference.predict(
            Request(
                model_dir=model_dir,
                points=points,
                output=output,
                distances=True,
                resume=resume,
                columns=split_columns(columns),
                text=text,
                id_column=id_column,
                append=append,
                empties=bad_rows is BadLabelsChoice.EMPTY,
                quiet=quiet,
            )
        )


def _evaluated(
    model_dir: Path,
    points: Path,
    columns: str | None,
    weight_column: str | None,
    bad_rows: BadRowsChoice,
    missing: MissingChoice | None,
    text: GivenText,
) -> Evaluation:
    """What evaluate and score print in their own ways."""
    from centroids.cli import inference

    return inference.evaluate(
        model_dir,
        points,
        split_columns(columns),
        weight_column,
        bad_rows.value,
        None if missing is None else missing.value,
        text,
    )
