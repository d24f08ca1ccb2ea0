"""Quotes: what a job is charged for never exceeds them."""

from __future__ import annotations

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from omni.contracts.delegation import Delegation
from omni.contracts.money import Rate, amount_nanos
from omni.contracts.quotes import Term, billable, cost_nanos

SECRET = b"s" * 32
units = st.integers(0, 10**9)
terms = st.dictionaries(
    st.sampled_from(["training_ms", "predictions"]),
    st.builds(Term, units, st.integers(0, 10**12), st.integers(1, 10**6)),
)
rates = st.dictionaries(
    st.sampled_from(["training_ms", "predictions", "requests"]),
    st.builds(Rate, st.just(0), st.integers(0, 10**12), st.integers(1, 10**6)),
)
used = st.dictionaries(st.sampled_from(["training_ms", "predictions", "requests", "compute_ms"]), units)


@given(terms, used, rates)
def test_what_is_billed_costs_no_more_than_by_the_quote(
    agreed: dict[str, Term], quantities: dict[str, int], today: dict[str, Rate]
) -> None:
    billed = billable(agreed, quantities, today)
    within = {meter: min(quantities.get(meter, 0), term.most) for meter, term in agreed.items()}
    assert billed.keys() <= agreed.keys()
    assert all(0 < quantity <= within[meter] for meter, quantity in billed.items())
    assert amount_nanos(billed, today) <= cost_nanos(agreed, within) <= cost_nanos(agreed)


@given(terms, used)
def test_at_the_prices_of_the_quote_all_that_was_used_is_billed(
    agreed: dict[str, Term], quantities: dict[str, int]
) -> None:
    today = {meter: Rate(0, term.price_nanos, term.per_quantity) for meter, term in agreed.items()}
    within = {meter: min(quantities.get(meter, 0), term.most) for meter, term in agreed.items()}
    assert billable(agreed, quantities, today) == {meter: quantity for meter, quantity in within.items() if quantity}


def test_a_price_that_doubled_bills_half_and_one_that_fell_bills_all() -> None:
    agreed = {"training_ms": Term(60_000, 20_000_000, 60_000)}
    doubled = {"training_ms": Rate(0, 40_000_000, 60_000)}
    assert billable(agreed, {"training_ms": 30_000, "requests": 1}, doubled) == {"training_ms": 15_000}
    assert billable(agreed, {"training_ms": 90_000}, {"training_ms": Rate(0, 1, 60_000)}) == {"training_ms": 60_000}


@given(terms)
def test_a_delegation_carries_its_terms(agreed: dict[str, Term]) -> None:
    made = Delegation("ab" * 32, uuid4(), 10, agreed, in_batch=True)
    assert Delegation.verify(made.sign(SECRET), SECRET, 10) == made
    plain = Delegation("ab" * 32, uuid4(), 10)
    assert Delegation.verify(plain.sign(SECRET), SECRET, 10).terms is None
