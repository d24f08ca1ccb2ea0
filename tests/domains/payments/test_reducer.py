"""What has come of a payment does not depend on the order in which events arrive, nor on how often they do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.domains.payments.contracts import EventKind, PaymentEvent, PaymentStatus
from omni.domains.payments.rules import PaymentState, apply, reduce

START = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
PAYMENT_ID = UUID("0193a000-0000-7000-8000-000000000001")


def event(
    kind: EventKind, second: int, *, amount_minor: int = 10_000, subject: str = "", code: str = ""
) -> PaymentEvent:
    moment = START + timedelta(seconds=second)
    return PaymentEvent(
        f"evt_{kind}_{second}", kind, moment, "pi_1", PAYMENT_ID, amount_minor, "EUR", subject, code=code
    )


LIFE = (
    event(EventKind.PAYMENT_PENDING, 0),
    event(EventKind.PAYMENT_FAILED, 1, code="insufficient_funds"),
    event(EventKind.PAYMENT_REQUIRES_ACTION, 2),
    event(EventKind.PAYMENT_SUCCEEDED, 3),
    event(EventKind.REFUND_PENDING, 4, amount_minor=2_500, subject="re_1"),
    event(EventKind.REFUND_SUCCEEDED, 4, amount_minor=2_500, subject="re_1"),
)


def test_all_720_orders_with_duplicates_end_alike() -> None:
    wanted = reduce(LIFE)
    assert wanted.status == PaymentStatus.SUCCEEDED
    assert (wanted.received_minor, wanted.refunded_minor, wanted.kept_minor) == (10_000, 2_500, 7_500)
    orders = list(permutations(LIFE))
    assert len(orders) == 720
    for order in orders:
        assert reduce(order) == wanted
        assert reduce(order + order[::-1]) == wanted
        assert reduce(each for each in order for _ in range(2)) == wanted


KINDS = st.sampled_from([kind for kind in EventKind if kind != EventKind.METHOD_SAVED])


@st.composite
def histories(draw: st.DrawFn) -> list[PaymentEvent]:
    """Events whose ids are their own, some of the same second."""
    drawn = draw(st.lists(st.tuples(KINDS, st.integers(0, 3), st.sampled_from("ab"), st.integers(1, 99)), max_size=8))
    return [
        replace(event(kind, second, amount_minor=amount, subject=subject), event_id=f"evt_{index}")
        for index, (kind, second, subject, amount) in enumerate(drawn)
    ]


@given(histories(), st.randoms())
def test_any_history_in_any_order_with_any_repetition(history: list[PaymentEvent], random: object) -> None:
    shuffled = [*history, *history[:3]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert reduce(shuffled) == reduce(history)


def test_a_success_stands_against_what_is_told_later_of_an_earlier_attempt() -> None:
    late_failure = event(EventKind.PAYMENT_FAILED, 9, code="card_declined")
    assert reduce([LIFE[3], late_failure]).status == PaymentStatus.SUCCEEDED


def test_a_failed_payment_says_why() -> None:
    state = reduce(LIFE[:2])
    assert (state.status, state.code, state.received_minor) == (PaymentStatus.FAILED, "insufficient_funds", 0)
    assert reduce(LIFE[:3]).code == ""
    assert PaymentState().status == PaymentStatus.PENDING


def test_a_refund_that_fails_after_all_gives_the_money_back_to_us() -> None:
    failed = event(EventKind.REFUND_FAILED, 20, amount_minor=2_500, subject="re_1")
    assert reduce([*LIFE, failed]).refunded_minor == 0


def test_refunds_add_up_each_once() -> None:
    second = event(EventKind.REFUND_SUCCEEDED, 6, amount_minor=500, subject="re_2")
    assert reduce([*LIFE, second, second]).refunded_minor == 3_000


@pytest.mark.parametrize(
    ("kinds", "withdrawn"),
    [
        ([EventKind.DISPUTE_OPENED], 10_000),
        ([EventKind.DISPUTE_OPENED, EventKind.DISPUTE_WON], 0),
        ([EventKind.DISPUTE_OPENED, EventKind.DISPUTE_LOST], 10_000),
    ],
)
def test_a_dispute_takes_the_money_until_it_is_won(kinds: list[EventKind], withdrawn: int) -> None:
    disputes = [event(kind, 10 + index, subject="dp_1") for index, kind in enumerate(kinds)]
    state = reduce([LIFE[3], *disputes])
    assert state.withdrawn_minor == withdrawn
    assert state.kept_minor == 10_000 - withdrawn


def test_a_saved_method_changes_no_payment() -> None:
    saved = event(EventKind.METHOD_SAVED, 1, subject="pm_1")
    assert apply(PaymentState(), saved) == PaymentState()
