"""Route of classification."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.language.classification.schemas import ClassifyRequest, ClassifyResponse
from omni.inference.language.classification.service import ClassificationService
from omni.inference.runtime.call import Call


def router(service: ClassificationService, caller: CallerDependency) -> APIRouter:
    """`/v1/text/classify`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Language"])

    @routes.post("/v1/text/classify", summary="Classify texts")
    async def classify_texts(body: ClassifyRequest, call: Call = Depends(caller)) -> ClassifyResponse:
        """Labels for texts, by the labels' meaning alone (zero-shot) or learnt from examples in the request (few-shot).

        Zero-shot compares each text with a sentence about each label; what it is unsure of it gets wrong more often
        than a model that was trained for the task. With enough examples the answer says how well they predict one
        another (cross-validated accuracy). Nothing is stored. The model reads English best.
        """
        return await service.classify(call, body)

    return routes
