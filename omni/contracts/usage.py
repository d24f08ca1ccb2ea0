"""The usage event: one per request, minted by the gateway, the record that is rated and invoiced."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import orjson

from omni.contracts.snapshots import Mode

USAGE_HEADER: Final = "omni-usage"
"""Backend → gateway, a structured-field dictionary (RFC 9651) of integers: `input_tokens=12, compute_ms=34`."""

WAIT_HEADER: Final = "omni-wait-ms"
"""Backend → gateway: milliseconds that the request waited for an engine."""

MODEL_HEADER: Final = "omni-model"
"""Backend → gateway: the model that did the work."""

# Meters that requests produce. Their quantities are non-negative integers in the unit named here. Token meters are
# disjoint: what was read from a provider's cache is in `cached_input_tokens` and not in `input_tokens`.
REQUESTS: Final = "requests"
CACHED_REQUESTS: Final = "cached_requests"
"""Requests answered from the response cache; these count nothing else."""
INPUT_TOKENS: Final = "input_tokens"
CACHED_INPUT_TOKENS: Final = "cached_input_tokens"
CACHE_WRITE_TOKENS: Final = "cache_write_tokens"
INPUT_AUDIO_TOKENS: Final = "input_audio_tokens"
INPUT_IMAGE_TOKENS: Final = "input_image_tokens"
OUTPUT_TOKENS: Final = "output_tokens"
REASONING_TOKENS: Final = "reasoning_tokens"
OUTPUT_AUDIO_TOKENS: Final = "output_audio_tokens"
OUTPUT_IMAGE_TOKENS: Final = "output_image_tokens"
IMAGES: Final = "images"
CHARACTERS: Final = "characters"
AUDIO_MS: Final = "audio_ms"
COMPUTE_MS: Final = "compute_ms"
PAGES: Final = "pages"
TRAINING_MS: Final = "training_ms"
"""Of a job that trains a model, by the clock."""
PREDICTIONS: Final = "predictions"
"""Rows that a model of the tenant's answered."""
VECTOR_BYTE_HOURS: Final = "vector_byte_hours"
"""Of vectors that a tenant stores, hour by hour; no request's. 10⁹ of them are a GB-hour."""
_METERS: Final = (
    REQUESTS, CACHED_REQUESTS, INPUT_TOKENS, CACHED_INPUT_TOKENS, CACHE_WRITE_TOKENS, INPUT_AUDIO_TOKENS,
    INPUT_IMAGE_TOKENS, OUTPUT_TOKENS, REASONING_TOKENS, OUTPUT_AUDIO_TOKENS, OUTPUT_IMAGE_TOKENS, IMAGES, CHARACTERS,
    AUDIO_MS, COMPUTE_MS, PAGES, TRAINING_MS, PREDICTIONS, VECTOR_BYTE_HOURS,
)  # fmt: skip
TOKEN_METERS: Final = frozenset(meter for meter in _METERS if meter.endswith("_tokens"))

BATCH_PREFIX: Final = "batch_"
"""Of the meters of requests in a batch, which has a price of its own."""
BATCH_REQUESTS: Final = BATCH_PREFIX + REQUESTS
BATCH_COMPUTE_MS: Final = BATCH_PREFIX + COMPUTE_MS
_NEVER_IN_BATCHES: Final = (CACHED_REQUESTS, TRAINING_MS, PREDICTIONS, VECTOR_BYTE_HOURS)
METERS: Final = (*_METERS, *(BATCH_PREFIX + meter for meter in _METERS if meter not in _NEVER_IN_BATCHES))
QUOTA_METERS: Final = {
    REQUESTS: REQUESTS,
    COMPUTE_MS: COMPUTE_MS,
    BATCH_REQUESTS: REQUESTS,
    BATCH_COMPUTE_MS: COMPUTE_MS,
}
"""Meter → the meter whose monthly quota it counts against."""

STORAGE_ENDPOINT: Final = "storage"
"""What stands for the endpoint in events of what is stored: they are no requests, and have no project or key."""

# Money rides in the same record, in nano-units of the platform's currency; it is not priced again.
SPEND_NANOS: Final = "spend_nanos"
"""What the request was charged against budgets and wallet."""
COST_NANOS: Final = "cost_nanos"
"""What the provider charges the platform for it."""
WRITTEN_OFF_NANOS: Final = "written_off_nanos"
"""What went beyond a hard ceiling, and is therefore not charged."""
MONEY_METERS: Final = frozenset((SPEND_NANOS, COST_NANOS, WRITTEN_OFF_NANOS))


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """What one request used. `event_id` is the request id; quantities are integers by meter."""

    event_id: UUID
    tenant_id: UUID
    project_id: UUID
    key_id: UUID
    mode: Mode
    occurred_at_micros: int
    """When the request was admitted, Unix microseconds."""
    endpoint: str
    """Method and route template, e.g. `POST /v1/embeddings`."""
    model: str
    """Empty when no model was involved."""
    status: int
    """HTTP status that the client got; 0 = the lease ran out before an answer."""
    duration_micros: int
    quantities: dict[str, int]
    attributes: dict[str, str] = field(default_factory=dict)
    """What else is worth knowing: `provider`, `target`, `cache`, `estimated` (why the counts are ours, and how we
    counted: `no_usage/tokenizer`, `client_left/bytes`)."""

    def to_json(self) -> bytes:
        return orjson.dumps(
            {
                "event_id": self.event_id,
                "tenant_id": self.tenant_id,
                "project_id": self.project_id,
                "key_id": self.key_id,
                "mode": self.mode,
                "occurred_at_micros": self.occurred_at_micros,
                "endpoint": self.endpoint,
                "model": self.model,
                "status": self.status,
                "duration_micros": self.duration_micros,
                "quantities": self.quantities,
                "attributes": self.attributes,
            }
        )

    @classmethod
    def from_json(cls, data: bytes) -> UsageEvent:
        """Raises ValueError (orjson.JSONDecodeError is one), KeyError or TypeError for what is not an event."""
        row: dict[str, Any] = orjson.loads(data)
        return cls(
            event_id=UUID(row["event_id"]),
            tenant_id=_shared_uuid(row["tenant_id"]),
            project_id=_shared_uuid(row["project_id"]),
            key_id=_shared_uuid(row["key_id"]),
            mode=row["mode"],
            occurred_at_micros=row["occurred_at_micros"],
            endpoint=row["endpoint"],
            model=row["model"],
            status=row["status"],
            duration_micros=row["duration_micros"],
            quantities=row["quantities"],
            attributes=row.get("attributes") or {},
        )


@lru_cache(maxsize=65_536)
def _shared_uuid(text: str) -> UUID:
    """An id that many events have, parsed once."""
    return UUID(text)


def format_usage(quantities: dict[str, int]) -> str:
    """The value of the usage header."""
    return ", ".join(f"{meter}={quantity}" for meter, quantity in quantities.items())


def parse_usage(value: str) -> dict[str, int]:
    """The quantities of a usage header. Raises ValueError when it is not pairs of `meter=non-negative integer`."""
    quantities: dict[str, int] = {}
    for part in value.split(","):
        if not part.strip():
            continue
        meter, separator, number = part.strip().partition("=")
        if not separator or not number.isdecimal():
            raise ValueError(f"not a usage header: {value!r}")
        quantities[meter] = int(number)
    return quantities
