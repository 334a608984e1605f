"""Clusters a folder of Parquet files on a local Dask cluster, and compares with one process.

Needs the extras `dask` and `arrow`. `make demo-cluster` runs this.
"""

from __future__ import annotations

import hashlib
import logging
import time
from pathlib import Path
from typing import Any

import dask.dataframe
import distributed
import numpy as np
import pandas

import centroids

FOLDER = Path("build") / "demo" / "points"


def write_points(num_files: int = 9, num_columns: int = 16) -> None:
    """Writes uneven files of points around 50 places."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    places = random.normal(scale=5, size=(50, num_columns))
    for number in range(num_files):
        near = places[random.integers(50, size=20_000 + 5_000 * number)]
        points = (near + random.normal(size=near.shape)).astype(np.float32)
        columns = [f"x{column:02}" for column in range(num_columns)]
        pandas.DataFrame(points, columns=columns).to_parquet(FOLDER / f"{number:03}.parquet")


def train(points: Any) -> centroids.KMeansClustering:
    """Trains from initial centers of k-means++, and says how long it took."""
    started = time.perf_counter()
    kmeans = centroids.KMeansClustering(
        50, initial_clusters=centroids.KMEANS_PLUS_PLUS_INIT, use_mini_batch=False
    ).train(lambda: points, steps=20)
    print(f"  20 steps in {time.perf_counter() - started:.1f} s", flush=True)
    return kmeans


def digest(kmeans: centroids.KMeansClustering) -> str:
    """A digest of every bit of the centers."""
    return hashlib.sha256(kmeans.cluster_centers().tobytes()).hexdigest()[:16]


def main() -> None:
    """Trains on two workers and alone."""
    print(f"Writing points to {FOLDER}", flush=True)
    write_points()
    print("Starting a local cluster of two workers", flush=True)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.ERROR
        ) as cluster,
        distributed.Client(cluster),
    ):
        points = dask.dataframe.read_parquet(FOLDER)
        print(f"On the cluster, {points.npartitions} partitions:", flush=True)
        spread = train(points)
        index = spread.predict_cluster_index(lambda: points).collection
        index.to_frame().to_parquet(FOLDER.parent / "labels")
        print(f"  labels written to {FOLDER.parent / 'labels'}, by the workers", flush=True)
    print("In one process:", flush=True)
    alone = train(pandas.read_parquet(FOLDER))
    print(f"Digest of the cluster's centers:     {digest(spread)}")
    print(f"Digest of the one process's centers: {digest(alone)}")
    if digest(spread) != digest(alone):
        raise SystemExit("They differ: please report this.")
    print("They are equal, to the bit.")


if __name__ == "__main__":
    main()
