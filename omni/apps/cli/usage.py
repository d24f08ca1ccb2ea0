"""`omni usage`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from omni.apps.cli.control import TenantId, open_control
from omni.apps.cli.output import JsonFlag, print_rows, run_command
from omni.domains.metering import facade as metering
from omni.kit.clock import SystemClock, month_start, next_month

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Window(StrEnum):
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@app.command()
def usage(
    tenant: TenantId,
    window: Annotated[Window, typer.Option(help="Length of one step.")] = Window.MONTH,
    json: JsonFlag = False,
) -> None:
    """What a tenant used this month by live keys, by meter."""

    async def work() -> None:
        now = SystemClock().now()
        query = metering.UsageQuery(month_start(now), next_month(now), window.value)
        async with open_control() as control, control.database.read(tenant) as session:
            points = await metering.usage_series(session, query, now)
        rows = [
            {
                "start": point.start,
                "meter": point.meter,
                "quantity": metering.to_json(point.quantity),
                "events": point.events,
            }
            for point in points
        ]
        print_rows(rows, json)

    run_command(work)
