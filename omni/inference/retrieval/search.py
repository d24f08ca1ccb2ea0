"""Search in a collection: two legs, fused; then, as asked for, reranked, cut off, made diverse and grouped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from omni.foundation.db.sessions import Database
from omni.inference.language.embedder import Embedder
from omni.inference.language.sentences import sentences
from omni.inference.retrieval.errors import collection_not_found
from omni.inference.retrieval.filtering import Filter
from omni.inference.retrieval.question_schemas import Group, Hit, Mode
from omni.inference.retrieval.ranking import DENSE_WEIGHT, FUSION_K, LEXICAL_WEIGHT, by_document, diversify, fuse
from omni.inference.retrieval.relevance import Relevance
from omni.inference.retrieval.repository import collections, search
from omni.inference.retrieval.repository.search import Found
from omni.inference.retrieval.schemas import Collection
from omni.inference.runtime.call import Call

if TYPE_CHECKING:
    import numpy as np

LEG_CANDIDATES = 100
RERANK_CANDIDATES = 20
MMR_CANDIDATES = 50


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for, and how its chunks are chosen and ordered."""

    query: str
    top_k: int
    mode: Mode
    where: Filter | None = None
    rerank: bool = False
    min_score: float | None = None
    mmr_balance: float | None = None
    """1 = relevance alone, 0 = difference alone; None = no maximal marginal relevance."""
    chunks_per_document: int | None = None
    """`top_k` counts documents when it is set."""

    @property
    def candidates(self) -> int:
        """How many of the fused chunks are looked at."""
        if self.rerank:
            return RERANK_CANDIDATES
        if self.chunks_per_document is not None or self.min_score is not None:
            return 2 * LEG_CANDIDATES
        return self.top_k if self.mmr_balance is None else max(self.top_k, MMR_CANDIDATES)


@dataclass(frozen=True, slots=True)
class Legs:
    """Chunk ids with the score that each leg gave them, best first."""

    dense: Sequence[tuple[UUID, float]]
    lexical: Sequence[tuple[UUID, float]]

    def scores(self, mode: Mode) -> dict[UUID, float]:
        """What a mode orders by, best first; equal ones by their id."""
        match mode:
            case "dense":
                scores = dict(self.dense)
            case "lexical":
                scores = dict(self.lexical)
            case "hybrid":
                legs = ((DENSE_WEIGHT, self.dense), (LEXICAL_WEIGHT, self.lexical))
                scores = fuse(((weight, (chunk_id for chunk_id, _ in leg)) for weight, leg in legs), FUSION_K)
        return dict(sorted(scores.items(), key=lambda pair: (-pair[1], pair[0])))


@dataclass(frozen=True, slots=True)
class Result:
    """What a search found."""

    collection: Collection
    hits: list[Hit]
    groups: list[Group] | None


