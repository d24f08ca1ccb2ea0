"""POST /v1/text/compare."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.inference.language.comparison.facts import negations, numbers
from omni.inference.language.comparison.pairs import Pair, in_order
from tests.inference.backend import Backend, refusal, usage

PATH = "/v1/text/compare"
BEFORE = (
    "The notice period is 30 days. Fees are not refunded. The provider keeps logs for a year. "
    "Both parties may end the contract. Nothing else applies."
)
AFTER = (
    "Both parties may end   the contract. The period of notice is 60 days. Fees are refunded. "
    "The provider keeps logs for a year. The court of Ljubljana is competent."
)


async def compare(engines: Backend, before: str, after: str, **more: object) -> dict[str, Any]:
    response = await engines.post(PATH, {"before": before, "after": after, **more})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_every_kind_of_change(engines: Backend) -> None:
    answer = await compare(engines, BEFORE, AFTER)
    kinds = [(c["kind"], (c["after"] or c["before"])["text"].split()[0]) for c in answer["changes"]]
    assert kinds == [
        ("moved", "Both"),
        ("reworded", "The"),
        ("reworded", "Fees"),
        ("unchanged", "The"),
        ("removed", "Nothing"),
        ("added", "The"),
    ]
    assert answer["counts"] == {"moved": 1, "reworded": 2, "unchanged": 1, "removed": 1, "added": 1}
    _, period, fees, *_ = answer["changes"]
    assert period["numbers"] == {"removed": ["30"], "added": ["60"]}
    assert (period["negation_changed"], fees["negation_changed"]) == (False, True)
    assert fees["numbers"] is None
    for change in answer["changes"]:
        for side, text in (("before", BEFORE), ("after", AFTER)):
            if change[side]:
                assert text[change[side]["start"] : change[side]["end"]] == change[side]["text"]


async def test_the_cosine_is_the_one_of_the_vectors(engines: Backend) -> None:
    one, other = "The notice period is 30 days.", "The period of notice is 60 days."
    (change,) = (await compare(engines, one, other))["changes"]
    scores = (await engines.post("/v1/text/similarity", {"pairs": [[one, other]]})).json()["scores"]
    assert change["cosine"] == pytest.approx(scores[0], abs=1e-5)
    strict = await compare(engines, one, other, threshold=1.0)
    assert strict["counts"] == {"removed": 1, "added": 1}


async def test_equal_texts_embed_nothing(engines: Backend) -> None:
    response = await engines.post(PATH, {"before": BEFORE, "after": BEFORE})
    assert response.json()["counts"] == {"unchanged": 5}
    assert set(usage(response)) == {"compute_ms"}


async def test_signs_alone_are_compared_as_they_are(engines: Backend) -> None:
    answer = await compare(engines, "…", "!\n\n…")
    assert answer["counts"] == {"added": 1, "unchanged": 1}
    assert (await compare(engines, " ", "New text."))["counts"] == {"added": 1}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("It costs 1,000 euros.", "It costs 1000 euros.", True),
        ("It costs 1.5 euros.", "It costs 15 euros.", False),
        ("After two weeks.", "After 2 weeks.", True),
        ("Up to 10 or 20.", "Up to 20 or 10.", True),
        ("10 and 10", "10", False),
    ],
)
def test_numbers(one: str, other: str, same: bool) -> None:
    assert (numbers(one) == numbers(other)) is same


def test_negations() -> None:
    assert [negations(text) for text in ("I don’t know", "It is not so, never", "Yes", "Das geht nicht", "Ni res")] == [
        1, 2, 0, 1, 1,
    ]  # fmt: skip


@given(st.permutations(range(6)))
def test_the_most_pairs_stay(order: list[int]) -> None:
    """Against all subsets."""
    pairs = [Pair(before, after, None) for after, before in enumerate(order)]
    kept = sorted(in_order(pairs), key=lambda pair: pair.after)
    assert [pair.before for pair in kept] == sorted(pair.before for pair in kept)
    longest = max(size for size in range(7) for some in combinations(order, size) if list(some) == sorted(some))
    assert len(kept) == longest


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"before": "x"}, "invalid_request"),
        ({"before": "", "after": "x"}, "invalid_request"),
        ({"before": " ", "after": "\n"}, "input_empty"),
        ({"before": "x", "after": "Go on. " * 401}, "too_many_sentences"),
        ({"before": "x", "after": "y", "threshold": 1.1}, "invalid_request"),
    ],
)
async def test_bad_input_is_refused(engines: Backend, body: dict[str, object], code: str) -> None:
    assert refusal(await engines.post(PATH, body)) == (400, code)
