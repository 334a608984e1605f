"""Trained models as files that other programs serve, and from the files of other programs."""

from centroids.checkpoints.tensorflow import load_tensorflow_checkpoint
from centroids.export.graph import Tensor, cast, constant, matmul, operation, placeholder
from centroids.export.outputs import DEFAULT_SERVING_SIGNATURE_DEF_KEY, PredictOutput
from centroids.export.receivers import (
    FixedLenFeature,
    ServingInputReceiver,
    TensorServingInputReceiver,
    build_columns_serving_input_receiver_fn,
    build_parsing_serving_input_receiver_fn,
    build_raw_serving_input_receiver_fn,
    parse_example,
)

__all__ = [
    "DEFAULT_SERVING_SIGNATURE_DEF_KEY",
    "FixedLenFeature",
    "PredictOutput",
    "ServingInputReceiver",
    "Tensor",
    "TensorServingInputReceiver",
    "build_columns_serving_input_receiver_fn",
    "build_parsing_serving_input_receiver_fn",
    "build_raw_serving_input_receiver_fn",
    "cast",
    "constant",
    "load_tensorflow_checkpoint",
    "matmul",
    "operation",
    "parse_example",
    "placeholder",
]
