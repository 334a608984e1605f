"""The options of choose-k that train has too: their help, where no model has defaults."""

from __future__ import annotations

from typing import Annotated

import typer

from centroids.cli.options import MissingChoice

ColumnsOfPoints = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="The columns to use, separated by commas: names, or numbers from 0 for a text file "
        "without names; a:f for those from a to f. Default: all columns.",
        metavar="A,B",
    ),
]
WeightColumnOfPoints = Annotated[
    str | None,
    typer.Option(
        "--weight-column",
        help="The column that holds how much each row counts, a number of at least 0: its name, or "
        "its number from 0 for a text file without names. Default: all rows count alike.",
        metavar="NAME",
    ),
]
IdColumnOfPoints = Annotated[
    str | None,
    typer.Option(
        "--id-column",
        help="The column that names the rows, which is not one of the points.",
        metavar="NAME",
    ),
]
MissingInPoints = Annotated[
    MissingChoice,
    typer.Option(
        "--missing",
        help="What to do with missing values, as for train: stop at the first one, leave their "
        "rows out, or take the mean of the column.",
    ),
]
StandardizePoints = Annotated[
    bool,
    typer.Option(
        "--standardize/--no-standardize",
        help="Subtract from each column its mean, and divide it by its standard deviation, as "
        "train --standardize does. The measures are then those of these points.",
    ),
]
