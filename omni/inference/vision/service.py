"""What the vision endpoints do."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from omni.inference.pdf.reader import PdfReader, is_pdf
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.inference.settings import InferenceSettings
from omni.inference.vision.images import decode, image_format
from omni.inference.vision.schemas import OcrPage, OcrResponse
from omni.kit.errors import InvalidInput, UnsupportedType

if TYPE_CHECKING:
    from PIL import Image

    from omni.inference.vision.recogniser import Recogniser

ACCEPTED = "a PNG, JPEG, WebP, TIFF or PDF file"


class VisionService:
    """Optical character recognition."""

    def __init__(self, settings: InferenceSettings, pool: EnginePool, pdfs: PdfReader, cores: int) -> None:
        self._settings = settings
        self._pool = pool
        self._pdfs = pdfs
        threads = max(1, cores // pool.threads)
        self._recogniser: LazyEngine[Recogniser] = LazyEngine(
            "omni.inference.vision.recogniser", lambda module: module.Recogniser(threads)
        )

    async def read_base64(self, call: Call, text: str) -> OcrResponse:
        """`read` for a file in base64. Raises InvalidInput `invalid_base64` too."""
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidInput("invalid_base64", "`image_base64` is not base64.", param="image_base64") from None
        return await self.read(call, data)

    async def read(self, call: Call, data: bytes) -> OcrResponse:
        """The text of an image or PDF file, page by page.

        Raises UnsupportedType `unsupported_media_type` by the file's first bytes, and what decode, PdfReader.render and
        Recogniser.read raise.
        """
        file_format = image_format(data)
        if file_format is not None:
            pages = await self._pool.run(call, "ocr", lambda: self._read_image(call, data, file_format))
        elif is_pdf(data):
            found = await self._read_rendered(call, await self._pdfs.render(call, data))
            pages = [page.model_copy(update={"page": number}) for number, page in enumerate(found, 1)]
        else:
            raise UnsupportedType("unsupported_media_type", f"The file is not {ACCEPTED}. Send one.", accepted=ACCEPTED)
        model = await self._pool.run(call, "ocr", lambda: self._recogniser.get().name)
        call.usage.pages += len(pages)
        call.usage.model = model
        return OcrResponse(pages=pages, text="\n\n".join(page.text for page in pages), model=model)

    async def read_pages(self, call: Call, data: bytes, indexes: Sequence[int]) -> list[str]:
        """The text of these pages of a PDF file, by OCR. Counts no pages: whoever read the file did. Raises what
        PdfReader.render and Recogniser.read raise.
        """
        images = await self._pdfs.render(call, data, indexes)
        return [page.text for page in await self._read_rendered(call, images)]

    async def _read_rendered(self, call: Call, images: list[bytes]) -> list[OcrPage]:
        works = [partial(self._read_image, call, image, "PNG") for image in images]
        return [page for (page,) in await self._pool.map(call, "ocr", works)]

    def _read_image(self, call: Call, data: bytes, file_format: str) -> list[OcrPage]:
        pages: list[OcrPage] = []
        for image in decode(data, file_format, self._settings.ocr_pixels, self._settings.ocr_pages):
            call.seconds_left()
            pages.append(self._read_page(image, len(pages) + 1))
        return pages

    def _read_page(self, image: Image.Image, number: int) -> OcrPage:
        lines = self._recogniser.get().read(image)
        text = "\n".join(line.text for line in lines)
        return OcrPage(page=number, width=image.width, height=image.height, lines=lines, text=text)
