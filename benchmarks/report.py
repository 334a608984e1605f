"""The page of an instruction set: every task against every peer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from benchmarks import compare, machine
from benchmarks.exactness import SAMPLE
from benchmarks.peers.registry import OURS, PEERS
from benchmarks.records import Cell, Results, Row, Status
from benchmarks.tasks import INDEX_ITERATIONS, MAX_ITERATIONS, RELATIVE_TOLERANCE, Kind

NOTHING = "-"

SECTIONS: dict[Kind, tuple[str, str]] = {
    Kind.ITERATION: (
        "One full-batch iteration",
        "Seconds per iteration of Lloyd's algorithm: the time of a longer fit less that of a "
        "shorter one, divided by the iterations between them. Set-up cancels out. The iterations "
        "are the third and later ones (the second and later ones for embeddings and for "
        "k = 16,384), the same for all.",
    ),
    Kind.FIT: (
        "A whole fit",
        f"From the call to the final centers. All make the same number of iterations: as many as "
        f"it takes until the inertia changes by less than {RELATIVE_TOLERANCE:g} of itself, at "
        f"most {MAX_ITERATIONS} (the number is in the table). scikit-learn's fits end with one "
        "more assignment, for its `labels_`; faiss and TensorFlow, as ours, give only centers.",
    ),
    Kind.MINI_BATCH: (
        "A mini-batch step",
        "Seconds per step: the time of more steps less that of fewer. The same batches for all. "
        "scikit-learn: `MiniBatchKMeans.partial_fit` without reassignments. TensorFlow is measured "
        "with batches sliced from a variable, the fastest way there is, and with its "
        "`numpy_input_fn`, the counterpart of ours. No two end with the same centers: "
        "scikit-learn gives the initial centers no weight; TensorFlow 2.15, whose graph does not "
        "order the two, reads the counts of a cluster after adding to them, and so divides by "
        "n + 2m where n + m is meant. The work is the same.",
    ),
    Kind.SPARSE: (
        "An iteration over sparse points",
        "TF-IDF of the 3- to 5-grams of texts of eight words, in compressed sparse rows. "
        "sparsekmeans computes in float64, from the same centers in place of its k-means++.",
    ),
    Kind.PLUS_PLUS: (
        "k-means++",
        "Choosing the initial centers with eight candidates for each "
        "(`kmeans_plus_plus_num_retries=7`, `n_local_trials=8`). Ours: one training step with "
        "k-means++ less the same step from centers that are given.",
    ),
    Kind.PREDICTION: (
        "Prediction",
        "The nearest center of each point, as an array. Ours: `centroids.kernels.assign`; faiss: "
        "`IndexFlatL2.search`; the others: `predict`.",
    ),
    Kind.PREDICTION_LIST: (
        "Prediction, one result after the other",
        "The same, but ours and TensorFlow's are the list of `predict_cluster_index`. The others "
        "have only the array.",
    ),
    Kind.STEP: (
        "The smallest training step",
        "A step over all of 500 points: what a call costs. scikit-learn: `partial_fit`, as its "
        "`fit` has no steps; it averages over all steps, so it ends elsewhere.",
    ),
    Kind.THREADS: (
        "Two threads against one",
        "Our full-batch iteration. At best the ratio is 0.5.",
    ),
    Kind.DEFAULTS: (
        "One call of fit",
        "`centroids.sklearn.KMeans(k).fit(points)` beside scikit-learn's, with all defaults: "
        'k-means++ (which `n_init="auto"` runs once), iterations until the stop rule, labels. '
        "Each draws initial centers of its own, so that the iterations differ; the inertias that "
        "they end with are below. faiss makes 25 iterations from random rows, and is asked for "
        "the labels. Where we lose: of 300 points it is what scikit-learn's interface costs (the "
        "checks of parameters and of the points), which faiss has none of; of 500,000 well "
        "separated ones two iterations end the fit, and nearly all of the time goes to k-means++, "
        "which scikit-learn-intelex, with as many candidates for each center, does faster there; "
        "and from 100,000 points on SuperKMeans takes a sample, and clusters groups of it apart. "
        "In parentheses, from 1% on: how much more inertia than ours the centers of a peer leave.",
    ),
    Kind.RESTARTS: (
        "One call of fit with restarts",
        'The same with `init="random"`, where `n_init="auto"` takes the best of ten fits '
        "(faiss: `nredo=10`). With one, `n_init=1`, it is the row above but for k-means++. Of 300 "
        "points each of the ten is a few microseconds of work: what is around it decides.",
    ),
    Kind.MINI_BATCH_FIT: (
        "One call of fit, in mini-batches",
        "`centroids.sklearn.MiniBatchKMeans(k).fit(points)` beside scikit-learn's, with all "
        "defaults, labels included.",
    ),
    Kind.INDEX: (
        "Centers and labels for an index",
        f"What an index of vectors begins with: {INDEX_ITERATIONS} iterations from random points, "
        "and the nearest center of each point. Ours is "
        f'`centroids.sklearn.KMeans(k, init="random", n_init=1, max_iter={INDEX_ITERATIONS}, '
        "tol=0)`; faiss and SuperKMeans look at all points, too. SuperKMeans, hierarchical, is "
        "what its users take for its speed: it clusters groups of points apart, on 30% of the "
        "points. Its labels, as those of flat SuperKMeans, are found by a search among all "
        "centers. In parentheses, from 1% on: how much more inertia than ours its centers leave.",
    ),
}
TASK_NAMES = {
    Kind.ITERATION: "iteration",
    Kind.FIT: "whole fit",
    Kind.MINI_BATCH: "mini-batch step",
    Kind.SPARSE: "sparse iteration",
    Kind.PLUS_PLUS: "k-means++",
    Kind.PREDICTION: "prediction",
    Kind.PREDICTION_LIST: "prediction as list",
    Kind.STEP: "training step",
    Kind.THREADS: "two threads against one",
    Kind.DEFAULTS: "call of fit",
    Kind.RESTARTS: "call of fit, ten restarts",
    Kind.MINI_BATCH_FIT: "call of fit, mini-batches",
    Kind.INDEX: "for an index",
}


def format_seconds(seconds: float) -> str:
    """In the unit that leaves one to three digits before the point."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if abs(seconds) * factor >= 1 or unit == "µs":
            value = seconds * factor
            digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
            return f"{value:,.{digits}f} {unit}"
    raise AssertionError


