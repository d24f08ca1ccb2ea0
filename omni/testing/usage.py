"""Usage events for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from omni.contracts.snapshots import Mode
from omni.contracts.usage import COMPUTE_MS, INPUT_TOKENS, REQUESTS, UsageEvent
from omni.kit.ids import uuid7

_PROJECT, _KEY = UUID(int=1), UUID(int=2)


def usage_event(tenant_id: UUID, moment: datetime | None = None, mode: Mode = "live", **quantities: int) -> UsageEvent:
    """An event of an embedding request, with the given quantities or 1 request, 7 tokens and 3 milliseconds."""
    at = moment or datetime.now(UTC)
    return UsageEvent(
        event_id=uuid7(),
        tenant_id=tenant_id,
        project_id=_PROJECT,
        key_id=_KEY,
        mode=mode,
        occurred_at_micros=int(at.timestamp()) * 1_000_000 + at.microsecond,
        endpoint="POST /v1/embeddings",
        model="all-MiniLM-L6-v2",
        status=200,
        duration_micros=1_500,
        quantities=quantities or {REQUESTS: 1, INPUT_TOKENS: 7, COMPUTE_MS: 3},
    )
