"""`/api/meters` for everyone, `/api/tenants/{tenant_id}/usage` for its members."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime

from omni.contracts.snapshots import Mode
from omni.domains.metering import service
from omni.domains.metering.schemas import GroupBy, MeterList, MeterOut, UsageOut, UsagePointOut, Window
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import Database
from omni.kit.clock import Clock, month_start, next_month
from omni.kit.errors import InvalidInput

LONGEST_SPAN = timedelta(days=400)
LONGEST_HOURLY_SPAN = timedelta(days=32)


@dataclass(frozen=True, slots=True)
class MeteringDeps:
    """What the routes work with. `access` makes the dependency that lets only permitted members pass."""

    database: Database
    access: Callable[[Permission], Callable[..., Awaitable[TenantAccess]]]
    clock: Clock


def router(deps: MeteringDeps) -> APIRouter:
    """The routes of this domain."""
    routes = APIRouter(prefix="/api", tags=["usage"])
    may_read, in_period = Depends(deps.access(Permission.USAGE_READ)), Depends(_period(deps.clock))

    @routes.get("/meters", response_model=MeterList)
    async def list_meters() -> MeterList:
        """What the platform counts."""
        async with deps.database.shared() as session:
            return MeterList(data=[MeterOut(**meter) for meter in await service.list_meters(session)])

    @routes.get("/tenants/{tenant_id}/usage", response_model=UsageOut)
    async def get_usage(
        window: Annotated[Window, Query(description="Length of one step.")] = "day",
        group_by: Annotated[GroupBy, Query(description="What each figure is of.")] = "meter",
        meter: Annotated[str | None, Query(max_length=64, description="Only this meter; all when left out.")] = None,
        mode: Annotated[Mode, Query(description="Usage of live or of test keys.")] = "live",
        time_zone: Annotated[str, Query(max_length=64, description="Where days and months begin.")] = "UTC",
        period: tuple[datetime, datetime] = in_period,
        access: TenantAccess = may_read,
    ) -> UsageOut:
        """Usage by window and group. Group by `meter`, or name one: quantities of several meters do not add up."""
        if group_by != "meter" and meter is None:
            raise InvalidInput(
                "meter_missing", "Name a meter: quantities of different meters do not add up.", param="meter"
            )
        since, until = period
        if until - since > (LONGEST_HOURLY_SPAN if window == "hour" else LONGEST_SPAN):
            raise InvalidInput("period_too_long", "At most 32 days by the hour, or 400 days. Ask for less at a time.")
        parameters: dict[str, object] = {
            "window": window, "group_by": group_by, "meter": meter, "mode": mode,
            "zone": _known_zone(time_zone), "since": since, "until": until,
        }  # fmt: skip
        async with deps.database.read(access.tenant_id) as session:
            points = await service.usage_series(session, parameters)
        data = [UsagePointOut(start=p.start, group=p.group, quantity=p.quantity, events=p.events) for p in points]
        return UsageOut(window=window, group_by=group_by, data=data)

    return routes


def _period(clock: Clock) -> Callable[..., tuple[datetime, datetime]]:
    def period(
        since: Annotated[AwareDatetime | None, Query(description="Start; this month's when left out.")] = None,
        until: Annotated[AwareDatetime | None, Query(description="End, not included; a month after the start.")] = None,
    ) -> tuple[datetime, datetime]:
        start = since or month_start(clock.now())
        end = until or next_month(start)
        if end <= start:
            raise InvalidInput("period_empty", "`until` must be after `since`.", param="until")
        return start, end

    return period


def _known_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            "unknown_time_zone", "Use a name of the IANA time-zone database, e.g. Europe/Ljubljana.", param="time_zone"
        ) from None
