"""Programs of these tests, run as a user runs Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    """That of this process; what it can import, the program can. It starts no idle threads."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}


def run_module(name: str, *arguments: str) -> str:
    """Runs a module of this package.

    Returns:
        What it wrote.

    Raises:
        AssertionError: If it failed; the message has what it wrote.
    """
    command = [sys.executable, "-m", f"tests.crash.{name}", *arguments]
    result = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    return output
