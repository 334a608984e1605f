"""The messages that are described here are those of TensorFlow: TensorBoard's copies read them."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import pytest

from centroids import tensorflow_protos, tensorflow_types

# TensorBoard takes TensorFlow where that is installed, unless this module exists.
sys.modules.setdefault("tensorboard.compat.notf", ModuleType("notf"))

# What stands inside of another message there, or is called otherwise.
INNER = {
    "ListValue": "AttrValue.ListValue",
    "Dim": "TensorShapeProto.Dim",
    "ArgDef": "OpDef.ArgDef",
    "MetaInfoDef": "MetaGraphDef.MetaInfoDef",
    "PluginData": "SummaryMetadata.PluginData",
    "Value": "Summary.Value",
}
HERE_ONLY = {"SavedModel", "HParam"}  # SavedModels are read by TensorFlow itself: tests/export
MODULES = [
    *(f"compat.proto.{name}_pb2" for name in ("attr_value", "event", "function", "graph")),
    *(f"compat.proto.{name}_pb2" for name in ("meta_graph", "node_def", "op_def", "summary")),
    *(f"compat.proto.{name}_pb2" for name in ("tensor", "tensor_shape", "versions")),
    "plugins.hparams.plugin_data_pb2",
    "plugins.projector.projector_config_pb2",
]


def theirs(name: str) -> Any:
    path = INNER.get(name, name).split(".")
    for module in MODULES:
        place: Any = importlib.import_module(f"tensorboard.{module}")
        if hasattr(place, path[0]):
            for part in path:
                place = getattr(place, part)
            return place.DESCRIPTOR
    raise AssertionError(name)


def facts(field: Any) -> tuple[Any, ...]:
    repeated = field.is_repeated if hasattr(field, "is_repeated") else field.label == 3
    oneof = field.containing_oneof is not None
    # A status is written as the number that it is.
    kind = field.TYPE_INT32 if field.name == "status" else field.type
    return field.number, kind, repeated, oneof


@pytest.mark.parametrize("name", sorted(set(tensorflow_protos._MESSAGES) - HERE_ONLY))
def test_the_fields_of_a_message_are_those_of_tensorflow(name: str) -> None:
    pytest.importorskip("tensorboard")
    known = theirs(name).fields_by_name
    ours = tensorflow_protos.new_message(name).DESCRIPTOR.fields
    assert len(ours) > 0
    for field in ours:
        assert facts(field) == facts(known[field.name]), field.name


def test_the_types_are_those_of_tensorflow() -> None:
    types: Any = pytest.importorskip("tensorboard.compat.proto.types_pb2")
    known = {number: name for name, number in types.DataType.items()}
    ours = {n: f"DT_{name.upper()}" for n, name in tensorflow_types.DATA_TYPES.items()}
    assert {number: ours[number] for number in known} == known
