"""Damaged and made-up checkpoints of TensorFlow: errors that say what is wrong."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from centroids import KMeansClustering
from centroids.crc32c import crc32c, masked_crc32c
from centroids.estimator import DamagedCheckpointError
from centroids.export import load_tensorflow_checkpoint

DATA = Path(__file__).parent / "data"
MAGIC = bytes.fromhex("57fb808b247547db")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The smallest model, with three variables."""
    target = tmp_path / "model"
    shutil.copytree(DATA / "full_batch", target, ignore=shutil.ignore_patterns("*.npz"))
    return target


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return list(one) == list(other) and all(
        value.dtype == other[name].dtype and np.array_equal(value, other[name])
        for name, value in one.items()
    )


@pytest.mark.parametrize("flip", [1, 0x80, 0xFF])
def test_no_flipped_byte_of_the_index_goes_unnoticed(folder: Path, flip: int) -> None:
    path = folder / "model.ckpt-2.index"
    content = path.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= flip
        path.write_bytes(damaged)
        with pytest.raises(DamagedCheckpointError) as error:
            load_tensorflow_checkpoint(folder)
        assert str(path) in str(error.value)


def test_no_flipped_byte_of_the_data_goes_unnoticed(folder: Path) -> None:
    path = folder / "model.ckpt-2.data-00000-of-00001"
    content = path.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(DamagedCheckpointError, match="differs from its checksum"):
            load_tensorflow_checkpoint(folder)


