"""The k-means Estimator of TensorFlow r1.4, without TensorFlow."""

from centroids import export, inputs
from centroids.estimator import (
    CheckpointSaverHook,
    CheckpointSaverListener,
    DamagedCheckpointError,
    Estimator,
    EstimatorSpec,
    FinalOpsHook,
    GlobalStepWaiterHook,
    LoggingTensorHook,
    ModeKeys,
    ModelDirBusyError,
    ModelDirLostError,
    NanLossDuringTrainingError,
    NanTensorHook,
    ProfilerHook,
    ProgressBarHook,
    RunConfig,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
    StepCounterHook,
    StopAtStepHook,
    SummarySaverHook,
    TrainingInterruptedError,
)
from centroids.inputs import OutOfRangeError
from centroids.kernels import num_threads, set_num_threads
from centroids.kmeans import KMeansClustering

__version__ = "0.1.0"

__all__ = [
    "CheckpointSaverHook",
    "CheckpointSaverListener",
    "DamagedCheckpointError",
    "Estimator",
    "EstimatorSpec",
    "FinalOpsHook",
    "GlobalStepWaiterHook",
    "KMeansClustering",
    "LoggingTensorHook",
    "ModeKeys",
    "ModelDirBusyError",
    "ModelDirLostError",
    "NanLossDuringTrainingError",
    "NanTensorHook",
    "OutOfRangeError",
    "ProfilerHook",
    "ProgressBarHook",
    "RunConfig",
    "SessionRunArgs",
    "SessionRunContext",
    "SessionRunHook",
    "SessionRunValues",
    "StepCounterHook",
    "StopAtStepHook",
    "SummarySaverHook",
    "TrainingInterruptedError",
    "__version__",
    "export",
    "inputs",
    "num_threads",
    "set_num_threads",
]
