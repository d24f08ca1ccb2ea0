"""Usage events as bytes: what never changes for a caller and route is encoded once.

The bytes equal `UsageEvent.to_json()`, which a test holds. Of a settled event with an amount the bytes up to the amount
and those after it are kept apart: the amount is known only in the call that settles.
"""

from __future__ import annotations

from typing import Final

import orjson

from omni.contracts.snapshots import KeySnapshot
from omni.contracts.usage import REQUESTS, SPEND_NANOS

ONE_REQUEST: Final = {REQUESTS: 1}
_ONE_REQUEST_JSON: Final = orjson.dumps(ONE_REQUEST)
_SPEND: Final = b',"%b":' % SPEND_NANOS.encode("ascii")
_ONLY_SPEND: Final = _SPEND[1:]
_NO_ATTRIBUTES: Final[dict[str, str]] = {}


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

    __slots__ = ("_endpoint", "_owner")

    def __init__(self, key: KeySnapshot, endpoint: str) -> None:
        owner = {"tenant_id": key.tenant_id, "project_id": key.project_id, "key_id": key.key_id, "mode": key.mode}
        self._owner = b'",%b,"occurred_at_micros":' % orjson.dumps(owner)[1:-1]
        self._endpoint = b',"endpoint":%b,"model":' % orjson.dumps(endpoint)

    def held(self, spend_nanos: int | None) -> tuple[bytes, bytes, bytes]:
        """The event that counts when the lease runs out before an answer, one request: up to the request id, from there
        to the Unix microseconds, and what follows them."""
        quantities = _ONE_REQUEST_JSON
        if spend_nanos is not None:
            quantities = b'{"%b":1,"%b":%d}' % (REQUESTS.encode("ascii"), SPEND_NANOS.encode("ascii"), spend_nanos)
        end = b'"","status":0,"duration_micros":0,"quantities":%b,"attributes":{}}' % quantities
        return b'{"event_id":"', self._owner, self._endpoint + end

    def settled(self, request_id: bytes, occurred_at_micros: int, outcome: Outcome) -> tuple[bytes, bytes]:
        """The event of a request that came to an end: up to its amount, and from there on."""
        quantities, attributes = orjson.dumps(outcome.quantities), orjson.dumps(outcome.attributes)
        if outcome.spend_nanos is None:
            end = b',"attributes":%b}' % attributes
        else:
            quantities = quantities[:-1] + (_SPEND if outcome.quantities else _ONLY_SPEND)
            end = b'},"attributes":%b}' % attributes
        model: bytes = orjson.dumps(outcome.model)
        return b'{"event_id":"%b%b%d%b%b,"status":%d,"duration_micros":%d,"quantities":%b' % (
            request_id, self._owner, occurred_at_micros, self._endpoint, model, outcome.status,
            outcome.duration_micros, quantities,
        ), end  # fmt: skip
