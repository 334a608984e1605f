"""Writes all pages: docs/benchmarks.md, those of processors, the table of the README."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks import compare, machine
from benchmarks.peers.registry import OURS
from benchmarks.plot import write_plot
from benchmarks.records import Results, Row
from benchmarks.report import (
    NOTHING,
    describe_machine,
    format_cell,
    full_label,
    page,
    peer_name,
)
from benchmarks.tasks import Kind

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
OVERVIEW_ROWS = (
    "iteration/noise-2000000x2-k50",
    "iteration/noise-1000000x16-k100",
    "iteration/noise-500000x100-k500",
    "iteration/noise-200000x768-k1000",
    "iteration/noise-100000x128-k4096",
    "iteration/glove-400000x50-k256",
    "fit/noise-1000000x16-k100",
    "fit/noise-500000x100-k500",
    "fit/noise-200000x768-k1000",
    "fit/blobs-200000x768-k1000",
    "fit/glove-400000x50-k256",
    "fit/glove-400000x50-k4096",
    "mini-batch/glove-400000x50-k256-batch1024",
    "sparse/tfidf-200000x65536-k100",
    "k-means++/noise-200000x128-k1000",
    "prediction/noise-1000000x128-k1000",
    "defaults/noise-100000x16-k20",
    "defaults/blobs-500000x100-k100",
    "defaults/photo-273280x3-k16",
    "restarts/noise-100000x16-k20",
    "mini-batch-fit/glove-400000x50-k256",
    "iteration/words-300000x256-k1000",
    "iteration/words-300000x256-k16384",
    "iteration/nested-120000x1536-k1000",
    "iteration/nested-120000x768-k16384",
    "index/words-300000x256-k4096",
)
README_ROWS = (
    "iteration/noise-500000x100-k500",
    "fit/noise-500000x100-k500",
    "iteration/words-300000x256-k16384",
    "iteration/nested-120000x1536-k1000",
    "mini-batch/glove-400000x50-k256-batch1024",
    "prediction/noise-1000000x128-k1000",
    "defaults/photo-273280x3-k16",
    "mini-batch-fit/glove-400000x50-k256",
)
# Of an instruction set the newest processors; of AVX2 alone one that is held to it.
README_COLUMNS = ("avx2-zen-4", "avx512vnni-zen-4", "avx512vnni-zen-5")
# Ours is `centroids.kernels.assign` in these, `centroids.sklearn` in calls of fit, and the
# Estimator in all others.
KERNELS_ALONE = frozenset({Kind.PREDICTION})


def write_report(folder: Path, output: Path | None) -> None:
    """Writes all pages.

    Args:
        folder: Has the results, a JSON file for each processor; that of benchmarks/cluster.py
            is another table.
        output: A folder for everything; None: the project's own places, README included.
    """
    docs = output or ROOT / "docs"
    files = [file for file in sorted(folder.glob("*.json")) if file.stem != "cluster"]
    every = {file.stem: Results.read(file) for file in files}
    (docs / "benchmarks").mkdir(parents=True, exist_ok=True)
    for name, results in every.items():
        write_plot(list(results.rows.values()), docs / "benchmarks" / f"{name}.svg")
        (docs / "benchmarks" / f"{name}.md").write_text(page(name, results))
    (docs / "benchmarks.md").write_text(overview(every))
    readme = ROOT / "README.md"
    if output is None:
        columns = {name: every[name] for name in README_COLUMNS if name in every}
        readme.write_text(between_markers(readme.read_text(), overview_table(columns, README_ROWS)))


def between_markers(text: str, table: str) -> str:
    """The text with the table between the markers; unchanged if there are none."""
    if BEGIN not in text or END not in text:
        return text
    before, rest = text.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{table}{END}{rest.split(END, 1)[1]}"


def overview(every: dict[str, Results]) -> str:
    """The Markdown of docs/benchmarks.md."""
    pages = [
        f"- [{machine.title(name)}](benchmarks/{name}.md): {describe_machine(results)}"
        for name, results in every.items()
    ]
    return (
        "\n".join(
            [
                "# Benchmarks\n",
                "`make bench` writes this page. `python -m benchmarks --seconds 280` measures for "
                "so many seconds and goes on when it is called again; `python -m benchmarks "
                "--help` shows how to run parts of it, and `--list` how long they take. A row with "
                "§ is older than others of its column. The table shows how many times faster than "
                "the best peer we are, with our time and the peer's, by the instruction set and "
                "the generation of the processor:\n",
                overview_table(every, OVERVIEW_ROWS),
                "These pages have every task and every peer. They say how each was measured, what "
                "the marks mean, and what is lost:\n",
                *pages,
            ]
        )
        + "\n"
    )


def overview_table(every: dict[str, Results], names: Sequence[str]) -> str:
    """How many times faster than the best peer we are, a column for each processor."""
    lines = [
        f"| task | {' | '.join(map(machine.title, every))} |",
        "|---" * (1 + len(every)) + "|",
    ]
    for name in names:
        rows = [results.rows.get(name) for results in every.values()]
        fields = [
            _times_faster(row) + (" §" if row and row.run != results.newest_run else "")
            for row, results in zip(rows, every.values(), strict=True)
        ]
        label = next((_label(row) for row in rows if row), None)
        if label is not None and any(field.strip(" §") != NOTHING for field in fields):
            lines.append(f"| {label} | {' | '.join(fields)} |")
    return "\n".join(lines) + "\n"


def _label(row: Row) -> str:
    return full_label(row) + (" (kernels alone)" if row.kind in KERNELS_ALONE else "")


def _times_faster(row: Row | None) -> str:
    best = compare.best_peer(row) if row else None
    value = compare.ratio(row, best) if row and best else None
    if row is None or best is None or value is None:
        return NOTHING
    times = f"{format_cell(row, OURS)} to {format_cell(row, best)}, {peer_name(best)}"
    return f"**{1 / value:.1f}** ({times})"
