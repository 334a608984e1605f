"""A .npy file that changes while it is read, and the ways an array can lie in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids.inputs import npy_input_fn

ROWS = np.random.default_rng(5).normal(size=(3000, 4, 3))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("shape", [(36_000,), (9000, 4), (3000, 4, 3), (3000, 2, 2, 3)], ids=str)
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2", "?"])
def test_each_layout_gives_the_rows_of_the_array(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shape: tuple[int, ...],
    order: Any,
    shuffle: bool,
    dtype: str,
) -> None:
    monkeypatch.setitem(npy_input_fn.__globals__, "_BLOCK_BYTES", 1 << 12)  # many blocks
    values = ROWS > 0 if dtype == "?" else ROWS * 100
    array = np.asarray(values.astype(dtype).reshape(shape), order=order)
    np.save(tmp_path / "points.npy", array)
    source = npy_input_fn(tmp_path / "points.npy", 250, shuffle=shuffle, seed=3)()
    batches = list(source)
    rows = np.concatenate(batches)
    assert batches[0].dtype == array.dtype and rows.shape == array.shape
    if not shuffle:
        np.testing.assert_array_equal(rows, array)
        return
    assert not np.array_equal(rows, array)
    flat = rows.reshape(len(rows), -1)
    expected = np.ascontiguousarray(array).reshape(flat.shape)
    by_row = [part[np.lexsort(part.T)] for part in (flat, expected)]
    np.testing.assert_array_equal(*by_row)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("left", [0, 5, 5000, 90_000])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_file_that_is_cut_off_meanwhile_is_an_error_that_names_it(
    tmp_path: Path, order: Any, left: int, shuffle: bool
) -> None:
    path = tmp_path / "points.npy"
    np.save(path, np.asarray(ROWS.reshape(9000, 4), order=order))
    input_fn = npy_input_fn(path, 100, num_epochs=2, shuffle=shuffle)
    given = []
    with pytest.raises(ValueError, match=f"{path} is cut off: it has {left} bytes, the shape"):
        for batch in input_fn():
            given.append(np.array(batch))
            os.truncate(path, left)
    assert given
    np.save(path, ROWS.reshape(9000, 4))
    assert len(list(input_fn())) == 180


def test_a_run_survives_that_its_file_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "points.npy"
    np.save(path, ROWS.reshape(9000, 4))

    class Write(centroids.SessionRunHook):
        def after_run(self, run_context: Any, run_values: Any) -> None:
            if run_context.session.global_step == 3:
                with path.open("wb"):
                    pass  # as numpy.save begins

    model = centroids.KMeansClustering(5, str(tmp_path / "model"))
    with pytest.raises(ValueError, match=r"points\.npy is cut off: it has 0 bytes"):
        model.train(npy_input_fn(path, 100), hooks=[Write()])
    np.save(path, ROWS.reshape(9000, 4))
    model.train(npy_input_fn(path, 100))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_reads_on_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "points.npy"
    np.save(path, ROWS.reshape(9000, 4))
    batches = iter(npy_input_fn(path, 100)())
    next(batches)
    child = os.fork()
    rest = np.concatenate(list(batches))
    same = np.array_equal(rest, ROWS.reshape(9000, 4)[100:])
    if child == 0:
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0 and same


def test_the_command_line_trains_on_what_it_has_read(tmp_path: Path) -> None:
    path = tmp_path / "points.npy"
    np.save(path, ROWS.reshape(9000, 4))
    program = f"""
import centroids
from centroids import cli, KMeansClustering, SessionRunHook

class Write(SessionRunHook):
    def after_run(self, run_context, run_values):
        open({str(path)!r}, "wb").close()

train = KMeansClustering.train
KMeansClustering.train = lambda self, input_fn, hooks, **rest: train(
    self, input_fn, [*hooks, Write()], **rest
)
cli.main()
"""
    command = ["train", str(path), str(tmp_path / "model"), "-k", "4", "--full-batch"]
    result = subprocess.run(
        [sys.executable, "-c", program, *command, "--steps", "9"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0 and "Trained 9 full-batch steps" in result.stdout, result


def test_a_full_batch_is_read_once(tmp_path: Path) -> None:
    np.save(tmp_path / "points.npy", ROWS)
    batches = list(npy_input_fn(tmp_path / "points.npy", 5000, num_epochs=3)())
    np.testing.assert_array_equal(batches[0], ROWS)
    assert batches[1] is batches[0] and batches[2] is batches[0]
    assert not batches[0].flags.writeable
