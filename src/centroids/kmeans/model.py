"""K-means as a model function: what the Estimator runs for each batch.

The reference is `kmeans_cluster_model_fn` of TensorFlow r1.4; where the semantics differ from it,
docs/semantics.md says why.
"""

from __future__ import annotations

import functools
import itertools
import math
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from centroids import clustering, kernels
from centroids.clustering import InitialCenters, InitialMethod
from centroids.clustering.points import check_width
from centroids.distribute import is_sharded
from centroids.errors import NoPointsError, WidthError, WordedError, message_of
from centroids.estimator import (
    Batch,
    EstimatorSpec,
    ModeKeys,
    ProjectorHook,
    Ratio,
    RunConfig,
    SessionRunHook,
    Sum,
    TensorSpec,
)
from centroids.estimator import (
    Mean as BatchMean,
)
from centroids.kmeans._exports import ALL_DISTANCES as ALL_DISTANCES
from centroids.kmeans._exports import CLUSTER_INDEX as CLUSTER_INDEX
from centroids.kmeans._exports import empty_batch, export_outputs
from centroids.kmeans._given_centers import centers_of, column_names_of, in_order_of
from centroids.kmeans._hooks import (
    EmptyClustersHook,
    LossToleranceHook,
    RelativeToleranceHook,
)
from centroids.kmeans._updates import EmptyClusters, Updates
from centroids.kmeans.summaries import CLUSTER_SIZES, TAGS, TrainingSummaries
from centroids.kmeans.variables import (
    CLUSTERS,
    COUNTS,
    INITIALIZED,
    PREVIOUS_LOSS,
    identity_of,
    variables_before_training,
    variables_of,
)
from centroids.rows import WeightedPoints, with_weights

DistanceMetric: TypeAlias = Literal["squared_euclidean", "cosine"]

SQUARED_EUCLIDEAN_DISTANCE: Final = "squared_euclidean"
COSINE_DISTANCE: Final = "cosine"
RANDOM_INIT: Final = "random"
KMEANS_PLUS_PLUS_INIT: Final = "kmeans_plus_plus"
KMEANS_PARALLEL_INIT: Final = "kmeans_parallel"
INITIAL_METHODS: Final[tuple[InitialMethod, ...]] = get_args(InitialMethod)
SCORE = "score"
TOTAL_WEIGHT = "total_weight"

FeatureSpec = TensorSpec | Mapping[str, TensorSpec] | None


