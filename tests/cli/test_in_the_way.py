"""Outputs that would take the place of what is read, and places that are not of this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.run_here import run_here as run

pytest.importorskip("pyarrow")

POINTS = np.random.default_rng(0).normal(size=(60, 3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    np.save(tmp_path / "points.npy", POINTS)
    np.savetxt(tmp_path / "points.csv", POINTS, delimiter=",", header="a,b,c", comments="")
    pq.write_table(pa.table(dict(zip("abc", POINTS.T, strict=True))), tmp_path / "points.parquet")
    run(tmp_path, "train", "points.csv", "model", "-k", "3", "--quiet")
    return tmp_path


@pytest.mark.parametrize("command", ["predict", "transform"])
@pytest.mark.parametrize("name", ["points.npy", "points.csv", "points.parquet"])
@pytest.mark.parametrize("given", ["{}", "./{}", "points*{ending}"])
def test_points_are_not_overwritten_by_their_labels(
    folder: Path, command: str, name: str, given: str
) -> None:
    before = (folder / name).read_bytes()
    read = given.format(name, ending=Path(name).suffix)
    done = run(folder, command, "model", read, "--output", name, code=2)
    assert f"--output {name} has the points themselves" in done.stderr
    assert (folder / name).read_bytes() == before


def test_labels_do_not_become_points_of_the_next_run(folder: Path) -> None:
    (folder / "many").mkdir()
    shutil.copy(folder / "points.csv", folder / "many")
    done = run(folder, "predict", "model", "many", "--output", "many/labels.csv", code=2)
    assert "--output many/labels.csv would be among the points" in done.stderr
    assert [path.name for path in (folder / "many").iterdir()] == ["points.csv"]
    run(folder, "predict", "model", "many", "--output", "labels.csv")


def test_a_model_folder_is_on_this_machine(folder: Path) -> None:
    done = run(folder, "train", "points.csv", "s3://bucket/model", "-k", "2", code=2)
    assert "MODEL_DIR must be a folder of this machine, got s3://bucket/model" in done.stderr
    assert not (folder / "s3:").exists()


@pytest.mark.parametrize("pattern", ["no*.parquet", "no/*.pq", "no*.csv"])
def test_a_pattern_without_files_says_so(folder: Path, pattern: str) -> None:
    done = run(folder, "train", pattern, "other", "-k", "2", code=2)
    assert f"{pattern} is a pattern that matches no file" in done.stderr
