"""Random orders and random numbers of rows that need no memory and no generator.

What belongs to a row follows from its number and a key alone, so that each worker finds it for the
rows that it has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.kernels.float_mode import in_usual_float_mode

_ROUNDS = 6
_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


class KeyedPermutation:
    """A permutation of the numbers below n, which a key chooses.

    A number x is a pair (x // b, x % b) with b about the square root of n. Each round adds a hash
    of one half to the other, modulo its range, which can be undone. The pairs are a few more than
    n: where a result is n or more, it is permuted again until it is not.

    Args:
        num_rows: n.
        key: Integers from 0 up, such as a seed and an epoch.

    Source: Black and Rogaway, Ciphers with arbitrary finite domains, CT-RSA 2002.

    >>> permutation = KeyedPermutation(10, key=(7, 0))
    >>> order = permutation(np.arange(10))
    >>> sorted(order.tolist()) == list(range(10)), permutation.inverse(order).tolist()
    (True, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """

    def __init__(self, num_rows: int, key: Sequence[int]) -> None:
        self._num_rows = num_rows
        self._right = max(math.isqrt(max(num_rows - 1, 0)) + 1, 1)
        self._left = max(-(-num_rows // self._right), 1)
        self._keys = [_mix_key((*key, turn)) for turn in range(_ROUNDS)]

    def __call__(self, positions: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """The rows at these positions of the order, from 0 to n - 1."""
        return self._walk(positions, self._forward)

    def inverse(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """The positions at which these rows come."""
        return self._walk(rows, self._backward)

    def _walk(self, numbers: NDArray[np.integer[Any]], turn: Any) -> NDArray[np.int64]:
        given = np.asarray(numbers)
        if given.size and (given.min() < 0 or given.max() >= self._num_rows):
            raise ValueError(f"numbers must be from 0 to {self._num_rows - 1}; got {given}")
        found = turn(given.astype(np.uint64))
        while (outside := found >= self._num_rows).any():
            found[outside] = turn(found[outside])
        return np.asarray(found.astype(np.int64))

    def _forward(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = np.divmod(numbers, np.uint64(self._right))
        for turn, key in enumerate(self._keys):
            if turn % 2:
                right = (right + self._shift(key, left, self._right)) % np.uint64(self._right)
            else:
                left = (left + self._shift(key, right, self._left)) % np.uint64(self._left)
        return np.asarray(left * np.uint64(self._right) + right)

    def _backward(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = np.divmod(numbers, np.uint64(self._right))
        for turn, key in reversed(list(enumerate(self._keys))):
            if turn % 2:
                back = np.uint64(self._right) - self._shift(key, left, self._right)
                right = (right + back) % np.uint64(self._right)
            else:
                back = np.uint64(self._left) - self._shift(key, right, self._left)
                left = (left + back) % np.uint64(self._left)
        return np.asarray(left * np.uint64(self._right) + right)

    @staticmethod
    def _shift(key: int, half: NDArray[np.uint64], modulus: int) -> NDArray[np.uint64]:
        return np.asarray(_mix(half, key) % np.uint64(modulus))


@in_usual_float_mode
def keyed_uniform(key: Sequence[int], numbers: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """A random number from 0 up to 1, a multiple of 2^-53, for each of these whole numbers.

    >>> few, more = keyed_uniform((1, 2), np.array([5])), keyed_uniform((1, 2), np.arange(9))
    >>> bool(few[0] == more[5])
    True
    """
    bits = _mix(np.asarray(numbers).astype(np.uint64), _mix_key(key))
    return np.asarray((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _mix_key(key: Sequence[int]) -> int:
    """One number for several of any size."""
    mixed = len(key)
    for number in key:
        while True:
            mixed = int(_mix(np.array([number & _MASK], np.uint64), mixed)[0])
            number >>= 64
            if not number:
                break
    return mixed


def _mix(numbers: NDArray[np.uint64], key: int) -> NDArray[np.uint64]:
    """64 random-looking bits for each number.

    Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
    """
    mixed = numbers * np.uint64(_GOLDEN) + np.uint64(key)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed
