"""What train does by itself: first centers, when it stops, and what it says at the end."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import centroids
from centroids.cli import sampling, training
from centroids.cli.outcome import Outcome
from centroids.cli.points_file import PointsFile
from tests.cli.run_here import run_here as run

RANDOM = np.random.default_rng(11)
BLOBS = np.array([[0, 0], [100, 0], [0, 100], [100, 100], [50, 50]], np.float64)
POINTS = np.concatenate([RANDOM.normal(blob, 1, (100, 2)) for blob in BLOBS])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "points.npy", POINTS)
    np.savetxt(tmp_path / "points.csv", POINTS, delimiter=",", header="x,y", comments="")
    return tmp_path


def sum_of_squares(points: NDArray[Any], centers: NDArray[Any]) -> float:
    """In float64, by direct differences."""
    differences = points[:, None].astype(np.float64) - centers[None].astype(np.float64)
    return float(np.square(differences).sum(axis=2).min(axis=1).sum())


def centers_of(folder: Path, model: str = "model") -> NDArray[Any]:
    return centroids.KMeansClustering(5, folder / model).cluster_centers()


@pytest.mark.parametrize("mode", ["--full-batch", "--mini-batch"])
@pytest.mark.parametrize("name", ["points.npy", "points.csv"])
def test_the_first_centers_are_spread_by_default(folder: Path, name: str, mode: str) -> None:
    best = sum_of_squares(POINTS, np.array([p.mean(axis=0) for p in np.split(POINTS, 5)]))
    for seed in range(4):
        options = ["-k", "5", "--seed", f"{seed}", mode]
        run(folder, "train", name, f"{seed}", *options)
        assert sum_of_squares(POINTS, centers_of(folder, f"{seed}")) < 1.1 * best


@pytest.mark.parametrize("mode", ["--full-batch", "--mini-batch"])
def test_the_first_centers_may_be_drawn_by_rejection(folder: Path, mode: str) -> None:
    options = ["-k", "5", "--initial-clusters", "kmeans_rejection", mode]
    run(folder, "train", "points.npy", "model", *options)
    best = sum_of_squares(POINTS, np.array([p.mean(axis=0) for p in np.split(POINTS, 5)]))
    assert sum_of_squares(POINTS, centers_of(folder)) < 1.1 * best
    options += ["--kmeans-plus-plus-num-retries", "2"]
    told = run(folder, "train", "points.npy", "other", *options, code=2)
    assert "but that is kmeans_rejection: leave one out" in told.stderr


@pytest.mark.parametrize("mode", ["--full-batch", "--mini-batch"])
def test_the_first_centers_may_be_drawn_many_at_once(folder: Path, mode: str) -> None:
    best = sum_of_squares(POINTS, np.array([p.mean(axis=0) for p in np.split(POINTS, 5)]))
    options = ["-k", "5", "--initial-clusters", "kmeans_parallel", mode]
    run(folder, "train", "points.npy", "model", *options, "--kmeans-plus-plus-num-retries", "2")
    assert sum_of_squares(POINTS, centers_of(folder)) < 1.1 * best
    told = run(folder, "train", "points.npy", "other", "-k", "5", "--initial-clusters", "k", code=2)
    assert "must be random, kmeans_plus_plus, kmeans_parallel, kmeans_rejection, or" in told.stderr


def test_mini_batches_may_be_smaller_than_the_number_of_clusters(folder: Path) -> None:
    for name in ("points.npy", "points.csv"):
        options = ["-k", "200", "--batch-size", "50", "--epochs", "1"]
        assert (
            "Trained 10 mini-batch steps" in run(folder, "train", name, name[7:], *options).stdout
        )
    np.testing.assert_array_equal(centers_of(folder, "npy"), centers_of(folder, "csv"))


@pytest.mark.parametrize(
    "method", ["kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection", "random"]
)
@pytest.mark.parametrize("mode", ["--full-batch", "--mini-batch"])
def test_more_clusters_than_points_are_refused_with_the_true_numbers(
    folder: Path, mode: str, method: str
) -> None:
    for name in ("points.npy", "points.csv"):
        options = ["-k", "2000", mode, "--initial-clusters", method]
        told = run(folder, "train", name, "model", *options, code=2).stderr
        assert told == (
            f"centroids: --num-clusters is 2,000, but {name} has only 500 points: use fewer "
            "clusters or more points\n"
        )
        assert not (folder / "model").exists()


def test_a_sample_takes_each_row_with_the_same_probability(tmp_path: Path) -> None:
    rows = np.arange(40_000, dtype=np.float64)
    np.save(tmp_path / "rows.npy", rows)
    np.savetxt(tmp_path / "rows.csv", rows, fmt="%d")
    for name in ("rows.npy", "rows.csv"):
        file = PointsFile(tmp_path / name)
        drawn = [_draw(file, seed) for seed in (0, 0, 1)]
        assert np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[0], drawn[2])
        for sample in drawn:
            assert len(np.unique(sample)) == len(sample) == 2000
            # The mean of 2,000 of 40,000 numbers has a standard deviation of 252.
            assert abs(sample.mean() - 20_000) < 5 * 252
            assert abs(np.mean(sample < 4000) - 0.1) < 0.04


def _draw(file: PointsFile, seed: int) -> NDArray[Any]:
    random = np.random.default_rng(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "_SAMPLE_ROWS", 2000)
        sample = sampling.draw_sample(file, 10, random)
    assert sample.num_rows == 40_000
    return sample.points.ravel()


def test_the_last_lines_say_the_loss_why_it_stopped_and_what_is_empty(folder: Path) -> None:
    told = run(folder, "train", "points.npy", "model", "-k", "5", "--steps", "1").stdout
    assert "Stopped at its limit of steps; --steps N trains N more.\n" in told
    before = centers_of(folder)
    told = run(folder, "train", "points.npy", "model", "--steps", "1").stdout
    loss, mean = re.findall(
        r"Loss ([\d.,]+) \(sum of squared distances; (.*) per point\), mea", told
    )[0]
    want = sum_of_squares(POINTS, before)
    assert float(loss.replace(",", "")) == pytest.approx(want, rel=5e-6)  # six digits are shown
    assert float(mean) == pytest.approx(want / 500, rel=5e-6)
    told = run(folder, "train", "points.npy", "model").stdout
    assert "Converged: the last step lowered the loss by no more than 0.01%.\n" in told
    assert "No cluster is empty.\n" in told
    told = run(folder, "train", "points.npy", "small", "-k", "5", "--mini-batch").stdout
    assert "Loss " in told and "(mean of squared distances over the last 5 mini-" in told
    assert "Stopped at the end of 5 passes over the file" in told
    assert "No cluster is empty.\n" in told


@pytest.mark.parametrize("mode", ["--full-batch", "--mini-batch"])
def test_empty_clusters_are_counted(folder: Path, mode: str) -> None:
    np.save(folder / "two.npy", np.repeat(np.eye(2), 50, axis=0))
    np.save(folder / "centers.npy", np.array([[0, 1], [1, 0], [9, 9]]))
    told = run(folder, "train", "two.npy", "model", "--initial-clusters", "centers.npy", mode)
    is_so = "is empty" if mode == "--full-batch" else "received no points in this run"
    assert f"1 of 3 clusters {is_so}." in told.stdout and "--fresh" in told.stdout
    assert "empty" not in told.stderr  # not said twice


def test_when_it_stops_does_not_depend_on_units(folder: Path) -> None:
    points = np.random.default_rng(5).normal(size=(400, 2))
    steps = set()
    for name, unit in (("one", 1.0), ("small", 2.0**-20), ("large", 2.0**20)):
        np.save(folder / f"{name}.npy", points * unit)
        told = run(folder, "train", f"{name}.npy", name, "-k", "7").stdout
        steps.add(re.findall(r"Trained (\d+) full", told)[0])
    assert len(steps) == 1 and 5 < int(steps.pop()) < 100
    run(folder, "train", "one.npy", "m", "-k", "7", "--mini-batch", code=0)
    options = ["--mini-batch", "--relative-tolerance", "0.1"]
    refused = run(folder, "train", "one.npy", "other", "-k", "7", *options, code=2)
    assert "--relative-tolerance compares the losses of whole passes" in refused.stderr


def test_the_limit_of_steps_is_that_of_a_call(folder: Path) -> None:
    for night in range(4):
        moved = POINTS + 10.0 * night
        np.save(folder / "night.npy", moved)
        options = ["-k", "5", "--relative-tolerance", "0", "--max-steps", "100"][
            : 4 if night else 6
        ]
        told = run(folder, "train", "night.npy", "model", *options)
        assert re.search(r"Trained [1-9]\d* full-batch step", told.stdout)
    assert sum_of_squares(moved, centers_of(folder)) < sum_of_squares(moved, moved.mean(0)[None])


def test_a_run_on_other_points_is_not_over_after_a_step(folder: Path) -> None:
    points = np.random.default_rng(8).normal(size=(400, 2))
    np.save(folder / "night.npy", points)
    run(folder, "train", "night.npy", "model", "-k", "9", "--steps", "3")  # it has not settled
    np.save(folder / "night.npy", 4 * points[::-1] + 1)  # of a larger loss
    told = run(folder, "train", "night.npy", "model").stdout
    assert int(re.findall(r"Trained (\d+) full-batch step", told)[0]) > 4


def test_a_run_on_other_points_says_says_what_has_become_empty(folder: Path) -> None:
    run(folder, "train", "points.npy", "model", "-k", "5")
    np.save(folder / "night.npy", POINTS + 1e4)
    for mode in ("--full-batch", "--mini-batch"):
        told = run(folder, "train", "night.npy", "model", mode)
        assert "4 of 5 clusters " in told.stdout
        assert "trained on other points before, --fresh starts over" in told.stdout
        assert ("--fresh starts over with these" in told.stderr) == (mode == "--full-batch")


def test_an_interrupted_training_ends_where_it_was_to_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", "points.npy", "model", "-k", "40", "--relative-tolerance", "0"]
    run(folder, *[word.replace("model", "whole") for word in command], "--steps", "8")
    after_run = Outcome.after_run

    def interrupt(self: Outcome, *values: Any) -> None:
        after_run(self, *values)
        if self.steps == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(training.Outcome, "after_run", interrupt)
    told = run(folder, *command, "--steps", "8", code=130).stderr
    assert "Stopped; model holds step 3." in told
    assert told.endswith(f"Continue with: centroids {' '.join(command)} --max-steps 8\n")
    monkeypatch.undo()
    told = run(folder, *command).stdout  # the plain command, too, ends at step 8
    assert "Trained 5 full-batch steps" in told
    np.testing.assert_array_equal(centers_of(folder), centers_of(folder, "whole"))
    assert "Trained 8 " not in run(folder, *command).stdout


@pytest.mark.parametrize("name", ["centers.npy", "centers.csv", "centers.parquet"])
def test_first_centers_are_read_from_a_file_of_any_kind(folder: Path, name: str) -> None:
    import pyarrow
    import pyarrow.parquet

    centers = np.array([[1.0, 3.0], [90.0, 7.0], [60.0, 45.0]])
    np.save(folder / "centers.npy", centers)
    # By the names of the points' columns, wherever they stand.
    text = "\n".join(f"{i},{y},{x}" for i, (x, y) in enumerate(centers))
    (folder / "centers.csv").write_text(f"cluster,y,x\n{text}\n")
    table = pyarrow.table({"y": centers[:, 1], "x": centers[:, 0], "name": ["a", "b", "c"]})
    pyarrow.parquet.write_table(table, folder / "centers.parquet")
    options = ["--initial-clusters", name, "--steps", "3"]
    run(folder, "train", "points.csv", "model", *options)
    kmeans = centroids.KMeansClustering(3, initial_clusters=centers, use_mini_batch=False)
    kmeans.train(lambda: POINTS, steps=3)
    np.testing.assert_allclose(centers_of(folder), kmeans.cluster_centers(), rtol=1e-12)
    told = run(folder, "train", "points.csv", "other", "-k", "5", *options, code=2).stderr
    assert told == (
        f"centroids: --num-clusters is 5, but {name} holds 3 initial centers: leave --num-clusters "
        "out, or give as many centers\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,q\n", "needs rows of finite numbers: centers.csv, line 2, column 'y': 'q'"),
        ("x,y\n1,nan\n", "needs rows of finite numbers: points must be finite, got nan in cent"),
        (
            "x,z,q\n1,2,3\n",
            "centers.csv has centers of 3 columns, but the points of points.csv have 2",
        ),
        ("x\n1\n", "centers.csv has centers of 1 column, but the points of points.csv have 2"),
        ("", "centers.csv has no rows"),
    ],
)
def test_first_centers_that_cannot_be_are_told(folder: Path, text: str, message: str) -> None:
    (folder / "centers.csv").write_text(text)
    options = ["--initial-clusters", "centers.csv"]
    told = run(folder, "train", "points.csv", "model", *options, code=2).stderr
    assert message in told and len(told.splitlines()) == 1
    assert "--bad-rows" not in told and "--columns" not in told
    assert not (folder / "model").exists()


@pytest.mark.parametrize("name", ["centers.npy", "centers.csv", "centers.parquet"])
def test_exported_centers_are_first_centers_again(folder: Path, name: str) -> None:
    run(folder, "train", "points.csv", "model", "-k", "5")
    assert "x" in (folder / "model" / "settings.json").read_text()
    run(folder, "export", "model", name)
    run(folder, "train", "points.csv", "again", "--initial-clusters", name, "--steps", "1")
    run(folder, "train", "points.csv", "model", "--steps", "1")
    np.testing.assert_array_equal(centers_of(folder, "again"), centers_of(folder))


def test_why_clusters_are_empty_has_two_reasons_after_a_move(folder: Path) -> None:
    centers = np.array([[0, 0], [100, 0], [0, 100], [1e4, 1e4], [1e4, 0]])
    np.save(folder / "centers.npy", centers)
    options = ["--initial-clusters", "centers.npy", "--steps", "1"]
    new = run(folder, "train", "points.npy", "model", *options).stdout
    assert "2 of 5 clusters are empty. Fewer clusters may help, or another --seed with --fr" in new
    again = run(folder, "train", "points.npy", "model", "--steps", "1").stdout
    assert (
        "2 of 5 clusters are empty. If the model was trained on other points before, --fresh "
        "starts over; else fewer clusters may help, or another --seed with --fresh. "
        "--empty-clusters relocate moves them to points.\n"
    ) in again
    moved = ["--empty-clusters", "relocate"]
    told = run(folder, "train", "points.npy", "model", "--steps", "1", *moved).stdout
    assert "From now on: --empty-clusters relocate (until now keep)." in told
    assert "No cluster is empty.\n" in told


def test_a_loss_that_cannot_fall_says_so(folder: Path) -> None:
    options = ["-k", "5", "--relative-tolerance", "0"]
    told = run(folder, "train", "points.npy", "model", *options).stdout
    assert "Converged: the loss no longer falls.\n" in told
