"""Checks what a model wrote against the passages that it was given: each statement needs a sentence that supports it.

A statement is supported by the sentence of the passages that it names (all passages, when it names none) that says most
of it, if that reaches SUPPORT and the passage has every number of the statement. The score is `relevance`'s: 0.75
cosine + 0.25 share of the statement's words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from omni.inference.language.sentences import sentences
from omni.inference.retrieval.relevance import MEANING_WEIGHT, WORDS_WEIGHT, shared_words

MOST_STATEMENTS = 20
SUPPORT = 0.5
_MARK = re.compile(r"\s*\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")
_BEHIND_A_STOP = re.compile(r"([.!?])((?:\s*\[[\d,\s]{1,20}\])+\.?)")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence that the model wrote, without its marks. `sources` are numbers of passages, from 1."""

    text: str
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Support:
    """The sentence that supports a statement best: its place among the candidates, and its score."""

    candidate: int
    score: float


def read_statements(text: str) -> list[Statement]:
    """The statements of a text whose sentences end in marks such as `[1]` or `[2, 3]`, before or behind the
    stop. A line's end is one's, too."""
    lines = [line.strip().lstrip("-*• ") for line in text.splitlines()]
    ended = "\n\n".join(line + "." if line and (line[-1].isalnum() or line[-1] == "]") else line for line in lines)
    moved = _BEHIND_A_STOP.sub(lambda match: match[2].rstrip(".") + match[1], ended)
    found = []
    for each in sentences(moved):
        raw = moved[each.start : each.end]
        sources = tuple(dict.fromkeys(int(n) for mark in _MARK.findall(raw) for n in mark.split(",")))
        bare = " ".join(_MARK.sub("", raw).split())
        if any(character.isalnum() for character in bare):
            found.append(Statement(bare, sources))
    return found[:MOST_STATEMENTS]


def supports(
    statements: Sequence[Statement],
    candidates: Sequence[tuple[int, str]],
    passages: Sequence[str],
    vectors: tuple[np.ndarray, np.ndarray],
) -> list[Support | None]:
    """For each statement what supports it, or None.

    `candidates`: number of the passage (from 1) and text of each sentence. `vectors`: of statements and candidates,
    float32 [n, dimensions] each, of length 1.
    """
    if not candidates:
        return [None] * len(statements)
    cosines = np.maximum(0.0, vectors[0] @ vectors[1].T)
    found: list[Support | None] = []
    for row, statement in enumerate(statements):
        numbers = set(_NUMBER.findall(statement.text))
        named = [source for source in statement.sources if 1 <= source <= len(passages)]
        best: Support | None = None
        for at, (passage, text) in enumerate(candidates):
            if (statement.sources and passage not in named) or not numbers <= set(
                _NUMBER.findall(passages[passage - 1])
            ):
                continue
            score = MEANING_WEIGHT * float(cosines[row, at]) + WORDS_WEIGHT * shared_words(statement.text, text)
            if score >= SUPPORT and (best is None or score > best.score):
                best = Support(at, min(1.0, score))
        found.append(best)
    return found
