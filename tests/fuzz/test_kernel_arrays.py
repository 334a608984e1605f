"""Any array handed to the kernels gives the right labels or an error of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids import kernels
from centroids.errors import Worded
from tests.fuzz.damage import ALLOWED

NUMBERS = ["f2", "f4", "f8", "g", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
NO_NUMBERS = ["c8", "c16", "S3", "U2", "O", "V8", "M8[s]", "m8[s]", "f4,i4"]


class Subclass(np.ndarray[Any, Any]):
    """An array that answers to indexing in its own way."""

    def __getitem__(self, key: Any) -> Any:
        raise AssertionError("the kernels take arrays as they lie in memory")


def misaligned(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.hasobject:
        return array
    raw = np.zeros(array.nbytes + 1, np.uint8)
    view = raw[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def spread(array: NDArray[Any]) -> NDArray[Any]:
    """Every second row and third column of a larger one."""
    large = np.zeros((2 * array.shape[0], *(3 * size for size in array.shape[1:])), array.dtype)
    view = large[(slice(None, None, 2), *(slice(None, None, 3),) * (array.ndim - 1))]
    view[...] = array
    return view


def within_records(array: NDArray[Any]) -> NDArray[Any]:
    """The field of a packed structured array: its strides are not a multiple of its items."""
    records = np.zeros(array.shape, [("before", "u1"), ("value", array.dtype)])
    records["value"] = array
    return records["value"]


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS: dict[str, Callable[[NDArray[Any]], Any]] = {
    "as it is": lambda array: array,
    "by column": np.asfortranarray,
    "backwards": lambda array: array[::-1].copy()[::-1],
    "columns backwards": lambda array: array[..., ::-1].copy()[..., ::-1],
    "spread": spread,
    "misaligned": misaligned,
    "within records": within_records,
    "read-only": read_only,
    "foreign byte order": lambda array: array.astype(array.dtype.newbyteorder()),
    "subclass": lambda array: array.view(Subclass),
    "masked": np.ma.masked_array,
    "one row for all": lambda array: np.broadcast_to(array[:1], array.shape),
    "matrix": lambda array: array.view(np.matrix) if array.ndim == 2 else array,
}


@settings(max_examples=800)
@given(
    dtype=st.sampled_from([*NUMBERS, *NO_NUMBERS]),
    shape=st.lists(st.integers(0, 9), max_size=3).map(tuple),
    layout=st.sampled_from(sorted(LAYOUTS)),
    num_centers=st.integers(0, 4),
    center_dtype=st.sampled_from(["f4", "f8", "f2", "i4"]),
    center_layout=st.sampled_from(sorted(LAYOUTS)),
    cosine=st.booleans(),
    huge=st.booleans(),
    seed=st.integers(0, 9),
)
def test_any_array(
    dtype: str,
    shape: tuple[int, ...],
    layout: str,
    num_centers: int,
    center_dtype: str,
    center_layout: str,
    cosine: bool,
    huge: bool,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    plain = random.integers(0, 2 if dtype == "?" else 100, shape).astype(dtype)
    if huge and plain.dtype.kind in "iu" and plain.size:
        plain.flat[0], plain.flat[-1] = np.iinfo(plain.dtype).max, np.iinfo(plain.dtype).min
    width = shape[1] if len(shape) > 1 else 1
    centers = random.integers(0, 100, (num_centers, width)).astype(center_dtype)
    if plain.ndim and layout == "one row for all":
        plain = LAYOUTS[layout](plain).copy()
    if center_layout == "one row for all":
        centers = LAYOUTS[center_layout](centers).copy()
    points = LAYOUTS[layout](plain) if plain.ndim else plain
    given_centers = LAYOUTS[center_layout](centers)
    try:
        result = kernels.assign(points, given_centers, cosine=cosine, update=True)
        distances = kernels.all_distances(points, given_centers, cosine=cosine)
    except Exception as error:
        assert type(error) in (*ALLOWED, kernels.NonFiniteError), error
        # The squared distance between the largest and the least integers may exceed float32.
        too_large = huge and isinstance(error, kernels.NonFiniteError)
        no_matrix = plain.ndim not in (1, 2) or width == 0 or num_centers == 0
        assert dtype in NO_NUMBERS or no_matrix or too_large
        return
    assert dtype in NUMBERS and plain.ndim in (1, 2)
    # Integers are computed in float32: what they are there is what the labels are of.
    computed = plain.astype("f8" if dtype in ("f8", "g") else "f4").astype("f8").reshape(-1, width)
    truth = reference_distances(computed, centers.astype("f8"), cosine)
    chosen = truth[np.arange(len(truth)), result.cluster_index]
    np.testing.assert_allclose(chosen, truth.min(axis=1, initial=np.inf), rtol=1e-9, atol=1e-9)
    assert distances.shape == truth.shape
    np.testing.assert_allclose(distances, truth, rtol=1e-4, atol=1e-4)


def reference_distances(points: Any, centers: Any, cosine: bool) -> Any:
    if not cosine:
        return ((points[:, None] - centers[None]) ** 2).sum(axis=2)
    lengths = np.linalg.norm(points, axis=1)[:, None] * np.linalg.norm(centers, axis=1)[None]
    return 1 - points @ centers.T / np.where(lengths == 0, 1, lengths)


SPARSE = ["csr", "csc", "coo", "bsr", "dia", "dok", "lil"]


@settings(max_examples=300)
@given(
    dtype=st.sampled_from(["f4", "f8", "g", "i1", "i8", "u2", "?", "c8"]),
    shape=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    layout=st.sampled_from(SPARSE),
    damage=st.sampled_from(["", "", "indices", "indptr", "data", "order"]),
    value=st.sampled_from([-1, 1, 7, 2**31 - 1]),
    seed=st.integers(0, 9),
)
def test_any_sparse_matrix(
    dtype: str, shape: tuple[int, int], layout: str, damage: str, value: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    dense = (random.integers(0, 3, shape) * random.integers(0, 2, shape)).astype(dtype)
    matrix = scipy.sparse.csr_array(dense).asformat(layout)
    if damage and layout == "csr":
        part = getattr(matrix, "indices" if damage == "order" else damage)
        if damage == "order":
            part[...] = part[::-1].copy()
        elif damage == "data":
            matrix.data = part[: len(part) // 2]
        elif part.size:
            part[random.integers(part.size)] = value
    centers = random.integers(0, 3, (2, shape[1])).astype("f4")
    try:
        labels = kernels.assign(matrix, centers).cluster_index
    except Exception as error:
        assert type(error) in ALLOWED or isinstance(error, Worded), error
        assert damage or dtype == "c8" or shape[1] == 0, error
        return
    if not damage or layout != "csr":
        truth = reference_distances(dense.astype("f8"), centers.astype("f8"), cosine=False)
        np.testing.assert_array_equal(labels, truth.argmin(axis=1))


def test_an_empty_sparse_matrix_may_be_damaged_too() -> None:
    matrix = scipy.sparse.csr_array((2, 1), dtype="f4")
    matrix.indptr[1] = 7
    with pytest.raises(ValueError, match="damaged sparse matrix: index pointer values"):
        kernels.assign(matrix, np.zeros((1, 1), "f4"))


@pytest.mark.parametrize("dtype", NO_NUMBERS)
def test_centers_of_other_types(dtype: str) -> None:
    for function in (kernels.assign, kernels.all_distances):
        with pytest.raises(TypeError, match=r"centers must hold real numbers, got elements of ty"):
            function(np.zeros((2, 1)), np.zeros((1, 1), dtype))


@pytest.mark.parametrize("shape", [(), (3,), (1, 1, 1), (0, 1), (1, 0), (2, 2)])
def test_centers_of_other_shapes(shape: tuple[int, ...]) -> None:
    for function in (kernels.assign, kernels.all_distances):
        with pytest.raises(ValueError, match=r"centers"):
            function(np.zeros((2, 1)), np.zeros(shape))
