"""What inspect shows of a model, its clusters and their members."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tests.cli.run_here import run_here as run

# A cluster of six around 0 and one of two around 9; then a center between them that has one point.
POINTS = np.array([[0.0], [0.1], [-0.1], [0.2], [-0.3], [0.4], [9.0], [9.2], [4.4]])
NEAREST = {0: [0, 1, 2, 3, 4, 5], 1: [6, 7], 2: [8]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "points.npy", POINTS)
    np.save(tmp_path / "centers.npy", np.array([[0.04], [9.05], [4.5]]))
    options = ["--initial-clusters", "centers.npy", "--max-steps", "1"]
    run(tmp_path, "train", "points.npy", "model", *options)
    return tmp_path


def clusters(shown: str) -> dict[int, list[str]]:
    table = shown[shown.index("nearest to its center") :].splitlines()[1:]
    return {int(line.split()[0]): line.split()[2:] for line in table if line.strip()}


def test_the_nearest_members_belong_to_their_cluster(folder: Path) -> None:
    (folder / "words.txt").write_text("".join(f"w{i}\r\n" for i in range(9)))
    options = ["--points", "points.npy", "--words", "words.txt"]
    shown = clusters(run(folder, "inspect", "model", *options).stdout)
    assert {c: {f"w{row}" for row in rows} for c, rows in NEAREST.items()} == {
        c: set(names) for c, names in shown.items()
    }
    # From the nearest to the farthest; the center of the first cluster is at 0.05.
    assert set(shown[0][:2]) == {"w0", "w1"} and set(shown[0][-2:]) == {"w4", "w5"}
    few = clusters(run(folder, "inspect", "model", *options, "--nearest", "2").stdout)
    assert [len(names) for names in few.values()] == [2, 2, 1]


def test_members_are_found_over_many_batches(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    points = random.normal(size=(40_000, 3)).astype(np.float32)  # three batches
    np.save(tmp_path / "points.npy", points)
    for metric in ("squared_euclidean", "cosine"):
        options = ["-k", "6", "--steps", "3", "--distance-metric", metric]
        run(tmp_path, "train", "points.npy", metric, *options)
        shown = run(tmp_path, "inspect", metric, "--points", "points.npy", "--nearest", "3").stdout
        run(tmp_path, "predict", metric, "points.npy", "-o", "labels.npy")
        run(tmp_path, "predict", metric, "points.npy", "--distances", "-o", "distances.npy")
        labels, distances = np.load(tmp_path / "labels.npy"), np.load(tmp_path / "distances.npy")
        own = distances[np.arange(len(labels)), labels]
        for cluster in range(6):
            members = np.flatnonzero(labels == cluster)
            want = members[np.argsort(own[members], kind="stable")[:3]]
            line = next(line for line in shown.splitlines() if line.split()[:1] == [f"{cluster}"])
            assert [int(row.replace(",", "")) for row in line.split("row")[1:]] == want.tolist()


def test_words_come_from_a_chosen_column_in_bounded_memory(folder: Path) -> None:
    lists = pyarrow.array([np.zeros(1 << 20) for _ in range(9)])
    columns = {
        "vector": lists,  # 72 MiB
        "first": [f"first{i}" for i in range(9)],
        "number": list(range(100, 109)),
        "kind": pyarrow.array([f"kind{i}" for i in range(9)]).dictionary_encode(),
    }
    table = pyarrow.table(columns)
    pyarrow.parquet.write_table(table, folder / "emb.parquet", row_group_size=4)
    del table, lists, columns
    options = ["--points", "points.npy", "--words", "emb.parquet"]
    before = pyarrow.default_memory_pool()
    counted = pyarrow.proxy_memory_pool(before)
    pyarrow.set_memory_pool(counted)
    try:
        shown = run(folder, "inspect", "model", *options).stdout
    finally:
        pyarrow.set_memory_pool(before)
    assert counted.max_memory() < 4 << 20
    assert set(clusters(shown)[1]) == {"first6", "first7"}
    for column, want in (("number", {"106", "107"}), ("kind", {"kind6", "kind7"})):
        shown = run(folder, "inspect", "model", *options, "--words-column", column).stdout
        assert set(clusters(shown)[1]) == want


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--words", "n.parquet"], "n.parquet has no column of text; choose another with --words-"),
        (
            ["--words", "n.parquet", "--words-column", "b"],
            "n.parquet has no column 'b'; it has 'a'",
        ),
        (["--words", "w.txt", "--words-column", "b"], "--words-column is for a .parquet file"),
        (["--words", "w.txt"], "w.txt has 2 names, points.npy has 9 points"),
        (["--words-column", "b"], "--words-column chooses a column of --words"),
    ],
)
def test_words_that_cannot_be_are_told(folder: Path, options: list[str], message: str) -> None:
    (folder / "w.txt").write_text("one\ntwo")
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), folder / "n.parquet")
    told = run(folder, "inspect", "model", "--points", "points.npy", *options, code=2).stderr
    assert message in told and len(told.splitlines()) == 1


def test_variables_are_shown_on_request_and_last(folder: Path) -> None:
    shown = run(folder, "inspect", "model").stdout
    assert "update_in_steps" not in shown and "cluster sizes" in shown
    shown = run(folder, "inspect", "model", "--variables").stdout
    assert shown.index("cluster sizes") < shown.index("update_in_steps")


def test_sizes_of_mini_batches_do_not_count_the_first_center(folder: Path) -> None:
    options = ["--initial-clusters", "centers.npy", "--mini-batch", "--epochs", "1"]
    run(folder, "train", "points.npy", "small", *options)
    assert (
        "(points seen): 1 to 6, median 2; 0 of 3 are empty"
        in run(folder, "inspect", "small").stdout
    )


def test_a_small_model_shows_its_centers_and_sizes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("age,income\n30,1000\n30,3000\n70,90000\n")
    (tmp_path / "c.csv").write_text("age,income\n30,2000\n70,90000\n")
    options = ["--initial-clusters", "c.csv", "--max-steps", "1"]
    run(tmp_path, "train", "a.csv", "m", *options)
    lines = [line.split() for line in run(tmp_path, "inspect", "m").stdout.splitlines()]
    at = lines.index(["center", "age", "income"])
    assert lines[at + 1 : at + 3] == [["0", "30", "2,000"], ["1", "70", "90,000"]]
    sizes = [line[1:3] for line in lines if line[:1] == ["cluster"] and line[1].isdecimal()]
    assert sizes == [["0", "2"], ["1", "1"]]


def test_bad_rows_are_left_out_and_the_others_keep_their_numbers(folder: Path) -> None:
    text = "\n".join(str(x) for (x,) in POINTS.tolist())
    (folder / "a.csv").write_text("nan\n" + text.replace("9.0\n", "9.0\nbad\n"))
    told = run(folder, "inspect", "model", "--points", "a.csv", code=2)
    assert "leave such lines out with --bad-rows drop" in told.stderr and told.stdout == ""
    options = ["--points", "a.csv", "--bad-rows", "drop"]
    shown = run(folder, "inspect", "model", *options).stdout.splitlines()
    (line,) = (line for line in shown if line.split()[:2] == ["1", "2"])
    assert sorted(line.split()[2:]) == ["7", "9", "row", "row"]  # 9.0 and 9.2
    (folder / "words.txt").write_text("".join(f"w{i}\n" for i in range(11)))
    shown = run(folder, "inspect", "model", *options, "--words", "words.txt").stdout.splitlines()
    (line,) = (line for line in shown if line.split()[:2] == ["1", "2"])
    assert set(line.split()[2:]) == {"w7", "w9"}


def test_a_heading_above_names_is_hinted_at(folder: Path) -> None:
    (folder / "words.csv").write_text("name\n" + "w\n" * 9)
    options = ["--points", "points.npy", "--words", "words.csv"]
    told = run(folder, "inspect", "model", *options, code=2)
    assert "take out the first one, if it is a heading" in told.stderr and told.stdout == ""


def test_the_column_of_ids_is_shown_and_names_take_one_line(tmp_path: Path) -> None:
    text = 'who,"income\nper head",age\nx,1,2\ny,3,4\nz,9,9\n'
    (tmp_path / "t.csv").write_text(text)
    run(tmp_path, "train", "t.csv", "model", "-k", "2", "--id-column", "who")
    shown = run(tmp_path, "inspect", "model").stdout
    assert "\ncolumns: income per head,age\nids: who\n" in shown
    assert "income per head" in shown.split("center", 1)[1].splitlines()[0]
    told = run(tmp_path, "inspect", "model", "--json").stdout
    assert '"id_column": "who"' in told


def test_points_are_called_by_the_ids_that_the_model_knows(tmp_path: Path) -> None:
    table = "id,a\n007,0\n008,1\n009,9\n"
    (tmp_path / "p.csv").write_text(table, encoding="utf-8")
    (tmp_path / "new.csv").write_text("a\n0\n9\n", encoding="utf-8")
    run(tmp_path, "train", "p.csv", "m", "-k", "2", "--id-column", "id", "-q")
    found = json.loads(run(tmp_path, "inspect", "m", "--points", "p.csv", "--json").stdout)
    names = {each["row"]: each["name"] for one in found["clusters"] for each in one["nearest"]}
    assert names == {0: "007", 1: "008", 2: "009"}
    assert "007" in run(tmp_path, "inspect", "m", "--points", "p.csv").stdout
    assert "row 1" in run(tmp_path, "inspect", "m", "--points", "new.csv").stdout
