"""How fast a model trains from a .npy file that is not in memory, beside reading the file alone.

    python benchmarks/disk.py FILE --write     makes the file, 1.5 GB
    python benchmarks/disk.py FILE             measures

The system is told to forget the file before each turn. Run it in a control group whose memory is
less than the file, so that it cannot keep all of it:

    systemd-run --scope -p MemoryMax=600M python benchmarks/disk.py FILE
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import centroids

SHAPE = (7_500_000, 50)
NUM_CLUSTERS = 8
TURNS = 3
# Rows of a batch, and batches to an update; the last makes one update a pass, as full batches do.
BATCHES = ((1_024, 1), (16_384, 1), (131_072, 58))


def write(file: Path) -> None:
    """Makes the file."""
    rows = np.lib.format.open_memmap(file, "w+", np.float32, SHAPE)
    random = np.random.default_rng(0)
    for start in range(0, SHAPE[0], 500_000):
        rows[start : start + 500_000] = random.standard_normal((500_000, SHAPE[1]))
    rows.flush()


def forget(file: Path) -> None:
    """Takes the file out of the system's memory."""
    descriptor = os.open(file, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def read(file: Path) -> None:
    """Reads the file alone."""
    buffer = bytearray(1 << 20)
    with file.open("rb", buffering=0) as opened:
        while opened.readinto(buffer):
            pass


def train(file: Path, batch_size: int, steps_per_iteration: int) -> None:
    """Trains for one pass."""
    centers = np.random.default_rng(1).standard_normal((NUM_CLUSTERS, SHAPE[1]))
    with tempfile.TemporaryDirectory() as folder:
        centroids.KMeansClustering(
            NUM_CLUSTERS,
            folder,
            initial_clusters=centers.astype(np.float32),
            mini_batch_steps_per_iteration=steps_per_iteration,
        ).train(centroids.inputs.npy_input_fn(file, batch_size))


def main() -> None:
    """Writes or measures."""
    file = Path(sys.argv[1])
    if sys.argv[2:] == ["--write"]:
        write(file)
        return
    for batch_size, steps in BATCHES:
        best = {"alone": np.inf, "train": np.inf}
        for _ in range(TURNS):
            for name in best:
                forget(file)
                start = time.perf_counter()
                read(file) if name == "alone" else train(file, batch_size, steps)
                best[name] = min(best[name], time.perf_counter() - start)
        rates = {name: file.stat().st_size / seconds / 1e6 for name, seconds in best.items()}
        print(
            f"{batch_size} rows a batch: {rates['train']:.0f} MB/s, reading alone "
            f"{rates['alone']:.0f}, ratio {rates['train'] / rates['alone']:.2f}"
        )


if __name__ == "__main__":
    main()
