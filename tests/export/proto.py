"""Reads SavedModels with nothing but the protos that TensorBoard carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from numpy.typing import NDArray
from tensorboard.compat.proto import meta_graph_pb2


def _saved_model_class() -> Any:
    """The SavedModel proto as TensorFlow describes it."""
    meta_graph = meta_graph_pb2.MetaGraphDef.DESCRIPTOR
    file = descriptor_pb2.FileDescriptorProto(
        name="centroids_tests/saved_model.proto",
        package="centroids_tests",
        syntax="proto3",
        dependency=[meta_graph.file.name],
    )
    message = file.message_type.add(name="SavedModel")
    message.field.add(name="saved_model_schema_version", number=1, type=3, label=1)
    message.field.add(
        name="meta_graphs", number=2, type=11, label=3, type_name="." + meta_graph.full_name
    )
    pool = descriptor_pool.Default()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("centroids_tests.SavedModel"))


SavedModel = _saved_model_class()


def read_meta_graph(folder: str) -> Any:
    """The only graph of a SavedModel, binary or text."""
    binary, text = Path(folder, "saved_model.pb"), Path(folder, "saved_model.pbtxt")
    assert binary.exists() != text.exists()
    if binary.exists():
        model = SavedModel.FromString(binary.read_bytes())
    else:
        model = text_format.Parse(text.read_text(), SavedModel())
    assert model.saved_model_schema_version == 1
    (meta_graph,) = model.meta_graphs
    return meta_graph


def constants(meta_graph: Any) -> list[NDArray[Any]]:
    """The numbers that a graph holds."""
    types = {1: np.float32, 2: np.float64, 3: np.int32, 9: np.int64}
    found = []
    for node in meta_graph.graph_def.node:
        tensor = node.attr["value"].tensor
        if node.op == "Const" and tensor.dtype in types:
            values: NDArray[Any] = np.frombuffer(tensor.tensor_content, types[tensor.dtype])
            found.append(values.reshape([dim.size for dim in tensor.tensor_shape.dim]))
    return found


def has_constant(folder: str, expected: NDArray[Any]) -> bool:
    """Whether the graph of an export holds an array."""
    return any(np.array_equal(found, expected) for found in constants(read_meta_graph(folder)))
