"""Documents that are sent again: what stays, what is embedded, and what a search sees meanwhile."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from omni.foundation.db.sessions import Database
from omni.inference.retrieval.repository import documents as repository
from omni.inference.retrieval.tables import collection_words, document_chunks
from omni.kit.errors import Unavailable
from omni.kit.ids import uuid7
from tests.inference.backend import Backend, refusal, usage
from tests.inference.retrieval.conftest import new_collection

SECTIONS = [
    f"# Section {number}\n\n" + " ".join(f"Sentence {number}-{n} tells of the {noun} at length." for n in range(12))
    for number, noun in enumerate(("river", "mountain", "harbour", "forest", "desert"))
]
TEXT = "\n\n".join(SECTIONS)
CHANGED = TEXT.replace("harbour", "lighthouse")
COUNTED = text("""
    select word, count(*) as chunk_count from document_chunks, unnest(tsvector_to_array(words)) as word
    group by word order by word
""")


async def put(tenant: Backend, path: str, content: str, name: str = "a.md") -> httpx2.Response:
    response = await tenant.post(f"{path}/documents", {"name": name, "text": content})
    assert response.status_code in (200, 201), response.text
    return response


async def chunks_of(database: Database, tenant: Backend) -> list[Any]:
    chunks = document_chunks.c
    columns = (chunks.id, chunks.text, chunks.start_offset, chunks.end_offset, chunks.embedding)
    async with database.read(tenant.tenant_id) as session:
        return list(await session.all(select(*columns).order_by(chunks.start_offset)))


async def assert_words_are_counted(database: Database, tenant: Backend) -> None:
    async with database.read(tenant.tenant_id) as session:
        kept = select(collection_words.c.word, collection_words.c.chunk_count).order_by(collection_words.c.word)
        assert sorted(map(tuple, (await session.execute(kept)).all())) == sorted(
            map(tuple, (await session.execute(COUNTED)).all())
        )


async def test_only_chunks_that_changed_are_embedded(tenant: Backend, database: Database) -> None:
    path = await new_collection(tenant)
    first = await put(tenant, path, TEXT)
    before = await chunks_of(database, tenant)
    again = await put(tenant, path, CHANGED)
    after = await chunks_of(database, tenant)
    answer = again.json()
    assert (again.status_code, answer["outcome"], answer["version"]) == (200, "replaced", 2)
    assert answer["id"] == first.json()["id"]
    harbours = [row for row in before if "harbour" in row["text"]]
    assert 0 < len(harbours) < len(before) / 2
    assert (answer["embedded_chunks"], answer["kept_chunks"]) == (len(harbours), len(before) - len(harbours))
    assert {row["id"] for row in before} - {row["id"] for row in after} == {row["id"] for row in harbours}
    assert usage(again)["input_tokens"] < usage(first)["input_tokens"] / 2
    for row in after:
        assert CHANGED[row["start_offset"] : row["end_offset"]] == row["text"]
    await assert_words_are_counted(database, tenant)


async def test_a_replaced_document_equals_one_that_is_new(tenant: Backend, database: Database) -> None:
    path = await new_collection(tenant)
    await put(tenant, path, TEXT)
    await put(tenant, path, CHANGED)
    replaced = await chunks_of(database, tenant)
    other = dataclasses.replace(tenant, tenant_id=uuid7())
    other_path = await new_collection(other)
    await put(other, other_path, CHANGED)
    fresh = await chunks_of(database, other)
    assert [(r["start_offset"], r["text"]) for r in replaced] == [(r["start_offset"], r["text"]) for r in fresh]
    for mine, theirs in zip(replaced, fresh, strict=True):
        assert mine["embedding"] == pytest.approx(theirs["embedding"], abs=2e-3)
    totals = ("document_count", "chunk_count", "stored_bytes")
    mine, theirs = (await tenant.send("GET", path)).json(), (await other.send("GET", other_path)).json()
    assert [mine[name] for name in totals] == [theirs[name] for name in totals]


@given(st.lists(st.lists(st.sampled_from(SECTIONS), max_size=6).map("\n\n".join), min_size=2, max_size=3))
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_counts_stay_true_whatever_follows_what(tenant: Backend, database: Database, contents: list[str]) -> None:
    path = await new_collection(tenant)
    for content in contents:
        last = (await put(tenant, path, content + "\n\nThe end.")).json()
    mine = await chunks_of(database, tenant)
    found = (await tenant.send("GET", path)).json()
    assert found["document_count"] == 1
    assert (found["chunk_count"], found["stored_bytes"]) == (last["chunk_count"], last["stored_bytes"])
    assert (await tenant.send("DELETE", path)).status_code == 204
    assert len(mine) == last["chunk_count"]


async def test_put_names_the_document_by_its_id(tenant: Backend) -> None:
    path = await new_collection(tenant)
    first = (await put(tenant, path, TEXT)).json()
    await put(tenant, path, "Another document.", "b.md")
    where = f"{path}/documents/{first['id']}"
    renamed = await tenant.send("PUT", where, json={"name": "c.md", "text": CHANGED})
    assert (renamed.status_code, renamed.json()["name"], renamed.json()["outcome"]) == (200, "c.md", "replaced")
    same = await tenant.send("PUT", where, json={"name": "c.md", "text": CHANGED})
    assert (same.json()["outcome"], same.json()["version"]) == ("unchanged", 2)
    assert "omni-usage" not in same.headers
    taken = await tenant.send("PUT", where, json={"name": "b.md", "text": "x"})
    assert refusal(taken) == (409, "document_name_taken")
    other = await new_collection(tenant)
    for missing in (f"{other}/documents/{first['id']}", f"{path}/documents/{tenant.tenant_id}"):
        assert refusal(await tenant.send("PUT", missing, json={"name": "x", "text": "x"})) == (
            404,
            "document_not_found",
        )


async def test_a_search_sees_the_old_document_or_the_new_one(tenant: Backend) -> None:
    """Both contents have a word of their own in every chunk; no answer has both."""
    path = await new_collection(tenant)
    contents = [TEXT.replace("Sentence", word) for word in ("Alpha", "Omega")]
    await put(tenant, path, contents[0])
    done = asyncio.Event()

    async def replace() -> None:
        for number in range(1, 5):
            await put(tenant, path, contents[number % 2])
        done.set()

    async def look() -> set[str]:
        seen = set()
        while not done.is_set():
            found = await tenant.post(f"{path}/search", {"query": "tells of the river", "top_k": 50})
            assert found.status_code == 200, found.text
            words = {word for hit in found.json()["results"] for word in ("Alpha", "Omega") if word in hit["text"]}
            assert len(words) == 1
            seen |= words
        return seen

    _, *seen = await asyncio.gather(replace(), look(), look())
    assert set().union(*seen) <= {"Alpha", "Omega"}
    assert all(seen)


async def test_two_that_replace_at_once_leave_one_content(tenant: Backend, database: Database) -> None:
    path = await new_collection(tenant)
    await put(tenant, path, TEXT)
    contents = {word: TEXT.replace("desert", word) for word in ("glacier", "volcano")}
    await asyncio.gather(*(put(tenant, path, content) for content in contents.values()))
    found = await chunks_of(database, tenant)
    assert sum(any(word in row["text"] for row in found) for word in contents) == 1
    await assert_words_are_counted(database, tenant)


async def test_nothing_changes_when_a_replacement_fails_at_its_end(
    tenant: Backend, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await new_collection(tenant)
    await put(tenant, path, TEXT)
    before, totals = await chunks_of(database, tenant), (await tenant.send("GET", path)).json()
    replace = repository.replace

    async def replace_and_fail(*arguments: Any) -> None:
        await replace(*arguments)
        raise Unavailable("database_unavailable", "power cut")

    monkeypatch.setattr(repository, "replace", replace_and_fail)
    failed = await tenant.post(f"{path}/documents", {"name": "a.md", "text": CHANGED})
    assert failed.status_code == 503
    assert "omni-usage" not in failed.headers
    monkeypatch.undo()
    assert [row["id"] for row in await chunks_of(database, tenant)] == [row["id"] for row in before]
    assert (await tenant.send("GET", path)).json() == totals


async def test_storage_counts_what_a_replacement_adds(tenant: Backend, database: Database) -> None:
    path = await new_collection(tenant)
    size = (await put(tenant, path, TEXT)).json()["stored_bytes"]
    full = dataclasses.replace(tenant, storage_bytes_limit=size)
    longer = await full.post(f"{path}/documents", {"name": "a.md", "text": TEXT + "\n\nOne more sentence of text."})
    assert refusal(longer) == (429, "storage_quota_exceeded")
    assert (await put(full, path, SECTIONS[0])).json()["outcome"] == "replaced"
    async with database.read(tenant.tenant_id) as session:
        assert await session.scalar(select(func.count()).select_from(document_chunks)) < 5
