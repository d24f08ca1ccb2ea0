"""Rules of identity."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from omni.domains.identity import rules
from omni.kit.emails import normalise_email

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("attempts", "minutes"), [(0, 0), (4, 0), (5, 15), (6, 30), (7, 60), (11, 960), (12, 1440), (10_000, 1440)]
)
def test_the_lock_doubles_up_to_a_day(attempts: int, minutes: int) -> None:
    assert (rules.lock_after(attempts) or timedelta(0)) == timedelta(minutes=minutes)


def test_attempts_are_forgotten_a_day_after_the_lock() -> None:
    assert rules.count_attempt(3, NOW, NOW + timedelta(hours=24)) == 4
    assert rules.count_attempt(3, NOW, NOW + timedelta(hours=25)) == 1
    assert rules.count_attempt(12, NOW, NOW + timedelta(hours=48)) == 13
    assert rules.count_attempt(12, NOW, NOW + timedelta(hours=49)) == 1


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        (" a.b+c@x.io ", "a.b+c@x.io"),
        ("root@localhost", "root@localhost"),
        ("jürgen@münchen.de", "jürgen@xn--mnchen-3ya.de"),
        ("ju\N{COMBINING DIAERESIS}rgen@x.de", "jürgen@x.de"),
    ],
)
def test_addresses_have_one_form(text: str, address: str) -> None:
    assert normalise_email(text) == address
    assert normalise_email(address) == address
