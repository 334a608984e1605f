"""Weights of points: exact sums of products, rounded once; 2 is a row twice, and 0 is no row.

Over 400 lines: every test is of the one property of weights and shares the same exact reference.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids import kernels
from tests.kernels.test_exact_sums import SEARCHES, hard, same_bits

LEVELS = kernels.supported_instruction_sets()


@pytest.fixture(autouse=True)
def usual_machine() -> Iterator[None]:
    yield
    kernels.set_num_threads(0)
    kernels.set_instruction_set("")


def rounded(total: Fraction) -> float:
    try:
        return total.numerator / total.denominator
    except OverflowError:
        return float("inf") if total > 0 else -float("inf")


def weighted_sum(weights: NDArray[Any], values: NDArray[Any]) -> float:
    products = (
        Fraction(float(weight)) * Fraction(float(value))
        for weight, value in zip(weights, values, strict=True)
    )
    return rounded(sum(products, Fraction(0)))


def check_against_fractions(
    points: Any, centers: NDArray[Any], weights: NDArray[Any], **options: Any
) -> kernels.Assignment:
    result = kernels.assign(points, centers, update=True, weights=weights, **options)
    rows = points.toarray() if scipy.sparse.issparse(points) else points
    assert result.sums is not None and result.counts is not None
    assert result.counts.dtype == np.float64
    for cluster in range(len(centers)):
        own = result.cluster_index == cluster
        ones = np.ones(int(own.sum()))
        assert result.counts[cluster] == weighted_sum(weights[own], ones)
        for column in range(rows.shape[1]):
            assert result.sums[cluster, column] == weighted_sum(weights[own], rows[own, column])
    return result


def some_weights(kind: str, n: int) -> NDArray[np.float64]:
    random = np.random.default_rng(n)
    return {
        "ones": np.ones(n),
        "whole": random.integers(0, 5, n).astype(np.float64),
        "uniform": random.random(n),
        "lognormal": np.exp(8 * random.normal(size=n)),
        "float32": random.random(n).astype(np.float32).astype(np.float64),
        "many scales": 10.0 ** random.integers(-30, 17, n),
        "few": np.where(random.random(n) < 0.9, 0.0, random.random(n)),
        "zero": np.zeros(n),
    }[kind]


KINDS = ["ones", "whole", "uniform", "lognormal", "float32", "many scales", "few", "zero"]
POINTS = ["normal", "offset", "lognormal", "one outlier", "tiny beside large", "zeros", "late"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("values", POINTS)
def test_sums_are_those_of_exact_products(values: str, kind: str, dtype: Any) -> None:
    points = hard(values, 60, 3, dtype)
    weights = some_weights(kind, 60)
    check_against_fractions(points, points[:4].copy(), weights)
    check_against_fractions(scipy.sparse.csr_array(points), points[:4].copy(), weights)


def one_by_one(
    points: Any, centers: NDArray[Any], weights: NDArray[Any], cosine: bool
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Inertia, sums and counts from calls of single rows, whose results have no sum to round."""
    terms: list[tuple[Fraction, int, NDArray[np.float64], float]] = []
    for row, weight in enumerate(weights):
        alone = kernels.assign(points[[row]], centers, cosine=cosine, update=True)
        assert alone.sums is not None
        label = int(alone.cluster_index[0])
        terms.append((Fraction(float(weight)), label, alone.sums[label], alone.inertia))
    inertia = rounded(sum((w * Fraction(d) for w, _, _, d in terms), Fraction(0)))
    sums, counts = np.zeros(centers.shape), np.zeros(len(centers))
    for cluster in range(len(centers)):
        own = [(w, row) for w, label, row, _ in terms if label == cluster]
        counts[cluster] = rounded(sum((w for w, _ in own), Fraction(0)))
        for column in range(centers.shape[1]):
            exact = sum((w * Fraction(float(row[column])) for w, row in own), Fraction(0))
            sums[cluster, column] = rounded(exact)
    return inertia, sums, counts


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool"]
)
def test_every_type_and_metric_agrees_with_single_rows(
    dtype: str, sparse: bool, cosine: bool
) -> None:
    random = np.random.default_rng(3)
    points: Any = (random.normal(size=(50, 9)) * 20).astype(dtype)
    points[4] = 0
    if sparse:
        points = scipy.sparse.csr_array(points.astype(np.float32) * (random.random((50, 9)) < 0.4))
    centers = random.normal(size=(4, 9)) * 20
    weights = some_weights("uniform", 50)
    result = kernels.assign(points, centers, cosine=cosine, update=True, weights=weights)
    inertia, sums, counts = one_by_one(points, centers, weights, cosine)
    assert result.inertia == inertia
    np.testing.assert_array_equal(result.sums, sums)
    np.testing.assert_array_equal(result.counts, counts)


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "d", "k"), [(700, 2, 9), (700, 40, 33), (3000, 5, 3)])
def test_levels_searches_threads_and_blocks_change_no_bit(
    n: int, d: int, k: int, dtype: Any, cosine: bool
) -> None:
    random = np.random.default_rng(0)
    points, weights = random.normal(size=(n, d)).astype(dtype), some_weights("lognormal", n)
    expected = kernels.assign(points, points[:k], cosine=cosine, update=True, weights=weights)
    for level in LEVELS:
        kernels.set_instruction_set(level)
        for turn, search in enumerate(SEARCHES):
            kernels.set_num_threads(1 + turn % 3)
            for memory in (None, kernels.AssignmentMemory()):
                result = kernels.assign(
                    points,
                    points[:k],
                    cosine=cosine,
                    update=True,
                    weights=weights,
                    search=search,
                    block_rows=turn * 7,
                    memory=memory,
                    labels=turn % 2 == 0,
                )
                same_bits(result, expected)


