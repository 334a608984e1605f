"""Models that TensorFlow trained are taken up; `data/` says how they were made."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids import KMeansClustering
from centroids.estimator import DamagedCheckpointError
from centroids.export import load_tensorflow_checkpoint
from tests.export.data.make_tensorflow_checkpoints import BATCH_SIZE, MODELS, NUM_POINTS

DATA = Path(__file__).parent / "data"
POINTS = np.load(DATA / "points.npy")
models = pytest.mark.parametrize(
    ("name", "arguments", "before", "after"), MODELS, ids=[model[0] for model in MODELS]
)


def once() -> Any:
    return centroids.inputs.limit_epochs(POINTS, num_epochs=1)


def copy(name: str, folder: Path) -> Path:
    """The files that TensorFlow left, in a folder of the test's own."""
    target = folder / name
    shutil.copytree(DATA / name, target, ignore=shutil.ignore_patterns("*.npz"))
    return target


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@models
def test_predictions_are_those_of_tensorflow(
    tmp_path: Path, name: str, arguments: dict[str, Any], before: int, after: int
) -> None:
    folder = copy(name, tmp_path)
    files = contents(folder)
    kmeans = KMeansClustering(4, model_dir=str(folder), **arguments)
    expected = np.load(DATA / name / "predicted.npz")
    np.testing.assert_array_equal(kmeans.cluster_centers(), expected["centers"])
    assert kmeans.get_variable_value("global_step") == before
    np.testing.assert_array_equal(
        list(kmeans.predict_cluster_index(once)), expected["cluster_index"]
    )
    distances = expected["distances"]
    if "distance_metric" not in arguments:
        distances = distances**2  # r1.4 gave squares, TensorFlow 2 gives distances
    np.testing.assert_allclose(list(kmeans.transform(once)), distances, rtol=1e-5, atol=1e-4)
    assert kmeans.score(once) == pytest.approx(float(expected["score"]), rel=1e-6)
    assert contents(folder) == files


@models
def test_training_goes_on_as_tensorflow_did(
    tmp_path: Path, name: str, arguments: dict[str, Any], before: int, after: int
) -> None:
    folder = copy(name, tmp_path)
    kmeans = KMeansClustering(4, model_dir=str(folder), **arguments)
    mini_batch = arguments.get("use_mini_batch", True)
    batches = centroids.inputs.numpy_input_fn(
        POINTS, batch_size=BATCH_SIZE if mini_batch else NUM_POINTS, shuffle=False, num_epochs=None
    )
    kmeans.train(batches, steps=after)
    expected = np.load(DATA / name / "continued.npz")
    centers = expected["clusters"]
    if "clusters_updated" in expected:
        # These runs end with an iteration, which TensorFlow puts into force one step later.
        assert expected["update_in_steps"] == 0
        centers = expected["clusters_updated"]
        if "distance_metric" in arguments:
            centers = centers / np.linalg.norm(centers, axis=1, keepdims=True)
    elif mini_batch:
        counts = kmeans.get_variable_value("cluster_counts")
        np.testing.assert_array_equal(counts, expected["Variable"])
    np.testing.assert_allclose(kmeans.cluster_centers(), centers, rtol=2e-6, atol=1e-6)
    assert kmeans.get_variable_value("global_step") == expected["global_step"] == before + after


def test_files_of_tensorflow_stay_and_ours_come_first(tmp_path: Path) -> None:
    folder = copy("mini_batch", tmp_path)
    files = contents(folder)
    variables = load_tensorflow_checkpoint(folder)
    kmeans = KMeansClustering(4, model_dir=str(folder))
    prefix = kmeans.latest_checkpoint()
    assert prefix == str(folder / "model.ckpt-4")
    before = kmeans.evaluate(once)
    kmeans.train(lambda: POINTS, steps=2)
    assert kmeans.latest_checkpoint() == str(folder / "model.ckpt-6.safetensors")
    after = contents(folder)
    assert after.pop("checkpoint.tensorflow") == files.pop("checkpoint")
    assert b"safetensors" in after["checkpoint"]
    assert {name: after[name] for name in files} == files
    again = KMeansClustering(4, model_dir=str(folder))
    np.testing.assert_array_equal(again.cluster_centers(), kmeans.cluster_centers())
    # The old one can still be asked for.
    (folder / "model.ckpt-4.safetensors").unlink()
    assert again.evaluate(once, checkpoint_path=prefix) == before
    loaded = load_tensorflow_checkpoint(folder)
    np.testing.assert_array_equal(loaded["clusters"], variables["clusters"])


