"""What the routes of metering work with, and the parts of a question that several share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Query
from pydantic import AwareDatetime

from omni.contracts.snapshots import Mode
from omni.domains.metering.contracts import Window
from omni.domains.metering.service.usage import METER, UsageQuery
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import Database
from omni.foundation.http.unit_of_work import UnitOfWork
from omni.kit.clock import Clock, month_start, next_month
from omni.kit.errors import InvalidInput
from omni.kit.zones import known_zone

if TYPE_CHECKING:
    from omni.foundation.db.system_session import SystemDatabase

LONGEST_SPAN = timedelta(days=400)
LONGEST_HOURLY_SPAN = timedelta(days=32)
MOST_GROUPS = 4

Period = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class MeteringDeps:
    """`access` makes the dependency that lets only permitted members pass, `operator` is the one for operators."""

    database: Database
    system_database: SystemDatabase
    """For the operator's view of all tenants' problems."""
    unit_of_work: UnitOfWork
    access: Callable[[Permission], Callable[..., Awaitable[TenantAccess]]]
    operator: Callable[..., Awaitable[object]]
    clock: Clock


def period_of(clock: Clock) -> Callable[..., Period]:
    """A dependency: the period that is asked about."""

    def period(
        since: Annotated[AwareDatetime | None, Query(description="Start; this month's when left out.")] = None,
        until: Annotated[AwareDatetime | None, Query(description="End, not included; a month after the start.")] = None,
    ) -> Period:
        start = since or month_start(clock.now())
        end = until or next_month(start)
        if end <= start:
            raise InvalidInput("period_empty", "`until` must be after `since`.", param="until")
        if end - start > LONGEST_SPAN:
            raise _too_long()
        return start, end

    return period


def filters_of(
    filters: Annotated[
        list[str] | None,
        Query(alias="filter", max_length=50, description="`dimension:value`; several values of one dimension add up."),
    ] = None,
) -> dict[str, list[str]]:
    """A dependency: allowed values by dimension."""
    found: dict[str, list[str]] = {}
    for each in filters or ():
        name, separator, value = each.partition(":")
        if not separator:
            raise InvalidInput("invalid_filter", "Write a filter as dimension:value, e.g. model:small.", param="filter")
        found.setdefault(name, []).append(value)
    return found


def query_of(clock: Clock) -> Callable[..., UsageQuery]:
    """A dependency: which usage is asked for."""
    in_period, filtered = Depends(period_of(clock)), Depends(filters_of)

    def query(
        window: Annotated[Window, Query(description="Length of one step.")] = "day",
        group_by: Annotated[
            list[str] | None,
            Query(max_length=MOST_GROUPS, description="`meter`, or dimensions of the meter that is named."),
        ] = None,
        meter: Annotated[str | None, Query(max_length=64, description="Only this meter; all when left out.")] = None,
        mode: Annotated[Mode, Query(description="Usage of live or of test keys.")] = "live",
        time_zone: Annotated[str, Query(max_length=64, description="Where days and months begin.")] = "UTC",
        period: Period = in_period,
        wanted: dict[str, list[str]] = filtered,
    ) -> UsageQuery:
        start, end = period
        if window == "hour" and end - start > LONGEST_HOURLY_SPAN:
            raise _too_long()
        groups = tuple(group_by or (METER,))
        if meter is None and (groups != (METER,) or wanted):
            raise InvalidInput(
                "meter_missing", "Name a meter: quantities of different meters do not add up.", param="meter"
            )
        return UsageQuery(start, end, window, known_zone(time_zone), meter, groups, wanted, mode)

    return query


def _too_long() -> InvalidInput:
    return InvalidInput("period_too_long", "At most 32 days by the hour, or 400 days. Ask for less at a time.")
