"""The shape of keys, as secret scanners see it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.contracts.snapshots import KEY_PREFIXES
from omni.domains.keys import rules
from omni.kit.ids import BASE62, mint_secret


@given(st.sampled_from(KEY_PREFIXES), st.sampled_from(["", "key=", '"', "Bearer ", "\n", "https://x/?k="]))
def test_every_key_is_found_wherever_it_stands(prefix: str, before: str) -> None:
    secret = mint_secret(prefix)
    assert list(rules.find_secrets(f"{before}{secret} and more")) == [secret]


@given(st.sampled_from(KEY_PREFIXES), st.integers(10, 45), st.sampled_from(BASE62))
def test_a_wrong_character_is_no_key(prefix: str, place: int, char: str) -> None:
    secret = mint_secret(prefix)
    changed = secret[:place] + char + secret[place + 1 :]
    assert list(rules.find_secrets(changed)) == ([secret] if changed == secret else [])


@pytest.mark.parametrize(
    "text",
    [
        "omni_live_" + "0" * 30,
        "omni_live_" + "0" * 37,
        "omni_prod_" + "0" * 36,
        "xomni_live_" + "0" * 36,
        "omni_sess_" + "0" * 36,
        "omni_live_" + "0" * 35 + "-",
    ],
)
def test_other_things_do_not_match(text: str) -> None:
    assert not re.search(rules.SECRET_PATTERN, text)


def test_the_readme_shows_the_same_expression() -> None:
    with open("omni/domains/keys/README.md", encoding="utf-8") as readme:
        assert readme.read().count(rules.SECRET_PATTERN) == 2
