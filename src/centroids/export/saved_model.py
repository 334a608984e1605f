"""The proto of a SavedModel: its graph and its signatures."""

from __future__ import annotations

from collections.abc import Mapping

from centroids.export._graph_def import GraphWriter, shape_proto, walk
from centroids.export.graph import Tensor
from centroids.tensorflow_protos import Message, new_message
from centroids.tensorflow_types import type_number

SERVING_TAG = "serve"
PREDICT_METHOD = "tensorflow/serving/predict"
SCHEMA_VERSION = 1
# A larger proto can be written but not read.
_MAX_BYTES = 2**31 - 1

Tensors = Mapping[str, Tensor]
# The inputs and the outputs by name, of each signature by name.
Signatures = Mapping[str, tuple[Tensors, Tensors]]


def build_meta_graph(signatures: Signatures, *, check_numerics: bool = True) -> Message:
    """Builds the graph that answers requests. It has no variables: all values are constants.

    Args:
        signatures: What a request fills and what it gets, by name, of each signature by name.
        check_numerics: False leaves out what refuses values that are not finite.

    Raises:
        ValueError: If outputs need a placeholder that is not a receiver, a type is none of
            TensorFlow's, or the constants exceed 2 GiB.
    """
    for receivers, outputs in signatures.values():
        _check_placeholders(receivers, outputs)
    meta_graph = new_message("MetaGraphDef")
    meta_graph.meta_info_def.tags.append(SERVING_TAG)
    writer = GraphWriter(check_numerics=check_numerics)
    for key, (receivers, outputs) in signatures.items():
        signature = new_message("SignatureDef", method_name=PREDICT_METHOD)
        for place, named in ((signature.inputs, receivers), (signature.outputs, outputs)):
            for name, tensor in named.items():
                place[name].CopyFrom(_tensor_info(writer, tensor))
        meta_graph.signature_def[key].CopyFrom(signature)
    meta_graph.graph_def.CopyFrom(writer.graph_def)
    return meta_graph


def _check_placeholders(receivers: Tensors, outputs: Tensors) -> None:
    for node in walk(outputs.values(), stop=receivers.values()):
        if node.op == "Placeholder":
            raise ValueError(
                f"the outputs need the placeholder {node.name!r}, which is none of the "
                f"receiver_tensors {', '.join(map(repr, receivers))}: no request could fill it"
            )


def serialize(meta_graph: Message, *, as_text: bool = False) -> bytes:
    """Returns the bytes of a SavedModel proto that holds one graph.

    Raises:
        ValueError: If they are more than a proto can have.
    """
    from google.protobuf import text_format  # type: ignore[import-untyped]

    model = new_message("SavedModel", saved_model_schema_version=SCHEMA_VERSION)
    model.meta_graphs.append(meta_graph)
    if as_text:
        data: bytes = text_format.MessageToString(model).encode()
    else:
        data = model.SerializeToString(deterministic=True)
    if len(data) > _MAX_BYTES:
        raise ValueError(
            f"the SavedModel takes {len(data)} bytes, but it can have {_MAX_BYTES}: the model is "
            "too large to be exported" + (" as text" if as_text else "")
        )
    return data


def _tensor_info(writer: GraphWriter, tensor: Tensor) -> Message:
    return new_message(
        "TensorInfo",
        name=writer.add(tensor),
        dtype=type_number(tensor.dtype),
        tensor_shape=shape_proto(tensor.shape),
    )
