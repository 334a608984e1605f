"""How well the work of an assignment divides among many threads, found on a machine with few.

Chunks of rows, packing, and what one thread does alone are timed one by one on one thread, by its
processor time: what else runs on the machine counts less. A simulation then hands the chunks to the
next free of so many threads, as the pool does. It knows nothing of memory bandwidth and of clocks
that fall: what it finds is what the schedule allows.

    python -m benchmarks.schedule
"""

from __future__ import annotations

import heapq
import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks import SHAPES
from centroids import kernels

THREADS = (1, 8, 16, 64, 192)
PANEL = 48  # centers that are packed together
CACHE = 3 << 18  # bytes of sums that each thread has for itself; see assign_dense.cpp


def chunk_rows(num_rows: int, threads: int) -> int:
    """As `cut_rows` in native/search/work_plan.h."""
    each = min(max(num_rows // (threads * 256), 4), 16)
    wanted = -(-num_rows // (threads * each))
    return max(-(-wanted // 8) * 8, 8)


def makespan(tasks: list[float], threads: int) -> float:
    """When the last of the tasks ends, each taken by the next free thread."""
    free = [0.0] * threads
    for task in tasks:
        heapq.heapreplace(free, free[0] + task)
    return max(free)


def simulate(num_rows: int, dimensions: int, num_clusters: int) -> list[float]:
    """The efficiency with each of `THREADS`: the time of one over theirs times their number."""
    random = np.random.default_rng(0)
    kept = chunk_rows(num_rows, 1) + 10_000
    points = random.normal(size=(kept, dimensions)).astype(np.float32)
    centers = points[:num_clusters].copy()
    # As all rows together are searched; points in lanes stand in for the grid of two dimensions.
    search: Any = "lanes" if dimensions <= 16 else "byte_filter"

    def assign(chunk: NDArray[np.float32], wanted: int = num_clusters) -> float:
        start = time.thread_time()
        kernels.assign(chunk, centers[:wanted], labels=False, search=search)
        return time.thread_time() - start

    alone = min(assign(points[:8]) for _ in range(20))
    serial = min(assign(points[:8], 8) for _ in range(20))  # the rest is packing, by panels
    panels = -(-num_clusters // PANEL)
    packing = [max(alone - serial, 0.0) / panels] * panels
    looks = [max(min(assign(points[:64]) for _ in range(20)) - alone, 0.0)] * 8
    adding = 1e-9 * dimensions * num_clusters  # sums of one thread to those of another
    sizes = {threads: chunk_rows(num_rows, threads) for threads in THREADS}
    starts = random.integers(0, kept - max(sizes.values()) + 1, 8)
    took: dict[tuple[int, int], float] = {}
    for _ in range(6):  # in turns: whatever else runs on the machine meets all of them
        for threads, rows in sizes.items():
            for start in starts:
                chunk = points[start : start + rows]
                took[threads, start] = min(took.get((threads, start), math.inf), assign(chunk))
    spans = []
    for threads, rows in sizes.items():
        sample = [max(took[threads, start] - alone, 0.0) for start in starts]
        tasks = random.choice(sample, -(-num_rows // rows)).tolist()
        span = serial + makespan(packing, threads) + makespan(tasks, threads)
        if search == "byte_filter":  # a sample is searched, and centers packed for it, too
            span += makespan(packing, threads) + makespan(looks, threads)
        if 8 * dimensions * num_clusters <= CACHE:
            groups = -(-num_clusters // 4)
            span += makespan([adding * threads / groups] * groups, threads)
        else:  # rows are grouped by cluster, and added
            parts = max(min(num_rows // (2 * num_clusters), threads, 16), 1)
            segments = [num_rows / num_clusters * dimensions * 0.7e-9] * num_clusters
            span += num_rows * 2e-9 / parts + num_clusters * parts * 1e-9
            span += makespan(segments, threads)
        spans.append(span)
    return [spans[0] / span / threads for span, threads in zip(spans, THREADS, strict=True)]


def main() -> None:
    """Prints a table for docs/performance.md."""
    kernels.set_num_threads(1)
    print("| points, clusters | " + " | ".join(f"{threads}" for threads in THREADS[1:]) + " |")
    print("|---|" + "--:|" * (len(THREADS) - 1))
    for n, d, k in SHAPES:
        found = " | ".join(f"{efficiency:.2f}" for efficiency in simulate(n, d, k)[1:])
        print(f"| {n:,} x {d}, {k:,} | {found} |", flush=True)


if __name__ == "__main__":
    main()
