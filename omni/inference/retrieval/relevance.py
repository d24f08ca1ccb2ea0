"""How much a sentence says about a question: 0.75 cosine + 0.25 share of the question's words that it has."""

from __future__ import annotations

import re
from collections.abc import Sequence

from omni.inference.language.embedder import Embedder
from omni.inference.runtime.call import Call

MEANING_WEIGHT, WORDS_WEIGHT = 0.75, 0.25
WORD = re.compile(r"\w+")
# Words of a question that say nothing about its subject.
COMMON_WORDS = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "been", "by", "can", "could", "did", "do", "does", "for", "from",
    "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "may", "me", "must", "my", "of", "on",
    "or", "our", "shall", "should", "so", "than", "that", "the", "their", "them", "then", "there", "these", "they",
    "this", "those", "to", "was", "we", "were", "what", "when", "where", "which", "who", "whom", "whose", "why",
    "will", "with", "would", "you", "your",
))  # fmt: skip


class Relevance:
    """Scores texts against a question."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def of(self, call: Call, question: str, texts: Sequence[str]) -> list[float | None]:
        """The score of each text, 0 to 1; None for one that is longer than the model reads. Its tokens are metered,
        those of the question are not: the search has counted them.
        """
        if not texts:
            return []
        most = self._embedder.model.max_tokens
        inputs = await self._embedder.tokenize(call, [question, *texts])
        fitting = [index for index, ids in enumerate(inputs) if index and len(ids) <= most]
        asked, *vectors = await self._embedder.embed(call, [inputs[0], *(inputs[index] for index in fitting)])
        call.usage.input_tokens += sum(len(inputs[index]) for index in fitting)
        words = _stems(question)
        scores: list[float | None] = [None] * len(texts)
        for index, vector in zip(fitting, vectors, strict=True):
            meaning, shared = max(0.0, float(asked @ vector)), _share(words, texts[index - 1])
            scores[index - 1] = min(1.0, MEANING_WEIGHT * meaning + WORDS_WEIGHT * shared)
        return scores


def content_words(text: str) -> list[str]:
    """The words of a text that say something about its subject, as they are written, in order."""
    return [word for word in WORD.findall(text) if word.casefold() not in COMMON_WORDS]


def shared_words(text: str, other: str) -> float:
    """The share of the words of meaning of a text that another has, 0 to 1."""
    return _share(_stems(text), other)


def _stems(text: str) -> set[str]:
    """Words that carry meaning, reduced to a common beginning so that `terminates` meets `termination`."""
    return {word.casefold()[:6] for word in content_words(text)}


def _share(words: set[str], text: str) -> float:
    return len(words & _stems(text)) / len(words) if words else 0.0
