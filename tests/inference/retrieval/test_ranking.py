"""Options of search: reranking, cut-off, diversity, groups, and that the scores explain the order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.inference.retrieval.ranking import by_document, diversify
from omni.kit.ids import uuid7
from tests.inference.backend import Backend, refusal, usage
from tests.inference.retrieval.conftest import new_collection

TOWNS = {
    "one.txt": "The harbour is deep. The harbour of Piran is very deep and old.",
    "two.txt": "The harbour is deep. The harbour of Piran is very deep and old, too.",
    "three.txt": "A castle stands above the town. It was built by bishops.",
    "four.txt": "Boats sail from the harbour to Venice in the summer months.",
}


@pytest.fixture
async def towns(tenant: Backend) -> str:
    path = await new_collection(tenant)
    for name, text in TOWNS.items():
        assert (await tenant.post(f"{path}/documents", {"name": name, "text": text})).status_code == 201
    return path


async def search(tenant: Backend, path: str, query: str, **options: Any) -> dict[str, Any]:
    response = await tenant.post(f"{path}/search", {"query": query, **options})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def names(found: dict[str, Any]) -> list[str]:
    return [hit["document_name"] for hit in found["results"]]


async def test_scores_explain_the_order(tenant: Backend, towns: str) -> None:
    for hit in (await search(tenant, towns, "deep harbour"))["results"]:
        ranks = [(2, hit["dense_rank"]), (1, hit["lexical_rank"])]
        assert hit["score"] == pytest.approx(sum(weight / (60 + rank) for weight, rank in ranks if rank))
        assert (hit["rerank_score"], hit["mmr_score"]) == (None, None)
    dense = (await search(tenant, towns, "deep harbour", mode="dense"))["results"]
    assert [hit["dense_rank"] for hit in dense] == [1, 2, 3, 4]
    assert all(hit["score"] == hit["dense_score"] for hit in dense)
    assert {hit["lexical_rank"] for hit in dense} == {None}


async def test_reranking_goes_by_the_best_sentence(tenant: Backend, towns: str) -> None:
    plain = await tenant.post(f"{towns}/search", {"query": "Who built the castle?"})
    response = await tenant.post(f"{towns}/search", {"query": "Who built the castle?", "rerank": True})
    results = response.json()["results"]
    assert results[0]["document_name"] == "three.txt"
    assert [hit["score"] for hit in results] == sorted((hit["rerank_score"] for hit in results), reverse=True)
    assert usage(response)["input_tokens"] > usage(plain)["input_tokens"]
    answer = (await tenant.post(f"{towns}/answer", {"question": "Who built the castle?"})).json()
    assert results[0]["score"] == pytest.approx(answer["best_score"], abs=1e-5)
    lexical = await tenant.post(f"{towns}/search", {"query": "castle", "mode": "lexical", "rerank": True})
    assert lexical.json()["embedding_model"] == lexical.headers["omni-model"] == "all-MiniLM-L6-v2"


async def test_min_score_cuts_off(tenant: Backend, towns: str) -> None:
    everything = (await search(tenant, towns, "deep harbour", mode="dense"))["results"]
    middle = everything[1]["score"]
    kept = (await search(tenant, towns, "deep harbour", mode="dense", min_score=middle))["results"]
    assert [hit["chunk_id"] for hit in kept] == [hit["chunk_id"] for hit in everything[:2]]
    assert (await search(tenant, towns, "deep harbour", mode="dense", min_score=1.01))["results"] == []


async def test_mmr_puts_what_is_different_before_what_is_alike(tenant: Backend, towns: str) -> None:
    query = "The harbour of Piran is very deep and old"
    plain = names(await search(tenant, towns, query, mode="dense", top_k=2))
    assert set(plain) == {"one.txt", "two.txt"}
    diverse = await search(tenant, towns, query, mode="dense", top_k=2, mmr={"lambda": 0.3})
    assert names(diverse)[0] == plain[0]
    assert names(diverse)[1] in ("three.txt", "four.txt")
    assert diverse["results"][0]["mmr_score"] == pytest.approx(0.3)
    same = await search(tenant, towns, query, mode="dense", top_k=4, mmr={"lambda": 1})
    assert names(same) == names(await search(tenant, towns, query, mode="dense", top_k=4))


async def test_groups_put_documents_together(tenant: Backend) -> None:
    path = await new_collection(tenant)
    for name, place in (("a.md", "harbour"), ("b.md", "castle"), ("c.md", "forest")):
        parts = (f"# Part {n}\n\n" + f"The {place} is described at great length here. " * 16 for n in range(3))
        await tenant.post(f"{path}/documents", {"name": name, "text": "\n\n".join(parts)})
    found = await search(tenant, path, "the harbour", group_by="document", top_k=2, chunks_per_document=2, mode="dense")
    assert len(found["groups"]) == 2
    assert found["groups"][0]["document_name"] == "a.md"
    assert [len(group["chunk_ids"]) for group in found["groups"]] == [2, 2]
    chunk_ids = [hit["chunk_id"] for hit in found["results"]]
    assert chunk_ids == [chunk_id for group in found["groups"] for chunk_id in group["chunk_ids"]]
    scores = {hit["chunk_id"]: hit["score"] for hit in found["results"]}
    for group in found["groups"]:
        assert group["score"] == max(scores[chunk_id] for chunk_id in group["chunk_ids"])
    assert (await search(tenant, path, "the harbour"))["groups"] is None


async def test_options_work_together_and_on_nothing(tenant: Backend, towns: str) -> None:
    options: dict[str, Any] = {"rerank": True, "min_score": 0.1, "mmr": {}, "group_by": "document", "top_k": 3}
    found = await search(tenant, towns, "deep harbour", **options)
    assert len(found["groups"]) == 3
    for mode in ("dense", "lexical", "hybrid"):
        nothing = await search(tenant, await new_collection(tenant), "deep harbour", mode=mode, **options)
        assert (nothing["results"], nothing["groups"]) == ([], [])


@pytest.mark.parametrize(
    "options",
    [
        {"rerank": True, "top_k": 21},
        {"mmr": {"lambda": 1.1}},
        {"mmr": {"lambda": -0.1}},
        {"mmr": {"lambda": "x"}},
        {"mmr": True},
        {"min_score": "x"},
        {"group_by": "page"},
        {"group_by": "document", "chunks_per_document": 0},
        {"chunks_per_document": 11},
    ],
)
async def test_bad_options_are_refused(tenant: Backend, collection: str, options: dict[str, Any]) -> None:
    response = await tenant.post(f"{collection}/search", {"query": "x", **options})
    assert refusal(response) == (400, "invalid_request")


async def test_scores_that_are_no_numbers_are_refused(tenant: Backend, collection: str) -> None:
    headers = {"content-type": "application/json"}
    for value in (b"NaN", b"Infinity", b"1e999"):
        content = b'{"query": "x", "min_score": ' + value + b"}"
        response = await tenant.send("POST", f"{collection}/search", content=content, headers=headers)
        assert response.status_code == 400, response.text


def test_maximal_marginal_relevance_by_hand() -> None:
    """Relevance 1, 0.9, 0.5; the second is like the first (cosine 0.8), the third is at a right angle to both."""
    a, b, c = (uuid7() for _ in range(3))
    vectors = {a: np.array([1.0, 0, 0]), b: np.array([0.8, 0.6, 0]), c: np.array([0, 0, 1.0])}
    scores = {a: 2.0, b: 1.8, c: 1.0}
    chosen = diversify(scores, vectors, 0.5, 3)
    assert [chunk_id for chunk_id, _ in chosen] == [a, c, b]
    assert [score for _, score in chosen] == pytest.approx([0.5, 0.25, 0.5 * 0.9 - 0.5 * 0.8])
    assert [chunk_id for chunk_id, _ in diversify(scores, vectors, 1.0, 2)] == [a, b]


def test_opposite_vectors_are_the_most_different() -> None:
    a, b, c = (uuid7() for _ in range(3))
    vectors = {a: np.array([1.0, 0]), b: np.array([0, 1.0]), c: np.array([-1.0, 0])}
    assert [each for each, _ in diversify({a: 1.0, b: 0.5, c: 0.5}, vectors, 0.5, 3)] == [a, c, b]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers())), st.integers(1, 4), st.integers(1, 3))
def test_groups_keep_the_order(ranked: list[tuple[int, int]], documents: int, chunks: int) -> None:
    ids = [uuid7() for _ in range(6)]
    groups = by_document([(ids[document], item) for document, item in ranked], documents, chunks)
    first = list(dict.fromkeys(ids[document] for document, _ in ranked))[:documents]
    assert list(groups) == first
    for document_id, items in groups.items():
        assert items == [item for document, item in ranked if ids[document] == document_id][:chunks]