def format_ratio(ratio: float) -> str:
    """With enough digits to compare it with a target."""
    return f"{ratio:.3f}" if ratio < 0.1 else f"{ratio:.2f}"


def format_cell(row: Row, peer: str) -> str:
    """A time with its marks, or why there is none."""
    cell = row.cells.get(peer)
    if cell is None:
        return NOTHING
    if cell.median is None:
        short = {
            Status.OVER: cell.note,
            Status.TOO_LARGE: cell.note,
            Status.UNAVAILABLE: "not available",
        }
        return short.get(cell.status, "failed")
    marks = "\\*" if cell.status == Status.ONCE else ""
    marks += "†" if compare.disagrees(row, peer) else ""
    marks += "‡" if compare.stopped_early(row, peer) else ""
    marks += "§" if cell.date != row.date else ""
    loss = compare.inertia_difference(row, peer) if row.kind in compare.DRAWN else None
    lost = f" ({loss:+.0%})" if loss is not None and abs(loss) >= 0.01 else ""
    return format_seconds(cell.median) + lost + (f" {marks}" if marks else "")


def page(name: str, results: Results) -> str:
    """The Markdown of an instruction set's page."""
    rows = list(results.rows.values())
    parts = [
        f"# Benchmarks: {machine.title(name)}\n",
        "Written by `make bench`; see `python -m benchmarks --help` for parts of it. Other "
        "processors: [Benchmarks](../benchmarks.md).\n",
        _summary(rows),
        f"![Our time over that of each peer]({name}.svg)\n",
        _method(results),
    ]
    for kind, (title, text) in SECTIONS.items():
        of_kind = [row for row in rows if row.kind == kind]
        if of_kind:
            parts += [f"## {title}\n", text + "\n", _table(kind, of_kind, results), _notes(of_kind)]
    parts += [_memory([row for row in rows if row.kind == Kind.FIT]), _failures(rows)]
    return "\n".join(part for part in parts if part).rstrip() + "\n"


def peer_name(peer: str) -> str:
    """For people."""
    return PEERS[peer].label


def _row_label(row: Row) -> str:
    batch = f", batches of {row.batch_size:,}" if row.batch_size else ""
    return row.label + batch


def full_label(row: Row) -> str:
    """Kind of work and data set, for people."""
    return f"{TASK_NAMES[row.kind]}, {_row_label(row)}"


