"""Settings of collections: what they do, when they can be changed, and the languages that PostgreSQL has."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from omni.foundation.db.sessions import Database
from omni.inference.language.chunking import ChunkRules, chunks
from omni.inference.retrieval.languages import Language, text_search_of
from tests.inference.backend import Backend, refusal
from tests.inference.language.test_chunking import texts, words
from tests.inference.retrieval.conftest import GARDEN, new_collection


async def made(tenant: Backend, **settings: Any) -> str:
    response = await tenant.post("/v1/collections", {"name": "c", **settings})
    assert response.status_code == 201, response.text
    return f"/v1/collections/{response.json()['id']}"


async def found(tenant: Backend, path: str, query: str, mode: str = "lexical") -> list[str]:
    answer = await tenant.post(f"{path}/search", {"query": query, "mode": mode, "top_k": 50})
    assert answer.status_code == 200, answer.text
    return [hit["text"] for hit in answer.json()["results"]]


async def test_a_collection_says_how_it_indexes(tenant: Backend) -> None:
    default = (await tenant.send("GET", await new_collection(tenant))).json()
    assert default["chunking"] == {"strategy": "sentences", "max_tokens": 200, "overlap": 40}
    assert (default["embedding_model"], default["language"]) == ("all-MiniLM-L6-v2", "english")
    assert default["language_note"] is None
    chosen = {"strategy": "tokens", "max_tokens": 64, "overlap": 8}
    path = await made(tenant, chunking=chosen, language="slovenian")
    read = (await tenant.send("GET", path)).json()
    assert (read["chunking"], read["language"]) == (chosen, "slovenian")
    assert "no stemmer" in read["language_note"]


@pytest.mark.parametrize(
    ("language", "content", "query", "hits"),
    [
        ("english", "The gardens close.", "gardening", 1),
        ("german", "Die Häuser sind alt.", "Haus", 1),  # snowball: häuser, haus → haus
        ("german", "Die Häuser sind alt.", "sind", 0),  # a stop word
        ("simple", "The gardens close.", "garden", 0),
        ("simple", "The gardens close.", "the", 1),
        ("slovenian", "Vrtovi so zaprti.", "vrtovi", 1),
        ("slovenian", "Vrtovi so zaprti.", "vrt", 0),
    ],
)
async def test_words_are_stemmed_by_the_language(
    tenant: Backend, language: str, content: str, query: str, hits: int
) -> None:
    path = await made(tenant, language=language)
    assert (await tenant.post(f"{path}/documents", {"name": "a.txt", "text": content})).status_code == 201
    assert len(await found(tenant, path, query)) == hits


async def test_postgresql_has_every_language(tenant: Backend, database: Database) -> None:
    async with database.read(tenant.tenant_id) as session:
        rows = await session.execute(text("select cfgname from pg_ts_config"))
        known = set(rows.scalars().all())
    assert {text_search_of(language) for language in get_args(Language)} <= known


async def test_chunks_follow_the_settings(tenant: Backend) -> None:
    path = await made(tenant, chunking={"strategy": "headings", "max_tokens": 100, "overlap": 0})
    await tenant.post(f"{path}/documents", {"name": "garden.md", "text": GARDEN, "content_type": "text/markdown"})
    rules, fees = sorted(await found(tenant, path, "garden ticket", "dense"), reverse=True)
    assert fees.startswith("# Fees")
    assert "pond" not in fees
    assert rules.startswith("# Garden rules")
    assert "ticket" not in rules
    small = await made(tenant, chunking={"strategy": "tokens", "max_tokens": 16, "overlap": 4})
    await tenant.post(f"{small}/documents", {"name": "garden.md", "text": GARDEN})
    pieces = await found(tenant, small, "garden", "dense")
    assert len(pieces) >= 5
    assert max(len(piece.split()) for piece in pieces) <= 16


async def test_settings_change_while_the_collection_is_empty(tenant: Backend) -> None:
    path = await made(tenant)
    change = {"name": "n", "chunking": {"strategy": "tokens", "max_tokens": 20, "overlap": 0}, "language": "german"}
    changed = await tenant.send("PATCH", path, json=change)
    assert changed.status_code == 200
    assert {name: changed.json()[name] for name in change} == change
    assert changed.json() == (await tenant.send("GET", path)).json()
    await tenant.post(f"{path}/documents", {"name": "a.txt", "text": "Die Häuser sind alt."})
    refusals: list[dict[str, Any]] = [{"language": "english"}, {"chunking": {}}]
    for refused in refusals:
        answer = await tenant.send("PATCH", path, json={"name": "other", **refused})
        assert refusal(answer) == (409, "collection_not_empty")
    renamed = await tenant.send("PATCH", path, json={"name": "renamed", "language": "german"})
    assert (renamed.status_code, renamed.json()["name"], renamed.json()["document_count"]) == (200, "renamed", 1)
    (document,) = (await tenant.send("GET", f"{path}/documents")).json()["data"]
    await tenant.send("DELETE", f"{path}/documents/{document['id']}")
    assert (await tenant.send("PATCH", path, json={"language": "english"})).json()["language"] == "english"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"language": "klingon"}, "invalid_request"),
        ({"language": "english; drop"}, "invalid_request"),
        ({"chunking": {"strategy": "magic"}}, "invalid_request"),
        ({"chunking": {"max_tokens": 15}}, "invalid_request"),
        ({"chunking": {"max_tokens": 255}}, "invalid_request"),
        ({"chunking": {"max_tokens": 20, "overlap": 11}}, "invalid_request"),
        ({"chunking": {"overlap": -1}}, "invalid_request"),
        ({"embedding_model": "text-embedding-3-small"}, "unsupported_embedding_model"),
    ],
)
async def test_bad_settings_are_refused(tenant: Backend, body: dict[str, Any], expected: str) -> None:
    path = await made(tenant)
    for answer in (
        await tenant.post("/v1/collections", {"name": "c", **body}),
        await tenant.send("PATCH", path, json=body),
    ):
        assert refusal(answer) == (400, expected)


async def test_a_missing_collection_cannot_be_changed(tenant: Backend, collection: str, stored: Backend) -> None:
    assert refusal(await stored.send("PATCH", collection, json={"name": "x"})) == (404, "collection_not_found")
    for body in ({"unknown": 1}, {"name": ""}):
        assert refusal(await tenant.send("PATCH", collection, json=body)) == (400, "invalid_request")


rules = st.builds(
    lambda strategy, most, share: ChunkRules(strategy, most, most * share // 4),
    st.sampled_from(["sentences", "headings", "tokens"]),
    st.integers(16, 60),
    st.integers(0, 2),
)


@given(texts.map(lambda text: text * 6), rules)
def test_no_rules_lose_anything(text: str, rules: ChunkRules) -> None:
    spans = chunks(text, words(text), rules)
    covered = {index for span in spans for index in range(span.start, span.end)}
    assert all(char.isspace() for index, char in enumerate(text) if index not in covered)
    for span in spans:
        assert 0 < span.end - span.start <= rules.max_chars
        assert len([start for start, _ in words(text) if span.start <= start < span.end]) <= rules.max_tokens
    assert all(before.start < after.start for before, after in pairwise(spans))


def test_windows_overlap_by_what_is_asked_and_cut_no_word() -> None:
    text = " ".join(f"word{number:04d}" for number in range(200))
    spans = chunks(text, words(text), ChunkRules("tokens", 20, 5))
    assert [text[span.start : span.end].split() for span in spans[:2]] == [
        [f"word{n:04d}" for n in range(20)],
        [f"word{n:04d}" for n in range(15, 35)],
    ]
    assert text[spans[-1].start : spans[-1].end].endswith("word0199")
