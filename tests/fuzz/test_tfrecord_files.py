"""No bytes in a TFRecord file lead to wrong numbers, a hang, or another's exception."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from centroids.inputs import tfrecord_input_fn
from tests.fuzz.damage import SLOW, damaged, read_or_refuse
from tests.inputs.tfrecord_writer import example, feature, field, framed, write_tfrecord

FAST = settings(max_examples=200)
ROWS = [[1.0, 2.0], [-3.5, 4.0], [0.0, 1e30]]
EXAMPLES = [
    example({"x": row, "label": 3 - number, "name": b"word"}) for number, row in enumerate(ROWS)
]
FILE = b"".join(map(framed, EXAMPLES))
WHOLE_FILES = st.sampled_from(
    [FILE, zlib.compress(FILE), zlib.compress(FILE, wbits=31), framed(example({"x": 7}))]
)
WHOLE_RECORDS = st.sampled_from(
    [
        EXAMPLES[1],
        example({"x": ROWS[1]}, packed=False),
        example({"x": [5, 6], "y": ROWS[0]}),
        field(1, field(1, field(1, b"x") + field(2, feature([1.0])) + field(2, feature([2.0])))),
        field(1, field(1, field(1, b"x") + field(2, feature([1.0, 2.0]) + feature([3, 4])))),
    ]
)


def _example_class() -> Any:
    """tf.train.Example as TensorFlow describes it."""
    file = descriptor_pb2.FileDescriptorProto(
        name="centroids_tests/example.proto", package="centroids_tests", syntax="proto3"
    )
    for name, kind in (("BytesList", 12), ("FloatList", 2), ("Int64List", 3)):
        file.message_type.add(name=name).field.add(name="value", number=1, type=kind, label=3)
    one = file.message_type.add(name="Feature")
    one.oneof_decl.add(name="kind")
    for number, name in enumerate(("BytesList", "FloatList", "Int64List"), 1):
        of_type = f".centroids_tests.{name}"
        one.field.add(
            name=name.lower(), number=number, type=11, label=1, type_name=of_type, oneof_index=0
        )
    several = file.message_type.add(name="Features")
    entry = several.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=9, label=1)
    entry.field.add(name="value", number=2, type=11, label=1, type_name=".centroids_tests.Feature")
    of_entry = ".centroids_tests.Features.FeatureEntry"
    several.field.add(name="feature", number=1, type=11, label=3, type_name=of_entry)
    message = file.message_type.add(name="Example")
    of_features = ".centroids_tests.Features"
    message.field.add(name="features", number=1, type=11, label=1, type_name=of_features)
    pool = descriptor_pool.Default()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("centroids_tests.Example"))


Example = _example_class()


def check_file(data: bytes, file: Path) -> None:
    file.write_bytes(data)
    for arguments in ({"columns": "x"}, {"columns": "x", "bad_rows": "drop"}, {}):
        batches = read_or_refuse(
            lambda given=arguments: list(tfrecord_input_fn(file, batch_size=2, **given)()), file
        )
        if batches and len(data) > 100:
            # Checksums leave no other rows than those that were written, in their order.
            every = iter(ROWS)
            wanted = [[np.float32(value) for value in row] for row in every]
            assert all(row in wanted for row in np.concatenate(batches).tolist())


def check_record(data: bytes, file: Path) -> None:
    write_tfrecord(file, [EXAMPLES[0], data, EXAMPLES[1]])
    batches = read_or_refuse(lambda: list(tfrecord_input_fn(file, columns="x")()), file)
    if batches is None:
        return
    try:
        parsed = Example.FromString(data).features.feature["x"]
    except (DecodeError, UnicodeDecodeError):
        return  # in a part that is not taken
    values = getattr(parsed, parsed.WhichOneof("kind") or "floatlist").value
    np.testing.assert_array_equal(np.concatenate(batches)[1], np.array(values, np.float32))


@FAST
@given(data=damaged(WHOLE_FILES))
def test_damaged_files(data: bytes, tmp_path: Path) -> None:
    check_file(data, tmp_path / "fuzzed.tfrecord")


@FAST
@given(data=damaged(WHOLE_RECORDS) | WHOLE_RECORDS)
def test_damaged_records(data: bytes, tmp_path: Path) -> None:
    check_record(data, tmp_path / "fuzzed.tfrecord")


@pytest.mark.slow
@settings(parent=FAST, max_examples=SLOW // 4)
@given(file=damaged(WHOLE_FILES, most=10), record=damaged(WHOLE_RECORDS, most=3))
def test_many_damaged_files(file: bytes, record: bytes, tmp_path: Path) -> None:
    check_file(file, tmp_path / "fuzzed.tfrecord")
    check_record(record, tmp_path / "fuzzed.tfrecord")


@pytest.mark.parametrize("length", [1 << 31, (1 << 64) - 1])
def test_a_length_allocates_nothing(length: int, tmp_path: Path) -> None:
    from tests.inputs.tfrecord_writer import masked_checksum

    header = struct.pack("<Q", length)
    file = tmp_path / "fuzzed.tfrecord"
    for data in (header + masked_checksum(header), zlib.compress(header + masked_checksum(header))):
        file.write_bytes(data)
        with pytest.raises(ValueError, match=r"fuzzed.tfrecord, record 0 has \d+ bytes; a record"):
            tfrecord_input_fn(file)


def test_a_record_that_is_cut_off_allocates_nothing(tmp_path: Path) -> None:
    buffer = io.BytesIO(framed(b"x" * 1000))
    (tmp_path / "fuzzed.tfrecord").write_bytes(buffer.read(500))
    with pytest.raises(ValueError, match=r"fuzzed.tfrecord is cut off in record 0"):
        tfrecord_input_fn(tmp_path / "fuzzed.tfrecord")
