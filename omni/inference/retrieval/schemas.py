"""Requests and responses of the retrieval endpoints."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    model_validator,
)

from omni.inference.fields import NO_NUL
from omni.inference.language.chunking import DEFAULT_RULES, ChunkRules, Strategy
from omni.inference.language.models import MINILM
from omni.inference.retrieval.filtering import FIELD, MAX_INTEGER, MAX_VALUE_CHARS
from omni.inference.retrieval.languages import Language

MAX_TEXT_CHARS = 5 * 1024 * 1024
MAX_METADATA_BYTES = 16 * 1024

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
TextType = Literal["text/plain", "text/markdown", "text/html"]


def _not_an_integer(value: object) -> object:
    if isinstance(value, int):
        raise ValueError("an integer of more than 2^53 would lose digits")
    return value


MetadataField = Annotated[str, Field(pattern=FIELD)]
MetadataText = Annotated[str, Field(max_length=MAX_VALUE_CHARS, pattern=NO_NUL)]
MetadataValue = (
    StrictBool
    | Annotated[StrictInt, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
    | Annotated[StrictFloat, Field(allow_inf_nan=False), BeforeValidator(_not_an_integer)]
    | MetadataText
    | Annotated[list[MetadataText], Field(max_length=50)]
)
Metadata = dict[MetadataField, MetadataValue]

StoredMetadata = dict[str, bool | int | float | str | list[str]]
"""As it comes back: a number of more than 2^53 that was sent as `1.6e16` is written in full."""


def _small_enough(metadata: Metadata | None) -> Metadata | None:
    if metadata is not None and len(orjson.dumps(metadata)) > MAX_METADATA_BYTES:
        raise ValueError(f"metadata has at most {MAX_METADATA_BYTES} bytes of JSON")
    return metadata


MetadataOrNone = Annotated[
    Metadata | None,
    Field(
        max_length=32,
        description="What searches can filter by: at most 32 fields (letters, digits, _ . -) with text of at most "
        "1,000 characters, a finite number, true or false, or a list of at most 50 texts; at most 16 KiB of JSON. Left "
        "out or null: a document that is there keeps its own.",
    ),
    AfterValidator(_small_enough),
]


class MetadataForm(BaseModel):
    """The form field `metadata` of a multipart request: a JSON object."""

    metadata: MetadataOrNone


class Chunking(BaseModel):
    """How documents are cut into the chunks that are embedded and found. Tables (csv) are cut between rows always."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"strategy": "headings", "max_tokens": 120, "overlap": 0}]}
    )

    strategy: Annotated[
        Strategy,
        Field(
            description="sentences: runs of whole sentences, begun anew at headings; headings: the same, never over "
            "a heading; tokens: windows of `max_tokens`, cut between words where possible."
        ),
    ] = DEFAULT_RULES.strategy
    max_tokens: Annotated[
        int, Field(ge=16, le=254, description="Tokens of a chunk, at most; the model reads 256 with its own two.")
    ] = DEFAULT_RULES.max_tokens
    overlap: Annotated[
        int, Field(ge=0, le=127, description="Tokens that neighbours share, at most; up to half of `max_tokens`.")
    ] = DEFAULT_RULES.overlap_tokens

    @model_validator(mode="after")
    def _overlaps_by_half_at_most(self) -> Self:
        if self.overlap > self.max_tokens // 2:
            raise ValueError("overlap is at most half of max_tokens")
        return self

    def rules(self) -> ChunkRules:
        """The same for the one who cuts."""
        return ChunkRules(self.strategy, self.max_tokens, self.overlap)


LanguageField = Annotated[
    Language,
    Field(description="Whose words lexical search stems; see `language_note` of the collection for its limits."),
]
ModelField = Annotated[str, Field(max_length=100, description="`all-MiniLM-L6-v2` is the only one there is.")]


class CollectionRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "licences"},
                {
                    "name": "handbook",
                    "chunking": {"strategy": "headings", "max_tokens": 120, "overlap": 20},
                    "language": "german",
                },
            ]
        }
    )

    name: Name
    chunking: Chunking = Chunking()
    embedding_model: ModelField = MINILM.name
    language: LanguageField = "english"


class CollectionChange(BaseModel):
    """What is left out stays. All but the name can be changed only while the collection is empty."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "licences, 2026"}]}, extra="forbid")

    name: Name | None = None
    chunking: Chunking | None = None
    embedding_model: ModelField | None = None
    language: LanguageField | None = None


class Collection(BaseModel):
    id: UUID
    name: str
    embedding_model: str
    chunking: Chunking
    language: str
    language_note: Annotated[str | None, Field(description="What lexical search cannot do in this language.")]
    document_count: int
    chunk_count: int
    stored_bytes: Annotated[
        int, Field(description="UTF-8 text and vectors (2 bytes per dimension), counted as storage.")
    ]
    created_at: datetime

    def settings(self) -> tuple[Chunking, str, str]:
        """What its chunks, vectors and words were made by."""
        return self.chunking, self.embedding_model, self.language


class CollectionList(BaseModel):
    data: Annotated[list[Collection], Field(description="Newest first.")]
    next_cursor: Annotated[
        UUID | None, Field(description="Send it as `cursor` for the next page; null = the last page.")
    ]


class DocumentRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "note.md",
                    "text": "# Note\n\nThe key is under the mat.",
                    "content_type": "text/markdown",
                    "metadata": {"year": 2026, "draft": False, "tags": ["house", "keys"]},
                }
            ]
        }
    )

    name: Annotated[str, Field(min_length=1, max_length=255, pattern=NO_NUL)]
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS, pattern=NO_NUL)]
    content_type: TextType = "text/plain"
    metadata: MetadataOrNone = None


class Document(BaseModel):
    id: UUID
    collection_id: UUID
    name: str
    content_type: str
    content_sha256: Annotated[str, Field(description="Of the file as it was sent, hexadecimal.")]
    page_count: Annotated[int | None, Field(description="PDF files and images only.")]
    chunk_count: int
    stored_bytes: int
    metadata: StoredMetadata
    version: Annotated[int, Field(description="1, and one more for each time that its content was replaced.")]
    created_at: datetime
    updated_at: Annotated[datetime | None, Field(description="When it was last changed; null = never.")]
    text: Annotated[
        str | None, Field(description="Extracted text, with `include=text`; all offsets count its characters.")
    ] = None


class IngestedDocument(Document):
    """What became of a document that was sent."""

    outcome: Annotated[
        Literal["created", "replaced", "unchanged"],
        Field(
            description="`unchanged`: the same content was there already; nothing was read, embedded or charged. "
            "Metadata that was sent is set in any case."
        ),
    ]
    embedded_chunks: Annotated[int, Field(description="Chunks that were new, and so embedded and charged.")]
    kept_chunks: Annotated[int, Field(description="Chunks whose text was there already, with their ids and vectors.")]
    ocr_pages: Annotated[
        int, Field(description="Pages that were read by OCR: of images, and those of a PDF that have no text.")
    ]


class DocumentList(BaseModel):
    data: Annotated[list[Document], Field(description="Newest first.")]
    next_cursor: UUID | None
