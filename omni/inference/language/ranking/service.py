"""What rerank, search and similarity do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from omni.inference.language.ranking import bm25
from omni.inference.language.ranking.lexical import edit_similarity, jaccard
from omni.inference.language.ranking.schemas import (
    Document,
    RerankRequest,
    RerankResponse,
    RerankResult,
    RerankUsage,
    SimilarityRequest,
    SimilarityResponse,
    TextHit,
    TextSearchRequest,
    TextSearchResponse,
)
from omni.inference.language.text_vectors import TextVectors, numbered
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.kit.errors import InvalidInput

if TYPE_CHECKING:
    from omni.inference.language.ranking.scoring import Scored, Scorer

BM25, LEXICAL = "bm25", "lexical"
MAX_EDIT_PRODUCTS = 2**31
"""Most characters times characters that one request may have compared by edits: about two seconds."""


class RankingService:
    """Rerank, search and similarity."""

    def __init__(self, vectors: TextVectors, pool: EnginePool) -> None:
        self._vectors = vectors
        self._pool = pool
        self._scorer: LazyEngine[Scorer] = LazyEngine(
            "omni.inference.language.ranking.scoring", lambda module: module.Scorer()
        )

    async def rerank(self, call: Call, request: RerankRequest) -> RerankResponse:
        """The documents by relevance to the query. Raises what TextVectors.windows raises."""
        texts = [document if isinstance(document, str) else document.text for document in request.documents]
        scored = await self._ordered(call, request.query, "documents", texts, "hybrid")
        return RerankResponse(
            results=[
                RerankResult(
                    index=item.index,
                    relevance_score=item.score,
                    document=Document(text=texts[item.index]) if request.return_documents else None,
                )
                for item in scored[: request.top_n]
            ],
            model=call.usage.model,
            usage=RerankUsage(total_tokens=call.usage.input_tokens),
        )

    async def search(self, call: Call, request: TextSearchRequest) -> TextSearchResponse:
        """The texts that answer the query, by meaning, words or both. Raises what TextVectors.windows raises."""
        scored = await self._ordered(call, request.query, "texts", request.texts, request.mode)
        hits = [
            TextHit(index=item.index, score=item.score, cosine=item.cosine, words=item.words)
            for item in scored[: request.top_k]
            if item.score >= request.min_score and (request.mode != "lexical" or item.score > 0)
        ]
        return TextSearchResponse(hits=hits, model=call.usage.model)

    async def similarity(self, call: Call, request: SimilarityRequest) -> SimilarityResponse:
        """Scores of pairs, or the matrix of two lists.

        Raises InvalidInput `pairs_or_lists` unless either is given, `too_much_to_compare`, and what
        TextVectors.windows raises.
        """
        if (request.pairs is None) == (request.left is None) or (request.left is None and request.right is not None):
            raise InvalidInput(
                "pairs_or_lists", "Send either `pairs`, or `left` with or without `right`.", param="pairs"
            )
        if request.method == "semantic":
            return await self._cosines(call, request)
        compare = jaccard if request.method == "jaccard" else edit_similarity
        if request.method == "edit":
            _check_products(request)

        def work() -> tuple[list[float], int]:
            scores = []
            for left, right in _pairs(request):
                call.seconds_left()
                scores.append(compare(left, right))
            return scores, len(request.right or request.left or ())

        scores, width = await self._pool.run(call, LEXICAL, work)
        call.usage.model = LEXICAL
        if request.pairs is not None:
            return SimilarityResponse(scores=scores, method=request.method, model=LEXICAL)
        rows = [scores[start : start + width] for start in range(0, len(scores), width)]
        return SimilarityResponse(matrix=rows, method=request.method, model=LEXICAL)

    async def _ordered(self, call: Call, query: str, field: str, texts: Sequence[str], mode: str) -> list[Scored]:
        windows = None
        if mode != "lexical":
            windows = await self._vectors.windows(call, [("query", query), *numbered(field, texts)])
        shares = None
        if mode != "semantic":
            shares = await self._pool.run(call, BM25, lambda: bm25.shares(query, texts, call.seconds_left))
        call.usage.model = "+".join(
            name for name, used in ((self._vectors.model.name, windows), (BM25, shares)) if used is not None
        )
        return await self._pool.run(call, "ranking", lambda: self._scorer.get().order(windows, shares))

    async def _cosines(self, call: Call, request: SimilarityRequest) -> SimilarityResponse:
        model = self._vectors.model.name
        if request.pairs is not None:
            texts = [
                (f"pairs[{index}][{side}]", text)
                for index, pair in enumerate(request.pairs)
                for side, text in enumerate(pair)
            ]
            windows = await self._vectors.windows(call, texts)
            scores = await self._pool.run(call, "ranking", lambda: self._scorer.get().pairs(windows))
            return SimilarityResponse(scores=scores, method="semantic", model=model)
        left = request.left or []
        windows = await self._vectors.windows(call, [*numbered("left", left), *numbered("right", request.right or ())])
        matrix = await self._pool.run(call, "ranking", lambda: self._scorer.get().matrix(windows, len(left)))
        return SimilarityResponse(matrix=matrix, method="semantic", model=model)


def _pairs(request: SimilarityRequest) -> Iterator[tuple[str, str]]:
    """What is compared, row by row."""
    if request.pairs is not None:
        yield from ((left, right) for left, right in request.pairs)
        return
    left = request.left or []
    yield from ((one, other) for one in left for other in request.right or left)


def _check_products(request: SimilarityRequest) -> None:
    products = sum(len(left) * len(right) for left, right in _pairs(request))
    if products > MAX_EDIT_PRODUCTS:
        raise InvalidInput(
            "too_much_to_compare",
            f"Characters times characters are {products} in all; one request may have {MAX_EDIT_PRODUCTS}. "
            "Send fewer or shorter texts.",
            param="pairs" if request.pairs is not None else "left",
        )
