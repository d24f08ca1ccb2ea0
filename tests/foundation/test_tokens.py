"""Tokens that prove themselves."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from omni.foundation.crypto.tokens import mint_token, read_token
from omni.kit.ids import BASE62

SECRET, PREFIX = b"s" * 32, "omni_invite_"
IDS = st.lists(st.uuids(), min_size=1, max_size=3)


@given(IDS)
def test_a_token_gives_back_its_ids(ids: list[UUID]) -> None:
    token = mint_token(SECRET, PREFIX, *ids)
    assert read_token(SECRET, PREFIX, token, len(ids)) == tuple(ids)
    assert read_token(b"t" * 32, PREFIX, token, len(ids)) is None
    assert read_token(SECRET, "omni_verify_", token, len(ids)) is None
    assert read_token(SECRET, PREFIX, token, len(ids) + 1) is None


@given(st.uuids(), st.data())
def test_a_changed_token_is_none(value: UUID, data: st.DataObject) -> None:
    token = mint_token(SECRET, PREFIX, value)
    place = data.draw(st.integers(0, len(token) - 1))
    changed = token[:place] + data.draw(st.sampled_from(BASE62 + "_-ü")) + token[place + 1 :]
    assert (read_token(SECRET, PREFIX, changed, 1) is None) == (changed != token)


@given(st.text())
def test_any_text_is_none(text: str) -> None:
    assert read_token(SECRET, PREFIX, text, 1) is None
