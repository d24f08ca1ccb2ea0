"""Routes of the language endpoints."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.language.schemas import (
    EmbeddingsRequest,
    EmbeddingsResponse,
    Model,
    ModelList,
    SentimentRequest,
    SentimentResponse,
)
from omni.inference.language.service import LanguageService
from omni.inference.runtime.call import Call


def router(service: LanguageService, caller: CallerDependency) -> APIRouter:
    """`/v1/models`, `/v1/embeddings` and `/v1/text/sentiment`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Language"])

    @routes.get("/v1/models", summary="List the models")
    async def list_models(call: Call = Depends(caller)) -> ModelList:
        """The models that `POST /v1/embeddings` can ask for, in OpenAI's shape."""
        return service.models(call)

    @routes.get("/v1/models/{model}", summary="Look up a model")
    async def get_model(model: str, call: Call = Depends(caller)) -> Model:
        """One model. 404 `model_not_found` lists the names that there are."""
        return service.model(call, model)

    @routes.post("/v1/embeddings", summary="Embed texts")
    async def create_embeddings(body: EmbeddingsRequest, call: Call = Depends(caller)) -> EmbeddingsResponse:
        """Sentence vectors in OpenAI's shape. Vectors have length 1, so their dot product is their cosine.

        Input that is longer than the model reads (256 tokens) is refused with 400 `input_too_long`, never cut.
        """
        return await service.embed(call, body)

    @routes.post("/v1/text/sentiment", summary="Sentiment of English texts")
    async def score_sentiment(body: SentimentRequest, call: Call = Depends(caller)) -> SentimentResponse:
        """Whether each text is positive, neutral or negative, by VADER, which reads English only."""
        return await service.sentiment(call, body)

    return routes
