"""Reads PDF files through the worker process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omni.inference.runtime.call import Call, deadline_exceeded
from omni.inference.runtime.pool import EnginePool
from omni.inference.settings import InferenceSettings
from omni.kit.errors import InvalidInput, OmniError, TooLarge

PDF_MAGIC = b"%PDF-"
MAGIC_WITHIN = 1_024  # bytes: what Acrobat accepts before the header


def is_pdf(data: bytes) -> bool:
    """Whether the bytes begin as a PDF file does."""
    return PDF_MAGIC in data[:MAGIC_WITHIN]


@dataclass(frozen=True, slots=True)
class PdfText:
    """The text of each page, and the indexes of pages that show something and have no text: scans, as a rule."""

    pages: list[str]
    scanned: list[int]


class PdfReader:
    """Text and images of PDF files, each read in its own process.

    All methods raise InvalidInput `broken_document` or `document_encrypted`, TooLarge `too_many_pages`,
    `document_text_too_large` or `document_too_complex`, and what EnginePool.run raises.
    """

    def __init__(self, settings: InferenceSettings, pool: EnginePool) -> None:
        self._settings = settings
        self._pool = pool

    async def text(self, call: Call, data: bytes) -> PdfText:
        """The text that the file has, page by page."""
        limits = {"max_pages": self._settings.pdf_pages, "max_text_bytes": self._settings.document_text_bytes}
        answer, _ = await self._read(call, data, {"task": "text", **limits})
        return PdfText(answer["pages"], answer["scanned"])

    async def render(self, call: Call, data: bytes, only: Sequence[int] | None = None) -> list[bytes]:
        """Each page, or `only` those of these indexes, as a PNG file, at 200 dots per inch or as many as give 2,400
        pixels on the longer side.

        Raises TooLarge `too_many_scanned_pages` for more indexes than are read by OCR.
        """
        most = self._settings.ocr_pages
        if only is not None and len(only) > most:
            raise TooLarge(
                "too_many_scanned_pages",
                f"{len(only)} pages of the PDF have no text; OCR reads {most} of one file. Split it.",
                max_pages=most,
            )
        max_pages = most if only is None else self._settings.pdf_pages
        task = {"task": "render", "max_pages": max_pages, "only": None if only is None else list(only)}
        answer, images = await self._read(call, data, task)
        pages, start = [], 0
        for size in answer["pages"]:
            pages.append(images[start : start + size])
            start += size
        return pages

    async def _read(self, call: Call, data: bytes, task: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        request = {
            **task,
            "memory_bytes": self._settings.pdf_memory_bytes,
            "cpu_seconds": self._settings.pdf_cpu_seconds,
        }
        output = await self._pool.run(call, "pdf", lambda: _run_worker(json.dumps(request), data, call.seconds_left()))
        line, _, images = output.partition(b"\n")
        answer: dict[str, Any] = json.loads(line) if line else {"refused": "too_complex", "cpu_nanos": 0}
        call.usage.compute_nanos += answer["cpu_nanos"]
        if "refused" in answer:
            raise _refusal(answer["refused"], task["max_pages"], self._settings)
        return answer, images


def _run_worker(request: str, data: bytes, seconds: float) -> bytes:
    """What the worker wrote; nothing when it died. It gets no environment but the path of its modules."""
    command = [sys.executable, "-m", "omni.inference.pdf.worker", request]
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=seconds, env=environment, check=False)
    except subprocess.TimeoutExpired:
        raise deadline_exceeded() from None
    return done.stdout if done.returncode == 0 else b""


def _refusal(reason: str, max_pages: int, settings: InferenceSettings) -> OmniError:
    match reason:
        case "encrypted":
            return InvalidInput("document_encrypted", "The PDF is protected by a password. Send it without.")
        case "too_many_pages":
            return TooLarge(
                "too_many_pages", f"The PDF has more than {max_pages} pages. Split it.", max_pages=max_pages
            )
        case "too_much_text":
            limit = settings.document_text_bytes
            return TooLarge(
                "document_text_too_large", f"The PDF holds more than {limit} bytes of text. Split it.", max_bytes=limit
            )
        case "too_complex":
            return TooLarge(
                "document_too_complex", "Reading the PDF takes too much memory or time. Simplify or split it."
            )
        case _:
            return InvalidInput("broken_document", "The PDF cannot be read. Check that it opens in a viewer.")
