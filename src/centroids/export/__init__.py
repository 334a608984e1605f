"""Trained models as files that other programs serve."""

from centroids.export.graph import Tensor, cast, constant, matmul, operation, placeholder
from centroids.export.outputs import DEFAULT_SERVING_SIGNATURE_DEF_KEY, PredictOutput
from centroids.export.receivers import (
    FixedLenFeature,
    ServingInputReceiver,
    build_parsing_serving_input_receiver_fn,
    build_raw_serving_input_receiver_fn,
)

__all__ = [
    "DEFAULT_SERVING_SIGNATURE_DEF_KEY",
    "FixedLenFeature",
    "PredictOutput",
    "ServingInputReceiver",
    "Tensor",
    "build_parsing_serving_input_receiver_fn",
    "build_raw_serving_input_receiver_fn",
    "cast",
    "constant",
    "matmul",
    "operation",
    "placeholder",
]
