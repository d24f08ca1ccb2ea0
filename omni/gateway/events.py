"""Usage events as bytes: what never changes for a caller and route is encoded once.

The bytes equal `UsageEvent.to_json()`, which a test holds.
"""

from __future__ import annotations

import orjson

from omni.contracts.snapshots import KeySnapshot
from omni.contracts.usage import REQUESTS

ONE_REQUEST = {REQUESTS: 1}
_ONE_REQUEST_JSON = orjson.dumps(ONE_REQUEST)


class EventTemplate:
    """Writes the usage events of one key on one route."""

    __slots__ = ("_middle", "_owner")

    def __init__(self, key: KeySnapshot, endpoint: str) -> None:
        owner = {"tenant_id": key.tenant_id, "project_id": key.project_id, "key_id": key.key_id, "mode": key.mode}
        self._owner = b"," + orjson.dumps(owner)[1:-1] + b',"occurred_at_micros":'
        self._middle = b',"endpoint":' + orjson.dumps(endpoint) + b',"model":'

    def held(self, request_id: bytes, occurred_at_micros: int) -> bytes:
        """The event that counts when the lease runs out before an answer."""
        return b'{"event_id":"%b"%b%d%b"","status":0,"duration_micros":0,"quantities":%b}' % (
            request_id, self._owner, occurred_at_micros, self._middle, _ONE_REQUEST_JSON,
        )  # fmt: skip

    def settled(self, request_id: bytes, occurred_at_micros: int, outcome: Outcome) -> bytes:
        """The event of a request that came to an end."""
        return b'{"event_id":"%b"%b%d%b%b,"status":%d,"duration_micros":%d,"quantities":%b}' % (
            request_id, self._owner, occurred_at_micros, self._middle, orjson.dumps(outcome.model),
            outcome.status, outcome.duration_micros, orjson.dumps(outcome.quantities),
        )  # fmt: skip


class Outcome:
    """How a request ended: what its usage event says of it."""

    __slots__ = ("duration_micros", "model", "quantities", "status")

    def __init__(self, status: int, quantities: dict[str, int], model: str = "", duration_micros: int = 0) -> None:
        self.status = status
        self.quantities = quantities
        self.model = model
        self.duration_micros = duration_micros
