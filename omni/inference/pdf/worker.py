"""The process that reads one PDF: `python -m omni.inference.pdf.worker '{"task": …}' < file`.

Limits its own memory and CPU first. Writes one JSON line, then, when it rendered, the pages as PNG files one after
the other. The line is `{"cpu_nanos": …, "pages": […]}`, for text with `"scanned"`, the indexes of pages that show
something and have no text, or `{"cpu_nanos": …, "refused": reason}`; reasons are those of PdfRefusal.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

RENDER_DPI = 200
POINTS_PER_INCH = 72
RENDER_SIDE = 2_400  # pixels of the longer side: what the recogniser would scale down to anyway, and some
# pdfium marks a hyphen at a line's end like this; the others cannot be stored as text.
_UNWANTED = dict.fromkeys(map(ord, "\x00\x02\ufffe\uffff"))


class Refused(Exception):
    """The file will not be read; the argument is the reason."""


def main() -> None:
    """Read the request from the arguments and the file from standard input."""
    request = json.loads(sys.argv[1])
    memory, cpu = request["memory_bytes"], request["cpu_seconds"]
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    data = sys.stdin.buffer.read()
    out = sys.stdout.buffer
    try:
        if request["task"] == "text":
            texts, scanned = _text(data, request["max_pages"], request["max_text_bytes"])
            answer: dict[str, object] = {"pages": texts, "scanned": scanned}
            images: list[bytes] = []
        else:
            images = _render(data, request["max_pages"], request["only"])
            answer = {"pages": [len(image) for image in images]}
    except Refused as refusal:
        answer, images = {"refused": str(refusal)}, []
    except MemoryError:
        answer, images = {"refused": "too_complex"}, []
    _write(out, answer, images)


def _write(out: BinaryIO, answer: dict[str, object], images: list[bytes]) -> None:
    answer["cpu_nanos"] = time.process_time_ns()
    out.write(json.dumps(answer).encode("ascii") + b"\n")
    for image in images:
        out.write(image)
    out.flush()


def _open(data: bytes, max_pages: int) -> PdfDocument:
    import pypdfium2  # noqa: PLC0415 after the limits are set, so that they hold for the library too

    try:
        document = pypdfium2.PdfDocument(data)
        pages = len(document)
    except pypdfium2.PdfiumError as error:
        raise Refused("encrypted" if "password" in str(error).lower() else "broken") from None
    if pages == 0:
        raise Refused("broken")
    if pages > max_pages:
        raise Refused("too_many_pages")
    return document


def _text(data: bytes, max_pages: int, max_text_bytes: int) -> tuple[list[str], list[int]]:
    """The text of each page, and the indexes of pages that show something and have none."""
    document = _open(data, max_pages)
    pages, scanned, size = [], [], 0
    for index in range(len(document)):
        try:
            page = document[index]
            text = page.get_textpage().get_text_range()
            if not text.strip() and next(iter(page.get_objects(max_depth=1)), None) is not None:
                scanned.append(index)
        except (RuntimeError, ValueError):  # PdfiumError is a RuntimeError
            raise Refused("broken") from None
        text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_UNWANTED)
        text = text.encode("utf-8", "replace").decode("utf-8")
        size += len(text.encode("utf-8"))
        if size > max_text_bytes:
            raise Refused("too_much_text")
        pages.append(text)
        page.close()
    return pages, scanned


def _render(data: bytes, max_pages: int, only: list[int] | None) -> list[bytes]:
    """Each page, or `only` those of these indexes, as a PNG file."""
    document = _open(data, max_pages)
    images = []
    for index in range(len(document)) if only is None else only:
        try:
            page = document[index]
            longer = max(page.get_width(), page.get_height(), 1)
            scale = min(RENDER_DPI / POINTS_PER_INCH, RENDER_SIDE / longer)
            image = page.render(scale=scale, draw_annots=True).to_pil().convert("RGB")
        except (RuntimeError, ValueError):
            raise Refused("broken") from None
        file = io.BytesIO()
        image.save(file, "PNG", compress_level=1)
        images.append(file.getvalue())
        page.close()
    return images


if __name__ == "__main__":
    main()
