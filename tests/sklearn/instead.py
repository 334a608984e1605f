"""A pytest plugin: scikit-learn's own tests of k-means, with our classes in the place of theirs.

    python -m pytest --pyargs sklearn.cluster.tests.test_k_means -p tests.sklearn.instead

Tests that `excluded.toml` names are left out; one that it names and nobody has is an error.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import sklearn.cluster
import sklearn.cluster._kmeans

import centroids.sklearn

EXCLUDED = Path(__file__).with_name("excluded.toml")


def pytest_configure() -> None:
    """Before the tests are imported, and import these names themselves."""
    for name in centroids.sklearn.__all__:
        setattr(sklearn.cluster, name, getattr(centroids.sklearn, name))
    # The function k_means, which is not ours, fits the class that it finds here.
    sklearn.cluster._kmeans.KMeans = centroids.sklearn.KMeans


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    excluded = tomllib.loads(EXCLUDED.read_text(encoding="utf-8"))
    names = {item.name.partition("[")[0] for item in items}
    if unknown := excluded.keys() - names:
        raise pytest.UsageError(f"{EXCLUDED.name} has tests that there are not: {sorted(unknown)}")
    out = [item for item in items if item.name.partition("[")[0] in excluded]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]
