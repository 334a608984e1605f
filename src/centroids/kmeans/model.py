"""K-means as a model function: what the Estimator runs for each batch.

The reference is `kmeans_cluster_model_fn` of TensorFlow r1.4; where the semantics differ from it,
docs/semantics.md says why.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from centroids import clustering, kernels
from centroids.clustering import InitialCenters, InitialMethod, Preparation
from centroids.clustering.points import check_width
from centroids.distribute import is_sharded
from centroids.errors import (
    Argument,
    Message,
    NoPointsError,
    WidthError,
    WordedError,
    message_of,
)
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
from centroids.inputs.missing import MissingValues
from centroids.kmeans._exports import ALL_DISTANCES as ALL_DISTANCES
from centroids.kmeans._exports import CLUSTER_INDEX as CLUSTER_INDEX
from centroids.kmeans._exports import empty_batch, export_outputs
from centroids.kmeans._functions import BatchFunctions
from centroids.kmeans._given_centers import centers_of, column_names_of, in_order_of
from centroids.kmeans._hooks import (
    EmptyClustersHook,
    LossToleranceHook,
    RelativeToleranceHook,
)
from centroids.kmeans._points import fitted, points_of, prepare
from centroids.kmeans._updates import EmptyClusters
from centroids.kmeans.summaries import CLUSTER_SIZES, TAGS, TrainingSummaries
from centroids.kmeans.variables import (
    CLUSTERS,
    COLUMN_MEANS,
    COLUMN_SCALES,
    COUNTS,
    INITIALIZED,
    UPDATED_CLUSTERS,
    identity_of,
    preparation_of,
    variables_before_training,
    variables_of,
    variables_of_preparation,
)
from centroids.rows import WeightedPoints, with_weights

DistanceMetric: TypeAlias = Literal["squared_euclidean", "cosine"]

SQUARED_EUCLIDEAN_DISTANCE: Final = "squared_euclidean"
COSINE_DISTANCE: Final = "cosine"
RANDOM_INIT: Final = "random"
KMEANS_PLUS_PLUS_INIT: Final = "kmeans_plus_plus"
KMEANS_PARALLEL_INIT: Final = "kmeans_parallel"
KMEANS_REJECTION_INIT: Final = "kmeans_rejection"
INITIAL_METHODS: Final[tuple[InitialMethod, ...]] = get_args(InitialMethod)
SCORE = "score"
TOTAL_WEIGHT = "total_weight"

_LATER_ARGUMENTS = (
    "weight_column",
    "num_restarts",
    "empty_clusters",
    "reassignment_ratio",
    "missing",
    "standardize",
)

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
    missing: MissingValues = "raise"
    standardize: bool = False

    @property
    def fills(self) -> bool:
        """Whether missing values become the means of their columns."""
        return self.missing == "mean"

    @property
    def prepares(self) -> bool:
        """Whether points are filled or scaled before they are clustered."""
        return self.fills or self.standardize

    def preparation(self, variables: Mapping[str, NDArray[Any]]) -> Preparation | None:
        """How, by the variables of the model; None: not at all."""
        return preparation_of(variables, fills=self.fills)

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
        for name in _LATER_ARGUMENTS:
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
        run = BatchFunctions(self, training, passes_over=mode == ModeKeys.PREDICT)
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
            identity=identity_of(
                self.distance_metric, fills=self.fills, standardize=self.standardize
            ),
            first_pass=self._first_pass,
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
            train_many=run.update_many if training and run.updates_many else None,
        )

    @property
    def _first_pass(self) -> Callable[[Iterator[Batch]], Mapping[str, NDArray[Any]]] | None:
        # A full batch is the whole input: it needs no pass of its own.
        fits = self.prepares and self.use_mini_batch
        return functools.partial(fitted, self) if fits else None

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
        if self.prepares:
            ones = np.ones(points.shape[1]) if self.standardize else None
            nothing = Preparation(np.zeros(points.shape[1]), ones, self.fills)
            variables.update(variables_of_preparation(nothing))
        if self.weight_column is not None:  # what a warm start takes are sums of weights, too
            variables[COUNTS] = variables[COUNTS].astype(np.float64)
        return variables

    def _initialize(self, batches: Iterator[Batch]) -> None:
        first = next(batches, None)
        if first is None:
            raise NoPointsError(
                Argument("num_clusters", self.num_clusters), ", but the input has 0 points"
            )
        if self.prepares and not self.use_mini_batch:
            first.variables.update(fitted(self, [first]))
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
                if (preparation := self.preparation(first.variables)) is not None:
                    points = prepare(preparation, points)
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
        if (preparation := self.preparation(batch.variables)) is not None:
            centers = preparation.prepare_centers(centers)
        self._store_initial(batch, clustering.given_centers(centers, dtype, cosine=self.cosine))

    def _initialize_warm(self, batch: Batch, taken: Mapping[str, NDArray[Any]]) -> None:
        if CLUSTERS not in taken:
            raise ValueError(
                f"a warm start of k-means must take {CLUSTERS!r}, but it takes "
                f"{', '.join(map(repr, taken))}"
            )
        if self.prepares and not self.use_mini_batch:
            batch.variables.update(fitted(self, [batch]))
        self._initialize_from_array(batch, taken[CLUSTERS])
        if COUNTS not in taken:
            taken = {name: value for name, value in taken.items() if name != CLUSTERS}
        # With their counts centers continue as they are: those of cosine mini-batches have lengths.
        preparation = self.preparation(batch.variables)
        for name, value in taken.items():
            if preparation is not None and name in (CLUSTERS, UPDATED_CLUSTERS):
                value = preparation.prepare_centers(value).astype(value.dtype)
            if name not in (COLUMN_MEANS, COLUMN_SCALES):  # those of these points
                batch.variables[name] = value

    def _store_initial(self, batch: Batch, centers: NDArray[Any]) -> None:
        steps = self.mini_batch_steps_per_iteration if self.use_mini_batch else 1
        batch.variables.update(variables_of(clustering.initial_state(centers, steps)))
        batch.variables[INITIALIZED] = np.array(True)

    def _check_variables(self, restored: Mapping[str, NDArray[Any]], features: FeatureSpec) -> None:
        if CLUSTERS not in restored or restored[CLUSTERS].ndim != 2:
            return  # the runtime's own check of names and shapes says what differs
        num_clusters, dimensions = restored[CLUSTERS].shape
        if num_clusters != self.num_clusters:
            raise WordedError(
                Argument("num_clusters"),
                f" is {self.num_clusters}, but the trained model has {num_clusters} clusters",
                remedy=Message(
                    "use another ", Argument("model_dir"), " or the same ", Argument("num_clusters")
                ),
            )
        if features is None:
            return
        width = clustering.join_columns(empty_batch(features)).shape[1]
        if width != dimensions:
            raise WidthError(
                f"points have {width} columns, but the centers of the trained model have "
                f"{dimensions} columns"
            )


def _projector_hooks(config: RunConfig) -> list[SessionRunHook]:
    if not config.save_summary_steps or config.model_dir is None:
        return []
    return [ProjectorHook(config.model_dir, CLUSTERS, {"size": CLUSTER_SIZES})]
