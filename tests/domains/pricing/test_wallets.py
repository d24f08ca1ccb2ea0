"""The order in which a wallet's credit is used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.domains.pricing.rules.wallets import burn_down

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Grant:
    grant_id: UUID
    remaining_nanos: int = 10
    priority: int = 0
    granted_at: datetime = NOW - HOUR
    expires_at: datetime | None = None


def grant(number: int, **members: object) -> Grant:
    return Grant(UUID(int=number), **members)  # type: ignore[arg-type]


def takes(grants: list[Grant], need: int) -> list[tuple[int, int]]:
    return [(take.grant_id.int, take.nanos) for take in burn_down(grants, need, NOW)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (grant(2, priority=1), grant(1, priority=2, expires_at=NOW + HOUR)),
        (grant(2, expires_at=NOW + HOUR), grant(1)),
        (grant(2, expires_at=NOW + HOUR), grant(1, expires_at=NOW + 2 * HOUR, granted_at=NOW - 2 * HOUR)),
        (grant(2, granted_at=NOW - 2 * HOUR), grant(1)),
        (grant(1), grant(2)),
    ],
    ids=["priority", "what expires before what does not", "what expires sooner", "the oldest", "the id"],
)
def test_the_order(first: Grant, second: Grant) -> None:
    expected = [(first.grant_id.int, 10), (second.grant_id.int, 5)]
    assert takes([first, second], 15) == expected
    assert takes([second, first], 15) == expected


@pytest.mark.parametrize(
    "unusable",
    [grant(1, expires_at=NOW), grant(1, granted_at=NOW + HOUR), grant(1, remaining_nanos=0)],
    ids=["expired", "not yet granted", "used up"],
)
def test_what_is_not_credit_now_is_left_alone(unusable: Grant) -> None:
    assert takes([unusable, grant(2)], 15) == [(2, 10)]


def test_nothing_is_needed() -> None:
    assert takes([grant(1)], 0) == []
    with pytest.raises(ValueError, match="not be negative"):
        burn_down([], -1, NOW)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 3), st.integers(-2, 5)), max_size=6), st.integers(0, 400))
def test_as_much_is_taken_as_is_needed_and_there(found: list[tuple[int, int, int]], need: int) -> None:
    grants = [
        grant(number, remaining_nanos=nanos, priority=priority, expires_at=NOW + hours * HOUR)
        for number, (nanos, priority, hours) in enumerate(found)
    ]
    left = {each.grant_id.int: each.remaining_nanos for each in grants}
    # One nano-unit at a time from whichever is first in line.
    taken: dict[int, int] = {}
    for _ in range(need):
        line = [each for each in grants if left[each.grant_id.int] and each.expires_at and each.expires_at > NOW]
        if not line:
            break
        best = min(line, key=lambda each: (each.priority, each.expires_at or NOW, each.grant_id.int)).grant_id.int
        left[best] -= 1
        taken[best] = taken.get(best, 0) + 1
    assert dict(takes(grants, need)) == taken
