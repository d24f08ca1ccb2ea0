"""From the gateway's events to rollups, without I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from omni.contracts.usage import UsageEvent

LARGEST_QUANTITY = 2**53
LONGEST_NAME = 200
SLOT_MICROS = 15 * 60 * 1_000_000
"""Rollups are by the quarter of an hour: every time zone in use begins its days on one."""


@dataclass(frozen=True, slots=True, order=True)
class RollupKey:
    """One row of the rollups: a meter in a quarter of an hour, by everything that may be grouped by."""

    tenant_id: UUID
    meter: str
    mode: str
    starts_at: datetime
    project_id: UUID
    key_id: UUID
    endpoint: str
    model: str
    status: int


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
    groups: dict[tuple[object, ...], tuple[UsageEvent, int, dict[str, list[int]]]] = {}
    for event in events:
        slot = event.occurred_at_micros // SLOT_MICROS
        group = (
            event.tenant_id.int, event.key_id.int, event.project_id.int, event.mode, event.endpoint, event.model,
            event.status, slot,
        )  # fmt: skip
        found = groups.get(group)
        if found is None:
            found = groups[group] = (event, slot, {})
        meters = found[2]
        for meter, quantity in event.quantities.items():
            total = meters.get(meter)
            if total is None:
                meters[meter] = [quantity, 1]
            else:
                total[0] += quantity
                total[1] += 1
    return {
        RollupKey(
            event.tenant_id, meter, event.mode, instant(slot * SLOT_MICROS), event.project_id, event.key_id,
            event.endpoint, event.model, event.status,
        ): (quantity, count)
        for event, slot, meters in groups.values()
        for meter, (quantity, count) in meters.items()
    }  # fmt: skip
