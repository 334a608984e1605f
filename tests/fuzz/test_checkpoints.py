"""No bytes in a model folder lead to anything but a whole checkpoint or an error of ours."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centroids import KMeansClustering
from centroids.checkpoints.checkpoint import (
    Checkpoint,
    DamagedCheckpointError,
    checksum,
    deserialize,
    serialize,
)
from centroids.checkpoints.folder import Saver, load_latest
from centroids.estimator import NewerCheckpointError
from tests.crash.compare import content_of
from tests.fuzz.damage import SLOW, damaged

FAST = settings(max_examples=200)
WHOLE = Checkpoint(
    variables={
        "global_step": np.array(3, np.int64),
        "clusters": np.arange(6, dtype=np.float32).reshape(3, 2),
        "clusters_updated": np.arange(6, dtype=np.float32).reshape(3, 2),
        "cluster_counts": np.arange(3),
        "initialized": np.array(True),
        "update_in_steps": np.array(0),
        "previous_loss": np.array(1.5),
    },
    identity={"model": "KMeansClustering", "distance_metric": "cosine"},
    params={"num_clusters": 3},
    input_position={"source": "numpy", "epoch": 1, "offset": 7},
    random_state=np.random.default_rng(0).bit_generator.state,
)
BYTES = serialize(WHOLE)
PATH = "folder/model.ckpt-3.safetensors"


def check(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            deserialize(data, PATH)
        except DamagedCheckpointError as error:
            assert PATH in str(error)
            assert data != BYTES
        else:
            assert content_of(data) == content_of(BYTES)


@FAST
@given(data=damaged(st.just(BYTES)) | st.binary(max_size=200))
def test_damaged_files(data: bytes) -> None:
    check(data)


@pytest.mark.slow
@settings(parent=FAST, max_examples=SLOW)
@given(data=damaged(st.just(BYTES), most=10))
def test_many_damaged_files(data: bytes) -> None:
    check(data)


# Files whose checksum is right, but whose parts are odd.

ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "PCG64", "KMeansClustering", "F32", "I64", "Q7", 10**15, 2**63]),
    lambda part: (
        st.lists(part, max_size=3)
        | st.dictionaries(st.sampled_from(["state", "shape", "dtype", "x"]), part, max_size=3)
    ),
    max_leaves=6,
)
DTYPES = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I64", "I8", "U64", "BOOL", "C64", "X")
METADATA_KEYS = (
    "format_version global_step identity params input_position finished random_state same_as"
)


def sealed(metadata: dict[str, Any], tensors: dict[str, Any] | None = None, data: Any = b"") -> Any:
    """A safetensors file of any header, with the checksum that belongs to it."""
    parts = split(BYTES)
    text = json.dumps(metadata, sort_keys=True)
    text = f'{{"sha256": "{"0" * 64}", {text[1:]}'
    header = {"__metadata__": {"centroids": text}, **(tensors or parts[1])}
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    whole = len(encoded).to_bytes(8, "little") + encoded + (data or parts[2])
    return whole.replace(b"0" * 64, checksum(whole).encode(), 1)


def split(data: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    size = int.from_bytes(data[:8], "little")
    tensors = json.loads(data[8 : 8 + size])
    metadata = json.loads(tensors.pop("__metadata__")["centroids"])
    del metadata["sha256"]
    return metadata, tensors, data[8 + size :]


def test_files_are_sealed_as_ours_are() -> None:
    assert serialize(deserialize(sealed(split(BYTES)[0]), PATH)) == BYTES


@FAST
@given(key=st.sampled_from(METADATA_KEYS.split()), value=ODD, missing=st.booleans())
def test_odd_metadata(key: str, value: Any, missing: bool, tmp_path: Path) -> None:
    metadata = split(BYTES)[0]
    metadata[key] = value
    if missing:
        del metadata[key]
    use(tmp_path, sealed(metadata))


@FAST
@given(
    name=st.sampled_from(["global_step", "clusters", "initialized", "other"]),
    dtype=st.sampled_from(DTYPES),
    shape=st.lists(st.integers(-1, 5) | st.sampled_from([10**15, 2**63]), max_size=3),
    offsets=st.lists(st.integers(-1, 60) | st.sampled_from([10**15]), min_size=1, max_size=3),
    bits=st.sampled_from([b"\0", b"\xff", b"\x7f\xf0"]),
)
def test_odd_tensors(
    name: str, dtype: str, shape: list[int], offsets: list[int], bits: bytes, tmp_path: Path
) -> None:
    metadata, tensors, data = split(BYTES)
    tensors[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    use(tmp_path, sealed(metadata, tensors, bits * len(data)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 2.5, [1], "3"])
def test_odd_global_steps(value: Any, tmp_path: Path) -> None:
    variables = {**WHOLE.variables, "global_step": np.array(3)}
    data = serialize(Checkpoint(variables=variables, identity=WHOLE.identity))
    metadata, tensors, values = split(data)
    array = np.asarray(value, np.float64)
    tensors["global_step"] |= {"dtype": "F64", "shape": list(array.shape)}
    start, stop = tensors["global_step"]["data_offsets"]
    values = values[:start] + array.tobytes() + values[stop:]
    use(tmp_path, sealed(metadata, tensors, values))


def test_metadata_of_many_brackets(tmp_path: Path) -> None:
    for text in ("[" * 100_000, '{"a":' * 50_000, '{"sha256": 3}', "[]", "3", "null", '""'):
        header = json.dumps({"__metadata__": {"centroids": text}}).encode()
        use(tmp_path, len(header).to_bytes(8, "little") + header)
    for size in (2**63, 10**15, 2**64 - 1, 10**8 + 1):
        use(tmp_path, size.to_bytes(8, "little") + b"{}")


@FAST
@given(key=st.sampled_from(["bit_generator", "state", "has_uint32", "uinteger"]), value=ODD)
def test_odd_random_states(key: str, value: Any, tmp_path: Path) -> None:
    metadata = split(BYTES)[0]
    metadata["random_state"][key] = value
    use(tmp_path, sealed(metadata))


def test_the_whole_one_is_used(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt-3.safetensors").write_bytes(BYTES)
    model = KMeansClustering(3, str(tmp_path), distance_metric="cosine")
    model.train(lambda: iter([np.ones((4, 2), np.float32)]), restart_input=True)
    assert model.get_variable_value("global_step") == 4


def use(folder: Path, data: bytes) -> None:
    """Reads a checkpoint as train and predict do; what they say names the file."""
    empty(folder)
    (folder / "model.ckpt-3.safetensors").write_bytes(data)
    points = np.zeros((4, 2), np.float32)
    model = KMeansClustering(3, str(folder), distance_metric="cosine")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            checkpoint = load_latest(str(folder))
        except (DamagedCheckpointError, NewerCheckpointError) as error:
            assert "model.ckpt-3" in str(error)
            return
        assert checkpoint is not None and checkpoint.global_step >= 0
        for call in (
            lambda: list(model.predict(lambda: iter([points]))),
            lambda: model.train(lambda: iter([points]), steps=1, restart_input=True),
        ):
            try:
                call()
            except ValueError as error:
                assert "model.ckpt-3" in str(error) or "trained model" in str(error), str(error)


def empty(folder: Path) -> None:
    shutil.rmtree(folder)  # of the example before
    folder.mkdir()


# The list of the checkpoints


def checkpoint_of(step: int) -> Checkpoint:
    return Checkpoint(variables={**WHOLE.variables, "global_step": np.array(step)})


FILES = {f"model.ckpt-{step}.safetensors": serialize(checkpoint_of(step)) for step in (1, 2, 3)}
BY_HAND = b'model_checkpoint_path: "model.ckpt-3.safetensors"\n'
LISTED = BY_HAND + b"".join(
    f'all_model_checkpoint_paths: "{name}"  # time=1700000000.123\n'.encode() for name in FILES
)
LINES = st.sampled_from(
    [
        b'all_model_checkpoint_paths: "precious.txt"\n',
        b'all_model_checkpoint_paths: ".."\n',
        b'all_model_checkpoint_paths: "' + b"x" * 300 + b'-1.safetensors"\n',
        b'all_model_checkpoint_paths: "model.ckpt-2.safetensors"  # time=\n',
        b'all_model_checkpoint_paths: "model.ckpt-1.safetensors"  # time=1e999\n',
        b'all_model_checkpoint_paths: "model.ckpt-' + b"9" * 30 + b'.safetensors"\n',
        b"\xff\xfe\x85\x0c\0",
    ]
)


@FAST
@given(text=damaged(st.just(LISTED)) | st.lists(LINES), sealed=st.booleans())
def test_damaged_lists(text: bytes | list[bytes], sealed: bool, tmp_path: Path) -> None:
    if isinstance(text, list):
        text = BY_HAND + b"".join(text)
    if sealed:  # by the checksum of what it lists now
        text = text.replace(b"\n", b"  # list sha256=" + b"0" * 64 + b"\n", 1)
        text = text.replace(b"0" * 64, hashlib.sha256(text).hexdigest().encode(), 1)
    check_list(text, tmp_path)


def check_list(text: bytes, folder: Path) -> None:
    empty(folder)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    (folder / "precious.txt").write_text("not ours")
    (folder / "checkpoint").write_bytes(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = load_latest(str(folder))
            assert found is not None and found.global_step in (1, 2, 3)
        except DamagedCheckpointError as error:
            assert str(folder) in str(error)
        Saver(str(folder), "model.ckpt", keep_checkpoint_max=1).save(checkpoint_of(4))
        latest = load_latest(str(folder))
    assert latest is not None and latest.global_step == 4
    assert (folder / "precious.txt").exists()
