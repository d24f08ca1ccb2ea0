"""Envelope encryption: a value opens in its own place with its own key, and nowhere else."""

from __future__ import annotations

import os
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from omni.foundation.crypto.envelope import Envelope, Place
from omni.foundation.crypto.secrets import InvalidMasterKey, MasterKey
from omni.kit.sealing import DecryptionFailed


@pytest.fixture
def master() -> MasterKey:
    return MasterKey(os.urandom(32))


def test_a_value_opens_only_where_it_belongs(master: MasterKey) -> None:
    envelope, tenant = Envelope(master), uuid4()
    key = envelope.new_data_key(str(tenant))
    place = Place(tenant, "endpoints", "secret", "7")
    sealed = envelope.encrypt(key, b"hunter2", place)
    assert envelope.decrypt(key, sealed, place) == b"hunter2"
    assert b"hunter2" not in sealed
    for other in (
        replace(place, tenant_id=uuid4()),
        replace(place, table="x"),
        replace(place, column="x"),
        replace(place, row="8"),
    ):
        with pytest.raises(DecryptionFailed):
            envelope.decrypt(key, sealed, other)
    with pytest.raises(DecryptionFailed):
        envelope.decrypt(key, sealed[:-1] + bytes([sealed[-1] ^ 1]), place)
    with pytest.raises(DecryptionFailed):
        envelope.decrypt(key, b"\x02" + sealed[1:], place)


def test_rotation_rewraps_the_data_key_and_leaves_the_values(master: MasterKey) -> None:
    before, tenant = Envelope(master), uuid4()
    key = before.new_data_key(str(tenant))
    place = Place(tenant, "t", "c", "1")
    sealed = before.encrypt(key, b"value", place)
    after = Envelope(MasterKey(os.urandom(32)), previous=master)
    rewrapped = after.rewrap(key, str(tenant))
    assert rewrapped.key_id != key.key_id
    assert after.decrypt(rewrapped, sealed, place) == b"value"
    with pytest.raises(DecryptionFailed, match="not configured"):
        before.decrypt(rewrapped, sealed, place)


def test_a_master_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "master.key"
    made = MasterKey.load_or_create(file)
    assert MasterKey.load_or_create(file) == made
    assert file.stat().st_mode & 0o777 == 0o600
    assert made.derive("a") != made.derive("b")
    assert str(made.material) not in repr(made)


@pytest.mark.parametrize("text", ["", "short", b64encode(b"x" * 31).decode(), "!" * 44])
def test_what_is_no_master_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidMasterKey, match="openssl rand"):
        MasterKey.from_base64(text)
