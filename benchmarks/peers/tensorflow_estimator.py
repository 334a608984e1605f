"""TensorFlow 2.15, the last with Estimators: tf.compat.v1.estimator.experimental.KMeans."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmarks.peers.base import Fitted, Peer

v1 = tf.compat.v1
v1.logging.set_verbosity("ERROR")


def _local_variable(name: str, value: Callable[[], Any]) -> Any:
    """A variable outside of checkpoints; the fastest way to hand TensorFlow an array.

    A constant would be written with the graph, and is limited to 2 GB.
    """
    collections = [v1.GraphKeys.LOCAL_VARIABLES]
    return v1.Variable(
        value, trainable=False, name=name, collections=collections, use_resource=True
    )


def _points_variable(points: NDArray[np.float32]) -> Any:
    def value() -> Any:
        return tf.ensure_shape(tf.numpy_function(lambda: points, [], tf.float32), points.shape)

    return _local_variable("points", value)


class TensorFlow(Peer):
    """The default configuration, on as many threads as the others."""

    def __init__(self) -> None:
        threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
        session = v1.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
        )
        self._config = tf.estimator.RunConfig(session_config=session)

    def versions(self) -> dict[str, str]:
        return {"TensorFlow": str(tf.__version__)}

    def _model(self, centers: NDArray[np.float32], use_mini_batch: bool) -> Any:
        return v1.estimator.experimental.KMeans(
            len(centers),
            initial_clusters=centers,
            use_mini_batch=use_mini_batch,
            config=self._config,
        )

    def fit(self, points: Any, centers: NDArray[np.float32], iterations: int) -> Fitted:
        model = self._model(centers, use_mini_batch=False)
        model.train(lambda: _points_variable(points).read_value(), steps=iterations)
        return Fitted(np.asarray(model.cluster_centers()), iterations)

    def mini_batch(
        self, points: Any, centers: NDArray[np.float32], batch_size: int, steps: int
    ) -> Fitted:
        rows = len(points) // batch_size * batch_size

        def input_fn() -> Any:
            """Slices of a variable: much faster than a tf.data pipeline."""
            whole = _points_variable(points).read_value()
            end = _local_variable("end", lambda: tf.constant(0)).assign_add(batch_size)
            batch = tf.slice(whole, [(end - batch_size) % rows, 0], [batch_size, points.shape[1]])
            return tf.ensure_shape(batch, [batch_size, points.shape[1]])

        model = self._model(centers, use_mini_batch=True)
        model.train(input_fn, steps=steps)
        return Fitted(np.asarray(model.cluster_centers()), steps)

    def predictor(
        self, points: Any, centers: NDArray[np.float32], as_list: bool
    ) -> Callable[[], NDArray[Any]]:
        model = self._model(centers, use_mini_batch=False)
        # Each center's only point is itself: none moves.
        model.train(lambda: _points_variable(centers).read_value(), steps=1)

        def predict() -> NDArray[Any]:
            def input_fn() -> Any:
                return v1.train.limit_epochs(_points_variable(points).read_value(), num_epochs=1)

            return np.asarray(list(model.predict_cluster_index(input_fn)))

        return predict


class TensorFlowNumpy(TensorFlow):
    """Fed by `numpy_input_fn`, as programs did (and as ours is), not from a variable."""

    def mini_batch(
        self, points: Any, centers: NDArray[np.float32], batch_size: int, steps: int
    ) -> Fitted:
        whole = points[: len(points) // batch_size * batch_size]
        input_fn = v1.estimator.inputs.numpy_input_fn(
            {"points": whole}, batch_size=batch_size, num_epochs=None, shuffle=False
        )
        model = self._model(centers, use_mini_batch=True)
        model.train(input_fn, steps=steps)
        return Fitted(np.asarray(model.cluster_centers()), steps)
