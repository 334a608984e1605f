"""What the command line advises can be pasted and helps."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.run_here import run_here as run


@pytest.mark.parametrize(
    "text",
    [
        "when,age,income (net)\n2024-01-01,31,5\n2024-01-02,45,6\n",
        "Export vom 1.1.2024\n\na;b;c\n1;2;3\n4;5;7\n",
        "a;b\n1\u00a0234;5\n2\u00a0000;6\n",
        "a;b\n1.234.567;5\n2.000;6\n",
        "a;b\n1.234,5;5\n2.000;6\n",
    ],
)
def test_advice_is_pasted(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    told = run(tmp_path, "train", "a.csv", "m", "-k", "1", code=2).stderr
    advice = re.findall(r"(--(?:columns|skip-lines|decimal|thousands)) ('[^']*'|\S+)", told)
    options = [word for option, value in advice for word in (option, *shlex.split(value))]
    assert options, told
    run(tmp_path, "train", "a.csv", "m", "-k", "1", *options)


def test_the_decimal_mark_is_named_with_the_thousands(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a;b\n1.234;5\n2.000;6\n")
    told = run(tmp_path, "train", "a.csv", "m", "-k", "1", "--thousands", ".", code=2).stderr
    assert "say --decimal , --thousands ." in told
    told = run(tmp_path, "train", "a.csv", "m", "-k", "1").stderr
    assert "if it groups digits, say --decimal , --thousands ." in told
