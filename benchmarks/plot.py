"""The plot: how many times our time each peer takes, a group of bars per task."""

from __future__ import annotations

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
}
COLUMNS = (
    (Kind.ITERATION, Kind.MINI_BATCH, Kind.STEP, Kind.DEFAULTS, Kind.RESTARTS),
    (
        Kind.FIT,
        Kind.SPARSE,
        Kind.PLUS_PLUS,
        Kind.PREDICTION,
        Kind.PREDICTION_LIST,
        Kind.MINI_BATCH_FIT,
    ),
)
BAR_INCHES, GAP_BARS = 0.088, 1.2
WIDTH, TITLE_INCHES, LEGEND_INCHES, FOOT_INCHES = 12.5, 0.42, 0.45, 0.45
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

    columns = [column for kinds in COLUMNS if (column := _panels(rows, kinds))]
    values = [
        v for column in columns for panel in column.values() for _, f in panel for v in f.values()
    ]
    if not values:
        return
    limits = (min(0.8, min(values) / 1.6), max(values) * 1.8)
    height = max(sum(map(_inches, column.values())) for column in columns)
    total = height + LEGEND_INCHES + FOOT_INCHES
    figure = pyplot.figure(figsize=(WIDTH, total))
    for number, column in enumerate(columns):
        top = total - LEGEND_INCHES
        for kind, panel in column.items():
            bars = _inches(panel) - TITLE_INCHES
            left, width = (number + 0.37) / len(columns), 0.61 / len(columns)
            bottom = top - TITLE_INCHES - bars
            ax = figure.add_axes((left, bottom / total, width, bars / total))
            _draw_panel(ax, panel, limits)
            place = (number / len(columns) + 0.005, (top - 0.75 * TITLE_INCHES) / total)
            figure.text(*place, TITLES[kind], fontsize=9.5, fontweight="bold")
            top = bottom
    used = {name for column in columns for panel in column.values() for _, f in panel for name in f}
    figure.legend(
        handles=[Patch(color=COLORS[n], label=PEERS[n].label) for n in COLORS if n in used],
        loc="upper center",
        ncols=len(COLORS),
        fontsize=8,
        frameon=False,
    )
    caption = "times the time of centroids (to the right of the line: centroids is faster)"
    figure.text(0.5, 0.08 / total, caption, ha="center", fontsize=8.5)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {})
    pyplot.close(figure)


def _panels(rows: list[Row], kinds: tuple[Kind, ...]) -> dict[Kind, Panel]:
    panels = {
        kind: [(row, found) for row in rows if row.kind == kind and (found := slowdowns(row))]
        for kind in kinds
    }
    return {kind: panel for kind, panel in panels.items() if panel}


def _inches(panel: Panel) -> float:
    return TITLE_INCHES + BAR_INCHES * sum(len(found) + GAP_BARS for _, found in panel)


def _draw_panel(ax: Any, panel: Panel, limits: tuple[float, float]) -> None:
    position, ticks, labels = 0.0, [], []
    for row, found in panel:
        start = position
        for name, value in found.items():
            ax.barh(position, value - 1, left=1, height=0.9, color=COLORS[name])
            end, side = (value * 1.04, "left") if value >= 1 else (value / 1.04, "right")
            text = f"{value:.2g}" if value < 10 else f"{value:,.0f}"
            ax.text(end, position + 0.05, text, va="center", ha=side, fontsize=5, color="#444444")
            position += 1
        ticks.append((start + position - 1) / 2)
        batch = f",\nbatches of {row.batch_size:,}" if row.batch_size else ""
        labels.append(row.label + batch)
        position += GAP_BARS
    ax.set_xscale("log")
    ax.set_xlim(*limits)
    ax.set_ylim(position - GAP_BARS, -1)
    ax.axvline(1, color="#222222", linewidth=1)
    ax.set_yticks(ticks, labels, fontsize=6.5)
    shown = [tick for tick in TICKS if limits[0] <= tick <= limits[1]]
    ax.set_xticks(shown, [f"{tick:g}" for tick in shown], fontsize=6, color="#666666")
    ax.minorticks_off()
    ax.tick_params(length=0)
    ax.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    ax.set_axisbelow(True)
    for spine in ax.spines.values():
        spine.set_visible(False)
