"""TFRecord files: what is taken of them, several of them, what is damaged, and TensorFlow's own."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import centroids
from centroids.inputs import open_stream, tfrecord_input_fn
from tests.inputs.tfrecord_writer import (
    example,
    feature,
    field,
    framed,
    write_rows,
    write_tfrecord,
)

ROWS = np.random.default_rng(0).normal(size=(23, 3)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(-(2**62), 2**62, 23)


def records(packed: bool = True, **more: Any) -> list[bytes]:
    """Features in two orders, as the order in a map is any."""
    features = [
        {"x": row, "label": label, "name": b"w%d" % label, **more}
        for row, label in zip(ROWS, LABELS, strict=True)
    ]
    for each in features[::3]:
        each["x"] = each.pop("x")
    return [example(each, packed) for each in features]


def read(files: Any, **arguments: Any) -> NDArray[Any]:
    return np.concatenate(list(tfrecord_input_fn(files, 5, **arguments)()))


@pytest.mark.parametrize("compression", ["", "GZIP", "ZLIB"])
@pytest.mark.parametrize("packed", [True, False])
def test_features_by_name(compression: str, packed: bool, tmp_path: Path) -> None:
    file = write_tfrecord(tmp_path / "a.tfrecord", records(packed), compression)
    points = read(file, columns="x")
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points, ROWS)
    labels = read(file, columns=["label"])
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels[:, 0], LABELS)
    both = read(file, columns=["label", "x"])
    assert both.dtype == np.float64
    np.testing.assert_array_equal(both, np.column_stack([LABELS.astype(float), ROWS]))


def test_the_only_feature_of_numbers_needs_no_name(tmp_path: Path) -> None:
    file = write_tfrecord(
        tmp_path / "a.tfrecord", [example({"x": row, "name": b"w"}) for row in ROWS]
    )
    np.testing.assert_array_equal(read(file), ROWS)
    file = write_tfrecord(tmp_path / "b.tfrecord", records())
    with pytest.raises(ValueError, match=r"'label' \(int64\), 'name' \(bytes\), 'x' \(3 of fl"):
        tfrecord_input_fn(file)
    with pytest.raises(ValueError, match=r"has no column 'y'; it has the columns 'label', 'name'"):
        tfrecord_input_fn(file, columns="y")
    with pytest.raises(TypeError, match=r"the feature 'name' must hold numbers, got bytes"):
        tfrecord_input_fn(file, columns=["x", "name"])


def test_several_files(tmp_path: Path) -> None:
    parts = [slice(0, 7), slice(7, 7), slice(7, 16), slice(16, 23)]
    files = [
        write_rows(tmp_path / f"p-{number}.tfrecord", ROWS[part], ("", "GZIP")[number % 2])
        for number, part in enumerate(parts)
    ]
    for given in (files, str(tmp_path / "p-*.tfrecord"), [tmp_path / "p-[01]*", *files[2:]]):
        np.testing.assert_array_equal(read(given), ROWS)
    batches = list(tfrecord_input_fn(files, 5, 2, shuffle=True)())
    assert [len(batch) for batch in batches] == [5, 5, 5, 5, 3] * 2
    first, second = np.concatenate(batches[:5]), np.concatenate(batches[5:])
    assert not np.array_equal(first, second)
    for epoch in (first, second):
        np.testing.assert_array_equal(np.sort(epoch, axis=0), np.sort(ROWS, axis=0))
    with pytest.raises(FileNotFoundError, match=r"q-\*.tfrecord"):
        tfrecord_input_fn(tmp_path / "q-*.tfrecord")
    with pytest.raises(ValueError, match=r"path must name a file, got an empty list"):
        tfrecord_input_fn([])
    (tmp_path / "void.tfrecord").touch()
    assert list(tfrecord_input_fn(tmp_path / "void.tfrecord", num_epochs=None)()) == []


def test_positions_over_several_files(tmp_path: Path) -> None:
    files = [
        write_rows(tmp_path / f"{i}.tfrecord", ROWS[i::3], ("", "ZLIB", "")[i]) for i in range(3)
    ]
    for shuffle in (False, True):
        input_fn = tfrecord_input_fn(files, 4, 2, shuffle)
        with open_stream(input_fn) as stream:
            whole: list[Any] = list(stream)
        for index, batch in enumerate(whole):
            with open_stream(input_fn, position=batch.position) as stream:
                rest = [each.features for each in stream]
            assert len(rest) == len(whole) - index - 1
            for got, want in zip(rest, whole[index + 1 :], strict=True):
                np.testing.assert_array_equal(got, want.features)


@pytest.mark.parametrize("byte", [0, 8, 12, 40, -1, -5])
def test_any_altered_byte_of_a_record_is_noticed(byte: int, tmp_path: Path) -> None:
    pieces = [framed(example({"x": row})) for row in ROWS]
    damaged = bytearray(pieces[9])
    damaged[byte] ^= 4
    pieces[9] = bytes(damaged)
    (tmp_path / "a.tfrecord").write_bytes(b"".join(pieces))
    source = tfrecord_input_fn(tmp_path / "a.tfrecord", 5, bad_rows="drop")()
    with pytest.raises(ValueError, match=r"a.tfrecord, record 9(:.*| )differs from its checksum"):
        list(source)


def test_files_that_are_cut_off_or_none(tmp_path: Path) -> None:
    file = tmp_path / "a.tfrecord"
    data = b"".join(framed(example({"x": row})) for row in ROWS)
    for cut in (1, 4, 15, 50):
        file.write_bytes(data[:-cut])
        with pytest.raises(ValueError, match=r"a.tfrecord is cut off in record 2[12]"):
            list(tfrecord_input_fn(file, 5)())
    file.write_bytes(gzip.compress(data)[:-20])
    with pytest.raises(ValueError, match=r"a.tfrecord is (damaged|cut off) in record \d+"):
        list(tfrecord_input_fn(file, 5)())
    file.write_bytes(b"1,2,3\n4,5,6\n7,8,9\n")
    with pytest.raises(ValueError, match=r"a.tfrecord is not a TFRecord file, plain or compressed"):
        tfrecord_input_fn(file)
    write_tfrecord(file, [b"\x08"])
    with pytest.raises(ValueError, match=r"a.tfrecord, record 0 is not a tf.train.Example: "):
        tfrecord_input_fn(file)


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (
            example({"x": ROWS[0, :2]}),
            r"the feature 'x' has 2 values, in the first record it",
        ),
        (example({"y": ROWS[0]}), r"it has no feature 'x'"),
        (example({"x": b"abc"}), r"the feature 'x' holds bytes, not numbers"),
        (b"\x0a\xff", "it ends within a number"),
    ],
)
def test_records_that_are_not_rows(
    record: bytes, problem: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    every = [example({"x": row}) for row in ROWS]
    file = write_tfrecord(tmp_path / "a.tfrecord", [*every[:9], record, *every[9:]])
    with pytest.raises(ValueError, match=rf"a.tfrecord, record 9: {problem}"):
        list(tfrecord_input_fn(file, 5)())
    np.testing.assert_array_equal(read(file, bad_rows="drop"), ROWS)
    assert "a.tfrecord, record 9: " in caplog.records[0].getMessage()


def test_memory_is_bounded_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records may hold pictures beside the few numbers that are taken."""
    large = [example({"x": row, "picture": bytes(3000)}) for row in ROWS]
    file = write_tfrecord(tmp_path / "a.tfrecord", large)
    record_file = tfrecord_input_fn.__globals__["RecordFile"]
    monkeypatch.setitem(record_file.read.__globals__, "_ENOUGH_BYTES", 10_000)
    with record_file(file) as opened:
        assert len(opened.read(100)) == 4
    np.testing.assert_array_equal(read(file), ROWS)
    (whole,) = tfrecord_input_fn(file, 100)()
    np.testing.assert_array_equal(whole, ROWS)