@pytest.mark.parametrize("sparse", [False, True])
def test_levels_change_no_bit_of_as_many_sums_as_no_thread_has_room_for(sparse: bool) -> None:
    random = np.random.default_rng(0)
    points: Any = random.normal(size=(600, 700)).astype(np.float32)
    points = scipy.sparse.csr_array(points * (points > 2)) if sparse else points
    centers, weights = random.normal(size=(2000, 700)), some_weights("uniform", 600)
    results = []
    for threads in (1, 3):
        kernels.set_num_threads(threads)
        results.append(kernels.assign(points, centers, update=True, weights=weights))
    same_bits(*results)
    own = results[0].cluster_index == results[0].cluster_index[0]
    dense = points.toarray() if sparse else points
    assert results[0].sums is not None
    for column in (0, 5, 699):
        total = weighted_sum(weights[own], dense[own, column])
        assert results[0].sums[results[0].cluster_index[0], column] == total


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 300),
    d=st.integers(1, 20),
    k=st.integers(1, 12),
    exponent=st.integers(-30, 17),
    kind=st.sampled_from(["float16", "float32", "float64", "int16", "sparse"]),
    cosine=st.booleans(),
    most=st.sampled_from([1, 2, 5, 1000]),
    seed=st.integers(0, 99),
)
def test_whole_weights_are_rows_repeated_and_zeros_no_rows(
    n: int, d: int, k: int, exponent: int, kind: str, cosine: bool, most: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    scale = 50 if "16" in kind else 10.0**exponent
    points: Any = (random.normal(size=(n, d)) * scale).astype("f8" if kind == "sparse" else kind)
    if kind == "sparse":
        points = scipy.sparse.csr_array(points * (random.random((n, d)) < 0.5))
    weights = random.integers(0, most + 1, n)
    if most == 1000:
        weights[random.random(n) < 0.9] = 0
    centers = random.normal(size=(k, d)) * scale
    repeated = points[np.repeat(np.arange(n), weights)]
    result = kernels.assign(points, centers, cosine=cosine, update=True, weights=weights)
    plain = kernels.assign(repeated, centers, cosine=cosine, update=True)
    same_bits(result, plain)
    np.testing.assert_array_equal(np.repeat(result.cluster_index, weights), plain.cluster_index)
    same_bits(
        kernels.assign(points, centers, cosine=cosine, update=True, weights=np.ones(n)),
        kernels.assign(points, centers, cosine=cosine, update=True),
    )


@pytest.mark.parametrize("cosine", [False, True])
def test_parts_add_up_in_any_order_and_can_be_taken_out(cosine: bool) -> None:
    random = np.random.default_rng(0)
    points, weights = (
        hard("tiny beside large", 900, 6, np.float64),
        some_weights("many scales", 900),
    )
    centers = random.normal(size=(7, 6))
    whole = kernels.assign(points, centers, cosine=cosine, update=True, weights=weights)
    cuts = np.array_split(random.permutation(900), 6)
    parts = [
        kernels.assign_partial(points[rows], centers, cosine=cosine, weights=weights[rows])
        for rows in cuts
    ]
    parts = pickle.loads(pickle.dumps(parts))
    total = kernels.PartialAssignment.empty(7, 6, weighted=True)
    for part in (*parts, parts[2], parts[4]):
        total = total + part
    same_bits((total - parts[4] - parts[2]).finish(), whole)


def test_parts_with_and_without_weights_do_not_add_up() -> None:
    points = np.arange(6.0).reshape(3, 2)
    plain = kernels.assign_partial(points, points[:1])
    weighted = kernels.assign_partial(points, points[:1], weights=np.ones(3))
    with pytest.raises(ValueError, match="with and without weights cannot be added"):
        plain + weighted
    without = kernels.assign_partial(points, points[:1], update=False, weights=[2, 2, 2])
    assert (without + without).inertia == 4 * kernels.assign_partial(points, points[:1]).inertia


@pytest.mark.parametrize("search", ["automatic", "float_filter", "byte_filter", "axes_filter"])
@pytest.mark.parametrize("cosine", [False, True])
def test_a_memory_sees_that_weights_are_others(search: Any, cosine: bool) -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(4000, 24)).astype(np.float32)
    centers = points[:20] + random.normal(size=(20, 24)).astype(np.float32) * 0.1
    first, second = some_weights("uniform", 4000), some_weights("whole", 4000)
    changed = first.copy()
    changed[1234] += 2.0**-40
    memory = kernels.AssignmentMemory()
    options: Any = {"cosine": cosine, "search": search}
    for turn, weights in enumerate(
        [first, first, second, second, None, None, first, changed, changed, first, None, first]
    ):
        if turn in (3, 8):  # nobody asks for sums
            kernels.assign(points, centers, memory=memory, **options)
        if turn == 5:
            kernels.assign(points, centers, memory=memory, weights=first, **options)
        same_bits(
            kernels.assign(points, centers, update=True, weights=weights, memory=memory, **options),
            kernels.assign(points, centers, update=True, weights=weights, cosine=cosine),
        )
        if turn % 2:
            centers = centers + random.normal(size=(20, 24)).astype(np.float32) * 1e-3


