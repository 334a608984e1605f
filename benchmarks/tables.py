"""How fast tables are read: the rows of each kind, beside a library's own reader.

    python benchmarks/tables.py FOLDER --write    makes the files
    python benchmarks/tables.py FOLDER            measures, and prints the table of docs/inputs.md

MB are those of the points in memory, 8 bytes for each number.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (250_000, 16)
NUM_BYTES = 8 * SHAPE[0] * SHAPE[1]
NAMES = [f"x{column}" for column in range(SHAPE[1])]


def write(folder: Path) -> None:
    """Makes the files."""
    import gzip
    import sqlite3

    import h5py
    import pandas as pd
    import pyarrow.feather
    import zarr

    points = np.random.default_rng(0).normal(size=SHAPE).round(6)
    frame = pd.DataFrame(points, columns=NAMES)
    frame.to_csv(folder / "t.csv", index=False)
    (folder / "p.csv.gz").write_bytes(gzip.compress((folder / "t.csv").read_bytes(), 1))
    frame.to_parquet(folder / "t.parquet")
    pyarrow.feather.write_feather(frame, folder / "t.feather", compression="uncompressed")
    frame.to_json(folder / "t.jsonl", orient="records", lines=True)
    frame[:50_000].to_excel(folder / "t.xlsx", index=False)
    frame.to_sql("t", sqlite3.connect(folder / "t.db"), index=False)
    np.save(folder / "t.npy", points)
    np.savez(folder / "t.npz", points)
    with h5py.File(folder / "t.h5", "w") as file:
        file["points"] = points
    zarr.save_array(folder / "t.zarr", points)


def readers(folder: Path) -> dict[str, tuple[str, Callable[[], Any]]]:
    """For each source, what reads it otherwise."""
    import duckdb
    import fastexcel
    import h5py
    import polars as pl
    import pyarrow.dataset
    import pyarrow.feather
    import zarr

    def sqlite() -> Any:
        import adbc_driver_sqlite.dbapi as adbc

        with adbc.connect(str(folder / "t.db")) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT * FROM t")
            return cursor.fetch_arrow_table()

    def hdf5() -> Any:
        with h5py.File(folder / "t.h5") as file:
            return file["points"][:]

    query = f"FROM '{folder / 't.parquet'}'"
    return {
        "t.csv": ("polars", lambda: pl.read_csv(folder / "t.csv").to_numpy()),
        "p.csv.gz": ("polars", lambda: pl.read_csv(folder / "p.csv.gz").to_numpy()),
        "t.jsonl": ("polars", lambda: pl.read_ndjson(folder / "t.jsonl").to_numpy()),
        "t.parquet": ("pyarrow", lambda: pyarrow.dataset.dataset(folder / "t.parquet").to_table()),
        "t.feather": ("pyarrow", lambda: pyarrow.feather.read_table(folder / "t.feather")),
        "t.xlsx": ("fastexcel", lambda: fastexcel.read_excel(folder / "t.xlsx").load_sheet(0)),
        "t.db": ("ADBC", sqlite),
        query: ("duckdb", lambda: duckdb.connect().sql(query).to_arrow_table()),
        "t.npy": ("numpy", lambda: np.load(folder / "t.npy")),
        "t.npz": ("numpy", lambda: np.load(folder / "t.npz")["arr_0"]),
        "t.h5": ("h5py", hdf5),
        "t.zarr": ("zarr", lambda: zarr.open(str(folder / "t.zarr"), mode="r")[:]),
    }


def seconds(run: Callable[[], Any], times: int = 3) -> float:
    """The least of several runs."""
    least = float("inf")
    for _ in range(times):
        begin = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - begin)
    return least


def main() -> None:
    """Makes the files, or measures."""
    from centroids.inputs import table_input_fn

    folder = Path(sys.argv[1])
    if "--write" in sys.argv:
        write(folder)
        return

    def consume(batches: Iterable[Any]) -> None:
        for _ in batches:
            pass

    for source, (name, read) in readers(folder).items():
        num_bytes = NUM_BYTES // 5 if source == "t.xlsx" else NUM_BYTES
        where = source if " " in source else folder / source
        ours = seconds(lambda where=where: consume(table_input_fn(where, 4096)()))  # type: ignore[misc]
        theirs = seconds(read)
        shown = source.partition(" ")[0]
        print(f"| {shown} | {num_bytes / ours / 1e6:.0f} | {num_bytes / theirs / 1e6:.0f} {name} |")


if __name__ == "__main__":
    main()