def test_many_checkpoints_of_ours_do_not_cost_the_old_list(tmp_path: Path) -> None:
    folder = copy("full_batch", tmp_path)
    files = contents(folder)
    config = centroids.RunConfig(keep_checkpoint_max=1, save_checkpoints_steps=1)
    for _ in range(2):
        kmeans = KMeansClustering(
            4, model_dir=str(folder), use_mini_batch=False, config=config
        ).train(lambda: POINTS, steps=3)
    assert kmeans.get_variable_value("global_step") == 8
    assert (folder / "checkpoint.tensorflow").read_bytes() == files["checkpoint"]
    assert (folder / "model.ckpt-2.index").read_bytes() == files["model.ckpt-2.index"]


def test_a_mode_may_change(tmp_path: Path) -> None:
    for name in ("mini_batch", "in_iteration", "full_batch"):
        for arguments in ({"use_mini_batch": False}, {}, {"mini_batch_steps_per_iteration": 7}):
            folder = copy(name, tmp_path)
            kmeans = KMeansClustering(4, model_dir=str(folder), **arguments)
            kmeans.train(lambda: POINTS, steps=9)
            assert np.isfinite(kmeans.cluster_centers()).all()
            assert kmeans.evaluate(once)["global_step"] > 9
            shutil.rmtree(folder)


def test_num_clusters_and_columns_must_agree(tmp_path: Path) -> None:
    folder = copy("mini_batch", tmp_path)
    other = KMeansClustering(5, model_dir=str(folder))
    with pytest.raises(ValueError, match=r"num_clusters is 5, but the trained model has 4"):
        other.train(lambda: POINTS, steps=1)
    with pytest.raises(ValueError, match=r"num_clusters is 5, but the trained model has 4"):
        next(other.predict(once))
    kmeans = KMeansClustering(4, model_dir=str(folder))
    with pytest.raises(ValueError, match=r"points have 2 columns, .* have 3 columns"):
        kmeans.train(lambda: POINTS[:, :2], steps=1)
    assert kmeans.latest_checkpoint() == str(folder / "model.ckpt-4")


@pytest.mark.parametrize("given", [2, 3, 4, 9])
def test_mini_batches_per_iteration_must_be_those_of_the_model(given: int) -> None:
    folder = DATA / "in_iteration"  # 2 of 4 are left
    kmeans = KMeansClustering(4, model_dir=str(folder), mini_batch_steps_per_iteration=given)
    if given == 2:
        with pytest.raises(
            ValueError, match=r"mini_batch_steps_per_iteration is 2, but .* and is 2 before"
        ):
            kmeans.cluster_centers()
    else:
        assert kmeans.get_variable_value("update_in_steps") == given - 2


@pytest.mark.parametrize("name", ["all_types", "two_files", "many_variables", "other_model"])
def test_another_model_is_refused_and_its_variables_named(tmp_path: Path, name: str) -> None:
    folder = copy(name, tmp_path)
    kmeans = KMeansClustering(4, model_dir=str(folder))
    files = contents(folder)
    for use in (kmeans.cluster_centers, lambda: kmeans.train(lambda: POINTS, steps=1)):
        with pytest.raises(ValueError, match="is not a checkpoint of KMeansClustering") as error:
            use()
    first = {"all_types": "empty [0, 3]", "other_model": "dense/bias [3]"}
    assert first.get(name, "[") in str(error.value) and len(str(error.value)) < 1500
    assert contents(folder) == files


