"""The k-means Estimator of TensorFlow r1.4, without TensorFlow.

Names are imported when they are first asked for, and with them what they need: `import centroids`
alone takes milliseconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names for type checkers and editors
    from centroids import export, inputs
    from centroids.estimator import (
        CheckpointSaverHook,
        CheckpointSaverListener,
        CSVLoggerHook,
        DamagedCheckpointError,
        Estimator,
        EstimatorSpec,
        Exporter,
        FinalExporter,
        FinalOpsHook,
        GlobalStepWaiterHook,
        LatestExporter,
        LoggingTensorHook,
        MLflowLoggerHook,
        ModeKeys,
        ModelDirBusyError,
        ModelDirLostError,
        NanLossDuringTrainingError,
        NanTensorHook,
        NewerCheckpointError,
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
        ValidationHook,
        WandbLoggerHook,
        WarmStartSettings,
    )
    from centroids.estimator.train_and_evaluate import EvalSpec, TrainSpec, train_and_evaluate
    from centroids.inputs import OutOfRangeError
    from centroids.kernels import num_threads, set_num_threads
    from centroids.kmeans import (
        COSINE_DISTANCE,
        KMEANS_PARALLEL_INIT,
        KMEANS_PLUS_PLUS_INIT,
        KMEANS_REJECTION_INIT,
        RANDOM_INIT,
        SQUARED_EUCLIDEAN_DISTANCE,
        KMeansClustering,
    )
    from centroids.quality import Candidate, NumClusters, choose_num_clusters
    from centroids.report import write_report

__version__ = "0.1.0"

__all__ = [
    "COSINE_DISTANCE",
    "KMEANS_PARALLEL_INIT",
    "KMEANS_PLUS_PLUS_INIT",
    "KMEANS_REJECTION_INIT",
    "RANDOM_INIT",
    "SQUARED_EUCLIDEAN_DISTANCE",
    "CSVLoggerHook",
    "Candidate",
    "CheckpointSaverHook",
    "CheckpointSaverListener",
    "DamagedCheckpointError",
    "Estimator",
    "EstimatorSpec",
    "EvalSpec",
    "Exporter",
    "FinalExporter",
    "FinalOpsHook",
    "GlobalStepWaiterHook",
    "KMeansClustering",
    "LatestExporter",
    "LoggingTensorHook",
    "MLflowLoggerHook",
    "ModeKeys",
    "ModelDirBusyError",
    "ModelDirLostError",
    "NanLossDuringTrainingError",
    "NanTensorHook",
    "NewerCheckpointError",
    "NumClusters",
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
    "TrainSpec",
    "TrainingInterruptedError",
    "ValidationHook",
    "WandbLoggerHook",
    "WarmStartSettings",
    "__version__",
    "choose_num_clusters",
    "export",
    "inputs",
    "num_threads",
    "set_num_threads",
    "train_and_evaluate",
    "write_report",
]

_PACKAGES = {
    "checkpoints",
    "clustering",
    "distribute",
    "estimator",
    "export",
    "inputs",
    "kernels",
    "kmeans",
    "pictures",
    "plotting",
    "quality",
    "report",
}
# Where a name of `__all__` comes from, if not from the package `estimator`.
_HOMES = {
    "COSINE_DISTANCE": "kmeans",
    "KMEANS_PARALLEL_INIT": "kmeans",
    "KMEANS_PLUS_PLUS_INIT": "kmeans",
    "KMEANS_REJECTION_INIT": "kmeans",
    "KMeansClustering": "kmeans",
    "RANDOM_INIT": "kmeans",
    "SQUARED_EUCLIDEAN_DISTANCE": "kmeans",
    "Candidate": "quality",
    "NumClusters": "quality",
    "OutOfRangeError": "inputs",
    "choose_num_clusters": "quality",
    "num_threads": "kernels",
    "set_num_threads": "kernels",
    "write_report": "report",
}

if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> object:
        if name in _PACKAGES:
            return import_module(f"centroids.{name}")
        if name not in __all__:
            raise AttributeError(f"module 'centroids' has no attribute {name!r}")
        value = getattr(import_module(f"centroids.{_HOMES.get(name, 'estimator')}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_PACKAGES})
