"""Requests and responses of keywords and summaries."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_TEXT_CHARS = 200_000
MAX_SENTENCES = 1_000
MAX_STOP_WORDS = 1_000

Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS, description="At most 200,000 characters.")]
EXAMPLE = (
    "Solar panels turn sunlight into electricity. A household can sell what it does not use. "
    "Batteries keep electricity for the night. Prices of panels have fallen for years."
)


class Span(BaseModel):
    start: Annotated[int, Field(description="First character, from 0.")]
    end: Annotated[int, Field(description="Character after the last.")]


class KeywordsRequest(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": EXAMPLE, "top_k": 3, "max_words": 2}]})

    text: Text
    top_k: Annotated[int, Field(ge=1, le=100, description="Most keywords.")] = 10
    max_words: Annotated[int, Field(ge=1, le=4, description="Most words of a keyword.")] = 3
    diversity: Annotated[
        float, Field(ge=0, le=1, description="0: closest to the text, however alike; 1: as different as can be.")
    ] = 0.4
    stop_words: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=100)]],
        Field(
            max_length=MAX_STOP_WORDS,
            description="Further words that no keyword begins or ends with, besides English function words; send those "
            "of the text's language.",
        ),
    ] = []


class Keyword(BaseModel):
    keyword: Annotated[str, Field(description="As it stands where it first occurs, white space made single.")]
    score: Annotated[float, Field(ge=-1, le=1, description="Cosine of keyword and text.")]
    occurrences: Annotated[list[Span], Field(description="Everywhere it occurs, whatever its case.")]


class KeywordsResponse(BaseModel):
    keywords: Annotated[list[Keyword], Field(description="In the order in which they were chosen, best first.")]
    candidates: Annotated[int, Field(description="How many phrases were compared: the 500 most frequent at most.")]
    model: str


class SummarizeRequest(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": EXAMPLE, "sentences": 2}]})

    text: Text
    sentences: Annotated[
        int | None, Field(ge=1, le=MAX_SENTENCES, description="Most sentences; 3 unless this or `ratio` is given.")
    ] = None
    ratio: Annotated[
        float | None, Field(gt=0, le=1, description="Share of the text's sentences, rounded, at least one.")
    ] = None
    method: Annotated[
        Literal["lexrank", "centroid"],
        Field(
            description="`lexrank`: central in the graph of sentences that are alike. `centroid`: closest to the mean."
        ),
    ] = "lexrank"

    @model_validator(mode="after")
    def _one_length(self) -> SummarizeRequest:
        if self.sentences is not None and self.ratio is not None:
            raise ValueError("send either `sentences` or `ratio`")
        return self


class SummarySentence(Span):
    text: Annotated[str, Field(description="`text[start:end]` of the request.")]
    score: Annotated[
        float, Field(description="lexrank: share of a random walk's time, all sentences 1; centroid: cosine.")
    ]
    rank: Annotated[int, Field(description="1 = highest score.")]


class SummarizeResponse(BaseModel):
    summary: Annotated[str, Field(description="The sentences joined by spaces, white space made single.")]
    sentences: Annotated[list[SummarySentence], Field(description="In the order of the text.")]
    sentence_count: Annotated[
        int, Field(description="Sentences of the text, headings left out unless there is nothing else.")
    ]
    model: str
