"""Documents: all the ways in, all or nothing, within the plan's storage."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select

from omni.foundation.db.sessions import Database
from omni.inference.app import build_routers
from omni.inference.retrieval.repository import documents as repository
from omni.inference.retrieval.tables import collection_words, document_chunks
from omni.inference.runtime.pool import EnginePool
from omni.inference.settings import InferenceSettings
from omni.kit.clock import SystemClock
from omni.kit.ids import uuid7
from omni.telemetry.inference_metrics import InferenceMetrics
from tests.inference.backend import Backend, backend, refusal, usage
from tests.inference.conftest import NO_FILES
from tests.inference.files import pdf_bomb, pdf_file
from tests.inference.retrieval.conftest import GARDEN, new_collection


async def upload(tenant: Backend, path: str, name: str, data: bytes, content_type: str = "") -> httpx2.Response:
    file = (name, data, content_type) if content_type else (name, data)
    return await tenant.send("POST", f"{path}/documents", files={"file": file})


async def test_a_document_is_stored_with_its_text(tenant: Backend) -> None:
    path = await new_collection(tenant)
    response = await upload(tenant, path, "garden.md", GARDEN.encode())
    document = response.json()
    assert (response.status_code, document["name"], document["content_type"]) == (201, "garden.md", "text/markdown")
    assert document["text"] is None
    assert usage(response)["input_tokens"] > 0
    assert response.headers["omni-model"] == "all-MiniLM-L6-v2"
    full = (await tenant.send("GET", f"{path}/documents/{document['id']}", params={"include": "text"})).json()
    assert full["text"] == GARDEN
    assert full["stored_bytes"] == len(GARDEN.encode()) + 768 * full["chunk_count"]


async def test_json_brings_text_too(tenant: Backend) -> None:
    path = await new_collection(tenant)
    body = {"name": "n.html", "text": "<p>Hello <b>there</b>.</p>", "content_type": "text/html"}
    document = (await tenant.post(f"{path}/documents", body)).json()
    full = (await tenant.send("GET", f"{path}/documents/{document['id']}", params={"include": "text"})).json()
    assert full["text"] == "Hello there."


async def test_pages_of_a_pdf_are_known(tenant: Backend) -> None:
    path = await new_collection(tenant)
    data = pdf_file([["The first page speaks of apples."], ["The second page speaks of rivers."]])
    assert (await upload(tenant, path, "two.pdf", data)).json()["page_count"] == 2
    (hit, *_) = (await tenant.post(f"{path}/answer", {"question": "What does the second page speak of?"})).json()[
        "citations"
    ]
    assert "rivers" in hit["sentence"]


async def test_the_same_file_is_stored_once(tenant: Backend) -> None:
    path = await new_collection(tenant)
    first = await upload(tenant, path, "a.txt", b"One sentence.")
    again = await upload(tenant, path, "a.txt", b"One sentence.")
    other_name = await upload(tenant, path, "b.txt", b"One sentence.")
    assert [r.status_code for r in (first, again, other_name)] == [201, 200, 201]
    assert [r.json()["outcome"] for r in (first, again, other_name)] == ["created", "unchanged", "created"]
    assert again.json()["id"] == first.json()["id"]
    assert "omni-usage" not in again.headers
    assert (await tenant.send("GET", path)).json()["document_count"] == 2


async def test_the_same_file_at_the_same_time_is_stored_once(tenant: Backend) -> None:
    path = await new_collection(tenant)
    responses = await asyncio.gather(*(upload(tenant, path, "a.txt", b"One sentence.") for _ in range(6)))
    assert sorted(response.status_code for response in responses) == [200] * 5 + [201]
    assert len({response.json()["id"] for response in responses}) == 1


async def test_documents_are_listed_newest_first(tenant: Backend, collection: str) -> None:
    page = (await tenant.send("GET", f"{collection}/documents", params={"limit": 1})).json()
    assert [entry["name"] for entry in page["data"]] == ["library.txt"]
    query = {"limit": 1, "cursor": page["next_cursor"]}
    rest = (await tenant.send("GET", f"{collection}/documents", params=query)).json()
    assert ([entry["name"] for entry in rest["data"]], rest["next_cursor"]) == (["garden.md"], None)


async def test_a_deleted_document_is_gone_from_every_index(
    tenant: Backend, collection: str, database: Database
) -> None:
    (library, garden) = (await tenant.send("GET", f"{collection}/documents")).json()["data"]
    assert (await tenant.send("DELETE", f"{collection}/documents/{garden['id']}")).status_code == 204
    missing = await tenant.send("GET", f"{collection}/documents/{garden['id']}")
    assert refusal(missing) == (404, "document_not_found")
    for mode in ("dense", "lexical", "hybrid"):
        found = (await tenant.post(f"{collection}/search", {"query": "carp in the pond", "mode": mode})).json()
        assert garden["id"] not in {hit["document_id"] for hit in found["results"]}
    async with database.read(tenant.tenant_id) as session:
        words = (await session.execute(select(collection_words.c.word))).scalars().all()
        assert "carp" not in words
        assert "book" in words
    left = (await tenant.send("GET", collection)).json()
    assert (left["document_count"], left["chunk_count"]) == (1, library["chunk_count"])
    assert left["stored_bytes"] == library["stored_bytes"]


async def test_storage_ends_where_the_plan_says(tenant: Backend) -> None:
    path = await new_collection(tenant)
    size = (await upload(tenant, path, "a.txt", b"First sentence.")).json()["stored_bytes"]
    limited = dataclasses.replace(tenant, storage_bytes_limit=2 * size)
    assert (await upload(limited, path, "b.txt", b"Other sentence.")).status_code == 201
    refused = await upload(limited, path, "c.txt", b"Third sentence.")
    assert refusal(refused) == (429, "storage_quota_exceeded")
    assert int(refused.headers["retry-after"]) > 0
    assert (await tenant.send("GET", path)).json()["document_count"] == 2


async def test_storage_holds_when_many_come_at_once(tenant: Backend) -> None:
    path, other = await new_collection(tenant), await new_collection(tenant)
    size = (await upload(tenant, path, "a.txt", b"Sentence number 0.")).json()["stored_bytes"]
    limited = dataclasses.replace(tenant, storage_bytes_limit=4 * size)
    responses = await asyncio.gather(
        *(upload(limited, path if n % 2 else other, f"{n}.txt", b"Sentence number %d." % n) for n in range(1, 9))
    )
    assert sorted(response.status_code for response in responses) == [201] * 3 + [429] * 5


async def test_nothing_stays_of_an_ingest_that_fails_at_its_end(
    tenant: Backend, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await new_collection(tenant)
    add = repository.add

    async def add_and_fail(*arguments: Any) -> None:
        await add(*arguments)
        raise RuntimeError("power cut")

    monkeypatch.setattr(repository, "add", add_and_fail)
    assert (await upload(tenant, path, "a.txt", b"One sentence.")).status_code == 500
    monkeypatch.undo()
    left = (await tenant.send("GET", path)).json()
    assert (left["document_count"], left["chunk_count"], left["stored_bytes"]) == (0, 0, 0)
    async with database.read(tenant.tenant_id) as session:
        assert await session.scalar(select(func.count()).select_from(document_chunks)) == 0


@pytest.mark.parametrize(
    ("name", "data", "content_type", "expected"),
    [
        ("a.zip", b"PK\x03\x04", "application/zip", (415, "unsupported_media_type")),
        ("a.bin", b"text", "", (415, "unsupported_media_type")),
        ("a.pdf", b"plain text", "application/pdf", (415, "content_type_mismatch")),
        ("a.txt", b"%PDF-1.7 text", "text/plain", (415, "content_type_mismatch")),
        ("a.txt", b"\xff\xfe\x00", "text/plain", (400, "document_not_utf8")),
        ("a.txt", b"with \x00 inside", "text/plain", (400, "document_not_utf8")),
        ("a.txt", b"", "text/plain", (400, "document_has_no_text")),
        ("a.html", b"<script>1</script>", "text/html", (400, "document_has_no_text")),
        ("a.pdf", b"%PDF-1.7 broken", "application/pdf", (400, "broken_document")),
        ("a.pdf", pdf_file([[]]), "application/pdf", (400, "document_has_no_text")),
        ("a.pdf", pdf_file([["x"]], password="key"), "application/pdf", (400, "document_encrypted")),
        ("x" * 256 + ".txt", b"text", "text/plain", (400, "file_name_invalid")),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
async def test_bad_files_are_refused(
    tenant: Backend, name: str, data: bytes, content_type: str, expected: tuple[int, str]
) -> None:
    path = await new_collection(tenant)
    assert refusal(await upload(tenant, path, name, data, content_type)) == expected
    assert (await tenant.send("GET", path)).json()["stored_bytes"] == 0


async def test_a_pdf_bomb_is_refused(tenant: Backend) -> None:
    path = await new_collection(tenant)
    assert refusal(await upload(tenant, path, "a.pdf", pdf_bomb(600))) == (413, "document_too_complex")


async def test_too_much_text_is_refused(
    tenant: Backend, inference_settings: InferenceSettings, database: Database, engine_pool: EnginePool
) -> None:
    small = dataclasses.replace(inference_settings, document_text_bytes=50)
    metrics = InferenceMetrics(CollectorRegistry())
    app = backend(build_routers(small, database, engine_pool, NO_FILES, SystemClock(), metrics)).app
    limited = dataclasses.replace(tenant, app=app)
    path = await new_collection(limited)
    assert refusal(await upload(limited, path, "a.txt", b"x " * 30)) == (413, "document_text_too_large")


async def test_too_large_a_body_is_refused(tenant: Backend) -> None:
    path = await new_collection(tenant)
    assert refusal(await upload(tenant, path, "a.txt", bytes(20 * 1024 * 1024))) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("content_type", "content", "expected"),
    [
        ("text/plain", b"hello", (415, "unsupported_media_type")),
        ("application/json", b"[", (400, "invalid_json")),
        ("application/json", b'{"name": "a.txt"}', (400, "invalid_request")),
        ("application/json", b'{"name": "a.txt", "text": "a\\u0000b"}', (400, "invalid_request")),
        (
            "application/json",
            b'{"name": "a", "text": "a", "content_type": "application/pdf"}',
            (400, "invalid_request"),
        ),
        ("multipart/form-data; boundary=x", b"--x--", (400, "file_missing")),
    ],
)
async def test_bad_requests_are_refused(
    tenant: Backend, content_type: str, content: bytes, expected: tuple[int, str]
) -> None:
    path = await new_collection(tenant)
    headers = {"content-type": content_type}
    assert refusal(await tenant.send("POST", f"{path}/documents", content=content, headers=headers)) == expected


@pytest.mark.parametrize("text", ["x" * 30_000, "東京" * 4_000, "😀 " * 3_000, "ab1-" * 5_000, "\n\n" + "a. " * 3_000])
async def test_odd_texts_are_stored_whole(tenant: Backend, text: str) -> None:
    path = await new_collection(tenant)
    response = await tenant.post(f"{path}/documents", {"name": "odd.txt", "text": text})
    assert response.status_code == 201, response.text


async def test_a_document_of_another_collection_is_not_found(tenant: Backend, collection: str) -> None:
    other = await new_collection(tenant)
    (document, *_) = (await tenant.send("GET", f"{collection}/documents")).json()["data"]
    for method in ("GET", "DELETE"):
        response = await tenant.send(method, f"{other}/documents/{document['id']}")
        assert refusal(response) == (404, "document_not_found")
    unknown = await tenant.send("GET", f"{other}/documents/{uuid7()}")
    assert refusal(unknown) == (404, "document_not_found")
