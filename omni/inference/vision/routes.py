"""Routes of the vision endpoints."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from omni.inference.caller import CallerDependency, MeteredRoute
from omni.inference.runtime.call import Call
from omni.inference.uploads import media_type, multipart_or_json, read_json, read_upload, unsupported
from omni.inference.vision.schemas import OcrRequest, OcrResponse
from omni.inference.vision.service import VisionService


def router(service: VisionService, caller: CallerDependency) -> APIRouter:
    """`/v1/vision/ocr`."""
    routes = APIRouter(route_class=MeteredRoute, tags=["Vision"])

    @routes.post("/v1/vision/ocr", summary="Read text in an image", openapi_extra=multipart_or_json(OcrRequest))
    async def read_text(request: Request, call: Call = Depends(caller)) -> OcrResponse:
        """Lines of text with confidence and place, from a PNG, JPEG, WebP, TIFF or PDF file of at most 20 MiB and 20
        pages.

        Send the file as multipart form (field `file`) or as base64 in JSON. Each page counts as one on the meter
        `pages`.
        """
        match media_type(request):
            case "multipart/form-data":
                return await service.read(call, (await read_upload(request)).data)
            case "application/json":
                return await service.read_base64(call, (await read_json(request, OcrRequest)).image_base64)
            case _:
                raise unsupported("multipart/form-data or application/json")

    return routes
