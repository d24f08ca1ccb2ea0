"""Text of the files that a collection takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from omni.inference.pdf.reader import PdfReader, is_pdf
from omni.inference.retrieval.html_text import html_text
from omni.inference.runtime.call import Call
from omni.inference.runtime.pool import EnginePool
from omni.kit.errors import InvalidInput, TooLarge, UnsupportedType

PDF, HTML, MARKDOWN, PLAIN = "application/pdf", "text/html", "text/markdown", "text/plain"
ACCEPTED = "a txt, md, html or pdf file"
_TYPES = {PDF: PDF, HTML: HTML, MARKDOWN: MARKDOWN, "text/x-markdown": MARKDOWN, PLAIN: PLAIN}
_SUFFIXES = {".pdf": PDF, ".html": HTML, ".htm": HTML, ".md": MARKDOWN, ".markdown": MARKDOWN, ".txt": PLAIN}
_UNSURE = frozenset({"", "application/octet-stream", PLAIN})  # what senders say who do not know: the name decides
PAGE_BREAK = "\n\n"


@dataclass(frozen=True, slots=True)
class Extracted:
    """Text of a document; `page_starts` has the offset of each page of a PDF."""

    content_type: str
    text: str
    page_starts: list[int] | None = None


class Extractor:
    """Turns files into text."""

    def __init__(self, pdfs: PdfReader, pool: EnginePool, max_text_bytes: int) -> None:
        self._pdfs = pdfs
        self._pool = pool
        self._max_text_bytes = max_text_bytes

    async def extract(self, call: Call, name: str, declared_type: str, data: bytes) -> Extracted:
        """The text of a file whose content is what its type says.

        Raises UnsupportedType `unsupported_media_type` or `content_type_mismatch`, InvalidInput `document_not_utf8` or
        `document_has_no_text`, TooLarge `document_text_too_large`, and what PdfReader.text raises.
        """
        content_type = content_type_of(name, declared_type)
        if (content_type == PDF) != is_pdf(data):
            raise UnsupportedType(
                "content_type_mismatch",
                f"The file is not {content_type}. Send its true content type.",
                accepted=ACCEPTED,
            )
        if content_type == PDF:
            extracted = _joined(await self._pdfs.text(call, data))
        else:
            extracted = await self._pool.run(call, "text", lambda: self._from_text(content_type, data))
        if not extracted.text.strip():
            raise InvalidInput(
                "document_has_no_text", "The document holds no text. For scanned pages use POST /v1/vision/ocr first."
            )
        return extracted

    def _from_text(self, content_type: str, data: bytes) -> Extracted:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidInput(
                "document_not_utf8", f"Byte {error.start} of the file is not UTF-8. Convert the file."
            ) from None
        if "\x00" in text:
            raise InvalidInput("document_not_utf8", "The file holds NUL bytes: it is not text.")
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


def _joined(pages: list[str]) -> Extracted:
    starts, offset = [], 0
    for page in pages:
        starts.append(offset)
        offset += len(page) + len(PAGE_BREAK)
    return Extracted(PDF, PAGE_BREAK.join(pages), starts)
