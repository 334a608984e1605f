"""A table is read in bounded memory, whatever it is written as: far below its own size."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/status says what a process had"),
]

NAMES = [f"c{column}" for column in range(16)]
BLOCK = np.random.default_rng(0).normal(size=(25_000, 16))
MIB = 1 << 20

READER = """
import sys
from centroids.inputs import table_input_fn
rows = sum(batch.shape[0] for batch in table_input_fn(sys.argv[1], 4096)())
(most,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(rows, most)
"""

Write = Callable[[Path, int], None]


def as_text(text: bytes, head: bytes = b"", open_file: Any = open) -> Write:
    def write(file: Path, times: int) -> None:
        with open_file(file, "wb") as handle:
            handle.write(head)
            for _ in range(times):
                handle.write(text)

    return write


def lines() -> tuple[bytes, bytes]:
    out = io.BytesIO()
    np.savetxt(out, BLOCK, delimiter=",", fmt="%.17g")
    return out.getvalue(), ",".join(NAMES).encode() + b"\n"


def json_lines() -> bytes:
    pandas = pytest.importorskip("pandas")
    return bytes(
        pandas.DataFrame(BLOCK, columns=NAMES).to_json(orient="records", lines=True), "ascii"
    )


def svmlight() -> bytes:
    datasets = pytest.importorskip("sklearn.datasets")
    out = io.BytesIO()
    datasets.dump_svmlight_file(BLOCK, np.zeros(len(BLOCK)), out)
    return out.getvalue()


def table() -> Any:
    arrow = pytest.importorskip("pyarrow")
    return arrow.table(dict(zip(NAMES, BLOCK.T.copy(), strict=True)))


def parquet(file: Path, times: int) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    with pq.ParquetWriter(file, table().schema) as writer:
        for _ in range(times):
            writer.write_table(table())


def arrow_file(file: Path, times: int, *, stream: bool) -> None:
    ipc = pytest.importorskip("pyarrow.ipc")
    with (ipc.new_stream if stream else ipc.new_file)(file, table().schema) as writer:
        for _ in range(times):
            writer.write_table(table())


def sqlite(file: Path, times: int) -> None:
    rows = BLOCK.tolist()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute(f"CREATE TABLE points ({', '.join(f'{name} REAL' for name in NAMES)})")
        for _ in range(times):
            connection.executemany(f"INSERT INTO points VALUES ({', '.join('?' * 16)})", rows)
        connection.commit()


def duckdb_file(file: Path, times: int) -> None:
    duckdb = pytest.importorskip("duckdb")
    block = table()
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE points AS FROM block")
        for _ in range(times - 1):
            connection.execute("INSERT INTO points FROM block")
    assert block.num_rows == len(BLOCK)


def npz(file: Path, times: int, *, compression: int) -> None:
    with zipfile.ZipFile(file, "w", compression, compresslevel=1) as archive:
        member = zipfile.ZipInfo("points.npy")
        member.compress_type = compression
        with archive.open(member, "w", force_zip64=True) as handle:
            write_npy(handle, times)


def write_npy(handle: Any, times: int) -> None:
    shape = (times * len(BLOCK), 16)
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(handle, header)
    for _ in range(times):
        handle.write(BLOCK.tobytes())


def npy(file: Path, times: int) -> None:
    with file.open("wb") as handle:
        write_npy(handle, times)


def hdf5(file: Path, times: int) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(file, "w") as opened:
        shape = (times * len(BLOCK), 16)
        points = opened.create_dataset("points", shape, "f8", chunks=(5000, 16))
        for turn in range(times):
            points[turn * len(BLOCK) : (turn + 1) * len(BLOCK)] = BLOCK


def zarr_array(folder: Path, times: int) -> None:
    zarr = pytest.importorskip("zarr")
    shape = (times * len(BLOCK), 16)
    points = zarr.create_array(folder, shape=shape, chunks=(len(BLOCK), 16), dtype="f8")
    for turn in range(times):
        points[turn * len(BLOCK) : (turn + 1) * len(BLOCK)] = BLOCK


# Who writes it, the package that reads it, MB that it may take beside what a small one does.
KINDS: dict[str, tuple[Callable[[], Write], str, int]] = {
    "t.csv": (lambda: as_text(*lines()), "numpy", 40),
    "t.csv.gz": (
        lambda: as_text(*lines(), functools.partial(gzip.open, compresslevel=1)),
        "numpy",
        40,
    ),
    "t.jsonl": (lambda: as_text(json_lines()), "duckdb", 80),
    "t.parquet": (lambda: parquet, "pyarrow", 90),
    "t.arrow": (lambda: functools.partial(arrow_file, stream=False), "pyarrow", 60),
    "t.arrows": (lambda: functools.partial(arrow_file, stream=True), "pyarrow", 60),
    "t.db": (lambda: sqlite, "adbc_driver_sqlite", 40),
    "t.duckdb": (lambda: duckdb_file, "duckdb", 160),
    "t.npz": (lambda: functools.partial(npz, compression=zipfile.ZIP_STORED), "pyarrow", 60),
    "packed.npz": (lambda: functools.partial(npz, compression=zipfile.ZIP_DEFLATED), "pyarrow", 60),
    "t.npy": (lambda: npy, "numpy", 40),
    "t.h5": (lambda: hdf5, "h5py", 60),
    "t.zarr": (lambda: zarr_array, "zarr", 90),
    "t.svm": (lambda: as_text(svmlight()), "sklearn", 60),
}
TEXT = ("t.csv", "t.csv.gz", "t.jsonl", "t.svm")


@pytest.mark.parametrize("kind", KINDS)
def test_the_memory_does_not_grow_with_the_table(kind: str, tmp_path: Path) -> None:
    make, package, most = KINDS[kind]
    pytest.importorskip(package)
    write = make()
    had: list[int] = []
    times = 80 if kind not in TEXT else 40  # 256 MB of points; twice that is a file of text
    for number in (1, times):
        folder = tmp_path / str(number)
        folder.mkdir()
        write(folder / kind, number)
        rows, peak = read_apart(folder / kind)
        assert rows == number * len(BLOCK)
        had.append(peak)
    assert had[1] - had[0] < most * MIB < times * BLOCK.nbytes * 2 // 3


def read_apart(file: Path) -> tuple[int, int]:
    """The rows of a table, and the most memory that a process had which read it."""
    done = subprocess.run(
        [sys.executable, "-c", READER, file], capture_output=True, text=True, check=True
    )
    rows, kib = map(int, done.stdout.split())
    return rows, kib * 1024


@pytest.fixture(autouse=True)
def _leaves_no_large_files(tmp_path: Path) -> Iterator[None]:
    yield
    for file in tmp_path.rglob("*"):
        if file.is_file():
            file.unlink()
