"""How fast tables are read: the rows of each kind, beside a library's own reader.

    python benchmarks/tables.py FOLDER --write    makes the files
    python benchmarks/tables.py FOLDER            measures, and prints the table of docs/inputs.md
    python benchmarks/tables.py FOLDER t.csv t.h5 measures these alone

MB are those of the points in memory, 8 bytes for each number (4 in TFRecord files, which hold
float32). The server of Postgres is that of the package pgserver, in the same folder. What is not
installed is left out.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (250_000, 16)
NUM_BYTES = 8 * SHAPE[0] * SHAPE[1]
NAMES = [f"x{column}" for column in range(SHAPE[1])]
# The bytes of points that are fewer, or have another type.
OTHER_BYTES = {"t.xlsx": NUM_BYTES // 5, "t.tfrecord": NUM_BYTES // 2}

Reader = tuple[str, Callable[[], Any]]


def write(folder: Path) -> None:
    """Makes the files."""
    import gzip
    import sqlite3

    import duckdb
    import h5py
    import pandas as pd
    import pyarrow.feather
    import zarr
    from sklearn.datasets import dump_svmlight_file

    points = np.random.default_rng(0).normal(size=SHAPE).round(6)
    frame = pd.DataFrame(points, columns=NAMES)
    frame.to_csv(folder / "t.csv", index=False)
    (folder / "p.csv.gz").write_bytes(gzip.compress((folder / "t.csv").read_bytes(), 1))
    frame.to_parquet(folder / "t.parquet")
    pyarrow.feather.write_feather(frame, folder / "t.feather", compression="uncompressed")
    frame.to_json(folder / "t.jsonl", orient="records", lines=True)
    frame[:50_000].to_excel(folder / "t.xlsx", index=False)
    frame.to_sql("t", sqlite3.connect(folder / "t.db"), index=False)
    with duckdb.connect(str(folder / "t.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS FROM frame")
    np.save(folder / "t.npy", points)
    np.savez(folder / "t.npz", points)
    with h5py.File(folder / "t.h5", "w") as file:
        file["points"] = points
    zarr.save_array(folder / "t.zarr", points)
    dump_svmlight_file(points, np.zeros(len(points)), str(folder / "t.svm"), zero_based=False)
    with contextlib.suppress(ImportError):
        _write_records(folder / "t.tfrecord", points.astype(np.float32))
    with contextlib.suppress(ImportError), postgres(folder) as address:
        _write_postgres(address, pyarrow.Table.from_pandas(frame, preserve_index=False))


def _write_records(file: Path, points: Any) -> None:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(file)) as writer:
        for row in points:
            values = tf.train.Feature(float_list=tf.train.FloatList(value=row))
            features = tf.train.Features(feature={"points": values})
            writer.write(tf.train.Example(features=features).SerializeToString())


def _write_postgres(address: str, table: Any) -> None:

    adbc = importlib.import_module("adbc_driver_postgresql.dbapi")

    with adbc.connect(address) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("t", table, mode="replace")
        connection.commit()


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The address of a server whose data are in a folder; it runs meanwhile."""

    server = importlib.import_module("pgserver").get_server(
        folder / "postgres", cleanup_mode="stop"
    )
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def readers(folder: Path, address: str | None) -> dict[str, Reader]:
    """For each source, what reads it otherwise.

    Args:
        folder: Where the files are.
        address: Of the server of Postgres; None: there is none.
    """
    import duckdb
    import fastexcel
    import h5py
    import polars as pl
    import pyarrow.dataset
    import pyarrow.feather
    import zarr
    from sklearn.datasets import load_svmlight_file

    def hdf5() -> Any:
        with h5py.File(folder / "t.h5") as file:
            return file["points"][:]

    def database() -> Any:
        with duckdb.connect(str(folder / "t.duckdb"), read_only=True) as connection:
            return connection.sql("FROM t").to_arrow_table()

    query = f"FROM '{folder / 't.parquet'}'"
    found = {
        "t.csv": ("polars", lambda: pl.read_csv(folder / "t.csv").to_numpy()),
        "p.csv.gz": ("polars", lambda: pl.read_csv(folder / "p.csv.gz").to_numpy()),
        "t.jsonl": ("polars", lambda: pl.read_ndjson(folder / "t.jsonl").to_numpy()),
        "t.parquet": ("pyarrow", lambda: pyarrow.dataset.dataset(folder / "t.parquet").to_table()),
        "t.feather": ("pyarrow", lambda: pyarrow.feather.read_table(folder / "t.feather")),
        "t.xlsx": ("fastexcel", lambda: fastexcel.read_excel(folder / "t.xlsx").load_sheet(0)),
        "t.db": ("ADBC", lambda: _by_adbc("sqlite", str(folder / "t.db"))),
        "t.duckdb": ("DuckDB", database),
        query: ("DuckDB", lambda: duckdb.connect().sql(query).to_arrow_table()),
        "t.npy": ("NumPy", lambda: np.load(folder / "t.npy")),
        "t.npz": ("NumPy", lambda: np.load(folder / "t.npz")["arr_0"]),
        "t.h5": ("h5py", hdf5),
        "t.zarr": ("zarr", lambda: zarr.open(str(folder / "t.zarr"), mode="r")[:]),
        "t.svm": ("scikit-learn", lambda: load_svmlight_file(str(folder / "t.svm"))),
    }
    if (folder / "t.tfrecord").exists():
        found["t.tfrecord"] = ("TensorFlow", lambda: _by_tensorflow(folder / "t.tfrecord"))
    if address is not None:
        found[f"{address}#t"] = ("ADBC", lambda: _by_adbc("postgresql", address))
    return found


