"""Search: legs, fusion, places, and neighbours in the same index."""

from __future__ import annotations

import math
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from omni.foundation.db.sessions import Database
from omni.inference.retrieval.ranking import fuse
from omni.inference.retrieval.repository import collections, documents, search
from omni.inference.retrieval.repository.documents import NewChunk, NewDocument
from omni.inference.retrieval.schemas import CollectionRequest
from omni.kit.ids import uuid7
from tests.inference.backend import Backend, refusal, usage
from tests.inference.retrieval.conftest import new_collection


async def find(tenant: Backend, collection: str, query: str, **more: object) -> list[dict[str, Any]]:
    response = await tenant.post(f"{collection}/search", {"query": query, **more})
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


async def test_meaning_is_found_without_shared_words(tenant: Backend, collection: str) -> None:
    best = (await find(tenant, collection, "how long can I keep a volume I took home", mode="dense"))[0]
    assert best["document_name"] == "library.txt"
    assert best["dense_score"] == best["score"] > 0.2
    assert best["lexical_score"] is None


async def test_words_are_found_in_any_form(tenant: Backend, collection: str) -> None:
    (only,) = await find(tenant, collection, "renewing", mode="lexical")
    assert (only["document_name"], only["dense_score"]) == ("library.txt", None)
    assert only["lexical_score"] == only["score"] > 0
    assert await find(tenant, collection, "zeppelin", mode="lexical") == []
    assert await find(tenant, collection, "the of and", mode="lexical") == []


async def test_rare_words_count_more_than_common_ones(tenant: Backend) -> None:
    """By hand: `harbour` is in all three chunks, `castle` in one; ts_rank of a word that is there once is 0.6/π²."""
    path = await new_collection(tenant)
    for name, text in (("a", "harbour"), ("b", "harbour harbour"), ("c", "castle harbour")):
        await tenant.post(f"{path}/documents", {"name": name, "text": text})
    once = 0.1 * 6 / math.pi**2
    harbour, castle = math.log(1 + 0.5 / 3.5), math.log(1 + 2.5 / 1.5)
    first, second, third = await find(tenant, path, "castle harbour", mode="lexical")
    assert [hit["document_name"] for hit in (first, second, third)] == ["c", "b", "a"]
    assert first["score"] == pytest.approx((harbour + castle) * once, rel=1e-5)
    assert third["score"] == pytest.approx(harbour * once, rel=1e-5)
    assert second["score"] > third["score"]


async def test_all_words_together_are_found_behind_many_chunks_with_some(
    tenant: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More chunks have the rarest word and another than are ranked, and the best one comes last."""
    monkeypatch.setattr(search, "RANKED_CHUNKS", 2)
    path = await new_collection(tenant)
    texts = ("castle pond", "castle harbour", "pond", "pond", "harbour", "harbour", "harbour", "castle harbour pond")
    for number, words in enumerate(texts):
        await tenant.post(f"{path}/documents", {"name": f"{number}", "text": f"{words} {number}"})
    assert (await find(tenant, path, "castle pond harbour", mode="lexical"))[0]["document_name"] == "7"


@pytest.mark.parametrize("query", ["it's 'quoted' \\ & | ! ( ) :* <->", "'", "\\", "carp & !pond", "名前"])
async def test_signs_of_the_query_language_are_only_text(tenant: Backend, collection: str, query: str) -> None:
    for mode in ("lexical", "hybrid"):
        await find(tenant, collection, query, mode=mode)


async def test_hybrid_joins_both_legs(tenant: Backend, collection: str) -> None:
    results = await find(tenant, collection, "carp in the pond")
    best = results[0]
    assert "carp" in best["text"]
    assert best["score"] == pytest.approx(2 / 61 + 1 / 61)
    assert [hit["score"] for hit in results] == sorted((hit["score"] for hit in results), reverse=True)


async def test_places_are_exact(tenant: Backend, collection: str) -> None:
    for hit in await find(tenant, collection, "books and dogs", mode="dense"):
        path = f"{collection}/documents/{hit['document_id']}"
        document = (await tenant.send("GET", path, params={"include": "text"})).json()
        assert document["text"][hit["start"] : hit["end"]] == hit["text"]
        assert document["name"] == hit["document_name"]


async def test_top_k_and_usage(tenant: Backend, collection: str) -> None:
    response = await tenant.post(f"{collection}/search", {"query": "garden", "top_k": 1})
    assert len(response.json()["results"]) == 1
    assert usage(response)["input_tokens"] == 3
    lexical = await tenant.post(f"{collection}/search", {"query": "garden", "mode": "lexical"})
    assert "omni-usage" not in lexical.headers
    assert lexical.json()["embedding_model"] is None


async def test_an_empty_collection_has_no_results(tenant: Backend) -> None:
    path = await new_collection(tenant)
    for mode in ("dense", "lexical", "hybrid"):
        assert await find(tenant, path, "anything", mode=mode) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "invalid_request")),
        ({"query": ""}, (400, "invalid_request")),
        ({"query": "a\x00b"}, (400, "invalid_request")),
        ({"query": "x" * 2_001}, (400, "invalid_request")),
        ({"query": "a " * 300}, (400, "input_too_long")),
        ({"query": "x", "top_k": 51}, (400, "invalid_request")),
        ({"query": "x", "mode": "magic"}, (400, "invalid_request")),
    ],
)
async def test_bad_queries_are_refused(
    tenant: Backend, collection: str, body: dict[str, object], expected: tuple[int, str]
) -> None:
    assert refusal(await tenant.post(f"{collection}/search", body)) == expected


def test_fusion_is_the_sum_of_reciprocal_ranks() -> None:
    a, b, c = (uuid7() for _ in range(3))
    assert fuse([(2, [a, b]), (1, [b, c])], 60) == pytest.approx({a: 2 / 61, b: 2 / 62 + 1 / 61, c: 1 / 62})


async def test_the_index_finds_what_is_nearest_beside_a_larger_collection(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two collections in one HNSW index, the one asked for a fifth of it."""
    monkeypatch.setattr(search, "EXACT_CHUNKS", 100)
    random, tenant_id = np.random.default_rng(5), uuid7()

    async def fill(count: int) -> tuple[UUID, np.ndarray]:
        vectors = random.standard_normal((count, 384)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        parts = [NewChunk(0, 1, None, f"{n}", vector) for n, vector in enumerate(vectors)]
        async with database.write(tenant_id) as session:
            collection = await collections.add(session, CollectionRequest(name="c"))
            await collections.count(session, collection.id, 1, count, 0)
            document = NewDocument(collection.id, "english", "d", "text/plain", b"", "", None, 0)
            await documents.add(session, document, parts)
        return collection.id, vectors

    await fill(1_200)
    collection_id, vectors = await fill(300)
    hits = 0
    for query in random.standard_normal((10, 384)).astype(np.float32):
        query /= np.linalg.norm(query)  # noqa: PLW2901 the row itself is not used again
        async with database.read(tenant_id) as session:
            collection = await collections.find(session, collection_id)
            assert collection is not None
            found = [
                chunk_id
                for chunk_id, _ in (
                    await search.nearest(session, await search.scope_of(session, collection, None), query, 50)
                )[:10]
            ]
            texts = {int(chunk.text) for chunk in (await search.load(session, found)).values()}
        hits += len(texts & set(np.argsort(-(vectors @ query))[:10].tolist()))
    assert hits >= 95
