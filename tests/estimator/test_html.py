"""An Estimator as notebooks show it."""

from __future__ import annotations

import builtins
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids


class Cells(HTMLParser):
    """The tags and the rows of a table."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows:
            self.rows[-1][-1] += data


def cells(estimator: centroids.Estimator) -> dict[str, str]:
    found = Cells(estimator._repr_html_())
    assert found.tags <= {"table", "caption", "tbody", "tr", "th", "td", "code", "b"}
    return {key: value for key, value in found.rows}


def test_it_says_what_the_model_is_and_how_far(tmp_path: Path) -> None:
    config = centroids.RunConfig(tf_random_seed=7, save_checkpoints_steps=2)
    points = np.array([[0.0], [1.0], [9.0]])
    model = centroids.KMeansClustering(
        2, str(tmp_path), initial_clusters=points[:2], use_mini_batch=False, config=config
    )
    before = cells(model)
    assert (before["model_dir"], before["trained"]) == (str(tmp_path), "not yet")
    assert before["num_clusters"] == "2"
    assert before["distance_metric"] == "'squared_euclidean'"
    assert before["config.save_checkpoints_steps"] == "2"
    assert list(tmp_path.iterdir()) == []
    model.train(lambda: points, steps=3)
    assert cells(model)["trained"] == "3 steps (model.ckpt-3.safetensors)"


def test_values_are_text_and_short(tmp_path: Path) -> None:
    def model_fn(features: Any) -> Any:
        raise AssertionError("nothing is trained")

    hostile = '<script>alert("1")</script>'
    params = {hostile: hostile, "centers": np.zeros((5000, 300)), "long": "x" * 10_000, "n\x1b": 1}
    params |= {f"p{number}": number for number in range(500)}
    estimator = centroids.Estimator(model_fn, str(tmp_path / "<b>"), params=params)
    shown = cells(estimator)
    assert shown[hostile] == repr(hostile)
    assert shown["centers"] == "ndarray of shape (5000, 300)"
    assert shown["model_dir"].endswith("<b>")
    assert len(shown["long"]) == 120
    assert shown["..."] == "464 more"
    assert len(estimator._repr_html_()) < 10_000
    assert "\x1b" not in estimator._repr_html_()
    assert not (tmp_path / "<b>").exists()


def test_no_checkpoint_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.array([[0.0], [1.0], [9.0]])
    model = centroids.KMeansClustering(2, str(tmp_path), initial_clusters=points[:2])
    model.train(lambda: points, steps=3)
    opened, plain = [], builtins.open

    def remember(file: Any, *arguments: Any, **named: Any) -> Any:
        opened.append(os.path.basename(str(file)))
        return plain(file, *arguments, **named)

    monkeypatch.setattr(builtins, "open", remember)
    assert "3 steps" in cells(model)["trained"]
    assert opened in ([], ["checkpoint"])


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path) -> None:
    model = centroids.KMeansClustering(2, str(tmp_path / "gone" / "too"))
    assert cells(model)["trained"] == "not yet"
