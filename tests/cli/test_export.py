"""centroids export: the formats, what is said, and mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from centroids import KMeansClustering
from centroids.cli.exporting import Format, export
from tests.cli.test_commands import run

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
        (["model", "absent/x.npz"], 1, "there is no folder absent"),
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
