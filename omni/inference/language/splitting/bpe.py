"""OpenAI's vocabularies by `bpe-openai`. Heavy: each takes half a second and about 130 MB, at its first use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import accumulate, pairwise

from bpe_openai._bindings import PyTokenizer, tokenizer_for_encoding

SLICE = 1_000  # pieces between two looks at the clock


class Bpe:
    """Counts, lists and places tokens. Safe to use from several threads."""

    def __init__(self) -> None:
        self._tokenizers: dict[str, PyTokenizer] = {}
        self._lock = threading.Lock()

    def count(self, vocabulary: str, text: str) -> int:
        """Tokens of a text."""
        tokens: int = self._tokenizer(vocabulary).count(text)
        return tokens

    def ids(self, vocabulary: str, text: str) -> list[int]:
        """The ids of its tokens."""
        return list(self._tokenizer(vocabulary).encode(text))

    def text(self, vocabulary: str, ids: list[int]) -> str:
        """The text that ids of the vocabulary, which must all be in it, spell. Raises ValueError when they spell none:
        they begin or end within a character.
        """
        text: str = self._tokenizer(vocabulary).decode(ids)
        return text

    def spans(self, vocabulary: str, text: str, seconds_left: Callable[[], float]) -> list[tuple[int, int]]:
        """Start and end character of each token. Tokens never cross pieces (words with the space before them); inside
        a piece of several tokens places are spread evenly, since tokens may be parts of characters.

        Raises DeadlineExceeded from `seconds_left`.
        """
        tokenizer = self._tokenizer(vocabulary)
        pieces = tokenizer.pretokenize(text)
        found: list[tuple[int, int]] = []
        for number, (piece, end) in enumerate(zip(pieces, accumulate(map(len, pieces)), strict=True)):
            if number % SLICE == 0:
                seconds_left()
            start, count = end - len(piece), tokenizer.count(piece)
            edges = [start + len(piece) * part // count for part in range(count + 1)]
            found.extend(pairwise(edges))
        return found

    def _tokenizer(self, vocabulary: str) -> PyTokenizer:
        with self._lock:
            tokenizer = self._tokenizers.get(vocabulary)
            if tokenizer is None:
                tokenizer = self._tokenizers[vocabulary] = tokenizer_for_encoding(vocabulary)
            return tokenizer
