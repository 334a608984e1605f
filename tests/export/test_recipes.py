"""Programs of docs/serving.md for other servers, run with stand-ins for what they are served by."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering

pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
POINTS = np.array([[0.0, 0.0], [0.0, 2.0], [9.0, 0.0], [9.0, 2.0]], np.float32)


def program_with(text: str) -> str:
    """The only program of the page that has a text in it."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [block for block in blocks if text in block]
    return str(block)


class Tensor:
    """As in triton_python_backend_utils."""

    def __init__(self, name: str, array: np.ndarray) -> None:
        self.name, self.array = name, array

    def as_numpy(self) -> np.ndarray:
        return self.array


def test_the_python_backend_of_triton(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    model = KMeansClustering(2, initial_clusters=POINTS[[0, 3]], use_mini_batch=False)
    (tmp_path / "1").mkdir()
    path = model.train(lambda: POINTS, steps=5).export_onnx(tmp_path / "kmeans.onnx")
    shutil.copy(path, tmp_path / "1")
    utils: Any = ModuleType("triton_python_backend_utils")
    utils.Tensor = Tensor
    utils.InferenceResponse = lambda output_tensors: output_tensors
    utils.get_input_tensor_by_name = lambda request, name: request.inputs[name]
    monkeypatch.setitem(sys.modules, utils.__name__, utils)
    names: dict[str, Any] = {}
    exec(program_with("TritonPythonModel"), names)
    served = names["TritonPythonModel"]()
    served.initialize({"model_repository": str(tmp_path), "model_version": "1"})
    asked = [np.array([[1, 1], [8, 1]], np.float32), np.zeros((0, 2), np.float32)]
    requests = [SimpleNamespace(inputs={"points": Tensor("points", points)}) for points in asked]
    first, second = served.execute(requests)
    assert [tensor.name for tensor in first] == ["cluster_index", "all_distances"]
    np.testing.assert_array_equal(first[0].array, [0, 1])
    np.testing.assert_array_equal(first[1].array, [[1, 64], [64, 1]])
    assert second[0].array.shape == (0,) and second[1].array.shape == (0, 2)


def test_mlflow(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    model = KMeansClustering(2, initial_clusters=POINTS[[0, 3]], use_mini_batch=False)
    model.train(lambda: POINTS, steps=5).export_onnx(tmp_path / "kmeans.onnx")
    # In a process of its own, as a reader runs it: pytest makes mlflow's warnings at import errors.
    program = program_with("mlflow.onnx.save_model")
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[0 1]")
