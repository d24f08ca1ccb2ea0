"""Requests and responses of moderation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from omni.inference.language.moderation.categories import Category
from omni.inference.language.moderation.matching import Caution, Kind

MAX_TEXTS = 64
MAX_TEXT_CHARS = 8_192
MAX_REASONS = 20
DEFAULT_THRESHOLD = 0.5
NOT_COVERED = (
    "languages other than English",
    "pictures, sound and links",
    "irony, allusions, and what only a conversation makes clear",
    "instructions for crimes, and whether a person is a minor",
)
"""What no rule and no weight looks for: said in every response."""

Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)]
Score = Annotated[float, Field(ge=0, le=1)]


class ModerateRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"texts": ["How do I kill a process?", "You are an 1d10t."], "thresholds": {"profanity": 0.9}}]
        }
    )

    texts: Annotated[
        list[Text], Field(min_length=1, max_length=MAX_TEXTS, description="1 to 64 texts of at most 8,192 characters.")
    ]
    threshold: Annotated[Score, Field(description="The score from which a category is flagged.")] = DEFAULT_THRESHOLD
    thresholds: Annotated[
        dict[Category, Score],
        Field(description="Thresholds of single categories; the others have `threshold`. No score reaches 1."),
    ] = {}

    def threshold_of(self, category: Category) -> float:
        """The score from which the category is flagged."""
        return self.thresholds.get(category, self.threshold)


class Reason(BaseModel):
    """One thing that speaks for a category."""

    category: Category
    kind: Annotated[
        Kind, Field(description="`word`: of the lexicon, also in disguise; `phrase`: a pattern; `meaning`: a sentence.")
    ]
    rule: Annotated[
        str,
        Field(
            description="The word in its plain form, or the pattern's name.", examples=["idiot", "threat", "meaning"]
        ),
    ]
    start: Annotated[int, Field(description="First character, from 0.")]
    end: Annotated[int, Field(description="Character after the last.")]
    text: Annotated[str, Field(description="`texts[index][start:end]`.")]
    score: Score
    cautions: Annotated[
        list[Caution],
        Field(description="Why a word or phrase counts less: it is negated, quoted, or told of somebody else."),
    ]


class Moderated(BaseModel):
    index: Annotated[int, Field(description="Place of the text in the request, from 0.")]
    flagged: Annotated[bool, Field(description="Whether any category is.")]
    categories: Annotated[dict[Category, bool], Field(description="Whether the score reaches the threshold.")]
    scores: Annotated[
        dict[Category, Score],
        Field(
            description="1 - (1 - w)(1 - m): w is the strongest word or phrase, by fixed strengths; m the worst "
            "sentence by meaning, fitted to 340 sentences. They rank texts and go with the "
            "thresholds; they are no frequencies."
        ),
    ]
    reasons: Annotated[list[Reason], Field(description="The 20 strongest, in the order of the text.")]


class ModerateResponse(BaseModel):
    results: Annotated[list[Moderated], Field(description="In the order of the texts.")]
    not_covered: Annotated[list[str], Field(description="What is not looked for.")] = list(NOT_COVERED)
    model: Annotated[str, Field(examples=["text-moderation-rules-1"])]
    language: Literal["en"] = "en"


class TextPart(BaseModel):
    """A part of an input. Pictures cannot be read."""

    type: Literal["text"]
    text: Text


class ModerationsRequest(BaseModel):
    """OpenAI's moderations request."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "text-moderation-rules-1", "input": "Is this fine?"}]}
    )

    model: Annotated[str, Field(max_length=200, description="A model of `GET /v1/models` with this operation.")]
    input: Annotated[
        Text
        | Annotated[list[Text], Field(min_length=1, max_length=MAX_TEXTS)]
        | Annotated[list[TextPart], Field(min_length=1, max_length=MAX_TEXTS)],
        Field(description="A text, up to 64 texts with a result each, or up to 64 parts with one result together."),
    ]


class ModerationResult(BaseModel):
    flagged: bool
    categories: Annotated[dict[str, bool], Field(description="By OpenAI's names of categories.")]
    category_scores: dict[str, Score]
    category_applied_input_types: Annotated[
        dict[str, list[Literal["text"]]],
        Field(description="Empty for categories that this model does not look for: they are always false and 0."),
    ]


class ModerationsResponse(BaseModel):
    id: str
    model: str
    results: list[ModerationResult]
