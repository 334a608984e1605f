"""choose-k, inspect and report treat missing values and units as the model does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids.cli import choosing
from tests.cli.run_here import run_here as run
from tests.points_with_blanks import BLANK, POINTS, ROWS, WEIGHTS

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
preprocessing = pytest.importorskip("sklearn.preprocessing")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    table = pandas.DataFrame(POINTS, columns=["small", "large"])
    table.insert(0, "name", [f"row {row}" for row in range(ROWS)])
    table["count"] = WEIGHTS
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    return tmp_path


def choose(folder: Path, *arguments: str) -> Any:
    return json.loads(run(folder, "choose-k", *arguments, "-k", "2-5", "--json").stdout)


def prepared(missing: str, *, standardize: bool, weights: Any = None) -> Any:
    """By scikit-learn's scaler, and NumPy's mean, in float64."""
    points = POINTS[~BLANK] if missing == "drop" else POINTS
    weights = weights[~BLANK] if missing == "drop" and weights is not None else weights
    scaler = preprocessing.StandardScaler(with_std=standardize).fit(points, sample_weight=weights)
    centered = np.nan_to_num(scaler.transform(points))
    return centered if standardize else centered + scaler.mean_


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("file", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("missing", ["drop", "mean"])
@pytest.mark.parametrize("standardize", [False, True])
def test_the_points_are_those_that_a_model_clusters(
    folder: Path,
    file: str,
    missing: str,
    standardize: bool,
    sampled: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if sampled:
        monkeypatch.setattr(choosing, "_SAMPLE_ROWS", 120)
    more = ["--standardize"] if standardize else []
    columns = ["--id-column", "name", "--columns", "small,large"]
    found = choose(folder, file, *columns, "--missing", missing, *more)
    points = prepared(missing, standardize=standardize)
    assert found["num_points"] == len(points)
    np.save(folder / "p.npy", points)
    itself = choose(folder, "p.npy")
    assert found["num_clusters"] == itself["num_clusters"]
    if sampled:  # other rows, as the file holds others
        inertia = [each["inertia"] for each in itself["candidates"]]
        got = [each["inertia"] for each in found["candidates"]]
        np.testing.assert_allclose(got, inertia, rtol=0.2)
        return
    for each, other in zip(found["candidates"], itself["candidates"], strict=True):
        np.testing.assert_allclose([*each.values()], [*other.values()], rtol=1e-9)


def test_scales_show_what_units_hide(folder: Path) -> None:
    mean = ["t.csv", "--columns", "small,large", "--missing", "mean"]
    assert choose(folder, *mean)["num_clusters"] == 2
    assert choose(folder, *mean, "--standardize")["num_clusters"] == 3


@pytest.mark.parametrize("file", ["t.csv", "t.parquet"])
def test_weights_count_in_means_and_deviations(folder: Path, file: str) -> None:
    # All but the ids and the weights are points.
    options = ["--id-column", "name", "--weight-column", "count", "--missing", "mean"]
    found = choose(folder, file, *options, "--standardize")
    points = prepared("mean", standardize=True, weights=WEIGHTS)
    table = pandas.DataFrame(points, columns=["a", "b"])
    table["count"] = WEIGHTS
    table.to_parquet(folder / "p.parquet")
    itself = choose(folder, "p.parquet", "--weight-column", "count")
    assert found["total_weight"] == WEIGHTS.sum()
    for each, other in zip(found["candidates"], itself["candidates"], strict=True):
        np.testing.assert_allclose([*each.values()], [*other.values()], rtol=1e-9)


def test_the_inertia_is_the_score_of_the_model_of_train(folder: Path) -> None:
    options = ["t.csv", "--id-column", "name", "--columns", "small,large"]
    how = ["--missing", "mean", "--standardize"]
    run(folder, "train", options[0], "model", *options[1:], *how, "-k", "3")
    score = float(run(folder, "score", "model", "t.csv").stdout)
    found = choose(folder, *options, *how)["candidates"][1]
    assert found["num_clusters"] == 3 and found["inertia"] == pytest.approx(score, rel=1e-3)


def test_arrays_are_prepared_too(folder: Path) -> None:
    np.save(folder / "x.npy", POINTS.astype(np.float32))
    np.save(folder / "one.npy", POINTS[:, 1])
    assert choose(folder, "x.npy", "--missing", "drop")["num_points"] == (~BLANK).sum()
    found = choose(folder, "x.npy", "--missing", "mean", "--standardize")
    assert (found["num_clusters"], found["num_points"]) == (3, ROWS)
    assert choose(folder, "one.npy", "--standardize")["num_points"] == ROWS


def test_left_out_rows_are_counted_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_SAMPLE_ROWS", 120)
    columns = ["--columns", "small,large", "--missing", "drop", "--standardize", "-k", "2-3"]
    told = run(folder, "choose-k", "t.csv", *columns).stderr
    assert told.count(f"Dropped {BLANK.sum()} of {ROWS} rows") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["t.csv", "--columns", "small,large"], "--missing mean fills them"),
        (["t.csv"], "say so with --id-column"),
        (["p.svm", "--standardize"], "sparse points cannot be standardized"),
        (["none.csv", "--missing", "mean"], "column 'b' has no value"),
        (["inf.npy", "--missing", "mean"], "inf"),
    ],
)
def test_what_cannot_be_prepared_is_said_in_one_line(
    folder: Path, arguments: list[str], message: str
) -> None:
    (folder / "p.svm").write_text("".join(f"0 1:{row} 3:2\n" for row in range(9)))
    (folder / "none.csv").write_text("a,b\n" + "".join(f"{row % 4},\n" for row in range(9)))
    np.save(folder / "inf.npy", np.array([[1.0, np.inf], *([[2.0, np.nan]] * 8)]))
    told = run(folder, "choose-k", *arguments, "-k", "2-3", code=2).stderr
    assert message in told and len(told.splitlines()) == 1


def test_its_help_names_no_model(folder: Path) -> None:
    told = " ".join(run(folder, "choose-k", "--help").stdout.split())
    assert "as for the model" not in told and "of the model" not in told


@pytest.mark.parametrize("file", ["t.csv", "t.parquet", "x.npy"])
def test_a_model_that_leaves_rows_out_is_shown_without_them(folder: Path, file: str) -> None:
    np.save(folder / "x.npy", POINTS)
    columns = [] if file == "x.npy" else ["--columns", "small,large"]
    run(folder, "train", file, "model", *columns, "-k", "3", "--missing", "drop", "--standardize")
    shown = run(folder, "inspect", "model", "--points", file, "--nearest", "500", "--json")
    assert f"Dropped {BLANK.sum()} of {ROWS} rows" in shown.stderr
    found = json.loads(shown.stdout)
    assert found["num_points"] == (~BLANK).sum()
    score = float(run(folder, "score", "model", file).stdout)
    assert found["sum_of_distances"] == pytest.approx(score)
    rows = [each["row"] for cluster in found["clusters"] for each in cluster["nearest"]]
    assert sorted(rows) == np.flatnonzero(~BLANK).tolist()
    told = run(folder, "report", "model", file, "--no-umap")
    assert told.stderr.count(f"Dropped {BLANK.sum()} of {ROWS} rows") == 1
    told = run(folder, "report", "model", file, "--no-umap", "--json")
    assert json.loads(told.stdout)["num_points"] == (~BLANK).sum()


def test_bad_rows_and_missing_values_are_left_out_beside_each_other(folder: Path) -> None:
    points = np.array([[0.0], [np.nan], [1.0], [np.inf], [9.0]])
    np.save(folder / "x.npy", points)
    run(folder, "train", "x.npy", "model", "-k", "2", "--missing", "drop", "--bad-rows", "drop")
    command = ["inspect", "model", "--points", "x.npy", "--json"]
    found = json.loads(run(folder, *command, "--bad-rows", "drop").stdout)
    rows = [each["row"] for cluster in found["clusters"] for each in cluster["nearest"]]
    assert sorted(rows) == [0, 2, 4]
    assert "--bad-rows drop" in run(folder, *command, code=2).stderr
    np.save(folder / "none.npy", np.full((4, 1), np.nan))
    told = run(folder, "inspect", "model", "--points", "none.npy", code=2).stderr
    assert "all 4 rows of the input have missing values" in told
