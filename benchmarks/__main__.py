"""The command: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import logging
import math
import sys
import time
from pathlib import Path

from benchmarks import machine, run
from benchmarks.overview import write_report
from benchmarks.peers import PEERS
from benchmarks.pieces import OutOfTimeError, Piece, Unfinished, commit
from benchmarks.records import Results, Row
from benchmarks.tasks import TASKS, Task, scaled, select
from centroids import kernels

HELP = """\
Times centroids against its peers and writes benchmarks/results/NAME.json, where NAME is the
instruction set (or CENTROIDS_ISA) and the generation of the processor, such as avx2-zen-4, and from
all of them docs/benchmarks.md, the pages in docs/benchmarks/ and the table in README.md. Needs an
idle machine.

  python -m benchmarks --list                       what there is, and how long it takes
  python -m benchmarks --seconds 280                a piece; the same again goes on
  python -m benchmarks --tasks iteration/           one kind of task
  CENTROIDS_ISA=avx2 python -m benchmarks           as on a processor that has no more
  python -m benchmarks --again --tasks 'fit/glove*' --peers centroids faiss
  python -m benchmarks --scale 0.02 --repeats 1 --output build/try    small, to try things out
  python -m benchmarks --prepare                    make data and environments, measure nothing
  python -m benchmarks --report-only                write the pages again from all results

Tasks that are measured on this machine at this commit are left out, but for --again. A row is of
one machine and one commit; rows of others stay, with their date, until they are measured again.
With --seconds the exit status is 75 while something is left to measure.

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
    add("--seconds", type=float, help="stop after so long; the same command again goes on")
    add("--again", action="store_true", help="measure also what is measured")
    add("--prepare", action="store_true", help="make data and environments, measure nothing")
    add("--output", type=Path, help="a folder for results and pages, instead of the project's")
    add("--list", action="store_true", help="show the tasks and their peers")
    add("--report-only", action="store_true", help="measure nothing, write the pages")
    arguments = parser.parse_args()
    if arguments.scale != 1 and arguments.output is None and not arguments.list:
        parser.error("--scale is for trying things out: give an --output folder, too")
    if arguments.again and arguments.seconds is not None:
        parser.error("--again would begin anew with each piece: give --again or --seconds")
    if not select(arguments.tasks):
        parser.error(f"no task has {' or '.join(arguments.tasks)} in its name; see --list")
    return arguments


def merged(old: Row | None, new: Row) -> Row:
    """The new row, with the cells that only the old one has, if it is of the same run."""
    if old is None or not old.same_run(new):
        return new
    kept = {name: cell for name, cell in old.cells.items() if name not in new.cells}
    cells = {**new.cells, **kept}
    order = {name: cells[name] for name in PEERS if name in cells}
    return Row(**{**vars(new), "cells": order})


def left_to_measure(
    tasks: list[Task], results: Results, options: run.Options, *, again: bool
) -> list[Task]:
    """The tasks of which this run has not every peer."""

    def done(task: Task) -> bool:
        row = results.rows.get(task.name)
        if again or row is None or results.commit is None or row.run != results.run:
            return False
        return {info.name for info in run.peers_of(task, options)} <= row.cells.keys()

    return [task for task in tasks if not done(task)]


def show(tasks: list[Task], results: Results, options: run.Options) -> None:
    """Prints the tasks, how long each took, and all together."""
    total = 0.0
    for task in tasks:
        row, names = results.rows.get(task.name), run.peers_of(task, options)
        seconds = run.seconds_of(row, options) if row else None
        total += seconds or 0.0
        shown = "    ?" if seconds is None else f"{seconds:5.0f}"
        print(f"{task.name:44} {shown} s  {' '.join(info.name for info in names)}")
    pieces = math.ceil(total / 280)
    print(f"{total / 60:.0f} minutes, as far as is known: {pieces} pieces of 280 seconds")


def measure_all(
    tasks: list[Task], options: run.Options, results: Results, file: Path, seconds: float | None
) -> bool:
    """Measures tasks until the time is over; returns whether all are done."""
    unfinished = Unfinished(run.ROOT / "build" / f"unfinished-{file.stem}.json", results.run)
    piece = Piece(seconds)
    for number, task in enumerate(tasks, 1):
        print(f"[{number}/{len(tasks)}] {task.name}", flush=True)
        start = time.perf_counter()
        try:
            row = run.measure(task, options, results, unfinished, piece)
        except OutOfTimeError:
            print(f"{len(tasks) - number + 1} tasks are left: the same command goes on", flush=True)
            return False
        results.rows[task.name] = merged(results.rows.get(task.name), row)
        results.write(file)
        unfinished.finish(task.name)
        print(f"  {time.perf_counter() - start:.0f} s", flush=True)
    return True


def main() -> int:
    """Measures, and writes the report at the end."""
    arguments = parse()
    tasks = [scaled(task, arguments.scale) for task in select(arguments.tasks)]
    output = arguments.output
    folder = output or run.ROOT / "benchmarks" / "results"
    if arguments.report_only:
        write_report(folder, output)
        return 0
    options = run.Options(
        repeats=arguments.repeats,
        threads=arguments.threads,
        slow_seconds=arguments.slow_seconds,
        give_up_seconds=min(arguments.give_up_seconds, 0.6 * (arguments.seconds or math.inf)),
        peers=tuple(arguments.peers),
    )
    results_file = folder / f"{machine.results_name(kernels.instruction_set())}.json"
    results = Results.read(results_file)
    if arguments.list:
        show(tasks, results, options)
        return 0
    if arguments.prepare:
        run.prepare(tasks, options)
        return 0
    logging.getLogger("centroids").setLevel(logging.ERROR)  # not about each temporary folder
    machine.pin(options.threads)
    results.machine = machine.describe(options.threads)
    results.commit = commit(run.ROOT)
    tasks = left_to_measure(tasks, results, options, again=arguments.again)
    done = measure_all(tasks, options, results, results_file, arguments.seconds)
    order = {scaled(task, arguments.scale).name: None for task in TASKS}
    results.rows = {n: results.rows[n] for n in [*order, *results.rows] if n in results.rows}
    results.write(results_file)
    write_report(folder, output)
    return 0 if done else 75


if __name__ == "__main__":
    sys.exit(main())
