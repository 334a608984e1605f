"""K-means as a model function: what the Estimator runs for each batch.

The reference is `kmeans_cluster_model_fn` of TensorFlow r1.4; where the semantics differ from it,
docs/semantics.md says why.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from centroids import clustering, kernels
from centroids.clustering import ClusterState, InitialCenters, InitialMethod
from centroids.clustering.points import check_width
from centroids.distribute import is_sharded
from centroids.errors import NoPointsError, WidthError, WordedError, at_place, message_of
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
from centroids.export import (
    DEFAULT_SERVING_SIGNATURE_DEF_KEY,
    PredictOutput,
    Tensor,
    cast,
    nearest,
    operations,
)
from centroids.kmeans._given_centers import centers_of, column_names_of, in_order_of
from centroids.kmeans._hooks import (
    EmptyClustersHook,
    LossToleranceHook,
    RelativeToleranceHook,
)
from centroids.kmeans.summaries import CLUSTER_SIZES, TrainingSummaries
from centroids.kmeans.variables import (
    CLUSTERS,
    COUNTS,
    INITIALIZED,
    PREVIOUS_LOSS,
    identity_of,
    state_of,
    variables_before_training,
    variables_of,
)

DistanceMetric: TypeAlias = Literal["squared_euclidean", "cosine"]

SQUARED_EUCLIDEAN_DISTANCE: Final = "squared_euclidean"
COSINE_DISTANCE: Final = "cosine"
RANDOM_INIT: Final = "random"
KMEANS_PLUS_PLUS_INIT: Final = "kmeans_plus_plus"
KMEANS_PARALLEL_INIT: Final = "kmeans_parallel"
INITIAL_METHODS: Final[tuple[InitialMethod, ...]] = get_args(InitialMethod)
SCORE = "score"
CLUSTER_INDEX = "cluster_index"
ALL_DISTANCES = "all_distances"

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
        batches_per_update = self.mini_batch_steps_per_iteration if self.use_mini_batch else None
        more = TrainingSummaries(run.assignment, run.states, batches_per_update)
        return EstimatorSpec(
            mode=mode,
            predictions={ALL_DISTANCES: run.all_distances, CLUSTER_INDEX: run.cluster_index},
            loss=run.loss,
            train_op=run.update,
            eval_metric_ops={
                SCORE: BatchMean(run.loss),
                "num_examples": Sum(run.num_examples),
                "mean_distance": Ratio(run.loss, run.num_examples),
            },
            export_outputs=_export_outputs(self.cosine),
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
                **(more.scalars() if training else {}),
            },
            histograms=more.histograms() if training else {},
        )

    def update(self, state: ClusterState, assignment: kernels.Assignment) -> ClusterState:
        """The state after one assigned batch, in this model's mode."""
        if not self.use_mini_batch:
            return clustering.full_batch_update(state, assignment, cosine=self.cosine)
        if self.mini_batch_steps_per_iteration == 1:
            return clustering.mini_batch_update(state, assignment)
        return clustering.multi_step_update(
            state, assignment, self.mini_batch_steps_per_iteration, cosine=self.cosine
        )

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
        points = clustering.join_columns(_empty_batch(features))
        centers = np.zeros((self.num_clusters, points.shape[1]), kernels.result_dtype(points))
        return variables_before_training(clustering.initial_state(centers))

    def _initialize(self, batches: Iterator[Batch]) -> None:
        first = next(batches, None)
        if first is None:
            raise NoPointsError(f"num_clusters={self.num_clusters}, but the input has 0 points")
        if isinstance(self.initial_clusters, np.ndarray):
            centers = in_order_of(first.features, self.initial_clusters, self.initial_columns)
            self._initialize_from_array(first, centers)
            return

        def points_of_batches() -> Iterator[kernels.Points]:
            for batch in itertools.chain([first], batches):
                if not callable(self.initial_clusters) and batch.epoch != first.epoch:
                    return  # the same points once more
                points: Any = batch.get(points_of)
                check_width(points, first.get(points_of).shape[1], batch.index)
                is_mini_batch = is_sharded(points) and not points.is_whole
                yield points.gather() if is_mini_batch else points

        def choose(points: kernels.Points, remaining: int) -> Any:
            return self._choose(points, remaining, first.features)

        chosen = clustering.choose_initial_centers_anywhere(
            points_of_batches(),
            self.num_clusters,
            choose if callable(self.initial_clusters) else self.initial_clusters,
            seed=first.random,
            cosine=self.cosine,
            num_retries=self.kmeans_plus_plus_num_retries,
            whole_input_in_batch=not self.use_mini_batch,
            batches_end=first.epoch is not None,
        )
        self._store_initial(first, chosen)

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
        width = clustering.join_columns(_empty_batch(features)).shape[1]
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

    def assignment(self, batch: Batch) -> kernels.Assignment:
        # Training needs no labels; if somebody fetches them, they are computed separately.
        return self._assign(batch, update=self._training)

    def labelled(self, batch: Batch) -> kernels.Assignment:
        return self._assign(batch, update=False)

    def _assign(self, batch: Batch, *, update: bool) -> kernels.Assignment:
        points, centers = self._points_and_centers(batch)
        with clustering.locate_bad_points(batch.index):
            return clustering.assign(
                points,
                centers,
                cosine=self._model.cosine,
                update=update,
                labels=not update,
                memory=self._memory,
            )

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

    def mean_distance(self, batch: Batch) -> float:
        return _quotient(self.loss(batch), self.num_examples(batch))

    def states(self, batch: Batch) -> tuple[ClusterState, ClusterState]:
        """The states before and after the update of the batch."""
        before = state_of(batch.variables)
        return before, self._model.update(before, batch.get(self.assignment))

    def update(self, batch: Batch) -> None:
        # Everything is computed before the first variable changes: a bad batch changes nothing.
        loss = self.loss(batch)
        _, after = batch.get(self.states)
        batch.variables.update(variables_of(after))
        batch.variables[PREVIOUS_LOSS] = np.array(loss, np.float64)

    def _points_and_centers(self, batch: Batch) -> tuple[kernels.Points, NDArray[Any]]:
        points, centers = batch.get(points_of), batch.variables[CLUSTERS]
        check_width(points, centers.shape[1], batch.index)
        return points, centers


