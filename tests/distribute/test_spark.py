"""The bridge to Spark of docs/cluster.md, with a real Spark."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import centroids
from tests.distribute.test_dask import train

pytest.importorskip("pyspark")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java"),
    pytest.mark.filterwarnings("ignore"),
]

PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text(encoding="utf-8")


def test_the_recipe_of_the_page(
    points: NDArray[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas
    from pyspark.sql import SparkSession

    # Its workers would take the first python3 of the PATH, which need not have NumPy.
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    spark = (
        SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    )
    try:
        frame = spark.createDataFrame(pandas.DataFrame(points, columns=["x", "y", "z", "w"]))
        frame.write.parquet(str(tmp_path / "points"))
        kmeans = train(centroids.distribute.ParquetFolder(tmp_path / "points"))
        recipe = re.findall(r"```python\n(import pandas as pd.*?)```", PAGE, flags=re.DOTALL)[0]
        names: dict[str, Any] = {"kmeans": kmeans, "frame": frame}
        exec(recipe.replace('"x", "y"', '"x", "y", "z", "w"'), names)
        found = np.array([row["cluster"] for row in names["labelled"].collect()])
    finally:
        spark.stop()
    once = lambda: centroids.inputs.limit_epochs(points)  # noqa: E731
    assert found.tolist() == [int(index) for index in train(points).predict_cluster_index(once)]
