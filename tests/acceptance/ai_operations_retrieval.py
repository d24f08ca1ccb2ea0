"""What retrieval must answer, and count, when it is called through the gateway."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import httpx2

from tests.acceptance.ai_operations import Operation

GARDEN = """# Garden rules

Everyone may walk in the garden from sunrise to sunset. Dogs must be kept on a lead at all times.

# Fees

A yearly ticket costs forty euros. Children under twelve enter free of charge."""
TICKET = "A yearly ticket costs forty euros."
CHANGED = GARDEN.replace("forty", "fifty")
VECTOR_BYTES = 2 * 384
COLLECTION = "/v1/collections/{collection_id}"
EMBEDS = frozenset({"compute_ms", "input_tokens"})


def an_empty_collection(client: httpx2.Client) -> Mapping[str, str]:
    made = client.post("/v1/collections", json={"name": "rules"})
    assert made.status_code == 201, made.text
    return {"collection_id": made.json()["id"]}


def a_collection(client: httpx2.Client) -> Mapping[str, str]:
    """With the rules of a garden and those of a library, of different years."""
    found = dict(an_empty_collection(client))
    path = COLLECTION.format(**found) + "/documents"
    library = "Books may be borrowed for four weeks. The reading room closes at eight in the evening."
    for name, text, year in (("library.txt", library, 2020), ("garden.md", GARDEN, 2026)):
        stored = client.post(path, json={"name": name, "text": text, "metadata": {"year": year}})
        assert stored.status_code == 201, stored.text
        found["document_id"] = stored.json()["id"]
    return found


def has(**members: Any) -> Callable[[Any], None]:
    """The answer has these members."""

    def check(answer: Any) -> None:
        assert {name: answer[name] for name in members} == members

    return check


def is_stored_whole(answer: Any) -> None:
    assert (answer["outcome"], answer["version"]) == ("created", 1)
    assert answer["stored_bytes"] == len(GARDEN.encode()) + VECTOR_BYTES * answer["chunk_count"]


def is_the_garden_alone(answer: Any) -> None:
    assert {hit["document_name"] for hit in answer["results"]} == {"garden.md"}
    best = answer["results"][0]
    assert GARDEN[best["start"] : best["end"]] == best["text"]


def is_the_price(answer: Any) -> None:
    assert answer["found"]
    assert answer["carried"] == ["yearly", "ticket"]
    (first, *_) = answer["citations"]
    assert first["sentence"] == GARDEN[first["start"] : first["end"]] == TICKET


def is_perfect(answer: Any) -> None:
    for mode in answer["modes"]:
        assert (mode["recall"], mode["mrr"], mode["ndcg"]) == (1, 1, 1), mode
    assert answer["answers"] == {"answered": 1, "relevant": 1, "faithfulness": 1}


CASES = [
    Operation(
        "POST",
        "/v1/collections",
        {"name": "c", "language": "german", "chunking": {"strategy": "tokens", "max_tokens": 64, "overlap": 8}},
        has(language="german", chunking={"strategy": "tokens", "max_tokens": 64, "overlap": 8}, document_count=0),
        frozenset(),
        201,
    ),
    Operation(
        "PATCH",
        COLLECTION,
        {"language": "simple"},
        has(name="rules", language="simple"),
        frozenset(),
        prepare=an_empty_collection,
    ),
    Operation(
        "POST",
        COLLECTION + "/documents",
        {"name": "garden.md", "text": GARDEN, "content_type": "text/markdown", "metadata": {"year": 2026}},
        is_stored_whole,
        EMBEDS,
        201,
        an_empty_collection,
    ),
    Operation(
        "PUT",
        COLLECTION + "/documents/{document_id}",
        {"name": "garden.md", "text": CHANGED},
        has(outcome="replaced", version=2, metadata={"year": 2026}),
        EMBEDS,
        prepare=a_collection,
    ),
    Operation(
        "POST",
        COLLECTION + "/search",
        {"query": "when does it close", "filter": {"year": {"$gte": 2021}}, "rerank": True, "mmr": {"lambda": 0.7}},
        is_the_garden_alone,
        EMBEDS,
        prepare=a_collection,
    ),
    Operation(
        "POST",
        COLLECTION + "/answer",
        {"question": "How much does it cost?", "history": [{"role": "user", "content": "Is there a yearly ticket?"}]},
        is_the_price,
        EMBEDS,
        prepare=a_collection,
    ),
    Operation(
        "POST",
        COLLECTION + "/evaluate",
        {
            "questions": [{"question": "How much does a yearly ticket cost?", "relevant": [{"quote": TICKET}]}],
            "answers": True,
        },
        is_perfect,
        EMBEDS,
        prepare=a_collection,
    ),
]
