"""The option of predict and transform that says what becomes of lines that are not rows."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class BadLabelsChoice(StrEnum):
    """What to do with rows that are not numbers where each row has a label."""

    RAISE = "raise"
    EMPTY = "empty"


BadLabelsOption = Annotated[
    BadLabelsChoice,
    typer.Option(
        "--bad-rows",
        help="What to do with lines of a text file that are not rows of numbers: stop at the first "
        "one, or give them empty labels and say how many.",
    ),
]
