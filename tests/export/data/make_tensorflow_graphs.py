"""Makes `models_of_tensorflow.zip`: k-means models of three versions of TensorFlow, with graphs.

    python make_tensorflow_graphs.py FOLDER

once each with TensorFlow 1.4.1 (Python 3.6), 1.15.5 (Python 3.7) and 2.15.1 (Python 3.11), into one
folder; each run zips all that is there.

Every mode and metric is trained, and a `tf.contrib.learn.KMeansClustering`. The input of the
Euclidean models normalises its points itself and makes a variable: names alone tell nothing.
Only the latest checkpoint of each model stays, and `predicted.npz`, what TensorFlow answered.
"""

import os
import shutil
import sys
import tempfile
import zipfile

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf

HERE = os.path.dirname(os.path.abspath(__file__))
VERSION = tf.__version__
POINTS = np.load(os.path.join(HERE, "points.npy"))
NUM_CLUSTERS, STEPS = 4, 6
SEED = "random_seed" if VERSION.startswith("1.") else "seed"
MODES = {
    "full_batch": {"use_mini_batch": False},
    "mini_batch": {},
    "several": {"mini_batch_steps_per_iteration": 5},
}
if VERSION.startswith("1."):
    from tensorflow.contrib.factorization import KMeansClustering as KMeans

    v1 = tf
else:
    KMeans = tf.compat.v1.estimator.experimental.KMeans
    v1 = tf.compat.v1


def make_input(normalised):
    def input_fn():
        points = tf.constant(POINTS)
        if normalised:
            points = tf.nn.l2_normalize(points, 1)
            v1.get_variable("times", initializer=np.int64(0), trainable=False)
        return points

    return input_fn


def once():
    points = tf.data.Dataset.from_tensor_slices(POINTS).batch(len(POINTS))
    return points.make_one_shot_iterator().get_next() if VERSION.startswith("1.") else points


def keep(source, target):
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    shutil.copy(os.path.join(source, "checkpoint"), target)
    with open(os.path.join(source, "checkpoint")) as file:
        latest = os.path.basename(file.read().split('"')[1])
    for name in os.listdir(source):
        if name.startswith(latest + "."):
            shutil.copy(os.path.join(source, name), target)


def make(folder, name, metric, initial, arguments):
    with tempfile.TemporaryDirectory() as work:
        model = KMeans(
            NUM_CLUSTERS,
            model_dir=work,
            initial_clusters=initial,
            distance_metric=metric,
            **{SEED: 7},
            **arguments,
        )
        model.train(make_input(metric != "cosine"), steps=STEPS)
        target = os.path.join(folder, VERSION, name)
        keep(work, target)
        np.savez(
            os.path.join(target, "predicted.npz"),
            centers=model.cluster_centers(),
            cluster_index=np.array(list(model.predict_cluster_index(once))),
        )


def make_contrib_learn(folder):
    from tensorflow.contrib.learn import KMeansClustering

    with tempfile.TemporaryDirectory() as work:
        arguments = {"distance_metric": "cosine", "mini_batch_steps_per_iteration": 3}
        model = KMeansClustering(NUM_CLUSTERS, model_dir=work, **arguments)
        model.fit(input_fn=lambda: (tf.constant(POINTS), None), steps=STEPS)
        target = os.path.join(folder, VERSION, "contrib_learn")
        keep(work, target)

        def one_epoch():
            return tf.train.limit_epochs(tf.constant(POINTS), 1), None

        np.savez(
            os.path.join(target, "predicted.npz"),
            centers=model.clusters(),
            cluster_index=np.array(list(model.predict_cluster_idx(input_fn=one_epoch))),
        )


def make_objects(folder):
    """A checkpoint of objects, as TensorFlow 2 saves it, and the variables of a SavedModel."""
    layer = tf.Module()
    layer.kernel = tf.Variable(np.arange(6, dtype=np.float32).reshape(2, 3))
    layer.names = tf.Variable(["a", "b"])
    target = os.path.join(folder, VERSION, "objects")
    shutil.rmtree(target, ignore_errors=True)
    tf.train.Checkpoint(layer=layer, step=tf.Variable(np.int64(7))).save(target + "/ckpt")
    tf.saved_model.save(layer, target + "/saved_model")


def pack(folder):
    """All files of a folder, as an archive of equal bytes for equal files."""
    with zipfile.ZipFile(os.path.join(HERE, "models_of_tensorflow.zip"), "w") as archive:
        for parent, folders, names in sorted(os.walk(folder)):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(parent, name)
                entry = zipfile.ZipInfo(os.path.relpath(path, folder))
                entry.compress_type = zipfile.ZIP_DEFLATED
                with open(path, "rb") as file:
                    archive.writestr(entry, file.read())


def main():
    (folder,) = sys.argv[1:]
    initials = {
        "full_batch": POINTS[:NUM_CLUSTERS],
        "mini_batch": "random",
        "several": "kmeans_plus_plus",
    }
    for mode, arguments in MODES.items():
        for metric in ("squared_euclidean", "cosine"):
            make(folder, mode + "_" + metric, metric, initials[mode], arguments)
    if VERSION.startswith("1."):
        make_contrib_learn(folder)
    else:
        make_objects(folder)
    pack(folder)


if __name__ == "__main__":
    main()
