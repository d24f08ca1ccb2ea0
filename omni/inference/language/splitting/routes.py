"""Routes of tokens and chunks."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.language.splitting.schemas import ChunkRequest, ChunkResponse, TokensRequest, TokensResponse
from omni.inference.language.splitting.service import SplittingService
from omni.inference.runtime.call import Call


def router(service: SplittingService, caller: CallerDependency) -> APIRouter:
    """`/v1/text/tokens` and `/v1/text/chunk`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Language"])

    @routes.post("/v1/text/tokens", summary="Count tokens")
    async def count_tokens(body: TokensRequest, call: Call = Depends(caller)) -> TokensResponse:
        """How many tokens texts have in OpenAI's vocabularies or in the embedding model's, and which."""
        return await service.tokens(call, body)

    @routes.post("/v1/text/chunk", summary="Cut a text into chunks")
    async def chunk_text(body: ChunkRequest, call: Call = Depends(caller)) -> ChunkResponse:
        """The text in pieces for retrieval or for a model's window, each with its exact place.

        Every character that is not white space is in at least one chunk, and no chunk has more than `max_tokens`.
        """
        return await service.chunk(call, body)

    return routes
