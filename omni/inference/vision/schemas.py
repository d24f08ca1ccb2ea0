"""Requests and responses of the vision endpoints."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MAX_BASE64_CHARS = 20 * 1024 * 1024
ONE_PIXEL_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


class OcrRequest(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"image_base64": ONE_PIXEL_PNG}]})

    image_base64: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_BASE64_CHARS,
            description="PNG, JPEG, WebP, TIFF or PDF file in base64; at most 20 pages of 40 million pixels.",
        ),
    ]


class OcrLine(BaseModel):
    text: str
    confidence: Annotated[float, Field(ge=0, le=1, description="The recogniser's own probability.")]
    polygon: Annotated[
        list[tuple[float, float]],
        Field(description="Four corners (x, y) in pixels from the page's upper left, clockwise from the text's own."),
    ]


class OcrPage(BaseModel):
    page: Annotated[int, Field(description="From 1.")]
    width: Annotated[int, Field(description="Pixels of the page as it was read, turned upright by its EXIF tag.")]
    height: int
    lines: Annotated[list[OcrLine], Field(description="In reading order; those under confidence 0.5 are left out.")]
    text: Annotated[str, Field(description="The lines, one below the other.")]


class OcrResponse(BaseModel):
    pages: list[OcrPage]
    text: Annotated[str, Field(description="The pages' text, an empty line between pages.")]
    model: Annotated[str, Field(examples=["rapidocr-3.10.0/PP-OCRv6-small"])]
