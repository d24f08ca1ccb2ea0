"""The two legs of search, and the chunks that they find."""

from __future__ import annotations

from collections.abc import Collection as Ids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Double,
    Select,
    Text,
    Uuid,
    any_,
    cast,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY

from omni.foundation.db.sessions import ReadSession
from omni.inference.retrieval.candidates import READ_CHUNKS, Word, any_of, most_telling
from omni.inference.retrieval.filtering import Filter
from omni.inference.retrieval.languages import text_search_of
from omni.inference.retrieval.repository.filters import matching_chunks, matching_documents
from omni.inference.retrieval.schemas import Collection
from omni.inference.retrieval.tables import document_chunks, documents

if TYPE_CHECKING:
    import numpy as np

EXACT_CHUNKS = 5_000  # up to here every vector is compared: as fast as the index, and nothing is missed
EF_SEARCH = (100, 400)  # fewest and most candidates that the HNSW index keeps (Malkov and Yashunin 2018)
EF_SEARCH_GROWTH = 0.4  # by the root of the chunks: recall@10 stays above 0.95 (bench/retrieval_scale.py)
EXACT_FILTERED_CHUNKS = 10_000  # the same where a filter leaves so many
MAX_SCAN_TUPLES = 40_000  # where an iterative scan through other tenants' and collections' vectors ends
RANKED_WORDS = 16  # most words of a query that chunks are ranked by, rarest first
RANKED_CHUNKS = 800  # most chunks that are ranked by their words at a time

