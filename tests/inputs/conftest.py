"""Fixtures of the tests of streams, which ask for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from centroids.inputs import open_stream
from tests.inputs.streams import reader_threads


@pytest.fixture
def no_thread_outlives_the_test() -> Iterator[None]:
    yield
    assert not reader_threads()


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every read counts as slow: the thread starts after the second batch."""
    monkeypatch.setitem(open_stream.__globals__, "_SLOW_SECONDS", -1.0)
