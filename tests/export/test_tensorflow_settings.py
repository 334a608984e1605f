"""How a model of TensorFlow was trained is read from the graph beside its checkpoint.

`data/make_tensorflow_graphs.py` trained the models, with TensorFlow 1.4.1, 1.15.5 and 2.15.1.
"""

from __future__ import annotations

import logging
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering
from centroids.cli.importing import import_model
from centroids.estimator import DamagedCheckpointError, load_latest
from centroids.export import load_tensorflow_checkpoint
from centroids.inputs import limit_epochs

DATA = Path(__file__).parent / "data"
POINTS = np.load(DATA / "points.npy")
VERSIONS = ("1.4.1", "1.15.5", "2.15.1")
METRICS = ("squared_euclidean", "cosine")
MODES: dict[str, dict[str, Any]] = {
    "full_batch": {"use_mini_batch": False},
    "mini_batch": {"use_mini_batch": True, "mini_batch_steps_per_iteration": 1},
    "several": {"use_mini_batch": True, "mini_batch_steps_per_iteration": 5},
}
OF_CONTRIB_LEARN = {
    "use_mini_batch": True,
    "mini_batch_steps_per_iteration": 3,
    "distance_metric": "cosine",
}
CASES: list[tuple[str, dict[str, Any]]] = [
    *(
        (f"{version}/{mode}_{metric}", {**arguments, "distance_metric": metric})
        for version in VERSIONS
        for mode, arguments in MODES.items()
        for metric in METRICS
    ),
    *((f"{version}/contrib_learn", OF_CONTRIB_LEARN) for version in VERSIONS[:2]),
]
cases = pytest.mark.parametrize(("name", "arguments"), CASES, ids=[name for name, _ in CASES])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that the three versions of TensorFlow left."""
    folder = tmp_path_factory.mktemp("models")
    with zipfile.ZipFile(DATA / "models_of_tensorflow.zip") as archive:
        archive.extractall(folder)
    return folder


def once() -> Any:
    return limit_epochs(POINTS, num_epochs=1)


@cases
def test_the_settings_of_each_model_are_told(
    models: Path, tmp_path: Path, name: str, arguments: dict[str, Any]
) -> None:
    import_model(models / name, tmp_path / "new", None, None)
    imported = load_latest(str(tmp_path / "new"))
    assert imported is not None and imported.global_step == 6
    assert imported.identity["distance_metric"] == arguments["distance_metric"]
    expected = {"num_clusters": 4, "mini_batch_steps_per_iteration": 1, **arguments}
    assert imported.params == expected


@cases
def test_each_model_answers_as_it_did_in_tensorflow(
    models: Path, name: str, arguments: dict[str, Any]
) -> None:
    kmeans = KMeansClustering(4, model_dir=str(models / name), **arguments)
    expected = np.load(models / name / "predicted.npz")
    np.testing.assert_array_equal(kmeans.cluster_centers(), expected["centers"])
    labels = list(kmeans.predict_cluster_index(once))
    np.testing.assert_array_equal(labels, expected["cluster_index"])


@cases
def test_a_contradicting_argument_is_an_error(
    models: Path, name: str, arguments: dict[str, Any]
) -> None:
    full = not arguments["use_mini_batch"]
    steps = arguments.get("mini_batch_steps_per_iteration", 1)
    others = {
        "distance_metric": METRICS[arguments["distance_metric"] == METRICS[0]],
        "use_mini_batch": full,
        **({} if full else {"mini_batch_steps_per_iteration": steps + 1}),
    }
    for argument, value in others.items():
        kmeans = KMeansClustering(4, model_dir=str(models / name), **{**arguments, argument: value})
        stored = arguments[argument] if argument != "mini_batch_steps_per_iteration" else steps
        message = f"{argument} is {value!r}, but .* was trained with {argument}={stored!r}; give"
        with pytest.raises(ValueError, match=message):
            kmeans.cluster_centers()
        with pytest.raises(ValueError, match=message):
            kmeans.train(lambda: POINTS, steps=1)
    assert not list((models / name).glob("*.safetensors"))


def test_a_contradiction_can_be_handed_on(models: Path) -> None:
    kmeans = KMeansClustering(4, model_dir=str(models / "1.4.1" / "mini_batch_cosine"))
    with pytest.raises(ValueError) as got:
        kmeans.cluster_centers()
    again = pickle.loads(pickle.dumps(got.value))
    assert type(again) is type(got.value) and str(again) == str(got.value)


@pytest.mark.parametrize(
    ("metric", "steps", "message"),
    [
        (
            "squared_euclidean",
            None,
            "--distance-metric is squared_euclidean, but .*several_cosine/model.ckpt-6 was trained "
            "with cosine: leave --distance-metric out",
        ),
        (None, 4, "was trained with 5: leave --mini-batch-steps-per-iteration out"),
    ],
)
def test_a_contradicting_option_is_an_error(
    models: Path, tmp_path: Path, metric: str | None, steps: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        import_model(models / "2.15.1" / "several_cosine", tmp_path / "never", metric, steps)
    assert not (tmp_path / "never").exists()


def test_training_goes_on_in_the_same_iteration(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(models / "1.4.1" / "several_cosine", folder)
    remaining = int(load_tensorflow_checkpoint(folder)["update_in_steps"])
    kmeans = KMeansClustering(4, model_dir=str(folder), **dict(CASES)["1.4.1/several_cosine"])
    assert kmeans.get_variable_value("update_in_steps") == 5 - remaining


@pytest.mark.parametrize("with_graph", [True, False])
@pytest.mark.parametrize("by_prefix", [True, False])
def test_a_warm_start_takes_centers_whatever_the_mode(
    models: Path, tmp_path: Path, with_graph: bool, by_prefix: bool
) -> None:
    source = models / "1.15.5" / "several_cosine"
    if not with_graph:
        source = tmp_path / "old"
        shutil.copytree(
            models / "1.15.5" / "several_cosine", source, ignore=shutil.ignore_patterns("*.meta")
        )
    begin = source / "model.ckpt-6" if by_prefix else source
    kmeans = KMeansClustering(4, use_mini_batch=False, warm_start_from=str(begin))
    kmeans.train(lambda: POINTS, steps=1)
    # One iteration of Lloyd's algorithm from TensorFlow's centers.
    centers = np.load(models / "1.15.5" / "several_cosine" / "predicted.npz")["centers"]
    distances = ((POINTS[:, np.newaxis].astype(float) - centers) ** 2).sum(axis=2)
    nearest = distances.argmin(axis=1)
    for cluster in np.unique(nearest):
        mean = POINTS[nearest == cluster].astype(float).mean(axis=0)
        np.testing.assert_allclose(kmeans.cluster_centers()[cluster], mean, rtol=1e-5)


def test_without_a_graph_the_arguments_count_and_that_is_said(
    models: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, old = models / "1.15.5" / "mini_batch_cosine", tmp_path / "old"
    shutil.copytree(source, old, ignore=shutil.ignore_patterns("*.meta"))
    kmeans = KMeansClustering(4, model_dir=str(old))
    with caplog.at_level(logging.WARNING, "centroids"):
        kmeans.cluster_centers()
        kmeans.cluster_centers()
    (record,) = caplog.records
    assert "distance_metric='squared_euclidean' is taken from the arguments" in record.getMessage()

    def printed(folder: Path, name: str, metric: str | None) -> str:
        import_model(folder, tmp_path / name, metric, None)
        return capsys.readouterr().out

    guessed = printed(old, "guessed", None)
    assert "The metric is a guess: there is no graph (" in guessed and "ckpt-6.meta)" in guessed
    given = printed(old, "given", "cosine")
    assert "cosine" in given and "guess" not in given
    assert "guess" not in printed(source, "told", None)


@pytest.mark.parametrize("content", [b"no graph", b"\x0a\x05"])
def test_a_damaged_graph_is_an_error(models: Path, tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "old"
    shutil.copytree(models / "1.15.5" / "mini_batch_cosine", folder)
    (folder / "model.ckpt-6.meta").write_bytes(content)
    kmeans = KMeansClustering(4, model_dir=str(folder), distance_metric="cosine")
    with pytest.raises(DamagedCheckpointError, match=r"ckpt-6\.meta is not a whole graph"):
        kmeans.cluster_centers()


def test_any_damage_of_a_graph_is_noticed_or_harmless(models: Path, tmp_path: Path) -> None:
    from centroids.kmeans._tensorflow_graph import read_graph

    whole = (models / "2.15.1" / "several_cosine" / "model.ckpt-6.meta").read_bytes()
    random = np.random.default_rng(0)
    told = set()
    for number in range(150):
        damaged = bytearray(whole[: random.integers(len(whole))] if number % 3 == 0 else whole)
        for place in random.integers(0, max(len(damaged), 1), size=number % 9):
            damaged[place : place + 1] = random.bytes(1)
        prefix = str(tmp_path / f"damaged-{number}")
        Path(prefix + ".meta").write_bytes(damaged)
        try:
            settings = read_graph(prefix, "update_in_steps")
        except DamagedCheckpointError:
            continue
        told.add(None if settings is None else settings.distance_metric)
    assert "cosine" in told


def test_a_graph_without_a_kmeans_says_nothing(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(models / "1.15.5" / "mini_batch_cosine", folder)
    (folder / "model.ckpt-6.meta").write_bytes(b"")
    kmeans = KMeansClustering(4, model_dir=str(folder))
    assert kmeans.cluster_centers().shape == (4, 3)


def test_objects_of_tensorflow_2_have_their_names_and_strings_are_left_out(models: Path) -> None:
    folder = models / "2.15.1" / "objects"
    variables = load_tensorflow_checkpoint(folder)
    assert sorted(variables) == ["layer/kernel", "save_counter", "step"]
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(variables["layer/kernel"], kernel)
    assert variables["step"] == 7
    for path in (folder / "saved_model", folder / "saved_model" / "variables" / "variables"):
        variables = load_tensorflow_checkpoint(path)
        assert list(variables) == ["kernel"]
        np.testing.assert_array_equal(variables["kernel"], kernel)
