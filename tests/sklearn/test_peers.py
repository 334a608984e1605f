"""scikit-learn's own tests of k-means pass with our classes in the place of theirs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

ROOT = Path(__file__).parents[2]
TESTS = "sklearn.cluster.tests.test_k_means"


def test_scikit_learns_own_tests_of_k_means_pass(tmp_path: Path) -> None:
    settings = tmp_path / "pytest.ini"
    settings.write_text("[pytest]\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--pyargs", TESTS, "-p", "tests.sklearn.instead"),
            *("-c", str(settings), "-p", "no:cacheprovider", "-q"),
        ],
        # Their threads wait in loops: where others work it takes minutes.
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path_with(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) > 150


def path_with(folder: Path) -> str:
    return os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(folder)]))
