"""Request and response of language identification."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MAX_TEXTS = 128
MAX_TEXT_CHARS = 20_000
MAX_SEGMENTED_CHARS = 50_000

Code = Annotated[str, Field(pattern="^[a-z]{2}$", description="ISO 639-1.", examples=["sl"])]


class LanguageRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"texts": ["Danes je lep dan.", "What a fine day."], "languages": ["sl", "hr", "en"]}]
        }
    )

    texts: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)]],
        Field(min_length=1, max_length=MAX_TEXTS, description="1 to 128 texts of at most 20,000 characters."),
    ]
    languages: Annotated[
        list[Code] | None,
        Field(
            min_length=2,
            max_length=75,
            description="The languages that the texts may be in, ISO 639-1; absent = all 75. The fewer they are, the "
            "surer the answer, above all for short texts.",
        ),
    ] = None
    top_k: Annotated[int, Field(ge=1, le=75, description="Most languages that are listed for a text.")] = 3
    segments: Annotated[
        bool,
        Field(
            description="Whether to cut each text between sentences of different languages; all texts together at most "
            "50,000 characters. Name the `languages`: a sentence is short."
        ),
    ] = False


class Confidence(BaseModel):
    language: Code
    confidence: Annotated[
        float, Field(ge=0, le=1, description="Relative to the other languages that were allowed: they sum to 1.")
    ]


class Segment(BaseModel):
    start: Annotated[int, Field(description="First character, from 0.")]
    end: Annotated[int, Field(description="Character after the last.")]
    language: Code


class Identified(BaseModel):
    index: Annotated[int, Field(description="Place of the text in the request, from 0.")]
    language: Annotated[
        Code | None, Field(description="The most likely one; absent for a text without letters of an allowed language.")
    ]
    confidences: Annotated[list[Confidence], Field(description="Most likely first; empty without a language.")]
    segments: Annotated[list[Segment] | None, Field(description="With `segments`, in order.")] = None


class LanguageResponse(BaseModel):
    results: list[Identified]
    model: Annotated[str, Field(examples=["lingua-2.1.1-low-accuracy"])]
