"""The map leads somewhere: each file and folder that HACKING.md names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.findall(
    r"`((?:src|native|tests|benchmarks|docs|cmake)/[\w./-]*)`", (ROOT / "HACKING.md").read_text()
)


@pytest.mark.parametrize("name", sorted(set(NAMED)))
def test_what_the_map_names_exists(name: str) -> None:
    assert (ROOT / name).exists()
