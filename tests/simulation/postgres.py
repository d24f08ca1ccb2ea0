"""PostgreSQL as metering uses it: events, rollups and the questions that counters are rebuilt by, on dictionaries.

It stands in for the functions of `metering.repository`, so that the real `record`, `Drain` and `Counters` run on it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from omni.contracts.usage import SPEND_NANOS, UsageEvent
from omni.domains.metering.rules.stream import RollupKey


class SimPostgres:
    """Committed state; one transaction at a time."""

    def __init__(self, pause: Callable[[float], Awaitable[None]]) -> None:
        self._pause = pause
        self.events: dict[UUID, UsageEvent] = {}
        self.rollups: dict[RollupKey, tuple[int, int]] = {}
        self.rejects: list[tuple[bytes, str]] = []

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        yield self
        await self._pause(0.005)

    async def insert_events(self, _: Any, events: Sequence[UsageEvent]) -> set[UUID]:
        new = {event.event_id: event for event in events if event.event_id not in self.events}
        self.events |= new
        return set(new)

    async def add_to_rollups(self, _: Any, totals: dict[RollupKey, tuple[int, int]]) -> None:
        self._add(totals, 1)

    async def take_from_rollups(self, _: Any, totals: dict[RollupKey, tuple[int, int]]) -> None:
        self._add(totals, -1)

    def _add(self, totals: dict[RollupKey, tuple[int, int]], sign: int) -> None:
        for key, (quantity, events) in totals.items():
            before = self.rollups.get(key, (0, 0))
            after = before[0] + sign * quantity, before[1] + sign * events
            if min(after) < 0:
                raise AssertionError(f"quantity_not_negative: {key}")
            self.rollups[key] = after

    async def lock_expired(self, _: Any, events: Sequence[UsageEvent]) -> list[UsageEvent]:
        known = (self.events.get(event.event_id) for event in events)
        return [event for event in known if event is not None and event.status == 0]

    async def replace_event(self, _: Any, event: UsageEvent) -> None:
        self.events[event.event_id] = event

    async def insert_rejects(self, _: Any, rejects: Sequence[tuple[bytes, str]]) -> None:
        self.rejects += rejects

    async def month_totals(
        self, _: Any, start: datetime, end: datetime, active_since: datetime | None = None
    ) -> list[dict[str, Any]]:
        totals: dict[tuple[UUID, str, str], int] = {}
        for key, (quantity, _events) in self.rollups.items():
            if start <= key.starts_at < end:
                group = (key.tenant_id, key.mode, key.meter)
                totals[group] = totals.get(group, 0) + quantity
        return [
            {"tenant_id": tenant, "mode": mode, "meter": meter, "quantity": quantity}
            for (tenant, mode, meter), quantity in totals.items()
        ]

    async def spend_totals(
        self, _: Any, day: datetime, month: datetime, active_since: datetime | None = None
    ) -> list[dict[str, Any]]:
        rows: dict[UUID, dict[str, Any]] = {}
        for key, (quantity, _events) in self.rollups.items():
            if key.meter != SPEND_NANOS or key.mode != "live":
                continue
            for scope in (key.tenant_id, key.project_id, key.key_id):
                zero = {"tenant_id": key.tenant_id, "scope_id": scope, "all": 0, "month": 0, "day": 0}
                row = rows.setdefault(scope, zero)
                row["all"] += quantity
                row["month"] += quantity if key.starts_at >= month else 0
                row["day"] += quantity if key.starts_at >= day else 0
        return list(rows.values())
