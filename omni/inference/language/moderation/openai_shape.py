"""Moderation in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from omni.inference.language.moderation.categories import Category
from omni.inference.language.moderation.schemas import DEFAULT_THRESHOLD, ModerationResult

_OURS: Final[Mapping[str, Category | None]] = {
    "harassment": "harassment",
    "harassment/threatening": None,
    "hate": "hate",
    "hate/threatening": None,
    "illicit": None,
    "illicit/violent": None,
    "self-harm": "self_harm",
    "self-harm/intent": None,
    "self-harm/instructions": None,
    "sexual": "sexual",
    "sexual/minors": None,
    "violence": "violence",
    "violence/graphic": None,
}
"""OpenAI's categories with ours of the same meaning. It has none for profanity."""


def to_openai_result(scores: Mapping[Category, float]) -> ModerationResult:
    """A text's scores by OpenAI's names."""
    given = {name: 0.0 if ours is None else scores[ours] for name, ours in _OURS.items()}
    flags = {name: score >= DEFAULT_THRESHOLD for name, score in given.items()}
    return ModerationResult(
        flagged=any(flags.values()),
        categories=flags,
        category_scores=given,
        category_applied_input_types={name: [] if ours is None else ["text"] for name, ours in _OURS.items()},
    )
