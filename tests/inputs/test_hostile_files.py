"""What is not a plain file is refused, and input functions can be sent to another process."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids.inputs import (
    csv_input_fn,
    file_input_fn,
    npy_input_fn,
    numpy_input_fn,
    parquet_input_fn,
)

READERS = [csv_input_fn, npy_input_fn, parquet_input_fn, file_input_fn]


@pytest.mark.timeout(20)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_is_refused_at_once(tmp_path: Path, reader: Callable[..., Any]) -> None:
    pipe = tmp_path / "points.csv"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match=r"got a pipe; write its bytes to a file first.*points\.csv"):
        reader(pipe)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="the system has no such devices")
@pytest.mark.parametrize("reader", READERS)
def test_a_device_is_refused(tmp_path: Path, reader: Callable[..., Any]) -> None:
    link = tmp_path / "points.csv"
    link.symlink_to("/dev/zero")
    with pytest.raises(OSError, match="got a device"):
        reader(link)


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("1,2\n3,4\n")
    (tmp_path / "points.csv").symlink_to("real.csv")
    (batch,) = csv_input_fn(tmp_path / "points.csv", batch_size=2)()
    assert batch.tolist() == [[1, 2], [3, 4]]


def test_a_flipped_bit_in_a_page_of_parquet_is_noticed(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "points.parquet"
    table = pa.table({"x": np.full(64, 0.5)})
    parquet.write_table(
        table, file, write_page_checksum=True, compression="none", use_dictionary=False
    )
    data = bytearray(file.read_bytes())
    data[data.index(np.float64(0.5).tobytes() * 9) + 32] ^= 1
    file.write_bytes(data)
    with pytest.raises((OSError, ValueError), match=r"points\.parquet"):
        list(parquet_input_fn(file, 64)())


def test_input_functions_can_be_pickled(tmp_path: Path) -> None:
    points = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.save(tmp_path / "points.npy", points)
    np.savetxt(tmp_path / "points.csv", points, delimiter=",")
    functions = [
        numpy_input_fn(points, batch_size=3, shuffle=False),
        npy_input_fn(tmp_path / "points.npy", 3),
        csv_input_fn(tmp_path / "points.csv", 3),
    ]
    for function in functions:
        (batch,) = pickle.loads(pickle.dumps(function))()
        assert batch.tolist() == points.tolist()
