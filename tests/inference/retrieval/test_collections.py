"""Collections: life cycle, pages, tenants."""

from __future__ import annotations

import dataclasses

import pytest

from omni.foundation.db.sessions import Database
from omni.inference.retrieval.tables import collection_words, document_chunks, documents
from omni.kit.ids import uuid7
from tests.inference.backend import Backend, refusal
from tests.inference.retrieval.conftest import new_collection

MISSING = "/v1/collections/01900000-0000-7000-8000-000000000000"


async def test_a_collection_lives_and_dies(tenant: Backend, collection: str, database: Database) -> None:
    found = (await tenant.send("GET", collection)).json()
    assert (found["name"], found["document_count"], found["embedding_model"]) == ("rules", 2, "all-MiniLM-L6-v2")
    assert found["chunk_count"] >= 2
    assert (await tenant.send("DELETE", collection)).status_code == 204
    assert refusal(await tenant.send("GET", collection)) == (404, "collection_not_found")
    assert refusal(await tenant.send("DELETE", collection)) == (404, "collection_not_found")
    async with database.read(tenant.tenant_id) as session:
        for table in (documents, document_chunks, collection_words):
            assert await session.all(table.select()) == []


async def test_pages_hold_every_collection_once(tenant: Backend) -> None:
    created = [await new_collection(tenant, f"number {number}") for number in range(5)]
    names, cursor = [], None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await tenant.send("GET", "/v1/collections", params=query)).json()
        names += [f"/v1/collections/{entry['id']}" for entry in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert names == created[::-1]


@pytest.mark.parametrize(
    ("method", "suffix", "body"),
    [
        ("GET", "", None),
        ("DELETE", "", None),
        ("GET", "/documents", None),
        ("POST", "/documents", {"name": "a.txt", "text": "Some text."}),
        ("GET", "/documents/01900000-0000-7000-8000-000000000000", None),
        ("DELETE", "/documents/01900000-0000-7000-8000-000000000000", None),
        ("POST", "/search", {"query": "dogs"}),
        ("POST", "/answer", {"question": "Are dogs allowed?"}),
    ],
)
async def test_anothers_collection_answers_like_none(
    tenant: Backend, collection: str, method: str, suffix: str, body: dict[str, object] | None
) -> None:
    stranger = dataclasses.replace(tenant, tenant_id=uuid7())
    foreign = await stranger.send(method, collection + suffix, json=body)
    unknown = await stranger.send(method, MISSING + suffix, json=body)
    assert refusal(foreign) == (404, "collection_not_found")
    assert foreign.content == unknown.content
    assert (await tenant.send("GET", collection)).json()["document_count"] == 2


async def test_lists_show_only_ones_own(tenant: Backend, collection: str) -> None:
    stranger = dataclasses.replace(tenant, tenant_id=uuid7())
    assert (await stranger.send("GET", "/v1/collections")).json() == {"data": [], "next_cursor": None}


@pytest.mark.parametrize("name", ["", "x" * 201, "with \x00 inside", None, 5])
async def test_bad_names_are_refused(tenant: Backend, name: object) -> None:
    assert refusal(await tenant.post("/v1/collections", {"name": name})) == (400, "invalid_request")


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"cursor": "x"}])
async def test_bad_pages_are_refused(tenant: Backend, query: dict[str, object]) -> None:
    assert refusal(await tenant.send("GET", "/v1/collections", params=query)) == (400, "invalid_request")


async def test_an_id_that_is_none_is_refused(tenant: Backend) -> None:
    assert refusal(await tenant.send("GET", "/v1/collections/nonsense")) == (400, "invalid_request")
