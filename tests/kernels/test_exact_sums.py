"""Sums and inertia are exact sums rounded once: against `math.fsum`, in any order and division."""

from __future__ import annotations

import math
import pickle
import struct
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

LEVELS = kernels.supported_instruction_sets()
SEARCHES = ["panels", "lanes", "words", "grid", "float_filter", "byte_filter", "axes_filter"]


@pytest.fixture(autouse=True)
def usual_machine() -> Iterator[None]:
    yield
    kernels.set_num_threads(0)
    kernels.set_instruction_set("")


def exactly_rounded(values: NDArray[Any]) -> float:
    """By rational numbers: `math.fsum` overflows in between where the sum does not."""
    total = sum((Fraction(float(value)) for value in values), Fraction(0))
    try:
        return total.numerator / total.denominator
    except OverflowError:
        return math.inf if total > 0 else -math.inf


def check_sums(points: Any, centers: NDArray[Any], **options: Any) -> kernels.Assignment:
    result = kernels.assign(points, centers, update=True, **options)
    rows = points.toarray() if scipy.sparse.issparse(points) else points
    assert result.sums is not None and result.counts is not None
    for cluster in range(len(centers)):
        own = rows[result.cluster_index == cluster].astype(np.float64)
        assert result.counts[cluster] == len(own)
        for column in range(rows.shape[1]):
            assert result.sums[cluster, column] == exactly_rounded(own[:, column])
    return result


def same_bits(left: kernels.Assignment, right: kernels.Assignment) -> None:
    assert left.inertia == right.inertia
    assert left.sums is not None and right.sums is not None
    np.testing.assert_array_equal(left.sums, right.sums)
    np.testing.assert_array_equal(left.counts, right.counts)


def hard(kind: str, n: int, d: int, dtype: Any) -> NDArray[Any]:
    random = np.random.default_rng(len(kind))
    normal = random.normal(size=(n, d))
    values = {
        "normal": normal,
        "offset": normal + 1e4,
        "lognormal": np.exp(6 * normal),
        "cauchy": random.standard_cauchy((n, d)),
        "one outlier": np.where(np.arange(n * d).reshape(n, d) == 5, 1e15, 1.0),
        "subnormal": normal * (1e-42 if dtype == np.float32 else 1e-310),
        "tiny beside large": normal * 10.0 ** random.integers(-30, 15, (n, d)),
        "columns of many scales": normal * 10.0 ** np.linspace(-15, 15, d),
        "zeros": np.where(random.random((n, d)) < 0.95, 0.0, normal),
        "late": np.where(np.arange(n)[:, None] == n - 2, 1e12 * normal, normal),
    }
    return values[kind].astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "kind",
    [
        "normal",
        "offset",
        "lognormal",
        "cauchy",
        "one outlier",
        "subnormal",
        "tiny beside large",
        "columns of many scales",
        "zeros",
        "late",
    ],
)
@pytest.mark.parametrize("d", [1, 2, 7, 16, 19])
def test_sums_are_the_exact_sums_rounded_once(kind: str, dtype: Any, d: int) -> None:
    points = hard(kind, 700, d, dtype)
    results = []
    for level in LEVELS:
        kernels.set_instruction_set(level)
        results.append(check_sums(points, points[[0, 1, 350]].copy()))
    for result in results[1:]:
        same_bits(result, results[0])


@pytest.mark.parametrize("largest", [1e150, 1e-300])
def test_sums_are_exact_over_the_whole_range_of_float64(largest: float) -> None:
    random = np.random.default_rng(0)
    exponents = random.integers(-307, int(math.log10(largest)) + 1, (600, 3))
    points = random.normal(size=(600, 3)) * 10.0 ** np.maximum(exponents, -307)
    check_sums(points, points[:2].copy())


def test_values_beyond_every_window_are_exact() -> None:
    # Their squares are finite only about such centers.
    points = np.array([[1.7e308], [1.7e308], [-1.7e308], [3.0]])
    centers = np.array([[1.7e308], [-1.7e308], [3.0]])
    result = check_sums(points, centers)
    assert result.sums is not None and result.sums[0, 0] == math.inf  # correctly rounded


