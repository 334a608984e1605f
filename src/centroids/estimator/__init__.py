"""The Estimator runtime: it knows nothing about k-means, and any model can use it."""

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
from centroids.estimator._exporters import Exporter, FinalExporter, LatestExporter
from centroids.estimator._metrics import Mean, Metric, Ratio, Sum
from centroids.estimator._run_config import RunConfig
from centroids.estimator._session import Session
from centroids.estimator._spec import (
    BatchFunction,
    EstimatorSpec,
    ModeKeys,
    TensorSpec,
    Variables,
    describe,
)
from centroids.estimator._stop_signals import TrainingInterruptedError
from centroids.estimator._warm_start import WarmStartSettings
from centroids.estimator.estimator import Estimator
from centroids.estimator.hooks._basic import (
    FinalOpsHook,
    GlobalStepWaiterHook,
    LoggingTensorHook,
    NanLossDuringTrainingError,
    NanTensorHook,
    StepCounterHook,
    StopAtStepHook,
)
from centroids.estimator.hooks._display import ProfilerHook, ProgressBarHook
from centroids.estimator.hooks._event_files import EventWriter
from centroids.estimator.hooks._hparams import HParamsHook
from centroids.estimator.hooks._loggers import (
    CSVLoggerHook,
    MLflowLoggerHook,
    WandbLoggerHook,
)
from centroids.estimator.hooks._projector import ProjectorHook, write_projector
from centroids.estimator.hooks._protocol import (
    Coordinator,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from centroids.estimator.hooks._saving import (
    CheckpointSaverHook,
    CheckpointSaverListener,
)
from centroids.estimator.hooks._summaries import SummarySaverHook
from centroids.estimator.hooks._timer import SecondOrStepTimer
from centroids.estimator.hooks._validation import ValidationHook
from centroids.estimator.train_and_evaluate import EvalSpec, TrainSpec, train_and_evaluate
from centroids.inputs.batch import Batch

__all__ = [
    "Batch",
    "BatchFunction",
    "CSVLoggerHook",
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
    "MLflowLoggerHook",
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
    "ValidationHook",
    "Variables",
    "Verdict",
    "WandbLoggerHook",
    "WarmStartSettings",
    "describe",
    "latest_checkpoint",
    "load_latest",
    "read_checkpoint",
    "train_and_evaluate",
    "verify_model_dir",
    "write_projector",
]