def test_all_types_are_read() -> None:
    checkpoint = DATA / "all_types"
    from centroids.checkpoints.tensorflow import open_tensorflow_checkpoint

    with pytest.raises(ValueError, match=r"variable 'text' of .* is of type string"):
        open_tensorflow_checkpoint(checkpoint).read("text")
    numeric = load_tensorflow_checkpoint(checkpoint)
    assert "text" not in numeric
    assert numeric.pop("scalar") == np.float32(2.5)
    assert numeric.pop("empty").shape == (0, 3)
    assert len(numeric) == 12
    for name, value in numeric.items():
        expected = np.arange(5).astype(name.removeprefix("v_"))
        assert value.dtype == expected.dtype and value.flags.writeable
        np.testing.assert_array_equal(value, expected)


def test_several_files_and_blocks() -> None:
    parts = load_tensorflow_checkpoint(DATA / "two_files" / "model.ckpt-7")
    assert {name: value.tolist() for name, value in parts.items()} == {
        f"part_{i}": [float(i)] * (i + 1) for i in range(4)
    }
    many = load_tensorflow_checkpoint(DATA / "many_variables")
    assert len(many) == 120 and list(many) == sorted(many)
    for i, value in enumerate(many.values()):
        np.testing.assert_array_equal(value, np.full(2, i, np.float32))


def test_a_variable_in_parts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"variable 'clusters' of .* was saved in parts"):
        load_tensorflow_checkpoint(DATA / "in_parts")


def test_the_list_decides_wherever_the_folder_is(tmp_path: Path) -> None:
    folder = copy("mini_batch", tmp_path)
    for ending in (".index", ".data-00000-of-00001"):
        shutil.copy(folder / f"model.ckpt-4{ending}", folder / f"model.ckpt-10{ending}")
    (folder / "notes.index").write_text("not of TensorFlow")

    def latest() -> str | None:
        return KMeansClustering(4, model_dir=str(folder)).latest_checkpoint()

    assert latest() == str(folder / "model.ckpt-4")
    (folder / "checkpoint").write_text('model_checkpoint_path: "/moved/away/model.ckpt-10"\n')
    assert latest() == str(folder / "model.ckpt-10")
    elsewhere = tmp_path / 'caf\u00e9 "x"'
    shutil.copytree(DATA / "full_batch", elsewhere)
    escaped = str(elsewhere / "model.ckpt-2").replace('"', '\\"').replace("\u00e9", "\\303\\251")
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "{escaped}"\n')
    assert latest() == str(elsewhere / "model.ckpt-2")
    (folder / "checkpoint").unlink()
    assert latest() == str(folder / "model.ckpt-10")
    (folder / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-20"\n')
    with pytest.raises(ValueError, match=r"names the checkpoint model.ckpt-20, but .*ckpt-10"):
        latest()


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Could not find a checkpoint of TensorFlow in"):
        load_tensorflow_checkpoint(tmp_path)
    with pytest.raises(ValueError, match=r"not a folder, and there is no .*model\.ckpt-3\.index"):
        load_tensorflow_checkpoint(tmp_path / "model.ckpt-3")
    (tmp_path / "model.ckpt-3").write_bytes(b"of the format before 2016")
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-3"\n')
    with pytest.raises(ValueError, match="not a checkpoint of TensorFlow's format V2"):
        load_tensorflow_checkpoint(tmp_path)


def test_a_missing_or_empty_data_file(tmp_path: Path) -> None:
    folder = copy("mini_batch", tmp_path)
    data = folder / "model.ckpt-4.data-00000-of-00001"
    data.write_bytes(b"")
    with pytest.raises(DamagedCheckpointError, match="which has only 0"):
        load_tensorflow_checkpoint(folder)
    data.unlink()
    kmeans = KMeansClustering(4, model_dir=str(folder))
    with pytest.raises(DamagedCheckpointError, match="which is not there"):
        kmeans.cluster_centers()
