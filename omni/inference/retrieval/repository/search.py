"""The two legs of search, and the chunks that they find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select, text

from omni.foundation.db.sessions import ReadSession
from omni.inference.retrieval.schemas import Collection
from omni.inference.retrieval.tables import TEXT_SEARCH, document_chunks, documents

if TYPE_CHECKING:
    import numpy as np

EXACT_CHUNKS = 5_000  # up to here every vector is compared: as fast as the index, and nothing is missed
EF_SEARCH = 100  # candidates that the HNSW index keeps (Malkov and Yashunin 2018); recall 0.98 on 50,000 chunks
MAX_SCAN_TUPLES = 40_000  # where an iterative scan through other tenants' and collections' vectors ends
RANKED_CHUNKS = 800  # most chunks that are ranked by their words

_PREPARE_INDEX = text("""
    select set_config('hnsw.ef_search', :ef_search, true), set_config('hnsw.iterative_scan', 'relaxed_order', true),
           set_config('hnsw.max_scan_tuples', :max_scan_tuples, true), set_config('enable_sort', 'off', true)
""").bindparams(ef_search=str(EF_SEARCH), max_scan_tuples=str(MAX_SCAN_TUPLES))
"""Without sorting only the vector index gives the order, also right after an ingest, when the planner's statistics
are old.
"""
_LEAVE_INDEX = text("select set_config('enable_sort', 'on', true)")
_WORDS = text("""
    select query.word, coalesce(counted.chunk_count, 0) as chunks
    from unnest(tsvector_to_array(to_tsvector(cast(:configuration as text)::regconfig, :query))) as query(word)
    left join collection_words as counted
      on counted.word = query.word and counted.tenant_id = :tenant_id and counted.collection_id = :collection_id
    order by chunks, query.word
""").bindparams(configuration=TEXT_SEARCH)
_RANK = text("""
    select id, ts_rank_cd(words, cast(:every as tsquery)) as score
    from (
        select id, words from document_chunks
        where tenant_id = :tenant_id and collection_id = :collection_id and words @@ cast(:some as tsquery)
        limit :ranked
    ) as matching
    order by score desc, id limit :limit
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


async def nearest(
    session: ReadSession, collection: Collection, query: np.ndarray, limit: int
) -> list[tuple[UUID, float]]:
    """Chunk ids with their cosine to `query` (float32 [384], length 1), nearest first."""
    chunks = document_chunks.c
    mine = (chunks.tenant_id == session.tenant_id, chunks.collection_id == collection.id)
    if collection.chunk_count <= EXACT_CHUNKS:
        part = (
            select(chunks.id, chunks.embedding)
            .where(*mine)
            .cte("part")
            .prefix_with("materialized", dialect="postgresql")
        )
        distance = part.c.embedding.cosine_distance(query).label("distance")
        statement = select(part.c.id, distance).order_by(distance).limit(limit)
    else:
        await session.execute(_PREPARE_INDEX)
        distance = chunks.embedding.cosine_distance(query).label("distance")
        statement = select(chunks.id, distance).where(*mine).order_by(distance).limit(limit)
    rows = await session.all(statement)
    if collection.chunk_count > EXACT_CHUNKS:
        await session.execute(_LEAVE_INDEX)
    return sorted(((row["id"], 1.0 - float(row["distance"])) for row in rows), key=lambda found: -found[1])


async def matching(session: ReadSession, collection: Collection, query: str, limit: int) -> list[tuple[UUID, float]]:
    """Chunk ids with their ts_rank_cd for all words of `query`, best first.

    Only chunks with a rare word are ranked, RANKED_CHUNKS at most: a word that is everywhere tells little and would
    cost a look at every chunk.
    """
    scope = {"tenant_id": session.tenant_id, "collection_id": collection.id}
    rows = [row for row in await session.all(_WORDS, {**scope, "query": query}) if row["chunks"]]
    if not rows:
        return []
    words = [row["word"] for row in rows]
    parameters = {
        **scope,
        "every": _any_of(words),
        "some": _selection(words, [row["chunks"] for row in rows]),
        "ranked": RANKED_CHUNKS,
        "limit": limit,
    }
    return [(row["id"], float(row["score"])) for row in await session.all(_RANK, parameters)]


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


def _selection(words: Sequence[str], chunk_counts: Sequence[int]) -> str:
    """The tsquery for the chunks to rank; `words` come rarest first with the number of chunks that each is in.

    Any of the rare words, as many as fit RANKED_CHUNKS together; when even the rarest does not, it and any other.
    """
    if chunk_counts[0] > RANKED_CHUNKS:
        rarest = _any_of(words[:1])
        return f"{rarest} & ({_any_of(words[1:])})" if len(words) > 1 else rarest
    totals = accumulate(chunk_counts)
    return _any_of([word for word, total in zip(words, totals, strict=True) if total <= RANKED_CHUNKS])


def _any_of(words: Sequence[str]) -> str:
    """A tsquery in its text form that matches any of the words; quoted as tsqueryin expects."""
    return " | ".join("'" + word.replace("\\", "\\\\").replace("'", "''") + "'" for word in words)