def test_partial_sums_beyond_float64_cancel() -> None:
    centers = np.array([[1.7e308]])
    part = kernels.assign_partial(np.array([[1.7e308]] * 3), centers)
    assert (part + part - part).finish().sums.tolist() == part.finish().sums.tolist()
    two_off = part - kernels.assign_partial(np.array([[1.7e308]] * 2), centers)
    assert two_off.finish().sums.tolist() == [[1.7e308]]


def test_the_inertia_is_the_exact_sum_of_the_distances() -> None:
    random = np.random.default_rng(1)
    points = random.normal(size=(3000, 5)) * 10.0 ** random.integers(-60, 60, (3000, 1))
    center = np.zeros((1, 5))
    distances = kernels.all_distances(points, center)[:, 0]
    assert kernels.assign(points, center).inertia == exactly_rounded(distances)


def test_an_inertia_beyond_float64_is_infinite() -> None:
    points = np.full((3, 1), 1.2e154)  # squares of 1.4e308
    assert kernels.assign(points, np.zeros((1, 1))).inertia == math.inf
    part = kernels.assign_partial(points, np.zeros((1, 1)))
    assert part.finish().inertia == math.inf
    assert (
        part - kernels.assign_partial(points[:2], np.zeros((1, 1)))
    ).finish().inertia == 1.2e154**2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_many_equal_rows_are_exact(dtype: Any) -> None:
    # Far more than a sum of 64 bits has room for.
    points = np.full((200_000, 2), 0.1, dtype)
    result = kernels.assign(points, points[:1], update=True)
    exact = Fraction(float(points[0, 0])) * 200_000
    assert result.sums is not None and result.sums.tolist() == [[float(exact)] * 2]


def test_doubling_a_partial_result_beyond_128_bits_stays_exact() -> None:
    points = np.array([[1.0, -0.1], [2.0**-60, 3e7]])
    part = kernels.assign_partial(points, points[:1].copy())
    exact = [sum(Fraction(float(x)) for x in column) for column in points.T]
    for doubling in range(1, 60):  # 2^60 rows
        part = part + part
        assert part.num_rows == 2 * 2**doubling
        assert part.finish().sums.tolist() == [[float(x * 2**doubling) for x in exact]]


