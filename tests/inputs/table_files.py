"""Tables of all kinds, written by the libraries that are made for them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

NUM_ROWS = 23
NAMES = ["a", "b", "c"]
POINTS = np.random.default_rng(3).normal(size=(NUM_ROWS, 3)).round(3)


def frame() -> pd.DataFrame:
    return pd.DataFrame(POINTS, columns=NAMES)


def arrow() -> Any:
    return pa.Table.from_pandas(frame(), preserve_index=False)


def vectors() -> Any:
    lists = pa.FixedSizeListArray.from_arrays(pa.array(POINTS[:, 1:].ravel()), 2)
    return pa.table({"a": POINTS[:, 0], "v": lists})


def packed(pack: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda file: (file.write_bytes(pack(frame().to_csv(index=False).encode())), None)[1]


def encoded(encoding: str, **arguments: Any) -> Callable[[Path], None]:
    return lambda file: frame().to_csv(file, index=False, encoding=encoding, **arguments)


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data))


def json_lines(file: Path) -> None:
    frame().to_json(file, orient="records", lines=True)


def parquet_folder(folder: Path) -> None:
    folder.mkdir()
    for start in range(0, NUM_ROWS, 7):
        pq.write_table(arrow().slice(start, 7), folder / f"part-{start:02}.parquet")
    (folder / "_SUCCESS").touch()


def csv_folder(folder: Path) -> None:
    folder.mkdir()
    for start in range(0, NUM_ROWS, 7):
        frame()[start : start + 7].to_csv(folder / f"part-{start:02}.csv", index=False)


def npy_folder(folder: Path) -> None:
    folder.mkdir()
    for start in range(0, NUM_ROWS, 7):
        np.save(folder / f"part-{start:02}.npy", POINTS[start : start + 7])


def hive(folder: Path) -> None:
    table = arrow().append_column("year", pa.array(np.sort(np.arange(NUM_ROWS) % 3 + 2020)))
    pq.write_to_dataset(table, folder, partition_cols=["year"])


def feather(file: Path) -> None:
    pyarrow.feather.write_feather(arrow(), file, compression="zstd", chunksize=5)


def arrow_stream(file: Path) -> None:
    with pa.ipc.new_stream(file, arrow().schema) as writer:
        writer.write_table(arrow(), max_chunksize=5)


def excel(file: Path) -> None:
    frame().to_excel(file, index=False, sheet_name="points")


def committed(file: Path) -> None:
    """A workbook that is in data/: xlwt wrote the .xls one, odfpy the .ods one."""
    shutil.copy(Path(__file__).parent / "data" / f"points{file.suffix}", file)


def sqlite(file: Path) -> None:
    connection = sqlite3.connect(file)
    frame().to_sql("points", connection, index=False)
    connection.close()


def duckdb_file(file: Path) -> None:
    import duckdb

    with duckdb.connect(file) as connection:
        source = frame()  # noqa: F841
        connection.execute("CREATE TABLE points AS FROM source")


def npz(file: Path) -> None:
    np.savez(file, points=POINTS, x=POINTS[:, 0])


def npz_compressed(file: Path) -> None:
    np.savez_compressed(file, **{name: POINTS[:, i] for i, name in enumerate(NAMES)})


def hdf5(file: Path) -> None:
    import h5py

    with h5py.File(file, "w") as opened:
        opened.create_dataset("group/points", data=POINTS, chunks=(4, 3), compression="gzip")
        opened.create_dataset("names", data=["x"] * 4)


def zarr_array(folder: Path) -> None:
    import zarr

    zarr.save_array(folder, POINTS)


def zarr_group(folder: Path) -> None:
    import zarr

    group = zarr.open_group(folder, mode="w")
    for number, name in enumerate(NAMES):
        array = group.create_array(name, shape=(NUM_ROWS,), chunks=(6,), dtype="f8")
        array[:] = POINTS[:, number]
