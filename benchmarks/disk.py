"""How fast a model trains from files that are not in memory, beside reading the files alone.

    python benchmarks/disk.py FOLDER --write     makes points.npy and parquet/, 1.5 and 1.8 GB
    python benchmarks/disk.py FOLDER             measures

Of Parquet two programs do the reading alone: one that reads the bytes, and Arrow, which decodes
them in as many threads as there are cores. The system is told to forget the files before each turn.
Run it in a control group whose memory is less than the files, so that it cannot keep all of them:

    systemd-run --scope -p MemoryMax=600M python benchmarks/disk.py FOLDER
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
from pyarrow import parquet

import centroids

NUM_COLUMNS, NUM_CLUSTERS = 50, 8
PARTS = 4
PIECE_ROWS = 1 << 16
# Rows of a batch; of the last one a pass makes a single update, as a full batch does.
BATCH_ROWS = (1_024, 16_384, 131_072)


def write(folder: Path, num_rows: int) -> None:
    """Makes the files."""
    (folder / "parquet").mkdir(parents=True, exist_ok=True)
    shape = (num_rows, NUM_COLUMNS)
    rows = np.lib.format.open_memmap(folder / "points.npy", "w+", np.float32, shape)
    random = np.random.default_rng(0)
    schema = pyarrow.schema([(f"c{i}", pyarrow.float32()) for i in range(NUM_COLUMNS)])
    ends = [num_rows * part // PARTS for part in range(PARTS + 1)]
    for part, (start, stop) in enumerate(itertools.pairwise(ends)):
        rows[start:stop] = random.standard_normal((stop - start, NUM_COLUMNS), np.float32)
        columns = [np.ascontiguousarray(column) for column in rows[start:stop].T]
        table = pyarrow.table(columns, schema=schema)
        parquet.write_table(table, folder / "parquet" / f"part-{part}.parquet")
    rows.flush()


def files_of(path: Path) -> list[Path]:
    """A file, or the files of a folder."""
    return sorted(path.iterdir()) if path.is_dir() else [path]


def forget(path: Path) -> None:
    """Takes files out of the system's memory."""
    for file in files_of(path):
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def read(path: Path) -> None:
    """Reads the bytes of files alone."""
    buffer = bytearray(1 << 20)
    for file in files_of(path):
        with file.open("rb", buffering=0) as opened:
            while opened.readinto(buffer):
                pass


def decode(path: Path) -> None:
    """Reads Parquet files by Arrow alone, in the memory that we read them in."""
    for file in files_of(path):
        with parquet.ParquetFile(file, pre_buffer=False, buffer_size=1 << 18) as opened:
            for _ in opened.iter_batches(PIECE_ROWS):
                pass


def train(path: Path, batch_rows: int, num_rows: int) -> None:
    """Trains for one pass."""
    centers = np.random.default_rng(1).standard_normal((NUM_CLUSTERS, NUM_COLUMNS))
    steps = -(-num_rows // batch_rows) if batch_rows == BATCH_ROWS[-1] else 1
    with tempfile.TemporaryDirectory() as folder:
        centroids.KMeansClustering(
            NUM_CLUSTERS,
            folder,
            initial_clusters=centers.astype(np.float32),
            mini_batch_steps_per_iteration=steps,
        ).train(centroids.inputs.table_input_fn(path, batch_rows))


def measure(path: Path, num_rows: int, turns: int, *, cold: bool) -> None:
    """Prints the medians of all ways to read, in turns."""
    ways: dict[str, Callable[[], None]] = {"bytes alone": functools.partial(read, path)}
    if path.is_dir():
        ways["Arrow alone"] = functools.partial(decode, path)
    for rows in BATCH_ROWS:
        ways[f"training, {rows:,} rows a batch"] = functools.partial(train, path, rows, num_rows)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(turns):
        for way, go in ways.items():
            if cold:
                forget(path)
            start = time.perf_counter()
            go()
            seconds[way].append(time.perf_counter() - start)
    medians = {way: statistics.median(each) for way, each in seconds.items()}
    num_bytes = sum(file.stat().st_size for file in files_of(path))
    for way, median in medians.items():
        shares = [f"{medians[alone] / median:.2f} of {alone}" for alone in ways if "alone" in alone]
        print(f"{path.name}: {way}: {num_bytes / median / 1e6:,.0f} MB/s, {', '.join(shares)}")


def main() -> None:
    """Writes or measures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true", help="make the files, and measure nothing")
    parser.add_argument("--rows", type=int, default=7_500_000, help="of the files to make")
    parser.add_argument("--turns", type=int, default=5, help="the median of so many is shown")
    parser.add_argument("--warm", action="store_true", help="the system may remember the files")
    given = parser.parse_args()
    if given.write:
        write(given.folder, given.rows)
        return
    num_rows = len(np.load(given.folder / "points.npy", mmap_mode="r"))
    for name in ("points.npy", "parquet"):
        measure(given.folder / name, num_rows, given.turns, cold=not given.warm)


if __name__ == "__main__":
    main()