class Search:
    """Finds chunks."""

    def __init__(self, database: Database, embedder: Embedder) -> None:
        self._database = database
        self._embedder = embedder
        self._relevance = Relevance(embedder)

    async def find(self, call: Call, collection_id: UUID, wanted: Wanted) -> Result:
        """The collection and its best chunks for the query.

        Raises NotFound `collection_not_found`, InvalidInput `input_too_long` and what the engines raise.
        """
        async with (
            self._embedding(call, wanted) as embedding,
            self._database.snapshot(call.principal.tenant_id) as session,
        ):
            collection = await collections.find(session, collection_id)
            if collection is None:
                raise collection_not_found()
            scope = await search.scope_of(session, collection, wanted.where)
            lexical = (
                await search.matching(session, scope, wanted.query, LEG_CANDIDATES) if wanted.mode != "dense" else []
            )
            dense = [] if embedding is None else await search.nearest(session, scope, await embedding, LEG_CANDIDATES)
            legs = Legs(dense, lexical)
            scores = dict(list(legs.scores(wanted.mode).items())[: wanted.candidates])
            found = await search.load(session, list(scores))
            vectors = {} if wanted.mmr_balance is None else await search.vectors(session, list(scores))
        reranked = await self._reranked(call, wanted.query, found, scores) if wanted.rerank else {}
        scores = dict(sorted(reranked.items(), key=lambda pair: -pair[1])) if wanted.rerank else scores
        if wanted.min_score is not None:
            scores = {chunk_id: score for chunk_id, score in scores.items() if score >= wanted.min_score}
        marginal: dict[UUID, float] = {}
        if wanted.mmr_balance is not None:
            most = wanted.top_k if wanted.chunks_per_document is None else len(scores)
            marginal = dict(diversify(scores, vectors, wanted.mmr_balance, most))
        order = list(marginal or scores)
        groups = None
        if wanted.chunks_per_document is not None:
            grouped = by_document(
                [(found[chunk_id].document_id, chunk_id) for chunk_id in order],
                wanted.top_k,
                wanted.chunks_per_document,
            )
            groups = [_group(found, scores, chunk_ids) for chunk_ids in grouped.values()]
            order = [chunk_id for chunk_ids in grouped.values() for chunk_id in chunk_ids]
        else:
            order = order[: wanted.top_k]
        explained = _Explained(legs, scores, reranked, marginal)
        return Result(collection, [explained.hit(found[chunk_id]) for chunk_id in order], groups)

    @asynccontextmanager
    async def _embedding(self, call: Call, wanted: Wanted) -> AsyncIterator[asyncio.Task[np.ndarray] | None]:
        """The query's vector to be; None where the mode needs none.

        The words are looked up meanwhile, unless it has to wait for an engine: no connection is held for that.
        """
        if wanted.mode == "lexical":
            yield None
            return
        task = asyncio.create_task(self._embed(call, wanted.query))
        try:
            if not self._embedder.is_idle:
                await task
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _embed(self, call: Call, query: str) -> np.ndarray:
        vector, tokens = await self._embedder.embed_text(call, query)
        call.usage.input_tokens += tokens
        call.usage.model = self._embedder.model.name
        return vector

    async def _reranked(
        self, call: Call, query: str, found: Mapping[UUID, Found], scores: Mapping[UUID, float]
    ) -> dict[UUID, float]:
        """The score of each chunk's best sentence."""
        parts = [
            (chunk_id, text)
            for chunk_id in scores
            for sentence in sentences(found[chunk_id].text)
            if (text := found[chunk_id].text[sentence.start : sentence.end])
        ]
        best = dict.fromkeys(scores, 0.0)
        call.usage.model = self._embedder.model.name
        relevance = await self._relevance.of(call, query, [text for _, text in parts])
        for (chunk_id, _), score in zip(parts, relevance, strict=True):
            best[chunk_id] = max(best[chunk_id], score or 0.0)
        return best


class _Explained:
    """Says of each chunk why it is where it is."""

    def __init__(
        self,
        legs: Legs,
        scores: Mapping[UUID, float],
        reranked: Mapping[UUID, float],
        marginal: Mapping[UUID, float],
    ) -> None:
        self._dense, self._lexical = dict(legs.dense), dict(legs.lexical)
        self._dense_ranks = {chunk_id: rank for rank, (chunk_id, _) in enumerate(legs.dense, 1)}
        self._lexical_ranks = {chunk_id: rank for rank, (chunk_id, _) in enumerate(legs.lexical, 1)}
        self._scores, self._reranked, self._marginal = scores, reranked, marginal

    def hit(self, found: Found) -> Hit:
        chunk_id = found.chunk_id
        return Hit(
            chunk_id=chunk_id,
            document_id=found.document_id,
            document_name=found.document_name,
            start=found.start,
            end=found.end,
            page=found.page,
            text=found.text,
            score=self._scores[chunk_id],
            dense_score=self._dense.get(chunk_id),
            dense_rank=self._dense_ranks.get(chunk_id),
            lexical_score=self._lexical.get(chunk_id),
            lexical_rank=self._lexical_ranks.get(chunk_id),
            rerank_score=self._reranked.get(chunk_id),
            mmr_score=self._marginal.get(chunk_id),
        )


def _group(found: Mapping[UUID, Found], scores: Mapping[UUID, float], chunk_ids: Sequence[UUID]) -> Group:
    first = found[chunk_ids[0]]
    return Group(
        document_id=first.document_id,
        document_name=first.document_name,
        score=max(scores[chunk_id] for chunk_id in chunk_ids),
        chunk_ids=list(chunk_ids),
    )
