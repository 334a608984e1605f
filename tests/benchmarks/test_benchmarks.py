"""The benchmarks' arithmetic, and one small measurement from end to end."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("benchmarks")  # not in the source distribution

from benchmarks import child, compare, data, overview, report, run
from benchmarks.__main__ import merged
from benchmarks.peers import OURS, PEERS, Fitted, peers_for
from benchmarks.records import Cell, Results, Row, Status
from benchmarks.tasks import TASKS, Kind, Target, Task, scaled, select

TODAY = "2020-01-01T00:00:00+00:00"


def make_cell(seconds: float, **values: object) -> Cell:
    cell = Cell(Status.MEASURED, TODAY, seconds=[seconds, seconds / 2, 3 * seconds], memory=5)
    return dataclasses.replace(cell, inertia=100.0, **values)


def make_row(cells: dict[str, Cell], task: str = "iteration/glove-400000x50-k256") -> Row:
    kind = Kind(task.split("/", maxsplit=1)[0])
    return Row(task, kind, "data", "a label", 100, 2, 4, 10, 0, TODAY, cells)


def test_ratios_are_of_medians_and_against_the_fastest_peer() -> None:
    row = make_row({OURS: make_cell(1), "faiss": make_cell(4), "elkan": make_cell(8)})
    assert compare.best_peer(row) == "faiss"
    assert compare.verdicts(row) == [compare.Verdict(0.25, "faiss", 1 / 3)]
    assert compare.verdicts(row)[0].met
    assert compare.memory_share(row, row.cells[OURS]) == 0.05


def test_a_target_may_be_against_one_peer_and_be_missed() -> None:
    task = "mini-batch/glove-400000x50-k256-batch1024"
    row = make_row({OURS: make_cell(1), "scikit-learn": make_cell(2)}, task)
    assert compare.verdicts(row) == [compare.Verdict(0.5, "scikit-learn", 1 / 4)]
    text = report.page("avx2", Results({}, {}, {task: row}))
    assert "0 of 1 targets of speed are met" in text
    assert "target 0.25" in text and "**missed**: 0.50" in text


def test_a_loss_is_named_in_the_summary() -> None:
    row = make_row({OURS: make_cell(3), "faiss": make_cell(1)}, "step/noise-500x2-k5")
    text = report.page("avx2", Results({}, {}, {row.task: row}))
    assert "centroids is slower than a peer in 1 of 1 tasks" in text
    assert "3.00 (faiss), **slower**" in text


def test_a_loss_is_named_also_where_the_target_is_another_peer() -> None:
    task = "defaults/blobs-300x4-k3"
    cells = {OURS: make_cell(3), "scikit-learn": make_cell(6), "faiss": make_cell(1)}
    text = report.page("avx2", Results({}, {}, {task: make_row(cells, task)}))
    assert "1 of 1 targets of speed are met" in text
    assert "centroids is slower than a peer in 1 of 1 tasks" in text
    assert "call of fit, a label: 3.00 of faiss" in text
    assert "1.00 of scikit-learn: met |" in text


def test_the_measurements_of_clusters_are_no_instruction_set(tmp_path: Path) -> None:
    row = make_row({OURS: make_cell(1), "faiss": make_cell(4)})
    Results({"cpu": "some"}, {}, {row.task: row}).write(tmp_path / "avx2.json")
    (tmp_path / "cluster.json").write_text('{"turns": 3}')
    overview.write_report(tmp_path, tmp_path / "pages")
    assert "| task | AVX2 |" in (tmp_path / "pages" / "benchmarks.md").read_text()


def test_cells_are_marked() -> None:
    cells = {
        OURS: make_cell(0.001),
        "scikit-learn": make_cell(0.1, status=Status.ONCE, iterations=5),
        "faiss": dataclasses.replace(make_cell(1), inertia=100.1),
        "intelex": make_cell(1, date="2019-01-01T00:00:00+00:00"),
        "elkan": Cell(Status.TOO_LARGE, TODAY, note="needs 20 GiB"),
    }
    row = make_row(cells)
    assert [report.format_cell(row, peer) for peer in cells] == [
        "1.00 ms",
        "100 ms \\*‡",
        "1.00 s †",
        "1.00 s §",
        "needs 20 GiB",
    ]
    assert report.format_cell(row, "tensorflow") == "-"
    assert report.format_seconds(2.5e-5) == "25.0 µs"


def test_merging_keeps_the_cells_of_the_same_machine_and_commit_that_were_not_measured() -> None:
    run = {"commit": "abc", "machine": {"cpu": "some"}}
    old = dataclasses.replace(make_row({OURS: make_cell(1), "faiss": make_cell(2)}), **run)
    new = dataclasses.replace(make_row({OURS: make_cell(3)}), **run)
    assert merged(old, new).cells == {OURS: make_cell(3), "faiss": make_cell(2)}
    for other in ({"commit": "def"}, {"machine": {"cpu": "other"}}, {"commit": None}):
        assert merged(dataclasses.replace(old, **other), new) == new
    assert merged(dataclasses.replace(old, commit=None), dataclasses.replace(new, commit=None)) == (
        dataclasses.replace(new, commit=None)
    )


def test_the_loss_of_a_quick_method_stands_next_to_its_time() -> None:
    cells = {
        OURS: make_cell(1),
        "superkmeans-hierarchical": make_cell(0.5, wrong_labels=0.125),
    }
    cells["superkmeans-hierarchical"] = dataclasses.replace(
        cells["superkmeans-hierarchical"], inertia=110.0
    )
    task = "index/words-300000x256-k4096"
    text = report.page("avx2", Results({}, {}, {task: make_row(cells, task)}))
    assert "| 1.00 s | 500 ms (+10%) |" in text
    assert (
        "12.5% of 1,000 labels of SuperKMeans, hierarchical are not of the nearest center" in text
    )


def test_rows_of_older_runs_say_so() -> None:
    new = make_row({OURS: make_cell(1), "faiss": make_cell(4)})
    old = dataclasses.replace(
        make_row({OURS: make_cell(1), "faiss": make_cell(4)}, "iteration/photo-273280x3-k16"),
        date="2019-05-06T00:00:00+00:00",
        machine={"cpu": "that of last year"},
        commit="abc",
    )
    results = Results({}, {}, {row.task: row for row in (new, old)})
    text = report.page("avx2", results)
    assert "| a label § 2019-05-06 |" in text and "| a label |" in text
    assert "- 1 row, 2019-05-06, commit abc: that of last year, " in text
    table = overview.overview_table(
        {"avx2": dataclasses.replace(results, rows={**results.rows})},
        [new.task, old.task],
    )
    assert table.count(" § |") == 1


def test_the_readme_table_goes_between_its_markers() -> None:
    text = f"a\n{overview.BEGIN}\nold\n{overview.END}\nb\n"
    assert (
        overview.between_markers(text, "new\n") == f"a\n{overview.BEGIN}\nnew\n{overview.END}\nb\n"
    )
    assert overview.between_markers("a\n", "new\n") == "a\n"


def test_the_list_of_tasks_is_sound() -> None:
    names = [task.name for task in TASKS]
    assert len(set(names)) == len(names)
    assert set(overview.README_ROWS) <= set(overview.OVERVIEW_ROWS) <= set(names)
    assert set(report.SECTIONS) == set(Kind) == {task.kind for task in TASKS}
    assert [task.kind for task in select(["sparse"])] == [Kind.SPARSE]
    for task in TASKS:
        assert peers_for(task.kind)[0].name == OURS
        assert all(target.against in (None, *PEERS) for target in task.targets)
        assert compare.targets_of(make_row({}, task.name)) == task.targets
        assert scaled(task, 0.01).data.n <= task.data.n


def test_the_overview_has_a_column_for_each_processor() -> None:
    fast = make_row({OURS: make_cell(1), "faiss": make_cell(4)})
    slow = make_row({OURS: make_cell(2), "elkan": make_cell(3)})
    every = {
        "avx2-zen-4": Results({"cpu": "some"}, {}, {slow.task: slow}),
        "avx512": Results({"cpu": "other"}, {}, {fast.task: fast}),
        "neon": Results(),
    }
    lines = overview.overview(every).splitlines()
    assert "| task | AVX2, Zen 4 | AVX-512 | NEON |" in lines
    assert (
        "| iteration, a label | **1.5** (2.00 s to 3.00 s, scikit-learn elkan) "
        "| **4.0** (1.00 s to 4.00 s, faiss) | - |"
    ) in lines
    link = "- [AVX2, Zen 4](benchmarks/avx2-zen-4.md): some, "
    assert any(line.startswith(link) for line in lines)


def test_the_overview_says_which_rows_time_kernels_alone() -> None:
    task = "prediction/noise-1000000x128-k1000"
    row = make_row({OURS: make_cell(1), "faiss": make_cell(4)}, task)
    assert "prediction, a label (kernels alone) |" in overview.overview_table(
        {"avx2": Results({}, {}, {task: row})}, overview.README_ROWS
    )


def test_results_survive_the_file(tmp_path: Path) -> None:
    row = make_row({OURS: make_cell(1)})
    results = Results({"cpu": "some"}, {"data": 7}, {row.task: row})
    results.write(tmp_path / "avx2.json")
    assert Results.read(tmp_path / "avx2.json") == results


@pytest.mark.parametrize("stops_after, passes_of_each", [(99, (3, 7)), (4, (3, 4)), (2, (3, 2))])
def test_an_iteration_is_the_time_of_a_pass(
    stops_after: int, passes_of_each: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 0.0

    def train(iterations: int) -> Fitted:
        nonlocal clock
        made = min(iterations, stops_after)
        fitted = Fitted(np.zeros((1, 1)), made, last_pass=made == iterations)
        clock += fitted.passes
        return fitted

    monkeypatch.setattr("benchmarks.child.time.perf_counter", lambda: clock)
    job = child.Job("faiss", Kind.ITERATION, "", "", "", 2, 4, 0, 0, 300, False)
    assert (train(2).passes, train(6).passes) == passes_of_each
    outcome, _ = child._measure_iterations(job, train)
    assert outcome.seconds == 1
    assert outcome.iterations == min(6, stops_after)


def test_a_small_fit_is_measured_in_children(tmp_path: Path) -> None:
    if importlib.util.find_spec("sklearn") is None:
        pytest.skip("scikit-learn is not installed")
    task = Task(Kind.FIT, data.DataSet("noise", 3_000, 4, 5), targets=(Target(0.5),))
    options = run.Options(repeats=1, peers=(OURS, "scikit-learn"), cache=tmp_path)
    results = Results()
    row = run.measure(task, options, results)
    assert row.iterations == results.iterations[task.data.name] > 2
    assert {name: cell.status for name, cell in row.cells.items()} == {
        OURS: Status.MEASURED,
        "scikit-learn": Status.MEASURED,
    }
    assert all(cell.median and cell.median > 0 for cell in row.cells.values())
    assert not compare.disagrees(row, "scikit-learn")
    assert row.cells["scikit-learn"].versions.keys() == {"scikit-learn"}
