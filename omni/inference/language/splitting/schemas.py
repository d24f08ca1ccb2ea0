"""Requests and responses of tokens and chunks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_TEXTS = 256
MAX_TEXT_CHARS = 500_000
MAX_ALL_CHARS = 1_000_000

TokenizerName = Literal["cl100k_base", "o200k_base", "all-MiniLM-L6-v2"]
Text = Annotated[str, Field(max_length=MAX_TEXT_CHARS)]
Tokenizer = Annotated[
    TokenizerName,
    Field(
        description="`o200k_base`: GPT-4o, GPT-4.1, GPT-5 and o models. `cl100k_base`: GPT-4, GPT-3.5 and OpenAI's "
        "embeddings. `all-MiniLM-L6-v2`: this platform's embeddings."
    ),
]


class TokensRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"texts": ["Hello, world!"], "tokenizer": "cl100k_base", "ids": True}]}
    )

    texts: Annotated[
        list[Text],
        Field(
            min_length=1,
            max_length=MAX_TEXTS,
            description="1 to 256 texts of at most 500,000 characters, 1,000,000 in all.",
        ),
    ]
    tokenizer: Tokenizer = "o200k_base"
    ids: Annotated[bool, Field(description="Whether to list the tokens' ids.")] = False


class TokenCount(BaseModel):
    tokens: Annotated[
        int,
        Field(
            description="Plain text: what spells a special token counts as its letters. `all-MiniLM-L6-v2` includes "
            "the two that frame a text, as embeddings count it."
        ),
    ]
    ids: list[int] | None = None


class TokensResponse(BaseModel):
    results: Annotated[list[TokenCount], Field(description="In the order of the texts.")]
    total: int
    tokenizer: TokenizerName


class ChunkRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "text": "# Returns\n\nGoods may come back within 30 days.\n\n# Shipping\n\nWe ship daily.",
                    "by": "headings",
                    "max_tokens": 64,
                    "overlap_tokens": 0,
                }
            ]
        }
    )

    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS, description="At most 500,000 characters.")]
    by: Annotated[
        Literal["sentences", "tokens", "headings"],
        Field(
            description="`sentences`: whole sentences, anew at headings; one that is too long is cut. `tokens`: as "
            "long as allowed, cut anywhere between tokens. `headings`: a chunk a section; one that is too long is cut "
            "as by sentences."
        ),
    ] = "sentences"
    tokenizer: Tokenizer = "o200k_base"
    max_tokens: Annotated[int, Field(ge=16, le=8_192, description="Most tokens of a chunk, counted by itself.")] = 200
    overlap_tokens: Annotated[
        int,
        Field(
            ge=0,
            le=4_096,
            description="Most tokens that a chunk repeats of the one before: whole sentences, except with `tokens`. At "
            "most half of `max_tokens`.",
        ),
    ] = 40
    texts: Annotated[bool, Field(description="Whether chunks hold their text besides its place.")] = True

    @model_validator(mode="after")
    def _overlap_is_small(self) -> ChunkRequest:
        if self.overlap_tokens * 2 > self.max_tokens:
            raise ValueError("`overlap_tokens` is more than half of `max_tokens`")
        return self


class Chunk(BaseModel):
    start: Annotated[int, Field(description="First character, from 0.")]
    end: Annotated[int, Field(description="Character after the last.")]
    tokens: Annotated[int, Field(description="Of the chunk by itself, without those that frame a text.")]
    heading: Annotated[str | None, Field(description="The last heading at or before its start.")]
    text: Annotated[str | None, Field(description="`text[start:end]` of the request.")] = None


class ChunkResponse(BaseModel):
    chunks: Annotated[
        list[Chunk], Field(description="In the order of the text; between them is nothing but white space.")
    ]
    tokenizer: TokenizerName
