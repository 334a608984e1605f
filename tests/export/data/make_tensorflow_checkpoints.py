"""Makes the checkpoints in this folder with TensorFlow 2.15, the last with Estimators.

    python3.11 -m venv environment
    environment/bin/pip install 'tensorflow-cpu==2.15.*' 'numpy<2'
    environment/bin/python tests/export/data/make_tensorflow_checkpoints.py

Each folder of a k-means model also holds what TensorFlow did with it: `predicted.npz` from the
checkpoint itself, and `continued.npz`, the variables after training went on.

TensorFlow runs here with one thread that takes operations in their order. Otherwise its mini-batch
update reads the counts of points before or after it adds to them, as it happens: most steps then
count the points of a batch twice.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
NUM_CLUSTERS, DIMENSIONS, NUM_POINTS, BATCH_SIZE = 4, 3, 96, 16

# Name, arguments, steps before and after the checkpoint.
MODELS: list[tuple[str, dict[str, Any], int, int]] = [
    ("full_batch", {"use_mini_batch": False}, 2, 3),
    ("full_batch_cosine", {"use_mini_batch": False, "distance_metric": "cosine"}, 2, 3),
    ("mini_batch", {}, 4, 5),
    ("mini_batch_cosine", {"distance_metric": "cosine"}, 4, 5),
    ("in_iteration", {"mini_batch_steps_per_iteration": 4}, 6, 2),
    (
        "in_iteration_cosine",
        {"mini_batch_steps_per_iteration": 4, "distance_metric": "cosine"},
        6,
        2,
    ),
    ("end_of_iteration", {"mini_batch_steps_per_iteration": 4}, 4, 4),
    (
        "end_of_iteration_cosine",
        {"mini_batch_steps_per_iteration": 4, "distance_metric": "cosine"},
        8,
        4,
    ),
]


def make_points() -> np.ndarray:
    random = np.random.default_rng(4)
    centers = random.normal(size=(NUM_CLUSTERS, DIMENSIONS)) * 3
    noise = random.normal(size=(NUM_POINTS, DIMENSIONS)) * 2
    return (centers[random.integers(0, NUM_CLUSTERS, NUM_POINTS)] + noise).astype(np.float32)


def make_model(
    tf: Any, points: np.ndarray, name: str, arguments: Any, before: int, after: int
) -> None:
    batch_size = BATCH_SIZE if arguments.get("use_mini_batch", True) else NUM_POINTS

    def train_input() -> Any:
        return tf.data.Dataset.from_tensor_slices(points).batch(batch_size).repeat()

    def once() -> Any:
        return tf.data.Dataset.from_tensor_slices(points).batch(NUM_POINTS)

    session = tf.compat.v1.ConfigProto()
    session.experimental.executor_type = "SINGLE_THREADED_EXECUTOR"

    def model(folder: Path) -> Any:
        return tf.compat.v1.estimator.experimental.KMeans(
            NUM_CLUSTERS,
            model_dir=str(folder),
            initial_clusters=points[:NUM_CLUSTERS],
            seed=0,
            config=tf.estimator.RunConfig(session_config=session),
            **arguments,
        )

    with tempfile.TemporaryDirectory() as folder:
        old, later = Path(folder) / "old", Path(folder) / "later"
        kmeans = model(old)
        kmeans.train(train_input, steps=before)
        keep_checkpoint(old, HERE / name)
        predicted = {
            "centers": kmeans.cluster_centers(),
            "cluster_index": np.array(list(kmeans.predict_cluster_index(once))),
            "distances": np.array(list(kmeans.transform(once))),
            "score": kmeans.score(once),
        }
        np.savez(HERE / name / "predicted.npz", **predicted)
        shutil.copytree(old, later)
        kmeans = model(later)
        kmeans.train(train_input, steps=after)
        names = kmeans.get_variable_names()
        continued = {name: kmeans.get_variable_value(name) for name in names}
        np.savez(HERE / name / "continued.npz", **continued)


def keep_checkpoint(source: Path, target: Path) -> None:
    """Copies the latest checkpoint and the list, without graphs and events."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    shutil.copy(source / "checkpoint", target)
    latest = (source / "checkpoint").read_text().split('"')[1]
    for file in source.glob(f"{latest}.*"):
        if file.suffix != ".meta":
            shutil.copy(file, target)


def save_variables(tf: Any, folder: str, make: Any, **arguments: Any) -> None:
    """A checkpoint of other variables than those of k-means."""
    v1 = tf.compat.v1
    shutil.rmtree(HERE / folder, ignore_errors=True)
    (HERE / folder).mkdir()
    with tf.Graph().as_default(), v1.Session(config=v1.ConfigProto(device_count={"CPU": 2})) as run:
        make(v1)
        run.run(v1.global_variables_initializer())
        path = str(HERE / folder / "model.ckpt")
        saver = v1.train.Saver(save_relative_paths=True, **arguments)
        saver.save(run, path, global_step=7, write_meta_graph=False)


def other_model(v1: Any) -> None:
    v1.get_variable("dense/kernel", initializer=np.arange(6, dtype=np.float32).reshape(2, 3))
    v1.get_variable("dense/bias", initializer=np.zeros(3, np.float64))
    v1.get_variable("global_step", initializer=np.int64(7), dtype=np.int64)


def all_types(v1: Any) -> None:
    for dtype in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"):
        v1.get_variable(f"v_{np.dtype(dtype)}", initializer=np.arange(5).astype(dtype))
    v1.get_variable("scalar", initializer=np.float32(2.5))
    v1.get_variable("empty", initializer=np.zeros((0, 3), np.float32))
    v1.get_variable("text", initializer="a text")


def many_variables(v1: Any) -> None:
    for i in range(120):
        name = f"a_name_of_some_length/layer_{i:03d}/of_a_model_with_many_layers/kernel"
        v1.get_variable(name, initializer=np.full(2, i, np.float32))


def two_files(v1: Any) -> None:
    for i in range(4):
        with v1.device(f"/cpu:{i % 2}"):
            v1.get_variable(f"part_{i}", initializer=np.full(i + 1, i, np.float32))


def in_parts(v1: Any) -> None:
    partitioner = v1.fixed_size_partitioner(2)
    v1.get_variable("whole", initializer=np.ones(3, np.float32))
    v1.get_variable(
        "clusters", shape=(4, 3), partitioner=partitioner, initializer=v1.ones_initializer()
    )


def main() -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    tf.compat.v1.logging.set_verbosity("ERROR")
    points = make_points()
    np.save(HERE / "points.npy", points)
    for model in MODELS:
        make_model(tf, points, *model)
    save_variables(tf, "other_model", other_model)
    save_variables(tf, "all_types", all_types)
    save_variables(tf, "many_variables", many_variables)
    save_variables(tf, "two_files", two_files, sharded=True)
    save_variables(tf, "in_parts", in_parts)


if __name__ == "__main__":
    main()
