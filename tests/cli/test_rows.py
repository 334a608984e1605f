"""From a table with blanks to labels beside its rows, and to distances and scores."""

from __future__ import annotations

import csv
import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering, SessionRunHook
from centroids.cli import inference, unfinished
from tests.cli.run_here import run_here as run

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
preprocessing = pytest.importorskip("sklearn.preprocessing")

RANDOM = np.random.default_rng(5)
COLUMNS = ["age", "income", "score"]
ROWS = 1000
BATCH = 300


def make_table() -> Any:
    points = RANDOM.normal(size=(ROWS, 3)) * [10, 5000, 1] + [40, 20000, 5]
    points[RANDOM.random(points.shape) < 0.05] = np.nan
    table = pandas.DataFrame(points.round(3), columns=COLUMNS)
    table.insert(0, "name", [f"row {row}, {row % 7}" for row in range(ROWS)])
    return table


TABLE = make_table()
POINTS = TABLE[COLUMNS].to_numpy()
WHOLE = ~np.isnan(POINTS).any(axis=1)
TRAIN = ("train", "t.csv", "model", "-k", "4", "--id-column", "name", "--standardize")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    TABLE.to_parquet(tmp_path / "t.parquet", row_group_size=170)
    monkeypatch.setattr(inference, "_BATCH_SIZE", BATCH)
    return tmp_path


def expected(folder: Path, *, fills: bool) -> np.ndarray:
    """All distances, by scikit-learn's scaler in float64; NaN where a row has no answer."""
    model = KMeansClustering(
        4, str(folder / "model"), missing="mean" if fills else "raise", standardize=True
    )
    scaler = preprocessing.StandardScaler().fit(POINTS if fills else POINTS[WHOLE])
    points = scaler.transform(POINTS)
    centers = scaler.transform(model.cluster_centers())
    points = np.nan_to_num(points) if fills else points
    return np.asarray(((points[:, None] - centers) ** 2).sum(axis=2))


def read(path: Path) -> Any:
    return pandas.read_csv(path) if path.suffix == ".csv" else pandas.read_parquet(path)


