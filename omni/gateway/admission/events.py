"""Usage events as bytes: what never changes for a caller and route is encoded once.

The bytes equal `UsageEvent.to_json()`, which a test holds. Of a settled event with an amount the bytes up to the amount
and those after it are kept apart: the amount is known only in the call that settles.
"""

from __future__ import annotations

import orjson

from omni.contracts.snapshots import KeySnapshot
from omni.contracts.usage import REQUESTS, SPEND_NANOS

ONE_REQUEST = {REQUESTS: 1}
_ONE_REQUEST_JSON = orjson.dumps(ONE_REQUEST)
_NO_ATTRIBUTES: dict[str, str] = {}


class Outcome:
    """How a request ended, or how far it has come: what its usage event says of it.

    `spend_nanos` is None when nothing was to be priced.
    """

    __slots__ = ("attributes", "duration_micros", "model", "quantities", "spend_nanos", "status")

    def __init__(
        self,
        status: int,
        quantities: dict[str, int],
        model: str = "",
        duration_micros: int = 0,
        attributes: dict[str, str] = _NO_ATTRIBUTES,
    ) -> None:
        self.status = status
        self.quantities = quantities
        self.model = model
        self.duration_micros = duration_micros
        self.attributes = attributes
        self.spend_nanos: int | None = None


class EventTemplate:
    """Writes the usage events of one key on one route."""

    __slots__ = ("_middle", "_owner")

    def __init__(self, key: KeySnapshot, endpoint: str) -> None:
        owner = {"tenant_id": key.tenant_id, "project_id": key.project_id, "key_id": key.key_id, "mode": key.mode}
        self._owner = b"," + orjson.dumps(owner)[1:-1] + b',"occurred_at_micros":'
        self._middle = b',"endpoint":' + orjson.dumps(endpoint) + b',"model":'

    def held(self, request_id: bytes, occurred_at_micros: int, spend_nanos: int | None) -> bytes:
        """The event that counts when the lease runs out before an answer: one request."""
        quantities = _ONE_REQUEST_JSON
        if spend_nanos is not None:
            quantities = b'{"%b":1,"%b":%d}' % (REQUESTS.encode("ascii"), SPEND_NANOS.encode("ascii"), spend_nanos)
        return b'{"event_id":"%b"%b%d%b"","status":0,"duration_micros":0,"quantities":%b,"attributes":{}}' % (
            request_id, self._owner, occurred_at_micros, self._middle, quantities,
        )  # fmt: skip

    def settled(self, request_id: bytes, occurred_at_micros: int, outcome: Outcome) -> tuple[bytes, bytes]:
        """The event of a request that came to an end: up to its amount, and from there on."""
        quantities = orjson.dumps(outcome.quantities)
        end = b',"attributes":%b}' % (orjson.dumps(outcome.attributes) if outcome.attributes else b"{}")
        if outcome.spend_nanos is not None:
            separator = b"," if outcome.quantities else b""
            quantities = b'%b%b"%b":' % (quantities[:-1], separator, SPEND_NANOS.encode("ascii"))
            end = b"}" + end
        before = b'{"event_id":"%b"%b%d%b%b,"status":%d,"duration_micros":%d,"quantities":%b' % (
            request_id, self._owner, occurred_at_micros, self._middle, orjson.dumps(outcome.model),
            outcome.status, outcome.duration_micros, quantities,
        )  # fmt: skip
        return before, end
