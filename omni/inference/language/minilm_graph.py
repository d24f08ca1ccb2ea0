"""The ONNX graph of all-MiniLM-L6-v2, built from its safetensors without torch.

The network is BERT (Devlin et al. 2018, https://arxiv.org/abs/1810.04805) as trained by sentence-transformers: six
post-norm encoder layers, exact (erf) GELU, then the mean of the token vectors under the attention mask, scaled to
length 1. Its dense layers run in 8-bit integers (eight_bits.py), all else in float32. Only imported when the graph is
not in the cache yet: `onnx` is heavy.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load

from omni.inference.language.eight_bits import Range, quantized

OPSET = 20  # the first with Gelu
IR_VERSION = 10
RUNTIME_DOMAIN = "com.microsoft"  # onnxruntime's own operators
LAYERS = 6
HIDDEN = 384
HEADS = 12
HEAD_SIZE = HIDDEN // HEADS
LAYER_NORM_EPSILON = 1e-12
MASKED = -10_000.0  # added to the attention scores of padding; exp of it is 0 in float32


class WrongWeights(Exception):
    """The weights are not the pinned ones."""


class _Builder:
    """Collects nodes and initializers; each method returns the name of its output."""

    def __init__(self, weights: dict[str, np.ndarray], ranges: Mapping[str, Range] | None) -> None:
        self.weights = weights
        self._ranges = ranges
        self._quantized: set[str] = set()
        """Tensors that are there as integers, too."""
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: np.ndarray) -> str:
        self.initializers.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name])

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def dense(self, source: str, prefix: str, output: str) -> str:
        """`source @ weightᵀ + bias`."""
        matrix = self.weights[f"{prefix}.weight"].T
        if self._ranges is not None:
            return self._integer_dense(source, prefix, matrix, output, self._ranges[source])
        product = self.node("MatMul", [source, self.constant(f"{prefix}.weight_t", matrix)], f"{output}_product")
        return self.node("Add", [product, self.weight(f"{prefix}.bias")], output)

    def _integer_dense(self, source: str, prefix: str, matrix: np.ndarray, output: str, within: Range) -> str:
        scale, zero = f"{source}_scale", f"{source}_zero"
        integers, outliers = f"{source}_integers", f"{source}_outliers"
        if source not in self._quantized:
            self._quantized.add(source)
            self.constant(scale, np.array(within.scale, np.float32))
            self.constant(zero, np.array(within.zero_point, np.uint8))
            self.node("QuantizeLinear", [source, scale, zero], integers)
            channels = self.constant(f"{source}_channels", np.array(within.outliers, np.int64))
            self.node("Gather", [source, channels], outliers, axis=-1)
        weights = quantized(matrix, within.outliers)
        factors = [
            integers, self.constant(f"{prefix}.integers", weights.integers),
            scale, self.constant(f"{prefix}.scales", weights.scales),
            zero, self.constant(f"{prefix}.zeros", np.zeros(len(weights.scales), np.int8)),
            self.weight(f"{prefix}.bias"),
        ]  # fmt: skip
        most = self.node("MatMulIntegerToFloat", factors, f"{output}_most", domain=RUNTIME_DOMAIN)
        few = self.node("MatMul", [outliers, self.constant(f"{prefix}.outliers", weights.outliers)], f"{output}_few")
        return self.node("Add", [most, few], output)

    def layer_norm(self, source: str, prefix: str, output: str) -> str:
        scale, bias = self.weight(f"{prefix}.weight"), self.weight(f"{prefix}.bias")
        return self.node("LayerNormalization", [source, scale, bias], output, axis=-1, epsilon=LAYER_NORM_EPSILON)


def build_graph(safetensors: Path, sha256: str, target: Path, ranges: Mapping[str, Range] | None) -> None:
    """Write the graph of the weights at `safetensors` to `target`, all or nothing; `ranges` of None builds it in
    float32 throughout.

    Inputs of the graph: `input_ids` and `attention_mask`, int64 [batch, tokens]. Output: `embedding`, float32 [batch,
    384], each row of length 1. Raises WrongWeights when the file does not have the given SHA-256, OSError when it
    cannot be read or the target cannot be written.
    """
    data = safetensors.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise WrongWeights(f"{safetensors.name} has SHA-256 {digest}, expected {sha256}")
    model = _model(_Builder(load(data), ranges))
    onnx.checker.check_model(model)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=target.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(model.SerializeToString())
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _model(graph: _Builder) -> onnx.ModelProto:
    mask = _attention_bias(graph)
    hidden = _embed(graph)
    for layer in range(LAYERS):
        hidden = _encode(graph, hidden, mask, layer)
    _pool(graph, hidden)
    shape = ["batch", "tokens"]
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "all-MiniLM-L6-v2",
            [
                helper.make_tensor_value_info("input_ids", TensorProto.INT64, shape),
                helper.make_tensor_value_info("attention_mask", TensorProto.INT64, shape),
            ],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", HIDDEN])],
            list(graph.initializers.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(RUNTIME_DOMAIN, 1)],
        ir_version=IR_VERSION,
        producer_name="omni",
    )


def _attention_bias(graph: _Builder) -> str:
    """0 where a token is, MASKED where padding is: [batch, 1, 1, tokens]."""
    mask = graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    axes = graph.constant("mask_axes", np.array([1, 2], np.int64))
    wide = graph.node("Unsqueeze", [mask, axes], "mask_wide")
    inverse = graph.node("Sub", [graph.constant("one", np.array(1, np.float32)), wide], "mask_inverse")
    return graph.node("Mul", [inverse, graph.constant("masked", np.array(MASKED, np.float32))], "attention_bias")


def _embed(graph: _Builder) -> str:
    """Word, position and (constant) segment vectors, summed and normalised: [batch, tokens, 384]."""
    words = graph.node("Gather", [graph.weight("embeddings.word_embeddings.weight"), "input_ids"], "words")
    # The segment is always the first, so its vector is folded into the positions.
    positions = (
        graph.weights["embeddings.position_embeddings.weight"]
        + graph.weights["embeddings.token_type_embeddings.weight"][0]
    )
    first, one = graph.constant("first", np.array([0], np.int64)), graph.constant("axis_one", np.array([1], np.int64))
    length = graph.node("Shape", ["input_ids"], "length", start=1, end=2)
    table = graph.constant("positions", positions)
    used = graph.node("Slice", [table, first, length, first, one], "positions_used")
    return graph.layer_norm(graph.node("Add", [words, used], "embedded"), "embeddings.LayerNorm", "hidden")


def _encode(graph: _Builder, hidden: str, mask: str, layer: int) -> str:
    """One encoder layer: self-attention and feed-forward, each with its residual and layer norm."""
    prefix, name = f"encoder.layer.{layer}", f"layer{layer}"
    split = graph.constant("split_heads", np.array([0, 0, HEADS, HEAD_SIZE], np.int64))
    heads = {}
    for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        dense = graph.dense(hidden, f"{prefix}.attention.self.{part}", f"{name}_{part}")
        parts = graph.node("Reshape", [dense, split], f"{name}_{part}_split")
        heads[part] = graph.node("Transpose", [parts], f"{name}_{part}_heads", perm=order)
    product = graph.node("MatMul", [heads["query"], heads["key"]], f"{name}_product")
    scale = graph.constant("scale", np.array(HEAD_SIZE**-0.5, np.float32))
    scores = graph.node("Add", [graph.node("Mul", [product, scale], f"{name}_scaled"), mask], f"{name}_scores")
    weights = graph.node("Softmax", [scores], f"{name}_weights", axis=-1)
    context = graph.node("MatMul", [weights, heads["value"]], f"{name}_context")
    merged = graph.node("Transpose", [context], f"{name}_context_order", perm=[0, 2, 1, 3])
    join = graph.constant("join_heads", np.array([0, 0, HIDDEN], np.int64))
    joined = graph.node("Reshape", [merged, join], f"{name}_joined")
    attended = graph.dense(joined, f"{prefix}.attention.output.dense", f"{name}_attended")
    residual = graph.node("Add", [attended, hidden], f"{name}_attention_sum")
    normal = graph.layer_norm(residual, f"{prefix}.attention.output.LayerNorm", f"{name}_attention")
    inner = graph.dense(normal, f"{prefix}.intermediate.dense", f"{name}_inner")
    active = graph.node("Gelu", [inner], f"{name}_active", approximate="none")
    outer = graph.dense(active, f"{prefix}.output.dense", f"{name}_outer")
    total = graph.node("Add", [outer, normal], f"{name}_sum")
    return graph.layer_norm(total, f"{prefix}.output.LayerNorm", f"{name}_hidden")


def _pool(graph: _Builder, hidden: str) -> str:
    """Mean of the token vectors that are not padding, scaled to length 1."""
    last = graph.constant("axis_last", np.array([-1], np.int64))
    one = graph.constant("axis_one", np.array([1], np.int64))
    wide = graph.node("Unsqueeze", ["mask", last], "mask_tokens")
    kept = graph.node("Mul", [hidden, wide], "kept")
    total = graph.node("ReduceSum", [kept, one], "total", keepdims=0)
    count = graph.node("ReduceSum", ["mask", one], "count", keepdims=1)
    mean = graph.node("Div", [total, count], "mean")
    length = graph.node("ReduceL2", [mean, one], "vector_length", keepdims=1)
    return graph.node("Div", [mean, length], "embedding")
