"""Exported folders: what is in them, whole or not there. TensorFlow is not used."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids import export
from centroids.estimator import Estimator, EstimatorSpec
from centroids.export import ServingInputReceiver
from tests.estimator import online_mean
from tests.export.proto import has_constant, read_meta_graph

ROOT = Path(__file__).parents[2]
POINTS = np.array([[0, 0], [0, 2], [9, 0], [9, 2]], np.float32)
RAW = export.build_raw_serving_input_receiver_fn({"x": POINTS})


@pytest.fixture
def model(tmp_path: Path) -> centroids.KMeansClustering:
    model_dir = str(tmp_path / "model")
    kmeans = centroids.KMeansClustering(2, model_dir, POINTS[[0, 3]], use_mini_batch=False)
    return kmeans.train(lambda: POINTS, steps=2)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "exports"


def files(folder: str | Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


def test_the_folder_is_named_by_the_time_and_holds_one_file(
    model: centroids.KMeansClustering, base: Path
) -> None:
    before = int(time.time())
    folder = model.export_savedmodel(str(base), RAW)
    assert type(folder) is str and os.path.dirname(folder) == str(base)
    assert before <= int(os.path.basename(folder)) <= time.time()
    assert files(folder) == {"saved_model.pb"} and os.listdir(base) == [os.path.basename(folder)]
    assert has_constant(folder, model.cluster_centers())


def test_signatures(model: centroids.KMeansClustering, base: Path) -> None:
    meta_graph = read_meta_graph(model.export_saved_model(base, RAW))
    assert list(meta_graph.meta_info_def.tags) == ["serve"]
    signatures = meta_graph.signature_def
    assert set(signatures) == {"serving_default", "cluster_index", "all_distances"}
    for key, signature in signatures.items():
        assert signature.method_name == "tensorflow/serving/predict"
        assert list(signature.inputs) == ["x"] and list(signature.outputs) == ["output"]
        x, output = signature.inputs["x"], signature.outputs["output"]
        assert x.dtype == 1 and [dim.size for dim in x.tensor_shape.dim] == [-1, 2]
        sizes = [dim.size for dim in output.tensor_shape.dim]
        expected = (1, [-1, 2]) if key == "all_distances" else (9, [-1])
        assert (output.dtype, sizes) == expected
    index = [signatures[key].outputs["output"].name for key in ("serving_default", "cluster_index")]
    assert index[0] == index[1]


def test_text_says_the_same(model: centroids.KMeansClustering, base: Path) -> None:
    text = model.export_savedmodel(base, RAW, as_text=True)
    assert files(text) == {"saved_model.pbtxt"}
    assert read_meta_graph(text) == read_meta_graph(model.export_savedmodel(base, RAW))


def test_extra_assets_are_copied(
    model: centroids.KMeansClustering, base: Path, tmp_path: Path
) -> None:
    source = tmp_path / "words.txt"
    source.write_bytes(b"one\r\ntwo\0")
    assets = {"words.txt": str(source), "deep/er/./again.bin": source}
    folder = Path(model.export_savedmodel(base, RAW, assets))
    copies = {"assets.extra/words.txt", "assets.extra/deep/er/again.bin"}
    assert files(folder) == {"saved_model.pb", *copies}
    assert all((folder / copy).read_bytes() == b"one\r\ntwo\0" for copy in copies)


def test_an_older_checkpoint_can_be_exported(model: centroids.KMeansClustering, base: Path) -> None:
    older = model.latest_checkpoint()
    centers = model.cluster_centers()
    model.train(lambda: POINTS + 100, steps=3)
    assert not np.array_equal(centers, model.cluster_centers())
    assert has_constant(model.export_savedmodel(base, RAW, checkpoint_path=older), centers)
    assert has_constant(model.export_savedmodel(base, RAW), model.cluster_centers())


def test_exports_of_one_second_get_successive_names(
    model: centroids.KMeansClustering, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1700000000.9)
    base.mkdir()
    (base / "1700000001").write_text("in the way")
    (base / "1700000003").mkdir()
    folders = [model.export_savedmodel(base, RAW) for _ in range(4)]
    names = [os.path.basename(folder) for folder in folders]
    # Above all that are there: TF Serving serves the highest.
    assert names == ["1700000004", "1700000005", "1700000006", "1700000007"]
    assert (base / "1700000001").read_text() == "in the way"


def test_exports_of_several_threads_do_not_meet(
    model: centroids.KMeansClustering, base: Path
) -> None:
    folders: list[str] = []

    def export_some() -> None:
        folders.extend(model.export_savedmodel(base, RAW) for _ in range(5))

    threads = [threading.Thread(target=export_some) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(folders)) == 30
    assert sorted(os.listdir(base)) == sorted(map(os.path.basename, folders))
    assert all(has_constant(folder, model.cluster_centers()) for folder in folders)


def test_export_while_training_goes_on(base: Path, tmp_path: Path) -> None:
    config = centroids.RunConfig(save_checkpoints_steps=1, keep_checkpoint_max=2)
    model = centroids.KMeansClustering(2, str(tmp_path / "model"), POINTS[[0, 3]], config=config)
    model.train(lambda: [POINTS])
    done, folders = threading.Event(), []

    def keep_exporting() -> None:
        while not done.is_set():
            folders.append(model.export_savedmodel(base, RAW))

    thread = threading.Thread(target=keep_exporting)
    thread.start()

    class ExportHook(centroids.SessionRunHook):
        def after_run(self, run_context: Any, run_values: Any) -> None:
            folders.append(model.export_savedmodel(base, RAW))

    try:
        model.train(lambda: iter([POINTS + shift for shift in range(15)]), hooks=[ExportHook()])
    finally:
        done.set()
        thread.join()
    assert len(folders) > 15 and len(set(folders)) == len(folders)
    assert all(read_meta_graph(folder).signature_def for folder in folders)
    assert has_constant(model.export_savedmodel(base, RAW), model.cluster_centers())


def other_model_fn(features: Any, mode: str) -> EstimatorSpec:
    """The second model of the estimator's tests, which can be exported."""
    spec = online_mean.model_fn(features, mode)
    values = {name: getattr(spec, name) for name in spec.__dataclass_fields__}
    # Tensors take part in arithmetic: the prediction's own function describes the graph.
    deviation = export.PredictOutput({"deviation": online_mean.deviations})
    return EstimatorSpec(**(values | {"export_outputs": {"deviation": deviation}}))


