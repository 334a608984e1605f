"""The plot: how many times our time each peer takes, a group of bars per task."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.registry import OURS, PEERS
from benchmarks.records import Row
from benchmarks.tasks import Kind

COLORS = {
    "scikit-learn": "#f4a259",
    "elkan": "#d98032",
    "intelex": "#5b8ff9",
    "faiss": "#5ad8a6",
    "tensorflow": "#b08bd9",
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
}
BAR_INCHES, GAP_BARS, TITLE_INCHES = 0.11, 1.0, 0.55


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
    matplotlib.rcParams["svg.hashsalt"] = "centroids"
    from matplotlib import pyplot

    panels = {
        kind: [(row, found) for row in rows if row.kind == kind and (found := slowdowns(row))]
        for kind in TITLES
    }
    panels = {kind: panel for kind, panel in panels.items() if panel}
    if not panels:
        return
    heights = [
        sum(len(found) + GAP_BARS for _, found in panel) * BAR_INCHES for panel in panels.values()
    ]
    everything = [
        value for panel in panels.values() for _, found in panel for value in found.values()
    ]
    total = sum(heights) + TITLE_INCHES * len(panels) + 0.9
    figure, axes = pyplot.subplots(
        len(panels),
        1,
        figsize=(8.5, total),
        sharex=True,
        squeeze=False,
        gridspec_kw={"height_ratios": heights},
    )
    limits = (min(0.5, min(everything) / 1.3), max(everything) * 1.8)
    for ax, (kind, panel) in zip(axes[:, 0], panels.items(), strict=True):
        _draw_panel(ax, panel)
        ax.set_title(TITLES[kind], loc="left", fontsize=9.5, fontweight="bold")
        ax.set_xlim(*limits)
    used = {name for panel in panels.values() for _, found in panel for name in found}
    handles = [
        matplotlib.patches.Patch(color=COLORS[name], label=PEERS[name].label)
        for name in COLORS
        if name in used
    ]
    figure.legend(handles=handles, loc="upper center", ncols=5, fontsize=8, frameon=False)
    axes[-1, 0].set_xlabel("times the time of centroids (right of the line: centroids is faster)")
    figure.subplots_adjust(
        left=0.37,
        right=0.98,
        top=1 - 0.6 / total,
        bottom=0.45 / total,
        hspace=TITLE_INCHES * len(panels) / sum(heights),
    )
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _draw_panel(ax: object, panel: list[tuple[Row, dict[str, float]]]) -> None:
    from matplotlib.axes import Axes
    from matplotlib.ticker import FuncFormatter

    assert isinstance(ax, Axes)
    position, ticks, labels = 0.0, [], []
    for row, found in panel:
        start = position
        for name, value in found.items():
            ax.barh(position, value - 1, left=1, height=0.9, color=COLORS[name])
            end, side = (value * 1.03, "left") if value >= 1 else (value / 1.03, "right")
            ax.text(
                end,
                position,
                f"{value:.2g}" if value < 10 else f"{value:,.0f}",
                va="center",
                ha=side,
                fontsize=5.5,
                color="#444444",
            )
            position += 1
        ticks.append((start + position - 1) / 2)
        batch = f", batches of {row.batch_size:,}" if row.batch_size else ""
        labels.append(row.label + batch)
        position += GAP_BARS
    ax.set_xscale("log")
    ax.axvline(1, color="#222222", linewidth=1)
    ax.set_yticks(ticks, labels, fontsize=7)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=7)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_ylim(position - GAP_BARS, -1)
    for spine in ("top", "right", "left"):
        ax.spines[spine].set_visible(False)
