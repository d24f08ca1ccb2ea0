"""Texts of any length → sentence vectors, for every endpoint that compares meanings; usage is noted here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from omni.inference.language.embedder import Embedder
from omni.inference.runtime.call import Call
from omni.kit.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

CLS, SEP = 101, 102
MAX_REQUEST_TOKENS = 131_072
"""Most tokens that one request may have embedded: about ten seconds on two cores."""

NamedText = tuple[str, str]
"""The field that a text came in, as errors name it, and the text."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of some texts, in order. A text that the model reads whole has one."""

    owners: list[int]
    """Which text each window is of."""
    tokens: list[int]
    """Its size without [CLS] and [SEP]."""
    vectors: list[np.ndarray]
    """float32 [dimensions] of length 1."""


class TextVectors:
    """Embeds texts; those that are longer than the model reads as windows of equal size."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.model = embedder.model
        self.token_spans = embedder.token_spans

    async def windows(self, call: Call, texts: Sequence[NamedText]) -> Windows:
        """The vectors of all texts. Notes tokens and model in the call's usage.

        Raises InvalidInput `input_empty` for a text without a token, `too_many_tokens` for more than
        MAX_REQUEST_TOKENS in all, and what EnginePool.run raises.
        """
        for name, text in texts:
            if not text.strip():
                raise _empty(name)
        owners: list[int] = []
        inputs: list[list[int]] = []
        for owner, ids in enumerate(await self._embedder.tokenize(call, [text for _, text in texts])):
            if len(ids) <= 2:
                raise _empty(texts[owner][0])
            for part in _parts(ids[1:-1], self.model.max_tokens - 2):
                owners.append(owner)
                inputs.append([CLS, *part, SEP])
        total = sum(map(len, inputs))
        if total > MAX_REQUEST_TOKENS:
            raise InvalidInput(
                "too_many_tokens",
                f"The texts have {total} tokens; one request may have {MAX_REQUEST_TOKENS}. Send fewer at once.",
                tokens=total,
                max_tokens=MAX_REQUEST_TOKENS,
            )
        vectors = await self._embedder.embed(call, inputs)
        call.usage.input_tokens += total
        call.usage.model = self.model.name
        return Windows(owners, [len(ids) - 2 for ids in inputs], vectors)


def numbered(field: str, texts: Sequence[str]) -> list[NamedText]:
    """Texts of a list with their places: `documents[3]`."""
    return [(f"{field}[{index}]", text) for index, text in enumerate(texts)]


def _parts(ids: list[int], most: int) -> Iterator[list[int]]:
    """The ids in as few parts as fit, of sizes that differ by one at most."""
    count = -(-len(ids) // most)
    for part in range(count):
        yield ids[part * len(ids) // count : (part + 1) * len(ids) // count]


def _empty(name: str) -> InvalidInput:
    return InvalidInput("input_empty", f"{name} is empty. Send a text.", param=name)
