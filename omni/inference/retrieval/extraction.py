"""Text of the files that a collection takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from omni.inference.pdf.reader import PdfReader, is_pdf
from omni.inference.retrieval.csv_text import csv_text
from omni.inference.retrieval.html_text import html_text
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.kit.errors import InvalidInput, TooLarge, UnsupportedType

PDF, HTML, MARKDOWN, PLAIN, CSV = "application/pdf", "text/html", "text/markdown", "text/plain", "text/csv"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
IMAGES = frozenset({"image/png", "image/jpeg", "image/webp", "image/tiff"})
ACCEPTED = "a txt, md, html, csv, pdf or docx file, or a png, jpeg, webp or tiff image"
_TYPES = {kind: kind for kind in (PDF, HTML, MARKDOWN, PLAIN, CSV, DOCX, *IMAGES)} | {"text/x-markdown": MARKDOWN}
_SUFFIXES = {
    ".pdf": PDF, ".html": HTML, ".htm": HTML, ".md": MARKDOWN, ".markdown": MARKDOWN, ".txt": PLAIN, ".csv": CSV,
    ".docx": DOCX, ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
    ".tif": "image/tiff", ".tiff": "image/tiff",
}  # fmt: skip
# What senders say who do not know, and what browsers beside Excel say of CSV files: the name decides.
_UNSURE = frozenset({"", "application/octet-stream", PLAIN, "application/vnd.ms-excel"})
_ZIP_MAGIC = b"PK\x03\x04"
PAGE_BREAK = "\n\n"

ReadImage = Callable[[Call, bytes], Awaitable[list[str]]]
"""The text of each page of an image file, by OCR; it counts the pages."""
ReadPages = Callable[[Call, bytes, Sequence[int]], Awaitable[list[str]]]
"""The text of the pages of a PDF file with these indexes, by OCR; it counts none."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """Text of a document."""

    content_type: str
    text: str
    page_starts: list[int] | None = None
    """Offset of each page of a PDF or image."""
    rows: list[tuple[int, int]] | None = None
    """Start and end of each row of a table."""
    ocr_pages: int = 0
    """How many pages were read by OCR."""


class Extractor:
    """Turns files into text."""

    def __init__(
        self, pdfs: PdfReader, read_image: ReadImage, read_pages: ReadPages, pool: EnginePool, max_text_bytes: int
    ) -> None:
        self._pdfs = pdfs
        self._read_image = read_image
        self._read_pages = read_pages
        self._pool = pool
        self._max_text_bytes = max_text_bytes
        self._docx: LazyEngine[Callable[[bytes, int, Callable[[], float]], str]] = LazyEngine(
            "omni.inference.retrieval.docx_text", lambda module: module.docx_text
        )

    async def extract(self, call: Call, name: str, declared_type: str, data: bytes) -> Extracted:
        """The text of a file whose content is what its type says. Pages of PDFs and images are metered,
        once each. Pages of PDFs that show something and have no text are read by OCR.

        Raises UnsupportedType `unsupported_media_type` or `content_type_mismatch`, InvalidInput `document_not_utf8` or
        `document_has_no_text`, TooLarge `document_text_too_large`, and what PdfReader, docx_text, csv_text and the
        readers of images and pages raise.
        """
        content_type = content_type_of(name, declared_type)
        if (content_type == PDF) != is_pdf(data) or (content_type == DOCX) != data.startswith(_ZIP_MAGIC):
            raise UnsupportedType(
                "content_type_mismatch",
                f"The file is not {content_type}. Send its true content type.",
                accepted=ACCEPTED,
            )
        if content_type == PDF:
            extracted = await self._from_pdf(call, data)
        elif content_type in IMAGES:
            pages = await self._read_image(call, data)
            extracted = _joined(content_type, pages, len(pages))
        elif content_type == DOCX:
            extracted = await self._pool.run(call, "text", lambda: self._from_docx(call, data))
        else:
            extracted = await self._pool.run(call, "text", lambda: self._from_text(call, content_type, data))
        if not extracted.text.strip():
            raise InvalidInput(
                "document_has_no_text",
                "The document holds no text, and in its images none was found. Send another file.",
            )
        return extracted

    async def _from_pdf(self, call: Call, data: bytes) -> Extracted:
        found = await self._pdfs.text(call, data)
        pages = list(found.pages)
        if found.scanned:
            texts = await self._read_pages(call, data, found.scanned)
            for index, text in zip(found.scanned, texts, strict=True):
                pages[index] = text
        call.usage.pages += len(pages)
        return _joined(PDF, pages, len(found.scanned))

    def _from_docx(self, call: Call, data: bytes) -> Extracted:
        return Extracted(DOCX, self._docx.get()(data, self._max_text_bytes, call.seconds_left))

    def _from_text(self, call: Call, content_type: str, data: bytes) -> Extracted:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidInput(
                "document_not_utf8", f"Byte {error.start} of the file is not UTF-8. Convert the file."
            ) from None
        if "\x00" in text:
            raise InvalidInput("document_not_utf8", "The file holds NUL bytes: it is not text.")
        if content_type == CSV:
            return Extracted(CSV, *_table(text, self._max_text_bytes, call))
        text = html_text(text) if content_type == HTML else text.replace("\r\n", "\n").replace("\r", "\n")
        if len(text.encode("utf-8")) > self._max_text_bytes:
            limit = self._max_text_bytes
            raise TooLarge(
                "document_text_too_large",
                f"The document holds more than {limit} bytes of text. Split it.",
                max_bytes=limit,
            )
        return Extracted(content_type, text)


def content_type_of(name: str, declared_type: str) -> str:
    """What a file is by its declared type, or by its name where that says nothing. Raises UnsupportedType
    `unsupported_media_type`.
    """
    by_name = _SUFFIXES.get(PurePosixPath(name.lower()).suffix)
    content_type = (by_name if declared_type in _UNSURE and by_name else None) or _TYPES.get(declared_type)
    if content_type is None:
        raise UnsupportedType("unsupported_media_type", f"Send {ACCEPTED}.", accepted=ACCEPTED)
    return content_type


def _table(text: str, max_text_bytes: int, call: Call) -> tuple[str, None, list[tuple[int, int]]]:
    rendered, rows = csv_text(text, max_text_bytes, call.seconds_left)
    return rendered, None, rows


def _joined(content_type: str, pages: list[str], ocr_pages: int) -> Extracted:
    starts, offset = [], 0
    for page in pages:
        starts.append(offset)
        offset += len(page) + len(PAGE_BREAK)
    return Extracted(content_type, PAGE_BREAK.join(pages), starts, ocr_pages=ocr_pages)
