"""Assignment and update against the float64 oracle, and equal bits whatever the machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids import kernels
from tests import oracle

LEVELS = kernels.supported_instruction_sets()
SEARCHES = ["panels", "lanes", "words", "grid", "float_filter", "byte_filter", "axes_filter"]
# Around every tile, panel and lane width of every level; 0, 1 and one past.
SHAPES = [
    (1, 1, 1),
    (2, 1, 3),
    (7, 3, 5),
    (63, 2, 10),
    (64, 4, 16),
    (65, 16, 17),
    (66, 17, 24),
    (127, 33, 48),
    (128, 8, 49),
    (129, 15, 47),
    (200, 100, 97),
    (513, 5, 2),
    (1030, 20, 64),
]


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    kernels.set_instruction_set(request.param)
    assert kernels.instruction_set() == request.param
    yield request.param
    kernels.set_instruction_set("")


def make(
    n: int, d: int, k: int, dtype: Any = np.float32, offset: float = 0, seed: int = 0
) -> tuple[NDArray[Any], NDArray[Any]]:
    random = np.random.default_rng(seed + n * 1000 + d)
    points = (random.normal(size=(n, d)) + offset).astype(dtype)
    centers = (random.normal(size=(k, d)) + offset).astype(dtype)
    return points, centers


def check(points: Any, centers: NDArray[Any], metric: str, **options: Any) -> None:
    result = kernels.assign(points, centers, cosine=metric == "cosine", update=True, **options)
    dense = points.toarray() if scipy.sparse.issparse(points) else points
    truth = oracle.distances(dense, centers, metric)
    own = truth[np.arange(len(dense)), result.cluster_index]
    # In squared distances the kernels are exact; cosine rounds the normalised vectors.
    tolerance = 1e-12 if metric != "cosine" or dense.dtype == np.float64 else 3e-7
    assert (own <= truth.min(axis=1) + tolerance * (1 + np.abs(truth).max(initial=0))).all()
    np.testing.assert_allclose(
        result.inertia, own.sum(), rtol=1e-9 if tolerance < 1e-9 else 1e-5, atol=tolerance
    )
    rows = oracle.unit_rows(dense) if metric == "cosine" else dense.astype(np.float64)
    sums = np.zeros((len(centers), dense.shape[1]))
    np.add.at(sums, result.cluster_index, rows)
    assert result.sums is not None and result.counts is not None
    np.testing.assert_allclose(
        result.sums, sums, rtol=1e-6 if tolerance > 1e-9 else 1e-11, atol=1e-4
    )
    np.testing.assert_array_equal(
        result.counts, np.bincount(result.cluster_index, minlength=len(centers))
    )
    check_without_labels(result, points, centers, metric, **options)


def check_without_labels(
    whole: kernels.Assignment, points: Any, centers: NDArray[Any], metric: str, **options: Any
) -> None:
    result = kernels.assign(
        points, centers, cosine=metric == "cosine", update=True, labels=False, **options
    )
    assert len(result.cluster_index) == 0
    assert result.inertia == whole.inertia
    alone = kernels.assign(points, centers, cosine=metric == "cosine", inertia=False, **options)
    np.testing.assert_array_equal(alone.cluster_index, whole.cluster_index)
    assert np.isnan(alone.inertia)
    assert result.sums is not None and whole.sums is not None
    assert result.sums.tobytes() == whole.sums.tobytes()
    np.testing.assert_array_equal(result.counts, whole.counts)


@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("search", ["automatic", *SEARCHES])
def test_every_shape_agrees_with_the_oracle(
    level: str, shape: tuple[int, int, int], dtype: Any, metric: str, search: str
) -> None:
    check(*make(*shape, dtype), metric, search=search)


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("offset", [1e3, 1e4, 1e5])
def test_labels_are_exact_far_from_the_origin(level: str, offset: float, search: Any) -> None:
    points, centers = make(2000, 10, 60, np.float32, offset)
    truth = oracle.distances(points, centers, "squared_euclidean")
    got = kernels.assign(points, centers, search=search).cluster_index
    np.testing.assert_array_equal(got, truth.argmin(axis=1))


@pytest.mark.parametrize("search", SEARCHES)
def test_labels_are_exact_for_two_far_groups(level: str, search: Any) -> None:
    points, centers = make(600, 6, 30)
    points[::2] += np.float32(1e4)
    points[1::2] -= np.float32(1e4)
    centers[::2] += np.float32(1e4)
    centers[1::2] -= np.float32(1e4)
    truth = oracle.distances(points, centers, "squared_euclidean")
    got = kernels.assign(points, centers, search=search).cluster_index
    np.testing.assert_array_equal(got, truth.argmin(axis=1))


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e18, 1e30])
def test_labels_are_exact_at_extreme_scales(level: str, scale: float, search: Any) -> None:
    points, centers = make(300, 7, 20)
    points, centers = (points * np.float32(scale)), (centers * np.float32(scale))
    truth = oracle.distances(points, centers, "squared_euclidean")
    got = kernels.assign(points, centers, search=search).cluster_index
    np.testing.assert_array_equal(got, truth.argmin(axis=1))


def test_ties_go_to_the_lowest_index(level: str) -> None:
    centers = np.repeat(np.array([[1.0, 1.0], [5.0, 5.0]], np.float32), 30, axis=0)
    points = np.array([[1.0, 1.0], [5.0, 5.0], [3.0, 3.0]], np.float32)
    assert kernels.assign(points, centers).cluster_index.tolist() == [0, 30, 0]


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("offset", [0, 1000, 100_000])
@pytest.mark.parametrize("shape", [(4000, 2, 60), (2000, 17, 97), (1000, 70, 200)])
def test_labels_of_integers_are_exact_with_all_their_ties(
    level: str, shape: tuple[int, int, int], offset: int, search: Any
) -> None:
    n, d, k = shape
    random = np.random.default_rng(offset)
    points = random.integers(0, 4, (n, d)) + offset
    centers = random.integers(0, 4, (k, d)) + offset
    truth = ((points[:, None, :] - centers[None]) ** 2).sum(axis=2)  # exact, in 64-bit integers
    assert ((truth == truth.min(axis=1, keepdims=True)).sum(axis=1) > 1).mean() > 0.02
    for dtype in (np.float32, np.float64):
        got = kernels.assign(points.astype(dtype), centers.astype(dtype), search=search)
        np.testing.assert_array_equal(got.cluster_index, truth.argmin(axis=1))


def test_zero_vectors_under_cosine_are_at_distance_one(level: str) -> None:
    points = np.array([[0.0, 0.0], [0.0, 2.0]], np.float32)
    centers = np.array([[3.0, 0.0], [0.0, 0.0], [0.0, 7.0]], np.float32)
    result = kernels.assign(points, centers, cosine=True, update=True)
    assert result.cluster_index.tolist() == [0, 2]
    assert result.inertia == pytest.approx(1)
    distances = kernels.all_distances(points, centers, cosine=True)
    np.testing.assert_allclose(distances, [[1, 1, 1], [1, 1, 0]], atol=1e-7)
    sparse = scipy.sparse.csr_array(points)
    assert kernels.assign(sparse, centers, cosine=True).cluster_index.tolist() == [0, 2]
    np.testing.assert_allclose(kernels.all_distances(sparse, centers, cosine=True), distances)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [2, 16, 40])
def test_zero_vectors_belong_to_the_first_of_nearly_parallel_centers(
    level: str, d: int, dtype: Any
) -> None:
    centers = (np.random.default_rng(0).normal(size=(300, d)) + 1e4).astype(dtype)
    points = np.vstack([centers[200:], np.zeros((3, d), dtype)])
    memory = kernels.AssignmentMemory()
    for remembered in (None, memory, memory):
        found = kernels.assign(points, centers, cosine=True, memory=remembered)
        assert found.cluster_index[-3:].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "dtype",
    ["float16", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool"],
)
def test_every_element_type_counts_as_its_values(level: str, dtype: str) -> None:
    random = np.random.default_rng(1)
    points = random.integers(0, 2 if dtype == "bool" else 100, (150, 20)).astype(dtype)
    centers = points[:9].astype(np.float32) + np.float32(0.25)
    as_float = kernels.assign(points.astype(np.float32), centers, update=True)
    direct = kernels.assign(points, centers, update=True)
    np.testing.assert_array_equal(direct.cluster_index, as_float.cluster_index)
    np.testing.assert_array_equal(direct.sums, as_float.sums)
    assert direct.inertia == as_float.inertia


def test_wider_floats_count_as_float64() -> None:
    points = np.array([[1.0], [1.0 + 2**-40]], np.longdouble)
    assert kernels.all_distances(points, points[:1])[1, 0] == 2.0**-80


def test_subnormal_and_negative_half_floats_are_read_right() -> None:
    points = np.array([[2**-24], [-(2**-24)], [65504], [-0.5]], np.float16)
    result = kernels.assign(points, np.zeros((1, 1), np.float32), update=True)
    assert result.sums is not None
    assert result.sums[0, 0] == points.astype(np.float64).sum()


@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
def test_strides_offsets_and_byte_orders_do_not_matter(level: str, metric: str) -> None:
    base, centers = make(90, 24, 13)
    expected = kernels.assign(base, centers, cosine=metric == "cosine", update=True)
    wide = np.zeros((180, 50), np.float32)
    wide[::2, 1:49:2] = base
    unaligned = np.frombuffer(b"x" + base.tobytes(), np.float32, offset=1).reshape(base.shape)
    reverse = np.ascontiguousarray(base[::-1, ::-1])[::-1, ::-1]
    for points in (
        wide[::2, 1:49:2],
        np.asfortranarray(base),
        unaligned,
        reverse,
        base.astype(">f4"),
    ):
        np.testing.assert_array_equal(points, base)
        got = kernels.assign(points, centers, cosine=metric == "cosine", update=True)
        np.testing.assert_array_equal(got.cluster_index, expected.cluster_index)
        np.testing.assert_array_equal(got.sums, expected.sums)
        assert got.inertia == expected.inertia


@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
@pytest.mark.parametrize("kind", ["low", "high", "many", "sparse", "float64"])
def test_threads_tiles_and_levels_give_equal_bits(threads: None, kind: str, metric: str) -> None:
    n, d, k = {"low": (30_000, 3, 40), "many": (20_000, 60, 2500)}.get(kind, (20_000, 40, 70))
    points: Any
    points, centers = make(n, d, k, np.float64 if kind == "float64" else np.float32)
    if kind == "sparse":
        points = scipy.sparse.csr_array(np.where(points > 0.7, points, 0))
    seen = []
    for level in LEVELS:
        if kind == "many" and level == "scalar":
            continue  # slow, and the other kinds cover it
        kernels.set_instruction_set(level)
        for count in (1, 2, 3, 7):
            for rows in (0, 13) if count == 1 and kind != "sparse" else (0,):
                kernels.set_num_threads(count)
                result = kernels.assign(
                    points, centers, cosine=metric == "cosine", update=True, block_rows=rows
                )
                if count == 2:
                    check_without_labels(result, points, centers, metric)
                assert result.sums is not None and result.counts is not None
                seen.append(
                    (
                        result.cluster_index.tobytes(),
                        result.sums.tobytes(),
                        result.counts.tobytes(),
                        result.inertia,
                    )
                )
    kernels.set_instruction_set("")
    assert all(bits == seen[0] for bits in seen)


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_distances_have_equal_bits_on_levels_with_fused_additions(
    dtype: Any, cosine: bool
) -> None:
    points, centers = make(300, 45, 70, dtype)
    distances = {}
    for level in LEVELS:
        kernels.set_instruction_set(level)
        distances[level] = kernels.all_distances(points, centers, cosine=cosine)
    kernels.set_instruction_set("")
    fused = [found.tobytes() for level, found in distances.items() if level != "scalar"]
    assert len(set(fused)) <= 1
    # Square and sum are rounded apart there: as many roundings more as there are columns.
    rounding = points.shape[1] * np.finfo(dtype).eps
    for found in distances.values():
        np.testing.assert_allclose(distances["scalar"], found, rtol=rounding, atol=rounding)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 70),
    d=st.integers(1, 40),
    k=st.integers(1, 60),
    seed=st.integers(0, 2**20),
    dtype=st.sampled_from([np.float32, np.float64]),
    metric=st.sampled_from(["squared_euclidean", "cosine"]),
    sparse=st.booleans(),
)
def test_any_shape_dense_or_sparse(
    n: int, d: int, k: int, seed: int, dtype: Any, metric: str, sparse: bool
) -> None:
    points, centers = make(n, d, k, dtype, seed=seed)
    points = np.where(np.random.default_rng(seed).random(points.shape) < 0.3, points, 0).astype(
        dtype
    )
    check(scipy.sparse.csr_array(points) if sparse else points, centers, metric)


@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_all_distances_agree_with_the_oracle(
    level: str, shape: tuple[int, int, int], dtype: Any, metric: str
) -> None:
    points, centers = make(*shape, dtype, offset=0 if metric == "cosine" else 1e3)
    got = kernels.all_distances(points, centers, cosine=metric == "cosine")
    assert got.dtype == dtype and got.shape == (shape[0], shape[2])
    truth = oracle.distances(points, centers, metric)
    epsilon = np.finfo(dtype).eps
    np.testing.assert_allclose(
        got, truth, rtol=(shape[1] + 4) * epsilon, atol=8 * epsilon if metric == "cosine" else 0
    )


def test_a_point_on_a_center_is_at_distance_zero(level: str) -> None:
    points, _ = make(60, 30, 1, np.float32, 1e4)
    distances = kernels.all_distances(points, points)
    assert (np.diagonal(distances) == 0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("search", SEARCHES)
def test_values_that_are_not_finite_are_located(level: str, value: float, search: Any) -> None:
    points, centers = make(700, 12, 9)
    points[[333, 600], [7, 2]] = value
    with pytest.raises(kernels.NonFiniteError, match="row 333, column 7"):
        kernels.assign(points, centers, search=search)
    with pytest.raises(kernels.NonFiniteError, match="row 333, column 7"):
        kernels.all_distances(points, centers)
    with pytest.raises(kernels.NonFiniteError, match="row 333, column 7"):
        kernels.assign(scipy.sparse.csr_array(points), centers)
    with pytest.raises(kernels.NonFiniteError, match="row 333, column 7"):
        kernels.assign(points, centers[:1], cosine=True, search=search)


def test_values_whose_squares_overflow_are_refused() -> None:
    points = np.array([[1.0], [1e200]])
    with pytest.raises(kernels.NonFiniteError, match=r"overflow float64 at row 1"):
        kernels.assign(points, np.array([[0.0]]))


def test_shapes_and_types_are_checked() -> None:
    points, centers = make(5, 3, 2)
    with pytest.raises(ValueError, match=r"points have 3 columns, centers have 4$"):
        kernels.assign(points, np.zeros((2, 4)))
    with pytest.raises(ValueError, match="k at least 1"):
        kernels.assign(points, np.zeros((0, 3)))
    with pytest.raises(TypeError, match="real numbers, got elements of type <U1"):
        kernels.assign(np.array([["a"]]), centers)
    with pytest.raises(ValueError, match=r"each point has the shape \(3, 1\)"):
        kernels.assign(points[:, :, None], centers)
    with pytest.raises(ValueError, match="unknown instruction set 'mmx'"):
        kernels.set_instruction_set("mmx")
    with pytest.raises(ValueError, match="got -1"):
        kernels.set_num_threads(-1)
    for count in (1.5, "2"):
        with pytest.raises(TypeError, match=f"count must be an integer .* got {count!r}"):
            kernels.set_num_threads(count)


def test_inputs_are_not_changed(level: str) -> None:
    points, centers = make(50, 6, 4)
    before = points.copy(), centers.copy()
    kernels.assign(points, centers, cosine=True, update=True)
    kernels.all_distances(points, centers, cosine=True)
    np.testing.assert_array_equal(points, before[0])
    np.testing.assert_array_equal(centers, before[1])


def test_duplicate_entries_of_a_sparse_row_are_summed() -> None:
    points = scipy.sparse.csr_array(
        (np.array([1.0, 2.0]), np.array([1, 1]), np.array([0, 2])), shape=(1, 3)
    )
    result = kernels.assign(points, np.array([[0.0, 3.0, 0.0], [0.0, 2.0, 0.0]]))
    assert result.cluster_index.tolist() == [0] and result.inertia == 0
    assert points.nnz == 2


@pytest.mark.parametrize("columns", [[0, 7], [-1, 1]])
def test_a_damaged_sparse_matrix_is_an_error_not_a_crash(columns: list[int]) -> None:
    points = scipy.sparse.csr_array(np.eye(2, 3, dtype=np.float32))
    points.indices[:] = columns
    with pytest.raises(ValueError, match="damaged sparse matrix"):
        kernels.assign(points, np.zeros((1, 3), np.float32))
