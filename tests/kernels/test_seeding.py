"""k-means++ against a plain version: the same bits, whatever was pruned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids import kernels
from tests import oracle
from tests.plain_seeding import PlainSeeding, exact_sum

LEVELS = kernels.supported_instruction_sets()
# (points, dimensions, candidates in a round): around blocks of 256 and 2,048, panels of 16, tiles.
SHAPES = [
    (1, 1, 1),
    (5, 4, 3),
    (15, 3, 2),
    (255, 2, 15),
    (257, 7, 16),
    (2047, 16, 17),
    (2049, 65, 8),
    (4100, 129, 33),
    (40, 4097, 3),
    # Up to three dimensions are compared eight rows at a time, without a bound.
    (2049, 1, 3),
    (4103, 2, 5),
    (1031, 3, 20),
]


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    kernels.set_instruction_set(request.param)
    yield request.param
    kernels.set_instruction_set("")


def normal(n: int, d: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def draw(closest: NDArray[np.float64], count: int, random: np.random.Generator) -> NDArray[np.intp]:
    """Candidates as k-means++ draws them, and now and then any row."""
    total = closest.sum()
    if not 0 < total < np.inf or random.random() < 0.2:
        return random.integers(len(closest), size=count)
    return random.choice(len(closest), size=count, p=closest / total)


def check(
    points: NDArray[Any],
    num_candidates: int,
    *,
    cosine: bool = False,
    seed: int = 0,
    rounds: int = 12,
) -> None:
    """Every round to the bit: the distances, their sum, and what each candidate takes off it."""
    random = np.random.default_rng(seed)
    seeding, plain = (kind(points, cosine=cosine) for kind in (kernels.Seeding, PlainSeeding))
    first = int(random.integers(len(points)))
    seeding.start(points[first])
    plain.start(first)
    for turn in range(rounds):
        np.testing.assert_array_equal(seeding.closest, plain.closest)
        assert seeding.weights.total == exact_sum(plain.closest)
        rows = draw(plain.closest, num_candidates, random)
        reductions = plain.propose(rows)
        assert seeding.propose(points[rows]) == reductions
        taken = reductions.index(max(reductions)) if turn % 3 else int(random.integers(len(rows)))
        seeding.take(taken)
        plain.take(taken)
    np.testing.assert_array_equal(seeding.closest, plain.closest)


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_round_agrees_with_the_plain_version(
    level: str, cosine: bool, dtype: Any, shape: tuple[int, int, int]
) -> None:
    n, d, num_candidates = shape
    points = np.random.default_rng(n).normal(size=(n, d)).astype(dtype)
    points[np.random.default_rng(d).random(points.shape) < 0.2] = 0
    points[n // 2] = 0
    check(points, num_candidates, cosine=cosine)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [1e3, 1e4, 1e6])
def test_far_from_the_origin(level: str, offset: float, dtype: Any) -> None:
    points = np.random.default_rng(0).normal(size=(2500, 12))
    check((points + offset).astype(dtype), 6)
    points[::2] *= -1
    check((points + offset * np.where(np.arange(2500) % 3, 1, -1)[:, None]).astype(dtype), 6)


@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1e-18, 1e12, 1e16, 1e17, 1e30])
def test_extreme_scales(level: str, scale: float) -> None:
    points = np.random.default_rng(0).normal(size=(600, 9))
    check((points * scale).astype(np.float32), 5)
    check(points * scale, 5)
    check(points * scale**3, 5, rounds=4)
    points[::50] *= scale  # a few of another scale altogether
    check(points, 5, rounds=30)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_few_columns_at_extreme_scales(level: str, d: int) -> None:
    points = np.random.default_rng(0).normal(size=(603, d))
    for scale in (1e-42, 1e-30, 1e17, 1e30):
        check((points * scale).astype(np.float32), 5)
        check(points * scale, 5, cosine=True)
    for scale in (1e-160, 1e150):
        check(points * scale, 5)
    points[::50] *= 1e17  # a few of another scale altogether
    check(points, 5, rounds=30)


def test_one_row_may_be_far_from_all_others(level: str) -> None:
    points = normal(3000, 20)
    points[1234] = 1e9
    check(points, 4, rounds=20)


@pytest.mark.parametrize("cosine", [False, True])
def test_duplicates_and_ties(level: str, cosine: bool) -> None:
    check(np.ones((300, 5), np.float32), 3, cosine=cosine)
    check(np.zeros((300, 5), np.float32), 3, cosine=cosine)
    few = np.random.default_rng(0).integers(-1, 2, (3000, 4))
    check(few.astype(np.float32), 7, cosine=cosine, rounds=40)
    check(np.repeat(normal(30, 70), 90, axis=0), 5, cosine=cosine, rounds=40)


@pytest.mark.parametrize("cosine", [False, True])
def test_rows_that_are_converted(level: str, cosine: bool) -> None:
    numbers = np.random.default_rng(0).integers(0, 200, (700, 11))
    for dtype in (np.uint8, np.int16, np.int64, np.float16, np.float64):
        check(numbers.astype(dtype), 5, cosine=cosine)
    check(np.asfortranarray(numbers.astype(np.float32)), 5, cosine=cosine)
    check(numbers.astype(np.float32)[::-1, 1:], 5, cosine=cosine)
    check(numbers.astype(np.float64)[::3, ::-2], 5, cosine=cosine)


def run(points: NDArray[Any], cosine: bool) -> tuple[list[list[int]], NDArray[np.float64]]:
    random = np.random.default_rng(1)
    seeding = kernels.Seeding(points, cosine=cosine)
    seeding.start(points[0])
    reductions = []
    for turn in range(40):
        reductions.append(seeding.propose(points[random.integers(len(points), size=8)]))
        seeding.take(turn % 8)
    return reductions, seeding.closest


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("d", [2, 5, 40])
def test_levels_and_threads_give_the_same_bits(d: int, cosine: bool) -> None:
    points = normal(70_000 if d == 5 else 30_000, d)  # many blocks: chunks of several
    want = run(points, cosine)
    try:
        for name in LEVELS:
            kernels.set_instruction_set(name)
            for threads in (1, 2, 7):
                kernels.set_num_threads(threads)
                got = run(points, cosine)
                assert got[0] == want[0]
                np.testing.assert_array_equal(got[1], want[1])
    finally:
        kernels.set_instruction_set("")
        kernels.set_num_threads(0)


def test_many_chunks_agree_with_the_plain_version() -> None:
    check(normal(140_000, 5), 3, rounds=3)


def test_bad_values_are_reported(level: str) -> None:
    points = np.ones((3000, 3), np.float32)
    points[2500, 1] = np.nan
    with pytest.raises(kernels.NonFiniteError) as error:
        kernels.Seeding(points).start(points[0])
    assert (error.value.row, error.value.column) == (2500, 1)
    wide = np.ones((3000, 3))
    wide[2600] = 1e200
    with pytest.raises(kernels.NonFiniteError, match="overflow float64 at row 2600"):
        kernels.Seeding(wide).start(wide[0])


def test_vectors_of_another_width_are_refused() -> None:
    seeding = kernels.Seeding(normal(5, 2))
    for shape in [(0, 2), (2, 3), (2,)]:
        with pytest.raises(ValueError, match=r"vectors must have the shape .l, 2. with l at least"):
            seeding.propose(np.zeros(shape, np.float32))


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("cosine", [False, True])
def test_points_that_count_several_times_are_as_many_points(cosine: bool, sparse: bool) -> None:
    random = np.random.default_rng(0)
    points, times = random.normal(size=(3000, 6)), random.integers(0, 5, 3000)
    points[7] = 0
    repeated = np.repeat(points, times, axis=0)
    few, many = (scipy.sparse.csr_array(p) if sparse else p for p in (points, repeated))
    weighted, plain = (
        kernels.Seeding(few, cosine=cosine, weights=times),
        kernels.Seeding(many, cosine=cosine),
    )
    starts = np.concatenate([[0], np.cumsum(times)])
    for seeding in (weighted, plain):
        seeding.start(points[5])
    for turn in range(6):
        candidates = points[random.integers(3000, size=4)]
        assert weighted.propose(candidates) == plain.propose(candidates)
        weighted.take(turn % 4)
        plain.take(turn % 4)
        total = weighted.weights.total
        assert total == plain.weights.total
        targets = [total * turn // 97 for turn in range(97)]
        rows, among = weighted.weights.find(targets), plain.weights.find(targets)
        np.testing.assert_array_equal(np.searchsorted(starts, among, side="right") - 1, rows)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 600),
    d=st.integers(1, 30),
    num_candidates=st.integers(1, 20),
    cosine=st.booleans(),
    exponent=st.integers(-12, 12),
    offset=st.sampled_from([0.0, 1.0, 1e4]),
    kind=st.sampled_from(["normal", "rounded", "heavy", "float64"]),
    seed=st.integers(0, 99),
)
@example(n=600, d=4, num_candidates=16, cosine=True, exponent=0, offset=0.0, kind="heavy", seed=0)
def test_any_data_agrees_with_the_plain_version(
    n: int,
    d: int,
    num_candidates: int,
    cosine: bool,
    exponent: int,
    offset: float,
    kind: str,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    points = random.standard_cauchy((n, d)) if kind == "heavy" else random.normal(size=(n, d))
    points = (np.round(points) if kind == "rounded" else points) * 10.0**exponent + offset
    wide = kind == "float64"
    check(points.astype(np.float64 if wide else np.float32), num_candidates, cosine=cosine)


@pytest.mark.parametrize("cosine", [False, True])
def test_sparse_points_agree_with_the_oracle(cosine: bool) -> None:
    dense = np.random.default_rng(0).normal(size=(3000, 20))
    dense[np.abs(dense) < 1] = 0
    metric, factor = ("cosine", 2) if cosine else ("squared_euclidean", 1)
    random = np.random.default_rng(1)
    seeding = kernels.Seeding(scipy.sparse.csr_array(dense), cosine=cosine)
    seeding.start(dense[7])
    closest = oracle.distances(dense, dense[[7]], metric)[:, 0] * factor
    if cosine:
        closest[~dense.any(axis=1)] = 0  # zero vectors are not to be drawn
    for _ in range(12):
        np.testing.assert_allclose(seeding.closest, closest, atol=1e-9)
        assert seeding.weights.total == exact_sum(seeding.closest)
        rows = random.integers(3000, size=4)
        every = oracle.distances(dense, dense[rows], metric) * factor
        reductions = seeding.propose(dense[rows])
        best = reductions.index(max(reductions))
        seeding.take(best)
        assert best == np.minimum(closest[:, None], every).sum(axis=0).argmin()
        closest = np.minimum(closest, every[:, best])
