"""Answers: cited to the character, or honestly none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.inference.backend import Backend, refusal, usage
from tests.inference.retrieval.conftest import new_collection


async def ask(tenant: Backend, collection: str, question: str, **more: object) -> dict[str, Any]:
    response = await tenant.post(f"{collection}/answer", {"question": question, **more})
    assert response.status_code == 200, response.text
    assert usage(response)["input_tokens"] > 0
    answer: dict[str, Any] = response.json()
    return answer


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How much does a yearly ticket cost?", "A yearly ticket costs forty euros."),
        ("Do dogs need a lead?", "Dogs must be kept on a lead at all times."),
        ("When does the reading room close?", "The reading room closes at eight in the evening."),
        ("How long may I borrow books?", "Books may be borrowed for four weeks."),
    ],
)
async def test_the_sentence_that_answers_comes_first(
    tenant: Backend, collection: str, question: str, expected: str
) -> None:
    answer = await ask(tenant, collection, question)
    assert answer["found"]
    assert answer["citations"][0]["sentence"] == expected
    assert answer["answer"].startswith(expected)


async def test_every_citation_is_exactly_its_place(tenant: Backend, collection: str) -> None:
    answer = await ask(tenant, collection, "May I feed the carp in the pond?", max_sentences=10)
    assert answer["citations"]
    for citation in answer["citations"]:
        path = f"{collection}/documents/{citation['document_id']}"
        document = (await tenant.send("GET", path, params={"include": "text"})).json()
        assert document["text"][citation["start"] : citation["end"]] == citation["sentence"]
        assert citation["score"] >= answer["threshold"]


@pytest.mark.parametrize("question", ["Who won the world cup in 1998?", "How tall is Mount Everest?"])
async def test_what_the_sources_do_not_say_is_not_answered(tenant: Backend, collection: str, question: str) -> None:
    answer = await ask(tenant, collection, question)
    assert (answer["found"], answer["answer"], answer["citations"]) == (False, None, [])
    assert answer["reason"] == "no_relevant_passage"
    assert answer["best_score"] < answer["threshold"]


async def test_an_empty_collection_says_so(tenant: Backend) -> None:
    answer = await ask(tenant, await new_collection(tenant), "Anything?")
    assert (answer["found"], answer["reason"], answer["best_score"]) == (False, "collection_empty", None)


async def test_signs_and_titles_answer_nothing(tenant: Backend) -> None:
    path = await new_collection(tenant)
    text = "1. Price of Tickets.\n*** --- ***\n\n...\n\n2. Tickets. The price of tickets is nine euros."
    await tenant.post(f"{path}/documents", {"name": "a.txt", "text": text})
    answer = await ask(tenant, path, "What is the price of tickets?", max_sentences=10)
    assert [citation["sentence"] for citation in answer["citations"]] == ["The price of tickets is nine euros."]


@pytest.mark.parametrize(
    "body", [{}, {"question": ""}, {"question": "x", "max_sentences": 0}, {"question": "x", "max_sentences": 11}]
)
async def test_bad_questions_are_refused(tenant: Backend, collection: str, body: dict[str, object]) -> None:
    assert refusal(await tenant.post(f"{collection}/answer", body)) == (400, "invalid_request")