@pytest.mark.parametrize("name", ["model.ckpt-2.index", "model.ckpt-2.data-00000-of-00001"])
def test_no_cut_goes_unnoticed(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    for length in range(len(content)):
        (folder / name).write_bytes(content[:length])
        with pytest.raises(DamagedCheckpointError):
            load_tensorflow_checkpoint(folder)


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=200))
def test_bytes_of_any_kind_with_an_end_that_fits(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    prefix = tmp_path_factory.mktemp("any") / "model.ckpt-1"
    prefix.with_name("model.ckpt-1.index").write_bytes(content + MAGIC)
    with pytest.raises(DamagedCheckpointError):
        load_tensorflow_checkpoint(prefix)


# What follows has correct checksums: it is made by the small writer below.


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def sealed(contents: bytes, compression: int = 0) -> bytes:
    block = contents + bytes([compression])
    return block + struct.pack("<I", masked_crc32c(block))


def entries(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    out = b""
    for key, value in pairs:
        out += varint(0) + varint(len(key)) + varint(len(value)) + key + value
    return out + struct.pack("<II", 0, 1)


def table(*blocks: bytes) -> bytes:
    places, data = [], b""
    for number, block in enumerate(blocks):
        places.append((bytes([number]), varint(len(data)) + varint(len(block) - 5)))
        data += block
    unused, index = sealed(entries([])), sealed(entries(places))
    end = varint(len(data)) + varint(len(unused) - 5)
    end += varint(len(data) + len(unused)) + varint(len(index) - 5)
    return data + unused + index + end.ljust(40, b"\0") + MAGIC


def entry(
    value: Any,
    offset: int = 0,
    dtype: int = 1,
    dims: Iterable[int] | None = None,
    size: int | None = None,
    shard: int = 0,
) -> bytes:
    """A BundleEntryProto for an array that lies at an offset."""
    data = np.asarray(value).tobytes()
    shape = b"".join(field(2, field(1, dim)) for dim in (np.shape(value) if dims is None else dims))
    return (
        field(1, dtype)
        + field(2, shape)
        + field(3, shard)
        + field(4, offset)
        + field(5, len(data) if size is None else size)
        + varint(6 << 3 | 5)
        + struct.pack("<I", masked_crc32c(data))
    )


HEADER = field(1, 1) + field(3, field(1, 1))
CENTERS = np.arange(6, dtype=np.float32).reshape(2, 3)


def write(folder: Path, index: bytes, data: bytes = b"") -> Path:
    (folder / "made.index").write_bytes(index)
    (folder / "made.data-00000-of-00001").write_bytes(data)
    return folder / "made"


def write_variables(folder: Path, **values: Any) -> Path:
    pairs, data = [(b"", HEADER)], b""
    dtypes = {"float32": 1, "float64": 2, "int64": 9, "bool": 10}
    for name in sorted(values):
        value = np.asarray(values[name])
        pairs.append((name.encode(), entry(value, len(data), dtypes[value.dtype.name])))
        data += value.tobytes()
    return write(folder, table(sealed(entries(pairs))), data)


def test_the_writer_of_these_tests_writes_what_can_be_read(tmp_path: Path) -> None:
    path = write_variables(tmp_path, clusters=CENTERS, global_step=np.int64(3))
    loaded = load_tensorflow_checkpoint(path)
    assert same(loaded, {"clusters": CENTERS, "global_step": np.array(3)})
    several = table(sealed(entries([(b"", HEADER)])), sealed(entries([(b"v", entry(CENTERS))])))
    assert same(
        load_tensorflow_checkpoint(write(tmp_path, several, CENTERS.tobytes())), {"v": CENTERS}
    )


def one(value: bytes, header: bytes = HEADER, compression: int = 0) -> bytes:
    return table(sealed(entries([(b"", header), (b"v", value)]), compression))


HUGE = 1 << 62
WRONG: dict[str, tuple[bytes, str]] = {
    "snappy": (one(entry(CENTERS), compression=1), "compressed \\(Snappy\\)"),
    "unknown compression": (one(entry(CENTERS), compression=9), "compressed \\(method 9\\)"),
    "big-endian": (one(entry(CENTERS), HEADER + field(2, 1)), "big-endian"),
    "newer": (one(entry(CENTERS), field(1, 1) + field(3, field(2, 2))), "reader of version 2"),
    "header is not a message": (one(entry(CENTERS), b"\xff"), "ends within a number"),
    "no header": (table(sealed(entries([(b"v", entry(CENTERS))]))), "no header"),
    "nothing": (table(), "no header"),
    "order": (
        table(sealed(entries([(b"", HEADER), (b"w", entry(1.0)), (b"v", entry(1.0))]))),
        "not in order",
    ),
    "twice the same block": (
        table(sealed(entries([(b"", HEADER)])), sealed(entries([(b"", HEADER)]))),
        "not in order",
    ),
    "shared beginning": (
        table(sealed(varint(3) + varint(0) + varint(0) + struct.pack("<II", 0, 1))),
        "does not fit",
    ),
    "long value": (
        table(sealed(varint(0) + varint(0) + varint(HUGE) + struct.pack("<II", 0, 1))),
        "does not fit",
    ),
    "long key": (table(sealed(entries([(b"", HEADER), (b"v" * 5000, b"")]))), "longer than 4096"),
    "restarts": (table(sealed(struct.pack("<I", 1 << 31))), "shorter than its list"),
    "huge size": (one(entry(CENTERS, size=HUGE, dims=[HUGE // 4])), "should end at byte"),
    "huge offset": (one(entry(CENTERS, offset=HUGE)), "should end at byte"),
    "huge shape": (one(entry(CENTERS, dims=[1 << 40, 1 << 40])), "do not fit its type"),
    "negative": (one(entry(CENTERS, dims=[(1 << 64) - 2, (1 << 64) - 3])), "do not fit its type"),
    "huge but empty": (one(entry(CENTERS[:0], dims=[HUGE, HUGE, 0])), "has the shape"),
    "many dimensions": (one(entry(CENTERS[0, :1], dims=[1] * 100)), "has the shape"),
    "no such file": (one(entry(CENTERS, shard=7)), "which is not there"),
    "a number as shape": (one(field(1, 1) + field(2, 5)), "should be a message"),
    "a message as type": (one(field(1, b"x")), "should be a number"),
    "unknown kind of field": (one(bytes([0x0B])), "unknown kind 3"),
    "needless bytes": (one(bytes([0x08, 0x81, 0x00])), "needless bytes"),
    "number too large": (one(b"\x08" + b"\xff" * 10), "more than 64 bits"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said(tmp_path: Path, what: str) -> None:
    index, message = WRONG[what]
    path = write(tmp_path, index, CENTERS.tobytes())
    with pytest.raises(DamagedCheckpointError, match=message) as error:
        load_tensorflow_checkpoint(path)
    assert str(path) in str(error.value)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=6), st.binary(max_size=40)), max_size=5), st.binary())
@example([(b"", HEADER), (b"v", entry(CENTERS))], b"")
def test_entries_of_any_kind(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[bytes, bytes]], raw: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for index in (
        table(sealed(entries([(b"", HEADER), *sorted(pairs)]))),
        table(sealed(entries(pairs))),
        table(sealed(raw)),
    ):
        try:
            variables = load_tensorflow_checkpoint(write(folder, index, CENTERS.tobytes()))
        except ValueError:
            continue
        assert sum(value.nbytes for value in variables.values()) <= len(pairs) * CENTERS.nbytes


STATE = {"clusters": CENTERS, "global_step": np.int64(3)}
OF_ANOTHER_MODEL: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "no variable 'clusters', only none"),
    "no step": ({"clusters": CENTERS}, "no variable 'global_step', only clusters \\[2, 3\\]"),
    "not chosen": ({**STATE, "initialized": np.False_}, "before all initial centers were chosen"),
    "no rows": ({**STATE, "clusters": CENTERS[:0]}, "should be numbers of shape \\[k, d\\]"),
    "one row": ({**STATE, "clusters": CENTERS[0]}, "should be numbers of shape \\[k, d\\]"),
    "integers": ({**STATE, "clusters": CENTERS.astype(np.int64)}, "and is int64 of shape"),
    "nan": (
        {**STATE, "clusters": np.where(CENTERS > 3, np.nan, CENTERS)},
        "has nan in row 1, column 1",
    ),
    "steps": ({**STATE, "global_step": np.arange(2)}, "global_step should be one number"),
    "counts": ({**STATE, "Variable": np.array([1, -1])}, "should not be negative"),
    "updated": (
        {
            **STATE,
            "clusters_updated": CENTERS.T.copy(),
            "update_in_steps": np.int64(1),
            "Variable": np.array([1, 1]),
        },
        "clusters_updated is float32 of shape \\[3, 2\\]",
    ),
}


@pytest.mark.parametrize("what", OF_ANOTHER_MODEL)
def test_what_is_not_a_kmeans_model(tmp_path: Path, what: str) -> None:
    variables, message = OF_ANOTHER_MODEL[what]
    write_variables(tmp_path, **variables)
    kmeans = KMeansClustering(2, model_dir=str(tmp_path), mini_batch_steps_per_iteration=4)
    with pytest.raises(ValueError, match=message):
        kmeans.cluster_centers()


def test_counts_are_found_beside_variables_of_an_input_function(tmp_path: Path) -> None:
    counts = np.array([5, 7])
    write_variables(
        tmp_path,
        clusters=CENTERS,
        global_step=np.int64(3),
        Variable=np.zeros((9, 3), np.float32),
        Variable_1=np.int64(12),
        Variable_2=counts,
    )
    kmeans = KMeansClustering(2, model_dir=str(tmp_path))
    np.testing.assert_array_equal(kmeans.get_variable_value("cluster_counts"), counts)


def plain_crc32c(data: bytes) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80))
@example(b"")
def test_crc32c_is_that_of_a_loop_over_bytes(data: bytes) -> None:
    assert crc32c(data) == crc32c(memoryview(data)) == plain_crc32c(data)


def test_crc32c_of_every_length() -> None:
    data = np.random.default_rng(0).bytes(123)
    for size in range(123):
        assert crc32c(data[:size]) == plain_crc32c(data[:size])
