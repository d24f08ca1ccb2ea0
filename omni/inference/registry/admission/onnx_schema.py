"""The messages of an ONNX file: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto."""

from __future__ import annotations

from omni.inference.registry.admission.wire import Field, Schema

_MANY = True


def _text(name: str, repeated: bool = False) -> Field:
    return Field(name, "text", repeated)


def _int(name: str, repeated: bool = False) -> Field:
    return Field(name, "int", repeated)


def _of(name: str, message: str, repeated: bool = False) -> Field:
    return Field(name, "message", repeated, message)


SCHEMA: Schema = {
    "ModelProto": {
        1: _int("ir_version"), 2: _text("producer_name"), 3: _text("producer_version"), 4: _text("domain"),
        5: _int("model_version"), 6: _text("doc_string"), 7: _of("graph", "GraphProto"),
        8: _of("opset_import", "OperatorSetIdProto", _MANY), 14: _of("metadata_props", "StringStringEntryProto", _MANY),
        20: Field("training_info", "bytes", _MANY), 25: Field("functions", "bytes", _MANY),
        26: Field("configuration", "bytes", _MANY),
    },
    "OperatorSetIdProto": {1: _text("domain"), 2: _int("version")},
    "StringStringEntryProto": {1: _text("key"), 2: _text("value")},
    "GraphProto": {
        1: _of("node", "NodeProto", _MANY), 2: _text("name"), 5: _of("initializer", "TensorProto", _MANY),
        10: _text("doc_string"), 11: _of("input", "ValueInfoProto", _MANY), 12: _of("output", "ValueInfoProto", _MANY),
        13: _of("value_info", "ValueInfoProto", _MANY), 14: _of("quantization_annotation", "TensorAnnotation", _MANY),
        15: Field("sparse_initializer", "bytes", _MANY), 16: _of("metadata_props", "StringStringEntryProto", _MANY),
    },
    "TensorAnnotation": {
        1: _text("tensor_name"), 2: _of("quant_parameter_tensor_names", "StringStringEntryProto", _MANY),
    },
    "NodeProto": {
        1: _text("input", _MANY), 2: _text("output", _MANY), 3: _text("name"), 4: _text("op_type"),
        5: _of("attribute", "AttributeProto", _MANY), 6: _text("doc_string"), 7: _text("domain"), 8: _text("overload"),
        9: _of("metadata_props", "StringStringEntryProto", _MANY), 10: Field("device_configurations", "bytes", _MANY),
    },
    "AttributeProto": {
        1: _text("name"), 2: Field("f", "fixed32"), 3: _int("i"), 4: Field("s", "bytes"), 5: _of("t", "TensorProto"),
        6: _of("g", "GraphProto"), 7: Field("floats", "fixed32", _MANY, counted=True),
        8: Field("ints", "int", _MANY, counted=True), 9: Field("strings", "bytes", _MANY, counted=True),
        10: _of("tensors", "TensorProto", _MANY), 11: _of("graphs", "GraphProto", _MANY), 13: _text("doc_string"),
        14: _of("tp", "TypeProto"), 15: _of("type_protos", "TypeProto", _MANY), 20: _int("type"),
        21: _text("ref_attr_name"), 22: Field("sparse_tensor", "bytes"), 23: Field("sparse_tensors", "bytes", _MANY),
    },
    "TensorProto": {
        1: _int("dims", _MANY), 2: _int("data_type"), 3: Field("segment", "bytes"),
        4: Field("float_data", "fixed32", _MANY, counted=True), 5: Field("int32_data", "int", _MANY, counted=True),
        6: Field("string_data", "bytes", _MANY), 7: Field("int64_data", "int", _MANY, counted=True), 8: _text("name"),
        9: Field("raw_data", "bytes"), 10: Field("double_data", "fixed64", _MANY, counted=True),
        11: Field("uint64_data", "int", _MANY, counted=True), 12: _text("doc_string"),
        13: _of("external_data", "StringStringEntryProto", _MANY), 14: _int("data_location"),
        16: _of("metadata_props", "StringStringEntryProto", _MANY),
    },
    "ValueInfoProto": {
        1: _text("name"), 2: _of("type", "TypeProto"), 3: _text("doc_string"),
        4: _of("metadata_props", "StringStringEntryProto", _MANY),
    },
    "TypeProto": {
        1: _of("tensor_type", "TensorType", False), 4: Field("sequence_type", "bytes"), 5: Field("map_type", "bytes"),
        6: _text("denotation"), 7: Field("opaque_type", "bytes"), 8: Field("sparse_tensor_type", "bytes"),
        9: Field("optional_type", "bytes"),
    },
    "TensorType": {1: _int("elem_type"), 2: _of("shape", "TensorShapeProto")},
    "TensorShapeProto": {1: _of("dim", "Dimension", _MANY)},
    "Dimension": {1: _int("dim_value"), 2: _text("dim_param"), 3: _text("denotation")},
}  # fmt: skip
