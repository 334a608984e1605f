"""centroids export: the formats, what is said, and mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering
from centroids.cli.exporting import ExportOptions, Format, export
from centroids.export.table_files import write_csv, write_parquet
from tests.cli.test_commands import run
from tests.export.proto import read_meta_graph

POINTS = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the model `model`, trained for 2 steps."""
    model = KMeansClustering(5, str(tmp_path / "model"), use_mini_batch=False)
    model.train(lambda: POINTS, steps=2)
    return tmp_path


def test_the_ending_chooses_the_format(folder: Path) -> None:
    done = run(folder, "export", "model", "centers.NPZ")
    assert done.stdout == (
        "Wrote centers.NPZ; use it with: numpy.load('centers.NPZ')['clusters']\n"
    )
    model = KMeansClustering(5, str(folder / "model"))
    with np.load(folder / "centers.NPZ") as archive:
        np.testing.assert_array_equal(archive["clusters"], model.cluster_centers())
        np.testing.assert_array_equal(
            archive["cluster_counts"], model.get_variable_value("cluster_counts")
        )
        assert str(archive["distance_metric"]) == "squared_euclidean"
        assert int(archive["global_step"]) == 2


def test_the_option_beats_the_ending_and_a_checkpoint_can_be_chosen(folder: Path) -> None:
    first = folder / "model" / "model.ckpt-0"
    export(folder / "model", folder / "centers.onnx", Format.NPZ, first)
    with np.load(folder / "centers.onnx") as archive:
        assert int(archive["global_step"]) == 0


def test_onnx(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    file = folder / "model.onnx"
    export(folder / "model", file, None, folder / "model" / "model.ckpt-0.safetensors")
    assert "onnxruntime.InferenceSession" in capsys.readouterr().out
    properties = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    assert properties["global_step"] == "0"


def test_a_savedmodel_is_written_unless_the_ending_says_otherwise(folder: Path) -> None:
    done = run(folder, "export", "model", "served")
    (version,) = (folder / "served").iterdir()
    assert version.name.isdigit() and (version / "saved_model.pb").is_file()
    assert done.stdout == (
        f"Wrote served/{version.name}; use it with: tensorflow_model_server --rest_api_port=8501 "
        f"--model_base_path={folder / 'served'}\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
def test_faiss(tmp_path: Path, capsys: pytest.CaptureFixture[str], metric: str) -> None:
    faiss = pytest.importorskip("faiss", reason="faiss is not installed")
    model = KMeansClustering(5, str(tmp_path / "model"), distance_metric=metric)
    model.train(lambda: [POINTS])
    export(tmp_path / "model", tmp_path / "centers.faiss", None, None)
    assert ("normalize_L2" in capsys.readouterr().out) == (metric == "cosine")
    assert faiss.read_index(str(tmp_path / "centers.faiss")).ntotal == 5


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["absent", "x.npz"], 2, "absent holds no trained model"),
        (["model", "absent/x.npz"], 2, "there is no folder absent"),
        (["model", "x.npz", "--checkpoint", "model/model.ckpt-9"], 2, "model.ckpt-9.safetensors"),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    folder: Path, arguments: list[str], code: int, message: str
) -> None:
    done = run(folder, "export", *arguments, code=code)
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert [entry.name for entry in folder.iterdir()] == ["model"]


def test_help_teaches(folder: Path) -> None:
    assert "centroids export model model.onnx" in run(folder, "export", "--help").stdout


@pytest.mark.parametrize(
    "name", ["centers.pt", "centers.tflite", "model.onnx.tmp", "centers.txt", "v1.0", "c.npz2"]
)
def test_an_unknown_ending_is_an_error_that_lists_the_formats(folder: Path, name: str) -> None:
    message = rf"{name} does not end in a format that can be written: "
    with pytest.raises(ValueError, match=message) as got:
        export(folder / "model", folder / name, None, None)
    for ending in (".onnx", ".npz", ".npy", ".csv", ".parquet", ".faiss", "--format savedmodel"):
        assert ending in str(got.value)
    assert [entry.name for entry in folder.iterdir()] == ["model"]


def test_a_folder_may_have_an_ending_where_a_savedmodel_is_asked_for(folder: Path) -> None:
    export(folder / "model", folder / "v1.0", Format.SAVEDMODEL, None)
    export(folder / "model", folder / "v1.0", None, None)  # it is a folder now
    assert sum(version.name.isdigit() for version in (folder / "v1.0").iterdir()) == 2


