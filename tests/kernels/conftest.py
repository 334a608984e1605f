"""What tests of the kernels change, put back after each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from centroids import kernels


@pytest.fixture(params=kernels.supported_instruction_sets())
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set in turn."""
    kernels.set_instruction_set(request.param)
    assert kernels.instruction_set() == request.param
    yield request.param
    kernels.set_instruction_set("")


@pytest.fixture
def threads() -> Iterator[None]:
    """For tests that set how many there are."""
    yield
    kernels.set_num_threads(0)