def _summary(rows: list[Row]) -> str:
    compared = [row for row in rows if row.kind != Kind.THREADS]
    judged = [(row, v) for row in compared for v in compare.verdicts(row)]
    with_target = [(row, v) for row, v in judged if v.met is not None]
    missed = [(row, v) for row, v in with_target if not v.met]
    lost = [(row, v) for row, v in judged if v.ratio >= 1]
    lines = [
        f"**{len(with_target) - len(missed)} of {len(with_target)} targets of speed are met; "
        f"centroids is slower than a peer in {len(lost)} of {len({r.task for r, _ in judged})} "
        "tasks.** A ratio is our time over the peer's: 0.25 is four times as fast.\n"
    ]
    for title, chosen in (("Slower than the best peer:", lost), ("Missed targets:", missed)):
        if chosen:
            lines.append(f"{title}\n")
            lines += [
                f"- {full_label(row)}: {format_ratio(v.ratio)} of {peer_name(v.against)}"
                + (f", target {format_ratio(v.target)}" if v.target is not None else "")
                for row, v in chosen
            ]
            lines.append("")
    return "\n".join(lines)


def describe_machine(results: Results) -> str:
    """What the last results were measured on, in words."""
    newest = results.newest_run
    return describe((newest and newest["machine"]) or results.machine)


def describe(of: Mapping[str, Any]) -> str:
    """A machine in words."""
    held = f" held to {of.get('instruction_set')}" if of.get("held") else ""
    return (
        f"{of.get('cpu')}{held}, {of.get('threads')} threads, "
        f"{of.get('memory_gib')} GiB, {of.get('system')}, Python {of.get('python')}"
    )


def _method(results: Results) -> str:
    versions: dict[str, set[str]] = {}
    dates = sorted(row.date[:10] for row in results.rows.values())
    for row in results.rows.values():
        for cell in row.cells.values():
            for name, version in cell.versions.items():
                versions.setdefault(name, set()).add(version)
    listed = ", ".join(f"{name} {' and '.join(sorted(v))}" for name, v in versions.items())
    when = " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "never"
    cells = (row.cells.values() for row in results.rows.values())
    runs = {max((len(cell.seconds) for cell in row), default=0) for row in cells} - {0, 1}
    repeats = " or ".join(map(str, sorted(runs)))  # cells that were run once are marked
    return f"""## How it is measured

- Every peer gets the same float32 points, the same initial centers, the same number of iterations
  and the same {results.machine.get("threads")} threads (of a process that may use no more CPUs),
  with its own best defaults. faiss is told not to subsample, as its default would do less work.
  TensorFlow keeps the points in a variable, which is faster than the constant of its documentation.
- Ours is the whole of `KMeansClustering.train` through an input function: with exact labels,
  checkpoints and hooks; in the sections on one call of fit it is `centroids.sklearn`.
- Each measurement is a process of its own, warmed up on a part of the points. Within a task peers
  take turns: round 1 of all, round 2 of all, and so on. The median of {repeats} counts.
- Unstructured points lie around groups in [0, 500]^d with a standard deviation of 250, well
  separated ones with 20. Embeddings of words are those that WordLlama gives GloVe's words. Points
  with a power-law spectrum lie on the unit sphere, in groups within groups; the variance of the
  i-th direction falls as 1 / i. Initial centers are points drawn at random.
- SuperKMeans and geokmeans take no initial centers: they draw points themselves, and so end
  elsewhere. geokmeans has one thread; it is measured where it is not far behind, and if it used up
  its iterations its version 0.1.2 returns zeros, so that its inertia is not known.
- The labels of calls of fit are compared with those that float64 finds for the same centers, for
  {SAMPLE:,} points.
- The final centers of all are compared by their inertia, computed by `centroids.kernels.assign`.
  After one iteration they agree to 1e-6 or better; on unstructured points each further iteration
  amplifies what the rounding of float32 made different, in either direction.
- \\* A run took longer than `--slow-seconds` (10; 6 to 60 in older rows): run
  only once. "over ... s": by its first iterations it would have taken longer, and was not run. "-":
  not run, as it was far behind in other rows. † The final inertia differs from ours by more than
  1e-5 of it. ‡ It stopped before the iterations it was given, as no label changed any more; the
  time is divided by the passes over the points that were made (of the longer fit, set-up included,
  if it made no more than the shorter one). § Measured apart from the rest of its
  row, or, with a date: an older row than others; the list of runs says what it is of.

Measured {when} with {listed}.

{_runs(results)}
"""


def _runs(results: Results) -> str:
    """The machines and commits that rows are of, the newest first."""
    rows = sorted(results.rows.values(), key=lambda row: row.date, reverse=True)
    runs = {json.dumps(row.run, sort_keys=True): row.run for row in rows}
    lines = []
    for run in runs.values():
        dates = [row.date[:10] for row in rows if row.run == run]
        when = " to ".join(dict.fromkeys((dates[-1], dates[0])))
        rows_of = "1 row" if len(dates) == 1 else f"{len(dates)} rows"
        commit = f"commit {run['commit']}" if run["commit"] else "commit not recorded"
        lines.append(f"- {rows_of}, {when}, {commit}: {describe(run['machine'])}")
    return "\n".join(lines)


