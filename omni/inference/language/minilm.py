"""all-MiniLM-L6-v2 on onnxruntime. Heavy: loaded at first use."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf
from tokenizers import Tokenizer

from omni.inference.language.eight_bits import read_ranges
from omni.inference.language.models import EmbeddingModel
from omni.kit.errors import NotConfigured

GRAPH_VERSION = (
    2  # raise it when minilm_graph.py builds another graph, or with new ranges; it is part of the cached file's name
)

_EXACT_PRODUCTS = ("session.x64quantprecision", "1")
"""Makes the weights unsigned on x86: half as fast, and exact where signed ones are not."""
_CPU_INFO = Path("/proc/cpuinfo")
_VNNI = frozenset(("avx512_vnni", "avx_vnni"))


class MiniLm:
    """Tokens and sentence vectors of one pinned model. Safe to use from several threads."""

    def __init__(self, model: EmbeddingModel, cache: Path, threads: int) -> None:
        """Build the graph into `cache` unless it is there. `threads` is how many cores one batch may use.

        Raises NotConfigured `model_unusable` when the model's files are missing or are not the pinned ones.
        """
        self._model = model
        folder = model_folder(model)
        self._tokenizer = Tokenizer.from_buffer(_pinned(folder / "tokenizer.json", model.tokenizer_sha256))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._session = _open(folder / "model.safetensors", model, cache, threads)

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text with [CLS] and [SEP], not cut."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end character of each token of the text, without [CLS] and [SEP]."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).offsets)

    def embed(self, batch: Sequence[Sequence[int]]) -> np.ndarray:
        """Vectors of length 1, float32 [batch, dimensions], of token ids as `tokenize` gives them."""
        longest = max(len(ids) for ids in batch)
        ids = np.zeros((len(batch), longest), np.int64)
        mask = np.zeros((len(batch), longest), np.int64)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        (vectors,) = self._session.run(["embedding"], {"input_ids": ids, "attention_mask": mask})
        return np.asarray(vectors, np.float32)


def model_folder(model: EmbeddingModel) -> Path:
    """Where the model's files are. Raises NotConfigured `model_unusable` when it is not installed."""
    found = importlib.util.find_spec(model.package)
    if found is None or found.origin is None:
        raise NotConfigured("model_unusable", f"The model {model.name} is not installed on the server.")
    return Path(found.origin).parent / "model"


def _pinned(path: Path, sha256: str) -> bytes:
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise NotConfigured(
            "model_unusable",
            "The model's files on the server are not the pinned ones.",
            internal=f"{path.name} differs",
        )
    return data


def _open(weights: Path, model: EmbeddingModel, cache: Path, threads: int) -> onnxruntime.InferenceSession:
    """The session on the cached graph, which is built when it is missing or cannot be read."""
    graph = cache / f"{model.name}-graph{GRAPH_VERSION}-{model.weights_sha256[:16]}.onnx"
    if not graph.exists():
        _build(weights, model, graph)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if not adds_exactly(_CPU_INFO):
        options.add_session_config_entry(*_EXACT_PRODUCTS)
    try:
        return _session(graph, options)
    except (Fail, InvalidGraph, InvalidProtobuf):
        _build(weights, model, graph)
        return _session(graph, options)


def adds_exactly(cpu_info: Path) -> bool:
    """Whether the processor that Linux describes in `cpu_info` is known to have VNNI.

    x86 without it adds pairs of products of 8 bits in 16, where those of signed weights may overflow.
    """
    try:
        found = cpu_info.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return not _VNNI.isdisjoint(found.split())


def _session(graph: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def _build(weights: Path, model: EmbeddingModel, graph: Path) -> None:
    builder = importlib.import_module("omni.inference.language.minilm_graph")
    try:
        builder.build_graph(weights, model.weights_sha256, graph, read_ranges())
    except builder.WrongWeights as error:
        raise NotConfigured(
            "model_unusable", "The model's files on the server are not the pinned ones.", internal=str(error)
        ) from error
