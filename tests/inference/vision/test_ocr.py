"""POST /v1/vision/ocr."""

from __future__ import annotations

import base64
import socket
from typing import Any

import httpx2
import pytest
from PIL import Image

from omni.inference.vision.recogniser import Recogniser
from tests.inference.backend import Backend, refusal, usage
from tests.inference.files import image_file, pdf_bomb, pdf_file, png_header, text_image

LINES = ["INVOICE No. 2024-0117", "Total due: 1,234.50 EUR"]


async def send(engines: Backend, data: bytes) -> httpx2.Response:
    return await engines.send("POST", "/v1/vision/ocr", files={"file": ("file", data)})


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF", "PDF"])
async def test_lines_are_read_from_each_format(engines: Backend, file_format: str) -> None:
    response = await send(engines, image_file(text_image(LINES), file_format))
    found = response.json()
    assert found["text"].splitlines() == LINES
    (page,) = found["pages"]
    for line in page["lines"]:
        assert line["confidence"] > 0.9
        assert all(0 <= x <= page["width"] and 0 <= y <= page["height"] for x, y in line["polygon"])
    assert usage(response)["pages"] == 1
    assert usage(response)["compute_ms"] >= 1
    assert "PP-OCR" in response.headers["omni-model"]


async def test_json_carries_a_file_too(engines: Backend) -> None:
    data = image_file(text_image(LINES), "PNG")
    response = await engines.post("/v1/vision/ocr", {"image_base64": base64.b64encode(data).decode()})
    assert response.json()["text"].splitlines() == LINES


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("the engine opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert [line.text for line in Recogniser(1).read(text_image(LINES))] == LINES


@pytest.mark.parametrize("file_format", ["TIFF", "PDF"])
async def test_each_page_counts(engines: Backend, file_format: str) -> None:
    pages = [text_image([f"{number} of two pages"], (600, 120)) for number in ("First", "Second")]
    data = image_file(pages[0], file_format, save_all=True, append_images=pages[1:])
    response = await send(engines, data)
    found = response.json()
    assert [(page["page"], page["text"]) for page in found["pages"]] == [
        (1, "First of two pages"),
        (2, "Second of two pages"),
    ]
    assert found["text"] == "First of two pages\n\nSecond of two pages"
    assert usage(response)["pages"] == 2


async def test_transparency_is_read_as_white_paper(engines: Backend) -> None:
    image = text_image(LINES[:1]).convert("RGBA")
    image.putalpha(image.convert("L").point(lambda value: 255 if value < 128 else 0))
    assert (await send(engines, image_file(image, "PNG"))).json()["text"] == LINES[0]


@pytest.mark.parametrize("size", [(1, 1), (5, 3000), (3000, 5), (400, 400)])
async def test_images_without_text_have_no_lines(engines: Backend, size: tuple[int, int]) -> None:
    found = (await send(engines, image_file(Image.new("RGB", size, "white"), "PNG"))).json()
    assert (found["text"], found["pages"][0]["lines"]) == ("", [])
    assert (found["pages"][0]["width"], found["pages"][0]["height"]) == size


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", (415, "unsupported_media_type")),
        (b"GIF89a" + bytes(50), (415, "unsupported_media_type")),
        (png_header(7_000, 7_000), (413, "image_too_large")),
        (png_header(60_000, 60_000), (413, "image_too_large")),
        (png_header(100, 100), (400, "broken_image")),
        (image_file(text_image(LINES), "PNG")[:2_000], (400, "broken_image")),
        (image_file(text_image(LINES), "JPEG")[:300], (400, "broken_image")),
        (b"II*\x00" + bytes(40), (400, "broken_image")),
        (b"RIFF\x00\x00\x00\x00WEBP" + bytes(40), (400, "broken_image")),
        (b"%PDF-1.7 and nothing else", (400, "broken_document")),
        (pdf_file([["secret"]], password="key"), (400, "document_encrypted")),
        (pdf_file([["page"]] * 21), (413, "too_many_pages")),
    ],
    ids=lambda value: str(value[:12] if isinstance(value, bytes) else value[1]),
)
async def test_hostile_files_are_refused(engines: Backend, data: bytes, expected: tuple[int, str]) -> None:
    assert refusal(await send(engines, data)) == expected


async def test_a_pdf_bomb_is_refused_and_the_backend_lives(engines: Backend) -> None:
    assert refusal(await send(engines, pdf_bomb(600))) == (413, "document_too_complex")
    assert (await engines.send("GET", "/v1/models")).status_code == 200


@pytest.mark.parametrize(
    ("content_type", "content", "expected"),
    [
        ("text/plain", b"hello", (415, "unsupported_media_type")),
        ("multipart/form-data", b"--x", (400, "bad_request")),
        ("multipart/form-data; boundary=x", b"--x--", (400, "file_missing")),
        ("application/json", b"{", (400, "invalid_json")),
        ("application/json", b'{"image_base64": "%%%"}', (400, "invalid_base64")),
        ("application/json", b"{}", (400, "invalid_request")),
    ],
)
async def test_bad_requests_are_refused(
    engines: Backend, content_type: str, content: bytes, expected: tuple[int, str]
) -> None:
    response = await engines.send("POST", "/v1/vision/ocr", content=content, headers={"content-type": content_type})
    assert refusal(response) == expected
