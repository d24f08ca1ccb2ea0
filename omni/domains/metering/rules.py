"""From events to rollups, without I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from omni.contracts.usage import UsageEvent

LARGEST_QUANTITY = 2**53
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, order=True)
class RollupKey:
    """One row of the hourly rollups."""

    tenant_id: UUID
    hour: datetime
    mode: str
    meter: str
    project_id: UUID
    key_id: UUID
    endpoint: str
    model: str


def instant(micros: int) -> datetime:
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)


def parse_event(raw: bytes) -> UsageEvent:
    """The event in a stream entry. Raises ValueError with the reason when it is none."""
    try:
        event = UsageEvent.from_json(raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a member is missing or of the wrong type: {error}") from error
    if event.mode not in ("live", "test"):
        raise ValueError(f"unknown mode {event.mode!r}")
    if len(event.endpoint) > LONGEST_NAME or len(event.model) > LONGEST_NAME:
        raise ValueError(f"endpoint or model is longer than {LONGEST_NAME} characters")
    for meter, quantity in event.quantities.items():
        if type(quantity) is not int or not 0 <= quantity <= LARGEST_QUANTITY:
            raise ValueError(f"quantity of {meter} is not an integer from 0 to 2^53: {quantity!r}")
    return event


def roll_up(events: Iterable[UsageEvent]) -> dict[RollupKey, tuple[int, int]]:
    """Quantity and number of events by rollup row."""
    totals: dict[RollupKey, tuple[int, int]] = {}
    for event in events:
        hour = instant(event.occurred_at_micros).replace(minute=0, second=0, microsecond=0)
        for meter, quantity in event.quantities.items():
            key = RollupKey(
                event.tenant_id, hour, event.mode, meter, event.project_id, event.key_id, event.endpoint, event.model
            )
            before, count = totals.get(key, (0, 0))
            totals[key] = (before + quantity, count + 1)
    return totals
