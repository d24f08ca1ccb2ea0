"""Write omni/inference/language/minilm_ranges.json: what the inputs of the dense layers of all-MiniLM-L6-v2 hold.

The network runs in float32 over prose in English, the texts of tests/inference/data/minilm_reference.json (other
scripts, code, signs) and random sequences of the vocabulary. Of each input's channels the eight of the largest values
are set apart; the range is that of the others.

    python tools/measure_minilm_ranges.py
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import sklearn.datasets
from onnx import helper
from tokenizers import Tokenizer

from omni.inference.language import eight_bits
from omni.inference.language.minilm import model_folder
from omni.inference.language.minilm_graph import build_graph
from omni.inference.language.models import MINILM

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "omni/inference/language" / eight_bits.RANGES_FILE
REFERENCE = ROOT / "tests/inference/data/minilm_reference.json"
OUTLIERS = 8
SEQUENCES, LONGEST = 200, 128
FIRST_WORD = 999
"""Ids below are marks, unused ones and single characters."""


def sequences(tokenizer: Tokenizer) -> Iterator[list[int]]:
    """Token ids of what is looked at."""
    folder = Path(sklearn.datasets.__file__).parent / "descr"
    prose = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.rst"))]
    paragraphs = [text for page in prose for text in page.split("\n\n") if len(text) > 40]
    cases = [case["text"] for case in json.loads(REFERENCE.read_text(encoding="utf-8"))["cases"]]
    for text in paragraphs + cases:
        yield tokenizer.encode(text).ids[: MINILM.max_tokens]
    random = np.random.default_rng(20261129)
    vocabulary = tokenizer.get_vocab()
    for length in random.integers(1, LONGEST, SEQUENCES):
        yield [
            vocabulary["[CLS]"],
            *random.integers(FIRST_WORD, MINILM.vocabulary, length).tolist(),
            vocabulary["[SEP]"],
        ]


def inputs_of_dense_layers(model: onnx.ModelProto) -> list[str]:
    constants = {initializer.name for initializer in model.graph.initializer}
    dense = (node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in constants)
    return sorted({node.input[0] for node in dense})


def main() -> None:
    """Measure and write the file."""
    folder = model_folder(MINILM)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    with tempfile.TemporaryDirectory() as scratch:
        graph = Path(scratch) / "graph.onnx"
        build_graph(folder / "model.safetensors", MINILM.weights_sha256, graph, None)
        model = onnx.load(graph)
        names = inputs_of_dense_layers(model)
        model.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
        onnx.save(model, graph)
        session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    lows: dict[str, np.ndarray] = {}
    highs: dict[str, np.ndarray] = {}
    for ids in sequences(tokenizer):
        given = {"input_ids": np.array([ids]), "attention_mask": np.ones((1, len(ids)), np.int64)}
        for name, (values,) in zip(names, session.run(names, given), strict=True):
            lows[name] = np.minimum(lows.get(name, np.inf), values.min(0))
            highs[name] = np.maximum(highs.get(name, -np.inf), values.max(0))
    lines = []
    for name in names:
        largest = np.argsort(np.maximum(np.abs(lows[name]), np.abs(highs[name])))[-OUTLIERS:]
        low, high = np.delete(lows[name], largest).min(), np.delete(highs[name], largest).max()
        lines.append(f'"{name}": [{low:.4f}, {high:.4f}, {sorted(largest.tolist())}]')
    TARGET.write_text("{\n " + ",\n ".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
