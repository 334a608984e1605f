"""How well the work of an assignment divides among many threads, found on a machine with few.

Chunks of rows, packing, and what one thread does alone are timed one by one on one thread, by its
processor time: what else runs on the machine counts less. A simulation then hands the chunks to the
next free of so many threads, as the pool does. It knows nothing of memory bandwidth and of clocks
that fall: what it finds is what the schedule allows.

    python -m benchmarks.schedule            # --verbose says where the time goes
"""

from __future__ import annotations

import heapq
import logging
import sys
import time
from statistics import median
from typing import Any

import numpy as np

from benchmarks.tasks import SHAPES
from centroids import kernels

logger = logging.getLogger(__name__)

THREADS = (1, 8, 16, 64, 192)
PANEL, PART = 48, 16  # centers that are packed together
LANES = 64  # points that fill the lanes
SMALL = 2048  # rows that are timed often
LOOK = 16  # rows of a look at a sample
SECONDS = 5.0  # for the times of a shape
CACHE = 3 << 18  # bytes of sums that each thread has for itself; see assign_dense.cpp


def chunk_sizes(num_rows: int, threads: int, grain: int) -> list[int]:
    """As `ShrinkingChunks` in native/search/work_plan.h."""
    share, sizes, left = num_rows // threads, [], num_rows
    most, least = max(share // 8, 256), max(min(share // 4, 32), share // 64)
    while left:
        half = -(-left // (2 * threads))
        rows = max(-(-min(max(half, least), most) // grain) * grain, grain)
        for _ in range(threads):
            sizes.append(min(rows, left))
            left -= sizes[-1]
            if not left:
                break
    return sizes


def makespan(tasks: list[float], threads: int) -> float:
    """When the last of the tasks ends, each taken by the next free thread."""
    free = [0.0] * threads
    for task in tasks:
        heapq.heapreplace(free, free[0] + task)
    return max(free)


def simulate(num_rows: int, dimensions: int, num_clusters: int) -> list[float]:
    """The efficiency with each of `THREADS`: the time of one over theirs times their number."""
    random = np.random.default_rng(0)
    # As all rows together are searched; points in lanes stand in for the grid of two dimensions.
    search: Any = "lanes" if dimensions <= 16 else "byte_filter"
    chunks = {
        threads: chunk_sizes(num_rows, threads, LANES if search == "lanes" else 8)
        for threads in THREADS
    }
    most = max(map(max, chunks.values()))
    points = random.normal(size=(most + 10_000, dimensions)).astype(np.float32)
    centers = points[:num_clusters].copy()
    took: dict[tuple[int, int], list[float]] = {}

    def assign(rows: int, wanted: int = num_clusters) -> None:
        first = int(random.integers(0, len(points) - rows + 1))
        start = time.thread_time()
        kernels.assign(points[first : first + rows], centers[:wanted], labels=False, search=search)
        took.setdefault((rows, wanted), []).append(time.thread_time() - start)

    sizes = sorted({size for cut in chunks.values() for size in cut} | {LOOK, 256})
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends or len(took[8, 8]) < 4:
        # In turns: whatever else runs on the machine meets all of them.
        for rows in sizes:
            assign(8)  # in between, as what is taken off the others must be as precise
            if rows <= SMALL or len(took.get((rows, num_clusters), [])) < 6:
                assign(rows)
        assign(8, 8)
    alone, serial = (median(took[8, wanted]) for wanted in (num_clusters, 8))  # packing: by panels
    cost = {rows: max(median(took[rows, num_clusters]) - alone, 0.0) for rows in sizes}
    look = max(cost[LOOK] / LOOK, cost[256] / 256)  # of one row
    parts = -(-num_clusters // (PART if search == "byte_filter" else PANEL))
    packing = [max(alone - serial, 0.0) / parts] * parts
    adding = 1e-9 * dimensions * num_clusters  # sums of one thread to those of another
    spans = []
    for threads, cut in chunks.items():
        spent = {
            "alone": serial,
            "packing": makespan(packing, threads),
            "chunks": makespan([cost[rows] for rows in cut], threads),
        }
        if search == "byte_filter":  # a sample is searched, and centers packed for it, too
            samples = min(max(threads, 8), 32)
            spent["sample"] = makespan(packing, threads)
            spent["sample"] += makespan([look * 512 / samples] * samples, threads)
        if 8 * dimensions * num_clusters <= CACHE:
            groups = -(-num_clusters // min(max(num_clusters // (8 * threads + 1), 1), 4))
            spent["adding"] = makespan([adding * threads / groups] * groups, threads)
        else:  # rows are grouped by cluster, and added
            parts = max(min(num_rows // (2 * num_clusters), threads, 16), 1)
            segments = [num_rows / num_clusters * dimensions * 0.7e-9] * num_clusters
            spent["grouping"] = num_rows * 2e-9 / parts + num_clusters * parts * 1e-9
            spent["adding"] = makespan(segments, threads)
        spans.append(spent)
    ideal = sum(spans[0].values())
    for threads, spent in zip(THREADS, spans, strict=True):
        logger.debug(
            "%d threads: %s us; evenly %.0f",
            threads,
            {name: round(1e6 * seconds) for name, seconds in spent.items()},
            1e6 * ideal / threads,
        )
    return [
        ideal / sum(spent.values()) / threads for spent, threads in zip(spans, THREADS, strict=True)
    ]


def main() -> None:
    """Prints a table for docs/performance.md."""
    logging.basicConfig(level=logging.DEBUG if "--verbose" in sys.argv else logging.INFO)
    kernels.set_num_threads(1)
    print("| points, clusters | " + " | ".join(f"{threads}" for threads in THREADS[1:]) + " |")
    print("|---|" + "--:|" * (len(THREADS) - 1))
    for n, d, k in SHAPES:
        found = " | ".join(f"{efficiency:.2f}" for efficiency in simulate(n, d, k)[1:])
        print(f"| {n:,} x {d}, {k:,} | {found} |", flush=True)


if __name__ == "__main__":
    main()
