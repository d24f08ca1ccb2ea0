"""Routes of spelling and readability."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.language.writing.schemas import (
    ReadabilityRequest,
    ReadabilityResponse,
    SpellingRequest,
    SpellingResponse,
)
from omni.inference.language.writing.service import WritingService
from omni.inference.runtime.call import Call


def router(service: WritingService, caller: CallerDependency) -> APIRouter:
    """`/v1/text/spelling` and `/v1/text/readability`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Language"])

    @routes.post("/v1/text/spelling", summary="Check spelling")
    async def check_spelling(body: SpellingRequest, call: Call = Depends(caller)) -> SpellingResponse:
        """Words that the language's dictionary does not know, with their place and what may have been meant.

        Addresses, paths, code, mark-up, numbers, abbreviations in capitals and, unless you say otherwise, names are
        left out. It looks at single words: a wrong word that exists is not seen.
        """
        return await service.spelling(call, body)

    @routes.post("/v1/text/readability", summary="Measure readability")
    async def measure_readability(body: ReadabilityRequest, call: Call = Depends(caller)) -> ReadabilityResponse:
        """Flesch, Flesch-Kincaid, Gunning Fog, SMOG, Coleman-Liau, ARI and LIX of an English text, with the counts that
        they are made of.
        """
        return await service.readability(call, body)

    return routes