@pytest.mark.parametrize("mode", ["--full-batch", "--mini-batch"])
@pytest.mark.parametrize("points", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("output", ["labels.csv", "labels.parquet"])
def test_labels_go_back_to_the_rows(folder: Path, mode: str, points: str, output: str) -> None:
    run(folder, *TRAIN, mode, "--missing", "mean")
    told = run(folder, "predict", "model", points, "--id-column", "name", "--output", output)
    assert told.stderr == f"Wrote 1,000 rows to {output}\n"
    labels = read(folder / output)
    assert list(labels) == ["name", "cluster"]
    assert (labels["name"] == TABLE["name"]).all()
    np.testing.assert_array_equal(labels["cluster"], expected(folder, fills=True).argmin(axis=1))


@pytest.mark.parametrize("output", ["labels.csv", "labels.parquet"])
def test_a_row_that_cannot_be_labelled_has_an_empty_label(folder: Path, output: str) -> None:
    told = run(folder, *TRAIN, "--missing", "drop").stderr
    assert f"Dropped {(~WHOLE).sum()} of 1,000 rows" in told
    options = ["--append", "--distance", "--second-best", "-o", output]
    told = run(folder, "predict", "model", "t.csv", *options).stderr
    assert f"{(~WHOLE).sum()} of 1,000 rows have no label" in told
    labels, distances = read(folder / output), expected(folder, fills=False)
    pandas.testing.assert_frame_equal(labels[list(TABLE)], TABLE, check_dtype=False)
    made = ["cluster", "cluster_distance", "second_cluster", "second_cluster_distance"]
    assert list(labels) == [*TABLE, *made] and labels.loc[~WHOLE, made].isna().all(axis=None)
    order = np.argsort(distances[WHOLE], axis=1)
    for rank, name in enumerate(("cluster", "second_cluster")):
        np.testing.assert_array_equal(labels[name][WHOLE], order[:, rank])
        nearest = np.take_along_axis(distances[WHOLE], order[:, [rank]], 1)[:, 0]
        np.testing.assert_allclose(labels[f"{name}_distance"][WHOLE], nearest, rtol=1e-8)


def test_numbers_alone_say_it_too(folder: Path) -> None:
    run(folder, *TRAIN, "--missing", "drop")
    labels = expected(folder, fills=False)[WHOLE].argmin(axis=1)
    run(folder, "predict", "model", "t.parquet", "-o", "labels.npy")
    found = np.load(folder / "labels.npy")
    np.testing.assert_array_equal(found[WHOLE], labels)
    assert (found[~WHOLE] == -1).all()
    lines = run(folder, "predict", "model", "t.csv").stdout.splitlines()
    assert lines == [str(label) if label >= 0 else '""' for label in found.tolist()]
    run(folder, "predict", "model", "t.csv", "--distance", "-o", "pairs.npy")
    pairs = np.load(folder / "pairs.npy")
    np.testing.assert_array_equal(pairs["cluster"], found)
    assert np.isnan(pairs["cluster_distance"][~WHOLE]).all()
    told = run(folder, "predict", "model", "t.csv", "--append", "-o", "x.npy", code=2).stderr
    assert "column 'name' is of type" in told and ".csv or a .parquet" in told
    assert not list(folder.glob("x.npy*"))


def test_transform_and_score(folder: Path) -> None:
    run(folder, *TRAIN, "--missing", "mean")
    distances = expected(folder, fills=True)
    run(folder, "transform", "model", "t.csv", "--output", "d.npy")
    np.testing.assert_allclose(np.load(folder / "d.npy"), distances, rtol=1e-8)
    run(folder, "transform", "model", "t.csv", "--id-column", "name", "-o", "d.parquet")
    found = read(folder / "d.parquet")
    assert list(found) == ["name", *(f"distance_{cluster}" for cluster in range(4))]
    np.testing.assert_allclose(found.iloc[:, 1:], distances, rtol=1e-8)
    score = float(run(folder, "score", "model", "t.csv").stdout)
    np.testing.assert_allclose(score, distances.min(axis=1).sum(), rtol=1e-9)
    assert "sum of distances" in run(folder, "evaluate", "model", "t.csv").stdout


def test_an_infinite_value_has_no_label_even_where_means_are_filled_in(folder: Path) -> None:
    run(folder, *TRAIN, "--missing", "mean")
    table = TABLE[:50].copy()
    table.loc[7, "income"] = np.inf
    table.to_parquet(folder / "inf.parquet")
    told = run(folder, "predict", "model", "inf.parquet", "-o", "l.parquet").stderr
    assert "1 of 50 rows have no label" in told
    assert np.flatnonzero(read(folder / "l.parquet")["cluster"].isna()).tolist() == [7]


@pytest.mark.parametrize("points", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("output", ["out.csv", "out.npy"])
def test_an_interrupted_table_is_continued(
    folder: Path, points: str, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "_SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(unfinished, "_SAVING_SHARE", float("inf"))
    run(folder, *TRAIN, "--missing", "mean")
    ids = ["--id-column", "name"] if output == "out.csv" else []
    command = ["predict", "model", points, *ids, "--second-best", "-o", output]
    run(folder, *command)
    whole = (folder / output).read_bytes()
    (folder / output).unlink()
    with monkeypatch.context() as patched:
        patched.setattr(inference, "ProgressBarHook", _failing_after(2))
        told = run(folder, *command, code=1).stderr
    assert f"{output}.centroids-partial holds" in told and not (folder / output).exists()
    assert "Continuing after" in run(folder, *command, "--resume").stderr
    assert (folder / output).read_bytes() == whole


def _failing_after(count: int) -> Callable[..., SessionRunHook]:
    class Failing(SessionRunHook):
        def __init__(self, **unused: Any) -> None:
            self._left = count

        def after_run(self, run_context: Any, run_values: Any) -> None:
            self._left -= 1
            if self._left < 0:
                raise OSError(errno.EIO, "broken")

    return Failing


def test_a_parquet_file_is_whole_or_not_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder, *TRAIN, "--missing", "mean")
    before = sorted(folder.iterdir())
    command = ["predict", "model", "t.csv", "-o", "out.parquet"]
    with monkeypatch.context() as patched:
        patched.setattr(inference, "ProgressBarHook", _failing_after(2))
        run(folder, *command, code=1)
    assert sorted(folder.iterdir()) == before
    told = run(folder, *command, "--resume", code=2).stderr
    assert "--resume is for .npy and .csv files" in told


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["train", "t.csv", "new", "-k", "3"], "column 'name': 'row 0, 0' is not a number"),
        (["train", "t.csv", "new", "-k", "3"], "if it names the rows, say so with --id-column"),
        (["train", "t.parquet", "new", "-k", "3"], "t.parquet['name'] must hold numbers"),
        (["train", "t.parquet", "new", "-k", "3"], "say so with --id-column"),
        (["train", "t.csv", "new", "-k", "3", "--columns", "age:score"], "--missing mean fills"),
        (["train", "t.csv", "new", "-k", "3", "--columns", "score:age"], "write age:score"),
        (["train", "t.csv", "new", "-k", "3", "--columns", "age:no"], "no column 'no'"),
        (["train", "t.csv", "new", "-k", "3", "--id-column", "no"], "no column 'no'"),
        (["train", "x.npy", "new", "-k", "3", "--id-column", "a"], "files with named columns"),
        (["predict", "model", "t.csv", "--id-column", "no"], "no column 'no'"),
        (["predict", "model", "x.npy", "--append"], "files with named columns"),
        (["predict", "model", "t.csv", "--append", "--id-column", "name"], "leave one out"),
        (["predict", "model", "t.csv", "--distances", "--distance"], "leave it out"),
        (["predict", "model", "ragged.csv", "--append"], "line 3: 2 fields"),
        (
            ["predict", "model", "text.csv", "--append"],
            "text.csv, line 4, column 'age': 'x' is not a number",
        ),
        (["predict", "model", "taken.csv", "--append"], "'cluster', but a column of that name"),
        (["evaluate", "model", "t.csv", "--missing", "drop"], "leave --missing out"),
        (["train", "t.csv", "model", "--no-standardize"], "does standardize its columns"),
        (["train", "t.csv", "model", "--missing", "drop"], "--missing is drop"),
        (["export", "model", "c.faiss"], "this model prepares them"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    folder: Path, command: list[str], message: str
) -> None:
    run(folder, *TRAIN, "--missing", "mean")
    np.save(folder / "x.npy", np.zeros((5, 3)))
    head = "name,age,income,score\n"
    (folder / "ragged.csv").write_text(f"{head}a,1,2,3\nb,2\n")
    (folder / "text.csv").write_text(f"{head}a,1,2,3\nb,2,3,4\nc,x,1,2\n")
    (folder / "taken.csv").write_text("cluster,age,income,score\n1,1,2,3\n")
    before = sorted(folder.rglob("*"))
    told = run(folder, *command, code=2)
    assert message in told.stderr and len(told.stderr.splitlines()) == 1
    assert not told.stdout
    assert sorted(folder.rglob("*")) == before


def test_settings_are_kept(folder: Path) -> None:
    run(folder, *TRAIN, "--missing", "mean", "--steps", "2")
    run(folder, "train", "t.csv", "model", "--steps", "1")
    shown = run(folder, "inspect", "model").stdout
    assert "points: missing values become means, columns are standardized" in shown
    assert "columns: age,income,score" in shown
    told = run(folder, "train", "t.csv", "model", "--fresh").stdout
    assert "--missing mean --standardize --id-column name" in told
    assert run(folder, "inspect", "model", "--points", "t.csv").stdout
    run(folder, "export", "model", "c.csv")
    model = KMeansClustering(4, str(folder / "model"), missing="mean", standardize=True)
    exported = np.loadtxt(folder / "c.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(exported, model.cluster_centers())


@pytest.mark.parametrize("missing", ["drop", "mean"])
def test_blanks_are_missing_in_both_modes_and_all_spellings(folder: Path, missing: str) -> None:
    lines = ["1,2", ",4", "NA,5", "7,null", "8,9", '"",3', "2,1", "9,9"]
    (folder / "blanks.csv").write_text("a,b\n" + "\n".join(lines) + "\n")
    points = pandas.read_csv(folder / "blanks.csv")[["a", "b"]]
    kept = points.fillna(points.mean()) if missing == "mean" else points.dropna()
    kept.to_csv(folder / "kept.csv", index=False)
    for mode in ("--full-batch", "--mini-batch"):
        centers = []
        for file, more in (("blanks.csv", ["--missing", missing]), ("kept.csv", [])):
            folder_of_model = f"{file}{mode}"
            (folder / "first.csv").write_text("a,b\n1,2\n9,9\n")
            options = ["--initial-clusters", "first.csv", mode]
            run(folder, "train", file, folder_of_model, *options, *more)
            run(folder, "export", folder_of_model, "c.npy")
            centers.append(np.load(folder / "c.npy"))
        if mode == "--full-batch":
            np.testing.assert_allclose(centers[0], centers[1], rtol=1e-12)
        else:
            assert np.isfinite(centers[0]).all()


@pytest.mark.parametrize("options", [["--id-column", "id"], ["--append", "--columns", "a"]])
def test_names_of_rows_stay_as_they_are_written(options: list[str], tmp_path: Path) -> None:
    """Numbers that are names: zeros in front, more digits than a float64 has, one that is blank."""
    names = ["007", "42", "12345678901234567890", "", "1e5"]
    lines = [f"{name},{row // 3}" for row, name in enumerate(names)]
    (tmp_path / "t.csv").write_text("\n".join(["id,a", *lines, ""]))
    run(tmp_path, "train", "t.csv", "model", "-k", "2", "--id-column", "id")
    run(tmp_path, "predict", "model", "t.csv", *options, "-o", "out.csv")
    rows = list(csv.reader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row[0] for row in rows] == ["id", *names]
    if "--append" not in options:
        run(tmp_path, "predict", "model", "t.csv", *options, "-o", "out.parquet")
        assert list(read(tmp_path / "out.parquet")["id"]) == names
        run(tmp_path, "predict", "model", "t.csv", *options, "-o", "out.npy")
        assert np.load(tmp_path / "out.npy")["id"][0] == 7  # there they must be numbers


def test_sparse_points_have_no_columns_to_append_to(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    (tmp_path / "t.svm").write_text("0 1:1 2:2\n0 1:5 2:7\n")
    run(tmp_path, "train", "t.svm", "model", "-k", "2")
    told = run(tmp_path, "predict", "model", "t.svm", "--append", "-o", "out.csv", code=2).stderr
    assert told.endswith("--append is for files with named columns; t.svm has none\n")


@pytest.mark.parametrize("missing", ["drop", "mean"])
def test_a_row_of_nothing_but_tabs_keeps_its_place(folder: Path, missing: str) -> None:
    lines = ["a\tb\tc", "\t\t", "1\t2\t3", "", "\t\t\t", "\t\t", "8\t9\t9", "2\t1\t", "\t\t"]
    (folder / "t.tsv").write_text("\n".join(lines) + "\n")
    points = pandas.read_csv(folder / "t.tsv", sep="\t", skiprows=[3, 4])
    assert len(points) == 6
    kept = points.dropna() if missing == "drop" else points.fillna(points.mean())
    for mode in ("--full-batch", "--mini-batch"):
        model = f"model{mode}"
        run(folder, "train", "t.tsv", model, "-k", "2", mode, "--missing", missing)
        found = json.loads(run(folder, "evaluate", model, "t.tsv", "--json").stdout)
        assert found["num_points"] == len(kept)
        run(folder, "predict", model, "t.tsv", "-o", "l.npy")
        labels = np.load(folder / "l.npy")
        assert labels.shape == (6,)
        assert (labels[points.isna().any(axis=1)] == -1).all() == (missing == "drop")
        run(folder, "predict", model, "t.tsv", "--append", "-o", "l.csv")
        table = pandas.read_csv(folder / "l.csv")
        pandas.testing.assert_frame_equal(table[list("abc")], points, check_dtype=False)
        assert table["cluster"].fillna(-1).tolist() == labels.tolist()
    told = run(folder, "train", "t.tsv", "new", "-k", "2", code=2).stderr
    assert "t.tsv, line 2, column 'a'" in told
