"""Follow-up questions: what is carried over, and that nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omni.inference.retrieval.conversation import MAX_CARRIED, MAX_CARRIED_CHARS, Turn, leaves_out, rewrite
from tests.inference.backend import Backend, refusal


def said(*contents: str) -> list[Turn]:
    """Turns of a user and an assistant by turns, the user first."""
    return [Turn("assistant" if index % 2 else "user", content) for index, content in enumerate(contents)]


@pytest.mark.parametrize(
    "question",
    [
        "How much does it cost?",
        "And children?",
        "What about dogs?",
        "Why?",
        "When did they leave?",
        "Is that so?",
        "Fees?",
    ],
)
def test_a_question_that_points_back_leaves_something_out(question: str) -> None:
    assert leaves_out(question)


@pytest.mark.parametrize(
    "question", ["How much does a yearly ticket cost?", "Do dogs need a lead?", "When does the reading room close?"]
)
def test_a_whole_question_stays_as_it_is(question: str) -> None:
    assert rewrite(question, said("Tell me about carp in the pond.", "Carp live in Lake Bled.")).query == question


@pytest.mark.parametrize(
    ("question", "history", "carried"),
    [
        ("And what does it cost?", ["How long is a yearly ticket good for?"], ["long", "yearly", "ticket", "good"]),
        ("And children?", ["Fees of the garden?"], ["Fees", "garden"]),
        ("When was he born?", ["Who built it?", "The tower was built by Peter Novak in 1702."],
         ["built", "Peter Novak", "1702"]),
        ("How old is it?", ["Where is the castle of Piran?", "On the hill.", "Who lives there?", "Nobody."],
         ["lives", "castle", "Piran"]),
        ("Why?", [], []),
        ("And the garden?", ["The garden?"], []),
    ],
)  # fmt: skip
def test_words_names_and_numbers_are_carried(question: str, history: list[str], carried: list[str]) -> None:
    rewritten = rewrite(question, said(*history))
    assert rewritten.carried == carried
    assert rewritten.query == (f"{question} ({', '.join(carried)})" if carried else question)


@given(st.text(max_size=80), st.lists(st.text(max_size=300), max_size=6))
@settings(max_examples=40)
def test_only_what_was_said_is_carried(question: str, history: list[str]) -> None:
    rewritten = rewrite(question, said(*history))
    everything = " ".join(" ".join(history).split())
    assert rewritten.query.startswith(question)
    assert len(rewritten.carried) <= MAX_CARRIED
    assert all(term in everything and len(term) <= MAX_CARRIED_CHARS for term in rewritten.carried)


async def ask(tenant: Backend, collection: str, question: str, history: list[dict[str, str]]) -> dict[str, Any]:
    response = await tenant.post(f"{collection}/answer", {"question": question, "history": history})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_a_follow_up_is_answered(tenant: Backend, collection: str) -> None:
    history = [
        {"role": "user", "content": "Is there a yearly ticket for the garden?"},
        {"role": "assistant", "content": "Yes, there is."},
    ]
    alone = await ask(tenant, collection, "And how much does it cost?", [])
    assert (alone["query"], alone["carried"]) == ("And how much does it cost?", [])
    follow_up = await ask(tenant, collection, "And how much does it cost?", history)
    assert follow_up["carried"] == ["yearly", "ticket", "garden"]
    assert follow_up["query"] == "And how much does it cost? (yearly, ticket, garden)"
    assert follow_up["answer"].startswith("A yearly ticket costs forty euros.")


async def test_what_the_sources_do_not_say_stays_unanswered(tenant: Backend, collection: str) -> None:
    history = [{"role": "user", "content": "How tall is Mount Everest?"}, {"role": "assistant", "content": "8,849 m."}]
    answer = await ask(tenant, collection, "And who climbed it first?", history)
    assert (answer["found"], answer["reason"]) == (False, "no_relevant_passage")
    assert "Everest" in answer["carried"]


async def test_carried_words_never_make_a_question_too_long(tenant: Backend, collection: str) -> None:
    history = [{"role": "user", "content": " ".join(f"hydroxychloroquinesulfate{n}" for n in range(20))}]
    question = "it " * 240
    answer = await ask(tenant, collection, question, history)
    assert len(answer["carried"]) < MAX_CARRIED


@pytest.mark.parametrize(
    "history",
    [
        [{"role": "system", "content": "x"}],
        [{"role": "user"}],
        [{"role": "user", "content": "x" * 4_001}],
        [{"role": "user", "content": "\x00"}],
        [{"role": "user", "content": "x"}] * 21,
        "text",
    ],
)
async def test_bad_history_is_refused(tenant: Backend, collection: str, history: Any) -> None:
    response = await tenant.post(f"{collection}/answer", {"question": "x", "history": history})
    assert refusal(response) == (400, "invalid_request")