# The third in 24 bits, the largest and smallest numbers, and one that needs 17 digits.
AWKWARD = [
    [1 / 3, -0.0, 3.4028234e38],
    [1e-45, 16777217.0, 0.1],
    [2.5, 1e-300, 123456789.123456789],
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("names", [None, ["a", 'say "b", c', "d\ne"]])
def test_tables_of_centers_keep_every_digit(
    tmp_path: Path, dtype: type, names: list[str] | None
) -> None:
    import csv

    import pyarrow.parquet

    centers: Any = np.array(AWKWARD, np.float64).astype(dtype)
    with open(write_csv(tmp_path / "c.csv", centers, names), newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert (rows.pop(0) if names else None) == names
    np.testing.assert_array_equal(np.array(rows, np.float64).astype(dtype), centers)
    assert np.signbit(dtype(rows[0][1]))
    table = pyarrow.parquet.read_table(write_parquet(tmp_path / "c.parquet", centers, names))
    assert table.column_names == (names or ["0", "1", "2"])
    read = np.stack([column.to_numpy() for column in table.columns], axis=1)
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, centers)


def test_centers_become_a_table_or_an_array(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow.parquet

    centers = KMeansClustering(5, str(folder / "model")).cluster_centers()
    for name in ("c.npy", "c.CSV", "c.parquet"):
        export(folder / "model", folder / name, None, None)
        assert f"Wrote {folder / name}; use it with: " in capsys.readouterr().out
    array = np.load(folder / "c.npy")
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, centers)
    np.testing.assert_array_equal(np.loadtxt(folder / "c.CSV", np.float32, delimiter=","), centers)
    table = pyarrow.parquet.read_table(folder / "c.parquet")
    np.testing.assert_array_equal(np.stack([c.to_numpy() for c in table.columns], axis=1), centers)


def test_a_name_twice_is_not_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match=r"file need different names, got \['a', 'a'\]"):
        write_parquet(tmp_path / "c.parquet", np.eye(2), ["a", "a"])
    with pytest.raises(ValueError, match="must name the 2 columns of the points, got 1 names"):
        write_csv(tmp_path / "c.csv", np.eye(2), ["a"])
    assert not list(tmp_path.iterdir())


def test_names_of_columns_go_along(tmp_path: Path) -> None:
    import json

    np.savetxt(tmp_path / "p.csv", POINTS, delimiter=",", header="a,b,c,d", comments="")
    run(tmp_path, "train", "p.csv", "model", "-k", "3", "--columns", "d,b", "--steps", "2")
    for name in ("c.csv", "c.npz", "c.parquet", "served"):
        export(tmp_path / "model", tmp_path / name, None, None)
    assert (tmp_path / "c.csv").read_text().splitlines()[0] == "d,b"
    with np.load(tmp_path / "c.npz") as archive:
        assert archive["columns"].tolist() == ["d", "b"]
    (version,) = (tmp_path / "served").iterdir()
    signatures = read_meta_graph(str(version)).signature_def
    assert list(signatures["serving_default"].inputs) == ["points"]
    assert sorted(signatures["columns:serving_default"].inputs) == ["b", "d"]
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    export(tmp_path / "model", tmp_path / "m.onnx", None, None)
    properties = {entry.key: entry.value for entry in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert json.loads(properties["columns"]) == ["d", "b"]


def test_names_that_tensorflow_cannot_take_do_not_spoil_the_model(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from centroids.cli import exporting

    monkeypatch.setattr(exporting, "read_columns", lambda _: ["a", "b", "class", "d"])
    export(folder / "model", folder / "served", None, None)
    assert "not columns by name: TensorFlow 2 cannot load" in capsys.readouterr().out
    (version,) = (folder / "served").iterdir()
    signatures = read_meta_graph(str(version)).signature_def
    assert sorted(signatures) == ["all_distances", "cluster_index", "serving_default"]


def test_an_option_of_another_format_is_refused(folder: Path) -> None:
    for name, options, message in [
        ("c.npz", ExportOptions(index_only=True), "--index-only is for onnx, .* is npz"),
        ("served", ExportOptions(float32=True), "--float32 is for onnx, .* is savedmodel"),
        ("m.onnx", ExportOptions(check_numerics=False), "--no-check-numerics is for savedmodel"),
    ]:
        with pytest.raises(ValueError, match=message):
            export(folder / "model", folder / name, None, None, options)
    assert [entry.name for entry in folder.iterdir()] == ["model"]


def test_a_savedmodel_without_checks(folder: Path) -> None:
    run(folder, "export", "model", "served", "--no-check-numerics")
    (version,) = (folder / "served").iterdir()
    operations = {node.op for node in read_meta_graph(str(version)).graph_def.node}
    assert "CheckNumerics" not in operations and "MatMul" in operations
