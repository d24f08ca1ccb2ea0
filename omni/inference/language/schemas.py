"""Requests and responses of the language endpoints."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt

MAX_INPUTS = 256
MAX_INPUT_CHARS = 8_192
MAX_INPUT_IDS = 8_192
MAX_SENTIMENT_TEXTS = 128
MAX_SENTIMENT_CHARS = 10_000

InputText = Annotated[str, Field(max_length=MAX_INPUT_CHARS)]
InputIds = Annotated[list[StrictInt], Field(max_length=MAX_INPUT_IDS)]


class EmbeddingsRequest(BaseModel):
    """OpenAI's embeddings request."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "all-MiniLM-L6-v2", "input": ["The cat sat.", "A dog barked."]}]}
    )

    model: Annotated[str, Field(max_length=200, description="`all-MiniLM-L6-v2`.")]
    input: Annotated[
        InputText
        | Annotated[list[InputText], Field(min_length=1, max_length=MAX_INPUTS)]
        | Annotated[InputIds, Field(min_length=1)]
        | Annotated[list[InputIds], Field(min_length=1, max_length=MAX_INPUTS)],
        Field(
            description="A text, up to 256 texts of at most 8,192 characters, or token ids of `id_vocabulary` (one "
            "list, or up to 256). At most 256 tokens of the model each: longer input is refused, never cut."
        ),
    ]
    id_vocabulary: Annotated[
        Literal["cl100k_base", "model"],
        Field(
            description="What ids in `input` stand for: OpenAI's cl100k_base, as its clients send them, which are read "
            "as the text that they spell; or `model`, the model's own vocabulary."
        ),
    ] = "cl100k_base"
    encoding_format: Annotated[
        Literal["float", "base64"], Field(description="`base64`: the little-endian float32 values of the vector.")
    ] = "float"
    dimensions: Annotated[int | None, Field(description="Only the model's own, 384.")] = None
    user: Annotated[str | None, Field(description="Accepted and not used.")] = None


class Embedding(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: Annotated[int, Field(description="Place of the input that this is the vector of.")]
    embedding: Annotated[list[float] | str, Field(description="384 numbers, length 1; or base64.")]


class TokenUsage(BaseModel):
    prompt_tokens: Annotated[int, Field(description="Tokens of all inputs, with the two that frame each.")]
    total_tokens: int


class EmbeddingsResponse(BaseModel):
    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: TokenUsage


class Model(BaseModel):
    """A model, as OpenAI lists it."""

    id: Annotated[str, Field(examples=["all-MiniLM-L6-v2"])]
    object: Literal["model"] = "model"
    created: Annotated[int, Field(description="When Omni began to serve it, Unix seconds.")]
    owned_by: str


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


SentimentText = Annotated[str, Field(min_length=1, max_length=MAX_SENTIMENT_CHARS)]


class SentimentRequest(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"texts": ["I love it!", "It broke after a day."]}]})

    texts: Annotated[
        list[SentimentText],
        Field(min_length=1, max_length=MAX_SENTIMENT_TEXTS, description="1 to 128 texts of at most 10,000 characters."),
    ]
    language: Annotated[Literal["en"], Field(description="The model reads English only.")] = "en"


class Sentiment(BaseModel):
    label: Annotated[
        Literal["positive", "neutral", "negative"],
        Field(description="positive from compound 0.05 up, negative from -0.05 down (the authors' thresholds)."),
    ]
    compound: Annotated[float, Field(ge=-1, le=1, description="Overall score, -1 to 1.")]
    positive: Annotated[float, Field(ge=0, le=1, description="Share of the text that is positive.")]
    neutral: Annotated[float, Field(ge=0, le=1)]
    negative: Annotated[float, Field(ge=0, le=1)]


class SentimentResponse(BaseModel):
    results: Annotated[list[Sentiment], Field(description="In the order of the texts.")]
    model: Annotated[str, Field(examples=["vader-3.3.2"])]
    language: Literal["en"] = "en"