def divided(points: Any, random: np.random.Generator, parts: int) -> list[Any]:
    order = random.permutation(points.shape[0])
    cuts = np.sort(random.integers(0, points.shape[0] + 1, parts - 1))
    return [points[rows] for rows in np.split(order, cuts)]


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["normal", "lognormal", "cauchy", "tiny beside large", "zeros", "late"]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    shape=st.sampled_from([(1, 1), (40, 3), (300, 17), (513, 2), (900, 40)]),
    k=st.integers(1, 12),
    cosine=st.booleans(),
    sparse=st.booleans(),
    parts=st.integers(1, 7),
    threads=st.integers(1, 5),
    level=st.sampled_from(LEVELS),
    search=st.sampled_from(SEARCHES),
    seed=st.integers(0, 2**20),
)
def test_any_division_order_thread_count_and_level_give_equal_bits(
    kind: str,
    dtype: Any,
    shape: tuple[int, int],
    k: int,
    cosine: bool,
    sparse: bool,
    parts: int,
    threads: int,
    level: str,
    search: Any,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    with np.errstate(over="ignore"):
        points: Any = np.clip(hard(kind, *shape, dtype), -6e4, 6e4)
    centers = points[random.integers(0, len(points), k)].astype(np.float64 if seed % 2 else dtype)
    if sparse:
        points = scipy.sparse.csr_matrix(points.astype(kernels.result_dtype(points)))
    kernels.set_num_threads(1)
    kernels.set_instruction_set("scalar")
    whole = kernels.assign(points, centers, cosine=cosine, update=True)
    kernels.set_num_threads(threads)
    kernels.set_instruction_set(level)
    shares = [
        kernels.assign_partial(share, centers, cosine=cosine, search=search)
        for share in divided(points, random, parts)
    ]
    same_bits(sum(shares[1:], shares[0]).finish(), whole)
    same_bits(
        sum(reversed(shares), kernels.PartialAssignment.empty(*centers.shape)).finish(), whole
    )
    without = sum(shares[1:], shares[0]) - shares[-1]
    same_bits((shares[-1] + without).finish(), whole)
    same_bits(sum(pickle.loads(pickle.dumps(shares)), 0).finish(), whole)


def test_a_partial_result_takes_about_eight_bytes_a_sum() -> None:
    points = np.random.default_rng(0).normal(size=(4000, 64)).astype(np.float32)
    part = kernels.assign_partial(points, points[:100])
    assert len(pickle.dumps(part)) < 8.5 * 100 * 64


def test_partial_results_that_do_not_belong_together_do_not_add_up() -> None:
    points = np.zeros((2, 3))
    part = kernels.assign_partial(points, points)
    with pytest.raises(ValueError, match=r"\[2, 3\] and \[1, 3\]"):
        part + kernels.assign_partial(points, points[:1])
    with pytest.raises(ValueError, match="with and without sums"):
        part + kernels.assign_partial(points, points, update=False)
    with pytest.raises(TypeError):
        part + 1  # type: ignore[operator]


def test_bytes_of_something_else_are_refused() -> None:
    part = kernels.assign_partial(np.zeros((2, 3)), np.zeros((1, 3)))
    assert part.sums is not None
    state = part.sums.__getstate__()
    for damaged in (b"", state[:-1], state + b"x", b"\xff" * len(state)):
        with pytest.raises(ValueError, match="exact sums"):
            kernels.ExactSums.__new__(kernels.ExactSums).__setstate__(damaged)


def sums_of_bytes(state: bytes) -> kernels.ExactSums:
    sums = kernels.ExactSums.__new__(kernels.ExactSums)
    sums.__setstate__(state)
    return sums


def state_of(
    *, unit: int = 0, rows: int = 1, low: int = 0, odd: tuple[int, int] | None = None
) -> bytes:
    """The bytes of a single sum, as `ExactSums.__getstate__` lays them out."""
    head = struct.pack("<4sQQQiqqB", b"sum1", 1, 1, odd is not None, unit, rows, low, 0)
    return head + (struct.pack("<Qi", *odd) if odd else b"")


@pytest.mark.parametrize(
    "damage",
    [
        {"rows": -1},
        {"rows": 0, "low": 1},  # would be left out of additions
        {"rows": 1, "low": 1 << 62},  # would overflow when it is doubled
        {"unit": -1075},
        {"unit": 972},
        {"odd": (71, 2**31 - 1)},  # would carry beyond the last digit
        {"rows": 0, "odd": (3, 1)},
    ],
    ids=str,
)
def test_bytes_that_no_rows_can_have_are_refused(damage: dict[str, Any]) -> None:
    sums = np.empty((1, 1))
    sums_of_bytes(state_of(low=5)).round(sums)
    assert sums.tolist() == [[5.0]]
    with pytest.raises(ValueError, match="exact sums"):
        sums_of_bytes(state_of(**damage))


def test_sums_of_more_rows_than_can_be_counted_are_refused() -> None:
    part = kernels.assign_partial(np.array([[1e308]]), np.array([[1e308]]))
    with pytest.raises(ValueError, match="rows"):
        for _ in range(2000):
            part = part + part
    assert part.num_rows == 2**62


def test_sums_are_not_rounded_into_an_array_of_another_size() -> None:
    with pytest.raises(ValueError, match="shape"):
        kernels.ExactSums(100, 10).round(np.empty((1, 1)))


def test_a_cluster_without_points_is_pickled_after_parts_of_different_units() -> None:
    centers = np.array([[0.0, 0.0], [1e6, 0.0], [1e9, 1e9]])
    large = kernels.assign_partial(np.array([[1e6, 3e5], [1.1e6, 7.0]]), centers)
    small = kernels.assign_partial(np.array([[1e-3, 1e-9], [0.1, 0.3]]), centers)
    both = pickle.loads(pickle.dumps(large + small))
    np.testing.assert_array_equal(both.finish().sums, (small + large).finish().sums)
