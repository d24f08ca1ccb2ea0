"""Requests and responses of search and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from omni.inference.fields import NO_NUL

MAX_QUERY_CHARS = 2_000
MOST_RERANKED = 20

Query = Annotated[
    str,
    Field(
        min_length=1, max_length=MAX_QUERY_CHARS, pattern=NO_NUL, description="At most 256 tokens and 2,000 characters."
    ),
]
Mode = Literal["hybrid", "dense", "lexical"]
FilterOrNone = Annotated[
    dict[str, Any] | None,
    Field(
        description="Only documents whose metadata pass: `{field: value}` or `{field: {operator: value}}`, all of "
        "which must hold, with `$and`, `$or` (lists of filters) and `$not`. Operators: `$eq`, `$ne`, `$in`, `$nin`, "
        "`$gt`, `$gte`, `$lt`, `$lte`, `$exists`. `$eq` and `$in` also find a text in a list. Numbers compare with "
        "numbers, texts with texts by code point; a field of another kind, or that is missing, fails every condition "
        "but the negated ones (`$ne`, `$nin`, `$not`). At most 50 conditions, nested 5 deep; 100 values in a list.",
    ),
]


class Mmr(BaseModel):
    """Maximal marginal relevance: results that are near the query and far from one another."""

    model_config = ConfigDict(populate_by_name=True)

    balance: Annotated[
        float,
        Field(
            alias="lambda", ge=0, le=1, allow_inf_nan=False, description="1 = relevance alone, 0 = difference alone."
        ),
    ] = 0.5


class SearchRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "Who may sublicense?", "top_k": 5},
                {"query": "notice period", "filter": {"year": {"$gte": 2020}, "tags": {"$in": ["hr", "legal"]}}},
                {"query": "fees", "rerank": True, "min_score": 0.4, "mmr": {"lambda": 0.7}, "group_by": "document"},
            ]
        }
    )

    query: Query
    top_k: Annotated[int, Field(ge=1, le=50, description="Most results; most documents with `group_by`.")] = 10
    mode: Annotated[
        Mode,
        Field(
            description="dense: by meaning; lexical: by words; hybrid: both, joined by reciprocal-rank fusion (k = 60, "
            "meaning counts twice)."
        ),
    ] = "hybrid"
    filter: FilterOrNone = None
    rerank: Annotated[
        bool,
        Field(
            description="Order the first 20 by their best sentence: 0.75 cosine to the query + 0.25 share of its "
            "words. `top_k` is at most 20 then. The sentences' tokens are metered."
        ),
    ] = False
    min_score: Annotated[
        float | None,
        Field(
            allow_inf_nan=False,
            description="Leave out what has a lower `score`. Its scale is that of the mode: cosine (dense), idf · "
            "ts_rank (lexical), at most 3/61 (hybrid), 0 to 1 (with `rerank`).",
        ),
    ] = None
    mmr: Annotated[
        Mmr | None, Field(description="Choose results that differ, from the first 50 (20 with `rerank`).")
    ] = None
    group_by: Annotated[
        Literal["document"] | None,
        Field(description="Put the chunks of a document together, in the order of the documents' best chunks."),
    ] = None
    chunks_per_document: Annotated[int, Field(ge=1, le=10, description="Most chunks of one, with `group_by`.")] = 3

    @model_validator(mode="after")
    def _reranks_no_more_than_it_looks_at(self) -> Self:
        if self.rerank and self.top_k > MOST_RERANKED:
            raise ValueError(f"top_k is at most {MOST_RERANKED} with rerank")
        return self


class Hit(BaseModel):
    chunk_id: UUID
    document_id: UUID
    document_name: str
    start: Annotated[int, Field(description="First character of the chunk in the document's text.")]
    end: Annotated[int, Field(description="One past its last character.")]
    page: Annotated[
        int | None, Field(description="PDF files and images only: the page that the chunk starts on, from 1.")
    ]
    text: str
    score: Annotated[
        float,
        Field(
            description="What the results are ordered by, unless `mmr` or `group_by` order them: `rerank_score`, or "
            "the mode's: `dense_score`, `lexical_score`, or for hybrid 2/(60 + dense_rank) + 1/(60 + lexical_rank). "
            "Comparable within one response only."
        ),
    ]
    dense_score: Annotated[float | None, Field(description="Cosine to the query; null = not among the nearest.")]
    dense_rank: Annotated[int | None, Field(description="Place among the 100 nearest, from 1.")]
    lexical_score: Annotated[
        float | None, Field(description="Sum of idf · ts_rank over its words; null = no word matched.")
    ]
    lexical_rank: Annotated[int | None, Field(description="Place among the 100 with the best words, from 1.")]
    rerank_score: Annotated[float | None, Field(description="Of the chunk's best sentence; null without `rerank`.")]
    mmr_score: Annotated[
        float | None,
        Field(
            description="lambda · score / best score - (1 - lambda) · largest cosine to a chunk chosen before; null "
            "without `mmr`."
        ),
    ]


class Group(BaseModel):
    """The chunks of one document."""

    document_id: UUID
    document_name: str
    score: Annotated[float, Field(description="Of its best chunk.")]
    chunk_ids: Annotated[list[UUID], Field(description="In `results`, in their order there.")]


class SearchResponse(BaseModel):
    results: Annotated[list[Hit], Field(description="Best first; document by document with `group_by`.")]
    groups: Annotated[list[Group] | None, Field(description="Null without `group_by`.")]
    mode: Mode
    embedding_model: Annotated[str | None, Field(description="Null for lexical search without `rerank`.")]


class Said(BaseModel):
    """One turn of the conversation before the question."""

    role: Literal["user", "assistant"]
    content: Annotated[str, Field(max_length=4_000, pattern=NO_NUL)]


class AnswerRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"question": "When does the licence terminate?"},
                {
                    "question": "And what does it cost?",
                    "history": [
                        {"role": "user", "content": "How long is a yearly ticket good for?"},
                        {"role": "assistant", "content": "A yearly ticket is good for twelve months."},
                    ],
                },
            ]
        }
    )

    question: Query
    max_sentences: Annotated[int, Field(ge=1, le=10)] = 3
    history: Annotated[
        list[Said],
        Field(
            max_length=20,
            description="What was said before, oldest first. A question that leaves something out is searched for with "
            "words of it: see `query` and `carried` of the answer.",
        ),
    ] = []
    filter: FilterOrNone = None
    model: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=200,
            pattern=NO_NUL,
            description="A chat model that writes the answer from what is found; null = sentences of the documents. "
            "It is asked for your key, and billed as a request of its own. Statements that no passage supports are "
            "left out.",
        ),
    ] = None


class Citation(BaseModel):
    """A sentence of the answer: exactly the characters `start` to `end` of the document's text."""

    sentence: str
    document_id: UUID
    document_name: str
    chunk_id: UUID
    page: int | None
    start: int
    end: int
    score: Annotated[
        float,
        Field(
            description="0.75 cosine + 0.25 share of words, 0 to 1: to the question, or to the statement that it "
            "supports where a model wrote the answer."
        ),
    ]