def test_another_model_is_exported_by_the_same_code(base: Path) -> None:
    model = Estimator(other_model_fn).train(online_mean.batches)
    receiver = export.placeholder(np.float64, [None, 2], "rows")
    folder = model.export_savedmodel(base, lambda: ServingInputReceiver(receiver, receiver))
    assert has_constant(folder, model.get_variable_value("mean"))
    meta_graph = read_meta_graph(folder)
    assert set(meta_graph.signature_def) == {"serving_default", "deviation"}
    for signature in meta_graph.signature_def.values():
        assert signature.inputs["input"].name == "rows:0"
        assert list(signature.outputs) == ["deviation"]
    assert [node.op for node in meta_graph.graph_def.node] == ["Placeholder", "Const", "Sub"]


def test_a_model_without_export_outputs_cannot_be_exported(base: Path) -> None:
    model = Estimator(online_mean.model_fn).train(online_mean.batches)
    rows = export.placeholder(np.float64, [None, 2])
    with pytest.raises(ValueError, match="its EstimatorSpec has no export_outputs"):
        model.export_savedmodel(base, lambda: ServingInputReceiver(rows, rows))
    assert not base.exists()


OUTPUT = export.PredictOutput(lambda batch: batch.features)


@pytest.mark.parametrize(
    ("export_outputs", "error", "message"),
    [
        ([OUTPUT], TypeError, "export_outputs must be a dict by signature name"),
        ({"a": lambda batch: 1}, TypeError, r"export_outputs\['a'\] must be a PredictOutput"),
        ({1: OUTPUT}, TypeError, r"export_outputs\[1\] must be a PredictOutput with a string"),
        ({"a": OUTPUT, "b": OUTPUT}, ValueError, "'a', 'b', but none of them is the default"),
    ],
)
def test_export_outputs_are_checked(
    export_outputs: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        EstimatorSpec("infer", lambda batch: 1, export_outputs=export_outputs)


def receiver_of(shape: list[int | None], dtype: Any = np.float32) -> Callable[[], Any]:
    x = export.placeholder(dtype, shape, "x")
    return lambda: ServingInputReceiver({"x": x}, {"x": x})


def unfillable() -> ServingInputReceiver:
    x, other = (export.placeholder(np.float32, [None, 2], name) for name in ("x", "other"))
    return ServingInputReceiver({"x": x}, {"x": other})


def failing() -> ServingInputReceiver:
    raise RuntimeError("from the receiver")


BAD_ARGUMENTS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"serving_input_receiver_fn": None}, ValueError, "serving_input_receiver_fn must be defined"),
    ({"serving_input_receiver_fn": {"x": 1}}, ValueError, "must be a function.*got {'x': 1}"),
    ({"serving_input_receiver_fn": lambda: POINTS}, ValueError, "must return a ServingInputRec"),
    ({"serving_input_receiver_fn": failing}, RuntimeError, "from the receiver"),
    ({"serving_input_receiver_fn": unfillable}, ValueError, "need the placeholder 'x', which is"),
    (
        {"serving_input_receiver_fn": receiver_of([None, 3])},
        ValueError,
        "points have 3 columns, but the centers of the trained model have 2 columns",
    ),
    (
        {"serving_input_receiver_fn": receiver_of([None, None])},
        ValueError,
        r"features of the shape \(None, None\); all sizes but that of the batch must be known",
    ),
    ({"serving_input_receiver_fn": receiver_of([])}, ValueError, r"shape \[n, d\]"),
    ({"serving_input_receiver_fn": receiver_of([None, 2, 1])}, ValueError, r"shape \[n, d\]"),
    ({"serving_input_receiver_fn": receiver_of([None, 2], "S")}, TypeError, "real numbers"),
    ({"assets_extra": ["a"]}, ValueError, "assets_extra must be a dict"),
    ({"assets_extra": {"../a": __file__}}, ValueError, "destination '../a', which must be"),
    ({"assets_extra": {"a/../../b": __file__}}, ValueError, "inside assets.extra"),
    ({"assets_extra": {"/etc/a": __file__}}, ValueError, "inside assets.extra"),
    ({"assets_extra": {"a/": __file__}}, ValueError, "inside assets.extra"),
    ({"assets_extra": {"": __file__}}, ValueError, "destinations by strings, got ''"),
    ({"assets_extra": {"a": 3}}, ValueError, r"assets_extra\['a'\] must be a path, got 3"),
    ({"assets_extra": {"a": __file__, "./a": __file__}}, ValueError, "two files for .*extra/a"),
    ({"assets_extra": {"a": __file__, "a/b": __file__}}, OSError, "a"),
    ({"assets_extra": {"a": "not there"}}, FileNotFoundError, "not there"),
    ({"assets_extra": {"a": str(ROOT)}}, OSError, r"assets_extra\['a'\] is not a regular file"),
    ({"checkpoint_path": "not there"}, ValueError, "not there"),
    ({"export_dir_base": ""}, ValueError, "export_dir_base is empty"),
    ({"export_dir_base": 7}, ValueError, "export_dir_base must be a path, got 7"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD_ARGUMENTS)
