"""What crosses process borders survives the journey, and what was tampered with does not."""

from __future__ import annotations

from uuid import uuid4

import pytest

from omni.contracts import redis_names
from omni.contracts.principal import InvalidPrincipal, Principal
from omni.contracts.snapshots import KeySnapshot, PlanSnapshot, TenantSnapshot
from omni.contracts.usage import UsageEvent, format_usage, parse_usage
from omni.testing.usage import usage_event

SECRET = b"s" * 32


def principal() -> Principal:
    return Principal(uuid4(), uuid4(), uuid4(), "live", None, 1_000)


def test_snapshots_and_events_round_trip() -> None:
    key = KeySnapshot(uuid4(), uuid4(), uuid4(), "test", frozenset({"a", "b"}), ("10.0.0.0/8",), 5, False)
    tenant = TenantSnapshot(uuid4(), "free", True)
    plan = PlanSnapshot("free", 60, 20, None, 10, None, 5, frozenset({"m"}))
    event = usage_event(uuid4())
    assert KeySnapshot.from_json(key.to_json()) == key
    assert TenantSnapshot.from_json(tenant.to_json()) == tenant
    assert PlanSnapshot.from_json(plan.to_json()) == plan
    assert UsageEvent.from_json(event.to_json()) == event


def test_a_signed_principal_is_accepted_until_its_deadline() -> None:
    signed = principal().sign(SECRET)
    assert Principal.verify(signed, SECRET, 1_000).deadline_micros == 1_000
    with pytest.raises(InvalidPrincipal, match="deadline"):
        Principal.verify(signed, SECRET, 1_001)


@pytest.mark.parametrize("place", [0, 20, -1, -10])
def test_a_changed_principal_is_refused(place: int) -> None:
    signed = bytearray(principal().sign(SECRET).encode())
    signed[place] ^= 1
    with pytest.raises(InvalidPrincipal):
        Principal.verify(signed.decode("latin-1"), SECRET, 0)


@pytest.mark.parametrize("junk", ["", ".", "a.b", "ž"])
def test_junk_is_no_principal(junk: str) -> None:
    with pytest.raises(InvalidPrincipal):
        Principal.verify(junk, SECRET, 0)


def test_another_secret_is_refused() -> None:
    with pytest.raises(InvalidPrincipal, match="signature"):
        Principal.verify(principal().sign(SECRET), b"t" * 32, 0)


def test_usage_header() -> None:
    assert parse_usage(format_usage({"input_tokens": 12, "compute_ms": 0})) == {"input_tokens": 12, "compute_ms": 0}
    assert parse_usage("") == {}


@pytest.mark.parametrize("value", ["a", "a=", "a=-1", "a=1.5", "a=1;b"])
def test_what_is_no_usage_header(value: str) -> None:
    with pytest.raises(ValueError, match="not a usage header"):
        parse_usage(value)


def test_everything_of_a_tenant_has_one_hash_tag() -> None:
    tenant_id = uuid4()
    number = redis_names.partition_of(tenant_id)
    names = [
        redis_names.usage_stream(number), redis_names.holds_index(number), redis_names.holds_data(number),
        redis_names.counters_ready(number), redis_names.rate_key(tenant_id, "rpm"),
        redis_names.quota_key(tenant_id, "live", "202611", "requests"),
    ]  # fmt: skip
    assert {name[: name.index("}") + 1] for name in names} == {redis_names.tag(number)}
    assert {redis_names.partition_of(uuid4()) for _ in range(2_000)} == set(range(redis_names.PARTITIONS))