def test_damage_of_what_is_not_taken_does_no_harm(tmp_path: Path) -> None:
    """Found by fuzzing: two lists in one feature, of which the last counts."""
    overtaken = field(2, b"\x0a\x88\x00\x00")
    record = field(1, field(1, field(1, b"x") + field(2, overtaken + feature([3, 4, 5]))))
    file = write_tfrecord(tmp_path / "a.tfrecord", [record, record])
    assert read(file).tolist() == [[3, 4, 5]] * 2


def test_training_names_the_record_of_a_bad_value(tmp_path: Path) -> None:
    bad = ROWS.copy()
    bad[17, 1] = np.inf
    files = [write_rows(tmp_path / f"{i}.tfrecord", bad[i * 12 :][:12]) for i in range(2)]
    kmeans = centroids.KMeansClustering(2)
    with pytest.raises(ValueError, match=r"got inf in .*1.tfrecord, record 5, feature 1 of 'x'"):
        kmeans.train(tfrecord_input_fn(files, 4, shuffle=True))


_WRITE = """
import numpy, sys, tensorflow as tf
rows, labels = numpy.load(sys.argv[1] + "/rows.npy"), numpy.load(sys.argv[1] + "/labels.npy")
for compression in ("", "GZIP", "ZLIB"):
    options = tf.io.TFRecordOptions(compression_type=compression)
    name = sys.argv[1] + "/theirs" + compression + ".tfrecord"
    with tf.io.TFRecordWriter(name, options) as writer:
        for row, label in zip(rows, labels):
            feature = {
                "x": tf.train.Feature(float_list=tf.train.FloatList(value=row)),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
                "name": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"word"])),
            }
            features = tf.train.Features(feature=feature)
            writer.write(tf.train.Example(features=features).SerializeToString())
"""


@pytest.mark.slow
def test_files_of_tensorflow(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    np.save(tmp_path / "rows.npy", ROWS)
    np.save(tmp_path / "labels.npy", LABELS)
    subprocess.run([sys.executable, "-c", _WRITE, str(tmp_path)], check=True)
    for compression in ("", "GZIP", "ZLIB"):
        file = tmp_path / f"theirs{compression}.tfrecord"
        np.testing.assert_array_equal(read(file, columns="x"), ROWS)
        np.testing.assert_array_equal(read(file, columns="label")[:, 0], LABELS)