@kernels.in_usual_float_mode
def _quotient(dividend: float, divisor: int) -> float:
    return dividend / divisor


def _projector_hooks(config: RunConfig) -> list[SessionRunHook]:
    if not config.save_summary_steps or config.model_dir is None:
        return []
    return [ProjectorHook(config.model_dir, CLUSTERS, {"size": CLUSTER_SIZES})]


def _export_outputs(cosine: bool) -> dict[str, PredictOutput]:
    """The signatures of an exported model, which are those of later TensorFlow versions."""

    def points(batch: Batch) -> Tensor:
        joined = clustering.join_columns(_empty_batch(batch.features))
        dtype = np.result_type(
            kernels.result_dtype(joined), kernels.result_dtype(batch.variables[CLUSTERS])
        )
        return nearest.join_columns(batch.features, dtype)

    def distances(batch: Batch) -> Tensor:
        return nearest.all_distances(batch.get(points), batch.variables[CLUSTERS], cosine=cosine)

    def all_distances(batch: Batch) -> Tensor:
        return cast(batch.get(distances), batch.get(points).dtype)

    index = PredictOutput(lambda batch: operations.arg_min(batch.get(distances)))
    return {
        ALL_DISTANCES: PredictOutput(all_distances),
        CLUSTER_INDEX: index,
        DEFAULT_SERVING_SIGNATURE_DEF_KEY: index,
    }


def points_of(batch: Batch) -> kernels.Points:
    """The points of a batch as a [n, d] matrix; its errors name the batch."""
    try:
        return clustering.join_columns(batch.features)
    except (TypeError, ValueError) as error:
        raise at_place(f"batch {batch.index}", error) from None


def _empty_batch(features: TensorSpec | Mapping[str, TensorSpec]) -> Any:
    """Arrays of no rows with the described dtypes and widths: joined, they tell those of points."""
    if isinstance(features, Mapping):
        return {name: _empty_batch(spec) for name, spec in features.items()}
    return np.empty([size or 0 for size in features.shape], features.dtype)