def _table(kind: Kind, rows: list[Row], results: Results) -> str:
    peers = [name for name in PEERS if any(name in row.cells for row in rows)]
    iterations = kind == Kind.FIT
    head = ["points x dimensions, clusters", *(["iterations"] if iterations else [])]
    head += [peer_name(peer) for peer in peers] + ["ratio to the best peer", "target"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        older = "" if row.run == results.newest_run else f" § {row.date[:10]}"
        fields = [_row_label(row) + older, *([str(row.iterations)] if iterations else [])]
        fields += [format_cell(row, peer) for peer in peers]
        best = compare.best_peer(row)
        value = compare.ratio(row, best) if best else None
        fields.append(NOTHING if value is None or best is None else _ratio_to(value, best))
        judged = [v for v in compare.verdicts(row) if v.target is not None]
        fields.append("<br>".join(_judgement(v) for v in judged) or NOTHING)
        lines.append(f"| {' | '.join(fields)} |")
    return "\n".join(lines) + "\n"


def _ratio_to(value: float, best: str) -> str:
    text = f"{format_ratio(value)} ({peer_name(best)})"
    return f"{text}, **slower**" if value >= 1 else text


def _judgement(verdict: compare.Verdict) -> str:
    assert verdict.target is not None
    met = "met" if verdict.met else f"**missed**: {format_ratio(verdict.ratio)}"
    return f"{format_ratio(verdict.target)} of {peer_name(verdict.against)}: {met}"


def _notes(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        found = []
        for peer, cell in row.cells.items():
            if compare.disagrees(row, peer):
                found.append(f"{peer_name(peer)} {compare.inertia_difference(row, peer):+.1e}")
            if compare.stopped_early(row, peer):
                found.append(f"{peer_name(peer)} stopped after {cell.iterations} iterations")
            if row.kind in compare.DRAWN and peer != OURS and cell.inertia is not None:
                difference = compare.inertia_difference(row, peer)
                found.append(f"inertia of the centers of {peer_name(peer)} {difference:+.1%}")
            if cell.wrong_labels:
                share = f"{cell.wrong_labels:.1%} of {SAMPLE:,} labels"
                found.append(f"{share} of {peer_name(peer)} are not of the nearest center")
            if cell.different_labels:
                found.append(f"{cell.different_labels:,} labels of {peer_name(peer)} are not ours")
        if found:
            lines.append(f"- {_row_label(row)}: {'; '.join(found)}")
    if not lines:
        return ""
    return "Differences (of the final inertia, relative to ours):\n\n" + "\n".join(lines) + "\n"


def _memory(rows: list[Row]) -> str:
    """The table of peak memory, for whole fits."""
    if not rows:
        return ""
    peers = [name for name in PEERS if any(name in row.cells for row in rows)]
    head = [
        "points x dimensions, clusters",
        "the data",
        *(peer_name(peer) for peer in peers),
        "target",
    ]
    lines = [
        "## Memory of a whole fit\n",
        "The highest point of the resident memory during the fit, above that before it (with the "
        "data in memory and the library imported and warm), as a share of the data.\n",
        f"| {' | '.join(head)} |",
        "|---" * len(head) + "|",
    ]
    for row in rows:
        fields = [_row_label(row), _format_bytes(row.data_bytes)]
        fields += [_format_memory(row, row.cells.get(peer)) for peer in peers]
        ours = row.cells.get(OURS)
        share = compare.memory_share(row, ours) if ours else None
        if share is None:
            fields.append(NOTHING)
        else:
            met = "met" if share <= compare.MEMORY_TARGET else "**missed**"
            fields.append(f"{compare.MEMORY_TARGET:.0%}: {met}")
        lines.append(f"| {' | '.join(fields)} |")
    return "\n".join(lines) + "\n"


def _format_bytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{count / 1e3:,.0f} kB"


def _format_memory(row: Row, cell: Cell | None) -> str:
    share = compare.memory_share(row, cell) if cell else None
    if share is None or cell is None or cell.memory is None:
        return NOTHING
    return f"{share:,.0%} ({_format_bytes(cell.memory)})"


def _failures(rows: list[Row]) -> str:
    wanted = (Status.FAILED, Status.UNAVAILABLE, Status.TOO_LARGE)
    lines = [
        f"- {full_label(row)}: {peer_name(peer)}: {cell.note}"
        for row in rows
        for peer, cell in row.cells.items()
        if cell.status in wanted
    ]
    return "## Without a result\n\n" + "\n".join(lines) + "\n" if lines else ""