def test_sums_follow_the_rows_that_move_with_their_weights(
    caplog: pytest.LogCaptureFixture,
) -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(5000, 40)).astype(np.float32)
    weights, centers = some_weights("lognormal", 5000), points[:12].copy()
    memory, followed = kernels.AssignmentMemory(), 0
    for _ in range(25):
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "centroids"):
            result = kernels.assign(
                points, centers, update=True, weights=weights, memory=memory, search="float_filter"
            )
        followed += "sums followed" in caplog.text
        same_bits(result, kernels.assign(points, centers, update=True, weights=weights))
        assert result.sums is not None and result.counts is not None
        centers = (result.sums / result.counts[:, None]).astype(np.float32)
    assert followed >= 3


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, -1e-300, 1], r"weights must be finite and not negative, got -1e-300 at row 1"),
        ([1, 1, np.nan], r"got nan at row 2"),
        ([np.inf, 1, 1], r"got inf at row 0"),
        ([1, 1], r"one number for each of the 3 points, got 2: row 2 has none"),
        ([1, 1, 1, 1], r"one number for each of the 3 points, got 4: there is no row 3"),
        ([[1], [1], [1]], r"weights must have the shape \[n\]; got \(3, 1\)"),
        (2.0, r"weights must have the shape \[n\]; got \(\)"),
    ],
)
def test_bad_weights_are_named(weights: Any, message: str, sparse: bool) -> None:
    points: Any = np.arange(6.0).reshape(3, 2)
    points = scipy.sparse.csr_array(points) if sparse else points
    for call in (kernels.assign, kernels.assign_partial):
        with pytest.raises(ValueError, match=message):
            call(points, np.zeros((1, 2)), weights=weights)
    with pytest.raises(ValueError, match=message):
        kernels.Seeding(points, weights=weights)


def test_weights_of_no_number_are_refused() -> None:
    points = np.zeros((2, 1))
    for weights in (["a", "b"], [1j, 2], [None, 1]):
        with pytest.raises(TypeError, match="weights must hold real numbers"):
            kernels.assign(points, points[:1], weights=weights)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_row_of_weight_0_has_a_label_and_must_be_finite(sparse: bool) -> None:
    dense = np.array([[1.0, 2.0], [5.0, 5.0], [3.0, 1.0]])
    points: Any = scipy.sparse.csr_array(dense) if sparse else dense
    result = kernels.assign(points, dense[:2], update=True, weights=[1, 0, 2])
    assert result.cluster_index.tolist() == [0, 1, 0]
    assert result.counts is not None and result.counts.tolist() == [3, 0]
    assert result.sums is not None and result.sums.tolist() == [[7, 4], [0, 0]]
    assert result.inertia == 2 * 5.0
    for value in (np.nan, np.inf):
        dense[1, 1] = value
        bad: Any = scipy.sparse.csr_array(dense) if sparse else dense
        with pytest.raises(kernels.NonFiniteError, match="not finite at row 1, column 1"):
            kernels.assign(bad, np.ones((2, 2)), update=True, weights=[1, 0, 2])


