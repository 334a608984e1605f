"""The plot: how many times our time each peer takes, a group of bars per task."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from benchmarks.peers.registry import OURS, PEERS
from benchmarks.records import Row
from benchmarks.tasks import Kind

COLORS = {
    "scikit-learn": "#f4a259",
    "elkan": "#d98032",
    "intelex": "#5b8ff9",
    "faiss": "#5ad8a6",
    "superkmeans": "#e8684a",
    "superkmeans-hierarchical": "#f5b3a3",
    "sparsekmeans": "#6dc8ec",
    "sparsekmeans-elkan": "#b6e3f5",
    "geokmeans": "#9a8f7a",
    "tensorflow": "#b08bd9",
    "tensorflow-numpy": "#d5bfee",
}
TITLES = {
    Kind.ITERATION: "One full-batch iteration",
    Kind.FIT: "A whole fit",
    Kind.MINI_BATCH: "A mini-batch step",
    Kind.SPARSE: "An iteration over sparse points",
    Kind.PLUS_PLUS: "k-means++",
    Kind.PREDICTION: "Prediction, as an array",
    Kind.PREDICTION_LIST: "Prediction, one by one",
    Kind.STEP: "A step over 500 points",
    Kind.DEFAULTS: "A call of fit",
    Kind.RESTARTS: "A call of fit, ten restarts",
    Kind.MINI_BATCH_FIT: "A call of fit, mini-batches",
    Kind.INDEX: "Centers and labels for an index",
}
# One column, as wide as a phone: text has the size there that it is given here.
BAR_INCHES, LABEL_BARS = 0.13, 2.5
WIDTH, TITLE_INCHES, LEGEND_LINE_INCHES, FOOT_INCHES = 4.6, 0.5, 0.19, 0.45
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

Panel = list[tuple[Row, dict[str, float]]]


def slowdowns(row: Row) -> dict[str, float]:
    """Each peer's median over ours."""
    ours = row.cells[OURS].median if OURS in row.cells else None
    if not ours or ours < 0:
        return {}
    medians = {name: row.cells[name].median for name in PEERS if name in row.cells}
    return {
        name: seconds / ours
        for name, seconds in medians.items()
        if name != OURS and seconds is not None and seconds > 0
    }


def write_plot(rows: list[Row], path: Path) -> None:
    """Writes an SVG; nothing if there is nothing to compare."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update(
        {"svg.hashsalt": "centroids", "svg.fonttype": "none", "font.family": "sans-serif"}
    )
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    panels = _panels(rows)
    values = [value for panel in panels.values() for _, found in panel for value in found.values()]
    if not values:
        return
    limits = (min(0.8, min(values) / 2), max(values) * 2)
    used = {name for panel in panels.values() for _, found in panel for name in found}
    legend = LEGEND_LINE_INCHES * math.ceil(len(used) / 2)
    total = sum(map(_inches, panels.values())) + legend + FOOT_INCHES
    figure = pyplot.figure(figsize=(WIDTH, total))
    top = total - legend
    for kind, panel in panels.items():
        bars = _inches(panel) - TITLE_INCHES
        bottom = top - TITLE_INCHES - bars
        ax = figure.add_axes((0.02, bottom / total, 0.96, bars / total))
        _draw_panel(ax, panel, limits)
        figure.text(
            0.02, (top - 0.7 * TITLE_INCHES) / total, TITLES[kind], fontsize=11, weight="bold"
        )
        top = bottom
    figure.legend(
        handles=[Patch(color=COLORS[n], label=PEERS[n].label) for n in COLORS if n in used],
        loc="upper center",
        ncols=2,
        fontsize=9,
        frameon=False,
    )
    caption = "times the time of centroids (to the right of the line: centroids is faster)"
    figure.text(0.5, 0.08 / total, caption, ha="center", fontsize=8)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {})
    pyplot.close(figure)


def _panels(rows: list[Row]) -> dict[Kind, Panel]:
    panels = {
        kind: [(row, found) for row in rows if row.kind == kind and (found := slowdowns(row))]
        for kind in TITLES
    }
    return {kind: panel for kind, panel in panels.items() if panel}


def _inches(panel: Panel) -> float:
    return TITLE_INCHES + BAR_INCHES * sum(len(found) + LABEL_BARS for _, found in panel)


def _draw_panel(ax: Any, panel: Panel, limits: tuple[float, float]) -> None:
    position = 0.0
    for row, found in panel:
        batch = f", batches of {row.batch_size:,}" if row.batch_size else ""
        ax.text(
            *(0, position + 1.4, row.label + batch),
            fontsize=8.5,
            transform=ax.get_yaxis_transform(),
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},  # over the line
        )
        position += LABEL_BARS
        for name, value in found.items():
            ax.barh(position, value - 1, left=1, height=0.9, color=COLORS[name])
            end, side = (value * 1.04, "left") if value >= 1 else (value / 1.04, "right")
            text = f"{value:.2g}" if value < 10 else f"{value:,.0f}"
            ax.text(end, position + 0.05, text, va="center", ha=side, fontsize=8, color="#444444")
            position += 1
    ax.set_xscale("log")
    ax.set_xlim(*limits)
    ax.set_ylim(position - 0.5, 0)
    ax.axvline(1, color="#222222", linewidth=1)
    ax.set_yticks([])
    shown = [tick for tick in TICKS if limits[0] <= tick <= limits[1]]
    ax.set_xticks(shown, [f"{tick:g}" for tick in shown], fontsize=8, color="#555555")
    ax.minorticks_off()
    ax.tick_params(length=0)
    ax.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    ax.set_axisbelow(True)
    for spine in ax.spines.values():
        spine.set_visible(False)
