"""ONNX files for tests, made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 17
FLOAT = TensorProto.FLOAT


def value(name: str, shape: Sequence[int | str | None], kind: int = FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def graph(
    nodes: Sequence[NodeProto], inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto], **stored: Any
) -> GraphProto:
    """A graph whose initializers are the arrays `stored`."""
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in stored.items()]
    return helper.make_graph(nodes, "graph", inputs, outputs, tensors)


def model(made: GraphProto, **domains: int) -> ModelProto:
    """A model of the graph; `domains` are further operator sets, by name with `_` for `.`."""
    opsets = [helper.make_opsetid("", OPSET)]
    opsets += [helper.make_opsetid(name.replace("_", "."), version) for name, version in domains.items()]
    return helper.make_model(made, opset_imports=opsets, ir_version=8, producer_name="tests")


def linear(weights: Sequence[Sequence[float]], bias: Sequence[float] | None = None) -> bytes:
    """`y = x · weights + bias`: x float32 [rows, inputs], y float32 [rows, outputs]."""
    matrix = np.asarray(weights, np.float32)
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"])]
    offsets = np.zeros(matrix.shape[1], np.float32) if bias is None else np.asarray(bias, np.float32)
    made = graph(
        nodes, [value("x", ["rows", matrix.shape[0]])], [value("y", ["rows", matrix.shape[1]])], w=matrix, b=offsets
    )
    return bytes(model(made).SerializeToString())


def identity(kind: int = FLOAT, shape: Sequence[int | str | None] = ("rows", 2)) -> bytes:
    """`y = x`."""
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    return bytes(model(graph(nodes, [value("x", shape, kind)], [value("y", shape, kind)])).SerializeToString())


def centred() -> bytes:
    """`y = x - mean of all rows`: a row's answer depends on the others."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["x", "m"], ["y"]),
    ]
    return bytes(model(graph(nodes, [value("x", ["rows", 2])], [value("y", ["rows", 2])])).SerializeToString())


def looping() -> bytes:
    """Goes round as often as `turns` says: int64 []; answers `x`, float32 [1]."""
    body = graph(
        [helper.make_node("Identity", ["go"], ["go_out"]), helper.make_node("Identity", ["v"], ["v_out"])],
        [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("v", [1])],
        [value("go_out", [], TensorProto.BOOL), value("v_out", [1])],
    )
    nodes = [helper.make_node("Loop", ["turns", "yes", "x"], ["y"], body=body)]
    inputs = [value("turns", [], TensorProto.INT64), value("x", [1])]
    return bytes(model(graph(nodes, inputs, [value("y", [1])], yes=np.array(True))).SerializeToString())


def allocating() -> bytes:
    """Makes so many float32 of `x` as `count` says, int64 [1], and answers their sum, float32 []."""
    nodes = [
        helper.make_node("Expand", ["x", "count"], ["many"]),
        helper.make_node("ReduceSum", ["many"], ["y"], keepdims=0),
    ]
    inputs = [value("x", [1]), value("count", [1], TensorProto.INT64)]
    return bytes(model(graph(nodes, inputs, [value("y", [])])).SerializeToString())