@pytest.mark.parametrize("sparse", [False, True])
def test_weights_so_large_that_products_overflow_are_named(sparse: bool) -> None:
    dense = np.array([[1.0], [1e150], [3.0]])
    points: Any = scipy.sparse.csr_array(dense) if sparse else dense
    message = r"weights are too large: 1e\+200 times a value .* overflows float64 at row 1"
    with pytest.raises(ValueError, match=message):  # w x, where the distance is 0
        kernels.assign(points, dense[1:2], update=True, weights=[0, 1e200, 0])
    far = np.array([[1e100], [1e150]])
    rows: Any = scipy.sparse.csr_array(far) if sparse else far
    with pytest.raises(ValueError, match=r"weights are too large: 1e\+100 times"):  # w d^2
        kernels.assign(rows, np.zeros((1, 1)), weights=[1, 1e100])
    # The row has a finite distance, if not to all centers, or not of vectors that are no units.
    if not sparse:
        with pytest.raises(ValueError, match=r"weights are too large: 3\.0 times .* at row 0"):
            kernels.assign(np.array([[1e154]]), np.array([[0], [-1.3e154]]), weights=[3])
        with pytest.raises(ValueError, match=r"weights are too large: 1\.7e\+308 times"):
            kernels.assign(-far[1:] * 1e50, far[:1], cosine=True, weights=[1.7e308])
    points = np.zeros((2, 1))
    largest = kernels.assign(points, points[:1], update=True, weights=[1e308, 1e308])
    assert largest.counts is not None and largest.counts[0] == np.inf


def test_products_below_the_least_numbers_are_rounded_row_by_row() -> None:
    """What is there in bits of 2^-1074 and more counts; whole weights lose nothing."""
    points = np.array([[5e-324], [3e-310], [-1e-200], [1e-160]])
    weights = np.array([3.0, 7.0, 1e-100, 1e-150])
    result = kernels.assign(points, np.zeros((1, 1)), update=True, weights=weights)
    assert result.sums is not None
    unit, total = Fraction(5e-324), Fraction(0)
    for weight, value in zip(weights, points[:, 0], strict=True):
        total += round(Fraction(float(weight)) * Fraction(float(value)) / unit) * unit
    assert result.sums[0, 0] == rounded(total)
    assert kernels.assign(points[:2], points[:2], update=True, weights=weights[:2]).inertia == 0


def test_no_points_and_all_weights_0() -> None:
    none = kernels.assign(np.empty((0, 3)), np.ones((2, 3)), update=True, weights=[])
    zero = kernels.assign(np.ones((5, 3)), np.ones((2, 3)), update=True, weights=np.zeros(5))
    part = kernels.assign_partial(np.empty((0, 3)), np.ones((2, 3)), weights=[])
    unlabelled = kernels.assign(
        np.empty((0, 3)), np.ones((2, 3)), update=True, labels=False, weights=[]
    )
    for result in (none, zero, part.finish(), unlabelled):
        assert result.inertia == 0
        np.testing.assert_array_equal(result.sums, np.zeros((2, 3)))
        np.testing.assert_array_equal(result.counts, np.zeros(2))


def test_many_rows_of_one_cluster() -> None:
    """More than one accumulator takes before it is emptied."""
    points = np.full((100_000, 2), 0.1, np.float32)
    weights = np.full(100_000, 0.3)
    result = kernels.assign(points, np.zeros((1, 2)), update=True, weights=weights)
    term = Fraction(0.3) * Fraction(float(np.float32(0.1)))
    assert result.sums is not None and result.counts is not None
    assert result.sums.tolist() == [[rounded(term * 100_000)] * 2]
    assert result.counts.tolist() == [rounded(Fraction(0.3) * 100_000)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [*range(1, 18), 40])
def test_rows_of_every_length_some_of_which_fit_no_window(d: int, dtype: Any) -> None:
    random = np.random.default_rng(d)
    points, weights = random.normal(size=(300, d)).astype(dtype), random.random(300)
    points[70, -1] = 1e-30  # far below the others, in the middle of a block
    points[71:73], weights[150:152] = 0, 0
    points[200, 0] = 1e30
    weights[210], weights[290] = 1e-200, 1e30
    for few in (False, True):  # bits in the weights: products are exact, but for some of them
        own = np.where(np.arange(300) == 100, weights, np.round(4 * weights)) if few else weights
        expected = check_against_fractions(points, points[:4].copy(), own)
        for level in LEVELS:
            kernels.set_instruction_set(level)
            found = kernels.assign(points, points[:4], update=True, weights=own)
            same_bits(found, expected)
