"""The command: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path

from benchmarks import machine, run
from benchmarks.overview import write_report
from benchmarks.peers import PEERS, peers_for
from benchmarks.records import Results, Row
from benchmarks.tasks import TASKS, scaled, select
from centroids import kernels

HELP = """\
Times centroids against its peers and writes benchmarks/results/NAME.json, where NAME is the
instruction set of the processor (or CENTROIDS_ISA), and from all of them docs/benchmarks.md, the
pages in docs/benchmarks/ and the table in README.md. Needs an idle machine. All of it takes some
hours; parts of it:

  python -m benchmarks --list                       what there is
  python -m benchmarks --merge --tasks iteration/   one kind of task; the other rows are kept
  python -m benchmarks --merge --tasks 'fit/glove*' --peers centroids faiss
  python -m benchmarks --scale 0.02 --repeats 1 --output build/try    small, to try things out
  python -m benchmarks --report-only                write the pages again from all results

Each measurement is a process of its own. Within a task, peers take turns: round 1 of all, round 2
of all, and so on. Data sets are made once, into build/benchmark-data; peers that cannot share this
environment get one of their own in build/benchmark-environments.
"""


def parse() -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults = run.Options()
    add = parser.add_argument
    add("--tasks", nargs="+", default=[], metavar="PATTERN", help="parts or globs of task names")
    add("--peers", nargs="+", default=[], choices=list(PEERS), metavar="NAME", help="only these")
    add("--repeats", type=int, default=defaults.repeats, help="runs of a cell (%(default)s)")
    add("--threads", type=int, default=defaults.threads, help="of every peer (%(default)s)")
    add(
        "--slow-seconds",
        type=float,
        default=defaults.slow_seconds,
        help="a cell whose run takes longer is run once, and marked * (%(default)s)",
    )
    add(
        "--give-up-seconds",
        type=float,
        default=defaults.give_up_seconds,
        help="a cell that would take longer, by its first iterations, is not run (%(default)s)",
    )
    add("--scale", type=float, default=1.0, help="factor for the number of points, to try things")
    add("--merge", action="store_true", help="keep what is not measured from the last results")
    add("--output", type=Path, help="a folder for results and pages, instead of the project's")
    add("--list", action="store_true", help="show the tasks and their peers")
    add("--report-only", action="store_true", help="measure nothing, write the pages")
    arguments = parser.parse_args()
    if arguments.scale != 1 and arguments.output is None and not arguments.list:
        parser.error("--scale is for trying things out: give an --output folder, too")
    if not select(arguments.tasks):
        parser.error(f"no task has {' or '.join(arguments.tasks)} in its name; see --list")
    return arguments


def merged(old: Row | None, new: Row) -> Row:
    """The new row, with the cells that only the old one has."""
    if old is None:
        return new
    kept = {name: cell for name, cell in old.cells.items() if name not in new.cells}
    cells = {**new.cells, **kept}
    order = {name: cells[name] for name in PEERS if name in cells}
    return Row(**{**vars(new), "cells": order})


def main() -> None:
    """Measures, and writes the report after each task."""
    arguments = parse()
    tasks = [scaled(task, arguments.scale) for task in select(arguments.tasks)]
    if arguments.list:
        for task in tasks:
            print(f"{task.name:44} {' '.join(info.name for info in peers_for(task.kind))}")
        return
    output = arguments.output
    folder = output or run.ROOT / "benchmarks" / "results"
    if arguments.report_only:
        write_report(folder, output)
        return
    results_file = folder / f"{kernels.instruction_set()}.json"
    results = Results.read(results_file)
    if not arguments.merge:
        results.rows, results.iterations = {}, {}
    options = run.Options(
        repeats=arguments.repeats,
        threads=arguments.threads,
        slow_seconds=arguments.slow_seconds,
        give_up_seconds=arguments.give_up_seconds,
        peers=tuple(arguments.peers),
    )
    logging.getLogger("centroids").setLevel(logging.ERROR)  # not about each temporary folder
    machine.pin(options.threads)
    results.machine = machine.describe(options.threads)
    for number, task in enumerate(tasks, 1):
        print(f"[{number}/{len(tasks)}] {task.name}", flush=True)
        start = time.perf_counter()
        row = run.measure(task, options, results)
        results.rows[task.name] = merged(results.rows.get(task.name), row)
        results.write(results_file)
        print(f"  {time.perf_counter() - start:.0f} s", flush=True)
    order = {scaled(task, arguments.scale).name: None for task in TASKS}
    results.rows = {n: results.rows[n] for n in [*order, *results.rows] if n in results.rows}
    results.write(results_file)
    write_report(folder, output)


if __name__ == "__main__":
    main()
