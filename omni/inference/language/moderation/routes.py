"""Routes of moderation."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.language.moderation.schemas import (
    ModerateRequest,
    ModerateResponse,
    ModerationsRequest,
    ModerationsResponse,
)
from omni.inference.language.moderation.service import ModerationService
from omni.inference.runtime.call import Call


def router(service: ModerationService, caller: CallerDependency) -> APIRouter:
    """`/v1/text/moderate` and `/v1/moderations`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Language"])

    @routes.post("/v1/text/moderate", summary="Moderate texts")
    async def moderate_texts(body: ModerateRequest, call: Call = Depends(caller)) -> ModerateResponse:
        """Harassment, hate, sexual content, violence, self-harm and profanity in English texts, each with reasons.

        A lexicon and patterns, which see through digits, signs, spaces and look-alike letters, and heed negation,
        quotation and reports; and weights over the meaning of each sentence. It is far smaller than a language model
        that was trained for moderation: it misses what is only hinted at and flags some of what is harmless, so let a
        person decide where much depends on it. Long texts are judged sentence by sentence. Nothing is stored.
        """
        return await service.moderate(call, body)

    @routes.post("/v1/moderations", summary="Moderation")
    async def create_moderation(body: ModerationsRequest, call: Call = Depends(caller)) -> ModerationsResponse:
        """Moderation in OpenAI's shape. The platform's own model is `text-moderation-rules-1`, the engine of
        `POST /v1/text/moderate`; it does not tell subcategories apart and reads no pictures. Models of providers
        take what OpenAI's route takes.
        """
        return await service.moderations(call, body)

    return routes
