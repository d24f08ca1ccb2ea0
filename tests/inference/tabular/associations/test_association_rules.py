"""POST /v1/tabular/association-rules against the textbook's baskets and efficient-apriori."""

from __future__ import annotations

from typing import Any

import efficient_apriori
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omni.inference.tabular.associations.mining import frequent_sets, rules
from tests.inference.backend import Backend, refusal, usage

TAN = [
    ["bread", "milk"],
    ["bread", "nappies", "beer", "eggs"],
    ["milk", "nappies", "beer", "cola"],
    ["bread", "milk", "nappies", "beer"],
    ["bread", "milk", "nappies", "cola"],
]
"""Table 6.1 of Tan, Steinbach, Kumar (2005), Introduction to Data Mining."""


async def find(engines: Backend, transactions: list[list[str]], **more: object) -> dict[str, Any]:
    response = await engines.post("/v1/tabular/association-rules", {"transactions": transactions, **more})
    assert response.status_code == 200, response.text
    assert usage(response)["compute_ms"] >= 1
    found: dict[str, Any] = response.json()
    return found


async def test_the_textbooks_rule(engines: Backend) -> None:
    """{milk, nappies} -> {beer}: support 0.4, confidence 0.67 (Tan et al., example 6.1); the rest by hand."""
    found = await find(engines, TAN, min_support=0.4, min_confidence=0.6)
    assert (found["transactions"], found["items"]) == (5, 6)
    (rule,) = [r for r in found["rules"] if (r["antecedent"], r["consequent"]) == (["milk", "nappies"], ["beer"])]
    assert rule["count"] == 2
    assert rule["support"] == pytest.approx(0.4)
    assert rule["confidence"] == pytest.approx(2 / 3)
    assert rule["lift"] == pytest.approx(10 / 9)
    assert rule["leverage"] == pytest.approx(0.04)
    assert rule["conviction"] == pytest.approx(1.2)
    certain = [r for r in found["rules"] if r["antecedent"] == ["beer"] and r["consequent"] == ["nappies"]]
    assert (certain[0]["confidence"], certain[0]["conviction"]) == (1, None)


baskets = st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), min_size=1, max_size=15)


@settings(max_examples=80, deadline=None)
@given(baskets, st.sampled_from([0.1, 0.2, 1 / 3, 0.5, 1.0]), st.sampled_from([0.3, 0.5, 2 / 3, 1.0]))
def test_the_same_rules_as_efficient_apriori(transactions: list[list[str]], support: float, confidence: float) -> None:
    found = frequent_sets(transactions, support, 4, 10_000, lambda: None)
    ours = {
        (tuple(found.names[i] for i in rule.antecedent), tuple(found.names[i] for i in rule.consequent)): rule.both
        for rule in rules(found, confidence)
    }
    _, theirs = efficient_apriori.apriori(
        transactions, support - 1e-9, confidence - 1e-9, max_length=4, output_transaction_ids=False
    )
    expected = {(tuple(sorted(rule.lhs)), tuple(sorted(rule.rhs))): rule.count_full for rule in theirs}
    assert ours == expected


async def test_rules_are_sorted_and_counted(engines: Backend) -> None:
    everything = await find(engines, TAN, min_support=0.2, min_confidence=0, sort_by="confidence", limit=1_000)
    confidences = [rule["confidence"] for rule in everything["rules"]]
    assert confidences == sorted(confidences, reverse=True)
    some = await find(engines, TAN, min_support=0.2, min_confidence=0, sort_by="confidence", limit=3)
    assert some["rules"] == everything["rules"][:3]
    assert some["total_rules"] == everything["total_rules"] == len(everything["rules"])
    lifted = await find(engines, TAN, min_support=0.2, min_confidence=0, min_lift=1.5, limit=1_000)
    assert {rule["lift"] >= 1.5 for rule in lifted["rules"]} == {True}
    assert 0 < lifted["total_rules"] < everything["total_rules"]


async def test_an_item_counts_once_a_basket(engines: Backend) -> None:
    found = await find(engines, [["a", "a", "b"], ["a"]], min_support=0.5)
    assert found["rules"][0]["count"] == 1


@pytest.mark.parametrize("transactions", [[[]], [[], ["a"]], [["a"]], [["\u0000", "é", "x" * 200]]])
async def test_odd_baskets_are_served(engines: Backend, transactions: list[list[str]]) -> None:
    found = await find(engines, transactions, min_support=0.5)
    assert found["transactions"] == len(transactions)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"transactions": [[f"{i}" for i in range(60)]], "min_support": 1, "max_length": 5},
            (422, "too_many_itemsets"),
        ),
        ({"transactions": [["a"] * 100] * 2_001, "min_support": 1}, (400, "too_many_values")),
        ({"transactions": [], "min_support": 1}, (400, "invalid_request")),
        ({"transactions": [["a"]] * 10_001, "min_support": 1}, (400, "invalid_request")),
        ({"transactions": [["a"] * 101], "min_support": 1}, (400, "invalid_request")),
        ({"transactions": [["a"]], "min_support": 0}, (400, "invalid_request")),
        ({"transactions": [[""]], "min_support": 1}, (400, "invalid_request")),
        ({"transactions": [[1]], "min_support": 1}, (400, "invalid_request")),
    ],
)
async def test_bad_input_is_refused(engines: Backend, body: dict[str, Any], expected: tuple[int, str]) -> None:
    assert refusal(await engines.post("/v1/tabular/association-rules", body)) == expected


async def test_half_a_character_is_refused(engines: Backend) -> None:
    body, headers = rb'{"transactions": [["\ud800"]], "min_support": 1}', {"content-type": "application/json"}
    response = await engines.send("POST", "/v1/tabular/association-rules", content=body, headers=headers)
    assert refusal(response) == (400, "invalid_json")


async def test_too_many_attempts_are_refused_before_they_take_long(engines: Backend) -> None:
    """4,000 items in pairs that never meet: 8,000,000 conjunctions."""
    transactions = [[f"{i}", f"{i}"] for i in range(4_000)]
    body = {"transactions": transactions, "min_support": 1e-6}
    assert refusal(await engines.post("/v1/tabular/association-rules", body)) == (422, "too_many_itemsets")
