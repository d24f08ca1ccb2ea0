"""Route of language identification."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.language.identification.schemas import LanguageRequest, LanguageResponse
from omni.inference.language.identification.service import IdentificationService
from omni.inference.runtime.call import Call


def router(service: IdentificationService, caller: CallerDependency) -> APIRouter:
    """`/v1/text/language`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Language"])

    @routes.post("/v1/text/language", summary="Identify languages")
    async def identify_languages(body: LanguageRequest, call: Call = Depends(caller)) -> LanguageResponse:
        """Which of 75 languages each text is in, with confidences.

        Good from about 120 letters up. For shorter texts name the `languages` that are possible: related ones (Slovene,
        Croatian, Slovak) are mixed up otherwise.
        """
        return await service.identify(call, body)

    return routes
