"""What `verbose` shows beside scikit-learn's lines: how far a fit has come."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import centroids.sklearn
from centroids.viewers import TerminalViewer


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("verbose", [0, 1])
@pytest.mark.parametrize(
    ("kind", "told"),
    [("KMeans", "of 40 iterations, inertia"), ("MiniBatchKMeans", "steps, inertia of a row")],
)
def test_a_terminal_sees_how_far_it_is(
    kind: str, told: str, verbose: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.random.default_rng(0).normal(size=(300, 2))
    monkeypatch.setattr(TerminalViewer, "after_seconds", 0.0)
    monkeypatch.setattr(TerminalViewer, "every_seconds", 0.0)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    given: Any = {"max_iter": 40, "random_state": 0, "n_init": 1, "verbose": verbose}
    getattr(centroids.sklearn, kind)(5, **given).fit(points)
    assert (told in terminal.getvalue()) is bool(verbose)
