"""What every test starts from: no leftover choices, no leftover folders."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def temporary_model_dirs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Models without a model_dir make theirs where pytest cleans up."""
    folder: Path = tmp_path_factory.mktemp("models")
    tempfile.tempdir = str(folder)
