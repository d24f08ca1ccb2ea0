"""Identifiers and credentials."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.kit.ids import BASE62, base62, is_well_formed, mint_secret, uuid7, uuid7_floor, uuid7_time

PREFIXES = ("omni_live_", "omni_test_")


def test_uuid7_is_ordered_by_time_and_says_when() -> None:
    first, second = uuid7(), uuid7()
    assert (first.version, first.variant) == (7, "specified in RFC 4122")
    assert first.int >> 68 <= second.int >> 68
    assert abs(uuid7_time(first) - datetime.now(UTC)) < timedelta(seconds=5)


def test_uuid7_floor_is_below_every_id_of_its_moment() -> None:
    before = datetime.now(UTC)
    assert uuid7_floor(before) <= uuid7() < uuid7_floor(before + timedelta(minutes=1))


def test_ids_do_not_repeat() -> None:
    assert len({uuid7() for _ in range(20_000)}) == 20_000


def test_a_secret_is_well_formed_and_any_changed_character_is_not() -> None:
    secret = mint_secret("omni_live_")
    assert is_well_formed(secret, PREFIXES)
    for place in range(len("omni_live_"), len(secret)):
        other = "a" if secret[place] != "a" else "b"
        assert not is_well_formed(secret[:place] + other + secret[place + 1 :], PREFIXES)


@pytest.mark.parametrize("junk", ["", "omni_live_", "sk-abc", "omni_live_" + "ä" * 36, "omni_live_" + "a" * 35])
def test_junk_is_not_well_formed(junk: str) -> None:
    assert not is_well_formed(junk, PREFIXES)


@given(st.integers(min_value=0, max_value=62**6 - 1))
def test_base62_keeps_the_number(number: int) -> None:
    value = 0
    for digit in base62(number, 6):
        value = value * 62 + BASE62.index(digit)
    assert value == number


def test_base62_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        base62(62**2, 2)
