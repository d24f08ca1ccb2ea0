"""Evaluation: measures by hand and by scikit-learn, and what the endpoint says of a known collection."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from omni.inference.retrieval.measures import measures_at
from omni.inference.retrieval.repository import documents
from omni.kit.ids import uuid7
from tests.inference.backend import Backend, refusal, usage

QUESTIONS: list[dict[str, Any]] = [
    {"question": "How much does a yearly ticket cost?", "relevant": [{"quote": "A yearly ticket costs forty euros."}]},
    {"question": "How long may I borrow books?", "relevant": [{"quote": "borrowed for\nfour   weeks"}]},
    {"question": "May I feed the carp?", "relevant": [{"quote": "carp"}, {"quote": "words that are nowhere"}]},
]


def ranked(*places: set[int]) -> list[frozenset[int]]:
    return [frozenset(place) for place in places]


def test_measures_by_hand() -> None:
    """Two of three targets are met, at places 2 and 4 of 5."""
    found = measures_at(5, ranked(set(), {0}, {0}, {2}, set()), 3)
    assert (found.recall, found.precision, found.reciprocal_rank) == (2 / 3, 3 / 5, 1 / 2)
    best = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert found.ndcg == pytest.approx((1 / np.log2(3) + 1 / np.log2(5)) / best)


def test_nothing_found_is_nothing() -> None:
    for ranking in (ranked(), ranked(set(), set())):
        found = measures_at(10, ranking, 2)
        assert (found.recall, found.precision, found.reciprocal_rank, found.ndcg) == (0, 0, 0, 0)


def test_one_chunk_may_meet_all() -> None:
    found = measures_at(1, ranked({0, 1}), 2)
    assert (found.recall, found.precision, found.reciprocal_rank, found.ndcg) == (1, 1, 1, 1)


@given(st.lists(st.booleans(), min_size=2, max_size=12), st.integers(1, 12), st.integers(0, 3))
def test_ndcg_is_that_of_scikit_learn(relevant: list[bool], k: int, missing: int) -> None:
    """Each relevant place has a target of its own; `missing` targets are behind the last place, beyond k."""
    places = iter(range(12))
    ranking = [frozenset({next(places)}) if each else frozenset() for each in relevant]
    k = min(k, len(relevant))
    targets = sum(relevant) + missing
    if targets:
        truth = np.array([[float(each) for each in relevant] + [1.0] * missing])
        scores = -np.arange(truth.shape[1], dtype=float)[None, :]
        assert measures_at(k, ranking, targets).ndcg == pytest.approx(ndcg_score(truth, scores, k=k))


@given(st.lists(st.frozensets(st.integers(0, 4)), max_size=10), st.integers(1, 12))
def test_measures_stay_between_nothing_and_one(ranking: list[frozenset[int]], k: int) -> None:
    found = measures_at(k, ranking, 5)
    for value in (found.recall, found.precision, found.reciprocal_rank, found.ndcg):
        assert 0 <= value <= 1


async def evaluate(tenant: Backend, collection: str, **body: Any) -> dict[str, Any]:
    response = await tenant.post(f"{collection}/evaluate", {"questions": QUESTIONS, **body})
    assert response.status_code == 200, response.text
    assert usage(response)["input_tokens"] > 0
    assert response.headers["omni-model"] == "all-MiniLM-L6-v2"
    found: dict[str, Any] = response.json()
    return found


async def test_modes_are_compared_side_by_side(tenant: Backend, collection: str) -> None:
    found = await evaluate(tenant, collection, k=5)
    assert [each["mode"] for each in found["modes"]] == ["hybrid", "dense", "lexical"]
    assert found["answers"] is None
    for each in found["modes"]:
        # One of five targets is nowhere; the collection's chunks are few, so all others are within five.
        assert each["recall"] == pytest.approx((1 + 1 + 1 / 2) / 3)
        places = [question["first_relevant"][each["mode"]] for question in found["questions"]]
        assert each["mrr"] == pytest.approx(sum(1 / place for place in places) / 3)


async def test_measures_are_those_of_the_search(tenant: Backend, collection: str) -> None:
    """Targets are the chunks that a search finds at places 1 and 2."""
    question = "carp in the pond"
    hits = (await tenant.post(f"{collection}/search", {"query": question, "mode": "dense"})).json()["results"]
    relevant = [{"chunk_id": hits[0]["chunk_id"]}, {"document_id": hits[1]["document_id"]}]
    body = {"questions": [{"question": question, "relevant": relevant}], "modes": ["dense"], "k": 1}
    first = await evaluate(tenant, collection, **body)
    same_document = hits[0]["document_id"] == hits[1]["document_id"]
    assert first["modes"][0]["recall"] == (1 if same_document else 0.5)
    assert (first["modes"][0]["precision"], first["modes"][0]["mrr"]) == (1, 1)
    both = await evaluate(tenant, collection, **{**body, "k": 2})
    assert (both["modes"][0]["recall"], both["modes"][0]["ndcg"]) == (1, 1)


async def test_answers_are_faithful_and_relevant(tenant: Backend, collection: str) -> None:
    unanswerable = {"question": "Who won the world cup in 1998?", "relevant": [{"quote": "carp"}]}
    found = await evaluate(tenant, collection, questions=[*QUESTIONS, unanswerable], answers=True)
    assert found["answers"] == {"answered": 3 / 4, "relevant": 1, "faithfulness": 1}
    assert [each["answer_relevant"] for each in found["questions"]] == [True, True, True, None]
    assert found["questions"][0]["answer"].startswith("A yearly ticket costs forty euros.")


async def test_answers_that_were_made_up_are_seen(
    tenant: Backend, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer whose sentences are not what their places hold is not faithful: the check can fail."""
    part = documents.part

    async def other_text(*arguments: Any) -> str | None:
        found = await part(*arguments)
        return None if found is None else found.upper()

    monkeypatch.setattr(documents, "part", other_text)
    assert (await evaluate(tenant, collection, answers=True))["answers"]["faithfulness"] == 0


