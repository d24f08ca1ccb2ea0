"""Usage of storage: the bytes of vectors that a tenant has, hour by hour.

Nothing is sampled. Every change of a tenant's number of vectors is logged with its instant, in the transaction that
makes it; the usage of an hour is the integral over it. An hour that was missed is counted later from the same log, to
the same figure, and folding an hour away commits together with its event.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from omni.contracts.usage import STORAGE_ENDPOINT, VECTOR_BYTE_HOURS, UsageEvent
from omni.foundation.db.sessions import SystemSession
from omni.inference.retrieval.repository import storage
from omni.inference.retrieval.repository.storage import tenants_with_changes
from omni.inference.retrieval.tables import VECTOR_BYTES
from omni.kit.ids import derived_uuid7

__all__ = ["metered_until", "settle", "tenants_with_changes"]

HOUR = timedelta(hours=1)
GRACE = timedelta(minutes=5)
"""How long after its end an hour waits for transactions that began in it."""
NOBODY = UUID(int=0)


def metered_until(now: datetime) -> datetime:
    """The end of the last hour that is metered at `now`."""
    settled = int((now - GRACE).timestamp())
    return datetime.fromtimestamp(settled - settled % 3600, UTC)


async def settle(session: SystemSession, tenant_id: UUID, until: datetime) -> list[UsageEvent]:
    """A live event for each hour before `until` that the tenant stored vectors in and that was not settled before.
    Record them in this transaction: with it the hours are done.

    An event's id follows from tenant and hour, so that one that is recorded again is known.
    """
    await storage.lock(session, tenant_id)
    hours = await storage.byte_hours(session, tenant_id, until, VECTOR_BYTES)
    await storage.fold(session, tenant_id, until)
    return [_event(tenant_id, hour, quantity) for hour, quantity in hours if quantity > 0]


def _event(tenant_id: UUID, hour: datetime, byte_hours: int) -> UsageEvent:
    return UsageEvent(
        event_id=event_id(tenant_id, hour),
        tenant_id=tenant_id,
        project_id=NOBODY,
        key_id=NOBODY,
        mode="live",
        occurred_at_micros=int(hour.timestamp()) * 1_000_000,
        endpoint=STORAGE_ENDPOINT,
        model="",
        status=200,
        duration_micros=0,
        quantities={VECTOR_BYTE_HOURS: byte_hours},
    )


def event_id(tenant_id: UUID, hour: datetime) -> UUID:
    """A UUIDv7 of the hour's first millisecond, the same for the same tenant."""
    return derived_uuid7(int(hour.timestamp()) * 1_000, tenant_id.bytes + VECTOR_BYTE_HOURS.encode())