_PREPARE_INDEX = text("""
    select set_config('hnsw.ef_search', :ef_search, true), set_config('hnsw.iterative_scan', 'relaxed_order', true),
           set_config('hnsw.max_scan_tuples', :max_scan_tuples, true), set_config('enable_sort', 'off', true)
""").bindparams(max_scan_tuples=str(MAX_SCAN_TUPLES))
"""Without sorting only the vector index gives the order, also right after an ingest, when the planner's statistics
are old.
"""
_AS_IT_IS: ColumnClause[int] = literal_column("0")
"""An offset that keeps a sub-select by itself, so that no index of vectors or words is used; its rows are read as they
come, whereas those of a materialized one would go through a file.
"""
_LEAVE_INDEX = text("select set_config('enable_sort', 'on', true)")
_WORDS = text("""
    select query.word, coalesce(counted.chunk_count, 0) as chunks
    from unnest(tsvector_to_array(to_tsvector(cast(:configuration as text)::regconfig, :query))) as query(word)
    left join collection_words as counted
      on counted.word = query.word and counted.tenant_id = :tenant_id and counted.collection_id = :collection_id
    order by chunks, query.word
""")


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk with its place and its document's name."""

    chunk_id: UUID
    document_id: UUID
    document_name: str
    start: int
    end: int
    page: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a collection that is searched: all of it, or the documents that pass a filter."""

    collection_id: UUID
    text_search: str
    collection_chunks: int
    chunk_count: int
    where: Filter | None = None
    document_ids: Sequence[UUID] = ()
    """Those that pass the filter, where it leaves few chunks."""

    @property
    def is_small(self) -> bool:
        """Whether every vector is compared. A filter's few are spread over the index, which would have to be walked
        through far."""
        return self.chunk_count <= (EXACT_CHUNKS if self.where is None else EXACT_FILTERED_CHUNKS)

    @property
    def ef_search(self) -> int:
        """The more vectors, the more candidates it takes to meet the nearest ones."""
        fewest, most = EF_SEARCH
        return min(most, max(fewest, round(EF_SEARCH_GROWTH * sqrt(self.collection_chunks))))


async def scope_of(session: ReadSession, collection: Collection, where: Filter | None) -> Scope:
    """What there is to search in."""
    if where is None:
        return Scope(collection.id, text_search_of(collection.language), collection.chunk_count, collection.chunk_count)
    chunk_count, document_ids = await matching_chunks(session, collection.id, where, EXACT_FILTERED_CHUNKS)
    language = text_search_of(collection.language)
    return Scope(collection.id, language, collection.chunk_count, chunk_count, where, document_ids)


async def nearest(session: ReadSession, scope: Scope, query: np.ndarray, limit: int) -> list[tuple[UUID, float]]:
    """Chunk ids with their cosine to `query` (float32 [384], length 1), nearest first."""
    chunks = document_chunks.c
    distance = chunks.embedding.cosine_distance(query).label("distance")
    mine = [chunks.tenant_id == session.tenant_id, chunks.collection_id == scope.collection_id]
    if scope.is_small:
        if scope.where is not None:
            mine.append(_of_few(scope))
        part = select(chunks.id, chunks.embedding).where(*mine).offset(_AS_IT_IS).subquery("part")
        distance = part.c.embedding.cosine_distance(query).label("distance")
        rows = await session.all(select(part.c.id, distance).order_by(distance).limit(limit))
    else:
        if scope.where is not None:
            # IS TRUE keeps the planner from making a join of it, which would give the index's order up.
            passes = chunks.document_id.in_(matching_documents(session, scope.collection_id, scope.where))
            mine.append(passes.is_(true()))
        await session.execute(_PREPARE_INDEX, {"ef_search": str(scope.ef_search)})
        rows = await session.all(select(chunks.id, distance).where(*mine).order_by(distance).limit(limit))
        await session.execute(_LEAVE_INDEX)
    return sorted(((row["id"], 1.0 - float(row["distance"])) for row in rows), key=lambda found: -found[1])


async def matching(session: ReadSession, scope: Scope, query: str, limit: int) -> list[tuple[UUID, float]]:
    """Chunk ids with their score for the words of `query`, best first: the sum of idf · ts_rank over its words.

    idf is that of BM25, ln(1 + (N - n + 0.5) / (n + 0.5)) for a word that n of a collection's N chunks have; ts_rank of
    one word grows with how often a chunk has it, and soon little more, as BM25's term frequency does. Chunks are about
    as long as one another, so lengths are not counted.

    Only the chunks whose words tell the most are ranked, RANKED_CHUNKS at a time, by the RANKED_WORDS rarest words: a
    word that is everywhere tells little and would cost a look at every chunk. Where they are too few, more are looked
    for; under a filter all that have any of the words.
    """
    parameters = {
        "tenant_id": session.tenant_id,
        "collection_id": scope.collection_id,
        "configuration": scope.text_search,
        "query": query,
    }
    words = [Word(row["word"], row["chunks"]) for row in await session.all(_WORDS, parameters) if row["chunks"]]
    if not words:
        return []
    total = max(scope.collection_chunks, words[-1].chunk_count)
    readable = total * len(words) if scope.where is not None and scope.is_small else READ_CHUNKS
    narrow, wide = most_telling(words, total, scope.chunk_count, RANKED_CHUNKS, readable)
    if scope.where is not None:
        wide = any_of(words)
    weights = {word.query: word.idf(total) for word in words[:RANKED_WORDS]}
    found: dict[UUID, float] = {}
    for some in dict.fromkeys((narrow, wide)):
        rows = await session.all(_ranked(session, scope, weights, some, limit))
        found.update((row["id"], float(row["score"])) for row in rows)
        if len(found) >= limit:
            break
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]


def _ranked(
    session: ReadSession, scope: Scope, weights: Mapping[str, float], some: str, limit: int
) -> Select[tuple[UUID, float]]:
    """Chunks that match `some`, ranked by the words of `weights`: all are tsqueries in text form."""
    chunks = document_chunks.c
    mine = [chunks.tenant_id == session.tenant_id, chunks.collection_id == scope.collection_id]
    searched: Any = document_chunks
    if scope.where is not None and scope.is_small:
        # Its chunks are few, those with the words may be many: they are not looked for in the index of words.
        searched = select(chunks.id, chunks.words).where(*mine, _of_few(scope)).offset(_AS_IT_IS).subquery("part")
        mine = []
    elif scope.where is not None:
        mine.append(chunks.document_id.in_(matching_documents(session, scope.collection_id, scope.where)))
    has_some = searched.c.words.op("@@", is_comparison=True)(cast(literal(some), TSQUERY))
    matching = select(searched.c.id, searched.c.words).where(*mine, has_some)
    part = matching.limit(RANKED_CHUNKS).subquery("matching")
    given = func.unnest(literal(list(weights), ARRAY(Text)), literal(list(weights.values()), ARRAY(Double)))
    given_words = given.table_valued("word", "idf").render_derived("given")
    weighed = select(cast(given_words.c.word, TSQUERY).label("word"), given_words.c.idf).cte("weighed")
    weighed = weighed.prefix_with("materialized")
    ranks = select(func.sum(weighed.c.idf * func.ts_rank(part.c.words, weighed.c.word))).scalar_subquery()
    score = ranks.label("score")
    return select(part.c.id, score).order_by(score.desc(), part.c.id).limit(limit)


def _of_few(scope: Scope) -> ColumnElement[bool]:
    return document_chunks.c.document_id == any_(literal(list(scope.document_ids), ARRAY(Uuid)))


async def existing(session: ReadSession, collection_id: UUID, chunk_ids: Ids[UUID]) -> set[UUID]:
    """Those of the ids that are chunks of the collection."""
    chunks = document_chunks.c
    found = await session.execute(
        select(chunks.id).where(
            chunks.tenant_id == session.tenant_id, chunks.collection_id == collection_id, chunks.id.in_(chunk_ids)
        )
    )
    return set(found.scalars())


async def vectors(session: ReadSession, chunk_ids: Sequence[UUID]) -> dict[UUID, np.ndarray]:
    """The vectors of the chunks of those ids, float32 [384] of length 1 but for rounding to 16 bits."""
    import numpy as np  # noqa: PLC0415 heavy, and only this needs more than its types

    chunks = document_chunks.c
    rows = await session.all(
        select(chunks.id, chunks.embedding).where(chunks.tenant_id == session.tenant_id, chunks.id.in_(chunk_ids))
    )
    return {row["id"]: np.asarray(row["embedding"], np.float32) for row in rows}


async def load(session: ReadSession, chunk_ids: Sequence[UUID]) -> dict[UUID, Found]:
    """The chunks of those ids."""
    chunks = document_chunks.c
    statement = (
        select(
            chunks.id,
            chunks.document_id,
            documents.c.name,
            chunks.start_offset,
            chunks.end_offset,
            chunks.page,
            chunks.text,
        )
        .join(documents, (documents.c.tenant_id == chunks.tenant_id) & (documents.c.id == chunks.document_id))
        .where(chunks.tenant_id == session.tenant_id, chunks.id.in_(chunk_ids))
    )
    return {
        row["id"]: Found(
            chunk_id=row["id"],
            document_id=row["document_id"],
            document_name=row["name"],
            start=row["start_offset"],
            end=row["end_offset"],
            page=row["page"],
            text=row["text"],
        )
        for row in await session.all(statement)
    }
