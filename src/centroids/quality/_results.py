"""What numbers of clusters came to, as a table, as plain values and as a plot."""

from __future__ import annotations

import html
import math
import textwrap
from dataclasses import asdict, dataclass
from typing import Any

from centroids.text_table import text_table


@dataclass(frozen=True)
class Candidate:
    """The measures of one number of clusters.

    Attributes:
        num_clusters: The number.
        inertia: The sum of the distances of all points to their nearest centers (squared, under the
            squared Euclidean metric). It falls with the number; its knee counts.
        silhouette: Mean silhouette, from -1 to 1; the higher the better.
        davies_bouldin: Mean overlap with the most similar cluster; the lower the better.
        calinski_harabasz: Variance between clusters over variance within; the higher the better.
        stability: How far clusterings of two halves of the points agree on the points: 1 where
            they always do, 0 as by chance. NaN where a half has fewer points than clusters.
    """

    num_clusters: int
    inertia: float
    silhouette: float
    davies_bouldin: float
    calinski_harabasz: float
    stability: float


@dataclass(frozen=True)
class NumClusters:
    """What `choose_num_clusters` found.

    Attributes:
        num_clusters: The number that it recommends.
        reason: Why, in one sentence.
        candidates: The measures of each number, in rising order.
        knee: The number at which the curve of the inertia bends most; None if it does not bend.
        num_points: How many points there are.
        num_sampled: How many of them were clustered.
        total_weight: The sum of their weights; None if each counts once.
    """

    num_clusters: int
    reason: str
    candidates: tuple[Candidate, ...]
    knee: int | None
    num_points: int
    num_sampled: int
    total_weight: float | None = None

    def __str__(self) -> str:
        """A table and the recommendation; "-" stands for a measure that is not defined."""
        return self.in_lines()

    def in_lines(self, width: int | None = None) -> str:
        """The same for lines of so many characters; None: of any number."""
        reason = self.reason if width is None else textwrap.fill(self.reason, width)
        return f"{text_table(self._rows(), width)}\n\n{reason}"

    def _repr_html_(self) -> str:  # for notebooks
        heads, *rows = self._rows()
        head = "".join(f'<th scope="col">{text}</th>' for text in heads)
        lines = "".join(
            f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
            for first, *cells in rows
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
        return f"{table}<p>{html.escape(self.reason)}</p>"

    def _rows(self) -> list[tuple[str, ...]]:
        """The heads of the table and its rows, with a star before the recommended number."""
        heads = ("clusters", "inertia", "silhouette", "Davies-Bouldin", "Calinski-H.", "stability")
        rows: list[tuple[str, ...]] = [heads]
        for found in self.candidates:
            marks = "*" if found.num_clusters == self.num_clusters else " "
            rows.append(
                (
                    f"{marks} {found.num_clusters}",
                    f"{found.inertia:.6g}",
                    _shown(found.silhouette, ".3f"),
                    _shown(found.davies_bouldin, ".3f"),
                    _shown(found.calinski_harabasz, ".5g"),
                    _shown(found.stability, ".3f"),
                )
            )
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON; a measure that is not defined is None."""
        found = asdict(self)
        for candidate in found["candidates"]:
            for name, value in candidate.items():
                candidate[name] = value if math.isfinite(value) else None
        found["candidates"] = list(found["candidates"])
        return found

    def plot(self) -> Any:
        """Draws the measures over the number of clusters.

        Returns:
            A matplotlib Figure.

        Raises:
            ImportError: If matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError(
                "drawing needs matplotlib: pip install 'centroids[plot]'", name=error.name
            ) from error

        # No larger, so that words are not too small where a phone or a page shows it in its width.
        figure = Figure(figsize=(6, 5), layout="constrained")
        numbers = [found.num_clusters for found in self.candidates]
        panels = {
            "inertia": "Inertia: look for the knee",
            "silhouette": "Silhouette: higher is better",
            "davies_bouldin": "Davies-Bouldin: lower is better",
            "stability": "Stability: higher is better",
        }
        for axes, (name, title) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
            axes.plot(numbers, [getattr(found, name) for found in self.candidates], marker="o")
            axes.axvline(self.num_clusters, color="tab:red", linestyle="--", linewidth=1)
            axes.set_title(title, fontsize=10)
            axes.set_xlabel("clusters")
            axes.xaxis.get_major_locator().set_params(integer=True, nbins=7)
        figure.suptitle(f"Recommended: {self.num_clusters} clusters")
        return figure


def _shown(measure: float, how: str) -> str:
    return "-" if math.isnan(measure) else format(measure, how)
