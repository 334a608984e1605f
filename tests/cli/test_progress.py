"""What is shown on a terminal while something takes long."""

from __future__ import annotations

import io
import sys
import time

import numpy as np
import pytest

from centroids.cli import progress


class Terminal(io.StringIO):
    """What was written to a terminal."""

    def isatty(self) -> bool:
        return True


def wait_for(shown: io.StringIO, text: str) -> None:
    until = time.monotonic() + 10
    while text not in shown.getvalue():
        assert time.monotonic() < until, shown.getvalue()
        time.sleep(0.01)


def test_work_that_takes_long_is_shown_with_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SHOW_AFTER_SECONDS", 0.01)
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    batches = progress.count_rows(iter([np.zeros(1500), np.zeros(1)]), "reading it")
    next(batches)
    wait_for(shown, "reading it")
    next(batches)
    wait_for(shown, "reading it: 1,500 rows")
    batches.close()
    time.sleep(0.2)
    before = shown.getvalue()
    time.sleep(0.2)
    assert shown.getvalue() == before


def test_short_work_and_files_see_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    with progress.status("quick"):
        time.sleep(0.05)
    monkeypatch.setattr(progress, "_SHOW_AFTER_SECONDS", 0.01)
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    with progress.status("slow"):
        time.sleep(0.05)
    assert shown.getvalue() == file.getvalue() == ""
