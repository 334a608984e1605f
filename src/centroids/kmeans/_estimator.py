"""KMeansClustering: the k-means Estimator of TensorFlow r1.4."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any, ClassVar, get_args

import numpy as np
from numpy.typing import NDArray

from centroids.checkpoints.tensorflow import (
    find_tensorflow_checkpoint,
    is_tensorflow_checkpoint,
)
from centroids.checks import check_bool, check_choice, check_integer
from centroids.clustering import InitialCenters, InitialMethod
from centroids.estimator import Checkpoint, Estimator, ModeKeys, RunConfig, WarmStartSettings
from centroids.estimator.estimator import InputFunction
from centroids.estimator.other_names import explain_other_names
from centroids.estimator.predictions import Predictions, rows_of_batches
from centroids.estimator.session_setup import check_restored
from centroids.export.columns import Columns
from centroids.inputs.missing import MissingValues
from centroids.kmeans import model, variables
from centroids.kmeans._arguments import (
    check_initial_clusters,
    check_living_clusters,
    check_loss_tolerance,
    check_ratio,
    check_restarts,
    check_tolerance,
    check_weight_column,
)
from centroids.kmeans._given_centers import Rows, column_names_of
from centroids.kmeans._updates import EmptyClusters
from centroids.kmeans.from_tensorflow import TrainingSettings, load_kmeans_from_tensorflow
from centroids.kmeans.model import DistanceMetric, KMeansModel

logger = logging.getLogger(__name__)

# Arguments of later versions of TensorFlow, and of scikit-learn.
_OTHER_NAMES = {
    "feature_columns": (
        "leave it out; all columns of the input are used, so let input_fn return those to cluster "
        "by (an array, a table, or a dict of columns by name)"
    ),
    "seed": "use random_seed=",
    "random_state": "use random_seed=",
    "n_clusters": "use num_clusters=",
    "init": "use initial_clusters=",
    "n_init": "use num_restarts=",
    "tol": "use relative_tolerance=, which is relative to 1 + loss",
    "max_iter": "pass steps= or max_steps= to train",
    "sample_weight": "use weight_column=, the name of the column of the input that holds them",
    "batch_size": "let input_fn return batches, such as those of centroids.inputs.numpy_input_fn",
}


class KMeansClustering(Estimator):
    """An Estimator for k-means: training on streams or whole arrays, and inference.

    Three variants:

    - `use_mini_batch=False`: full batch. Each step is one iteration of Lloyd's algorithm over a
      batch, which must be the entire input.
    - `use_mini_batch=True`, `mini_batch_steps_per_iteration=1`: standard mini-batch k-means. Each
      step moves the centers towards the points of one batch.
    - `mini_batch_steps_per_iteration=N`: updates are gathered over N batches and then put into
      force together. With N batches to the input it is the full-batch algorithm over a stream.

    Distances are squared: `score`, `transform`, the loss and `all_distances` give squared
    Euclidean distances (as the reference does), or cosine distances 1 - cos(u, v). Results are
    equal to the bit for equal batches and seeds, whatever the number of threads.

    Args:
        num_clusters: The number of clusters, at least 1. Ignored if `initial_clusters` is an
            array.
        model_dir: The folder that checkpoints and summaries are written to and read from. If its
            only checkpoints are TensorFlow's, the model continues from them. None makes a temporary
            folder.
        initial_clusters: `RANDOM_INIT`, `KMEANS_PLUS_PLUS_INIT`, `KMEANS_REJECTION_INIT` (k-means++
            with one candidate for each center, in far less time for thousands of clusters),
            `KMEANS_PARALLEL_INIT` (k-means||), initial centers [k, d] (an array, a sparse matrix, a
            table, a tensor or nested lists), or a callable `f(inputs, k)` that returns from 0 to k
            centers, likewise, and is invoked on successive batches until all are chosen.
        distance_metric: `SQUARED_EUCLIDEAN_DISTANCE` or `COSINE_DISTANCE`.
        random_seed: Seed for choosing the initial centers, any integer. None chooses different ones
            in each run.
        use_mini_batch: See above.
        mini_batch_steps_per_iteration: See above. Used only with `use_mini_batch=True`.
        kmeans_plus_plus_num_retries: Extra candidates that are drawn for each center of k-means++,
            also when k-means|| uses it to choose among its candidates. If negative, there are
            2 + log(k) candidates in all. It has no effect on other methods.
        relative_tolerance: Stop when the loss changes by less than this, relative to 1 + loss,
            which depends on the units of the data. May stop mini-batches too early, as their losses
            vary from batch to batch. A full-batch step that changes nothing ends training with any
            tolerance, even 0.
        config: A RunConfig.
        loss_tolerance: Stop when a step lowers the loss by no more than this share of it, whatever
            the units of the data; 0 stops when the loss no longer falls. Only for full batches, and
            not together with `relative_tolerance`.
        warm_start_from: Another k-means model whose centers become the initial ones if `model_dir`
            has no checkpoint: its folder, a checkpoint of it (ours or TensorFlow's), or a
            WarmStartSettings. `initial_clusters` then has no effect.
        weight_column: The entry of a dict of features, or the column of a table, that holds how
            much each row counts: a finite number of at least 0. A row of weight 2 counts as two
            rows, and a row of weight 0 does not count. The other columns are the points. Training
            and evaluation need it; predictions ignore it. None: all rows count alike.
        num_restarts: How often initial centers are chosen; training goes on with the best choice.
            With mini-batches, that is the one with the lowest loss on the first batches. With full
            batches, each choice is followed by 10 iterations, which do not count as steps, and the
            best of these short runs goes on. A callable is called anew for each choice; an array is
            an error. It has no effect if `model_dir` has a checkpoint.
        empty_clusters: What a full-batch step does with a cluster that has no points: "keep" leaves
            its center where it is, "relocate" moves it to the point that is farthest from the
            center of its own cluster.
        reassignment_ratio: For mini-batches: the center of a cluster that has had fewer points than
            this share of what the largest one has had moves to a random point of the batch. 0 moves
            none; 0.01 is scikit-learn's default. It cannot be used with several
            `mini_batch_steps_per_iteration`.
        missing: What to do with missing values, which are NaN: "raise" refuses them; "drop" leaves
            their rows out, and predicts the index -1 and distances of NaN for such rows; "mean"
            replaces them with the mean that the column had in training.
        standardize: Whether to subtract from each column the mean that it had in training, and to
            divide by its standard deviation. Distances are then in these units;
            `cluster_centers()` and `initial_clusters` are in those of the points. With
            mini-batches, a pass over the input comes first, to find the means and deviations. So
            the input must have an end, and `input_fn` must be able to open it twice.

    Raises:
        ValueError: If an argument has a value that is not allowed; the message says what is.
        NotADirectoryError: If `model_dir` is a file.

    Source: Lloyd 1982 (full batch); Sculley, Web-scale k-means clustering, WWW 2010 (mini-batch).

    >>> import numpy as np
    >>> import centroids
    >>> points = np.array([[0.0, 0.0], [0.0, 2.0], [9.0, 0.0], [9.0, 2.0]], np.float32)
    >>> ends = points[[0, 3]]
    >>> kmeans = centroids.KMeansClustering(2, initial_clusters=ends, use_mini_batch=False)
    >>> kmeans = kmeans.train(lambda: points, steps=5)
    >>> kmeans.cluster_centers().tolist()
    [[0.0, 1.0], [9.0, 1.0]]
    >>> kmeans.score(lambda: points)
    4.0
    >>> once = lambda: centroids.inputs.limit_epochs(points, num_epochs=1)
    >>> [int(index) for index in kmeans.predict_cluster_index(once)]
    [0, 0, 1, 1]
    """

    SQUARED_EUCLIDEAN_DISTANCE: ClassVar[DistanceMetric] = model.SQUARED_EUCLIDEAN_DISTANCE
    COSINE_DISTANCE: ClassVar[DistanceMetric] = model.COSINE_DISTANCE
    RANDOM_INIT: ClassVar[InitialMethod] = model.RANDOM_INIT
    KMEANS_PLUS_PLUS_INIT: ClassVar[InitialMethod] = model.KMEANS_PLUS_PLUS_INIT
    KMEANS_PARALLEL_INIT: ClassVar[InitialMethod] = model.KMEANS_PARALLEL_INIT
    KMEANS_REJECTION_INIT: ClassVar[InitialMethod] = model.KMEANS_REJECTION_INIT
    SCORE: ClassVar[str] = model.SCORE
    CLUSTER_INDEX: ClassVar[str] = model.CLUSTER_INDEX
    CLUSTERS: ClassVar[str] = variables.CLUSTERS
    CLUSTER_CENTERS_VAR_NAME: ClassVar[str] = variables.CLUSTERS
    ALL_DISTANCES: ClassVar[str] = model.ALL_DISTANCES

    @explain_other_names(_OTHER_NAMES)
    def __init__(
        self,
        num_clusters: int,
        model_dir: str | os.PathLike[str] | None = None,
        initial_clusters: InitialCenters | Rows = RANDOM_INIT,
        distance_metric: DistanceMetric = SQUARED_EUCLIDEAN_DISTANCE,
        random_seed: int | None = 0,
        use_mini_batch: bool = True,
        mini_batch_steps_per_iteration: int = 1,
        kmeans_plus_plus_num_retries: int = 2,
        relative_tolerance: float | None = None,
        config: RunConfig | None = None,
        *,
        loss_tolerance: float | None = None,
        warm_start_from: str | os.PathLike[str] | WarmStartSettings | None = None,
        weight_column: str | None = None,
        num_restarts: int = 1,
        empty_clusters: EmptyClusters = "keep",
        reassignment_ratio: float = 0.0,
        missing: MissingValues = "raise",
        standardize: bool = False,
    ) -> None:
        initial = check_initial_clusters(initial_clusters)
        if isinstance(initial, np.ndarray):
            num_clusters = len(initial)
        model = KMeansModel(
            num_clusters=check_integer("num_clusters", num_clusters, 1),
            initial_clusters=initial,
            distance_metric=check_choice(
                "distance_metric", distance_metric, get_args(DistanceMetric)
            ),
            random_seed=(
                None if random_seed is None else check_integer("random_seed", random_seed)
            ),
            use_mini_batch=check_bool("use_mini_batch", use_mini_batch),
            mini_batch_steps_per_iteration=check_integer(
                "mini_batch_steps_per_iteration", mini_batch_steps_per_iteration, 1
            ),
            kmeans_plus_plus_num_retries=check_integer(
                "kmeans_plus_plus_num_retries", kmeans_plus_plus_num_retries
            ),
            relative_tolerance=check_tolerance("relative_tolerance", relative_tolerance),
            loss_tolerance=check_tolerance("loss_tolerance", loss_tolerance),
            initial_columns=column_names_of(initial_clusters),
            weight_column=check_weight_column(weight_column),
            num_restarts=check_integer("num_restarts", num_restarts, 1),
            empty_clusters=check_choice("empty_clusters", empty_clusters, get_args(EmptyClusters)),
            reassignment_ratio=check_ratio("reassignment_ratio", reassignment_ratio),
            missing=check_choice("missing", missing, get_args(MissingValues)),
            standardize=check_bool("standardize", standardize),
        )
        check_loss_tolerance(model)
        check_restarts(model)
        check_living_clusters(model)
        self._weight_column, self._missing = model.weight_column, model.missing
        self._taken_on_trust: str | None = None  # a checkpoint whose metric nobody could check
        super().__init__(model.model_fn, model_dir, config, model.params, warm_start_from)

    def cluster_centers(self) -> NDArray[Any]:
        """Returns the cluster centers.

        Returns:
            [num_clusters, d] in the units of the points, also with `standardize`, and in the type
            that training computed in: float32, or float64 for points of float64 or of integers of
            32 bits and more.

        Raises:
            ValueError: If the model has not been trained yet.
        """
        return variables.centers_in_units(self._trained(None).variables)

    def predict_cluster_index(self, input_fn: InputFunction) -> Predictions:
        """Finds the index of the closest cluster center to each input point.

        `numpy.asarray` of the result is much faster than a list, which has an object for each
        index.

        Args:
            input_fn: Input points; see `predict`.

        Yields:
            The index of the closest center for each point; the lowest if several are equally close.

        Raises:
            ValueError: If the model has not been trained yet.
        """
        return self._predict_one(input_fn, self.CLUSTER_INDEX)

    def transform(self, input_fn: InputFunction) -> Predictions:
        """Transforms each input point to its distances to all cluster centers.

        `numpy.asarray` of the result gives all of them at once, [n, num_clusters].

        Distances are squared Euclidean distances (scikit-learn's `transform` takes the root), or
        cosine distances.

        Args:
            input_fn: Input points; see `predict`.

        Yields:
            [num_clusters], the distances of one point.

        Raises:
            ValueError: If the model has not been trained yet.
        """
        return self._predict_one(input_fn, self.ALL_DISTANCES)

    def score(self, input_fn: InputFunction) -> float:
        """Returns the sum of squared distances to the nearest centers over the first batch.

        For the cosine metric it is the sum of cosine distances. With `weight_column` each distance
        counts by its weight. The sum is positive (scikit-learn's
        `score` returns the negative sum).

        Args:
            input_fn: Input points. Only one batch is retrieved.

        Raises:
            ValueError: If the model has not been trained yet.
        """
        return float(self.evaluate(input_fn, steps=1)[self.SCORE])

    def export_onnx(
        self,
        path: str | os.PathLike[str],
        checkpoint_path: str | os.PathLike[str] | None = None,
        *,
        columns: Columns | None = None,
        index_only: bool = False,
        float32: bool = False,
    ) -> str:
        """Writes the trained model as an ONNX file, for onnxruntime 1.10 and later.

        Its input is `points` [n, d] in the type of the centers, its outputs are `cluster_index`
        [n] int64 and `all_distances` [n, num_clusters], with the meaning and the values that they
        have here. A file at `path` is replaced in one step.

        Args:
            path: The file to write.
            checkpoint_path: The checkpoint to export; None takes the latest.
            columns: The names of the columns of the points, or the dict of features that the model
                was trained on. The metadata of the file then has them as `columns`, a JSON list.
            index_only: Leave `all_distances` out, which takes most of the memory.
            float32: Multiply in float32 instead of float64, which takes less time and memory.
                Points of float64 become float32. Labels are as right wherever the points lie, but
                not those of groups of points that are a hundred times farther apart than points
                within one.

        Returns:
            The path.

        Raises:
            ValueError: If the model has not been trained yet, the checkpoint belongs to another
                model, the centers take more than the 2 GB that an ONNX file can hold or overflow
                float32 where that was asked for, or there is another number of columns.
            TypeError: If `columns` is neither.
            ImportError: If the package onnx is missing: `pip install centroids[onnx]`.
            OSError: If the file cannot be written; nothing is left behind.
        """
        from centroids.export.onnx_file import write_onnx

        if isinstance(columns, Mapping):  # the features of training have the weights, too
            columns = {name: part for name, part in columns.items() if name != self._weight_column}
        restored = self._trained(checkpoint_path)
        spec = self.model_fn(None, None, ModeKeys.PREDICT, self.config)
        check_restored(spec, restored, with_variables=False)
        centers = restored.variables[self.CLUSTERS]
        if spec.check_variables is not None:
            spec.check_variables(restored.variables)
        return write_onnx(
            path,
            centers,
            self.params["distance_metric"],
            restored.global_step,
            columns=columns,
            index_only=index_only,
            float32=float32,
            preparation=variables.preparation_of(
                restored.variables, fills=variables.fills_missing(restored.identity)
            ),
        )

    def _load_checkpoint(
        self, checkpoint_path: str | os.PathLike[str] | None = None
    ) -> Checkpoint | None:
        path = checkpoint_path
        if path is None or not is_tensorflow_checkpoint(path):
            return super()._load_checkpoint(path)
        return self._load_tensorflow(path)

    def _load_folder(self, folder: str) -> Checkpoint | None:
        found = super()._load_folder(folder)
        path = find_tensorflow_checkpoint(folder) if found is None else None
        return found if path is None else self._load_tensorflow(path)

    def _load_tensorflow(self, path: str | os.PathLike[str]) -> Checkpoint:
        use_mini_batch = self.params["use_mini_batch"]
        steps = self.params["mini_batch_steps_per_iteration"] if use_mini_batch else 1
        given = TrainingSettings(self.params["distance_metric"], use_mini_batch, steps)
        checkpoint, stored = load_kmeans_from_tensorflow(path, given)
        if stored.distance_metric is None and self._taken_on_trust != checkpoint.path:
            self._taken_on_trust = checkpoint.path
            logger.warning(
                "%s has no k-means graph beside it (a .meta file): that it was trained with "
                "distance_metric=%r is taken from the arguments.",
                checkpoint.path,
                given.distance_metric,
            )
        return checkpoint

    def _load_warm_start(self) -> tuple[WarmStartSettings, Checkpoint] | None:
        settings = self._warm_start
        if settings is None:
            return None
        place = os.fspath(settings.ckpt_to_initialize_from)
        path = place if is_tensorflow_checkpoint(place) else None
        if os.path.isdir(place):
            found = super()._load_folder(place)
            if found is not None:
                return settings, variables.with_centers_in_units(found)
            path = find_tensorflow_checkpoint(place)
        if path is None:
            loaded = super()._load_warm_start()
            return loaded and (settings, variables.with_centers_in_units(loaded[1]))
        # Only values are taken: this model may be trained in another way than that one.
        checkpoint, _ = load_kmeans_from_tensorflow(path, None)
        return settings, checkpoint

    def _predict_one(self, input_fn: InputFunction, key: str) -> Predictions:
        # By whole batches: a dict for every point would take ten times as long as the search.
        batches = self.predict(input_fn, predict_keys=[key], yield_single_examples=False)
        return rows_of_batches(batches, key)
