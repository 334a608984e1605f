"""Orders of rows that follow from a key, without memory."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from centroids.keyed_permutation import KeyedPermutation, keyed_uniform


@given(n=st.integers(1, 3000), key=st.lists(st.integers(0, 1 << 80), min_size=1, max_size=3))
def test_each_row_comes_once_and_knows_its_position(n: int, key: list[int]) -> None:
    permutation = KeyedPermutation(n, key)
    order = permutation(np.arange(n))
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    np.testing.assert_array_equal(permutation.inverse(order), np.arange(n))


@given(
    n=st.sampled_from([10**6 + 3, (1 << 31) + 11, 10**10, (1 << 52) - 1]),
    positions=st.lists(st.integers(0, 10**6), max_size=20),
)
def test_orders_of_any_length_are_at_hand(n: int, positions: list[int]) -> None:
    permutation = KeyedPermutation(n, (1, 2))
    rows = permutation(np.array(positions, np.int64))
    assert ((rows >= 0) & (rows < n)).all()
    assert permutation.inverse(rows).tolist() == positions


def test_another_key_gives_another_order() -> None:
    orders = [KeyedPermutation(500, key)(np.arange(500)) for key in ((0, 0), (0, 1), (1, 0), (0,))]
    for a, b in itertools.combinations(orders, 2):
        assert (a == b).sum() < 20


@pytest.mark.parametrize("n", [2, 3, 5, 12, 100])
def test_each_row_comes_anywhere_equally_often(n: int) -> None:
    counts = np.zeros((n, n))
    for turn in range(400):
        counts[np.arange(n), KeyedPermutation(n, (7, turn))(np.arange(n))] += 1
    expected = counts.sum() / n**2
    statistic = ((counts - expected) ** 2 / expected).sum()
    freedom = (n - 1) ** 2
    assert statistic < freedom + 6 * np.sqrt(2 * freedom) + 10


def test_all_orders_of_a_few_rows_come_equally_often() -> None:
    for n in (3, 4):
        orders = [
            tuple(KeyedPermutation(n, (turn,))(np.arange(n)).tolist()) for turn in range(2400)
        ]
        every = list(itertools.permutations(range(n)))
        expected = len(orders) / len(every)
        statistic = sum((orders.count(order) - expected) ** 2 / expected for order in every)
        assert statistic < len(every) + 6 * np.sqrt(2 * len(every))


def test_numbers_outside_are_refused() -> None:
    for numbers in ([-1], [5]):
        with pytest.raises(ValueError, match="numbers must be from 0 to 4"):
            KeyedPermutation(5, (0,))(np.array(numbers))


def test_random_numbers_of_rows_are_uniform_and_differ_by_key() -> None:
    numbers = keyed_uniform((3, 1), np.arange(100_000))
    counts = np.histogram(numbers, 100, (0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 99 + 6 * np.sqrt(198)
    other = keyed_uniform((3, 2), np.arange(100_000))
    assert abs(np.corrcoef(numbers, other)[0, 1]) < 0.02
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.02
