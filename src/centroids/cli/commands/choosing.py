"""choose-k: how many clusters points have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from centroids.cli.errors import suggesting_options
from centroids.cli.options import (
    BadRowsChoice,
    BadRowsOption,
    Input,
    Metric,
    MissingChoice,
    split_columns,
)
from centroids.cli.options_of_points import (
    ColumnsOfPoints,
    IdColumnOfPoints,
    MissingInPoints,
    StandardizePoints,
    WeightColumnOfPoints,
)
from centroids.cli.text_options import GivenText, with_text_format


@with_text_format
def choose_k(
    points: Input,
    num_clusters: Annotated[
        str,
        typer.Option(
            "--num-clusters",
            "-k",
            help="The numbers to try: 2-20, 10-100/10 (in steps of 10), or 4,8,16.",
            metavar="NUMBERS",
        ),
    ] = "2-20",
    distance_metric: Annotated[
        Metric, typer.Option(help="How distances are measured, as for train.")
    ] = Metric.SQUARED_EUCLIDEAN,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed for the sample and the initial centers.")
    ] = 0,
    columns: ColumnsOfPoints = None,
    weight_column: WeightColumnOfPoints = None,
    id_column: IdColumnOfPoints = None,
    missing: MissingInPoints = MissingChoice.RAISE,
    standardize: StandardizePoints = False,
    bad_rows: BadRowsOption = BadRowsChoice.RAISE,
    plot: Annotated[
        Path | None,
        typer.Option(help="Also draw the measures into this .png, .svg or .pdf file."),
    ] = None,
    *,
    text: GivenText,
) -> None:
    """Find out how many clusters points have.

    Clusters a random sample into each number of clusters and prints how good the result is: the
    inertia of all points (it always falls; look for the knee), the silhouette (higher is better),
    the Davies-Bouldin index (lower is better), the Calinski-Harabasz index (higher is better), and
    the stability: how far clusterings of two halves of the sample agree (1 is best). It recommends
    one of the numbers, and says why. With weights every measure counts a point by its weight. Give
    --missing and --standardize as you will for train: the points are prepared in the same way.

    
    Examples:
      centroids choose-k points.npy
      centroids choose-k points.csv -k 2-40 --columns age,income --plot measures.png
      centroids choose-k people.csv --id-column name --missing mean --standardize
      centroids choose-k points.npy -k 10-100/10 --json
    """
    from centroids.cli import choosing

    advice = suggesting_options(
        points,
        can_drop=bad_rows is BadRowsChoice.RAISE,
        prepares=missing is MissingChoice.RAISE,
        has_ids=id_column is None,
    )
    with advice:
        choosing.choose_k(
            points,
            num_clusters,
            cosine=distance_metric is Metric.COSINE,
            seed=seed,
            columns=split_columns(columns),
            weight_column=weight_column,
            id_column=id_column,
            missing=missing.value,
            standardize=standardize,
            bad_rows=bad_rows.value,
            text=text,
            plot=plot,
        )
