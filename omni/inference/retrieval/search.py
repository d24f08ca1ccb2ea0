"""Search in a collection: two legs, fused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from omni.foundation.db.sessions import Database
from omni.inference.language.embedder import Embedder
from omni.inference.retrieval.errors import collection_not_found
from omni.inference.retrieval.filtering import Filter
from omni.inference.retrieval.repository import collections, search
from omni.inference.retrieval.schemas import Collection, Hit, Mode
from omni.inference.runtime.call import Call

FUSION_K = 60
LEG_CANDIDATES = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for."""

    query: str
    top_k: int
    mode: Mode
    where: Filter | None = None


class Search:
    """Finds chunks."""

    def __init__(self, database: Database, embedder: Embedder) -> None:
        self._database = database
        self._embedder = embedder

    async def find(self, call: Call, collection_id: UUID, wanted: Wanted) -> tuple[Collection, list[Hit]]:
        """The collection and its best chunks for the query.

        Raises NotFound `collection_not_found`, InvalidInput `input_too_long` and what the engines raise.
        """
        vector = None
        if wanted.mode != "lexical":
            vector, tokens = await self._embedder.embed_text(call, wanted.query)
            call.usage.input_tokens += tokens
            call.usage.model = self._embedder.model.name
        async with self._database.snapshot(call.principal.tenant_id) as session:
            collection = await collections.find(session, collection_id)
            if collection is None:
                raise collection_not_found()
            scope = await search.scope_of(session, collection, wanted.where)
            dense, lexical = [], []
            if vector is not None:
                dense = await search.nearest(session, scope, vector, LEG_CANDIDATES)
            if wanted.mode != "dense":
                lexical = await search.matching(session, scope, wanted.query, LEG_CANDIDATES)
            scores = _scores(wanted.mode, dense, lexical)
            best = sorted(scores, key=lambda chunk_id: (-scores[chunk_id], chunk_id))[: wanted.top_k]
            found = await search.load(session, best)
        cosines, ranks = dict(dense), dict(lexical)
        return collection, [
            Hit(
                chunk_id=chunk_id,
                document_id=found[chunk_id].document_id,
                document_name=found[chunk_id].document_name,
                start=found[chunk_id].start,
                end=found[chunk_id].end,
                page=found[chunk_id].page,
                text=found[chunk_id].text,
                score=scores[chunk_id],
                dense_score=cosines.get(chunk_id),
                lexical_score=ranks.get(chunk_id),
            )
            for chunk_id in best
        ]


def _scores(
    mode: Mode, dense: Sequence[tuple[UUID, float]], lexical: Sequence[tuple[UUID, float]]
) -> dict[UUID, float]:
    match mode:
        case "dense":
            return dict(dense)
        case "lexical":
            return dict(lexical)
        case "hybrid":
            return fuse(((chunk_id for chunk_id, _ in leg) for leg in (dense, lexical)), FUSION_K)


def fuse(rankings: Iterable[Iterable[UUID]], k: int) -> dict[UUID, float]:
    """Reciprocal-rank fusion (Cormack, Clarke and Büttcher 2009): the sum of 1 / (k + rank) over the rankings, rank
    from 1.
    """
    scores: dict[UUID, float] = {}
    for ranking in rankings:
        for rank, chunk_id in enumerate(ranking, 1):
            scores[chunk_id] = scores.get(chunk_id, 0.0) + 1 / (k + rank)
    return scores
