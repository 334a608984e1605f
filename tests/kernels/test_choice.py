"""Which kernel is chosen near the thresholds: a report of the search, as the debug log shows it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import pytest

from centroids import kernels


@pytest.fixture(
    params=[level for level in ("avx2", "avx512") if level in kernels.supported_instruction_sets()]
)
def without_vnni(request: pytest.FixtureRequest) -> Iterator[str]:
    kernels.set_instruction_set(request.param)
    yield request.param
    kernels.set_instruction_set("")


@pytest.mark.parametrize(
    ("dimensions", "num_centers", "kernel"),
    [
        (128, 1_000, "byte_filter"),
        (96, 256, {"avx2": "words", "avx512": "byte_filter"}),
        (32, 512, {"avx2": "words", "avx512": "lanes"}),
        (100, 125, {"avx2": "words", "avx512": "lanes"}),
        (129, 125, {"avx2": "words", "avx512": "panels"}),
        (129, 5, {"avx2": "panels", "avx512": "lanes"}),
        (16, 64, {"avx2": "words", "avx512": "lanes"}),
        (16, 60, "lanes"),
    ],
)
def test_the_kernel_follows_the_work_of_a_row(
    without_vnni: str,
    dimensions: int,
    num_centers: int,
    kernel: str | dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    random = np.random.default_rng(1)
    points = random.normal(size=(4_096, dimensions)).astype(np.float32)
    with caplog.at_level(logging.DEBUG, logger="centroids.kernels"):
        kernels.assign(points, points[:num_centers])
    expected = kernel if isinstance(kernel, str) else kernel[without_vnni]
    assert f"by {expected}" in caplog.text


@pytest.mark.parametrize(("level", "kernel"), [("avx2", "panels"), ("avx512", "words")])
def test_words_of_few_float64_are_for_wide_registers(
    level: str, kernel: str, caplog: pytest.LogCaptureFixture
) -> None:
    if level not in kernels.supported_instruction_sets():
        pytest.skip(f"no {level} here")
    points = np.random.default_rng(1).normal(size=(4_096, 12))
    kernels.set_instruction_set(level)
    try:
        with caplog.at_level(logging.DEBUG, logger="centroids.kernels"):
            kernels.assign(points, points[:20])
    finally:
        kernels.set_instruction_set("")
    assert f"by {kernel}" in caplog.text
