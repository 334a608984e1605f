"""From a checkpoint and a model function to an exported folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from centroids.checkpoints.checkpoint import Checkpoint
from centroids.estimator._model_function import ModelFunction
from centroids.estimator._spec import EstimatorSpec, ModeKeys, TensorSpec
from centroids.estimator.session_setup import check_restored
from centroids.export.folder import check_assets, check_export_dir, write_export_folder
from centroids.export.graph import Tensor
from centroids.export.outputs import DEFAULT_SERVING_SIGNATURE_DEF_KEY, PredictOutput
from centroids.export.receivers import ServingInputReceiver
from centroids.inputs.batch import Batch

if TYPE_CHECKING:
    from centroids.estimator._run_config import RunConfig


def check_receiver_fn(serving_input_receiver_fn: Any) -> None:
    """Checks that there is a function that says what requests hold.

    Raises:
        ValueError: If there is none, or it cannot be called.
    """
    if serving_input_receiver_fn is None:
        raise ValueError(
            "serving_input_receiver_fn must be defined: give a function that returns a "
            "ServingInputReceiver, such as build_raw_serving_input_receiver_fn makes"
        )
    if not callable(serving_input_receiver_fn):
        raise ValueError(
            "serving_input_receiver_fn must be a function that returns a ServingInputReceiver, "
            f"got {serving_input_receiver_fn!r}"
        )


def export_saved_model(
    model_fn: ModelFunction,
    config: RunConfig,
    restored: Checkpoint,
    export_dir_base: Any,
    serving_input_receiver_fn: Callable[[], ServingInputReceiver],
    assets_extra: Any,
    as_text: bool,
    check_numerics: bool,
) -> str:
    """Writes the model with the variables of a checkpoint as a SavedModel.

    See `Estimator.export_savedmodel`; `model_fn` is its property.
    """
    from centroids.export.saved_model import build_meta_graph, serialize

    base = check_export_dir(export_dir_base)
    assets = check_assets(assets_extra)
    receiver = serving_input_receiver_fn()
    if not isinstance(receiver, ServingInputReceiver):
        raise ValueError(
            "serving_input_receiver_fn must return a ServingInputReceiver, but it returned "
            f"{receiver!r}"
        )
    signatures = {}
    for prefix, one in {"": receiver, **receiver.named_alternatives}.items():
        spec = model_fn(_describe(one.features), None, ModeKeys.PREDICT, config)
        check_restored(spec, restored, with_variables=True)
        for key, outputs in _outputs(spec, one, restored).items():
            signatures[f"{prefix}:{key}" if prefix else key] = (one.named_receivers, outputs)
    meta_graph = build_meta_graph(signatures, check_numerics=check_numerics)
    name = "saved_model.pbtxt" if as_text else "saved_model.pb"
    return write_export_folder(base, {name: serialize(meta_graph, as_text=as_text)}, assets)


def _describe(features: Tensor | Mapping[str, Tensor]) -> Any:
    """The description of the features that a model function gets."""
    if isinstance(features, Mapping):
        return {name: _describe(tensor) for name, tensor in features.items()}
    shape = features.shape
    if None in shape[1:]:
        raise ValueError(
            f"serving_input_receiver_fn gives features of the shape {shape}; all sizes but that of "
            "the batch must be known"
        )
    return TensorSpec(features.dtype, (None, *shape[1:])[: len(shape)])


def _outputs(
    spec: EstimatorSpec, receiver: ServingInputReceiver, restored: Checkpoint
) -> dict[str, dict[str, Tensor]]:
    """What each signature answers, by its name and that of the output."""
    batch = Batch(receiver.features, None, 0, dict(restored.variables))
    return {
        key: {name: _tensor(batch.get(function), key, name) for name, function in named.items()}
        for key, named in _named_outputs(spec).items()
    }


def _named_outputs(spec: EstimatorSpec) -> dict[str, Mapping[str, Callable[[Batch], Any]]]:
    """The functions by signature and name; a single signature is also the default one."""
    outputs: Mapping[str, PredictOutput] = spec.export_outputs or {}
    if not outputs:
        raise ValueError(
            "the model cannot be exported: its EstimatorSpec has no export_outputs; model_fn must "
            "set them for mode 'infer'"
        )
    named = {key: output.named_outputs for key, output in outputs.items()}
    if len(named) == 1:
        named.setdefault(DEFAULT_SERVING_SIGNATURE_DEF_KEY, next(iter(named.values())))
    return dict(named)


def _tensor(value: Any, key: str, name: str) -> Tensor:
    if not isinstance(value, Tensor):
        raise ValueError(
            f"export_outputs[{key!r}] must give a tensor for the output {name!r}, but its function "
            f"returned {value!r}"
        )
    return value
