"""Results do not depend on the floating-point mode of whoever calls."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from centroids import kernels

# fegetenv and fesetenv of the C library; MXCSR is the last word of glibc's structure on x86-64.
LIBM = ctypes.CDLL(None)
pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc",
    reason="the mode is set by way of glibc on x86-64",
)
FLUSH_TO_ZERO, ZEROS_FOR_SUBNORMALS, UPWARD = 0x8000, 0x0040, 0x4000


@contextmanager
def mode(bits: int) -> Iterator[None]:
    before, changed = (ctypes.c_uint32 * 8)(), (ctypes.c_uint32 * 8)()
    LIBM.fegetenv(before)
    LIBM.fegetenv(changed)
    changed[7] |= bits
    LIBM.fesetenv(changed)
    try:
        yield
        now = (ctypes.c_uint32 * 8)()
        LIBM.fegetenv(now)
        assert now[7] & 0xFFC0 == changed[7] & 0xFFC0, "the mode of the caller was not kept"
    finally:
        LIBM.fesetenv(before)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    yield
    kernels.set_num_threads(0)


@pytest.mark.parametrize("bits", [FLUSH_TO_ZERO | ZEROS_FOR_SUBNORMALS, UPWARD])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_changed_mode_changes_no_bit(dtype: Any, sparse: bool, bits: int) -> None:
    random = np.random.default_rng(0)
    scale = 1e-39 if dtype == np.float32 else 1e-160  # subnormal, or their squares are
    points: Any = (random.normal(size=(6_000, 24)) * scale).astype(dtype)
    centers = points[:40].copy()
    if sparse:
        points = scipy.sparse.csr_array(points)
    kernels.set_num_threads(2)

    def results() -> list[Any]:
        result = kernels.assign(points, centers, update=True)
        assert result.sums is not None and result.counts is not None
        distances = kernels.all_distances(points[:50], centers)
        seeding = kernels.Seeding(points)
        seeding.start(centers[3])
        reductions = seeding.propose(centers[[5, 7]])
        seeding.take(1)
        return [
            result.cluster_index.tobytes(),
            result.sums.tobytes(),
            result.counts.tobytes(),
            result.inertia,
            distances.tobytes(),
            seeding.closest.tobytes(),
            *reductions,
            seeding.weights.find([seeding.weights.total // 3]).tobytes(),
        ]

    expected = results()
    assert expected[3] > 0
    with mode(bits):
        changed = results()
    assert changed == expected
    assert results() == expected


def test_workers_made_under_another_mode_compute_as_usual() -> None:
    points = np.random.default_rng(0).normal(size=(40_000, 8)) * 1e-160
    centers = points[:30].copy()
    kernels.set_num_threads(1)
    alone = kernels.assign(points, centers)
    with mode(FLUSH_TO_ZERO | ZEROS_FOR_SUBNORMALS):
        kernels.set_num_threads(7)  # more workers than there were: they inherit the mode
        kernels.assign(points, centers)
    seen = {kernels.assign(points, centers).inertia for _ in range(8)}
    assert seen == {alone.inertia}
