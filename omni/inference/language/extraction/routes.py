"""Routes of keywords and summaries."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.language.extraction.schemas import (
    KeywordsRequest,
    KeywordsResponse,
    SummarizeRequest,
    SummarizeResponse,
)
from omni.inference.language.extraction.service import ExtractionService
from omni.inference.runtime.call import Call


def router(service: ExtractionService, caller: CallerDependency) -> APIRouter:
    """`/v1/text/keywords` and `/v1/text/summarize`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Language"])

    @routes.post("/v1/text/keywords", summary="Find keywords")
    async def find_keywords(body: KeywordsRequest, call: Call = Depends(caller)) -> KeywordsResponse:
        """Phrases of the text that say most about it, as KeyBERT finds them, with every place where they occur.

        Function words are English; for other languages send `stop_words`.
        """
        return await service.keywords(call, body)

    @routes.post("/v1/text/summarize", summary="Summarise a text")
    async def summarize_text(body: SummarizeRequest, call: Call = Depends(caller)) -> SummarizeResponse:
        """The most central sentences of the text, word for word, in its order. Nothing is written anew.

        A sentence that repeats a chosen one is left out, so there may be fewer than were asked for.
        """
        return await service.summarize(call, body)

    return routes