def _by_adbc(driver: str, address: str) -> Any:

    adbc = importlib.import_module(f"adbc_driver_{driver}.dbapi")
    with adbc.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM t")
        return cursor.fetch_arrow_table()


def _by_tensorflow(file: Path) -> Any:
    import tensorflow as tf

    kinds = {"points": tf.io.FixedLenFeature([SHAPE[1]], tf.float32)}
    records = tf.data.TFRecordDataset(str(file)).batch(4096)
    rows = records.map(lambda batch: tf.io.parse_example(batch, kinds), tf.data.AUTOTUNE)
    return np.concatenate([each["points"] for each in rows.prefetch(2).as_numpy_iterator()])


def seconds(run: Callable[[], Any], times: int = 3) -> float:
    """The least of several runs."""
    least = float("inf")
    for _ in range(times):
        begin = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - begin)
    return least


def measure(source: str, where: Any, reader: Reader) -> None:
    """Prints the line of a source."""
    from centroids.inputs import table_input_fn

    def consume(batches: Iterable[Any]) -> None:
        for _ in batches:
            pass

    name, read = reader
    num_bytes = OTHER_BYTES.get(source, NUM_BYTES)
    ours = seconds(lambda: consume(table_input_fn(where, 4096)()))
    theirs = seconds(read)
    shown = source.partition(" ")[0].partition(":")[0]
    print(f"| {shown} | {num_bytes / ours / 1e6:,.0f} | {name} {num_bytes / theirs / 1e6:,.0f} |")


def main() -> None:
    """Makes the files, or measures."""
    folder = Path(sys.argv[1])
    if "--write" in sys.argv:
        write(folder)
        return
    with contextlib.ExitStack() as stack:
        address = None
        if (folder / "postgres").exists():
            address = stack.enter_context(postgres(folder))
        for source, reader in readers(folder, address).items():
            if not sys.argv[2:] or any(source.startswith(name) for name in sys.argv[2:]):
                is_text = " " in source or "://" in source
                measure(source, source if is_text else folder / source, reader)


if __name__ == "__main__":
    main()