async def test_a_target_that_is_not_there_is_refused(tenant: Backend, collection: str) -> None:
    for target in ({"document_id": str(uuid7())}, {"chunk_id": str(uuid7()), "quote": "carp"}):
        questions = [QUESTIONS[0], {"question": "x", "relevant": [{"quote": "x"}, target]}]
        response = await tenant.post(f"{collection}/evaluate", {"questions": questions})
        assert refusal(response) == (400, "target_not_found")
        assert "questions[1].relevant[1]" in response.json()["detail"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"questions": []}, "invalid_request"),
        ({"questions": [{"question": "x", "relevant": []}]}, "invalid_request"),
        ({"questions": [{"question": "x", "relevant": [{}]}]}, "invalid_request"),
        ({"questions": [{"question": "x", "relevant": [{"quote": "  "}]}]}, "invalid_request"),
        ({"questions": [{"question": "x", "relevant": [{"quote": "x"}] * 21}]}, "invalid_request"),
        ({"questions": QUESTIONS * 17}, "invalid_request"),
        ({"questions": QUESTIONS * 7, "answers": True}, "invalid_request"),
        ({"questions": QUESTIONS, "modes": []}, "invalid_request"),
        ({"questions": QUESTIONS, "modes": ["dense", "dense"]}, "invalid_request"),
        ({"questions": QUESTIONS, "k": 0}, "invalid_request"),
        ({"questions": [{"question": "a " * 300, "relevant": [{"quote": "x"}]}]}, "input_too_long"),
    ],
)
async def test_bad_evaluations_are_refused(tenant: Backend, collection: str, body: dict[str, Any], code: str) -> None:
    assert refusal(await tenant.post(f"{collection}/evaluate", body)) == (400, code)


async def test_a_missing_collection_is_not_found(tenant: Backend) -> None:
    response = await tenant.post(f"/v1/collections/{uuid7()}/evaluate", {"questions": QUESTIONS})
    assert refusal(response) == (404, "collection_not_found")