def test_bad_arguments_leave_nothing(
    model: centroids.KMeansClustering,
    base: Path,
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        model.export_savedmodel(
            **({"export_dir_base": base, "serving_input_receiver_fn": RAW} | arguments)
        )
    assert not base.exists() or not any(base.iterdir())


def test_a_model_that_is_not_trained_cannot_be_exported(base: Path, tmp_path: Path) -> None:
    model = centroids.KMeansClustering(2, str(tmp_path / "new"))
    with pytest.raises(ValueError, match="Could not find trained model"):
        model.export_savedmodel(base, RAW)
    assert not base.exists()


def test_a_damaged_checkpoint_is_not_exported(
    model: centroids.KMeansClustering, base: Path
) -> None:
    checkpoint = model.latest_checkpoint()
    assert checkpoint is not None
    data = bytearray(Path(checkpoint).read_bytes())
    data[-3] ^= 1
    Path(checkpoint).write_bytes(data)
    with pytest.raises(ValueError, match=os.path.basename(checkpoint)):
        model.export_savedmodel(base, RAW, checkpoint_path=checkpoint)
    assert not base.exists()


def test_a_model_of_another_metric_is_not_exported(
    model: centroids.KMeansClustering, base: Path
) -> None:
    other = centroids.KMeansClustering(2, model.model_dir, distance_metric="cosine")
    with pytest.raises(ValueError, match="distance_metric is 'squared_euclidean' there"):
        other.export_savedmodel(base, RAW)
    assert not base.exists()


def test_a_file_in_place_of_the_base_folder(model: centroids.KMeansClustering, base: Path) -> None:
    base.write_text("a file")
    with pytest.raises(NotADirectoryError, match="export_dir_base must be a folder"):
        model.export_savedmodel(base, RAW)
    with pytest.raises(OSError, match="exports"):
        model.export_savedmodel(base / "below", RAW)
    assert base.read_text() == "a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(model: centroids.KMeansClustering, base: Path) -> None:
    base.mkdir(mode=0o500)
    with pytest.raises(PermissionError, match="exports"):
        model.export_savedmodel(base, RAW)
    assert not base.exists()


@pytest.mark.parametrize("failing_call", range(7))
def test_nothing_stays_when_the_disk_fails(
    model: centroids.KMeansClustering,
    base: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing_call: int,
) -> None:
    # Synced are: the parents of two new folders, the two files, their two folders, and the base
    # folder after the rename.
    calls, real = [], os.fsync

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == failing_call + 1:
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output error"):
        model.export_savedmodel(base, RAW, {"this.py": __file__})
    assert not base.exists()
    model.export_savedmodel(base, RAW, {"this.py": __file__})


def test_an_export_never_imports_tensorflow(
    model: centroids.KMeansClustering, base: Path, tmp_path: Path
) -> None:
    for name in ("tensorflow", "torch"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    code = f"""
import sys
import centroids
assert not any(name.startswith("google.protobuf") for name in sys.modules)
model = centroids.KMeansClustering(2, {model.model_dir!r})
spec = {{"x": centroids.export.FixedLenFeature([2], "float32")}}
receive = centroids.export.build_parsing_serving_input_receiver_fn(spec)
model.export_savedmodel({str(base)!r}, receive)
print(sorted({{"tensorflow", "torch"}} & set(sys.modules)))
"""
    path = os.pathsep.join([str(tmp_path), *(entry for entry in sys.path if entry)])
    environment = {**os.environ, "PYTHONPATH": path}
    answer = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert answer.strip() == "[]" and len(os.listdir(base)) == 1
