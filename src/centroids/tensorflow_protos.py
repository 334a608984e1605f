"""The messages of TensorFlow and TensorBoard that are written and read here.

Only the fields that are used are described, by their numbers in TensorFlow's .proto files; whatever
else a message holds is skipped. They stand in a pool of their own, beside TensorFlow's.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

from centroids.tensorflow_types import DATA_TYPES

Message: TypeAlias = Any  # the package protobuf has no types

# Fields of each message: number, name, type. "*" follows the type of what is repeated, "%" that of
# the values of a map with strings as keys, and "?" that of one of several, of which one is set.
_MESSAGES = {
    "AttrValue": "1 list ListValue?, 2 s bytes?, 3 i int64?, 4 f float?, 5 b bool?, "
    "6 type DataType?, 7 shape TensorShapeProto?, 8 tensor TensorProto?, 10 func NameAttrList?",
    "ListValue": "6 type DataType*, 7 shape TensorShapeProto*",
    "NameAttrList": "1 name string, 2 attr AttrValue%",
    "TensorShapeProto": "2 dim Dim*",
    "Dim": "1 size int64",
    "TensorProto": "1 dtype DataType, 2 tensor_shape TensorShapeProto, 4 tensor_content bytes, "
    "5 float_val float*, 6 double_val double*, 7 int_val int32*, 8 string_val bytes*, "
    "10 int64_val int64*",
    "NodeDef": "1 name string, 2 op string, 3 input string*, 5 attr AttrValue%",
    "ArgDef": "1 name string, 3 type DataType",
    "OpDef": "1 name string, 2 input_arg ArgDef*, 3 output_arg ArgDef*",
    "FunctionDef": "1 signature OpDef, 3 node_def NodeDef*, 4 ret string%",
    "FunctionDefLibrary": "1 function FunctionDef*",
    "VersionDef": "1 producer int32",
    "GraphDef": "1 node NodeDef*, 2 library FunctionDefLibrary, 4 versions VersionDef",
    "TensorInfo": "1 name string?, 2 dtype DataType, 3 tensor_shape TensorShapeProto",
    "SignatureDef": "1 inputs TensorInfo%, 2 outputs TensorInfo%, 3 method_name string",
    "MetaInfoDef": "4 tags string*",
    "MetaGraphDef": "1 meta_info_def MetaInfoDef, 2 graph_def GraphDef, "
    "5 signature_def SignatureDef%",
    "SavedModel": "1 saved_model_schema_version int64, 2 meta_graphs MetaGraphDef*",
    "PluginData": "1 plugin_name string, 2 content bytes",
    "SummaryMetadata": "1 plugin_data PluginData",
    "Value": "1 tag string, 2 simple_value float?, 8 tensor TensorProto?, "
    "9 metadata SummaryMetadata",
    "Summary": "1 value Value*",
    "SessionLog": "1 status int32",
    "Event": "1 wall_time double, 2 step int64, 3 file_version string?, 5 summary Summary?, "
    "7 session_log SessionLog?",
    "HParam": "2 number_value double?, 3 string_value string?, 4 bool_value bool?",
    "SessionStartInfo": "1 hparams HParam%, 5 start_time_secs double",
    "SessionEndInfo": "1 status int32, 2 end_time_secs double",
    "HParamsPluginData": "1 version int32, 3 session_start_info SessionStartInfo?, "
    "4 session_end_info SessionEndInfo?",
    "EmbeddingInfo": "1 tensor_name string, 2 metadata_path string, 6 tensor_path string",
    "ProjectorConfig": "2 embeddings EmbeddingInfo*",
}
# The numbers of the types of fields, in descriptors.
_SIMPLE = {"double": 1, "float": 2, "int64": 3, "int32": 5, "bool": 8, "string": 9, "bytes": 12}
_MESSAGE, _ENUM = 11, 14
_OPTIONAL, _REPEATED = 1, 3
_PACKAGE = "centroids"


def new_message(name: str, /, **fields: Any) -> Message:
    """Returns a new message.

    Args:
        name: What TensorFlow calls it.
        **fields: Its fields, as a constructor of protobuf takes them.

    >>> new_message("TensorShapeProto", dim=[{"size": 2}, {"size": -1}]).dim[0].size
    2
    """
    return _classes()[name](**fields)


@cache
def _classes() -> dict[str, Any]:
    # Imported here: it takes longer than most of the package.
    from google.protobuf import (  # type: ignore[import-untyped]
        descriptor_pb2,
        descriptor_pool,
        message_factory,
    )

    file = descriptor_pb2.FileDescriptorProto(
        name="centroids/tensorflow.proto", package=_PACKAGE, syntax="proto3"
    )
    types = file.enum_type.add(name="DataType")
    for number, name in DATA_TYPES.items():
        types.value.add(name=f"DT_{name.upper()}", number=number)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        if "?" in fields:
            message.oneof_decl.add(name="kind")
        for field in fields.split(", "):
            _add_field(message, *field.split(" "))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


def _add_field(message: Message, number: str, name: str, kind: str) -> None:
    plain = kind.rstrip("*%?")
    label = _OPTIONAL if kind[-1] not in "*%" else _REPEATED
    field = message.field.add(name=name, number=int(number), label=label)
    if kind.endswith("%"):
        # A map is a repeated message of a key and a value.
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, "1", "key", "string")
        _add_field(entry, "2", "value", plain)
        field.type, field.type_name = _MESSAGE, f".{_PACKAGE}.{message.name}.{entry.name}"
    elif plain in _SIMPLE:
        field.type = _SIMPLE[plain]
    else:
        field.type = _ENUM if plain == "DataType" else _MESSAGE
        field.type_name = f".{_PACKAGE}.{plain}"
    if kind.endswith("?"):
        field.oneof_index = 0
