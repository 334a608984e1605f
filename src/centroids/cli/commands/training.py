"""train and import: the commands that make models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from centroids.cli.errors import silenced, suggesting_options
from centroids.cli.options import (
    BadRowsChoice,
    BadRowsOption,
    BatchSize,
    Columns,
    DistanceMetric,
    EmptyClusters,
    Epochs,
    Fresh,
    FullBatch,
    IdColumn,
    InitialClusters,
    Input,
    KmeansPlusPlusNumRetries,
    MaxSteps,
    Metric,
    MiniBatchStepsPerIteration,
    Missing,
    ModelToTrain,
    NumClusters,
    NumRestarts,
    Patience,
    Quiet,
    ReassignmentRatio,
    RelativeTolerance,
    RestartInput,
    Seed,
    Shuffle,
    Standardize,
    Steps,
    ValidateEvery,
    Validation,
    WeightColumn,
)
from centroids.cli.text_options import GivenText, with_text_format


@with_text_format
def train(
    points: Input,
    model_dir: ModelToTrain,
    num_clusters: NumClusters = None,
    distance_metric: DistanceMetric = None,
    initial_clusters: InitialClusters = None,
    full_batch: FullBatch = None,
    batch_size: BatchSize = None,
    mini_batch_steps_per_iteration: MiniBatchStepsPerIteration = None,
    kmeans_plus_plus_num_retries: KmeansPlusPlusNumRetries = None,
    num_restarts: NumRestarts = None,
    empty_clusters: EmptyClusters = None,
    reassignment_ratio: ReassignmentRatio = None,
    epochs: Epochs = None,
    steps: Steps = None,
    max_steps: MaxSteps = None,
    relative_tolerance: RelativeTolerance = None,
    validation: Validation = None,
    patience: Patience = None,
    validate_every: ValidateEvery = None,
    shuffle: Shuffle = None,
    seed: Seed = None,
    bad_rows: BadRowsOption = BadRowsChoice.RAISE,
    fresh: Fresh = False,
    restart_input: RestartInput = False,
    columns: Columns = None,
    id_column: IdColumn = None,
    weight_column: WeightColumn = None,
    missing: Missing = None,
    standardize: Standardize = None,
    quiet: Quiet = False,
    *,
    text: GivenText,
) -> None:
    """Train a model, or continue training one.

    In full-batch mode each step reads the whole file, and exact k-means runs until the loss
    settles. In mini-batch mode each step reads a small part of the file, so that memory stays
    bounded however large the file is.

    If MODEL_DIR already holds a model, its training continues with these points. It keeps the mode,
    the columns, the weights, the batch size, the tolerance and the seed that it was trained with;
    an option changes such a setting for this run and for later ones. --fresh starts over, with the
    settings of the old model.

    Ctrl-C finishes the current step, saves the model, and prints the command that continues with
    the next batch. The result is the same as without the interruption.

    
    Examples:
      centroids train points.npy model -k 100
      centroids train words.npy model -k 256 --distance-metric cosine
      centroids train huge.parquet model -k 1000 --mini-batch --epochs 2
      centroids train points.npy model --steps 10
      centroids train income.csv model -k 5 --columns age,income --thousands ,
      centroids train survey.csv model -k 5 --weight-column people
      centroids train people.csv model -k 5 --id-column name --missing mean --standardize
      centroids train tonight.csv model --fresh --quiet
    """
    given = dict(locals())
    from centroids.cli import training
    from centroids.cli.training_plan import plan_of

    advice = suggesting_options(
        points,
        can_drop=bad_rows is BadRowsChoice.RAISE,
        prepares=missing is None,
        has_ids=id_column is None,
    )
    with advice, silenced(quiet):
        training.train(plan_of(given))


def import_(
    old: Annotated[
        Path,
        typer.Argument(
            help="The model folder that TensorFlow wrote, or one of its checkpoints, such as "
            "old/model.ckpt-20.",
            metavar="OLD",
        ),
    ],
    new: Annotated[
        Path,
        typer.Argument(help="The folder to write. It must not hold a model.", metavar="NEW"),
    ],
    distance_metric: Annotated[
        Metric | None,
        typer.Option(
            help="The metric of the old model. Default: read from the graph beside the checkpoint "
            "(its .meta file); squared_euclidean if there is none, as in TensorFlow."
        ),
    ] = None,
    mini_batch_steps_per_iteration: Annotated[
        int | None,
        typer.Option(
            help="How many mini-batches the old model took between two updates of its centers. "
            "Default: read from the graph. Needed if there is no graph and it was more than 1."
        ),
    ] = None,
) -> None:
    """Import a model that TensorFlow's KMeansClustering trained, without TensorFlow.

    Reads the centers, the counts and the number of steps, verifies their checksums, and writes them
    as a model in NEW. OLD stays as it is. Training then continues where TensorFlow stopped.

    
    Examples:
      centroids import old_model model
      centroids import old_model/model.ckpt-2000 model --distance-metric cosine
      centroids train points.npy model --steps 10
    """
    from centroids.cli import importing

    importing.import_model(
        old,
        new,
        None if distance_metric is None else distance_metric.value,
        mini_batch_steps_per_iteration,
    )
