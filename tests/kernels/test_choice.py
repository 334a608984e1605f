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
    [(64, 512, "byte_filter"), (32, 512, "panels"), (17, 256, "panels"), (96, 256, "byte_filter")],
)
def test_the_kernel_follows_the_work_of_a_row(
    without_vnni: str,
    dimensions: int,
    num_centers: int,
    kernel: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    random = np.random.default_rng(1)
    points = random.normal(size=(4_096, dimensions)).astype(np.float32)
    with caplog.at_level(logging.DEBUG, logger="centroids.kernels"):
        kernels.assign(points, points[:num_centers])
    assert f"by {kernel}" in caplog.text