class Statement(BaseModel):
    """A sentence that a model wrote, and what supports it."""

    text: str
    citation: Annotated[int | None, Field(description="Place in `citations`, from 0; null = nothing supports it.")]


Reason = Literal["collection_empty", "no_relevant_passage", "not_in_the_passages", "not_supported"]


class AnswerResponse(BaseModel):
    found: bool
    answer: Annotated[
        str | None, Field(description="The cited sentences; null when nothing in the collection answers.")
    ]
    citations: Annotated[
        list[Citation], Field(description="In the order of the answer; best first where no model wrote it.")
    ]
    reason: Annotated[
        Reason | None,
        Field(description="Why there is no answer."),
    ] = None
    best_score: Annotated[float | None, Field(description="Of the best sentence, cited or not.")]
    threshold: Annotated[float, Field(description="What a sentence has to reach.")]
    query: Annotated[
        str,
        Field(
            description="What was searched for: the question, with what it leaves out behind it in brackets. By a "
            "fixed rule, for English: a question leaves something out when it has a word that points back (it, they, "
            "that), begins as one that goes on (and, what about, why), or has fewer than two words of meaning."
        ),
    ]
    carried: Annotated[
        list[str],
        Field(
            description="What was carried over from `history`, eight at most: words of meaning of the last question, "
            "then names and numbers of the answer to it."
        ),
    ]
    embedding_model: str
    model: Annotated[str | None, Field(description="Which wrote the answer; null = sentences of the documents.")] = None
    statements: Annotated[
        list[Statement] | None,
        Field(description="All that the model wrote, also what is not in `answer`; null without `model`."),
    ] = None
