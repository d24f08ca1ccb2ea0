"""What cannot be served is refused at the public door with a code and what to do, and leaves nothing behind."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.acceptance.platform import Platform

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def client(platform: Platform) -> Iterator[httpx2.Client]:
    with platform.api() as made:
        yield made


@pytest.fixture(scope="module")
def collection(client: httpx2.Client) -> str:
    made: str = client.post("/v1/collections", json={"name": "bad input"}).json()["id"]
    return f"/v1/collections/{made}"


def image_bomb() -> bytes:
    """A PNG of 50,000 × 50,000 pixels in a few hundred bytes."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"\0" * 1000)) + part(b"IEND", b"")
    )


def pdf_bomb() -> bytes:
    """A PDF whose one page unpacks to hundreds of megabytes of text operators."""
    stream = zlib.compress(b"BT /F1 12 Tf (lots of text) Tj ET " * 8_000_000, 9)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d /Filter /FlateDecode >> stream\n%b\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % len(body)
    return body + b"xref\n0 6\n0000000000 65535 f \n" + table + trailer


def refused(response: httpx2.Response, status: int, code: str) -> None:
    body: dict[str, Any] = response.json()
    error = body.get("error", body)
    assert (response.status_code, error["code"]) == (status, code), response.text
    assert error.get("message", error.get("detail"))
    assert error["request_id"] == response.headers["x-request-id"]
    assert error["doc_url"].endswith(f"#{code}")


def test_doc_urls_lead_to_a_heading_on_both_doors(platform: Platform) -> None:
    for door, path in ((platform.gateway, "/v1/models"), (platform.console, "/api/tenants")):
        problem = httpx2.get(door + path, trust_env=False).json()
        url = problem.get("error", problem)["doc_url"]
        page = httpx2.get(door + url, trust_env=False)
        assert page.status_code == 200, url
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert f'id="{url.partition("#")[2]}"' in page.text


SERIES, OCR, JSON = "/v1/forecasts", "/v1/vision/ocr", {"content-type": "application/json"}
NAN = b'{"series": {"values": [1, 2, 3, 4, NaN, 6, 7, 8, 9], "frequency": "daily"}, "horizon": 3}'
EMPTY = {"series": {"values": [], "frequency": "daily"}, "horizon": 3}
HOLE = {"series": {"values": [1, 2, None, 4, 5, 6, 7, 8, 9]}}

CASES: dict[str, tuple[str, dict[str, Any], int, str]] = {
    "broken JSON": ("/v1/embeddings", {"content": b'{"model": ', "headers": JSON}, 400, "invalid_json"),
    "NaN": (SERIES, {"content": NAN, "headers": JSON}, 400, "value_not_usable"),
    "an empty series": (SERIES, {"json": EMPTY}, 400, "series_too_short"),
    "a hole in a series": ("/v1/anomalies/detect", {"json": HOLE}, 400, "invalid_request"),
    "no texts": ("/v1/text/sentiment", {"json": {"texts": []}}, 400, "invalid_request"),
    "a wrong content type": (
        OCR,
        {"content": b"hello", "headers": {"content-type": "text/plain"}},
        415,
        "unsupported_media_type",
    ),
    "a file that is no image": (OCR, {"files": {"file": ("a.png", b"GIF8 nonsense")}}, 415, "unsupported_media_type"),
    "an image bomb": (OCR, {"files": {"file": ("a.png", image_bomb(), "image/png")}}, 413, "image_too_large"),
    "an oversized body": ("/v1/text/sentiment", {"content": b"x" * (MIB + 1), "headers": JSON}, 413, "body_too_large"),
    "an unknown collection": (
        f"/v1/collections/{uuid4()}/search",
        {"json": {"query": "x"}},
        404,
        "collection_not_found",
    ),
    "an unknown route": ("/v1/nonsense", {"json": {}}, 404, "unknown_route"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_with_a_code(client: httpx2.Client, case: str) -> None:
    path, request, status, code = CASES[case]
    refused(client.post(path, **request), status, code)


@pytest.mark.parametrize(
    ("name", "data", "statuses"),
    [
        ("broken.pdf", b"%PDF-1.7 and then nothing", {400}),
        ("bomb.pdf", pdf_bomb(), {400, 413}),
        ("text.pdf", b"no PDF at all", {400, 415}),
        ("binary.txt", b"\x00\x01\x02\xff", {400, 415}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_document_leaves_nothing_behind(
    client: httpx2.Client, collection: str, name: str, data: bytes, statuses: set[int]
) -> None:
    kind = "application/pdf" if name.endswith("pdf") else "text/plain"
    answer = client.post(f"{collection}/documents", files={"file": (name, data, kind)})
    assert answer.status_code in statuses, answer.text
    assert answer.json()["code"]
    assert client.get(f"{collection}/documents").json()["data"] == []
    found = client.get(collection).json()
    assert (found["document_count"], found["chunk_count"], found["stored_bytes"]) == (0, 0, 0)


@pytest.mark.parametrize("key", ["nonsense", "omni_live_" + "0" * 36, "Bearer x"])
def test_a_malformed_key_is_refused(platform: Platform, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx2.get(f"{platform.gateway}/v1/collections", headers=headers, trust_env=False)
    refused(answer, 401, "invalid_api_key")


def test_a_wrong_method_says_which_are_right(client: httpx2.Client) -> None:
    answer = client.put("/v1/embeddings", json={})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


def test_the_console_refuses_the_same_way(platform: Platform) -> None:
    with httpx2.Client(base_url=platform.console, timeout=30, trust_env=False) as console:
        refused(console.post("/api/signup", content=b"{", headers=JSON), 400, "invalid_json")
        refused(console.post("/api/signup", json={"email": "x", "password": "short"}), 400, "invalid_request")
        refused(console.get(f"/api/tenants/{uuid4()}"), 401, "not_authenticated")
        refused(console.get("/api/nonsense"), 404, "unknown_route")
        refused(console.post("/api/signup", content=b"x" * (MIB + 1)), 413, "body_too_large")
