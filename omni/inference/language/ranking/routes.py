"""Routes of rerank, search and similarity."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.language.ranking.schemas import (
    RerankRequest,
    RerankResponse,
    SimilarityRequest,
    SimilarityResponse,
    TextSearchRequest,
    TextSearchResponse,
)
from omni.inference.language.ranking.service import RankingService
from omni.inference.runtime.call import Call


def router(service: RankingService, caller: CallerDependency) -> APIRouter:
    """`/v1/rerank`, `/v1/text/search` and `/v1/text/similarity`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Language"])

    @routes.post("/v1/rerank", summary="Order documents by relevance")
    async def rerank(body: RerankRequest, call: Call = Depends(caller)) -> RerankResponse:
        """The documents of the request by their relevance to the query, in the shape that Cohere and Jina use.

        The model is a bi-encoder with BM25, not a cross-encoder: sentence vectors see meaning, BM25 sees numbers, codes
        and names. The vectors are made for English. A document that is longer than the model reads counts by its
        closest window.
        """
        return await service.rerank(call, body)

    @routes.post("/v1/text/search", summary="Search in texts")
    async def search_texts(body: TextSearchRequest, call: Call = Depends(caller)) -> TextSearchResponse:
        """Search in the texts of the request by meaning, by words, or by both; nothing is stored."""
        return await service.search(call, body)

    @routes.post("/v1/text/similarity", summary="Compare texts")
    async def compare_texts(body: SimilarityRequest, call: Call = Depends(caller)) -> SimilarityResponse:
        """How alike texts are, in pairs or each of one list with each of another: by meaning, by words or by edits."""
        return await service.similarity(call, body)

    return routes
