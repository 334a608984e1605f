"""Matrices, as the PROJECTOR tab of TensorBoard reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids.estimator import Estimator, EventWriter, ProjectorHook
from centroids.estimator.hooks._projector import write_projector
from tests.estimator.online_mean import batches, model_fn
from tests.tensorboard_reader import Projector


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder that TensorBoard takes for a run."""
    with EventWriter(str(tmp_path / "run")) as writer:
        writer.add_scalars({"loss": 1.0}, 1)
    return tmp_path / "run"


def test_a_matrix_and_its_columns(run: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    rows[2] = np.array([1e-30, -0.0, 3e38], np.float32)
    write_projector(str(run), "centers", rows, {"size": np.arange(5), "name": list("abcde")})
    projector = Projector(run.parent)
    assert projector.runs() == ["run"]
    assert (projector.tensor("run", "centers") == rows).all()
    assert projector.metadata("run", "centers") == [
        ["index", "size", "name"],
        *([str(row), str(row), name] for row, name in enumerate("abcde")),
    ]


def test_no_value_begins_another_column_or_row(run: Path) -> None:
    words = ["a\tb", "c\nd", "e\r\nf", "plain"]
    write_projector(str(run), "dense/kernel", np.ones((4, 2)), {"the\tword": np.array(words)})
    projector = Projector(run.parent)
    assert projector.names("run") == ["dense/kernel"]
    assert projector.tensor("run", "dense/kernel").shape == (4, 2)
    assert projector.metadata("run", "dense/kernel") == [
        ["index", r"the\tword"],
        ["0", r"a\tb"],
        ["1", r"c\nd"],
        ["2", r"e\r\nf"],
        ["3", "plain"],
    ]


def test_files_are_replaced_and_what_a_config_lists_stays(run: Path) -> None:
    (run / "projector_config.pbtxt").write_text(
        'embeddings { tensor_name: "mine" tensor_path: "projector/a.tsv" }'
    )
    for value in (1, 2):
        write_projector(str(run), "a", np.full((2, 2), value), {})
        write_projector(str(run), "b", np.full((3, 2), -value), {})
    projector = Projector(run.parent)
    assert projector.names("run") == ["mine", "a", "b"]
    for name, value in (("mine", 2), ("a", 2), ("b", -2)):
        assert (projector.tensor("run", name) == value).all()
    names = sorted(path.name for path in (run / "projector").iterdir())
    assert names == ["a.tsv", "a_metadata.tsv", "b.tsv", "b_metadata.tsv"]


@pytest.mark.parametrize(("shape", "written"), [((10_007, 1), 10_000), ((3, 2_000_000), 2)])
def test_only_as_many_rows_as_a_browser_can_show(
    run: Path, shape: tuple[int, int], written: int
) -> None:
    write_projector(str(run), "centers", np.ones(shape, np.int8), {"size": np.arange(shape[0])})
    with (run / "projector" / "centers.tsv").open() as file:
        assert sum(1 for _ in file) == written
    assert len(Projector(run.parent).metadata("run", "centers")) == written + 1


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (np.ones(3), {}, r"'centers' must be a matrix for the projector, not of shape \(3,\)"),
        (np.ones((3, 2)), {"size": [1, 2]}, r"'size' has the shape \(2,\), but .* has 3 rows"),
    ],
)
def test_shapes_that_do_not_fit(tmp_path: Path, rows: Any, columns: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_projector(str(tmp_path), "centers", rows, columns)
    assert not list(tmp_path.iterdir())


def test_the_hook_writes_what_the_training_ended_with(tmp_path: Path) -> None:
    hook = ProjectorHook(str(tmp_path / "run"), "deviation", {"length": "length"})
    estimator = Estimator(model_fn, tmp_path / "run").train(lambda: batches(4), hooks=[hook])
    rows = Projector(tmp_path).tensor("run", "deviation")
    assert rows.shape == (3, 2)
    before = (tmp_path / "run" / "projector" / "deviation.tsv").stat().st_mtime_ns
    estimator.train(lambda: iter([]), hooks=[hook])  # no step, no new matrix
    assert (tmp_path / "run" / "projector" / "deviation.tsv").stat().st_mtime_ns == before
