"""No bytes in a .npy file lead to a crash, a large allocation, a pickle or another's exception."""

from __future__ import annotations

import io
import os
import pickle
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centroids.inputs import npy_input_fn
from tests.fuzz.damage import SLOW, damaged, read_or_refuse

FAST = settings(max_examples=300)


def npy(array: Any, version: tuple[int, int] | None = None) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version)
    return buffer.getvalue()


def npy_of_header(header: str | bytes, data: bytes = b"", version: int = 1) -> bytes:
    text = header.encode() if isinstance(header, str) else header
    size = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + data


WHOLE = st.sampled_from(
    [
        npy(np.arange(12, dtype=np.float32).reshape(6, 2)),
        npy(np.arange(12, dtype=">i2").reshape(4, 3)),
        npy(np.asfortranarray(np.arange(12.0).reshape(6, 2))),
        npy(np.arange(6.0), (2, 0)),
        npy(np.arange(6.0), (3, 0)),
        npy(np.zeros((0, 4))),
    ]
)


def check(data: bytes, file: Path) -> None:
    file.write_bytes(data)
    for shuffle in (False, True):
        got = read_or_refuse(lambda given=shuffle: _read(file, given), file)
        if got is not None and not shuffle:
            data = data[:6] + min(data[6:7], b"\2") + data[7:]  # NumPy reads version 3 strictly
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of headers that Python 2 wrote
                expected = np.load(io.BytesIO(data), allow_pickle=False)
            assert all(batch.dtype == expected.dtype for batch in got)
            np.testing.assert_array_equal(np.concatenate([expected[:0], *got]), expected)


def _read(file: Path, shuffle: bool) -> list[Any]:
    return list(npy_input_fn(file, batch_size=5, shuffle=shuffle)())


@FAST
@given(data=damaged(WHOLE))
def test_damaged_files(data: bytes, tmp_path: Path) -> None:
    check(data, tmp_path / "fuzzed.npy")


@pytest.mark.slow
@settings(parent=FAST, max_examples=SLOW)
@given(data=damaged(WHOLE, most=10))
def test_many_damaged_files(data: bytes, tmp_path: Path) -> None:
    check(data, tmp_path / "fuzzed.npy")


# Headers that are well-formed, but say odd things.

SIZES = st.integers(-3, 9) | st.sampled_from(
    [10**9, 10**15, 2**31, 2**63 - 1, 2**63, 2**64, 10**40]
)
_NAMES = (
    "<f4 >f8 <f2 <f16 |i1 |b1 <c8 |O O8 |S5 <U3 |V8 <M8[s] <m8 f4 float64 <f3 <i99999999999 "
    "<f4,<f4 (2,3)f4 2f4 , f, 3 <i0 ?"
)
DESCRIPTIONS = st.sampled_from(
    [
        *_NAMES.split(),
        "",
        [("x", "<f4")],
        [("x", [("y", "<f4", (2,))]), ("z", "|O")],
        ("<f4", (2,)),
        ("<f4", (-1,)),
        [],
        {},
        None,
        7,
        ["<f4"],
        {"names": ["a"], "formats": ["<f4"], "offsets": [10**9]},
        {"names": ["a"], "formats": ["<f4"], "itemsize": 10**12},
    ]
)
HEADERS = st.fixed_dictionaries(
    {"descr": DESCRIPTIONS, "fortran_order": st.booleans(), "shape": st.lists(SIZES).map(tuple)}
)


@FAST
@given(header=HEADERS, data=st.binary(max_size=200), version=st.integers(1, 3))
def test_odd_headers(header: dict[str, Any], data: bytes, version: int, tmp_path: Path) -> None:
    check(npy_of_header(repr(header) + "\n", data, version), tmp_path / "fuzzed.npy")


def test_a_promise_of_many_rows_allocates_nothing(tmp_path: Path) -> None:
    file = tmp_path / "fuzzed.npy"
    for shape in [(10**15, 4), (10**15,), (2**62, 2**62), (0, 10**15), (10**15, 0)]:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        file.write_bytes(npy_of_header(repr(header), b"1234" * 4))
        tracemalloc.start()
        read_or_refuse(lambda: npy_input_fn(file)(), file)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1 << 20
    file.write_bytes(b"\x93NUMPY\x02\x00" + b"\xff" * 4 + b"{" * 1000)  # a header of 4 GiB
    with pytest.raises(ValueError, match=r"fuzzed.npy has a damaged header"):
        npy_input_fn(file)


@pytest.mark.parametrize(
    "header",
    [
        "(" * 9000,
        "-" * 9000 + "1",
        "{'descr': " + "[" * 4000 + "]" * 4000 + ", 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1L, 2L)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ('\\d',)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), 'x': 3}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [1, 2]}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': " + repr((1,) * 65) + "}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 5000 + ",)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, \xff)}",
        b"\0" * 100,
        "'''",
        "",
        "  x\n y",
        "f'{1}'",
        "print('called')",
    ],
)
@pytest.mark.parametrize("version", [1, 2, 3, 4, 255])
def test_headers_that_parsers_stumble_over(
    header: str | bytes, version: int, tmp_path: Path
) -> None:
    check(npy_of_header(header, b"12345678", version), tmp_path / "fuzzed.npy")


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {tmp_path}/harmed",)

    header = {"descr": "|O", "fortran_order": False, "shape": (1,)}
    file = tmp_path / "fuzzed.npy"
    for data in (npy_of_header(repr(header), pickle.dumps([Harm()])), pickle.dumps(Harm())):
        file.write_bytes(data)
        with pytest.raises((TypeError, ValueError), match=r"fuzzed.npy"):
            npy_input_fn(file)
    assert not (tmp_path / "harmed").exists()
