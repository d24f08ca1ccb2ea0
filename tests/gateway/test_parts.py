"""The small parts on their own."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from omni.contracts.endpoints import ENDPOINTS
from omni.contracts.snapshots import KeySnapshot
from omni.contracts.usage import UsageEvent
from omni.gateway.admission.events import EventTemplate, Outcome
from omni.gateway.admission.refusals import limit_headers
from omni.gateway.edge.errors import MethodNotAllowed
from omni.gateway.edge.routes import Routes
from omni.gateway.edge.trace import Trace
from omni.gateway.redis.resp import RedisAddress
from omni.kit.errors import NotFound
from omni.kit.ids import uuid7
from tests.gateway.support import held_by


def test_events_equal_the_contract() -> None:
    key = KeySnapshot(uuid4(), uuid4(), uuid4(), "test", frozenset(), (), None, revoked=False)
    template = EventTemplate(key, "POST /v1/embeddings")
    event_id = uuid7()
    owner = (event_id, key.tenant_id, key.project_id, key.key_id, key.mode, 123)
    held = UsageEvent(*owner, "POST /v1/embeddings", "", 0, 0, {"requests": 1})
    assert held_by(template, None, event_id, 123) == held.to_json()
    charged = replace(held, quantities={"requests": 1, "spend_nanos": 5})
    assert held_by(template, 5, event_id, 123) == charged.to_json()
    settled = UsageEvent(*owner, "POST /v1/embeddings", 'm"ö', 200, 9, {"requests": 1, "pages": 3}, {"target": 'ö"'})
    outcome = Outcome(200, {"requests": 1, "pages": 3}, 'm"ö', 9, {"target": 'ö"'})
    assert b"".join(template.settled(str(event_id).encode(), 123, outcome)) == settled.to_json()
    outcome.spend_nanos = 77
    before, after = template.settled(str(event_id).encode(), 123, outcome)
    priced = replace(settled, quantities={**settled.quantities, "spend_nanos": 77})
    assert before + b"77" + after == priced.to_json(), "the amount is put in by the call that settles"
    nothing = Outcome(503, {})
    nothing.spend_nanos = 0
    assert b'"quantities":{"spend_nanos":' in template.settled(b"x", 1, nothing)[0]


def test_every_endpoint_is_found_by_its_own_template() -> None:
    routes = Routes(ENDPOINTS)
    for endpoint in ENDPOINTS:
        path = endpoint.template.replace("{", "").replace("}", "").encode()
        assert routes.match(endpoint.method.encode(), path).endpoint is endpoint
    with pytest.raises(MethodNotAllowed) as refused:
        routes.match(b"PUT", b"/v1/collections/x")
    assert refused.value.allow == "DELETE, GET, PATCH"
    for path in (
        b"",
        b"/",
        b"/v1",
        b"/v1/",
        b"/v1/models/",
        b"/v1/models//",
        b"/v1/collections//documents",
        b"/v1/models/a/b",
    ):
        with pytest.raises(NotFound):
            routes.match(b"GET", path)


def test_trace_context() -> None:
    taken = Trace(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
    assert (taken.trace_id, taken.flags) == (b"0af7651916cd43dd8448eb211c80319c", b"00")
    zeros = b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01"
    for bad in (None, b"", b"nonsense", zeros, b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"):
        minted = Trace(bad)
        assert len(minted.header()) == 55
        assert minted.trace_id != b"0" * 32


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h:1/3", ("h", 1, None, False, None, None, 3)),
        ("rediss://u:p%40@h", ("h", 6379, None, True, "u", "p@", 0)),
        ("redis://:p@h", ("h", 6379, None, False, None, "p", 0)),
        ("unix:///run/r.sock?db=2", ("localhost", 6379, "/run/r.sock", False, None, None, 2)),
    ],
)
def test_redis_urls(url: str, expected: tuple[object, ...]) -> None:
    assert RedisAddress.from_url(url) == RedisAddress(*expected)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a Redis URL"):
        RedisAddress.from_url("http://h")


def test_reset_is_told_in_both_forms() -> None:
    assert b"ratelimit-reset: 1\r\n" in limit_headers(1, 1, 1)
    assert b"x-ratelimit-reset-requests: 1ms\r\n" in limit_headers(1, 1, 1)
    assert b"x-ratelimit-reset-requests: 2s\r\n" in limit_headers(1, 1, 1_000_001)
