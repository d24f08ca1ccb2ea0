"""`/api/tenants/{tenant_id}/usage` for its members: by window, the events behind it, an export, and problems."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime
from starlette.responses import StreamingResponse

from omni.contracts.snapshots import Mode
from omni.domains.metering.contracts import UsagePoint, UsageProblem
from omni.domains.metering.routes import export
from omni.domains.metering.routes.deps import MeteringDeps, Period, filters_of, period_of, query_of
from omni.domains.metering.rules.quantities import to_json
from omni.domains.metering.schemas import (
    CountedEventOut,
    CountedEventsOut,
    Format,
    UsageOut,
    UsagePointOut,
    UsageProblemOut,
    UsageProblemsOut,
)
from omni.domains.metering.service import measuring, usage
from omni.domains.metering.service.usage import UsageQuery
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission

PROBLEMS_OF = timedelta(days=35)


def add_routes(routes: APIRouter, deps: MeteringDeps) -> None:
    """Reading usage takes `usage:read`."""
    may_read, asked = Depends(deps.access(Permission.USAGE_READ)), Depends(query_of(deps.clock))
    in_period, filtered = Depends(period_of(deps.clock)), Depends(filters_of)

    @routes.get("/tenants/{tenant_id}/usage", response_model=UsageOut)
    async def get_usage(query: UsageQuery = asked, access: TenantAccess = may_read) -> UsageOut:
        """Usage by window and group. Group by `meter`, or name one: quantities of several meters do not add up."""
        async with deps.database.read(access.tenant_id) as session:
            points = await usage.usage_series(session, query, deps.clock.now())
        return UsageOut.model_construct(
            window=query.window, group_by=list(query.group_by), data=[_to_api_point(point) for point in points]
        )

    @routes.get(
        "/tenants/{tenant_id}/usage/export",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/csv": {}, "application/vnd.apache.parquet": {}}}},
    )
    async def export_usage(
        query: UsageQuery = asked,
        file_format: Annotated[Format, Query(alias="format", description="The file's format.")] = "csv",
        access: TenantAccess = may_read,
    ) -> StreamingResponse:
        """The same as a file, sent as it is read."""
        dimensions = [name for name in query.group_by if name != usage.METER]
        if query.meter is not None:
            async with deps.database.read(access.tenant_id) as session:
                await measuring.check(session, query.meter, query.filters, dimensions)

        async def points() -> AsyncIterator[UsagePoint]:
            async with deps.database.read(access.tenant_id) as session:
                async for point in usage.stream_series(session, query, deps.clock.now()):
                    yield point

        written = export.WRITERS[file_format](points(), dimensions)
        disposition = {"content-disposition": f'attachment; filename="usage.{file_format}"'}
        return StreamingResponse(written, media_type=export.MEDIA_TYPES[file_format], headers=disposition)

    @routes.get("/tenants/{tenant_id}/usage/events", response_model=CountedEventsOut)
    async def list_events(
        meter: Annotated[str, Query(max_length=64)],
        mode: Annotated[Mode, Query(description="Of live or of test keys.")] = "live",
        after: Annotated[str | None, Query(max_length=80, description="The cursor of the last event so far.")] = None,
        limit: Annotated[int, Query(ge=1, le=measuring.MOST_EVENTS)] = 100,
        period: Period = in_period,
        filters: dict[str, list[str]] = filtered,
        access: TenantAccess = may_read,
    ) -> CountedEventsOut:
        """The events that a meter counts in a period, by time."""
        async with deps.database.read(access.tenant_id) as session:
            found = await measuring.counted_events(session, meter, period, filters, (after, limit), mode)
        return CountedEventsOut(
            data=[
                CountedEventOut(
                    id=event.event_id,
                    source=event.source,
                    time=event.occurred_at,
                    value=format(event.value, "f"),
                    cursor=event.cursor,
                )
                for event in found
            ]
        )

    _problem_routes(routes, deps)


def _problem_routes(routes: APIRouter, deps: MeteringDeps) -> None:
    may_read = Depends(deps.access(Permission.USAGE_READ))

    @routes.get("/tenants/{tenant_id}/usage/problems", response_model=UsageProblemsOut)
    async def tenant_problems(
        since: Annotated[AwareDatetime | None, Query(description="35 days ago when left out.")] = None,
        access: TenantAccess = may_read,
    ) -> UsageProblemsOut:
        """Events that were refused, that no active meter counts or that lack what a meter counts."""
        async with deps.database.read(access.tenant_id) as session:
            found = await usage.usage_problems(session, since or deps.clock.now() - PROBLEMS_OF)
        return UsageProblemsOut(data=[_to_api_problem(problem) for problem in found])

    @routes.get("/usage/problems", response_model=UsageProblemsOut, dependencies=[Depends(deps.operator)])
    async def all_problems(
        since: Annotated[AwareDatetime | None, Query(description="35 days ago when left out.")] = None,
    ) -> UsageProblemsOut:
        """The same of every tenant, and entries of the usage stream that could not be read."""
        start = since or deps.clock.now() - PROBLEMS_OF
        async with deps.system_database.session() as system:
            found = await usage.platform_problems(system, start)
            tenants = await usage.tenants_with_problems(system, start)
        for tenant_id in tenants:
            async with deps.database.read(tenant_id) as session:
                found += await usage.usage_problems(session, start)
        return UsageProblemsOut(data=[_to_api_problem(problem) for problem in found])


def _to_api_problem(problem: UsageProblem) -> UsageProblemOut:
    return UsageProblemOut(
        code=problem.code,
        what=problem.what,
        events=problem.events,
        sample=problem.sample,
        tenant_id=problem.tenant_id,
    )


def _to_api_point(point: UsagePoint) -> UsagePointOut:
    return UsagePointOut.model_construct(
        start=point.start,
        meter=point.meter,
        group=point.group,
        dimensions=dict(point.dimensions),
        quantity=to_json(point.quantity),
        events=point.events,
    )
