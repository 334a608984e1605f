"""Seconds per full-batch iteration: centroids against scikit-learn and faiss, in one run.

Each measurement is a process of its own with two threads. It fits the same points from the same
initial centers with few and with more iterations; the difference divided by the extra iterations is
the time of one, free of set-up. Runs of the peers are interleaved; the median counts. All peers use
their defaults, except that faiss is told not to subsample (its default would do less work) and
scikit-learn that it need not stop early. The final inertias must agree.

    python benchmarks/lloyd_iteration.py [--repeats 5] [--output benchmarks/results]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

TASKS = [(2_000_000, 2, 50), (1_000_000, 16, 100), (500_000, 100, 500), (200_000, 768, 1000)]
PEERS = ["centroids", "scikit-learn", "faiss"]
FEW = 2
EXTRA_MULTIPLY_ADDS = 2e11  # iterations beyond FEW: enough for a second or so, at least 4
THREADS = 2


def make_data(n: int, d: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Unstructured points (groups in [0, 500]^d, noise of 250), and k of them as first centers."""
    random = np.random.default_rng(0)
    groups = np.round(random.uniform(0, 500, (k, d)))
    points = np.empty((n, d), np.float32)
    for at in range(0, n, 50_000):
        rows = min(50_000, n - at)
        noise = random.normal(size=(rows, d)) * 250
        points[at : at + rows] = groups[random.integers(0, k, rows)] + noise
    return points, points[random.choice(n, k, replace=False)].copy()


def fit_centroids(points: np.ndarray, centers: np.ndarray, iterations: int) -> np.ndarray:
    import centroids

    model = centroids.KMeansClustering(len(centers), initial_clusters=centers, use_mini_batch=False)
    return model.train(lambda: points, steps=iterations).cluster_centers()


def fit_scikit_learn(points: np.ndarray, centers: np.ndarray, iterations: int) -> np.ndarray:
    import warnings

    from sklearn.cluster import KMeans

    warnings.simplefilter("ignore")
    model = KMeans(len(centers), init=centers, n_init=1, max_iter=iterations, tol=0)
    return np.asarray(model.fit(points).cluster_centers_)


def fit_faiss(points: np.ndarray, centers: np.ndarray, iterations: int) -> np.ndarray:
    import faiss

    model = faiss.Kmeans(
        points.shape[1], len(centers), niter=iterations, max_points_per_centroid=len(points)
    )
    model.train(points, init_centroids=centers)
    return np.asarray(model.centroids)


FITS = {"centroids": fit_centroids, "scikit-learn": fit_scikit_learn, "faiss": fit_faiss}


def measure(peer: str, task: tuple[int, int, int]) -> dict[str, float]:
    """Runs in the child: seconds per iteration and the inertia after the last."""
    points, centers = make_data(*task)
    more = FEW + max(4, min(100, int(EXTRA_MULTIPLY_ADDS / math.prod(task))))
    fit = FITS[peer]
    fit(points[:10_000], centers, 1)  # imports and thread pools are warm
    start = time.perf_counter()
    fit(points, centers, FEW)
    middle = time.perf_counter()
    final = fit(points, centers, more)
    end = time.perf_counter()
    from centroids import kernels

    inertia = kernels.assign(points, final.astype(np.float32)).inertia
    return {"seconds": ((end - middle) - (middle - start)) / (more - FEW), "inertia": inertia}


def run_child(peer: str, task: tuple[int, int, int]) -> dict[str, float]:
    threads = {
        name: str(THREADS)
        for name in ("CENTROIDS_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    }
    arguments = [sys.executable, __file__, "--child", peer, *map(str, task)]
    done = subprocess.run(
        arguments, env={**os.environ, **threads}, check=True, capture_output=True, text=True
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(task: tuple[int, int, int], repeats: int) -> dict[str, Any]:
    runs: dict[str, list[dict[str, float]]] = {peer: [] for peer in PEERS}
    for _ in range(repeats):
        for peer in PEERS:
            runs[peer].append(run_child(peer, task))
    seconds = {peer: statistics.median(r["seconds"] for r in runs[peer]) for peer in PEERS}
    inertia = {peer: runs[peer][-1]["inertia"] for peer in PEERS}
    for peer in PEERS:
        difference = abs(inertia[peer] / inertia["centroids"] - 1)
        if difference > 1e-5:
            print(f"note: {peer} ends {difference:.1e} away in inertia at {task}", file=sys.stderr)
    return {"n": task[0], "d": task[1], "k": task[2], "seconds": seconds, "inertia": inertia}


def as_table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| points x dimensions, clusters | centroids | scikit-learn | faiss | "
        "times faster than the better peer |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        s = row["seconds"]
        factor = min(s["scikit-learn"], s["faiss"]) / s["centroids"]
        lines.append(
            f"| {row['n']:,} x {row['d']}, {row['k']:,} | {s['centroids'] * 1e3:,.1f} ms "
            f"| {s['scikit-learn'] * 1e3:,.1f} ms | {s['faiss'] * 1e3:,.1f} ms | {factor:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Compares all peers on all tasks and writes JSON and a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        n, d, k = map(int, arguments.child[1:])
        print(json.dumps(measure(arguments.child[0], (n, d, k))))
        return
    rows = []
    for task in TASKS:
        rows.append(compare(task, arguments.repeats))
        print(as_table(rows[-1:]).splitlines()[-1], flush=True)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "lloyd_iteration.json").write_text(json.dumps(rows, indent=2) + "\n")
    (arguments.output / "lloyd_iteration.md").write_text(as_table(rows))


if __name__ == "__main__":
    main()
