"""Metadata of documents and filters on it: what passes, what is refused, and that nothing of a filter becomes SQL."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select

from omni.foundation.db.sessions import Database
from omni.inference.retrieval.filtering import MAX_CONDITIONS, MAX_DEPTH, read_filter
from omni.inference.retrieval.repository import collections, search
from omni.inference.retrieval.repository.filters import matching_documents
from omni.inference.retrieval.schemas import CollectionRequest
from omni.inference.retrieval.tables import document_chunks, documents
from omni.kit.errors import InvalidInput
from omni.kit.ids import uuid7
from tests.inference.backend import Backend, refusal, usage
from tests.inference.retrieval.conftest import new_collection

DOCUMENTS: dict[str, dict[str, Any]] = {
    "a": {"year": 2019, "tags": ["law", "tax"], "draft": False, "lang": "en"},
    "b": {"year": 2024, "tags": ["tax"], "draft": True, "lang": "sl"},
    "c": {"year": "2024", "lang": "Zulu", "weight": 0.5},
    "d": {},
    "e": {"year": 1, "draft": True, "lang": "", "tags": []},
}


async def stored(tenant: Backend, metadata: dict[str, dict[str, Any]] = DOCUMENTS) -> str:
    path = await new_collection(tenant)
    for name, fields in metadata.items():
        body = {"name": name, "text": f"The harbour of town {name} is deep.", "metadata": fields}
        answer = await tenant.post(f"{path}/documents", body)
        assert answer.status_code == 201, answer.text
        assert answer.json()["metadata"] == fields
    return path


# What MongoDB's find() gives for the same documents and filters, by its manual; a case a semantic.
CASES: list[tuple[dict[str, Any], str]] = [
    ({}, "abcde"),
    ({"year": 2024}, "b"),
    ({"year": "2024"}, "c"),
    ({"year": {"$eq": 2024.0}}, "b"),
    ({"draft": True}, "be"),
    ({"draft": {"$ne": True}}, "acd"),
    ({"year": {"$eq": True}}, ""),
    ({"tags": "tax"}, "ab"),
    ({"tags": {"$in": ["law", "sea"]}}, "a"),
    ({"tags": {"$nin": ["tax"]}}, "cde"),
    ({"lang": {"$in": ["en", "sl", 7]}}, "ab"),
    ({"year": {"$gt": 2019}}, "b"),
    ({"year": {"$gte": 2019}}, "ab"),
    ({"year": {"$lt": 2019.5, "$gt": 1}}, "a"),
    ({"year": {"$lte": "2024"}}, "c"),
    ({"lang": {"$lt": "en"}}, "ce"),
    ({"weight": {"$gt": 0.49, "$lt": 0.51}}, "c"),
    ({"tags": {"$exists": True}}, "abe"),
    ({"tags": {"$exists": False}}, "cd"),
    ({"$or": [{"year": 2019}, {"weight": 0.5}]}, "ac"),
    ({"$and": [{"draft": True}, {"lang": "sl"}]}, "b"),
    ({"$not": {"draft": True, "lang": "sl"}}, "acde"),
    ({"$not": {"year": {"$gt": 0}}}, "cd"),
    ({"draft": True, "$or": [{"year": {"$lt": 2}}, {"lang": "en"}]}, "e"),
]


async def test_filters_mean_what_their_description_says(tenant: Backend) -> None:
    path = await stored(tenant)
    for number, (where, expected) in enumerate(CASES):
        mode = ("dense", "lexical", "hybrid")[number % 3]
        answer = await tenant.post(f"{path}/search", {"query": "deep harbour", "mode": mode, "filter": where})
        assert answer.status_code == 200, answer.text
        names = sorted(hit["document_name"] for hit in answer.json()["results"])
        assert "".join(names) == expected, (where, mode)


async def test_an_answer_comes_from_what_passes(tenant: Backend) -> None:
    path = await stored(tenant)
    body = {"question": "How deep is the harbour?", "filter": {"lang": "sl"}, "max_sentences": 10}
    answer = (await tenant.post(f"{path}/answer", body)).json()
    assert [citation["document_name"] for citation in answer["citations"]] == ["b"]
    nothing = (await tenant.post(f"{path}/answer", {**body, "filter": {"lang": "nowhere"}})).json()
    assert (nothing["found"], nothing["reason"]) == (False, "no_relevant_passage")


def nested(depth: int) -> dict[str, Any]:
    return {"a": 1} if depth == 1 else {"$not": nested(depth - 1)}


@pytest.mark.parametrize(
    "where",
    [
        {"$where": "1"},
        {"$nor": []},
        {"": 1},
        {"a b": 1},
        {"a'; drop table documents; --": 1},
        {"x" * 65: 1},
        {"a": {}},
        {"a": {"$regex": "(a+)+$"}},
        {"a": {"b": 1}},
        {"a": None},
        {"a": [1]},
        {"a": {"$in": []}},
        {"a": {"$in": "text"}},
        {"a": {"$in": list(range(101))}},
        {"a": {"$in": [[1]]}},
        {"a": {"$gt": True}},
        {"a": {"$gt": None}},
        {"a": {"$exists": 1}},
        {"a": 2**53 + 1},
        {"a": "x" * 1_001},
        {"a": "nul\x00"},
        {"$or": {}},
        {"$or": []},
        {"$or": [1]},
        {"$and": [{"a": 1}] * 51},
        {"$not": []},
        nested(MAX_DEPTH + 1),
        {f"f{n}": 1 for n in range(MAX_CONDITIONS + 1)},
    ],
    ids=lambda where: json.dumps(where)[:40],
)
async def test_what_is_no_filter_is_refused(tenant: Backend, where: dict[str, Any]) -> None:
    path = f"/v1/collections/{uuid7()}"
    for route, query in (("search", "query"), ("answer", "question")):
        answer = await tenant.post(f"{path}/{route}", {query: "x", "filter": where})
        assert refusal(answer) == (400, "invalid_filter"), answer.text


@pytest.mark.parametrize(
    "content",
    [
        b'{"query": "x", "filter": {"a": "\\ud800"}}',
        b'{"query": "x", "filter": {"a": NaN}}',
        b'{"query": "x", "filter": 1}',
        b'{"query": "x", "filter": {"a": 1e999}}',
        b'{"query": "x", "filter": ' + b'{"$not":' * 5_000 + b"1" + b"}" * 5_001,
    ],
    ids=["surrogate", "NaN", "number", "infinite", "deep"],
)
async def test_odd_json_is_refused(tenant: Backend, collection: str, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = await tenant.send("POST", f"{collection}/search", content=content, headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] in ("invalid_filter", "invalid_request", "invalid_json")


def test_the_limits_are_within_reach() -> None:
    read_filter(nested(MAX_DEPTH))
    read_filter({f"f{n}": 2**53 for n in range(MAX_CONDITIONS)})


HOSTILE = ["'", '"', "\\", "';--", "$1", ":x", "%s", "{}", "::jsonb", "') or true --", "\\u0000", "a.b", "null"]
values = st.sampled_from(HOSTILE) | st.text(max_size=30) | st.floats() | st.integers() | st.booleans() | st.none()
fields = st.sampled_from(["year", "a'b", "$eq", "lang", "a.b", "tags"]) | st.text(max_size=20)
operators = st.sampled_from(["$eq", "$ne", "$in", "$nin", "$gt", "$lte", "$exists", "$x"])
conditions = st.dictionaries(operators, values | st.lists(values, max_size=3), max_size=2) | values
filters = st.recursive(
    st.dictionaries(fields, conditions, max_size=3),
    lambda inner: (
        st.dictionaries(st.sampled_from(["$and", "$or"]), st.lists(inner, max_size=3), max_size=2)
        | st.dictionaries(st.just("$not"), inner, max_size=1)
    ),
    max_leaves=6,
)


@given(st.lists(filters, min_size=20, max_size=20))
@settings(max_examples=10, deadline=None)
async def test_a_filter_is_refused_or_runs(database: Database, given_filters: list[dict[str, Any]]) -> None:
    """No text of a filter reaches the statement: PostgreSQL takes whatever was not refused."""
    async with database.read(uuid7()) as session:
        for where in given_filters:
            try:
                read = read_filter(where)
            except InvalidInput:
                continue
            assert await session.all(matching_documents(session, uuid7(), read)) == []


async def test_hostile_values_are_only_values(tenant: Backend) -> None:
    path = await stored(tenant, {str(n): {"v": text} for n, text in enumerate(HOSTILE)})
    for number, text in enumerate(HOSTILE):
        for where in ({"v": text}, {"v": {"$gte": text, "$lte": text}}):
            body = {"query": "harbour", "filter": where, "top_k": 50}
            names = [hit["document_name"] for hit in (await tenant.post(f"{path}/search", body)).json()["results"]]
            assert names == [str(number)]


async def test_metadata_is_kept_changed_and_charged_as_a_request(tenant: Backend) -> None:
    path = await new_collection(tenant)
    body: dict[str, Any] = {"name": "a.txt", "text": "One sentence.", "metadata": {"a": 1}}
    first = await tenant.post(f"{path}/documents", body)
    kept = await tenant.post(f"{path}/documents", {**body, "metadata": None})
    other = await tenant.post(f"{path}/documents", {**body, "metadata": {"b": "x"}})
    replaced = await tenant.post(f"{path}/documents", {"name": "a.txt", "text": "Another sentence."})
    assert [a.json()["metadata"] for a in (first, kept, other, replaced)] == [
        {"a": 1},
        {"a": 1},
        {"b": "x"},
        {"b": "x"},
    ]
    assert [a.json()["outcome"] for a in (kept, other)] == ["unchanged", "unchanged"]
    assert "omni-usage" not in other.headers
    assert other.json()["updated_at"]


async def test_a_form_brings_metadata(tenant: Backend) -> None:
    path = await new_collection(tenant)

    async def send(metadata: str) -> Any:
        files = {"file": ("a.txt", b"One sentence.")}
        return await tenant.send("POST", f"{path}/documents", files=files, data={"metadata": metadata})

    assert (await send('{"tags": ["x"]}')).json()["metadata"] == {"tags": ["x"]}
    for broken in ("{", "", "[" * 100_000, '{"a": "\\ud800"}'):
        assert refusal(await send(broken)) == (400, "invalid_json")
    for wrong in ("[1]", '{"a": NaN}', '{"a": 100000000000000000000}', '{"a": 1e999}'):
        assert refusal(await send(wrong)) == (400, "invalid_request")
    assert refusal(await send("x" * 2_000_000))[0] == 400


@pytest.mark.parametrize(
    "metadata",
    [
        {"a b": 1},
        {"$a": 1},
        {"a": None},
        {"a": {"b": 1}},
        {"a": [1]},
        {"a": ["x\x00"]},
        {"a": "x\x00"},
        {"a": "x" * 1_001},
        {"a": 2**53 + 1},
        {"a": ["x"] * 51},
        {f"f{n}": 1 for n in range(33)},
        {f"f{n}": "x" * 999 for n in range(20)},
    ],
    ids=lambda metadata: json.dumps(metadata)[:30],
)
async def test_bad_metadata_is_refused(tenant: Backend, metadata: dict[str, Any]) -> None:
    body = {"name": "a", "text": "x", "metadata": metadata}
    assert refusal(await tenant.post(f"/v1/collections/{uuid7()}/documents", body)) == (400, "invalid_request")


async def planted(database: Database, tenant_id: UUID, count: int, rare_every: int) -> tuple[UUID, np.ndarray]:
    """A collection of `count` chunks, each its document's only one; one in `rare_every` is {"rare": true}."""
    vectors = np.random.default_rng(7).standard_normal((count, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [uuid7() for _ in range(count)]
    async with database.write(tenant_id) as session:
        collection = await collections.add(session, CollectionRequest(name="c"))
        await collections.count(session, collection.id, count, count, 0)
        shared = {"tenant_id": tenant_id, "collection_id": collection.id}
        await session.execute(
            insert(documents),
            [
                {**shared, "id": each, "name": str(n), "content_type": "text/plain", "content_sha256": b"", "text": "",
                 "chunk_count": 1, "stored_bytes": 0, "metadata": {"rare": n % rare_every == 0}}
                for n, each in enumerate(ids)
            ],
        )  # fmt: skip
        await session.execute(
            insert(document_chunks),
            [
                {**shared, "id": uuid7(), "document_id": each, "start_offset": 0, "end_offset": 1, "text": str(n),
                 "embedding": vectors[n]}
                for n, each in enumerate(ids)
            ],
        )  # fmt: skip
    return collection.id, vectors


async def test_a_selective_filter_loses_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """2 % of 1,000 chunks pass: the ten nearest of them are those that numpy finds, through the index and compared one
    by one."""
    monkeypatch.setattr(search, "EXACT_CHUNKS", 100)
    tenant_id = uuid7()
    collection_id, vectors = await planted(database, tenant_id, 1_000, 50)
    rare = np.arange(0, 1_000, 50)
    hits = 0
    queries = np.random.default_rng(8).standard_normal((6, 384)).astype(np.float32)
    for query, exact_chunks in zip(queries, (0, 0, 0, 0, 0, 10_000), strict=True):
        monkeypatch.setattr(search, "EXACT_FILTERED_CHUNKS", exact_chunks)
        query /= np.linalg.norm(query)  # noqa: PLW2901 the row itself is not used again
        async with database.read(tenant_id) as session:
            collection = await collections.find(session, collection_id)
            assert collection is not None
            scope = await search.scope_of(session, collection, read_filter({"rare": True}))
            assert scope.chunk_count == 20
            found = [chunk_id for chunk_id, _ in (await search.nearest(session, scope, query, 10))]
            names = {int(chunk.document_name) for chunk in (await search.load(session, found)).values()}
        hits += len(names & set(rare[np.argsort(-(vectors[rare] @ query))[:10]].tolist()))
    assert hits >= 58


async def test_words_are_found_where_the_rare_ones_do_not_pass(
    tenant: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rare word's chunks alone would be ranked, and none of them passes."""
    monkeypatch.setattr(search, "RANKED_CHUNKS", 2)
    path = await new_collection(tenant)
    for n in range(4):
        body = {"name": f"{n}", "text": f"Common harbour {n}.", "metadata": {"kept": n == 3}}
        await tenant.post(f"{path}/documents", body)
    await tenant.post(f"{path}/documents", {"name": "rare", "text": "Zeppelin.", "metadata": {"kept": False}})
    body = {"query": "zeppelin harbour", "mode": "lexical", "filter": {"kept": True}}
    assert [hit["document_name"] for hit in (await tenant.post(f"{path}/search", body)).json()["results"]] == ["3"]
    assert usage(await tenant.post(f"{path}/search", {**body, "mode": "hybrid"}))["input_tokens"] == 4


async def test_another_tenants_metadata_is_not_matched(tenant: Backend, database: Database) -> None:
    await stored(tenant)
    async with database.read(uuid7()) as session:
        found = matching_documents(session, uuid7(), read_filter({}))
        assert await session.scalar(select(func.count()).select_from(found.subquery())) == 0
