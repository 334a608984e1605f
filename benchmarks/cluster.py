"""Milliseconds an iteration on two local workers: ours, dask-ml, Spark MLlib, and what bounds them.

    python -m benchmarks.cluster            # both tasks, all peers, three turns: about 7 minutes
    python -m benchmarks.cluster --quick    # a small task, to see that it runs: two minutes
    python -m benchmarks.cluster --only floor "centroids on Dask"  # the others keep their figures

Needs an idle machine and `pip install centroids[dask] dask-ml pyspark`; Spark needs Java and, to be
fair, a native BLAS (`apt install libopenblas0`), of which `OMP_NUM_THREADS=1` is set: a worker has
one core. A peer that is not installed is left out. All begin with the same number of iterations
from initial centers and are measured by the difference of a long and a short run; each in a process
of its own, by turns; the fastest turn counts. Writes benchmarks/results/cluster.json and
docs/benchmarks/cluster.md.

`floor` is two bare processes with a pipe each that send centers and partial sums: the engine's
overhead is what ours takes above it. `one process` has two threads.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "cluster.json"
TASKS = {
    "2M x 32, k = 100": (2_000_000, 32, 100),
    "500k x 100, k = 500": (500_000, 100, 500),
}
QUICK = {"20k x 8, k = 10": (20_000, 8, 10)}
SHORT, ITERATIONS = 1, 10

Points = NDArray[np.float32]


def points_of(n: int, d: int, k: int) -> tuple[Points, Points]:
    """Overlapping clusters, whose centers go on moving, and initial centers."""
    random = np.random.default_rng(0)
    places = random.normal(size=(k, d)).astype(np.float32)
    points = places[random.integers(k, size=n)]
    points += random.normal(size=(n, d)).astype(np.float32)
    return points, points[:k].copy()


def slope(run: Callable[[int], object], iterations: int) -> float:
    """Milliseconds an iteration, by the difference of a long and a short run."""

    def seconds(count: int) -> float:
        started = time.perf_counter()
        run(count)
        return time.perf_counter() - started

    run(SHORT)
    short, long = seconds(SHORT), seconds(SHORT + iterations)
    return 1e3 * (long - short) / iterations


def train(points: Any, initial: Points, steps: int, engine: Any = None) -> None:
    import centroids

    with tempfile.TemporaryDirectory() as folder:
        config = centroids.RunConfig(
            save_checkpoints_secs=None, save_summary_steps=None, train_distribute=engine
        )
        kmeans = centroids.KMeansClustering(
            len(initial), folder, initial_clusters=initial, use_mini_batch=False, config=config
        )
        kmeans.train(lambda: points, steps=steps)


@contextlib.contextmanager
def dask_array(points: Points) -> Iterator[Any]:
    """The points in four partitions, in the memory of two workers of one thread."""
    import dask.array
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.ERROR
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        spread = dask.array.from_array(points, chunks=(-(-len(points) // 4), points.shape[1]))
        spread = client.persist(spread)
        distributed.wait(spread)
        yield spread


def ours_on_dask(points: Points, initial: Points, iterations: int) -> float:
    from centroids import distribute
    from centroids.inputs.convert import convert_features

    with dask_array(points) as spread:
        kept = distribute.shard(spread, convert_features)  # so that each run finds its shards
        found = slope(lambda steps: train(spread, initial, steps), iterations)
        del kept
        return found


def ours_on_ray(points: Points, initial: Points, iterations: int) -> float:
    import ray.data

    from centroids import distribute
    from centroids.inputs.convert import convert_features

    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    spread = ray.data.from_numpy(np.array_split(points, 4))
    engine = distribute.Ray(num_workers=2, cpus_per_worker=1)
    kept = distribute.shard(spread, convert_features, engine)
    time.sleep(10)  # Ray starts processes ahead, which would take the processors meanwhile
    found = slope(lambda steps: train(spread, initial, steps, engine), iterations)
    del kept
    return found


def one_process(points: Points, initial: Points, iterations: int) -> float:
    import centroids

    centroids.set_num_threads(2)
    return slope(lambda steps: train(points, initial, steps), iterations)


def serve(connection: Any, points: Points) -> None:
    """A bare worker of the floor."""
    from centroids import kernels

    kernels.set_num_threads(1)
    memory = kernels.AssignmentMemory()
    while (centers := connection.recv()) is not None:
        connection.send(kernels.assign_partial(points, centers, memory=memory))


def floor(points: Points, initial: Points, iterations: int) -> float:
    def run(steps: int) -> None:
        context = multiprocessing.get_context("fork")
        workers = []
        for half in np.array_split(points, 2):
            here, there = context.Pipe()
            context.Process(target=serve, args=(there, half), daemon=True).start()
            workers.append(here)
        centers = initial
        for _ in range(steps):
            for worker in workers:
                worker.send(centers)
            found = sum(worker.recv() for worker in workers).finish()
            means = found.sums / np.maximum(found.counts, 1)[:, None]
            centers = np.where(found.counts[:, None] > 0, means, centers).astype(np.float32)
        for worker in workers:
            worker.send(None)

    return slope(run, iterations)


def dask_ml(points: Points, initial: Points, iterations: int) -> float:
    from dask_ml.cluster import KMeans

    def run(steps: int) -> None:
        KMeans(len(initial), init=initial, max_iter=steps, tol=0.0).fit(spread)

    with dask_array(points) as spread:
        return slope(run, iterations)


def spark(points: Points, initial: Points, iterations: int) -> float:
    from pyspark.ml.clustering import KMeans
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import SparkSession

    with tempfile.TemporaryDirectory() as folder:
        import pyarrow as pa
        import pyarrow.parquet as pq

        for number, part in enumerate(np.array_split(points, 4)):
            lists = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), part.shape[1])
            column = lists.cast(pa.list_(pa.float32()))
            pq.write_table(pa.table({"x": column}), f"{folder}/{number}.parquet")
        builder = SparkSession.builder.master("local[2]").config("spark.driver.memory", "8g")
        session = builder.config("spark.ui.enabled", "false").getOrCreate()
        frame = session.read.parquet(folder)
        frame = frame.select(array_to_vector(frame.x.cast("array<double>")).alias("features"))
        frame.cache().count()

        def run(steps: int) -> None:
            kmeans = KMeans(k=len(initial), initMode="random", seed=0, maxIter=steps, tol=0.0)
            kmeans.setSolver("block").fit(frame)

        try:
            return slope(run, iterations)
        finally:
            session.stop()


PEERS: dict[str, Callable[[Points, Points, int], float]] = {
    "one process": one_process,
    "floor": floor,
    "centroids on Dask": ours_on_dask,
    "centroids on Ray": ours_on_ray,
    "dask-ml": dask_ml,
    "Spark MLlib": spark,
}


def measure(peer: str, sizes: tuple[int, int, int]) -> float | None:
    """One turn of a peer in a process of its own; None if it cannot run."""
    command = [sys.executable, "-m", "benchmarks.cluster", "--peer", peer]
    done = subprocess.run(
        [*command, "--sizes", *map(str, sizes)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    if done.returncode:
        print(f"{peer}: {(done.stderr.strip().splitlines() or ['?'])[-1]}", file=sys.stderr)
        return None
    return float(done.stdout.split()[-1])


def report(found: dict[str, Any]) -> str:
    """The page of the documentation."""
    at, tasks = found["machine"], found["tasks"]
    lines = [
        "# Benchmarks: clusters",
        "",
        "Milliseconds an iteration of full batches on two local workers of one thread each, the",
        f"fastest of at least {found['turns']} turns, every peer in a process of its own. Goals:",
        "10 times dask-ml, 8 times Spark, and at most 1.15 times the floor.",
        "",
        "| | " + " | ".join(tasks) + " |",
        "|---|" + "---|" * len(tasks),
    ]
    for peer in PEERS:
        cells = []
        for times in tasks.values():
            time, ours = times.get(peer), times.get("centroids on Dask")
            ratio = f" ({time / ours:.2f} of centroids on Dask)" if time and ours else ""
            cells.append(
                f"{time:,.1f}{ratio if peer != 'centroids on Dask' else ''}" if time else "-"
            )
        lines.append(f"| {peer} | " + " | ".join(cells) + " |")
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    lines += [
        "",
        "- `floor` is two bare processes that send centers and partial sums through pipes: what is",
        "  above it is the engine's overhead.",
        "- `one process` is `KMeansClustering.train` with two threads and no engine.",
        "- Spark has a native BLAS. Its points are cached vectors of float64, its only type.",
        f"- {at['cpu']} ({at['instruction_set']}), {at['system']}, Python {at['python']};",
        f"  {versions}.",
        "",
        "Written by `python -m benchmarks.cluster`.",
    ]
    return "\n".join(lines) + "\n"


def versions() -> dict[str, str]:
    """The peers that are installed."""
    found = {}
    for name in ("dask", "distributed", "ray", "dask-ml", "pyspark"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def kept(task: str, renewed: Sequence[str]) -> dict[str, float]:
    """The earlier figures of the other peers."""
    if not RESULTS.exists():
        return {}
    earlier: dict[str, float] = json.loads(RESULTS.read_text())["tasks"].get(task, {})
    return {peer: time for peer, time in earlier.items() if peer not in renewed}


def main() -> None:
    """Measures all peers by turns, or one of them for the parent process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", choices=PEERS, nargs="+", default=list(PEERS), metavar="PEER")
    parser.add_argument("--peer", choices=PEERS)
    parser.add_argument("--sizes", type=int, nargs=3)
    arguments = parser.parse_args()
    if arguments.peer:
        print(PEERS[arguments.peer](*points_of(*arguments.sizes), ITERATIONS))
        return
    tasks = QUICK if arguments.quick else TASKS
    turns = 1 if arguments.quick else arguments.turns
    found = {task: {} if arguments.quick else kept(task, arguments.only) for task in tasks}
    for turn in range(turns):
        for task, sizes in tasks.items():
            for peer in arguments.only:
                time = measure(peer, sizes)
                if time is not None:
                    found[task][peer] = min(time, found[task].get(peer, time))
                    print(f"turn {turn}, {task}, {peer}: {time:,.1f} ms", flush=True)
    results = {
        "machine": machine.describe(2),
        "versions": versions(),
        "turns": turns,
        "tasks": found,
    }
    page = report(results)
    print(page)
    if not arguments.quick:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        (ROOT / "docs/benchmarks/cluster.md").write_text(page)


if __name__ == "__main__":
    main()