@dataclass(frozen=True)
class KMeansModel:
    """The arguments of KMeansClustering that the model function needs, validated."""

    num_clusters: int
    initial_clusters: InitialCenters | NDArray[Any]
    distance_metric: DistanceMetric
    random_seed: int | None
    use_mini_batch: bool
    mini_batch_steps_per_iteration: int
    kmeans_plus_plus_num_retries: int
    relative_tolerance: float | None
    loss_tolerance: float | None
    # The names of the columns of initial_clusters, where that is a table.
    initial_columns: tuple[str | int, ...] | None = None
    weight_column: str | None = None
    num_restarts: int = 1
    empty_clusters: EmptyClusters = "keep"
    reassignment_ratio: float = 0.0

    @property
    def cosine(self) -> bool:
        """Whether distances are cosine distances."""
        return self.distance_metric == COSINE_DISTANCE

    @property
    def params(self) -> dict[str, Any]:
        """The arguments by name, as a checkpoint shows them: JSON cannot hold arrays."""
        initial = self.initial_clusters
        shown = initial if isinstance(initial, str) else type(initial).__name__
        params = {**vars(self), "initial_clusters": shown}
        del params["initial_columns"]  # a part of initial_clusters, not an argument
        # As in checkpoints without them.
        for name in ("weight_column", "num_restarts", "empty_clusters", "reassignment_ratio"):
            if params[name] == getattr(KMeansModel, name):
                del params[name]
        return params

    def model_fn(
        self, features: FeatureSpec, labels: object, mode: str, config: RunConfig
    ) -> EstimatorSpec:
        """Describes the model for one call of train, evaluate or predict.

        Args:
            features: Shape and dtype of the batches; None when the input has none.
            labels: Ignored.
            mode: One of ModeKeys.
            config: Says whether and where to write what the projector of TensorBoard shows.

        Returns:
            The predictions `all_distances` and `cluster_index`, the loss (the sum over the batch
            of the distances before the update), the metrics, the update and what event files say.
        """
        del labels
        kernels.check_environment()  # a wrong choice is an error before anything is written
        training = mode == ModeKeys.TRAIN
        run = _BatchFunctions(self, training)
        features = self.without_weights(features)
        weighted = {} if self.weight_column is None else {TOTAL_WEIGHT: Sum(run.total_weight)}
        batches_per_update = self.mini_batch_steps_per_iteration if self.use_mini_batch else None
        more = TrainingSummaries(run.assignment, run.updates.states, batches_per_update)
        return EstimatorSpec(
            mode=mode,
            predictions={ALL_DISTANCES: run.all_distances, CLUSTER_INDEX: run.cluster_index},
            loss=run.loss,
            train_op=run.update,
            eval_metric_ops={
                SCORE: BatchMean(run.loss),
                "num_examples": Sum(run.num_examples),
                "mean_distance": Ratio(run.loss, run.total_weight),
                **weighted,
            },
            export_outputs=export_outputs(self),
            training_chief_hooks=self._stopping_hooks(),
            training_hooks=[EmptyClustersHook(self.params), *_projector_hooks(config)],
            variables=self._variables(features),
            initialize=self._initialize,
            weights=[CLUSTERS],
            initialize_warm=self._initialize_warm,
            random_seed=self.random_seed,
            identity=identity_of(self.distance_metric),
            check_variables=lambda restored: self._check_variables(restored, features),
            summaries={
                "loss/raw": run.loss,
                "mean_distance": run.mean_distance,
                **({} if self.weight_column is None else {TOTAL_WEIGHT: run.total_weight}),
                **({**more.scalars(), **run.updates.scalars()} if training else {}),
            },
            histograms=more.histograms() if training else {},
            tags=TAGS,
            # Each step passes over all points, and there are few.
            scalars_of_every_step=not self.use_mini_batch,
        )

    def without_weights(self, features: Any) -> Any:
        """Features, or what describes them, without the entry of the weights."""
        if self.weight_column is None or not isinstance(features, Mapping):
            return features
        return {name: part for name, part in features.items() if name != self.weight_column}

    def _stopping_hooks(self) -> list[SessionRunHook]:
        hooks: list[SessionRunHook] = []
        if self.relative_tolerance is not None:
            full_batch = not self.use_mini_batch
            hooks.append(RelativeToleranceHook(self.relative_tolerance, full_batch=full_batch))
        if self.loss_tolerance is not None:
            hooks.append(LossToleranceHook(self.loss_tolerance))
        return hooks

    def _variables(self, features: FeatureSpec) -> dict[str, NDArray[Any]]:
        if features is None:
            return {}
        points = clustering.join_columns(empty_batch(features))
        centers = np.zeros((self.num_clusters, points.shape[1]), kernels.result_dtype(points))
        variables = variables_before_training(clustering.initial_state(centers))
        if self.weight_column is not None:  # what a warm start takes are sums of weights, too
            variables[COUNTS] = variables[COUNTS].astype(np.float64)
        return variables

    def _initialize(self, batches: Iterator[Batch]) -> None:
        first = next(batches, None)
        if first is None:
            raise NoPointsError(f"num_clusters={self.num_clusters}, but the input has 0 points")
        if isinstance(self.initial_clusters, np.ndarray):
            centers = in_order_of(first.features, self.initial_clusters, self.initial_columns)
            self._initialize_from_array(first, centers)
            return

        def points_of_batches() -> Iterator[kernels.Points | WeightedPoints]:
            for batch in itertools.chain([first], batches):
                if not callable(self.initial_clusters) and batch.epoch != first.epoch:
                    return  # the same points once more
                points: Any = batch.get(points_of)
                check_width(points, first.get(points_of).shape[1], batch.index)
                is_mini_batch = is_sharded(points) and not points.is_whole
                weights = batch.weights
                if is_mini_batch:
                    points, weights = points.gather(), clustering.weights_of_shards(points)
                yield with_weights(points, weights)

        def choose(points: kernels.Points, remaining: int) -> Any:
            return self._choose(points, remaining, first.features)

        pulled = clustering.PulledBatches(points_of_batches())
        choose_anew = functools.partial(
            clustering.choose_initial_centers_anywhere,
            pulled,
            self.num_clusters,
            choose if callable(self.initial_clusters) else self.initial_clusters,
            seed=first.random,  # each choice draws on
            cosine=self.cosine,
            num_retries=self.kmeans_plus_plus_num_retries,
            whole_input_in_batch=not self.use_mini_batch,
            batches_end=first.epoch is not None,
        )
        best = clustering.choose_best_centers(
            choose_anew,
            self.num_restarts,
            pulled,
            cosine=self.cosine,
            whole_input_in_batch=not self.use_mini_batch,
            relocate=self.empty_clusters == "relocate",
        )
        self._store_initial(first, best)

    def _choose(self, points: kernels.Points, remaining: int, features: Any) -> Any:
        assert callable(self.initial_clusters)
        centers = self.initial_clusters(points, remaining)
        if centers is None:
            return None
        try:
            rows = centers_of(centers, "initial_clusters(...)")
            return in_order_of(features, rows, column_names_of(centers))
        except TypeError as error:
            raise WordedError(message_of(error)) from error

    def _initialize_from_array(self, batch: Batch, centers: NDArray[Any]) -> None:
        points = batch.get(points_of)
        check_width(points, centers.shape[1], batch.index)
        dtype = kernels.result_dtype(points)
        self._store_initial(batch, clustering.given_centers(centers, dtype, cosine=self.cosine))

    def _initialize_warm(self, batch: Batch, taken: Mapping[str, NDArray[Any]]) -> None:
        if CLUSTERS not in taken:
            raise ValueError(
                f"a warm start of k-means must take {CLUSTERS!r}, but it takes "
                f"{', '.join(map(repr, taken))}"
            )
        self._initialize_from_array(batch, taken[CLUSTERS])
        if COUNTS not in taken:
            taken = {name: value for name, value in taken.items() if name != CLUSTERS}
        # With their counts centers continue as they are: those of cosine mini-batches have lengths.
        batch.variables.update(taken)

    def _store_initial(self, batch: Batch, centers: NDArray[Any]) -> None:
        steps = self.mini_batch_steps_per_iteration if self.use_mini_batch else 1
        batch.variables.update(variables_of(clustering.initial_state(centers, steps)))
        batch.variables[INITIALIZED] = np.array(True)

    def _check_variables(self, restored: Mapping[str, NDArray[Any]], features: FeatureSpec) -> None:
        if CLUSTERS not in restored or restored[CLUSTERS].ndim != 2:
            return  # the runtime's own check of names and shapes says what differs
        num_clusters, dimensions = restored[CLUSTERS].shape
        if num_clusters != self.num_clusters:
            raise ValueError(
                f"num_clusters is {self.num_clusters}, but the trained model has {num_clusters} "
                "clusters; use another model_dir or the same num_clusters"
            )
        if features is None:
            return
        width = clustering.join_columns(empty_batch(features)).shape[1]
        if width != dimensions:
            raise WidthError(
                f"points have {width} columns, but the centers of the trained model have "
                f"{dimensions} columns"
            )


