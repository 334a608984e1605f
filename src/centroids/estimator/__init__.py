"""The Estimator runtime: it knows nothing of k-means, and any model can use it."""

from centroids.checkpoints.checkpoint import Checkpoint
from centroids.checkpoints.folder import (
    Saver,
    latest_checkpoint,
    load_latest,
    read_checkpoint,
)
from centroids.checkpoints.lock import ModelDirBusyError, ModelDirLostError
from centroids.checkpoints.names import DamagedCheckpointError, NewerCheckpointError
from centroids.checkpoints.verification import Condition, Verdict, verify_model_dir
from centroids.estimator.estimator import Estimator
from centroids.estimator.exporters import Exporter, FinalExporter, LatestExporter
from centroids.estimator.hooks.basic import (
    FinalOpsHook,
    GlobalStepWaiterHook,
    LoggingTensorHook,
    NanLossDuringTrainingError,
    NanTensorHook,
    StepCounterHook,
    StopAtStepHook,
)
from centroids.estimator.hooks.display import ProfilerHook, ProgressBarHook
from centroids.estimator.hooks.event_files import EventWriter
from centroids.estimator.hooks.hparams import HParamsHook
from centroids.estimator.hooks.projector import ProjectorHook, write_projector
from centroids.estimator.hooks.protocol import (
    Coordinator,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from centroids.estimator.hooks.saving import (
    CheckpointSaverHook,
    CheckpointSaverListener,
)
from centroids.estimator.hooks.summaries import SummarySaverHook
from centroids.estimator.hooks.timer import SecondOrStepTimer
from centroids.estimator.metrics import Mean, Metric, Ratio, Sum
from centroids.estimator.run_config import RunConfig
from centroids.estimator.session import Session
from centroids.estimator.spec import (
    BatchFunction,
    EstimatorSpec,
    ModeKeys,
    TensorSpec,
    Variables,
    describe,
)
from centroids.estimator.stop_signals import TrainingInterruptedError
from centroids.estimator.train_and_evaluate import EvalSpec, TrainSpec, train_and_evaluate
from centroids.estimator.warm_start import WarmStartSettings
from centroids.inputs.batch import Batch

__all__ = [
    "Batch",
    "BatchFunction",
    "Checkpoint",
    "CheckpointSaverHook",
    "CheckpointSaverListener",
    "Condition",
    "Coordinator",
    "DamagedCheckpointError",
    "Estimator",
    "EstimatorSpec",
    "EvalSpec",
    "EventWriter",
    "Exporter",
    "FinalExporter",
    "FinalOpsHook",
    "GlobalStepWaiterHook",
    "HParamsHook",
    "LatestExporter",
    "LoggingTensorHook",
    "Mean",
    "Metric",
    "ModeKeys",
    "ModelDirBusyError",
    "ModelDirLostError",
    "NanLossDuringTrainingError",
    "NanTensorHook",
    "NewerCheckpointError",
    "ProfilerHook",
    "ProgressBarHook",
    "ProjectorHook",
    "Ratio",
    "RunConfig",
    "Saver",
    "SecondOrStepTimer",
    "Session",
    "SessionRunArgs",
    "SessionRunContext",
    "SessionRunHook",
    "SessionRunValues",
    "StepCounterHook",
    "StopAtStepHook",
    "Sum",
    "SummarySaverHook",
    "TensorSpec",
    "TrainSpec",
    "TrainingInterruptedError",
    "Variables",
    "Verdict",
    "WarmStartSettings",
    "describe",
    "latest_checkpoint",
    "load_latest",
    "read_checkpoint",
    "train_and_evaluate",
    "verify_model_dir",
    "write_projector",
]
