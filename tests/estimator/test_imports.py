"""What the runtime imports, and when."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

IMPORT_ONLY = """
import sys
import centroids.estimator
late = {"safetensors", "tensorboard", "google.protobuf", "rich", "tensorflow", "torch"}
print(sorted(late & set(sys.modules)))
"""

WHOLE_RUN = """
import sys, tempfile
from tests.estimator.online_mean import batches, model_fn
from centroids.estimator import Estimator, ProjectorHook
with tempfile.TemporaryDirectory() as folder:
    estimator = Estimator(model_fn, folder, params={"rate": 2}).train(
        batches, hooks=[ProjectorHook(folder, "deviation", {})]
    )
    estimator.evaluate(batches)
    list(estimator.predict(batches))
print(sorted({"tensorflow", "torch"} & set(sys.modules)))
"""


def run(code: str, first: str = "") -> str:
    path = os.pathsep.join(entry for entry in (first, str(ROOT), *sys.path) if entry)
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.check_output([sys.executable, "-c", code], env=environment, text=True).strip()


def test_heavy_packages_are_imported_when_they_are_used() -> None:
    assert run(IMPORT_ONLY) == "[]"


def test_event_files_are_written_without_tensorboard(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "tensorboard" / "__init__.py").write_text("raise ImportError('an extra')")
    assert run(WHOLE_RUN, first=str(tmp_path)) == "[]"


def test_tensorflow_is_never_imported_even_when_it_is_there(tmp_path: Path) -> None:
    # TensorBoard takes TensorFlow where it finds it, unless one keeps to its lower layers.
    for name in ("tensorflow", "torch"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    assert run(WHOLE_RUN, first=str(tmp_path)) == "[]"