class _BatchFunctions:
    """The functions of a batch that an EstimatorSpec is made of; each runs only when fetched."""

    def __init__(self, model: KMeansModel, training: bool) -> None:
        self._model, self._training = model, training
        # Full batches come again: what one iteration knows saves the next most of the work.
        repeated = training and not model.use_mini_batch
        self._memory = kernels.AssignmentMemory() if repeated else None
        # The features that it has seen last, where the input will not change them.
        self._remembered: weakref.ref[Any] | None = None
        self.updates = Updates(model, self.assignment, self._points_and_centers, self._memory)

    def assignment(self, batch: Batch) -> kernels.Assignment:
        # Training needs no labels; if somebody fetches them, they are computed separately.
        return self._assign(batch, update=self._training)

    def labelled(self, batch: Batch) -> kernels.Assignment:
        return self._assign(batch, update=False)

    def _assign(self, batch: Batch, *, update: bool) -> kernels.Assignment:
        points, centers = self._points_and_centers(batch)
        features, known, self._remembered = batch.features, self._remembered, None
        remember = self._memory is not None and isinstance(features, np.ndarray)
        stays = remember and not batch.may_change
        same_points = stays and known is not None and known() is features
        with clustering.locate_bad_points(batch.index):
            assignment = clustering.assign(
                points,
                centers,
                cosine=self._model.cosine,
                update=update,
                labels=not update,
                weights=batch.weights,
                memory=self._memory,
                same_points=same_points,
            )
        if stays:
            self._remembered = weakref.ref(features)
        return assignment

    def all_distances(self, batch: Batch) -> NDArray[Any]:
        points, centers = self._points_and_centers(batch)
        with clustering.locate_bad_points(batch.index):
            return clustering.all_distances(points, centers, cosine=self._model.cosine)

    def cluster_index(self, batch: Batch) -> NDArray[np.int32]:
        points, centers = self._points_and_centers(batch)
        if is_sharded(points):  # labels travel only if somebody wants them
            with clustering.locate_bad_points(batch.index):
                return clustering.cluster_index(points, centers, cosine=self._model.cosine)
        return batch.get(self.labelled if self._training else self.assignment).cluster_index

    def loss(self, batch: Batch) -> float:
        loss = batch.get(self.assignment).inertia
        if not math.isfinite(loss):  # each distance is finite, or the assignment had failed
            raise ValueError(
                "points are too large: the sum of their squared distances overflows float64 in "
                f"batch {batch.index}; scale the points down"
            )
        return loss

    def num_examples(self, batch: Batch) -> int:
        return kernels.num_rows(batch.get(points_of))

    def total_weight(self, batch: Batch) -> float:
        return clustering.total_weight(batch.get(points_of), batch.weights)

    def mean_distance(self, batch: Batch) -> float:
        return _quotient(self.loss(batch), batch.get(self.total_weight))

    def update(self, batch: Batch) -> None:
        # Everything is computed before the first variable changes: a bad batch changes nothing.
        loss = self.loss(batch)
        _, after = batch.get(self.updates.states)
        batch.variables.update(variables_of(after))
        batch.variables[PREVIOUS_LOSS] = np.array(loss, np.float64)

    def _points_and_centers(self, batch: Batch) -> tuple[kernels.Points, NDArray[Any]]:
        points, centers = batch.get(points_of), batch.variables[CLUSTERS]
        check_width(points, centers.shape[1], batch.index)
        return points, centers


@kernels.in_usual_float_mode
def _quotient(dividend: float, divisor: float) -> float:
    return dividend / divisor if divisor else math.nan


def _projector_hooks(config: RunConfig) -> list[SessionRunHook]:
    if not config.save_summary_steps or config.model_dir is None:
        return []
    return [ProjectorHook(config.model_dir, CLUSTERS, {"size": CLUSTER_SIZES})]


def points_of(batch: Batch) -> kernels.Points:
    """The points of a batch as a [n, d] matrix; its errors name the batch."""
    try:
        return clustering.join_columns(batch.features)
    except (TypeError, ValueError) as error:
        raise type(error)(f"batch {batch.index}: {error}") from None
