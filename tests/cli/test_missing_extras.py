"""What needs an extra that is not installed says which, before any work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

MISSING = ["pyarrow", "matplotlib", "h5py", "aiohttp", "sklearn", "onnx"]
RUN = f"""
import sys
for name in {MISSING}:
    sys.modules[name] = None
from centroids.cli import main
sys.argv = ["centroids", *sys.argv[1:]]
main()
"""


def test_only_sparse_tensors_need_scipy(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["scipy"] = None
import numpy as np
import centroids
points = np.random.default_rng(0).normal(size=(200, 3))
kmeans = centroids.KMeansClustering(2, "m").train(lambda: points, steps=3)
labels = list(kmeans.predict_cluster_index(lambda: iter([points])))
np.save("p.npy", points)
tensor = centroids.inputs.SparseTensorValue([[0, 1]], [2.0], (2, 3))
try:
    kmeans.train(lambda: tensor, steps=1)
except ImportError as error:
    print(error)
from centroids.cli import main
sys.argv = ["centroids", "report", "m", "p.npy", "--output", "r.html"]
main()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    said = "needs scipy; install it with: pip install 'centroids[sparse]'"
    assert done.stdout.splitlines()[0].endswith(said)
    assert (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("choose-k p.npy --plot k.png", "--plot needs matplotlib; {}'centroids[plot]'"),
        ("train t.h5 m --num-clusters 2", "reading t.h5 needs h5py; {}'centroids[arrays]'"),
        (
            "train https://a.invalid/t.parquet m --num-clusters 2",
            "reading https:// addresses needs aiohttp; {}'centroids[tables]'",
        ),
        (
            "train t.svm m --num-clusters 2",
            "reading a file of SVMLight needs scikit-learn; {}'centroids[sklearn]'",
        ),
        (
            "train t.parquet m --num-clusters 2",
            "reading Parquet files needs pyarrow; {}'centroids[arrow]'",
        ),
    ],
)
def test_the_extra_is_named(command: str, said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.zeros((9, 2), np.float32))
    for name in ("t.h5", "t.svm", "t.parquet"):
        (tmp_path / name).write_text("1 1:2\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *command.split()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == f"centroids: {said.format('install it with: pip install ')}\n"
