"""Requests and responses of rerank, search and similarity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_DOCUMENTS = 1_000
MAX_DOCUMENT_CHARS = 20_000
MAX_QUERY_CHARS = 4_000
MAX_PAIRS = 512
MAX_SIDE = 256
MAX_COMPARED_CHARS = 8_192

Query = Annotated[str, Field(min_length=1, max_length=MAX_QUERY_CHARS, description="At most 4,000 characters.")]
DocumentText = Annotated[str, Field(min_length=1, max_length=MAX_DOCUMENT_CHARS)]
ComparedText = Annotated[str, Field(min_length=1, max_length=MAX_COMPARED_CHARS)]
TopN = Annotated[int | None, Field(ge=1, le=MAX_DOCUMENTS, description="Most results; absent = all.")]
Score = Annotated[float, Field(ge=0, le=1)]


class Document(BaseModel):
    """A document as an object, for clients that send it so."""

    text: DocumentText


class RerankRequest(BaseModel):
    """As Cohere and Jina read it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "query": "How long do I have to return goods?",
                    "documents": ["Goods may come back within 30 days.", "We are open on Sundays."],
                    "top_n": 1,
                    "return_documents": True,
                }
            ]
        }
    )

    query: Query
    documents: Annotated[
        list[DocumentText | Document],
        Field(
            min_length=1,
            max_length=MAX_DOCUMENTS,
            description="1 to 1,000 documents of at most 20,000 characters, as strings or as `{text}`. All with the "
            "query at most 131,072 tokens.",
        ),
    ]
    top_n: TopN = None
    return_documents: Annotated[bool, Field(description="Whether results repeat their document.")] = False
    model: Annotated[
        str | None, Field(max_length=200, description="Accepted for clients that send it; there is one model.")
    ] = None


class RerankResult(BaseModel):
    index: Annotated[int, Field(description="Place of the document in the request, from 0.")]
    relevance_score: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="0.7 cosine (of the closest window of a long document, negative = 0) + 0.3 share of "
            "the query's BM25 weight that the document has. It orders; it is no probability.",
        ),
    ]
    document: Annotated[Document | None, Field(description="With `return_documents`.")] = None


class RerankUsage(BaseModel):
    total_tokens: Annotated[int, Field(description="Tokens that were embedded, with the two that frame each text.")]


class RerankResponse(BaseModel):
    results: Annotated[list[RerankResult], Field(description="Highest score first; equal scores in the order sent.")]
    model: Annotated[str, Field(examples=["all-MiniLM-L6-v2+bm25"])]
    usage: RerankUsage


class TextSearchRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "E-4031", "texts": ["E-4031: the token has expired.", "Invoices are due in 30 days."]}
            ]
        }
    )

    query: Query
    texts: Annotated[
        list[DocumentText],
        Field(min_length=1, max_length=MAX_DOCUMENTS, description="1 to 1,000 texts of at most 20,000 characters."),
    ]
    mode: Annotated[
        Literal["hybrid", "semantic", "lexical"],
        Field(description="By meaning and words, by meaning alone, or by words alone (BM25, nothing is embedded)."),
    ] = "hybrid"
    top_k: Annotated[int, Field(ge=1, le=MAX_DOCUMENTS, description="Most hits.")] = 10
    min_score: Annotated[Score, Field(description="Hits below it are left out.")] = 0.0


class TextHit(BaseModel):
    index: Annotated[int, Field(description="Place of the text in the request, from 0.")]
    score: Annotated[Score, Field(description="What the mode orders by: as `relevance_score` of rerank, or one leg.")]
    cosine: Annotated[
        float | None, Field(ge=-1, le=1, description="Of the closest window; absent in the mode `lexical`.")
    ]
    words: Annotated[
        float | None, Field(ge=0, le=1, description="Share of the query's BM25 weight; absent in the mode `semantic`.")
    ]


class TextSearchResponse(BaseModel):
    hits: Annotated[
        list[TextHit], Field(description="Best first. `lexical` leaves out texts without a word of the query.")
    ]
    model: str


Method = Literal["semantic", "jaccard", "edit"]


class SimilarityRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"pairs": [["A man is eating.", "Somebody has lunch."]]},
                {"left": ["kitten"], "right": ["sitting", "mitten"], "method": "edit"},
            ]
        }
    )

    pairs: Annotated[
        list[Annotated[list[ComparedText], Field(min_length=2, max_length=2)]] | None,
        Field(
            min_length=1,
            max_length=MAX_PAIRS,
            description="1 to 512 pairs of texts of at most 8,192 characters; or send `left` and `right`.",
        ),
    ] = None
    left: Annotated[
        list[ComparedText] | None,
        Field(min_length=1, max_length=MAX_SIDE, description="1 to 256 texts: the rows of the matrix."),
    ] = None
    right: Annotated[
        list[ComparedText] | None,
        Field(
            min_length=1,
            max_length=MAX_SIDE,
            description="1 to 256 texts: the columns. Absent with `left`: each text against each.",
        ),
    ] = None
    method: Annotated[
        Method,
        Field(
            description="`semantic`: cosine of the vectors (-1 to 1). `jaccard`: shared words over all words of both "
            "(0 to 1; two texts without words count 1 when equal, else 0). `edit`: 1 - Levenshtein distance / length "
            "of the longer, in characters (0 to 1; the texts' lengths multiplied and summed may be at most 2^31)."
        ),
    ] = "semantic"


class SimilarityResponse(BaseModel):
    scores: Annotated[list[float] | None, Field(description="One a pair.")] = None
    matrix: Annotated[list[list[float]] | None, Field(description="A row for each of `left`.")] = None
    method: Method
    model: Annotated[str, Field(description="`all-MiniLM-L6-v2`, or `lexical`.")]
